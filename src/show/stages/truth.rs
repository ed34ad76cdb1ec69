//! The true classes: how often each stage is right, and the rows where stages part.

use super::Block;
use crate::found::stages::{Prediction, TrueRow, Truth};
use crate::found::words::{plural, seconds};
use crate::show::page::{Column, ColumnKind, Row, Span, Words};

/// Rows that a page lists; all are in the JSON.
const LISTED: usize = 200;

/// Top-1 and top-5 of each stage.
pub fn accuracy(truth: &Truth) -> Block {
    use ColumnKind::*;
    let columns = [(Name, "stage"), (Number, "top-1"), (Number, "top-5")].map(|(kind, title)| Column::new(kind, title));
    let share = |right: usize, of: usize| match of {
        0 => "-".to_string(),
        _ => format!("{:.1} % ({right} of {of})", 100.0 * right as f64 / of as f64),
    };
    let row = |of: &crate::found::stages::Accuracy| {
        Row::plain(vec![
            Span::Code(of.stage.clone()).into(),
            share(of.top1, of.rows).into(),
            share(of.top5, of.rows).into(),
        ])
    };
    Block::table(columns.into(), truth.accuracy.iter().map(row).collect())
}

/// The same, and row by row what each stage said, those where stages part first.
pub fn blocks(truth: &Truth) -> Vec<Block> {
    let mut blocks = vec![accuracy(truth)];
    let told = match truth.parting.len() {
        0 => "No row has another best class in any stage.".to_string(),
        n => format!("Stages part in {}: not all have the same best class there.", plural(n, "row")),
    };
    blocks.push(Block::Line(told.into()));
    let parting = || truth.parting.iter().filter_map(|number| truth.rows.get(*number));
    let others = truth.rows.iter().enumerate().filter(|(n, _)| !truth.parting.contains(n)).map(|(_, row)| row);
    let rows: Vec<&TrueRow> = parting().chain(others).take(LISTED).collect();
    let mut columns = vec![Column::new(ColumnKind::Words, "sample"), Column::new(ColumnKind::Name, "truth")];
    columns.extend(truth.accuracy.iter().map(|of| Column::new(ColumnKind::Words, of.stage.clone())));
    let title = format!("Row by row ({} of {})", rows.len(), truth.rows.len());
    let table = Block::table(columns, rows.into_iter().map(|row| Row::plain(cells(row))).collect());
    blocks.push(Block::Fold(title.into(), vec![table]));
    blocks
}

fn cells(row: &TrueRow) -> Vec<Words> {
    let place = if row.row == 0 { row.sample.to_string() } else { format!("{}, row {}", row.sample, row.row) };
    let mut cells = vec![place.into(), Span::Code(row.truth.clone()).into()];
    cells.extend(row.said.iter().map(said));
    cells
}

fn said(said: &Prediction) -> Words {
    let time = said.seconds.map_or(String::new(), |s| format!(", {}", seconds(s.0)));
    let told = format!("{} {:.3}{time}", said.label, said.probability.0);
    if said.right { told.into() } else { Span::Bad(told).into() }
}
