//! The one place that makes a report: of what was asked and what was found. The verdict and its reason follow from the
//! findings, here and nowhere else.

use super::advice;
use super::experiment::Experiment;
use super::fitted::Fitted;
use super::{
    Culprit, Diagnosis, Differences, Findings, Found, Fusion, FusionAnswer, LOWERED, ModelInfo, Note, OfCandidate,
    Reduced, Report, Reproducers, SCHEMA, SearchInfo, Status, Sure, TensorResult, Trust, Verdict, Wanted,
};
use crate::failure::RunError;

/// The code of a region that other nodes compute in the candidate's file.
const REBUILT: &str = "operator-differs";

/// The code of a weight that is another one in the candidate's file.
const WEIGHTS: &str = "weights-differ";

/// Codes that say what is wrong with a weight that is stored quantised.
const OF_STORED: [&str; 5] = ["scale-mismatch", "block-scales", "zero-point", "bias-scale", "channel-ranges"];

/// The code of a cause that is not known.
const UNKNOWN: &str = "unknown";

/// The report of all that is known.
pub fn assemble(experiment: &Experiment, findings: &Findings) -> Report {
    let (verdict, why) = verdict(findings);
    let Findings { opening, measured, ranking, reproducers, cure, .. } = findings;
    let sha256 = experiment.model.first().map(|own| own.contents.clone()).unwrap_or_default();
    Report {
        schema: SCHEMA.to_string(),
        layerdiff: experiment.layerdiff.clone(),
        command: opening.command.clone(),
        wanted: opening.wanted,
        verdict,
        why,
        model: ModelInfo { sha256, ..opening.model.clone() },
        reference: opening.reference.clone(),
        candidate: opening.candidate.clone(),
        inputs: opening.inputs.clone(),
        tolerance: opening.tolerance.clone(),
        outputs: findings.outputs.clone().unwrap_or_default(),
        samples: findings.judged.samples.clone(),
        shard: findings.opening.shard.clone(),
        sweep: findings.opening.sizes.sweep.clone(),
        first_bad_size: findings.opening.sizes.first_bad().cloned(),
        batch: findings.opening.sizes.batch.clone(),
        steps: findings.opening.steps.steps.clone(),
        first_bad_step: findings.opening.steps.first_bad(),
        decoding: findings.opening.steps.decoding.clone(),
        decisions: findings.judged.decisions.clone(),
        metrics: findings.judged.metrics.clone(),
        metric_command: findings.judged.command.clone(),
        culprits: advice::settled(&culprits(findings), &reproducers.made),
        groups: findings.story().map(|story| story.groups.clone()).unwrap_or_default(),
        masked: findings.found.as_ref().map(|found| found.masked.clone()).unwrap_or_default(),
        differences: differences(findings).map(|d| d.rows.clone()).unwrap_or_default(),
        patched: differences(findings).and_then(|d| d.patched.clone()),
        search: search(findings),
        tensors: measured.tensors.clone(),
        reduced: reproducers.made.first().cloned(),
        reproducers: if reproducers.made.len() > 1 { reproducers.made.clone() } else { Vec::new() },
        overrides: cure.overrides.clone(),
        routes: findings.compiler.routes.clone(),
        fusion: findings.compiler.fusion.clone(),
        trust: trust(findings),
        sensitivity: cure.sensitivity.clone(),
        ranking: ranking.rows.clone(),
        precision_limited: ranking.limited.clone(),
        session: opening.first.session.clone(),
        placement: opening.first.placement.clone(),
        latency: measured.times.clone(),
        crash: opening.first.crash.clone(),
        environment: opening.environment.clone(),
        seconds: findings.seconds,
        warnings: warnings(findings),
    }
}

/// A report that was written before its run died, as the last one of it.
pub fn cut_short(begun: Report, died: &RunError) -> Report {
    Report { verdict: Verdict::Inconclusive, why: Some(died.to_string()), ..begun }
}

