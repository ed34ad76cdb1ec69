//! The model's own outputs from unmarked runs: the verdict, before anything is marked; and what else they say, sample by
//! sample, row by row, decision by decision.

use super::again::batch;
use super::first::inner;
use super::worst::worst;
use super::{Lab, Values};
use crate::compare::Comparison;
use crate::found::words::number;
use crate::found::{
    CommandVerdict, Counts, DecisionKind, Decisions, Judged, Note, OutputOfSample, SampleVerdict, Status, TensorResult,
};
use crate::run::{Built, RunError};
use crate::tensor::{Tensor, Tensors};

/// Both sides' final outputs.
pub struct Finals {
    /// The reference's, by sample.
    pub right: Vec<Tensors>,
    /// The candidate's, by sample.
    pub unmarked: Vec<Tensors>,
    /// What the unmarked candidate was built of, where it tells.
    pub built: Option<Built>,
    /// One for each of the lab's outputs, compared.
    pub results: Vec<TensorResult>,
    /// What else they say.
    pub judged: Judged,
}

/// One output of all samples.
struct Output<'a> {
    name: &'a String,
    /// Of each sample, as far as there are values.
    pairs: Vec<(Option<&'a Tensor>, Option<&'a Tensor>)>,
    /// `None`: a value is missing.
    verdicts: Vec<Option<Comparison>>,
}

impl Finals {
    /// Runs the reference where its outputs are not among the `values`.
    pub fn of(
        lab: &Lab,
        unmarked: Result<Vec<Tensors>, RunError>,
        built: Option<Built>,
        values: &Values,
        counts: &mut Counts,
    ) -> Result<Finals, RunError> {
        // A model that cannot be run has no outputs, whatever the other side's are.
        let unmarked = unmarked?;
        let right = right(lab, values, counts)?;
        counts.candidate_builds += 1;
        counts.candidate_runs += 1;
        let outputs: Vec<Output> =
            lab.outputs.iter().map(|name| Output::of(lab, name, (&right, &unmarked), values)).collect();
        let mut results: Vec<TensorResult> = outputs.iter().map(|output| output.result(lab)).collect();
        let command = together(lab, &right, &unmarked, &mut results)?;
        let judged = Judged {
            samples: if command.is_none() { samples(lab, &outputs) } else { Vec::new() },
            decisions: outputs.iter().filter_map(|output| output.decisions(lab)).collect(),
            within_tolerance: within_tolerance(lab, &outputs, &results),
            metrics: lab.rules.metrics.words(),
            command,
            ..Judged::default()
        };
        let judged = Judged { notes: unused_labels(lab, &judged.decisions).into_iter().collect(), ..judged };
        Ok(Finals { right, unmarked, built, results, judged })
    }
}

/// Output `name` over all samples.
pub(super) fn judged(
    lab: &Lab,
    name: &String,
    (right, unmarked): (&[Tensors], &[Tensors]),
    values: &Values,
) -> TensorResult {
    Output::of(lab, name, (right, unmarked), values).result(lab)
}

impl<'a> Output<'a> {
    fn of(
        lab: &Lab,
        name: &'a String,
        (right, unmarked): (&'a [Tensors], &'a [Tensors]),
        values: &Values,
    ) -> Output<'a> {
        let pairs: Vec<_> = right.iter().zip(unmarked).map(|(r, c)| (r.get(name), c.get(name))).collect();
        let tensor = lab.reference.graph.tensor(name);
        let verdict = |(sample, (r, c)): (usize, &(Option<&Tensor>, Option<&Tensor>))| {
            let (r, c) = ((*r)?, (*c)?);
            let by_tolerance = match tensor {
                Some(tensor) => lab.judged(tensor, sample, (r, c), values),
                None => lab.rules.judge(name, r, c),
            };
            Some(lab.rules.conclude_output(name, r, c, by_tolerance))
        };
        let verdicts = pairs.iter().enumerate().map(verdict).collect();
        Output { name, pairs, verdicts }
    }

    /// The worst of all samples.
    fn result(&self, lab: &Lab) -> TensorResult {
        let graph = &lab.reference.graph;
        let node = graph.tensor(self.name).map(|t| graph.producer(t).name.clone()).unwrap_or_default();
        let references: Vec<_> = self.pairs.iter().map(|(r, _)| *r).collect();
        worst(self.name, node, &references, |sample, _| self.verdicts[sample].clone())
    }

    fn decisions(&self, lab: &Lab) -> Option<Decisions> {
        let whole = self.pairs.iter().enumerate().filter_map(|(sample, (r, c))| Some((sample, (*r)?, (*c)?)));
        lab.rules.decisions(self.name, &whole.collect::<Vec<_>>())
    }

    /// Of one sample; `batch`: all inputs have so many rows.
    fn of_sample(&self, lab: &Lab, sample: usize, batch: Option<usize>) -> OutputOfSample {
        let verdict = self.verdicts[sample].as_ref();
        let rows = batch.zip(verdict).and_then(|(count, verdict)| {
            let (r, c) = self.pairs[sample];
            lab.rules.rows(self.name, (r?, c?), count, verdict)
        });
        let why = verdict.map_or(Some("a side gave no value for it".to_string()), |v| v.why.clone());
        let status = verdict.map_or(Status::NotCompared, |v| v.status);
        let metrics = verdict.and_then(|v| v.metrics.as_ref());
        OutputOfSample { rows, ..OutputOfSample::of(self.name, status, why, metrics) }
    }
}

