//! The tables of `inspect`: bindings, counts, and names that are cut where there are too many.

use crate::found::words::clean;
use crate::inspect::facts::Port;
use crate::inspect::port::sizes_text;
use crate::names::few;
use crate::show::page::{Block, Column, ColumnKind, Row, Table, Words};

/// A table of its own, with air above.
pub fn table<const N: usize>(
    columns: [(ColumnKind, &'static str); N],
    rows: impl Iterator<Item = [String; N]>,
) -> [Block; 2] {
    let columns = columns.map(|(kind, title)| Column::new(kind, title)).into_iter().collect();
    let rows = rows.map(|cells| Row::plain(cells.map(Words::from).into())).collect();
    [Block::Gap, Block::table(columns, rows)]
}

/// Inputs, then outputs, in the same columns.
pub fn bindings(inputs: &[Port], outputs: &[Port]) -> Vec<Block> {
    let profiles = inputs.iter().map(|p| p.profiles.len()).max().unwrap_or(0);
    let both = [("input", inputs, profiles), ("output", outputs, 0)];
    let tables = both.into_iter().filter(|(_, ports, _)| !ports.is_empty()).map(|(title, ports, profiles)| {
        let profile = |n: usize| Column::new(ColumnKind::Words, format!("profile {n}: smallest, usual, largest"));
        let names = [title, "type"].map(|title| Column::new(ColumnKind::Name, title));
        let columns = names.into_iter().chain((0..profiles).map(profile)).collect();
        Table { columns, rows: ports.iter().map(binding).collect(), all: None }
    });
    let tables: Vec<Table> = tables.collect();
    if tables.is_empty() { Vec::new() } else { vec![Block::Gap, Block::Tables(tables)] }
}

fn binding(port: &Port) -> Option<Row> {
    let profile = |p: &[Vec<i64>; 3]| p.iter().map(|sizes| sizes_text(sizes)).collect::<Vec<_>>().join(", ");
    let first = [port.name.clone(), port.type_text()];
    Row::plain(first.into_iter().chain(port.profiles.iter().map(profile)).map(Words::from).collect())
}

/// `"a", "b" and 12 more`
pub fn some(names: &[String], most: usize) -> String {
    few(names.iter().map(|name| clean(name)), most)
}