fn differences(findings: &Findings) -> Option<&Differences> {
    findings.story()?.differences.as_ref()
}

/// The culprits with all that is known of their causes. Where one was shown, what is only likely is not told beside it.
pub fn culprits(findings: &Findings) -> Vec<Culprit> {
    let mut culprits = findings.culprits().to_vec();
    for node in culprits.iter_mut().map(|culprit| &mut culprit.node) {
        let elsewhere =
            findings.opening.first.placement.as_ref().and_then(|placement| placement.ran_elsewhere(&node.name));
        node.provider = elsewhere.map(|fell_back| fell_back.provider.clone());
    }
    let told = differences(findings).into_iter().flat_map(|d| &d.diagnoses);
    for (culprit, of_files) in culprits.iter_mut().zip(told) {
        // What the files say of it is more than that nothing is known.
        let own = culprit.diagnosis.iter().filter(|d| d.code != UNKNOWN || of_files.is_empty());
        // That other nodes make it says less than what was shown to be wrong with one of them.
        let closer = culprit.diagnosis.iter().any(|d| d.sure == Sure::Shown);
        let stored = culprit.diagnosis.iter().any(|d| d.sure == Sure::Shown && OF_STORED.contains(&d.code.as_str()));
        let of_files = of_files.iter().filter(|d| !closer || d.code != REBUILT);
        // That a stored weight differs says less than what of it is wrong.
        let of_files = of_files.filter(|d| !stored || d.code != WEIGHTS);
        let all = of_files.chain(own);
        // That the other file is of a lower precision here does not say what that precision breaks.
        let shown = all.clone().any(|d| d.sure == Sure::Shown && d.code != LOWERED);
        let likely = all.clone().any(|d| d.sure == Sure::Likely);
        let kept = |d: &&Diagnosis| d.sure == Sure::Shown || (!shown && (d.sure == Sure::Likely || !likely));
        culprit.diagnosis = all.filter(kept).cloned().collect();
        culprit.diagnosis.sort_by_key(|d| d.code == LOWERED || d.code == UNKNOWN);
    }
    culprits
}

/// The verdict, and why it is what it is. The outputs decide, unless nothing can be built on a side or the run was cut
/// short.
pub fn verdict(findings: &Findings) -> (Verdict, Option<String>) {
    if let Some(halted) = &findings.halted {
        return (Verdict::Inconclusive, Some(halted.to_string()));
    }
    if findings.opening.wanted == Wanted::Check {
        return of_check(findings);
    }
    let Some(outputs) = &findings.outputs else { return (Verdict::Inconclusive, Some("not finished".to_string())) };
    if let Some(broken) = findings.reference.as_ref().and_then(|tests| tests.broken.as_ref()) {
        return (Verdict::Inconclusive, Some(broken.to_string()));
    }
    let (verdict, why) = findings.opening.steps.verdict(findings.opening.sizes.verdict(of_outputs(outputs)));
    if verdict == Verdict::Agreed
        && let Some(placement) = findings.opening.first.placement.as_ref().filter(|placement| placement.took_nothing())
    {
        return (Verdict::Inconclusive, Some(placement.nothing_compared()));
    }
    if let (Verdict::Agreed, Some(behind)) = (verdict, unjudged(findings)) {
        return (Verdict::Inconclusive, Some(behind));
    }
    match (verdict, findings.candidate.as_ref().and_then(|tests| tests.broken.as_ref())) {
        (Verdict::Inconclusive, _) => (verdict, why),
        (_, Some(broken)) => (Verdict::Inconclusive, Some(broken.to_string())),
        (Verdict::Agreed, None) => (verdict, why),
        (Verdict::Diverged, None) => (verdict, why_diverged(findings)),
    }
}

