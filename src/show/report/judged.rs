//! What the final outputs say besides how far they are apart: decisions that changed, samples and rows that diverge, what the
//! user's command said.

use std::cmp::Ordering;

use super::Density::{self, Full, Short};
use crate::found::words::{clean, count, number, plural};
use crate::found::{
    ChangedDecision, Choice, DecisionKind, Decisions, InputsInfo, OutputOfSample, Real, Report, Rows, SampleVerdict,
    Status,
};
use crate::show::page::{Block, Column, ColumnKind, Fact, Row, Section, Span, Table, Words};

/// Changed decisions that are told in one sentence.
const IN_WORDS: usize = 2;

/// One line each; nothing where there is nothing to tell.
pub fn facts(report: &Report) -> Vec<Fact> {
    let mut facts: Vec<Fact> = report.decisions.iter().filter_map(|told| decisions(report, told)).collect();
    facts.iter_mut().skip(1).for_each(|more| more.name.clear());
    facts.extend(samples(&report.samples, &report.inputs));
    facts.extend(rows(&report.samples));
    facts.extend(command(report));
    facts
}

/// On a page: the lines, and the changed decisions side by side.
pub fn section(report: &Report, density: Density) -> Option<Block> {
    let facts = facts(report);
    let told: Vec<&Decisions> = report.decisions.iter().filter(|told| !told.worst.is_empty()).collect();
    let tables: Vec<Table> = told.iter().map(|told| table(report, told)).collect();
    let tables = (!tables.is_empty() && density != Short).then_some(Block::Tables(tables));
    let blocks = [Block::facts(facts)].into_iter().chain(match density {
        Full => tables,
        _ => tables.map(|tables| Block::Fold("The changed decisions, side by side".into(), vec![tables])),
    });
    let title = "What the outputs decide".into();
    let section = Section { id: Some("decisions"), title, blocks: blocks.collect(), ..Section::default() };
    let said = !matches!(section.blocks.first(), Some(Block::Facts(facts)) if facts.rows.is_empty());
    said.then_some(Block::Section(section))
}

/// `2 of 64 decisions changed: row 3: 'cat' 0.710 -> 'dog' 0.700 (near-tie)`.
fn decisions(report: &Report, told: &Decisions) -> Option<Fact> {
    if told.changed == 0 && !told.asked {
        return None;
    }
    let of = count(told.rows);
    let what = match (told.kind, told.asked, told.rows) {
        (DecisionKind::Scores, true, 1) => format!("of {of} decision"),
        (DecisionKind::Scores, true, _) => format!("of {of} decisions"),
        (DecisionKind::Scores, false, 1) => format!("of {of} row has its largest value elsewhere"),
        (DecisionKind::Scores, false, _) => format!("of {of} rows have their largest value elsewhere"),
        (DecisionKind::Labels, _, 1) => format!("of {of} label"),
        (DecisionKind::Labels, ..) => format!("of {of} labels"),
    };
    let verb = if told.asked { " changed" } else { "" };
    let output = if report.outputs.len() > 1 { format!(" in \"{}\"", clean(&told.output)) } else { String::new() };
    if told.changed == 0 {
        return Some(Fact::new("decisions", format!("none {what}{verb}{output}{}", sets(told))));
    }
    let broken = told.changed - told.near_ties;
    let narrow = match (told.kind, broken, told.near_ties) {
        (DecisionKind::Labels, ..) | (_, _, 0) | (_, 0, 1) => String::new(),
        (_, 0, _) => ", all of them near-ties".to_string(),
        (_, broken, _) => format!(", {} of them no near-tie", count(broken)),
    };
    let rows: Vec<String> = told.worst.iter().take(IN_WORDS).map(|row| change(row, &report.inputs)).collect();
    let more = if told.changed as usize > rows.len() { "; …" } else { "" };
    let text = format!("{} {what}{verb}{output}{narrow}: {}{more}{}", count(told.changed), rows.join("; "), sets(told));
    let fact = if told.kind == DecisionKind::Scores && broken == 0 { Fact::new } else { Fact::strong };
    Some(fact("decisions", text))
}

fn change(row: &ChangedDecision, inputs: &InputsInfo) -> String {
    let sample = if inputs.samples > 1 { format!(" of {}", inputs.sample(row.sample)) } else { String::new() };
    let narrow = if row.near_tie == Some(true) { " (near-tie)" } else { "" };
    format!("{}{sample}: {}{narrow}", row.place(), clean(&row.told()))
}

fn sets(told: &Decisions) -> String {
    match told.sets_changed.saturating_sub(told.changed) {
        0 => String::new(),
        _ if !told.asked => String::new(),
        _ => format!("; the set of the {} best changed in {}", told.k, plural(told.sets_changed as usize, "row")),
    }
}

