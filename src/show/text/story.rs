//! What a report says, in sentences and choices: the verdict, what a culprit did, the proof, which tensors to show.
//! The renderers lay this out; nothing here knows of colours, HTML or Markdown. All strings are cleaned of control characters.

pub mod cure;
pub mod engine;
pub mod precision;
pub mod reproducers;

use super::words::{clean, count, decibels, file_name, index, number, plural, seconds, setting};
use crate::found::{
    BackendInfo, Culprit, Diagnosis, InputsInfo, Kind, Metrics, NodeRef, Report, Status, TensorResult, Verdict,
};

/// The verdict as a word and the rest of its sentence.
pub fn headline(report: &Report) -> (&'static str, String) {
    let model = clean(file_name(&report.model.path));
    if let Some(command) = check(report) {
        return match report.verdict {
            Verdict::Agreed => ("passes", format!("the check on {model}: {command}")),
            Verdict::Diverged => ("fails", format!("the check on {model}: {command}")),
            Verdict::Inconclusive => ("inconclusive", format!("no answer for {model} from the check: {command}")),
        };
    }
    let pair = format!("{} against {}", backend(&report.candidate), backend(&report.reference));
    match report.verdict {
        Verdict::Agreed => ("agreed", format!("every output of {model} is within tolerance, {pair}")),
        Verdict::Diverged if report.precision_limited.is_some() => {
            ("diverged", precision::limited(report).unwrap_or_default())
        }
        Verdict::Diverged => {
            let found = match report.culprits.len() {
                0 => "no culprit found".into(),
                n => plural(n, "culprit"),
            };
            ("diverged", format!("{found} in {model}, {pair}"))
        }
        Verdict::Inconclusive => ("inconclusive", format!("no answer for {model}, {pair}")),
    }
}

/// The user's command, where that decides and nothing is compared.
pub fn check(report: &Report) -> Option<String> {
    let candidate = &report.candidate;
    let command = candidate.spec.strip_prefix("check:").unwrap_or(&candidate.spec);
    (candidate.backend == "check").then(|| clean(command))
}

/// `ort:fp16`; whatever is known where a partial report has no SPEC.
pub fn backend(info: &BackendInfo) -> String {
    match (info.spec.is_empty(), info.backend.is_empty()) {
        (false, _) => clean(&info.spec),
        (true, false) => clean(&info.backend),
        (true, true) => "an unknown backend".into(),
    }
}

/// `ort:fp16 (onnxruntime 1.23.0, fp16, CPUExecutionProvider)`.
pub fn described(info: &BackendInfo) -> String {
    let version = format!("{} {}", info.backend, info.version);
    let parts = [version.trim(), &info.precision, &info.provider];
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).map(clean).collect();
    if parts.is_empty() { backend(info) } else { format!("{} ({})", backend(info), parts.join(", ")) }
}

/// `Pow`, `com.microsoft.Attention`.
pub fn op(node: &NodeRef) -> String {
    match node.domain.as_str() {
        "" | "ai.onnx" => clean(&node.op_type),
        domain => format!("{}.{}", clean(domain), clean(&node.op_type)),
    }
}

/// The node's name, or its position if the model gives it none.
pub fn node_name(node: &NodeRef) -> String {
    if node.name.is_empty() { format!("#{}", node.index) } else { clean(&node.name) }
}

/// What the culprit did, to be read after its name.
pub fn deed(culprit: &Culprit) -> String {
    match (culprit.kind, culprit.local.is_some()) {
        (Kind::Introduces, _) => "introduces the divergence: wrong on its own, fed with reference inputs".into(),
        (Kind::Amplifies, _) => {
            "amplifies: right on its own, it makes a tolerable difference of its inputs intolerable".into()
        }
        (Kind::Region, local) => {
            let alone = if local { "" } else { " (it could not be run alone)" };
            format!(
                "ends a region of {}: agreeing inputs, diverging output, no single node to blame{alone}",
                plural(culprit.region.len(), "node")
            )
        }
    }
}

/// `12 NaN or Inf (reference: 0), max abs 0.82, max rel 1.2, SQNR 11.4 dB`.
pub fn error(metrics: &Metrics) -> String {
    let Metrics { max_abs, max_rel, sqnr_db, .. } = metrics;
    if metrics.mismatched == 0 && max_abs.0 == 0.0 {
        return "none, the values are equal".into();
    }
    let mut text = String::new();
    if metrics.cand_nonfinite + metrics.ref_nonfinite > 0 {
        let (bad, reference) = (count(metrics.cand_nonfinite), count(metrics.ref_nonfinite));
        text += &format!("{bad} NaN or Inf (reference: {reference}), ");
    }
    text + &format!("max abs {}, max rel {}, SQNR {} dB", number(max_abs.0), number(max_rel.0), decibels(sqnr_db.0))
}

