//! Sentences against facts: each check knows one kind of sentence, and the fact that must stand behind it.

use layerdiff::found::{Culprit, Diagnosis, Kind, Metrics, Status, Sure, Verdict};
use regex::Regex;

use super::told::Told;

type Check = fn(&Told) -> Vec<String>;

const CHECKS: [Check; 13] = [
    verdicts,
    deeds,
    numbers,
    counts,
    kernels,
    reports_to_makers,
    trials,
    factors,
    shapes,
    quantisation,
    precision,
    narrow_inputs,
    elements_that_differ,
];

/// What is wrong, in words.
pub fn all(told: &Told) -> Vec<String> {
    CHECKS.iter().flat_map(|check| check(told)).collect()
}

fn rx(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

fn causes(told: &Told) -> impl Iterator<Item = (&Culprit, &Diagnosis)> {
    told.report.culprits.iter().flat_map(|culprit| culprit.diagnosis.iter().map(move |cause| (culprit, cause)))
}

/// Those of the pages that say this.
fn saying<'t>(told: &'t Told, text: &str) -> Vec<&'t str> {
    let said = rx(text);
    told.pages.iter().filter(|(_, page)| said.is_match(page)).map(|(name, _)| *name).collect()
}

fn when(wrong: bool, what: impl Into<String>) -> Vec<String> {
    if wrong { vec![what.into()] } else { Vec::new() }
}

fn own_model(told: &Told) -> bool {
    [&told.report.candidate, &told.report.reference].iter().any(|side| side.spec.contains('@'))
}

/// Is this more than nothing?
fn is_wrong(metrics: &Metrics) -> bool {
    metrics.mismatched > 0 || metrics.elements == 0 || metrics.part.is_some()
}

fn verdicts(told: &Told) -> Vec<String> {
    let report = &told.report;
    let diverging = report.outputs.iter().any(|output| output.status == Status::Diverges);
    let mut wrong = when(report.verdict == Verdict::Diverged && !diverging, "diverged, and no output diverges");
    wrong.extend(when(report.verdict == Verdict::Agreed && diverging, "agreed, and an output diverges"));
    wrong.extend(when(report.verdict == Verdict::Agreed && !report.culprits.is_empty(), "agreed, with culprits"));
    wrong
}

/// "Wrong on its own" and "right on its own" need a run of the node alone that says so.
fn deeds(told: &Told) -> Vec<String> {
    let of = |culprit: &Culprit| {
        let (deed, why) = (culprit.deed(), culprit.why.clone().unwrap_or_default());
        let (ran, wrong) = (culprit.local.is_some(), culprit.local.as_ref().is_some_and(is_wrong));
        let name = culprit.node.told();
        let unrun = rx("not run alone|could not be run alone|cut out with");
        let mut all = when(deed.contains("wrong on its own") && !wrong, format!("'{name}' is not wrong alone: {deed}"));
        all.extend(when(deed.contains("right on its own") && !ran, format!("'{name}' was not run alone: {deed}")));
        all.extend(when(ran && unrun.is_match(&why), format!("'{name}' was run alone, and: {why}")));
        all.extend(when(!ran && why.contains("alone, with reference inputs"), format!("'{name}' did not run: {why}")));
        let unproved = culprit.kind == Kind::Introduces && ran && !wrong;
        all.extend(when(unproved, format!("'{name}' introduces nothing alone")));
        all
    };
    told.report.culprits.iter().flat_map(of).collect()
}

/// The same numbers on every page.
fn numbers(told: &Told) -> Vec<String> {
    let samples = told.report.inputs.samples;
    // A terminal tells of the first ones only.
    let first = told.report.culprits.iter().take(1).filter(|_| told.report.precision_limited.is_none());
    let expected = first.flat_map(|c| [c.accumulated.extent(samples), c.accumulated.told()]);
    let missing = |text: String| {
        let lacks = told.pages.iter().filter(|(_, page)| !page.contains(&text)).map(|(name, _)| *name);
        lacks.map(|name| format!("{name} does not say: {text}")).collect::<Vec<_>>()
    };
    expected.flat_map(missing).collect()
}

