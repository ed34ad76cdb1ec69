//! Reports of shards as the one that a single run would have written. Values only.

pub mod stages;

use std::collections::BTreeMap;

use super::shard::{Shard, Shared};
use super::sizes::{Size, SizeVerdict, order};
use super::{
    Decisions, InputsInfo, Metrics, OutputOfSample, Report, SampleVerdict, SearchInfo, Status, TensorResult, Verdict,
    of_outputs,
};

/// One report of all shards of one run. An error says what does not fit.
pub fn merge(mut reports: Vec<Report>) -> Result<Report, String> {
    reports.sort_by_key(|report| report.shard.as_ref().map_or(0, |shard| shard.index));
    let shards = fitting(&reports)?;
    let Some(first) = reports.first() else { return Err("there is no report to merge".to_string()) };
    let mut merged = Report { shard: None, ..first.clone() };
    merged = match shards[0].what {
        Shared::Samples => samples(merged, &reports, &shards),
        Shared::Sizes => sizes(merged, &reports),
        Shared::Nodes => nodes(merged, &reports),
    };
    merged.search = search(&merged, &reports);
    merged.seconds = reports.iter().map(|report| report.seconds).sum();
    merged.warnings = Vec::new();
    for warning in reports.iter().flat_map(|report| &report.warnings) {
        if !merged.warnings.contains(warning) {
            merged.warnings.push(warning.clone());
        }
    }
    Ok(merged)
}

/// Shards of one run, all of them.
fn fitting(reports: &[Report]) -> Result<Vec<Shard>, String> {
    let shards: Option<Vec<Shard>> = reports.iter().map(|report| report.shard.clone()).collect();
    let shards = shards.ok_or("a report is no shard: run with --shard I/N")?;
    let Some(report) = reports.first() else { return Err("there is no report to merge".to_string()) };
    let whose = |r: &Report| (r.model.sha256.clone(), r.reference.spec.clone(), r.candidate.spec.clone());
    if reports.iter().any(|other| whose(other) != whose(report)) {
        return Err("the reports are of different models or candidates".to_string());
    }
    fits(&shards)?;
    Ok(shards)
}

/// Are these all shards of one run, each once?
pub fn fits(shards: &[Shard]) -> Result<(), String> {
    let Some(first) = shards.first() else { return Err("there is no report to merge".to_string()) };
    if shards.iter().any(|s| (s.of, s.what, s.total) != (first.of, first.what, first.total)) {
        return Err("the reports are shards of different runs".to_string());
    }
    if let Some(other) = shards.iter().find(|shard| shard.run != first.run) {
        return Err(format!(
            "shards {}/{} and {}/{} were run with different flags; run one of them again",
            first.index, first.of, other.index, other.of
        ));
    }
    let mut done: Vec<usize> = shards.iter().flat_map(|shard| shard.members.iter().copied()).collect();
    done.sort_unstable();
    if let Some(two) = done.windows(2).find(|two| two[0] == two[1]) {
        return Err(format!("number {} is in two of the reports", two[0]));
    }
    if done.len() != first.total {
        let had: Vec<usize> = shards.iter().map(|shard| shard.index).collect();
        let missing: Vec<String> =
            (1..=first.of).filter(|i| !had.contains(i)).map(|i| format!("{i}/{}", first.of)).collect();
        return Err(format!("{} of {} were done; shard {} is missing", done.len(), first.total, missing.join(", ")));
    }
    Ok(())
}

fn samples(mut merged: Report, reports: &[Report], shards: &[Shard]) -> Report {
    let outputs: Vec<_> = reports.iter().map(|report| report.outputs.as_slice()).collect();
    let tensors: Vec<_> = reports.iter().map(|report| report.tensors.as_slice()).collect();
    let decisions: Vec<_> = reports.iter().map(|report| report.decisions.as_slice()).collect();
    let verdicts: Vec<_> = reports.iter().map(|report| report.samples.as_slice()).collect();
    merged.outputs = worst_of_all(&outputs, shards);
    merged.tensors = worst_of_all(&tensors, shards);
    merged.decisions = decisions_of_all(&decisions, shards);
    let alone: Vec<Vec<SampleVerdict>> = outputs.iter().zip(verdicts).map(|(own, told)| of_one(own, told)).collect();
    merged.samples = samples_of_all(&alone.iter().map(Vec::as_slice).collect::<Vec<_>>(), shards);
    let inputs: Vec<_> = reports.iter().map(|report| &report.inputs).collect();
    merged.inputs = inputs_of_all(&inputs, shards);
    let silent = reports.iter().find(|report| report.verdict == Verdict::Inconclusive);
    (merged.verdict, merged.why) = answer(&merged.outputs, silent.map(|report| report.why.clone()));
    merged
}

