//! Other sizes of the data: a row for each size of a sweep, and what became of the rows of a batch.

use super::Density::{self, Short};
use super::around::{AROUND, rows};
use crate::found::Report;
use crate::found::sizes::{Batch, BatchOf, SizeVerdict, told};
use crate::found::words::{cosine, count, number};
use crate::found::{Metrics, Verdict};
use crate::show::page::{Block, Column, ColumnKind, Fact, Row, Words};
use crate::show::stages::{told as verdict_told, worst};

/// All of it; nothing where nobody asked.
pub fn blocks(report: &Report, density: Density) -> Vec<Block> {
    let mut blocks = Vec::new();
    if !report.sweep.is_empty() {
        let few = table(report, false);
        let all = format!("All {} sizes", report.sweep.len());
        let fold = (report.sweep.len() > 2 * AROUND).then(|| Block::Fold(all.into(), vec![table(report, true)]));
        blocks.push(match density {
            Short => few,
            _ => Block::section("Sizes", [few].into_iter().chain(fold).collect()),
        });
    }
    if let Some(batch) = &report.batch {
        let facts = Block::facts(facts(batch));
        blocks.push(match density {
            Short => facts,
            _ => Block::section("Rows of the batch", vec![facts]),
        });
    }
    if density == Short && !blocks.is_empty() {
        blocks.push(Block::Gap);
    }
    blocks
}

/// Of all sizes, or of those around the first one that fails.
fn table(report: &Report, all: bool) -> Block {
    use ColumnKind::*;
    let titles = [(Name, "size"), (Number, "max abs"), (Number, "cosine"), (Number, "beyond"), (State, "status")];
    let columns = titles.map(|(kind, title)| Column::new(kind, title));
    // One that has no answer may stand before the one that the report is about.
    let at = |is: &dyn Fn(&SizeVerdict) -> bool| report.sweep.iter().position(is);
    let bad = |tried: &SizeVerdict| report.first_bad_size.as_ref() == Some(&tried.size);
    let middle = at(&bad).or_else(|| at(&|tried| tried.verdict != Verdict::Agreed));
    Block::table(columns.into(), rows(&report.sweep, all, middle, |tried| row(tried, bad(tried))))
}

fn row(tried: &SizeVerdict, marked: bool) -> Row {
    let output = worst(&tried.outputs);
    let metrics = output.and_then(|output| output.metrics.as_ref());
    let figure = |write: fn(&Metrics) -> String| Words::from(metrics.map_or("-".to_string(), write));
    let state = match (&tried.why, tried.verdict) {
        (Some(why), Verdict::Inconclusive) => format!("no answer: {why}"),
        (_, verdict) => verdict_told(verdict).to_string(),
    };
    let cells = vec![
        told(&tried.size).into(),
        figure(|m| number(m.max_abs.0)),
        figure(|m| cosine(m.cosine.0)),
        figure(|m| count(m.mismatched)),
        state.into(),
    ];
    Row { status: output.map(|output| output.status), marked, cells }
}

fn facts(batch: &Batch) -> Vec<Fact> {
    let said = |of: &BatchOf, who: &str| match (of.verdict, &of.why) {
        (Verdict::Agreed, _) => {
            format!("{who}: each of {} rows is the same alone, repeated and in its batch", batch.rows)
        }
        (_, why) => format!("{who}: {}", why.clone().unwrap_or_else(|| "no answer".to_string())),
    };
    let mut facts = vec![
        Fact::new("batch", said(&batch.candidate, "candidate")),
        Fact::new("", said(&batch.reference, "reference")),
    ];
    if batch.reference.verdict == Verdict::Diverged && batch.candidate.verdict == Verdict::Diverged {
        facts.push(Fact::doubtful(
            "",
            "the model mixes the rows of a batch by itself: that is no fault of the candidate's",
        ));
    }
    facts
}
