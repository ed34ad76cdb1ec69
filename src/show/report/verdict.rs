//! The verdict: the headline, what else belongs to the answer, and what to do where there is none.

use super::{Density, cure, engine, fusion, judged, placement, run, session};
use crate::found::words::{clean, count, file_name, plural, seconds};
use crate::found::{BackendInfo, Placement, Report, Status, TensorResult, Verdict, Wanted, sizes};
use crate::show::page::{Banner, Fact, Role, Span, Words};

/// The verdict as a word and the rest of its sentence.
pub fn headline(report: &Report) -> (&'static str, String) {
    let model = clean(file_name(&report.model.path));
    if let Some(command) = report.candidate.check.as_deref().map(clean) {
        return match report.verdict {
            Verdict::Agreed => ("passes", format!("the check on {model}: {command}")),
            Verdict::Diverged => ("fails", format!("the check on {model}: {command}")),
            Verdict::Inconclusive => ("inconclusive", format!("no answer for {model} from the check: {command}")),
        };
    }
    let size = report.first_bad_size.as_ref().map_or(String::new(), |size| format!(" at {}", sizes::told(size)));
    let step = report.first_bad_step.map_or(String::new(), |step| {
        match report.decoding.as_ref().and_then(|d| d.drifts_from) {
            Some(from) => format!(", drifting from step {from} on"),
            None => format!(" at step {step}"),
        }
    });
    let pair = format!("{}{size}{step}", pair(report));
    match report.verdict {
        Verdict::Agreed => ("agreed", format!("{}, {pair}", agreement(report, &model))),
        Verdict::Diverged => {
            let told = match (report.wanted, report.culprits.len()) {
                (Wanted::Table, _) => format!("{}{model}, {pair}", diverging(report)),
                (_, 0) => match (session::blamed(report), fusion::cured(report)) {
                    (Some(blamed), _) => format!("{blamed} makes it in {model}, {pair}"),
                    (None, Some(cured)) => format!("{cured} {model} agrees, {pair}"),
                    (None, None) => format!("no culprit found in {model}, {pair}"),
                },
                (_, n) => format!("{} in {model}, {pair}", plural(n, "culprit")),
            };
            ("diverged", limited(report).unwrap_or(told))
        }
        Verdict::Inconclusive => ("inconclusive", format!("no answer for {model}, {pair}")),
    }
}

/// `trt:fp16 against ort`; two versions of one are told by these: `trt 11.4.0 against trt 10.16.0`.
fn pair(report: &Report) -> String {
    let (candidate, reference) = (&report.candidate, &report.reference);
    let versions = candidate.told() == reference.told() && candidate.version != reference.version;
    let told = |side: &BackendInfo| match versions && !side.version.is_empty() {
        true => format!("{} {}", side.told(), clean(&side.version)),
        false => side.told(),
    };
    format!("{} against {}", told(candidate), told(reference))
}

/// How many outputs are beyond what they may be off by, where those decide.
fn diverging(report: &Report) -> String {
    let of = report.outputs.len();
    match report.outputs.iter().filter(|output| output.status == Status::Diverges).count() {
        0 => String::new(),
        n if n == of => format!("{} of ", plural(n, "output")),
        n => format!("{} of {} of ", count(n as u64), plural(of, "output")),
    }
}

/// By what the outputs agree.
fn agreement(report: &Report, model: &str) -> String {
    match (&report.metric_command, report.metrics.is_empty()) {
        (Some(_), _) => format!("the outputs of {model} agree by the user's command"),
        (None, false) => {
            format!("every output of {model} satisfies its metric, or is within tolerance where it has none")
        }
        (None, true) => format!("every output of {model} is within tolerance"),
    }
}

