//! A pipeline for a reader: a row for each stage, the first one that breaks and what to run next, the true classes where they are
//! known, and every output of every stage for whoever asks.

mod rows;
mod truth;

use super::page::{Banner, Block, Card, Fact, Figure, Page, Role, Section, Words};

use super::{html, markdown, text};
use crate::found::stages::{Bisected, Stage, Stages};
use crate::found::words::{clean, file_name, plural, seconds, shell};
use crate::found::{Verdict, of_outputs};

/// For a terminal of `width` columns.
pub fn summary(found: &Stages, color: bool, width: usize) -> String {
    let mut blocks = vec![Block::Banner(banner(found)), rows::table(found, true), Block::Gap];
    blocks.push(Block::facts(facts(found)));
    blocks.extend(found.truth.as_ref().map(truth::accuracy));
    blocks.push(Block::Warnings(found.warnings.clone()));
    text::write(&Page { blocks, ..Page::default() }, color, width)
}

/// As one self-contained HTML file.
pub fn browser(found: &Stages) -> String {
    html::write(&full(found))
}

/// As GitHub Markdown, for a ticket.
pub fn markdown(found: &Stages) -> String {
    markdown::write(&full(found), 2)
}

fn full(found: &Stages) -> Page {
    let mut blocks = vec![Block::Banner(banner(found)), Block::Warnings(found.warnings.clone())];
    let tried = found.stages.iter().any(Stage::is_tried);
    let rows =
        " A row is about its stage's first step or size that diverges; where none does, about the last that agrees.";
    let what = format!(
        "Each stage against the reference on the same data, and against the stage before it.{}",
        if tried { rows } else { "" }
    );
    let bars = Block::Figure(Figure::Bars(
        rows::bars(found),
        "relative RMS error of the worst output, logarithmic: 1e-8 to 1",
    ));
    blocks.push(Block::Section(Section {
        title: "Stages".into(),
        about: what.into(),
        blocks: vec![rows::table(found, false), bars],
        id: Some("stages"),
    }));
    blocks.push(Block::section("What to do", vec![Block::facts(facts(found))]));
    blocks.extend(found.truth.as_ref().map(|truth| Block::section("True classes", truth::blocks(truth))));
    blocks.extend(rows::outputs(found));
    blocks.push(Block::section("How it was run", vec![Block::facts(run(found))]));
    let title = format!("{} in {}", headline(found).0, file_name(&found.model.path));
    let footer = Some(format!("layerdiff {}, {}", found.layerdiff, seconds(found.seconds)));
    Page { title: title.into(), blocks, footer }
}

fn banner(found: &Stages) -> Banner {
    let (word, rest) = headline(found);
    let role = match found.verdict {
        Verdict::Agreed => Role::Good,
        Verdict::Diverged => Role::Bad,
        Verdict::Inconclusive => Role::Doubt,
    };
    Banner { role, word, rest, ..Banner::default() }
}

fn headline(found: &Stages) -> (&'static str, String) {
    let (model, of) = (clean(file_name(&found.model.path)), plural(found.stages.len(), "stage"));
    let verb = if found.stages.len() == 1 { "agrees" } else { "agree" };
    match (found.verdict, &found.first_broken) {
        (Verdict::Agreed, _) => ("agreed", format!("{of} of {model} {verb} with {}", found.reference.told())),
        (Verdict::Diverged, Some(stage)) => {
            let broken = found.stages.iter().find(|one| one.name == *stage);
            let at = broken.map(Stage::place).unwrap_or_default();
            ("diverged", format!("stage '{}' is the first of {of} of {model} to break{at}", clean(stage)))
        }
        (Verdict::Diverged, None) => ("diverged", format!("a stage of {model} breaks")),
        (Verdict::Inconclusive, _) => ("inconclusive", unknown(found, &of, &model)),
    }
}

/// No stage diverges, and some gave no answer.
fn unknown(found: &Stages, of: &str, model: &str) -> String {
    let silent = found.stages.iter().filter(|stage| stage.verdict == Verdict::Inconclusive).count();
    match found.stages.len() - silent {
        0 => format!("no stage of {model} could be compared"),
        1 => format!("{silent} of {of} of {model} could not be compared; the other one agrees"),
        _ => format!("{silent} of {of} of {model} could not be compared; the others agree"),
    }
}