/// How many elements are beyond the tolerance, and where the first one is.
pub fn extent(metrics: &Metrics, samples: usize) -> String {
    let mut text = match metrics.mismatched {
        0 => format!("all {} elements within tolerance", count(metrics.elements)),
        n => format!("{} of {} elements beyond tolerance", count(n), count(metrics.elements)),
    };
    if !metrics.first_mismatch.is_empty() {
        text += &format!(", the first at {}", index(&metrics.first_mismatch));
    }
    if samples > 1 {
        text += &format!(" of sample {}", metrics.sample);
    }
    text
}

/// NaN or infinities on one side only: worse than any finite error.
pub fn nonfinite(metrics: &Metrics) -> bool {
    metrics.cand_nonfinite != metrics.ref_nonfinite || !metrics.max_abs.0.is_finite()
}

/// The relative error as an RMS ratio |r - c| / |r|, which is what SQNR says in decibels. `None` without a number.
pub fn relative_rms(metrics: &Metrics) -> Option<f64> {
    let ratio = 10f64.powf(-metrics.sqnr_db.0 / 20.0);
    ratio.is_finite().then_some(ratio)
}

/// The rows of the culprit's inputs: what the proof rests on.
pub fn inputs_of<'r>(report: &'r Report, culprit: &Culprit) -> Vec<&'r TensorResult> {
    report.tensors.iter().filter(|t| !t.name.is_empty() && reads(culprit, &t.name)).collect()
}

/// Does the culprit read the tensor of this name? In a subgraph, tensors are named behind its path.
fn reads(culprit: &Culprit, tensor: &str) -> bool {
    let inner = culprit.node.subgraph.as_ref().and_then(|path| tensor.strip_prefix(path.as_str())?.strip_prefix('/'));
    let named = |name: &str| culprit.node.inputs.iter().any(|input| input == name);
    named(tensor) || inner.is_some_and(named)
}

/// Why the culprit is the culprit: its inputs were measured and agree. Says so plainly where that is not shown.
pub fn proof(report: &Report, culprit: &Culprit) -> String {
    let rows = inputs_of(report, culprit);
    let status = |wanted: Status| rows.iter().filter(|row| row.status == wanted).copied().collect::<Vec<_>>();
    let named =
        |rows: &[&TensorResult]| rows.iter().map(|t| format!("\"{}\"", clean(&t.name))).collect::<Vec<_>>().join(", ");
    let (agree, diverge, skipped) = (status(Status::Agrees), status(Status::Diverges), status(Status::NotCompared));
    if culprit.kind == Kind::Region && culprit.inputs_agree {
        return "every compared tensor that enters the region was measured and agrees".into();
    }
    if !culprit.inputs_agree {
        return match (diverge.is_empty(), skipped.is_empty()) {
            (false, _) => format!("not proven: its input {} diverges too", named(&diverge)),
            (true, false) => format!("not proven: its input {} was not compared", named(&skipped)),
            (true, true) => "not proven: not every input of it was measured".into(),
        };
    }
    let named_inputs = culprit.node.inputs.iter().filter(|name| !name.is_empty());
    let inputs: Vec<&String> = named_inputs.filter(|name| !culprit.given.contains(name)).collect();
    let path = culprit.node.subgraph.as_ref().map(|path| format!("{path}/")).unwrap_or_default();
    let unmeasured: Vec<String> = inputs
        .iter()
        .filter(|name| !rows.iter().any(|row| row.name == ***name || row.name.strip_prefix(&path) == Some(name)))
        .map(|name| format!("\"{}\"", clean(name)))
        .collect();
    let mut text = match (agree.len(), inputs.len()) {
        (_, 0) if culprit.given.is_empty() => return "it has no inputs, so the fault is its own".into(),
        (_, 0) => return "it reads only the model's own inputs and weights, which are the same on both sides".into(),
        (0, _) if skipped.is_empty() => {
            let names = unmeasured.join(", ");
            return format!("no input of it was measured: {names} (model inputs and constants need not be)");
        }
        (0, _) => "none of its inputs could be compared".into(),
        (1, 1) => "its only input was measured and agrees".into(),
        (n, total) if n == total => format!("its {n} inputs were measured and agree"),
        (1, total) => format!("1 of its {total} inputs was measured and agrees"),
        (n, total) => format!("{n} of its {total} inputs were measured and agree"),
    };
    let error = |row: &TensorResult| row.metrics.as_ref().map(|m| m.max_abs.0);
    let worst = agree.iter().filter_map(|row| Some((row, error(row)?))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, max_abs)) = worst {
        let which = if agree.len() > 1 { format!("worst: \"{}\", ", clean(&row.name)) } else { String::new() };
        text += &format!(" ({which}max abs {})", number(max_abs));
    }
    if !skipped.is_empty() {
        text += &format!("; not compared: {}", named(&skipped));
    }
    if !unmeasured.is_empty() {
        text += &format!("; not measured: {}", unmeasured.join(", "));
    }
    text
}

