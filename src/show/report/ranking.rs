//! The nodes that a precision hurts most.

use super::Density::{self, Full};
use super::{culprit, tensors};
use crate::found::words::{error, number};
use crate::found::{Ranked, Real, Report, Verdict};
use crate::show::page::{Block, Column, ColumnKind, Role, Row, Section, Span, Table, Words};

/// Rows on a terminal, and in a ticket.
const FEW: usize = 5;
const SOME: usize = 8;

const TITLE: &str = "The nodes that the precision hurts most";
/// What the figures are, for whoever reads them first.
const ABOUT: &str = "Relative RMS errors: local is the node alone, fed with reference inputs; emulated is the same in an \
                     emulation of the precision; rho is the one over the other, above 4 the node is worse than its \
                     precision; gain is the error of the output in the whole model over the largest one among its inputs.";
const FIGURES: [&str; 4] = ["local", "emulated", "rho", "gain"];

/// On a terminal, where it tells something that the culprits do not: under an emulation every rho is 1.
pub fn short(report: &Report) -> Vec<Block> {
    let beyond = |row: &Ranked| row.rho.is_some_and(|rho| rho.0 != 1.0);
    if report.ranking.is_empty() || !is_answer(report) && !report.ranking.iter().any(beyond) {
        return Vec::new();
    }
    let mut table = table(report, "worst in this precision", FEW);
    table.rows.extend((report.ranking.len() > FEW).then_some(None));
    vec![Block::Gap, Block::Tables(vec![table])]
}

/// Nobody is to blame: the ranking is all there is to say of single nodes.
fn is_answer(report: &Report) -> bool {
    report.precision_limited.is_some() || report.verdict == Verdict::Agreed
}

/// Elsewhere: in a ticket folded, but where it is the answer.
pub fn block(report: &Report, density: Density) -> Option<Block> {
    if report.ranking.is_empty() {
        return None;
    }
    let full = density == Full;
    let table = Block::Tables(vec![table(report, "node", if full { report.ranking.len() } else { SOME })]);
    Some(match full || is_answer(report) {
        true => Block::Section(Section {
            id: Some("ranking"),
            title: TITLE.into(),
            about: ABOUT.into(),
            blocks: vec![table],
        }),
        false => Block::Fold(TITLE.into(), vec![Block::Line(ABOUT.into()), table]),
    })
}

fn table(report: &Report, title: &'static str, most: usize) -> Table {
    let names = [Column::new(ColumnKind::Name, title), Column::new(ColumnKind::Words, "op")];
    let figures = FIGURES.map(|title| Column::new(ColumnKind::Number, title));
    let rows = report.ranking.iter().take(most).map(|row| Row::plain(cells(report, row))).collect();
    Table { columns: names.into_iter().chain(figures).collect(), rows, all: None }
}

fn cells(report: &Report, row: &Ranked) -> Vec<Words> {
    let name = if row.node.is_empty() { &row.tensor } else { &row.node };
    let tag = Span::Tag(Role::Plain, culprit::label(report).into());
    let tag = tensors::is_culprit(report, &row.tensor).then_some(tag);
    let name = Words([Span::Code(name.clone())].into_iter().chain(tag).collect());
    let error = |x: Option<Real>| x.map_or("-".into(), error).into();
    let ratio = |x: Option<Real>| x.map_or("-".into(), |x| if x.0.is_finite() { number(x.0) } else { "Inf".into() });
    let (rho, gain) = (ratio(row.rho).into(), ratio(row.gain).into());
    vec![name, row.op_type.clone().into(), error(Some(row.local)), error(row.emulated), rho, gain]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample::limited_report;

    #[test]
    fn figures_that_are_not_there_are_dashes() {
        let check = |row: &Ranked, want: [&str; 4]| {
            let words: Vec<Words> = cells(&limited_report(), row).split_off(2);
            let text = |words: &Words| match words.0.as_slice() {
                [Span::Text(text)] => text.clone(),
                other => panic!("{other:?}"),
            };
            assert_eq!(words.iter().map(text).collect::<Vec<_>>(), want);
        };
        let (inf, none) = (Some(Real(f64::INFINITY)), None);
        let row = Ranked { local: Real(1e-3), rho: inf, emulated: none, gain: none, ..Ranked::default() };
        check(&row, ["1.00e-3", "-", "Inf", "-"]);
        let row = Ranked { local: Real(f64::INFINITY), emulated: Some(Real(0.0)), gain: Some(Real(2.0)), ..row };
        check(&row, ["NaN or Inf", "0", "Inf", "2.00"]);
    }
}