/// The same counts on every page, and those of the lists that they count.
fn counts(told: &Told) -> Vec<String> {
    let report = &told.report;
    let compared = report.tensors.iter().filter(|t| t.status != Status::NotCompared).count();
    let mut wrong = when(
        report.search.tensors_compared != compared,
        format!("{} tensors compared, {compared} rows", report.search.tensors_compared),
    );
    let culprits = report.culprits.len();
    for (name, page) in &told.pages {
        for found in rx(r"diverged: (\d+) culprit").captures_iter(page) {
            wrong.extend(when(found[1] != culprits.to_string(), format!("{name} counts {} of {culprits}", &found[1])));
        }
        for found in rx(r"(\d+) tensors? compared").captures_iter(page) {
            wrong.extend(when(
                found[1] != compared.to_string(),
                format!("{name}: {} of {compared} compared", &found[1]),
            ));
        }
    }
    let Some(cure) = &report.overrides else { return wrong };
    for (name, page) in &told.pages {
        for found in rx(r"(\d+) of (\d+) nodes (?:in FP32|left unquantised|kept in FP32)").captures_iter(page) {
            let same = found[1] == cure.nodes.len().to_string() && found[2] == cure.of.to_string();
            wrong.extend(when(!same, format!("{name}: {}, and {} nodes cure", &found[0], cure.nodes.len())));
        }
    }
    wrong
}

/// A kernel is blamed only for the same node on the same inputs.
fn kernels(told: &Told) -> Vec<String> {
    let wrong = |(culprit, cause): (&Culprit, &Diagnosis)| {
        let blamed = cause.code == "kernel-or-fusion";
        let mut all = when(blamed && own_model(told), "kernel-or-fusion of a model of its own");
        all.extend(when(blamed && culprit.local.is_none(), "kernel-or-fusion of a node that was not run alone"));
        let unsure = cause.code == "unknown" && cause.sure != Sure::Unknown;
        all.extend(when(unsure, "what is unknown is said to be known"));
        all
    };
    causes(told).flat_map(wrong).collect()
}

/// What is to be reported reproduces.
fn reports_to_makers(told: &Told) -> Vec<String> {
    let reproduces = |culprit: &Culprit| {
        let made = told.report.reproducers.iter().chain(&told.report.reduced);
        made.into_iter().any(|r| r.reproduces && r.culprit.as_ref().is_none_or(|tensor| *tensor == culprit.tensor))
    };
    let asked = |cause: &Diagnosis| cause.advice.contains("report the reproducer");
    let unmade = causes(told).filter(|(culprit, cause)| asked(cause) && !reproduces(culprit));
    let unmade: Vec<String> =
        unmade.map(|(culprit, _)| format!("no reproducer of '{}' to report", culprit.tensor)).collect();
    let own = own_model(told) && causes(told).any(|(_, cause)| asked(cause));
    unmade.into_iter().chain(when(own, "the difference of two files is to be reported to a backend's makers")).collect()
}

/// What is shown was tried, and the evidence says what that gave.
fn trials(told: &Told) -> Vec<String> {
    let trial = rx(r"agree|gives what|cures|undone|undoing|put (back|right)|in FP32|with .* instead|without (it|them)");
    let mute = causes(told).filter(|(_, cause)| cause.sure == Sure::Shown && !trial.is_match(&cause.evidence));
    mute.map(|(_, cause)| format!("{} is shown, and no trial is told: {}", cause.code, cause.evidence)).collect()
}

/// What is larger is larger.
fn factors(told: &Told) -> Vec<String> {
    let times = rx(r"([\d.]+(?:e-?\d+)?) times (?:as much|that of|too)");
    let small = |cause: &Diagnosis| {
        let all = times.captures_iter(&cause.evidence).filter(|found| found[1].parse().is_ok_and(|x: f64| x <= 1.0));
        all.map(|found| found[0].to_string()).collect::<Vec<_>>()
    };
    let mut wrong: Vec<String> = causes(told).flat_map(|(_, cause)| small(cause)).collect();
    let gains = causes(told).filter(|(culprit, cause)| cause.code == "gain" && culprit.accumulated.nonfinite());
    wrong.extend(gains.map(|_| "a gain of what is not finite".to_string()));
    wrong.extend(told.report.culprits.iter().filter_map(|culprit| smaller(told, culprit)));
    wrong
}

