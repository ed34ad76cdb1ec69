//! The table of tensors and outputs on the terminal: which columns it has, and what a row says.

use super::paint::{Cell, Ink, Page, Row, left, right};
use super::story;
use super::words::{clean, cosine, count, cut, decibels, number, type_of};
use crate::found::{Metrics, Report, Status, TensorResult};

/// Columns that appear only where there is room for them, or where they tell something.
struct Columns {
    node: bool,
    dtype: bool,
    max_rel: bool,
    cosine: bool,
    /// A status with its reason is cut here: the report has it in full.
    status: usize,
}

/// The rows at `tensors` of the report (`None` is a gap), then the outputs, in the same columns.
pub fn draw(page: &mut Page, report: &Report, tensors: &[Option<usize>]) {
    let shown: Vec<Option<&TensorResult>> = tensors.iter().map(|at| at.and_then(|at| report.tensors.get(at))).collect();
    let columns = Columns::choose(page.width(), shown.iter().flatten().copied());
    let mut rows = Vec::new();
    if !shown.is_empty() {
        rows.push(columns.titles("tensor"));
        rows.extend(shown.iter().map(|row| row.map_or(Row::Gap, |row| columns.row(report, row))));
    }
    if !report.outputs.is_empty() {
        rows.extend((!rows.is_empty()).then_some(Row::Blank));
        rows.push(columns.titles("output"));
        rows.extend(report.outputs.iter().map(|row| columns.row(report, row)));
    }
    page.table(&rows, &[0, usize::from(columns.node)]);
}

impl Columns {
    /// The exporter of PyTorch names tensors after their nodes: the node's column would say everything twice.
    fn choose<'r>(width: usize, mut rows: impl Iterator<Item = &'r TensorResult>) -> Columns {
        let telling = rows.any(|row| !row.node.is_empty() && !row.name.starts_with(&row.node));
        let status = match width {
            0..70 => 12,
            70..110 => 24,
            _ => 40,
        };
        Columns {
            node: telling && width >= 110,
            dtype: width >= 90,
            max_rel: width >= 70,
            cosine: width >= 100,
            status,
        }
    }

    fn titles(&self, first: &str) -> Row {
        let cells = [
            Some(left(first)),
            self.node.then(|| left("node")),
            self.dtype.then(|| left("type")),
            Some(right("max abs")),
            self.max_rel.then(|| right("max rel")),
            self.cosine.then(|| right("cosine")),
            Some(right("SQNR dB")),
            Some(left("status")),
        ];
        Row::Line { mark: ' ', ink: Ink::Dim, cells: cells.into_iter().flatten().collect() }
    }

    fn row(&self, report: &Report, row: &TensorResult) -> Row {
        let figure = |get: &dyn Fn(&Metrics) -> String| right(row.metrics.as_ref().map_or("-".into(), get));
        let cells: [Option<Cell>; 8] = [
            Some(left(clean(&row.name))),
            self.node.then(|| left(clean(&row.node))),
            self.dtype.then(|| left(type_of(&row.dtype, &row.shape))),
            Some(figure(&|m| number(m.max_abs.0))),
            self.max_rel.then(|| figure(&|m| number(m.max_rel.0))),
            self.cosine.then(|| figure(&|m| cosine(m.cosine.0))),
            Some(figure(&|m| decibels(m.sqnr_db.0))),
            Some(left(cut(&status(row), self.status))),
        ];
        let guilty = story::is_culprit(report, &row.name);
        let ink = match row.status {
            _ if guilty => Ink::Red,
            Status::Agrees => Ink::Plain,
            Status::Diverges => Ink::Yellow,
            Status::NotCompared => Ink::Dim,
        };
        Row::Line { mark: if guilty { '>' } else { ' ' }, ink, cells: cells.into_iter().flatten().collect() }
    }
}

fn status(row: &TensorResult) -> String {
    let mut text = story::status(row.status).to_string();
    if let Some(why) = &row.why {
        text += &format!(": {}", clean(why));
    } else if let Some(metrics) = row.metrics.as_ref().filter(|m| m.cand_nonfinite != m.ref_nonfinite) {
        text += &format!(", {} NaN or Inf", count(metrics.cand_nonfinite));
    }
    text
}
