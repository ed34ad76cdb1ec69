//! The model's own outputs from unmarked runs: the verdict, before anything is marked.

use super::first::inner;
use super::worst::worst;
use super::{Lab, Values};
use crate::found::{Counts, TensorResult};
use crate::run::{Built, RunError};
use crate::tensor::Tensors;

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
        let results = lab.outputs.iter().map(|name| judged(lab, name, (&right, &unmarked), values)).collect();
        Ok(Finals { right, unmarked, built, results })
    }
}

/// Output `name` over all samples.
pub(super) fn judged(
    lab: &Lab,
    name: &str,
    (right, unmarked): (&[Tensors], &[Tensors]),
    values: &Values,
) -> TensorResult {
    let pairs: Vec<_> = right.iter().zip(unmarked).map(|(r, c)| (r.get(name), c.get(name))).collect();
    let graph = &lab.reference.graph;
    let node = graph.tensor(name).map(|t| graph.producer(t).name.clone()).unwrap_or_default();
    let references: Vec<_> = pairs.iter().map(|(r, _)| *r).collect();
    let tensor = graph.tensor(name);
    worst(name, node, &references, |sample, r| {
        let c = pairs[sample].1?;
        let verdict = match tensor {
            Some(tensor) => lab.judged(tensor, sample, (r, c), values),
            None => lab.rules.judge(name, r, c),
        };
        Some(lab.rules.conclude_output(name, r, c, verdict))
    })
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