/// The rest of the headline where no node is to blame.
fn limited(report: &Report) -> Option<String> {
    let why = clean(&report.precision_limited.as_ref()?.why);
    let model = clean(file_name(&report.model.path));
    let pair = pair(report);
    let cured = match &report.overrides {
        None => String::new(),
        Some(o) if o.is_cure() => format!("; {} cure it", cure::kept(o)),
        Some(o) if o.nodes.is_empty() => format!("; no set of nodes {} was found that cures it", cure::fate(o.kind)),
        Some(o) if o.limited && o.verified => format!("; it takes {} to agree, which is no cure", cure::kept(o)),
        Some(o) => format!("; {} are the best so far, not verified", cure::kept(o)),
    };
    Some(format!("precision-limited, no single culprit in {model}, {pair}: {why}{cured}"))
}

/// The title of a ticket.
pub fn title(report: &Report) -> Words {
    let model = Words::from(Span::Name(file_name(&report.model.path).into()));
    match (report.verdict, report.culprits.first()) {
        (Verdict::Diverged, _) if report.precision_limited.is_some() => {
            model.then(" diverges: precision-limited, no single culprit")
        }
        (Verdict::Diverged, Some(first)) => {
            let (name, op) = (first.node.told(), first.node.operator());
            model.then(" diverges at ").and(Span::Name(name)).then(" ").and(Span::Operator(op))
        }
        (Verdict::Diverged, None) if report.candidate.check.is_some() => model.then(" fails a check"),
        (Verdict::Diverged, None) => model.then(" diverges"),
        (Verdict::Agreed, _) => model.then(" agrees"),
        (Verdict::Inconclusive, _) => model.then(": inconclusive"),
    }
}

/// The headline, with its reason and the next step but on a terminal, which tells them as facts.
pub fn banner(report: &Report, density: Density) -> Banner {
    let (word, rest) = headline(report);
    let role = match report.verdict {
        Verdict::Agreed => Role::Good,
        Verdict::Diverged => Role::Bad,
        Verdict::Inconclusive => Role::Doubt,
    };
    let mut lines: Vec<Words> = report.why.iter().map(|why| why.clone().into()).collect();
    if report.verdict == Verdict::Inconclusive {
        let next = match density {
            Density::Full => "**What to do:** ",
            Density::Short | Density::Ticket => "Next: ",
        };
        lines.push(Words::from(next).then(next_step(report).to_string()));
    }
    let inside = diverging_inside(report);
    if density == Density::Full && inside > 0 {
        lines.push(format!("{} out of tolerance without reaching an output.", plural(inside, "inner tensor")).into());
    }
    Banner { role, word, rest, lines, chips: chips(report) }
}

fn chips(report: &Report) -> Vec<String> {
    if report.candidate.check.is_some() {
        return vec![plural(run::checks(report), "check"), seconds(report.seconds)];
    }
    let search = &report.search;
    let skipped = search.tensors_not_compared;
    let cured = report.overrides.as_ref().filter(|o| o.is_cure());
    let chips = [
        Some(format!("{} compared", plural(search.tensors_compared, "tensor"))),
        (skipped > 0).then(|| format!("{} not compared", count(skipped as u64))),
        Some(format!("{} of the candidate", plural(search.candidate_runs, "run"))),
        Some(seconds(report.seconds)),
        report.inputs.synthetic.then(|| "synthetic inputs".into()),
        cured.map(|o| format!("cured by {}", cure::kept(o))),
    ];
    chips.into_iter().flatten().collect()
}

/// What is told of an agreement, and what it does not cover.
pub fn agreed(report: &Report) -> Vec<Fact> {
    let mut facts: Vec<Fact> = report.why.iter().map(|why| Fact::new("because", why.clone())).collect();
    let measured = report.outputs.iter().filter_map(|row| Some((row, row.metrics.as_ref()?)));
    if let Some((row, metrics)) = measured.min_by(|a, b| a.1.decibels().total_cmp(&b.1.decibels())) {
        let which = if report.outputs.len() > 1 { "worst of the outputs: " } else { "output: " };
        let name = Words::from(which).and(Span::Name(row.name.clone()));
        facts.push(Fact::new("error", name.then(format!(", {}", metrics.told()))));
    }
    let unseen = |row: &&TensorResult| row.status == Status::NotCompared;
    for row in report.outputs.iter().filter(unseen) {
        let why = row.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        let name = Words::from("output ").and(Span::Name(row.name.clone()));
        facts.push(Fact::doubtful("not compared", name.then(why)));
    }
    let inside = diverging_inside(report);
    if inside > 0 {
        let verb = if inside == 1 { "diverges" } else { "diverge" };
        let told = format!("{} {verb} without reaching an output", plural(inside, "inner tensor"));
        facts.push(Fact::doubtful("note", told));
    }
    facts.extend(judged::facts(report));
    facts.extend([run::search(report), run::tolerance(report)]);
    facts.extend(placement::facts(report));
    facts.extend(engine::trust(report));
    facts
}

