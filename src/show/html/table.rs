//! Tables. Rows are plain HTML, so that the file says everything without its script too; they are numbered, and whether a
//! tensor agrees stands first.

use super::inline;
use crate::found::Status;
use crate::show::page::{Column, ColumnKind, Row, Span, Table, Words};

/// The script makes it work.
const FILTER: &str = "<form class=\"filter\" id=\"filter\" hidden><label>Name, node, type <input type=\"search\" id=\"find\" \
     placeholder=\"filter\" autocomplete=\"off\"></label> <label>Status <select id=\"status\">\
     <option value=\"\">all</option><option value=\"culprit\">culprits</option>\
     <option value=\"diverges\">diverges</option><option value=\"agrees\">agrees</option>\
     <option value=\"not_compared\">not compared</option></select></label> \
     <output id=\"shown\"></output> <button type=\"button\" id=\"all\" hidden>Show all</button></form>\n";

/// The table, whose first name is the title of its row.
pub fn draw(out: &mut String, table: &Table) {
    let state = state(table).is_some();
    *out += &match table.all {
        Some(what) => format!(
            "{FILTER}<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"{what}\"><table id=\"tensors\">\n"
        ),
        None if state => "<div class=\"scroll\"><table>\n".into(),
        None => "<div class=\"scroll\"><table class=\"sensitivity\">\n".into(),
    };
    titles(out, table);
    *out += "<tbody>\n";
    for (at, one) in table.rows.iter().enumerate() {
        match one {
            Some(cells) => row(out, table, cells, at),
            None => *out += &format!("<tr><td colspan=\"{}\">…</td></tr>\n", table.columns.len() + 1),
        }
    }
    *out += "</tbody></table></div>";
    if state && table.all.is_none() {
        out.push('\n');
    }
}

/// Where the column is that says whether a tensor agrees.
fn state(table: &Table) -> Option<usize> {
    table.columns.iter().position(|column| column.kind == ColumnKind::State)
}

fn titles(out: &mut String, table: &Table) {
    *out += "<thead><tr><th scope=\"col\" class=\"n\">#</th>";
    if let Some(state) = state(table) {
        *out += &format!("<th scope=\"col\">{}</th>", inline(&table.columns[state].title));
    }
    for Column { kind, title, meaning, .. } in &table.columns {
        let class = match kind {
            ColumnKind::State => continue,
            ColumnKind::Number => " class=\"n\"",
            ColumnKind::Name | ColumnKind::Words => "",
        };
        let meaning = if meaning.is_empty() { String::new() } else { format!(" title=\"{}\"", super::text(meaning)) };
        *out += &format!("<th scope=\"col\"{class}{meaning}>{}</th>", inline(title));
    }
    *out += "</tr></thead>\n";
}

fn row(out: &mut String, table: &Table, row: &Row, at: usize) {
    let id = table.all.map_or(String::new(), |_| format!(" id=\"t{at}\""));
    let look = row.status.map(|status| match status {
        Status::Agrees => ("agrees", "✓"),
        Status::Diverges => ("diverges", "✗"),
        Status::NotCompared => ("not_compared", "–"),
    });
    let marked = if row.marked { " culprit" } else { "" };
    let class = look.map_or(String::new(), |(class, _)| format!(" class=\"{class}{marked}\""));
    *out += &format!("<tr{id}{class}><td class=\"n\">{}</td>", at + 1);
    let none = Words::default();
    let cell = |at: usize| row.cells.get(at).unwrap_or(&none);
    if let Some(state) = state(table) {
        let sign = look.map_or("", |(_, sign)| sign);
        let told = inline(cell(state));
        *out += &format!("<td class=\"s\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span> {told}</td>");
    }
    let first = table.columns.iter().position(|column| column.kind == ColumnKind::Name);
    for (at, column) in table.columns.iter().enumerate() {
        let told = inline(cell(at));
        *out += &match column.kind {
            ColumnKind::State => continue,
            _ if first == Some(at) => format!("<th scope=\"row\">{told}</th>"),
            ColumnKind::Name | ColumnKind::Words => format!("<td>{told}</td>"),
            ColumnKind::Number => {
                let bad = cell(at).0.iter().any(|span| matches!(span, Span::Bad(_)));
                format!("<td class=\"n{}\">{told}</td>", if bad { " bad" } else { "" })
            }
        };
    }
    *out += "</tr>\n";
}