/// One shard without an answer, and why, keeps the whole from being an agreement.
fn answer(outputs: &[TensorResult], silent: Option<Option<String>>) -> (Verdict, Option<String>) {
    match (of_outputs(outputs), silent) {
        ((Verdict::Agreed | Verdict::Inconclusive, own), Some(why)) => (Verdict::Inconclusive, why.or(own)),
        (outputs, _) => outputs,
    }
}

/// The rest of the report is about the smallest size that fails; where none does, about the largest.
fn sizes(merged: Report, reports: &[Report]) -> Report {
    let shards: Vec<Swept> = reports
        .iter()
        .map(|one| Swept { sweep: &one.sweep, first_bad: one.first_bad_size.as_ref(), verdict: one.verdict })
        .collect();
    let (sweep, told) = sizes_of_all(&shards);
    Report { shard: None, sweep, ..reports.get(told).cloned().unwrap_or(merged) }
}

/// The sizes that one shard did.
pub struct Swept<'a> {
    /// The smallest sample first.
    pub sweep: &'a [SizeVerdict],
    /// The smallest that diverges.
    pub first_bad: Option<&'a Size>,
    /// Of the shard.
    pub verdict: Verdict,
}

/// All sizes, the smallest sample first, and the shard that is told: that of the smallest size that fails, else one without an
/// answer, else that of the largest size.
pub fn sizes_of_all(shards: &[Swept]) -> (Vec<SizeVerdict>, usize) {
    let mut sweep: Vec<SizeVerdict> = shards.iter().flat_map(|shard| shard.sweep.to_vec()).collect();
    sweep.sort_by_key(|tried| order(&tried.size));
    let smallest = sweep.iter().find(|tried| tried.verdict == Verdict::Diverged).map(|tried| &tried.size);
    let bad = shards.iter().position(|shard| smallest.is_some() && shard.first_bad == smallest);
    let silent = || shards.iter().position(|shard| shard.verdict == Verdict::Inconclusive);
    let most = |shard: &Swept| shard.sweep.last().map(|tried| tried.size.values().product::<usize>());
    let largest = || (0..shards.len()).max_by_key(|number| most(&shards[*number]));
    let told = bad.or_else(silent).or_else(largest).unwrap_or(0);
    (sweep, told)
}

fn nodes(mut merged: Report, reports: &[Report]) -> Report {
    merged.sensitivity = reports.iter().flat_map(|report| report.sensitivity.clone()).collect();
    merged.sensitivity.sort_by(|a, b| b.local.0.total_cmp(&a.local.0));
    merged
}

/// Tensors of all shards, the worst of each, in the order of the first shard; samples by their numbers among all.
pub fn worst_of_all(of: &[&[TensorResult]], shards: &[Shard]) -> Vec<TensorResult> {
    let everywhere = |result: &TensorResult, shard: &Shard| {
        let sample = |m: Metrics| Metrics { sample: shard.members.get(m.sample).copied().unwrap_or(m.sample), ..m };
        TensorResult { metrics: result.metrics.clone().map(sample), ..result.clone() }
    };
    let mut order: Vec<&str> = Vec::new();
    let mut all: BTreeMap<&str, Vec<TensorResult>> = BTreeMap::new();
    for (results, shard) in of.iter().zip(shards) {
        for result in *results {
            let known = all.entry(&result.name).or_default();
            if known.is_empty() {
                order.push(&result.name);
            }
            known.push(everywhere(result, shard));
        }
    }
    let sample = |result: &TensorResult| result.metrics.as_ref().map_or(usize::MAX, |m| m.sample);
    let worst = |name: &str| {
        let mut results = all.get(name)?.clone();
        results.sort_by(|a, b| {
            let bad = b.badness().partial_cmp(&a.badness()).unwrap_or(std::cmp::Ordering::Equal);
            bad.then(sample(a).cmp(&sample(b)))
        });
        // A sample without a value is not an agreement.
        let missing = results.iter().find(|r| r.status == Status::NotCompared && r.metrics.is_none()).cloned();
        let mut worst = results.into_iter().next()?;
        if let Some(missing) = missing.filter(|_| worst.status == Status::Agrees) {
            (worst.status, worst.why) = (missing.status, missing.why);
        }
        Some(worst)
    };
    order.into_iter().filter_map(worst).collect()
}

/// Decisions of all shards, counted together.
pub fn decisions_of_all(of: &[&[Decisions]], shards: &[Shard]) -> Vec<Decisions> {
    let mut all: Vec<Decisions> = Vec::new();
    for (told, shard) in of.iter().zip(shards) {
        for one in *told {
            let mut one = one.clone();
            one.worst
                .iter_mut()
                .for_each(|row| row.sample = shard.members.get(row.sample).copied().unwrap_or(row.sample));
            match all.iter_mut().find(|known| known.output == one.output) {
                None => all.push(one),
                Some(known) => {
                    known.rows += one.rows;
                    known.changed += one.changed;
                    known.near_ties += one.near_ties;
                    known.sets_changed += one.sets_changed;
                    known.k = known.k.max(one.k);
                    known.asked |= one.asked;
                    known.worst.extend(one.worst);
                }
            }
        }
    }
    for told in &mut all {
        told.worst.sort_by(|a, b| (a.sample, &a.at).cmp(&(b.sample, &b.at)));
        told.keep_worst();
    }
    all
}

