//! Tables of tensors, and the same tensors as points. The numbers come from [`FIGURES`] alone.

use super::Density::{self, Full, Short, Ticket};

use crate::found::words::{count, type_of};
use crate::found::{Culprit, FIGURES, Figure, Report, TensorResult};
use crate::show::page::{Block, Column, ColumnKind, Point, Role, Row, Span, Table, Words};

/// Rows of `report.tensors` to show: each culprit, its inputs, and `context` rows before and after. `None` is a gap.
pub fn surroundings(report: &Report, culprits: &[Culprit], context: usize) -> Vec<Option<usize>> {
    let mut wanted = vec![false; report.tensors.len()];
    for (at, row) in report.tensors.iter().enumerate() {
        if culprits.iter().any(|c| c.node.inputs.contains(&row.name)) {
            wanted[at] = true;
        }
        if culprits.iter().any(|c| c.tensor == row.name) {
            let end = (at + context + 1).min(wanted.len());
            wanted[at.saturating_sub(context)..end].fill(true);
        }
    }
    let mut rows = Vec::new();
    for (at, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted) {
        if rows.last().copied().flatten().is_some_and(|last: usize| last + 1 < at) {
            rows.push(None);
        }
        rows.push(Some(at));
    }
    rows
}

/// The tensors at `rows` (`None` is a gap), then the outputs, in the same columns.
pub fn around(report: &Report, rows: impl Iterator<Item = Option<usize>>, density: Density) -> Block {
    let rows: Vec<Option<&TensorResult>> = rows.map(|at| at.and_then(|at| report.tensors.get(at))).collect();
    // The exporter of PyTorch names tensors after their nodes: the node's column would say everything twice.
    let node = rows.iter().flatten().any(|row| telling(row));
    let outputs: Vec<Option<&TensorResult>> = report.outputs.iter().map(Some).collect();
    let both = [("tensor", rows), ("output", outputs)].into_iter().filter(|(_, rows)| !rows.is_empty());
    Block::Tables(both.map(|(title, rows)| table(report, title, rows.into_iter(), (density, node))).collect())
}

/// The tensors at `rows` alone.
pub fn at(report: &Report, rows: &[Option<usize>], density: Density) -> Block {
    some(report, "tensor", rows.iter().map(|at| at.and_then(|at| report.tensors.get(at))), density)
}

/// A table of these rows; `None` is a gap.
pub fn some<'r>(
    report: &Report,
    title: &'static str,
    rows: impl Iterator<Item = Option<&'r TensorResult>>,
    density: Density,
) -> Block {
    Block::Tables(vec![table(report, title, rows, (density, true))])
}

/// The model's outputs.
pub fn outputs(report: &Report, title: &'static str, density: Density) -> Option<Block> {
    let rows = some(report, "output", report.outputs.iter().map(Some), density);
    (!report.outputs.is_empty()).then(|| Block::section(title, vec![rows]))
}

/// Every tensor measured.
pub fn all(report: &Report) -> Option<Block> {
    let title = format!("Every tensor measured ({})", count(report.tensors.len() as u64));
    let mut table = table(report, "tensor", report.tensors.iter().map(Some), (Full, false));
    table.all = Some("Every tensor measured");
    (!report.tensors.is_empty()).then(|| Block::section(title, vec![Block::Tables(vec![table])]))
}

/// Every tensor measured, as a point.
pub fn points(report: &Report) -> Vec<Point> {
    let point = |tensor: &TensorResult| {
        let error = tensor.metrics.as_ref().and_then(|m| m.relative_rms());
        Point {
            name: tensor.name.clone(),
            status: tensor.status,
            error,
            nonfinite: tensor.metrics.as_ref().is_some_and(|m| m.nonfinite() || error.is_none()),
            culprit: report.culprits.iter().position(|c| c.tensor == tensor.name).map(|at| at + 1),
        }
    };
    report.tensors.iter().map(point).collect()
}

/// Is this the output of a culprit?
pub fn is_culprit(report: &Report, tensor: &str) -> bool {
    report.culprits.iter().any(|c| c.tensor == tensor)
}

/// Does the node's name say what the tensor's does not?
fn telling(row: &TensorResult) -> bool {
    !row.node.is_empty() && !row.name.starts_with(&row.node)
}

/// The columns that this density has; the node's own one where `node` says so.
fn table<'r>(
    report: &Report,
    title: &'static str,
    rows: impl Iterator<Item = Option<&'r TensorResult>>,
    (density, node): (Density, bool),
) -> Table {
    let node = node && density != Full;
    let figures: Vec<&Figure> = FIGURES.iter().filter(|f| density == Full || f.room.is_some()).collect();
    let column = |kind, title, room| Column { room, ..Column::new(kind, title) };
    let names = [Some(column(ColumnKind::Name, title, 0)), node.then(|| column(ColumnKind::Name, "node", 110))];
    let mut columns: Vec<Column> = names.into_iter().flatten().collect();
    columns.push(column(ColumnKind::Words, "type", 90));
    columns.extend(figures.iter().map(|figure| Column {
        meaning: figure.meaning,
        ..column(ColumnKind::Number, figure.title, figure.room.unwrap_or(0))
    }));
    columns.push(column(ColumnKind::State, "status", 0));
    let row = |row: Option<&TensorResult>| row.map(|row| cells(report, row, &figures, (density, node)));
    Table { columns, rows: rows.map(row).collect(), all: None }
}

fn cells(report: &Report, row: &TensorResult, figures: &[&Figure], (density, node): (Density, bool)) -> Row {
    let marked = is_culprit(report, &row.name);
    let mut name = Words::from(Span::Code(row.name.clone()));
    if density == Full && telling(row) {
        name = name.and(Span::Small(row.node.clone()));
    }
    let mut cells = vec![name];
    cells.extend(node.then(|| Span::Code(row.node.clone()).into()));
    cells.push(type_of(&row.dtype, &row.shape).into());
    cells.extend(figures.iter().map(|figure| row.metrics.as_ref().map_or("-".into(), figure.write).into()));
    cells.push(state(row, marked, density));
    Row { status: Some(row.status), marked, cells }
}

/// Whether it agrees, and what else there is to say of that.
fn state(row: &TensorResult, marked: bool, density: Density) -> Words {
    let odd = row.metrics.as_ref().filter(|m| m.breaks());
    let odd = odd.map(|m| format!("{} NaN or Inf", count(m.cand_nonfinite)));
    let status = Words::from(row.status.told());
    match (density, &row.why) {
        (Full, why) => {
            let tag = marked.then(|| Span::Tag(Role::Plain, "culprit".into()));
            let remarks = odd.into_iter().chain(why.clone()).map(Span::Small);
            Words(status.0.into_iter().chain(tag).chain(remarks).collect())
        }
        (Short | Ticket, Some(why)) => status.then(format!(": {why}")),
        (Short, None) => status.then(odd.map_or(String::new(), |odd| format!(", {odd}"))),
        (Ticket, None) => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample::sample_report;

    #[test]
    fn surroundings_hold_culprits_inputs_and_gaps() {
        let report = sample_report();
        let rows = |n, context| surroundings(&report, &report.culprits[..n], context);
        assert_eq!(rows(1, 0), [Some(5), Some(6)]);
        assert_eq!(rows(2, 1), [Some(5), Some(6), Some(7), None, Some(10), Some(11), Some(12)]);
        assert_eq!(rows(2, 99).len(), report.tensors.len());
        assert_eq!(rows(0, 3), []);
    }
}
