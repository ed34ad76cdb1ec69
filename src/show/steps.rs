//! A model that decodes, step by step: a row each, around the first one that fails where there is no room for all.

use super::around::{AROUND, rows};
use super::compared::{Sentence, told, worst};
use super::page::{Block, Column, ColumnKind, Fact, Row, Words};
use crate::found::stages::Stage;
use crate::found::steps::{Decoding, StepVerdict, Tokens};
use crate::found::words::{cosine, number};
use crate::found::{Metrics, Report, Verdict};

/// The steps of a candidate, wherever they are told.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    steps: &'a [StepVerdict],
    first_bad: Option<usize>,
    decoding: &'a Decoding,
}

impl<'a> Seen<'a> {
    /// Those of a report; `None` where nobody asked.
    pub fn of_report(report: &'a Report) -> Option<Seen<'a>> {
        let decoding = report.decoding.as_ref()?;
        Some(Seen { steps: &report.steps, first_bad: report.first_bad_step, decoding })
    }

    /// Those of a stage; `None` where nobody asked, or it gave nothing.
    pub fn of_stage(stage: &'a Stage) -> Option<Seen<'a>> {
        let decoding = stage.decoding.as_ref()?;
        Some(Seen { steps: &stage.steps, first_bad: stage.first_bad_step, decoding })
    }
}

/// Of a report, where there is little room.
pub fn short(report: &Report) -> Vec<Block> {
    let Some(seen) = Seen::of_report(report) else { return Vec::new() };
    vec![table(seen, false), Block::facts(facts(seen)), Block::Gap]
}

/// Of a report, all of it.
pub fn full(report: &Report) -> Option<Block> {
    let seen = Seen::of_report(report)?;
    let told = Block::facts(facts(seen));
    let mut blocks = tables(seen);
    blocks.insert(1, told);
    blocks.extend(Block::list(seen.decoding.rules.iter().cloned()));
    Some(Block::section("Steps", blocks))
}

/// Around the first step that fails, and all of them where those are more.
pub fn tables(seen: Seen) -> Vec<Block> {
    let all = (seen.steps.len() > 2 * AROUND)
        .then(|| Block::Fold(format!("All {} steps", seen.steps.len()).into(), vec![table(seen, true)]));
    [table(seen, false)].into_iter().chain(all).collect()
}

/// Of all steps, or of those around the first one that fails.
fn table(seen: Seen, all: bool) -> Block {
    use ColumnKind::*;
    let titles = [
        (Name, "step"),
        (Number, "max abs"),
        (Number, "cosine"),
        (Words, "tokens"),
        (State, "by the reference's state"),
        (Words, "by its own"),
    ];
    let columns = titles.map(|(kind, title)| Column::new(kind, title));
    let silent = || seen.steps.iter().position(|step| step.verdict != Verdict::Agreed);
    let middle = seen.first_bad.or(seen.decoding.first_token).or_else(silent);
    let bad = |step: &StepVerdict| seen.first_bad == Some(step.step);
    Block::table(columns.into(), rows(seen.steps, all, middle, |step| row(step, bad(step))))
}

fn row(step: &StepVerdict, marked: bool) -> Row {
    let output = worst(&step.outputs);
    let metrics = output.and_then(|output| output.metrics.as_ref());
    let figure = |write: fn(&Metrics) -> String| Words::from(metrics.map_or("-".to_string(), write));
    let state = match &step.why {
        Some(why) => format!("{}: {why}", told(step.verdict)),
        None => told(step.verdict).to_string(),
    };
    let cells = vec![
        step.step.to_string().into(),
        figure(|m| number(m.max_abs.0)),
        figure(|m| cosine(m.cosine.0)),
        step.tokens.as_ref().map_or("-".to_string(), tokens).into(),
        state.into(),
        step.own.as_ref().map_or("-", |own| told(own.verdict)).into(),
    ];
    Row { status: output.map(|output| output.status), marked, cells }
}

/// `17`, `17 -> 4` where the candidate says another one.
fn tokens(tokens: &Tokens) -> String {
    let list = |tokens: &[i64]| {
        let shown: Vec<String> = tokens.iter().take(4).map(i64::to_string).collect();
        shown.join(",") + if tokens.len() > 4 { ",…" } else { "" }
    };
    let said = if tokens.own.is_empty() { &tokens.candidate } else { &tokens.own };
    match said.is_empty() || *said == tokens.reference {
        true => list(&tokens.reference),
        false => format!("{} -> {}", list(&tokens.reference), list(said)),
    }
}

fn facts(seen: Seen) -> Vec<Fact> {
    let mut told = sentence(seen);
    if seen.decoding.drifts_from.is_some() {
        let (searched, of) = (seen.decoding.searched, seen.steps.len());
        let text = format!(
            "{}. What follows is of step {searched}, whose own error is the largest, with a {of}-th of the tolerance: which node adds most; no reproducer shows a drift",
            told.text
        );
        told = Sentence { text, ..told };
    }
    let mut facts = vec![told.fact("steps", "")];
    facts.extend(token(seen).map(|token| Fact::new("", token)));
    facts
}

/// Where the candidate by itself says something else.
fn token(seen: Seen) -> Option<String> {
    seen.decoding.first_token.map(|step| format!("by itself the candidate says another token at step {step}"))
}

/// What became of all steps, for a stage that has one line.
pub fn line(seen: Seen) -> Sentence {
    let told = sentence(seen);
    let text = [Some(told.text), token(seen)].into_iter().flatten().collect::<Vec<_>>().join("; ");
    Sentence { text, ..told }
}

/// What became of all steps.
fn sentence(seen: Seen) -> Sentence {
    if let Some(from) = seen.decoding.drifts_from {
        return Sentence::bad(format!(
            "each alone is within tolerance; fed by its own outputs the candidate leaves it at step {from}"
        ));
    }
    if let Some(step) = seen.first_bad {
        return Sentence::bad(format!("step {step} is the first to diverge with the reference's state"));
    }
    let of = seen.steps.len();
    let agree = seen.steps.iter().filter(|step| step.verdict == Verdict::Agreed).count();
    let own = seen.steps.iter().all(|step| step.own.is_some());
    let how = if own { "with the reference's state and with its own" } else { "with the reference's state" };
    match agree == of {
        true => Sentence::good(format!("{of} agree, {how}")),
        false => Sentence::doubtful(format!("{agree} of {of} agree, {how}; the others have no answer")),
    }
}
