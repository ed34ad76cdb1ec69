//! The nodes that a precision hurts most, on the terminal: a short table.

use super::paint::{Ink, Page, Row, left, right};
use super::story::precision;
use super::words::clean;
use crate::found::Report;

/// Rows shown: the report has more.
const ROWS: usize = 5;

pub fn draw(page: &mut Page, report: &Report) {
    if report.ranking.is_empty() || !precision::telling(report) {
        return;
    }
    let titles = [left("worst in this precision"), left("op")].into_iter().chain(precision::FIGURES.map(right));
    let mut rows = vec![Row::Line { mark: ' ', ink: Ink::Bold, cells: titles.collect() }];
    for one in report.ranking.iter().take(ROWS) {
        let figures = precision::figures(one).map(right);
        let cells = [left(precision::node(one)), left(clean(&one.op_type))].into_iter().chain(figures).collect();
        rows.push(Row::Line { mark: ' ', ink: Ink::Plain, cells });
    }
    if report.ranking.len() > ROWS {
        rows.push(Row::Gap);
    }
    page.blank();
    page.table(&rows, &[0]);
}
