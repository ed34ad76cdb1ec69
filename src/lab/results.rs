//! Values become results: the verdict on every measured tensor, over all samples. Runs nothing.

use std::collections::{HashMap, HashSet};

use rayon::prelude::*;

use super::pairs::Asked;
use super::worst::worst;
use super::{Finals, Lab, Probe, Values};
use crate::compare::{Comparison, Scale};
use crate::found::{Metrics, Status, TensorResult};
use crate::graph::{Read, Source};
use crate::search::Answer;
use crate::tensor::Tensor;

/// What is known of each tensor of the reference's graph.
pub struct Results {
    by_tensor: Vec<Option<TensorResult>>,
    /// Tensors in branches that did not run, or on one side only.
    absent: HashSet<usize>,
}

/// By tensor of the candidate's graph, and sample: what the candidate compared itself, where its values lay.
pub(super) type Judged = HashMap<usize, Vec<Option<Comparison>>>;

impl Results {
    /// Of the final outputs. What is measured unmarked is a fact about the tensor; only a missing value is worth another look.
    pub(super) fn of(lab: &Lab, finals: &Finals) -> Results {
        let mut by_tensor = vec![None; lab.tensors()];
        for result in finals.results.iter().filter(|r| r.status != Status::NotCompared) {
            if let Some(tensor) = lab.reference.graph.tensor(&result.name) {
                by_tensor[tensor] = Some(result.clone());
            }
        }
        Results { by_tensor, absent: HashSet::new() }
    }

    /// What was measured of a tensor, if it was looked at.
    pub fn get(&self, tensor: usize) -> Option<&TensorResult> {
        self.by_tensor[tensor].as_ref()
    }

    /// Its metrics, if it was compared.
    pub fn metrics(&self, tensor: usize) -> Option<&Metrics> {
        self.get(tensor)?.metrics.as_ref()
    }

    /// Has nobody looked at it, or given up to?
    pub fn is_open(&self, tensor: usize) -> bool {
        self.by_tensor[tensor].is_none()
    }

    /// All that were looked at, in topological order.
    pub fn all(&self) -> impl Iterator<Item = &TensorResult> {
        self.by_tensor.iter().flatten()
    }

    /// As the search understands it.
    pub fn answer(&self, tensor: usize) -> Option<Answer> {
        self.get(tensor).map(|r| r.status.into())
    }

    /// By tensor.
    pub fn answers(&self) -> Vec<Option<Answer>> {
        (0..self.by_tensor.len()).map(|t| self.answer(t)).collect()
    }

    /// Did the branch that holds the tensor run on both sides, as far as their values told?
    pub fn ran(&self, tensor: usize) -> bool {
        !self.absent.contains(&tensor)
    }

    /// How many tensors of branches are known not to have run on both sides.
    pub fn absent(&self) -> usize {
        self.absent.len()
    }

    /// In place of what was known of it.
    pub(super) fn set(&mut self, tensor: usize, result: TensorResult) {
        self.by_tensor[tensor] = Some(result);
    }

    /// Unless something is known of it.
    pub(super) fn suggest(&mut self, tensor: usize, result: TensorResult) {
        self.by_tensor[tensor].get_or_insert(result);
    }

    /// Tensors of branches that did not run on both sides.
    pub(super) fn note_absent(&mut self, tensors: &[usize]) {
        self.absent.extend(tensors);
    }
}

impl From<Status> for Answer {
    fn from(status: Status) -> Answer {
        match status {
            Status::Agrees => Answer::Good,
            Status::Diverges => Answer::Bad,
            Status::NotCompared => Answer::Unknown,
        }
    }
}

