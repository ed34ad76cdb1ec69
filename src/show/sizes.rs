//! Other sizes of the data: a row for each size of a sweep, and what became of the rows of a batch.

use super::around::{AROUND, rows};
use super::compared::{self, Sentence, worst};
use super::page::{Block, Column, ColumnKind, Fact, Row, Words};
use crate::found::sizes::{Batch, BatchOf, Size, SizeVerdict, told};
use crate::found::stages::Stage;
use crate::found::words::{cosine, count, number};
use crate::found::{Metrics, Report, Verdict};

/// The sizes of a candidate, wherever they are told.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    sweep: &'a [SizeVerdict],
    first_bad: Option<&'a Size>,
    batch: Option<&'a Batch>,
}

impl<'a> Seen<'a> {
    /// Those of a report.
    pub fn of_report(report: &'a Report) -> Seen<'a> {
        Seen { sweep: &report.sweep, first_bad: report.first_bad_size.as_ref(), batch: report.batch.as_ref() }
    }

    /// Those of a stage.
    pub fn of_stage(stage: &'a Stage) -> Seen<'a> {
        Seen { sweep: &stage.sweep, first_bad: stage.first_bad_size.as_ref(), batch: stage.batch.as_ref() }
    }
}

/// Of a report, where there is little room; nothing where nobody asked.
pub fn short(report: &Report) -> Vec<Block> {
    let seen = Seen::of_report(report);
    let mut blocks: Vec<Block> = (!seen.sweep.is_empty()).then(|| table(seen, false)).into_iter().collect();
    blocks.extend(seen.batch.map(|batch| Block::facts(facts(batch))));
    if !blocks.is_empty() {
        blocks.push(Block::Gap);
    }
    blocks
}

/// Of a report, all of it; nothing where nobody asked.
pub fn full(report: &Report) -> Vec<Block> {
    let seen = Seen::of_report(report);
    let tables = tables(seen);
    let mut blocks = Vec::new();
    if !tables.is_empty() {
        blocks.push(Block::section("Sizes", tables));
    }
    blocks.extend(seen.batch.map(|batch| Block::section("Rows of the batch", vec![Block::facts(facts(batch))])));
    blocks
}

/// Around the first size that fails, and all of them where those are more; nothing where none was swept.
pub fn tables(seen: Seen) -> Vec<Block> {
    if seen.sweep.is_empty() {
        return Vec::new();
    }
    let all = (seen.sweep.len() > 2 * AROUND)
        .then(|| Block::Fold(format!("All {} sizes", seen.sweep.len()).into(), vec![table(seen, true)]));
    [table(seen, false)].into_iter().chain(all).collect()
}

/// What became of all sizes, or of the rows, for a stage that has one line; `None` where nobody asked.
pub fn line(seen: Seen) -> Option<Sentence> {
    if let Some(batch) = seen.batch {
        return Some(match (batch.candidate.verdict, batch.reference.verdict) {
            (Verdict::Agreed, _) => Sentence::good(alike(batch)),
            (Verdict::Diverged, Verdict::Diverged) => {
                Sentence::doubtful(format!("{}; {MIXED}", other(&batch.candidate)))
            }
            (Verdict::Diverged, _) => Sentence::bad(other(&batch.candidate)),
            (Verdict::Inconclusive, _) => Sentence::doubtful(other(&batch.candidate)),
        });
    }
    let of = seen.sweep.len();
    let agree = seen.sweep.iter().filter(|tried| tried.verdict == Verdict::Agreed).count();
    Some(match seen.first_bad {
        Some(size) => Sentence::bad(format!("{} is the smallest to diverge; {agree} of {of} agree", told(size))),
        None if of == 0 => return None,
        None if agree == of => Sentence::good(format!("{of} agree")),
        None => Sentence::doubtful(format!("{agree} of {of} agree; the others have no answer")),
    })
}

/// Of all sizes, or of those around the first one that fails.
fn table(seen: Seen, all: bool) -> Block {
    use ColumnKind::*;
    let titles = [(Name, "size"), (Number, "max abs"), (Number, "cosine"), (Number, "beyond"), (State, "status")];
    let columns = titles.map(|(kind, title)| Column::new(kind, title));
    // One that has no answer may stand before the one that is told.
    let at = |is: &dyn Fn(&SizeVerdict) -> bool| seen.sweep.iter().position(is);
    let bad = |tried: &SizeVerdict| seen.first_bad == Some(&tried.size);
    let middle = at(&bad).or_else(|| at(&|tried| tried.verdict != Verdict::Agreed));
    Block::table(columns.into(), rows(seen.sweep, all, middle, |tried| row(tried, bad(tried))))
}

fn row(tried: &SizeVerdict, marked: bool) -> Row {
    let output = worst(&tried.outputs);
    let metrics = output.and_then(|output| output.metrics.as_ref());
    let figure = |write: fn(&Metrics) -> String| Words::from(metrics.map_or("-".to_string(), write));
    let state = match (&tried.why, tried.verdict) {
        (Some(why), Verdict::Inconclusive) => format!("no answer: {why}"),
        (_, verdict) => compared::told(verdict).to_string(),
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
    let said = |of: &BatchOf, who: &str| match of.verdict {
        Verdict::Agreed => format!("{who}: {}", alike(batch)),
        _ => format!("{who}: {}", other(of)),
    };
    let mut facts = vec![
        Fact::new("batch", said(&batch.candidate, "candidate")),
        Fact::new("", said(&batch.reference, "reference")),
    ];
    if batch.reference.verdict == Verdict::Diverged && batch.candidate.verdict == Verdict::Diverged {
        facts.push(Fact::doubtful("", MIXED));
    }
    facts
}

const MIXED: &str = "the model mixes the rows of a batch by itself: that is no fault of the candidate's";

fn alike(batch: &Batch) -> String {
    format!("each of {} rows is the same alone, repeated and in its batch", batch.rows)
}

fn other(of: &BatchOf) -> String {
    of.why.clone().unwrap_or_else(|| "no answer".to_string())
}