/// Outputs behind an operator that nobody has here are no agreement, unless the user named the tensors that decide.
fn unjudged(findings: &Findings) -> Option<String> {
    findings.opening.notes.iter().find_map(|note| match note {
        Note::Fitted(Fitted::Cut { op_type, node, judged, .. }) if !judged.is_empty() => Some(format!(
            "what stands in front of {op_type} '{node}' agrees, and what it makes was not judged; name the tensors that decide with --outputs {}, or give its library with --custom-ops LIB",
            judged.join(",")
        )),
        _ => None,
    })
}

/// One output that diverges decides; one that could not be compared is not an agreement.
pub fn of_outputs(outputs: &[TensorResult]) -> (Verdict, Option<String>) {
    if outputs.is_empty() {
        return (Verdict::Inconclusive, Some("no output was compared".to_string()));
    }
    // An output without an element beside others that have some: it says nothing, and is told apart.
    let unseen = |o: &TensorResult| o.status == Status::NotCompared;
    let empty = |o: &TensorResult| unseen(o) && o.metrics.as_ref().is_some_and(|m| m.elements == 0);
    let beside = outputs.iter().any(|o| !unseen(o));
    let counts = |o: &&TensorResult| !(beside && empty(o));
    let with = |status: Status| outputs.iter().filter(counts).find(move |o| o.status == status);
    match (with(Status::Diverges), with(Status::NotCompared)) {
        (Some(_), _) => (Verdict::Diverged, None),
        (None, Some(o)) => {
            let why = o.why.clone().unwrap_or_default();
            (Verdict::Inconclusive, Some(format!("output '{}' was not compared: {why}", o.name)))
        }
        (None, None) => (Verdict::Agreed, None),
    }
}

/// What is missing in the answer of a run whose outputs diverge.
fn why_diverged(findings: &Findings) -> Option<String> {
    match (findings.opening.wanted, &findings.found, &findings.compiler.routes) {
        (Wanted::Precision, ..) => by_precision(findings),
        (Wanted::Routes, _, Some(routes)) => {
            routes.knobs.is_empty().then(|| "the outputs diverge with every knob of the compiler".to_string())
        }
        (Wanted::Fusion, ..) => by_fusion(findings.compiler.fusion.as_ref()?),
        (Wanted::Culprits, Some(Found { culprits: None, .. }), _) => {
            Some("the outputs diverge; the search was not finished".to_string())
        }
        (Wanted::Culprits, Some(Found { culprits: Some(culprits), .. }), _) => {
            culprits.is_empty().then(|| without_culprit(findings))
        }
        _ => None,
    }
}

/// What `--by fusion` says in place of culprits.
fn by_fusion(found: &Fusion) -> Option<String> {
    let why = || found.why.clone().unwrap_or_default();
    match found.answer {
        FusionAnswer::Diverges => Some(
            "not a matter of fusion: with every tensor an output, as far as tensors can be, the model's outputs still diverge"
                .to_string(),
        ),
        FusionAnswer::Unknown => Some(format!("whether fusion is to blame is not known: {}", why())),
        FusionAnswer::Cured if !found.verified => Some(format!("outputs that cure were found, and not proved: {}", why())),
        FusionAnswer::Cured => None,
    }
}

/// Why nobody is accused.
fn without_culprit(findings: &Findings) -> String {
    let mut diverging = findings.outputs.iter().flatten().filter(|output| output.status == Status::Diverges);
    let within = |output: &TensorResult| findings.judged.within_tolerance.contains(&output.name);
    match diverging.any(within) {
        true => "outputs diverge by what they are judged by and are within the tolerance, so that no node is accused; smaller --atol and --rtol show where the error begins".to_string(),
        false => "the outputs diverge, but no tensor above them could be compared".to_string(),
    }
}