/// Why, what was found, and what to run next.
fn facts(found: &Stages) -> Vec<Fact> {
    let mut facts = rows::lines(found);
    facts.extend(found.why.iter().map(|why| Fact::strong("because", why.clone())));
    facts.extend(found.bisect.iter().flat_map(bisected));
    let silent = found.stages.iter().filter(|stage| stage.verdict == Verdict::Inconclusive);
    let why = |why: &Option<String>| why.clone().unwrap_or_else(|| "it gave no answer".to_string());
    facts.extend(
        silent.map(|stage| Fact::doubtful("no answer", format!("stage '{}': {}", stage.name, why(&stage.why)))),
    );
    if !found.next.is_empty() {
        let name = if found.bisect.is_some() { "was run" } else { "run next" };
        facts.push(Fact::new(name, Words::from(super::page::Span::Code(shell(&found.next)))));
    }
    facts
}

fn bisected(found: &Bisected) -> Vec<Fact> {
    let told = match (found.verdict, found.culprits.as_slice()) {
        (_, [first, more @ ..]) => {
            let others = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            match found.region {
                0 => format!("the first node to go wrong is '{}'{others}", clean(first)),
                n => format!("somewhere in the {} that end with '{}'{others}", plural(n, "node"), clean(first)),
            }
        }
        (Verdict::Agreed, []) => "between the last good stage and this one nothing diverges".to_string(),
        (_, []) => "no single node was found".to_string(),
    };
    let mut facts = vec![Fact::strong("culprit", told)];
    facts.extend(found.cause.iter().map(|cause| Fact::new("", cause.clone())));
    facts.push(Fact::new("its report", found.report.clone()));
    facts
}

fn run(found: &Stages) -> Vec<Fact> {
    let mut facts = vec![Fact::new("reference", found.reference.described())];
    facts.extend(found.stages.iter().map(|stage| Fact::new(&stage.name, stage.backend.described())));
    let kind = if found.inputs.synthetic { "synthetic: " } else { "" };
    facts.push(Fact::new("data", format!("{kind}{}, {}", found.inputs.source, plural(found.inputs.samples, "sample"))));
    facts.push(Fact::new("command", Words::from(super::page::Span::Code(shell(&found.command)))));
    facts
}

/// Cards need a role, as the verdict has one.
fn role(verdict: Verdict) -> Role {
    match verdict {
        Verdict::Agreed => Role::Good,
        Verdict::Diverged => Role::Bad,
        Verdict::Inconclusive => Role::Doubt,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::stages::{Against, Stage};
    use crate::show::sample::sample_report;

    fn sample() -> Stages {
        let report = sample_report();
        let stage = |name: &str, verdict| Stage {
            name: name.to_string(),
            spec: format!("ort@{name}.onnx"),
            verdict,
            outputs: report.outputs.clone(),
            ..Stage::default()
        };
        let mut last = stage("int8", Verdict::Diverged);
        last.against_previous =
            Some(Against { stage: "fp32".into(), outputs: report.outputs.clone(), ..Against::default() });
        Stages {
            verdict: Verdict::Diverged,
            model: report.model.clone(),
            stages: vec![stage("fp32", Verdict::Agreed), last],
            first_broken: Some("int8".into()),
            why: Some("stage 'int8' is off".into()),
            next: vec!["layerdiff".into(), "bisect".into(), "a b.onnx".into()],
            ..Stages::default()
        }
    }

    #[test]
    fn the_first_broken_stage_and_the_next_command_are_told() {
        let text = summary(&sample(), false, 120);
        for want in ["stage 'int8' is the first of 2 stages", "layerdiff bisect 'a b.onnx'", "stage 'int8' is off"] {
            assert!(text.contains(want), "{want} is missing in {text}");
        }
        let page = browser(&sample());
        assert!(page.contains("int8") && page.contains("class=\"bars\""), "{page}");
        assert!(markdown(&sample()).contains("int8"));
    }
}
