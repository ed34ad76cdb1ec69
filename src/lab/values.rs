//! Values that were measured: kept by tensor and sample while memory allows.

use std::collections::HashMap;

use super::Lab;
use super::pairs::Asked;
use crate::graph::Graph;
use crate::run::RunError;
use crate::tensor::{Tensor, Tensors};

/// Measured values by tensor of a graph, one a sample.
pub type BySample = HashMap<usize, Vec<Option<Tensor>>>;

/// What was measured lately, of each side's own graph. The culprits are run alone on it.
#[derive(Default)]
pub struct Values {
    /// By tensor of the reference's graph.
    pub(super) reference: BySample,
    /// By tensor of the candidate's graph.
    pub(super) candidate: BySample,
    /// Values that depend on no input, by tensor of the lab: the reference's, the candidate's.
    pub(super) fixed: HashMap<usize, (Tensor, Tensor)>,
    /// Runs of the candidate that nobody has asked for yet.
    pub(super) ahead: Ahead,
    /// Bytes that may be held.
    budget: u64,
    /// What is kept for the user, under `reference/NAME` and `candidate/NAME`; `None` where nothing is.
    saved: Option<Tensors>,
}

impl Values {
    /// None yet. `save`: what is compared is kept, of the first sample.
    pub fn of(lab: &Lab, save: bool) -> Values {
        Values { budget: lab.memory, saved: save.then(Tensors::default), ..Values::default() }
    }

    /// All values of the reference, which fit.
    pub(super) fn hold_reference(&mut self, graph: &Graph, values: Vec<Tensors>) {
        self.reference = by_tensor(graph, values);
    }

    /// Adds new values, and lets the older ones go where all together would take more than the budget.
    pub(super) fn keep(&mut self, reference: Option<BySample>, candidate: BySample) {
        let bytes =
            |values: &BySample| -> u64 { values.values().flatten().flatten().map(|t| t.bytes().len() as u64).sum() };
        let new = bytes(&candidate) + reference.as_ref().map_or(0, bytes);
        if bytes(&self.reference) + bytes(&self.candidate) + new > self.budget {
            self.candidate.clear();
            if reference.is_some() {
                self.reference.clear();
            }
        }
        self.reference.extend(reference.into_iter().flatten());
        self.candidate.extend(candidate);
    }

    /// Is what is compared kept?
    pub(super) fn saves(&self) -> bool {
        self.saved.is_some()
    }

    /// What was kept for the user; it is handed over.
    pub fn take_saved(&mut self) -> Option<Tensors> {
        self.saved.take()
    }

    /// The final outputs of the first sample.
    pub(super) fn save_outputs(&mut self, right: &Tensors, unmarked: &Tensors, outputs: &[String]) {
        for name in outputs {
            if let (Some(r), Some(c)) = (right.get(name), unmarked.get(name)) {
                self.save_as("reference", name, r.clone());
                self.save_as("candidate", name, c.clone());
            }
        }
    }

    /// The first sample's values of these tensors, for `--save-tensors`.
    pub(super) fn save(&mut self, lab: &Lab, asked: &[Asked]) {
        let first = |values: &BySample, t: usize| values.get(&t)?.first()?.clone();
        for (tensor, pair) in asked {
            let of_reference = first(&self.reference, pair.reference);
            let of_candidate = first(&self.candidate, pair.candidate);
            of_reference.into_iter().for_each(|value| self.save_as("reference", lab.key(*tensor), value));
            of_candidate.into_iter().for_each(|value| self.save_as("candidate", lab.key(*tensor), value));
        }
    }

    fn save_as(&mut self, side: &str, name: &str, value: Tensor) {
        if let Some(saved) = self.saved.as_mut() {
            saved.insert(format!("{side}/{name}"), value);
        }
    }
}

/// Runs of the candidate that were made before anybody asked for them. Each is taken once.
#[derive(Default)]
pub(super) struct Ahead {
    /// All values of the candidate, where they were computed beside the first runs.
    pub everything: Option<Result<Vec<Tensors>, RunError>>,
    /// By marked tensors (numbers in the candidate's graph): what such a build and its runs gave.
    pub builds: HashMap<Vec<usize>, Result<Vec<Tensors>, RunError>>,
}

impl Ahead {
    /// Is there nothing that was run ahead?
    pub fn is_empty(&self) -> bool {
        self.everything.is_none() && self.builds.is_empty()
    }
}

/// One run's outputs, sample by sample, turned round: by tensor of `graph`.
pub fn by_tensor(graph: &Graph, samples: Vec<Tensors>) -> BySample {
    let mut values = BySample::new();
    let count = samples.len();
    for (sample, tensors) in samples.into_iter().enumerate() {
        for (name, value) in tensors {
            if let Some(tensor) = graph.tensor(&name) {
                values.entry(tensor).or_insert_with(|| vec![None; count])[sample] = Some(value);
            }
        }
    }
    values
}
