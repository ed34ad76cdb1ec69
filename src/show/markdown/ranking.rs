//! The nodes that a precision hurts most, in a ticket.

use super::span::{cell, text};
use crate::found::Report;
use crate::show::text::story::precision;

/// Rows of the table.
const ROWS: usize = 8;

/// Open where it is the answer, folded elsewhere.
pub fn table(out: &mut String, report: &Report) {
    if report.ranking.is_empty() {
        return;
    }
    let open = report.precision_limited.is_some();
    *out += match open {
        true => "### The nodes that the precision hurts most\n\n",
        false => "<details><summary>The nodes that the precision hurts most</summary>\n\n",
    };
    *out += &format!("{}\n\n", text(precision::ABOUT));
    *out += &format!("| node | op | {} |\n|---|---|--:|--:|--:|--:|\n", precision::FIGURES.join(" | "));
    for row in report.ranking.iter().take(ROWS) {
        let (name, op, figures) = (cell(&precision::node(row)), text(&row.op_type), precision::figures(row));
        *out += &format!("| {name} | {op} | {} |\n", figures.join(" | "));
    }
    *out += if open { "\n" } else { "\n</details>\n\n" };
}