/// `2 of 5 samples diverge, the worst is sample 3`.
fn samples(samples: &[SampleVerdict], inputs: &InputsInfo) -> Option<Fact> {
    let diverging: Vec<&SampleVerdict> = samples.iter().filter(|one| one.status == Status::Diverges).collect();
    if samples.len() < 2 || diverging.is_empty() {
        return None;
    }
    // The first of those that are equally bad, as the outputs' numbers are of the first of them.
    let worst = diverging.iter().rev().max_by(|a, b| worse(badness(a), badness(b)))?.sample;
    Some(Fact::new("samples", extent(diverging.len(), samples.len(), "sample", &inputs.sample(worst))))
}

/// Of the worst diverging output: the share of its elements beyond the tolerance, then the largest error.
fn badness(sample: &SampleVerdict) -> (f64, f64) {
    let diverging = sample.outputs.iter().filter(|output| output.status == Status::Diverges);
    let figure = |figure: Option<Real>| figure.map_or(f64::INFINITY, |figure| figure.0);
    let bad = diverging.map(|output: &OutputOfSample| (figure(output.beyond), figure(output.max_abs)));
    bad.max_by(|a, b| worse(*a, *b)).unwrap_or_default()
}

fn worse(a: (f64, f64), b: (f64, f64)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// `3 of 64 rows diverge in "logits", the worst is row 5`: of the output of which most do.
fn rows(samples: &[SampleVerdict]) -> Option<Fact> {
    let all = samples.iter().flat_map(|one| one.outputs.iter().map(move |output| (one.sample, output)));
    let all = all.filter_map(|(sample, output)| Some((sample, output, output.rows.as_ref()?)));
    // The first of those of which equally many diverge.
    let (sample, output, Rows { of, diverge, worst }) = all.rev().max_by_key(|(.., rows)| rows.diverge)?;
    let worst = worst.filter(|_| *diverge > 0)?;
    let several = if samples.len() > 1 { format!(", in sample {sample}") } else { String::new() };
    let name = format!(" (output \"{}\"{several})", clean(&output.name));
    Some(Fact::new("rows", extent(*diverge, *of, "row", &format!("row {worst}")) + &name))
}

fn extent(diverging: usize, of: usize, noun: &str, worst: &str) -> String {
    let all = plural(of, noun);
    match diverging {
        1 => format!("1 of {all} diverges: {worst}"),
        n => format!("{} of {all} diverge, the worst is {worst}", count(n as u64)),
    }
}

fn command(report: &Report) -> Option<Fact> {
    let said = report.metric_command.as_ref()?;
    let value = said.value.map_or(String::new(), |value| format!(", {}", number(value.0)));
    let why = said.why.as_ref().map_or(String::new(), |why| format!(", {}", clean(why)));
    let verdict = match said.status {
        Status::NotCompared => "no answer",
        status => status.told(),
    };
    Some(Fact::new("metric", format!("{verdict}{value}{why}, by {}", clean(&said.command))))
}

fn table(report: &Report, told: &Decisions) -> Table {
    let column = |title: &'static str| Column::new(ColumnKind::Words, title);
    let title = Words::from(Span::Code(told.output.clone()));
    let columns =
        vec![Column::new(ColumnKind::Name, title), column("reference"), column("candidate"), column("near-tie")];
    let several = report.inputs.samples > 1;
    let row = |row: &ChangedDecision| {
        let place =
            if several { format!("{} of {}", row.place(), report.inputs.sample(row.sample)) } else { row.place() };
        let narrow = row.near_tie.map_or("-", |near| if near { "yes" } else { "no" });
        Row::plain(vec![place.into(), choices(&row.reference), choices(&row.candidate), narrow.into()])
    };
    Table { columns, rows: told.worst.iter().map(row).collect(), all: None }
}

fn choices(choices: &[Choice]) -> Words {
    choices.iter().map(Choice::told).collect::<Vec<_>>().join(", ").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{CommandVerdict, TensorResult};
    use crate::show::sample::sample_report;

    fn told(report: &Report) -> Vec<(String, String)> {
        let text = |words: &Words| words.0.iter().map(|span| span.text().to_string()).collect::<String>();
        facts(report).iter().map(|fact| (fact.name.clone(), text(&fact.value))).collect()
    }

    fn choice(index: i64, value: f64, label: &str) -> Choice {
        Choice { index: Some(index), value: Some(Real(value)), label: (!label.is_empty()).then(|| label.to_string()) }
    }

    fn row(at: usize, near: bool) -> ChangedDecision {
        ChangedDecision {
            at: vec![at],
            near_tie: Some(near),
            margin: Some(Real(0.01)),
            reference: vec![choice(3, 0.71, "cat"), choice(5, 0.7, "dog")],
            candidate: vec![choice(5, 0.7, "dog"), choice(3, 0.69, "cat")],
            ..ChangedDecision::default()
        }
    }

    fn with(decisions: Decisions) -> Report {
        Report { decisions: vec![decisions], ..sample_report() }
    }

    #[test]
    fn decisions_are_told_in_a_line() {
        let base = Decisions { output: "logits".into(), asked: true, k: 5, rows: 64, ..Decisions::default() };
        let check = |decisions: Decisions, want: &str| {
            assert_eq!(told(&with(decisions)), [("decisions".to_string(), want.to_string())]);
        };
        let change = "row 3: 'cat' 0.710 -> 'dog' 0.700";
        check(base.clone(), "none of 64 decisions changed");
        check(Decisions { rows: 1, ..base.clone() }, "none of 1 decision changed");
        let sets = "none of 64 decisions changed; the set of the 5 best changed in 2 rows";
        check(Decisions { sets_changed: 2, ..base.clone() }, sets);
        let one = Decisions { changed: 1, near_ties: 1, sets_changed: 1, worst: vec![row(3, true)], ..base.clone() };
        check(one.clone(), &format!("1 of 64 decisions changed: {change} (near-tie)"));
        let unasked = "1 of 64 rows have their largest value elsewhere: row 3: 'cat' 0.710 -> 'dog' 0.700 (near-tie)";
        check(Decisions { asked: false, ..one }, unasked);
        let mixed = Decisions { changed: 3, near_ties: 2, worst: vec![row(3, false), row(0, true)], ..base.clone() };
        let want = format!("3 of 64 decisions changed, 2 of them no near-tie: {change}; row 0");
        check(mixed, &format!("{}: 'cat' 0.710 -> 'dog' 0.700 (near-tie); …", want.replace("2 of them", "1 of them")));
        let labels = vec![ChangedDecision {
            at: vec![0, 5],
            near_tie: None,
            reference: vec![Choice { index: Some(800), ..Choice::default() }],
            candidate: vec![Choice { index: Some(801), ..Choice::default() }],
            ..ChangedDecision::default()
        }];
        let labels = Decisions { kind: DecisionKind::Labels, changed: 1, worst: labels, ..base.clone() };
        check(labels, "1 of 64 labels changed: [0,5]: 800 -> 801");
        assert!(told(&with(Decisions { asked: false, ..base })).is_empty(), "an embedding is no decision");
    }

    #[test]
    fn samples_and_rows_are_told_where_they_diverge() {
        let output = |status, db: f64, rows| OutputOfSample {
            name: "logits".into(),
            status,
            why: None,
            beyond: Some(Real(0.5)),
            max_abs: Some(Real(-db)),
            sqnr_db: Some(Real(db)),
            rows,
        };
        let sample =
            |sample, status, db, rows| SampleVerdict { sample, status, outputs: vec![output(status, db, rows)] };
        let check = |samples: Vec<SampleVerdict>, want: &[(&str, &str)]| {
            let got = told(&Report { samples, ..sample_report() });
            let got: Vec<(&str, &str)> = got.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
            assert_eq!(got, want);
        };
        let (good, bad) = (Status::Agrees, Status::Diverges);
        check(vec![sample(0, good, 70.0, None), sample(1, good, 70.0, None)], &[]);
        let two = vec![sample(0, bad, 7.0, None), sample(1, good, 70.0, None), sample(2, bad, 3.0, None)];
        check(two, &[("samples", "2 of 3 samples diverge, the worst is sample 2")]);
        let rows = |diverge, worst| Some(Rows { of: 64, diverge, worst });
        check(vec![sample(0, good, 70.0, rows(0, None))], &[]);
        check(
            vec![sample(0, bad, 7.0, rows(1, Some(5)))],
            &[("rows", "1 of 64 rows diverges: row 5 (output \"logits\")")],
        );
        let both = vec![sample(0, good, 70.0, rows(0, None)), sample(1, bad, f64::NAN, rows(3, Some(9)))];
        check(
            both,
            &[
                ("samples", "1 of 2 samples diverges: sample 1"),
                ("rows", "3 of 64 rows diverge, the worst is row 9 (output \"logits\", in sample 1)"),
            ],
        );
    }

    #[test]
    fn what_the_command_said_is_told() {
        let said =
            CommandVerdict { command: "wer".into(), status: Status::Agrees, value: Some(Real(0.125)), why: None };
        let one = |said: CommandVerdict| told(&Report { metric_command: Some(said), ..sample_report() }).remove(0).1;
        assert_eq!(one(said.clone()), "agrees, 0.125, by wer");
        let lost =
            CommandVerdict { status: Status::NotCompared, value: None, why: Some("exit status 7".into()), ..said };
        assert_eq!(one(lost), "no answer, exit status 7, by wer");
    }

    #[test]
    fn several_outputs_are_told_by_name() {
        let mut report = with(Decisions { output: "b".into(), asked: true, rows: 2, ..Decisions::default() });
        let again: TensorResult = report.outputs[0].clone();
        report.outputs.push(again);
        assert_eq!(told(&report)[0].1, "none of 2 decisions changed in \"b\"");
        assert!(section(&report, Full).is_some() && section(&sample_report(), Full).is_none());
    }
}
