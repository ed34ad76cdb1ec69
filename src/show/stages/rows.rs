//! The stages as rows of a table, as bars, and output by output.

use super::{Block, Card, Verdict, of_outputs, role};
use crate::found::stages::{Stage, Stages};
use crate::found::words::{clean, cosine, count, decibels, number, type_of};
use crate::found::{Decisions, Metrics, TensorResult};
use crate::show::compared::{told, worst};
use crate::show::page::{Bar, Column, ColumnKind, Fact, Role, Row, Span, Words};
use crate::show::{sizes, steps};

/// A row for each stage, by its worst output; a terminal has fewer columns.
pub fn table(found: &Stages, short: bool) -> Block {
    let column = |kind, title: &'static str, meaning, room| Column { meaning, room, ..Column::new(kind, title) };
    use ColumnKind::*;
    let mut columns = vec![column(Name, "stage", "as named on the command line", 0)];
    columns.extend((!short).then(|| column(Name, "runs", "its SPEC", 0)));
    columns.extend([
        column(Number, "max abs", "the largest difference from the reference, of the worst output", 0),
        column(Number, "MSE", "mean of the squared differences", 100),
        column(Number, "cosine", "of the angle between both", 80),
        column(Number, "SQNR dB", "20 log10 of signal over difference", 90),
        column(Number, "changed", "decisions that are others than the reference's, of all", 70),
        column(Number, "a run", "median wall time of one sample, without the build, in a session that optimises nothing where it is ONNX Runtime's", 110),
    ]);
    let tried = found.stages.iter().any(Stage::is_tried);
    columns.extend(tried.then(|| column(Words, "first bad", "the first step, size or row that diverges", 0)));
    columns.extend([
        column(State, "reference", "against the reference", 0),
        column(Words, "before", "against the stage before", 0),
    ]);
    Block::table(columns, found.stages.iter().map(|stage| Row::plain(cells(stage, short, tried))).collect())
}

fn cells(stage: &Stage, short: bool, tried: bool) -> Vec<Words> {
    let metrics = worst(&stage.outputs).and_then(|output| output.metrics.as_ref());
    let figure = |write: fn(&Metrics) -> String| Words::from(metrics.map_or("-".to_string(), write));
    let mut cells = vec![Words::from(Span::Code(stage.name.clone()))];
    cells.extend((!short).then(|| Span::Code(stage.spec.clone()).into()));
    cells.extend([
        figure(|m| number(m.max_abs.0)),
        figure(|m| number(m.rmse.0 * m.rmse.0)),
        figure(|m| cosine(m.cosine.0)),
        figure(|m| decibels(m.sqnr_db.0)),
        changed(&stage.decisions).into(),
        stage
            .latency
            .as_ref()
            .map_or("-".to_string(), |latency| format!("{} ms", number(latency.median.0 * 1e3)))
            .into(),
    ]);
    cells.extend(tried.then(|| stage.first_bad().unwrap_or_else(|| "-".to_string()).into()));
    cells.extend([
        told(stage.verdict).into(),
        stage.against_previous.as_ref().map_or("-", |against| told(against.verdict)).into(),
    ]);
    cells
}

/// A line for each stage that says what became of its steps, its sizes or its rows.
pub fn lines(found: &Stages) -> Vec<Fact> {
    let line = |stage: &Stage| {
        let steps = steps::Seen::of_stage(stage).map(|seen| ("steps", steps::line(seen)));
        let (name, told) = steps.or_else(|| {
            let name = if stage.batch.is_some() { "batch" } else { "sizes" };
            Some((name, sizes::line(sizes::Seen::of_stage(stage))?))
        })?;
        Some(told.fact(name, &format!("'{}': ", clean(&stage.name))))
    };
    let mut facts: Vec<Fact> = found.stages.iter().filter_map(line).collect();
    facts.iter_mut().skip(1).for_each(|fact| fact.name = "".into());
    facts
}