/// Nothing where there is one sample without a batch: then the outputs say it all.
fn samples(lab: &Lab, outputs: &[Output]) -> Vec<SampleVerdict> {
    let several = lab.feeds.len() > 1;
    let of_sample = |(sample, feed): (usize, &Tensors)| {
        let batch = batch(feed);
        let outputs: Vec<OutputOfSample> = outputs.iter().map(|o| o.of_sample(lab, sample, batch)).collect();
        let told = several || outputs.iter().any(|output| output.rows.is_some());
        told.then(|| SampleVerdict::of(sample, outputs))
    };
    lab.feeds.iter().enumerate().filter_map(of_sample).collect()
}

/// The user's command says whether the outputs agree, unless NaN or infinities say so before, or values are missing. Of those
/// that diverge by it, the tolerance says which; where it lets all of them pass, it is all of them.
fn together(
    lab: &Lab,
    right: &[Tensors],
    unmarked: &[Tensors],
    results: &mut [TensorResult],
) -> Result<Option<CommandVerdict>, RunError> {
    // Of outputs that show nothing no command makes an agreement.
    let vacuous = results.iter().all(|result| result.status == Status::NotCompared);
    if lab.command.is_none() || vacuous || lab.broken(&lab.outputs, right, unmarked).is_some() {
        return Ok(None);
    }
    let Some(said) = lab.opinion(&lab.outputs, right, unmarked, 0)? else { return Ok(None) };
    let single = results.iter().any(|result| result.status == Status::Diverges);
    for result in results {
        match said.status {
            Status::Diverges if single && result.status != Status::Diverges => {}
            status => {
                result.status = status;
                result.why = Some(words(&said));
            }
        }
    }
    Ok(Some(said))
}

/// How an output was judged.
fn words(said: &CommandVerdict) -> String {
    match (&said.why, said.value) {
        (Some(why), _) => format!("the --metric-command gave no answer: {why}"),
        (None, Some(value)) => format!("judged by --metric-command: {}", number(value.0)),
        (None, None) => "judged by --metric-command".to_string(),
    }
}

/// Outputs that diverge by what they are judged by, though every element is within the tolerance.
fn within_tolerance(lab: &Lab, outputs: &[Output], results: &[TensorResult]) -> Vec<String> {
    let judged = outputs.iter().zip(results).filter(|(_, result)| result.status == Status::Diverges);
    let within = judged.filter(|(output, _)| {
        let pairs = output.pairs.iter().filter_map(|(r, c)| r.zip(*c));
        pairs.into_iter().all(|(r, c)| lab.rules.judge_strictly(output.name, r, c).status == Status::Agrees)
    });
    within.map(|(output, _)| output.name.clone()).collect()
}

/// Names that fit no output are a mistake.
fn unused_labels(lab: &Lab, decisions: &[Decisions]) -> Option<Note> {
    let named =
        |told: &Decisions| told.asked && (told.kind == DecisionKind::Labels || !lab.rules.metrics.ranks(&told.output));
    let classes = lab.rules.labels.last_key_value().map(|(last, _)| *last as usize + 1)?;
    (!decisions.iter().any(named)).then_some(Note::UnusedLabels(classes))
}

/// From the survey's run where that was one of the reference, else from a run of its own.
fn right(lab: &Lab, values: &Values, counts: &mut Counts) -> Result<Vec<Tensors>, RunError> {
    let graph = &lab.reference.graph;
    let known = |name: &String| values.reference.get(&graph.tensor(name)?).filter(|v| v.iter().all(Option::is_some));
    if !values.reference.is_empty() && lab.outputs.iter().all(|o| known(o).is_some()) {
        let samples = (0..lab.feeds.len()).map(|sample| {
            let value = |o: &String| Some((o.clone(), known(o)?.get(sample)?.clone()?));
            lab.outputs.iter().filter_map(value).collect()
        });
        return Ok(samples.collect());
    }
    let right = lab.reference.run(&inner(&lab.reference, &lab.outputs), &lab.feeds, &lab.outputs)?;
    counts.reference_runs += 1;
    Ok(right)
}