/// What `--by precision` says in place of culprits.
fn by_precision(findings: &Findings) -> Option<String> {
    let cure = findings.cure.overrides.as_ref()?;
    Some(match (cure.nodes.len(), cure.verified) {
        (n, true) if cure.limited => {
            format!(
                "the outputs diverge, and agree only with {n} of {} nodes in FP32, which is no cure; no tensor inside was looked at",
                cure.of
            )
        }
        (0, _) => "the outputs diverge, and no set of nodes in FP32 was found that cures them".to_string(),
        (n, true) => format!(
            "the outputs diverge, and agree with {n} of {} nodes in FP32; no tensor inside was looked at",
            cure.of
        ),
        (n, false) => format!("the outputs diverge; {n} nodes in FP32 are the best set so far, and it is not verified"),
    })
}

/// A command decided: the failure is shown by what was cut out and fails again.
fn of_check(findings: &Findings) -> (Verdict, Option<String>) {
    let Reproducers { made, of, .. } = &findings.reproducers;
    let Some(first) = made.first() else {
        let why = findings.reproducers.missing().map_or("not finished".to_string(), Note::to_string);
        return (Verdict::Inconclusive, Some(why));
    };
    match made.iter().find(|r| !r.reproduces) {
        Some(lost) => {
            let unsaid = || "a reproducer does not show the failure again".to_string();
            (Verdict::Inconclusive, Some(lost.why.clone().unwrap_or_else(unsaid)))
        }
        None => (Verdict::Diverged, Some(faults(first, made.len(), *of))),
    }
}

fn faults(first: &Reduced, faults: usize, nodes: usize) -> String {
    let independent =
        if faults > 1 { format!("{faults} independent faults; the first ") } else { "the failure ".to_string() };
    format!("the check fails; {independent}needs {} of {nodes} nodes", first.nodes)
}

fn search(findings: &Findings) -> SearchInfo {
    let (measured, found) = (&findings.measured, findings.found.as_ref());
    let counts = &measured.counts;
    let compared = measured.tensors.iter().filter(|t| t.status != Status::NotCompared).count();
    SearchInfo {
        strategy: found.map_or_else(|| findings.opening.strategy.clone(), |found| found.strategy.clone()),
        candidate_builds: counts.candidate_builds,
        candidate_runs: counts.candidate_runs,
        trust_builds: counts.trust_builds,
        proof_builds: counts.proof_builds,
        reference_runs: counts.reference_runs,
        tensors_compared: compared,
        tensors_not_compared: measured.tensors.len() - compared,
        perturbed: counts.perturbed,
        observed: measured.observed.clone(),
        seconds: found.map_or(0.0, |found| found.seconds),
    }
}

fn trust(findings: &Findings) -> Option<Trust> {
    let reference = findings.reference.as_ref().map(|tests| tests.trust.clone());
    match &findings.candidate {
        None if reference.is_none() => None,
        None => Some(Trust { reference, ..Trust::default() }),
        Some(OfCandidate { repeat, rows, tf32, .. }) => {
            Some(Trust { repeat: repeat.clone(), rows: rows.clone(), tf32: tf32.clone(), reference })
        }
    }
}

/// In the order of the journey.
fn warnings(findings: &Findings) -> Vec<String> {
    let of_reference = findings.reference.iter().flat_map(|tests| &tests.notes);
    let of_candidate = findings.candidate.iter().flat_map(|tests| &tests.notes);
    let of_search = findings.found.iter().flat_map(|found| &found.notes);
    let notes = findings
        .opening
        .notes
        .iter()
        .chain(&findings.judged.notes)
        .chain(of_reference)
        .chain(of_candidate)
        .chain(of_search);
    let notes = notes.chain(&findings.measured.notes).chain(&findings.ranking.notes).chain(&findings.reproducers.notes);
    let cure = findings.cure.notes.iter().map(ToString::to_string);
    let unfinished = findings.unfinished.then(|| Note::Unfinished.to_string());
    notes.map(ToString::to_string).chain(cure).chain(unfinished).collect()
}

#[cfg(test)]
mod tests;
