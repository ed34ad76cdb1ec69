//! Reports of shards as the one that a single run would have written. Values only.

pub mod stages;

use std::collections::BTreeMap;

use super::shard::{Shard, Shared};
use super::sizes::{Size, SizeVerdict, order};
use super::{
    Decisions, InputsInfo, Metrics, OutputOfSample, Report, SampleVerdict, SearchInfo, Status, TensorResult, Verdict,
    of_outputs,
};

/// What one file holds, which the user knows by its name.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// The path of the file.
    pub file: String,
    /// What is in it.
    pub report: T,
}

/// One report of all shards of one run. An error says what does not fit, and which files.
pub fn merge(mut all: Vec<Named<Report>>) -> Result<Report, String> {
    all.sort_by_key(|named| named.report.shard.as_ref().map_or(0, |shard| shard.index));
    let shards = fitting(&all)?;
    let reports: Vec<Report> = all.into_iter().map(|named| named.report).collect();
    let (Some(first), Some(shard)) = (reports.first(), shards.first()) else { return Err(NOTHING.to_string()) };
    let mut merged = Report { shard: None, ..first.clone() };
    merged = match shard.what {
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

const NOTHING: &str = "there is no report to merge";

/// Shards of one run, all of them.
fn fitting(all: &[Named<Report>]) -> Result<Vec<Shard>, String> {
    let shards = shards(all, |report| report.shard.as_ref())?;
    alike(all, "models or candidates", |r| {
        (r.model.sha256.clone(), r.reference.spec.clone(), r.candidate.spec.clone())
    })?;
    fits(&shards)?;
    Ok(shards.into_iter().map(|named| named.report).collect())
}

/// Which part each file is.
pub fn shards<T>(all: &[Named<T>], of: impl Fn(&T) -> Option<&Shard>) -> Result<Vec<Named<Shard>>, String> {
    let shard = |named: &Named<T>| match of(&named.report) {
        Some(shard) => Ok(Named { file: named.file.clone(), report: shard.clone() }),
        None => Err(format!("{} is no shard: run with --shard I/N", named.file)),
    };
    all.iter().map(shard).collect()
}

/// Have all files the same of what `own` tells?
pub fn alike<T, K: PartialEq>(all: &[Named<T>], what: &str, own: impl Fn(&T) -> K) -> Result<(), String> {
    let Some(first) = all.first() else { return Err(NOTHING.to_string()) };
    match all.iter().find(|other| own(&other.report) != own(&first.report)) {
        Some(other) => Err(format!("{} and {} are of different {what}", first.file, other.file)),
        None => Ok(()),
    }
}

/// Are these all shards of one run, each once?
pub fn fits(shards: &[Named<Shard>]) -> Result<(), String> {
    alike(shards, "runs", |shard| (shard.of, shard.what, shard.total))?;
    let Some(Named { file, report: first }) = shards.first() else { return Err(NOTHING.to_string()) };
    if let Some(other) = shards.iter().find(|other| other.report.run != first.run) {
        return Err(format!(
            "shards {}/{} ({file}) and {}/{} ({}) were run with different flags; run one of them again",
            first.index, first.of, other.report.index, other.report.of, other.file
        ));
    }
    let members = |shard: &'_ Named<Shard>| -> Vec<(usize, String)> {
        shard.report.members.iter().map(|number| (*number, shard.file.clone())).collect()
    };
    let mut done: Vec<(usize, String)> = shards.iter().flat_map(members).collect();
    done.sort();
    if let Some(two) = done.windows(2).find(|two| two[0].0 == two[1].0) {
        return Err(format!("number {} is both in {} and in {}", two[0].0, two[0].1, two[1].1));
    }
    if let Some((number, file)) = done.iter().find(|(number, _)| *number >= first.total) {
        return Err(format!(
            "{file} has number {number} of {}, from 0: it is damaged; run that shard again",
            first.total
        ));
    }
    if done.len() < first.total {
        let had: Vec<usize> = shards.iter().map(|shard| shard.report.index).collect();
        let missing: Vec<String> =
            (1..=first.of).filter(|i| !had.contains(i)).map(|i| format!("{i}/{}", first.of)).collect();
        let which = match missing.is_empty() {
            true => "one of the files is damaged; run the shards again".to_string(),
            false => format!("shard {} is missing", missing.join(", ")),
        };
        return Err(format!("{} of {} were done; {which}", done.len(), first.total));
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

    fn named(reports: Vec<Report>) -> Vec<Named<Report>> {
        ('a'..).zip(reports).map(|(file, report)| Named { file: format!("{file}.json"), report }).collect()
    }

    #[test]
    fn the_worst_sample_of_all_is_told_by_its_number() {
        let merged = merge(named(vec![report(2, &[0.5]), report(1, &[0.1, 0.7])])).unwrap();
        let metrics = merged.outputs[0].metrics.as_ref().unwrap();
        assert_eq!((metrics.max_abs.0, metrics.sample, merged.inputs.samples), (0.7, 2, 3));
        assert!(merged.shard.is_none());
    }

    #[test]
    fn what_does_not_fit_is_told_by_its_file() {
        let why = |reports: Vec<Report>| merge(named(reports)).unwrap_err();
        let (one, two) = (report(1, &[0.1, 0.2]), report(2, &[0.5]));
        let with = |edit: &dyn Fn(&mut Shard)| {
            let mut other = two.clone();
            other.shard.iter_mut().for_each(edit);
            other
        };
        assert_eq!(why(vec![one.clone()]), "2 of 3 were done; shard 2/2 is missing");
        assert_eq!(why(vec![one.clone(), one.clone()]), "number 0 is both in a.json and in b.json");
        assert_eq!(why(vec![one.clone(), Report::default()]), "b.json is no shard: run with --shard I/N");
        assert_eq!(why(vec![one.clone(), with(&|s| s.total = 9)]), "a.json and b.json are of different runs");
        assert_eq!(
            why(vec![one.clone(), with(&|s| s.run = "other".into())]),
            "shards 1/2 (a.json) and 2/2 (b.json) were run with different flags; run one of them again"
        );
        let mut other = two.clone();
        other.candidate.spec = "trt".into();
        assert_eq!(why(vec![one.clone(), other]), "a.json and b.json are of different models or candidates");
        assert!(why(vec![one.clone(), with(&|s| s.members = vec![7])]).starts_with("b.json has number 7 of 3"));
        assert!(why(vec![one.clone(), with(&|s| s.members.clear())]).contains("one of the files is damaged"));
        assert!(why(vec![]).contains("no report"));
    }
}