/// Samples of all shards, by their numbers among all.
pub fn samples_of_all(of: &[&[SampleVerdict]], shards: &[Shard]) -> Vec<SampleVerdict> {
    let all = of.iter().zip(shards).flat_map(|(samples, shard)| {
        let number = |sample: &SampleVerdict| shard.members.get(sample.sample).copied().unwrap_or(sample.sample);
        samples.iter().map(move |sample| SampleVerdict { sample: number(sample), ..sample.clone() })
    });
    let mut all: Vec<SampleVerdict> = all.collect();
    all.sort_by_key(|sample| sample.sample);
    all
}

/// A run of one sample does not tell it apart from its outputs: they are the sample's.
pub fn of_one(outputs: &[TensorResult], told: &[SampleVerdict]) -> Vec<SampleVerdict> {
    if !told.is_empty() || outputs.is_empty() {
        return told.to_vec();
    }
    let one = |o: &TensorResult| OutputOfSample::of(&o.name, o.status, o.why.clone(), o.metrics.as_ref());
    vec![SampleVerdict::of(0, outputs.iter().map(one).collect())]
}

/// The data of all shards.
pub fn inputs_of_all(of: &[&InputsInfo], shards: &[Shard]) -> InputsInfo {
    let first = of.iter().zip(shards).min_by_key(|(_, shard)| shard.members.first().copied().unwrap_or(usize::MAX));
    let mut merged = first.map(|(inputs, _)| (*inputs).clone()).unwrap_or_default();
    merged.samples = of.iter().map(|inputs| inputs.samples).sum();
    let files = of.iter().zip(shards).flat_map(|(inputs, shard)| shard.members.iter().zip(&inputs.files));
    let mut files: Vec<(&usize, &String)> = files.collect();
    files.sort();
    merged.files = files.into_iter().map(|(_, file)| file.clone()).collect();
    merged
}

/// What all shards cost together.
fn search(merged: &Report, reports: &[Report]) -> SearchInfo {
    let sum = |of: fn(&SearchInfo) -> usize| reports.iter().map(|report| of(&report.search)).sum();
    let compared = merged.tensors.iter().filter(|tensor| tensor.status != Status::NotCompared).count();
    SearchInfo {
        candidate_builds: sum(|s| s.candidate_builds),
        candidate_runs: sum(|s| s.candidate_runs),
        reference_runs: sum(|s| s.reference_runs),
        trust_builds: sum(|s| s.trust_builds),
        proof_builds: sum(|s| s.proof_builds),
        tensors_compared: compared,
        tensors_not_compared: merged.tensors.len() - compared,
        ..merged.search.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Real;
    use crate::found::shard::Part;

    fn report(index: usize, errors: &[f64]) -> Report {
        let shard = Part { index, of: 2 }.shard(Shared::Samples, 3, "");
        let worst = errors.iter().copied().fold(0.0, f64::max);
        let sample = errors.iter().position(|x| *x == worst).unwrap_or(0);
        let metrics = Metrics { max_abs: Real(worst), sample, elements: 1, ..Metrics::apart(sample) };
        let output = TensorResult {
            name: "y".into(),
            node: "n".into(),
            dtype: "float32".into(),
            shape: vec![1],
            status: Status::Agrees,
            why: None,
            metrics: Some(Metrics { mismatched: 0, ..metrics }),
        };
        let inputs = InputsInfo { samples: errors.len(), ..InputsInfo::default() };
        Report { shard: Some(shard), outputs: vec![output], inputs, ..Report::default() }
    }

    #[test]
    fn the_worst_sample_of_all_is_told_by_its_number() {
        let merged = merge(vec![report(2, &[0.5]), report(1, &[0.1, 0.7])]).unwrap();
        let metrics = merged.outputs[0].metrics.as_ref().unwrap();
        assert_eq!((metrics.max_abs.0, metrics.sample, merged.inputs.samples), (0.7, 2, 3));
        assert!(merged.shard.is_none());
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let why = |reports: Vec<Report>| merge(reports).unwrap_err();
        assert_eq!(why(vec![report(1, &[0.1, 0.2])]), "2 of 3 were done; shard 2/2 is missing");
        assert_eq!(why(vec![report(1, &[0.1, 0.2]), report(1, &[0.1, 0.2])]), "number 0 is in two of the reports");
        assert!(why(vec![Report::default()]).contains("no shard"));
        assert!(why(vec![]).contains("no report"));
    }
}