/// `bisect: 4 runs of the candidate, 1 of the reference; 12 tensors compared, 1 not compared; 118 ms`.
pub fn search(report: &Report) -> String {
    let s = &report.search;
    let strategy = if s.strategy.is_empty() { String::new() } else { format!("{}: ", clean(&s.strategy)) };
    if check(report).is_some() {
        return format!("{strategy}{}; {}", plural(checks(report), "check"), seconds(report.seconds));
    }
    // Mostly a build is run once, and then its number says nothing.
    let builds = match s.candidate_builds == s.candidate_runs {
        true => String::new(),
        false => format!("{} and ", plural(s.candidate_builds, "build")),
    };
    let mut text = format!(
        "{strategy}{builds}{} of the candidate, {} of the reference; {} compared, {} not compared; {}",
        plural(s.candidate_runs, "run"),
        count(s.reference_runs as u64),
        plural(s.tensors_compared, "tensor"),
        count(s.tensors_not_compared as u64),
        seconds(s.seconds)
    );
    if s.perturbed {
        text += "; marking tensors changed the candidate's own outputs";
    }
    text
}

/// Runs of the user's command that are told of.
pub fn checks(report: &Report) -> usize {
    let probes = reproducers::all(report).iter().map(|r| r.probes).sum();
    report.search.candidate_runs.max(probes)
}

pub fn tolerance(report: &Report) -> String {
    let t = &report.tolerance;
    if check(report).is_some() {
        return if t.why.is_empty() { "the command decides".into() } else { clean(&t.why) };
    }
    let why = if t.why.is_empty() { String::new() } else { format!(" ({})", clean(&t.why)) };
    format!("atol {}, rtol {}{why}", setting(t.atol.0), setting(t.rtol.0))
}

pub fn inputs(inputs: &InputsInfo) -> String {
    let source = if inputs.source.is_empty() { "unknown".into() } else { clean(&inputs.source) };
    format!("{source}, {}", plural(inputs.samples, "sample"))
}

/// The diagnoses by advice, in the order in which each was first given: the same advice is said once.
pub fn diagnoses(culprit: &Culprit) -> Vec<(&str, Vec<&Diagnosis>)> {
    let mut by_advice: Vec<(&str, Vec<&Diagnosis>)> = Vec::new();
    for one in &culprit.diagnosis {
        match by_advice.iter_mut().find(|(advice, _)| *advice == one.advice) {
            Some((_, causes)) => causes.push(one),
            None => by_advice.push((&one.advice, vec![one])),
        }
    }
    by_advice
}

/// What to do next when there is no answer.
pub fn next_step(report: &Report) -> &'static str {
    let outputs_unseen = !report.outputs.is_empty() && report.outputs.iter().all(|o| o.status == Status::NotCompared);
    if let Some(crash) = &report.crash {
        match crash.node {
            Some(_) => {
                "tell the backend's makers, with the model cut off behind that node, or try another version of it"
            }
            None => "run the backend by hand on this model, tell its makers, or try another version of it",
        }
    } else if check(report).is_some() {
        "run the command by hand on the model: it must say the same every time, 0 when it passes and 1 when it fails; then run again with --resume"
    } else if report.search.perturbed {
        "mark fewer tensors at a time (--marks 1), since marking changes what the candidate computes"
    } else if outputs_unseen {
        "no output could be compared: judge on other tensors with --outputs NAME,..., or check that both models have the same outputs"
    } else if report.search.candidate_runs == 0 {
        "check that the candidate runs the model at all (layerdiff doctor), then run again"
    } else {
        "run again with --resume to continue from the journal, or with --strategy scan to measure every tensor"
    }
}

pub fn status(status: Status) -> &'static str {
    match status {
        Status::Agrees => "agrees",
        Status::Diverges => "diverges",
        Status::NotCompared => "not compared",
    }
}

pub fn is_culprit(report: &Report, tensor: &str) -> bool {
    report.culprits.iter().any(|c| c.tensor == tensor)
}

/// Rows of `report.tensors` to show: each culprit, its inputs, and `context` rows before and after. `None` is a gap.
pub fn surroundings(report: &Report, culprits: &[Culprit], context: usize) -> Vec<Option<usize>> {
    let mut wanted = vec![false; report.tensors.len()];
    for (at, row) in report.tensors.iter().enumerate() {
        if culprits.iter().any(|c| c.node.inputs.contains(&row.name)) {
            wanted[at] = true;
        }
        if culprits.iter().any(|c| c.tensor == row.name) {
            let end = (at + context + 1).min(wanted.len());
            wanted[at.saturating_sub(context)..end].fill(true);
        }
    }
    let mut rows = Vec::new();
    for (at, _) in wanted.iter().enumerate().filter(|(_, wanted)| **wanted) {
        if rows.last().copied().flatten().is_some_and(|last: usize| last + 1 < at) {
            rows.push(None);
        }
        rows.push(Some(at));
    }
    rows
}

/// Tensors that diverge though no output does: worth a line, not a verdict.
pub fn diverging_inside(report: &Report) -> usize {
    report.tensors.iter().filter(|t| t.status == Status::Diverges).count()
}

#[cfg(test)]
mod tests;
