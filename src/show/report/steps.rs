//! A model that decodes, step by step: a row each, around the first one that fails where there is no room for all.

use super::Density::{self, Short};
use super::around::{AROUND, rows};
use crate::found::steps::{Decoding, StepVerdict, Tokens};
use crate::found::words::{cosine, number};
use crate::found::{Metrics, Report, Verdict};
use crate::show::page::{Block, Column, ColumnKind, Fact, Row, Words};
use crate::show::stages::{told, worst};

/// All of it; nothing where nobody asked.
pub fn blocks(report: &Report, density: Density) -> Vec<Block> {
    let Some(decoding) = &report.decoding else { return Vec::new() };
    let mut blocks = vec![table(report, false), Block::facts(facts(decoding, report))];
    if density == Short {
        blocks.push(Block::Gap);
        return blocks;
    }
    if report.steps.len() > 2 * AROUND {
        let all = format!("All {} steps", report.steps.len());
        blocks.push(Block::Fold(all.into(), vec![table(report, true)]));
    }
    blocks.extend(Block::list(decoding.rules.iter().cloned()));
    vec![Block::section("Steps", blocks)]
}

/// Of all steps, or of those around the first one that fails.
fn table(report: &Report, all: bool) -> Block {
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
    let first_token = report.decoding.as_ref().and_then(|decoding| decoding.first_token);
    let silent = || report.steps.iter().position(|step| step.verdict != Verdict::Agreed);
    let middle = report.first_bad_step.or(first_token).or_else(silent);
    let bad = |step: &StepVerdict| report.first_bad_step == Some(step.step);
    Block::table(columns.into(), rows(&report.steps, all, middle, |step| row(step, bad(step))))
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

fn facts(decoding: &Decoding, report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    facts.push(match (report.first_bad_step, decoding.drifts_from) {
        (_, Some(from)) => Fact::strong(
            "steps",
            format!("each alone is within tolerance; fed by its own outputs the candidate leaves it at step {from}. What follows is of step {}, whose own error is the largest, with a {}-th of the tolerance: which node adds most; no reproducer shows a drift", decoding.searched, report.steps.len()),
        ),
        (Some(step), None) => Fact::strong("steps", format!("step {step} is the first to diverge with the reference's state")),
        (None, None) => {
            let of = report.steps.len();
            let agree = report.steps.iter().filter(|step| step.verdict == Verdict::Agreed).count();
            let own = report.steps.iter().all(|step| step.own.is_some());
            let how = if own { "with the reference's state and with its own" } else { "with the reference's state" };
            match agree == of {
                true => Fact::new("steps", format!("{of} agree, {how}")),
                false => Fact::doubtful("steps", format!("{agree} of {of} agree, {how}; the others have no answer")),
            }
        }
    });
    facts.extend(
        decoding
            .first_token
            .map(|step| Fact::new("", format!("by itself the candidate says another token at step {step}"))),
    );
    facts
}