/// A culprit that is said to amplify, and whose error is a smaller one than that of an input.
fn smaller(told: &Told, culprit: &Culprit) -> Option<String> {
    let reads = |name: &str| culprit.node.inputs.iter().any(|input| input == name);
    let rows = told.report.tensors.iter().filter(|row| reads(&row.name));
    let input = rows.filter_map(|row| row.metrics.as_ref()?.relative_rms()).reduce(f64::max)?;
    let output = culprit.accumulated.relative_rms().filter(|_| !culprit.accumulated.nonfinite())?;
    let said = culprit.deed().starts_with("amplifies") && output < input;
    said.then(|| format!("'{}' amplifies {input:.3e} to {output:.3e}", culprit.node.told()))
}

/// Where shapes differ no element says anything, and only engines are built for shapes.
fn shapes(told: &Told) -> Vec<String> {
    let apart = told.report.culprits.iter().any(|culprit| culprit.accumulated.elements == 0);
    let mut wrong = Vec::new();
    for page in saying(told, r"all 0 elements|0 of 0 elements") {
        wrong.push(format!("{page} counts none"));
    }
    if apart && told.report.culprits.len() == 1 {
        wrong.extend(saying(told, "every value is the same").iter().map(|page| format!("{page}: equal, and apart")));
    }
    let engine = told.report.candidate.spec.starts_with("trt");
    wrong.extend(saying(told, "static build").iter().filter(|_| !engine).map(|page| format!("{page}: a static build")));
    wrong
}

/// Nothing is quantised in float models.
fn quantisation(told: &Told) -> Vec<String> {
    let codes = ["int8-saturation", "scale-mismatch", "qdq-", "quantis"];
    let false_code = |cause: &Diagnosis| codes.iter().any(|code| cause.code.starts_with(code));
    let said = rx(r"(?i)calibrat|unquantised|quantis");
    let of = causes(told).filter(|(_, c)| false_code(c) || said.is_match(&c.evidence) || said.is_match(&c.advice));
    let mut wrong: Vec<String> =
        of.filter(|_| !told.quantised).map(|(_, c)| format!("{} in float models: {}", c.code, c.advice)).collect();
    let pages = saying(told, r"(?i)calibrat|unquantised").into_iter().filter(|_| !told.quantised);
    wrong.extend(pages.map(|page| format!("{page} speaks of quantisation in float models")));
    wrong
}

/// What keeping nodes in FP32 cures is the precision's.
fn precision(told: &Told) -> Vec<String> {
    let cure = told.report.overrides.as_ref();
    let cured = cure.is_some_and(|cure| cure.verified && !cure.nodes.is_empty());
    let mut wrong: Vec<String> = saying(told, "precision is not the cause")
        .into_iter()
        .filter(|_| cured)
        .map(|page| format!("{page}: precision is not the cause, and nodes in FP32 cure it"))
        .collect();
    let after = cure.map(|cure| cure.error_after.0);
    wrong.extend(when(cured && after.is_some_and(|error| !error.is_finite()), "a verified cure with no finite error"));
    wrong
}

/// 32-bit inputs are advised only where the report does not say that they do not fit.
fn narrow_inputs(told: &Told) -> Vec<String> {
    let beyond = rx("do not fit 32 bits|needs 64 bits|beyond the range of 32 bits");
    let advised = |cause: &Diagnosis| cause.advice.contains("int32-inputs");
    let wrong =
        causes(told).filter(|(_, c)| advised(c) && (beyond.is_match(&c.evidence) || beyond.is_match(&c.advice)));
    wrong.map(|(_, cause)| format!("int32 inputs for what does not fit: {}", cause.evidence)).collect()
}

/// A cause of all that differs counts what the culprit counts.
fn elements_that_differ(told: &Told) -> Vec<String> {
    let counted = rx(r"all (\d+) elements that differ");
    let of = |(culprit, cause): (&Culprit, &Diagnosis)| {
        let found = counted.captures(&cause.evidence)?;
        let same = found[1] == culprit.accumulated.mismatched.to_string();
        (!same).then(|| format!("{} and {} elements", &found[0], culprit.accumulated.mismatched))
    };
    causes(told).filter_map(of).collect()
}