/// `3 of 8`, of all outputs that are known to decide something.
fn changed(decisions: &[Decisions]) -> String {
    let asked: Vec<&Decisions> = decisions.iter().filter(|decisions| decisions.asked).collect();
    if asked.is_empty() {
        return "-".to_string();
    }
    let sum = |of: fn(&Decisions) -> u64| asked.iter().map(|decisions| of(decisions)).sum::<u64>();
    format!("{} of {}", count(sum(|d| d.changed)), count(sum(|d| d.rows)))
}

/// The error of each stage's worst output.
pub fn bars(found: &Stages) -> Vec<Bar> {
    let bar = |stage: &Stage| {
        let metrics = worst(&stage.outputs).and_then(|output| output.metrics.as_ref());
        let odd = metrics.is_some_and(Metrics::nonfinite);
        let error = metrics.map(|m| m.relative_rms().filter(|_| !odd).unwrap_or(f64::INFINITY));
        let role = if odd { Role::Doubt } else { role(stage.verdict) };
        let text = match (metrics, &stage.why) {
            (Some(metrics), _) => metrics.told(),
            (None, why) => why.clone().unwrap_or_else(|| "not compared".to_string()),
        };
        Bar { role, name: stage.name.clone(), error, text }
    };
    found.stages.iter().map(bar).collect()
}

/// Every output of every stage.
pub fn outputs(found: &Stages) -> Option<Block> {
    let cards: Vec<Card> = found.stages.iter().map(card).collect();
    (!cards.is_empty()).then(|| Block::section("Outputs, stage by stage", vec![Block::Cards(cards)]))
}

fn card(stage: &Stage) -> Card {
    let mut blocks: Vec<Block> = stage.why.iter().map(|why| Block::Line(why.clone().into())).collect();
    blocks.extend(steps::Seen::of_stage(stage).map(steps::tables).unwrap_or_default());
    blocks.extend(sizes::tables(sizes::Seen::of_stage(stage)));
    if !stage.outputs.is_empty() {
        blocks.push(compared("against the reference", &stage.outputs));
    }
    if let Some(against) = stage.against_previous.as_ref().filter(|against| !against.outputs.is_empty()) {
        blocks.push(compared("against the stage before", &against.outputs));
    }
    let changes = stage.decisions.iter().filter(|decisions| decisions.asked).flat_map(|decisions| {
        let output = &decisions.output;
        decisions.worst.iter().map(move |c| format!("'{output}', sample {}, {}: {}", c.sample, c.place(), c.told()))
    });
    blocks.extend(Block::list(changes));
    let deed = Some(format!(
        "{} ({})",
        if stage.verdict == Verdict::Inconclusive { "gives no answer" } else { told(stage.verdict) },
        of_outputs(&stage.outputs).1.unwrap_or_else(|| stage.spec.clone())
    ));
    Card {
        role: role(stage.verdict),
        label: "stage".into(),
        head: Span::Name(stage.name.clone()).into(),
        deed,
        blocks,
        ..Card::default()
    }
}

fn compared(title: &'static str, outputs: &[TensorResult]) -> Block {
    use ColumnKind::*;
    let titles = [
        (Name, title),
        (Words, "type"),
        (Number, "max abs"),
        (Number, "cosine"),
        (Number, "SQNR dB"),
        (State, "status"),
    ];
    let columns = titles.map(|(kind, title)| Column::new(kind, title));
    let row = |output: &TensorResult| {
        let figure = |write: fn(&Metrics) -> String| output.metrics.as_ref().map_or("-".to_string(), write);
        let state = match &output.why {
            Some(why) => format!("{}: {why}", output.status.told()),
            None => output.status.told().to_string(),
        };
        let cells = vec![
            Span::Code(output.name.clone()).into(),
            type_of(&output.dtype, &output.shape).into(),
            figure(|m| number(m.max_abs.0)).into(),
            figure(|m| cosine(m.cosine.0)).into(),
            figure(|m| decibels(m.sqnr_db.0)).into(),
            state.into(),
        ];
        Some(Row { status: Some(output.status), cells, ..Row::default() })
    };
    Block::table(columns.into(), outputs.iter().map(row).collect())
}
