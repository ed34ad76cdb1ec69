//! The nodes that a precision hurts most: a table.

use super::esc;
use crate::found::Report;
use crate::show::text::story::{self, precision};

pub fn table(out: &mut String, report: &Report) {
    if report.ranking.is_empty() {
        return;
    }
    *out += "<section id=\"ranking\"><h2>The nodes that the precision hurts most</h2>\n";
    *out += &format!("<p class=\"about\">{}</p>\n", esc(precision::ABOUT));
    *out += "<div class=\"scroll\"><table class=\"sensitivity\">\n<thead><tr><th scope=\"col\" class=\"n\">#</th>";
    *out += "<th scope=\"col\">node</th><th scope=\"col\">op</th>";
    for title in precision::FIGURES {
        *out += &format!("<th scope=\"col\" class=\"n\">{title}</th>");
    }
    *out += "</tr></thead>\n<tbody>\n";
    for (at, row) in report.ranking.iter().enumerate() {
        let mut name = esc(&precision::node(row));
        if story::is_culprit(report, &row.tensor) {
            name += &format!(" <span class=\"tag\">{}</span>", precision::label(report));
        }
        let (number, op) = (at + 1, esc(&row.op_type));
        *out += &format!("<tr><td class=\"n\">{number}</td><th scope=\"row\">{name}</th><td>{op}</td>");
        for figure in precision::figures(row) {
            *out += &format!("<td class=\"n\">{}</td>", esc(&figure));
        }
        *out += "</tr>\n";
    }
    *out += "</tbody></table></div></section>\n";
}
