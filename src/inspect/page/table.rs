//! The tables of `inspect`: bindings, counts, and names that are cut where there are too many.

use crate::inspect::facts::Port;
use crate::inspect::port::sizes_text;
use crate::show::text::paint::{Cell, Ink, Page, Row, left};
use crate::show::text::words::clean;

pub fn titles(cells: Vec<Cell>) -> Row {
    Row::Line { mark: ' ', ink: Ink::Dim, cells }
}

pub fn row(cells: Vec<Cell>) -> Row {
    Row::Line { mark: ' ', ink: Ink::Plain, cells }
}

/// Inputs, then outputs, in the same columns.
pub fn bindings(page: &mut Page, inputs: &[Port], outputs: &[Port]) {
    let profiles = inputs.iter().map(|p| p.profiles.len()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for (title, ports, profiles) in [("input", inputs, profiles), ("output", outputs, 0)] {
        if ports.is_empty() {
            continue;
        }
        rows.extend((!rows.is_empty()).then_some(Row::Blank));
        let numbers = (0..profiles).map(|n| left(format!("profile {n}: smallest, usual, largest")));
        rows.push(titles([left(title), left("type")].into_iter().chain(numbers).collect()));
        rows.extend(ports.iter().map(binding));
    }
    if !rows.is_empty() {
        page.blank();
        page.table(&rows, &[0, 1]);
    }
}

fn binding(port: &Port) -> Row {
    let profile = |p: &[Vec<i64>; 3]| left(p.iter().map(|sizes| sizes_text(sizes)).collect::<Vec<_>>().join(", "));
    let first = [left(clean(&port.name)), left(clean(&port.type_text()))];
    row(first.into_iter().chain(port.profiles.iter().map(profile)).collect())
}

/// `"a", "b" and 12 more`
pub fn some(names: &[String], most: usize) -> String {
    let shown: Vec<String> = names.iter().take(most).map(|name| clean(name)).collect();
    let more = names.len().saturating_sub(most);
    shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