/// Tensors that diverge though no output does: worth a line, not a verdict.
fn diverging_inside(report: &Report) -> usize {
    let agreed = report.verdict == Verdict::Agreed;
    report.tensors.iter().filter(|t| agreed && t.status == Status::Diverges).count()
}

/// Why there is no answer, and how to get one.
pub fn inconclusive(report: &Report) -> Vec<Fact> {
    let why = report.why.clone().unwrap_or_else(|| "no reason was given".into());
    let mut facts = vec![Fact::strong("because", why), Fact::strong("help", next_step(report))];
    if !report.culprits.is_empty() {
        let found = plural(report.culprits.len(), "culprit");
        facts.push(Fact::new("so far", format!("{found}, not confirmed to be all")));
    }
    facts
}

/// What to do next when there is no answer.
fn next_step(report: &Report) -> &'static str {
    let moves = report.trust.as_ref().is_some_and(|trust| !matches!(trust.repeat.as_str(), "" | "identical"));
    let outputs_unseen = !report.outputs.is_empty() && report.outputs.iter().all(|o| o.status == Status::NotCompared);
    if let Some(crash) = &report.crash {
        match crash.node {
            Some(_) => {
                "tell the backend's makers, with the model cut off behind that node, or try another version of it"
            }
            None => "run the backend by hand on this model, tell its makers, or try another version of it",
        }
    } else if report.candidate.check.is_some() {
        "run the command by hand on the model: it must say the same every time, 0 when it passes and 1 when it fails; then run again with --resume"
    } else if report.metric_command.as_ref().is_some_and(|said| said.status == Status::NotCompared) {
        "run the command by hand on outputs of both sides (--save-tensors keeps them): it must exit with 0 where they agree and with 1 where they do not"
    } else if report.search.perturbed && report.wanted == Wanted::Table {
        "marking changes what the candidate computes: `layerdiff bisect --marks 1` marks fewer tensors at a time"
    } else if report.placement.as_ref().is_some_and(Placement::took_nothing) {
        "see with `layerdiff inspect MODEL --placement SPEC` what the provider takes; try another version or device of it, or --provider-option"
    } else if report.search.perturbed {
        "mark fewer tensors at a time (--marks 1), since marking changes what the candidate computes"
    } else if moves && report.tensors.is_empty() {
        "run the candidate by hand on the same data until it answers the same twice, then run again"
    } else if outputs_unseen {
        "no output could be compared: judge on other tensors with --outputs NAME,..., or check that both models have the same outputs"
    } else if report.steps.iter().any(|step| step.verdict == Verdict::Inconclusive) {
        "ask for fewer steps (--steps), or put right what keeps that step from running: its reason is in the table"
    } else if !report.sweep.is_empty() && report.outputs.is_empty() {
        "run it again, with fewer sizes, or share them between several runs of `layerdiff compare` (--shard)"
    } else if report.sweep.iter().any(|tried| tried.verdict == Verdict::Inconclusive) {
        "leave the sizes without an answer out of --sweep, or have both sides take them (of an engine: --profile)"
    } else if report.search.candidate_runs == 0 {
        "check that the candidate runs the model at all (layerdiff doctor), then run again"
    } else if report.wanted == Wanted::Table {
        "run it again: a comparison begins from the start each time; `layerdiff bisect` goes on where it was (--resume)"
    } else {
        "run again with --resume to continue from the journal, or with --strategy scan to measure every tensor"
    }
}

#[cfg(test)]
mod tests;