impl Probe<'_> {
    /// Compares the values at hand of these tensors; what the candidate `judged` itself is believed.
    pub(super) fn judge_all(&mut self, tensors: &[Asked], judged: &Judged) {
        let (lab, values) = (self.lab, &self.values);
        let results: Vec<(usize, TensorResult)> = tensors
            .par_iter()
            .map(|(tensor, pair)| {
                let nothing = Vec::new();
                let r = values.reference.get(&pair.reference).unwrap_or(&nothing);
                let c = values.candidate.get(&pair.candidate).unwrap_or(&nothing);
                let samples = 0..lab.feeds.len();
                let references: Vec<_> = samples.clone().map(|s| r.get(s).and_then(Option::as_ref)).collect();
                let candidates: Vec<_> = samples.map(|s| c.get(s).and_then(Option::as_ref)).collect();
                let (name, judged) = (lab.key(*tensor), judged.get(&pair.candidate));
                let verdict = |s: usize, right: &Tensor| match judged.and_then(|j| j.get(s)?.clone()) {
                    Some(verdict) if verdict.status == Status::Agrees => Some(lab.rules.settled(name, right, verdict)),
                    // Counts do not tell places, nor one piece its parts: what came back is looked at again.
                    known => match candidates.get(s).copied().flatten() {
                        Some(got) => Some(lab.judged(*tensor, s, (right, got), values)),
                        None => known.map(|verdict| lab.rules.settled(name, right, verdict)),
                    },
                };
                (*tensor, lab.result(*tensor, &references, &candidates, verdict))
            })
            .collect();
        for (tensor, result) in results {
            self.results.set(tensor, result);
        }
    }
}

/// Operators that add up: what cancels there leaves the rounding of what was added.
const SUMS: [&str; 9] =
    ["Add", "Sub", "Sum", "Mean", "ReduceMean", "ReduceSum", "AveragePool", "GlobalAveragePool", "CumSum"];

impl Lab {
    /// One tensor of one sample by the tolerance, which for a sum is that of what it adds up, where that is at hand.
    pub(super) fn judged(
        &self,
        tensor: usize,
        sample: usize,
        (right, got): (&Tensor, &Tensor),
        values: &Values,
    ) -> Comparison {
        let verdict = self.rules.judge(self.key(tensor), right, got);
        let node = self.reference.graph.producer(tensor);
        if verdict.status != Status::Diverges || !SUMS.contains(&node.op_type.as_str()) {
            return verdict;
        }
        let term = |read: &Read| match read.source {
            Source::Tensor(t) => values.reference.get(&t)?.get(sample)?.as_ref(),
            Source::Input => self.feeds.get(sample)?.get(&read.name),
            Source::Initializer => None,
        };
        let sizes = node.reads.iter().filter_map(term).filter(|t| t.dtype.is_float()).map(|t| Scale::of(t).rms);
        let largest = sizes.fold(0.0, f64::max);
        self.rules.judge_sum(self.key(tensor), right, got, largest)
    }

    /// A result without numbers.
    pub(super) fn not_compared(&self, tensor: usize, why: &str) -> TensorResult {
        let graph = &self.reference.graph;
        let (name, node) = (graph.tensors[tensor].key.clone(), graph.producer(tensor).name.clone());
        let dtype = self.survey.types.get(&name).map_or(String::new(), |d| d.to_string());
        let why = Some(why.to_string());
        TensorResult { name, node, dtype, shape: Vec::new(), status: Status::NotCompared, why, metrics: None }
    }

    /// Of all samples, the worst one's numbers. `verdict` compares those of one sample; `None` where it has no answer.
    pub(super) fn result(
        &self,
        tensor: usize,
        references: &[Option<&Tensor>],
        candidates: &[Option<&Tensor>],
        verdict: impl Fn(usize, &Tensor) -> Option<Comparison>,
    ) -> TensorResult {
        let graph = &self.reference.graph;
        let node = graph.producer(tensor);
        let absent = |t: &Option<&Tensor>| t.is_some_and(|t| t.elements() == 0);
        if !node.scope.is_empty() && references.iter().chain(candidates).all(absent) {
            return self.not_compared(tensor, "its branch did not run");
        }
        let sides = |s: usize| Some((references.get(s)?.as_ref()?, candidates.get(s)?.as_ref()?));
        let one_side = |s: usize| sides(s).is_some_and(|(r, c)| (r.elements() == 0) != (c.elements() == 0));
        let one_side = |s: usize| !node.scope.is_empty() && one_side(s);
        let both = |s: usize, right: &Tensor| verdict(s, right).filter(|_| !one_side(s));
        let result = worst(&graph.tensors[tensor].key, node.name.clone(), references, both);
        // The branch that was not taken has no value: that is the condition's doing, and no difference of shape.
        match result.status != Status::Diverges && (0..references.len()).any(one_side) {
            true => self.not_compared(tensor, "its branch ran on one side only"),
            false => result,
        }
    }
}
