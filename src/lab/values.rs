//! Values that were measured: kept by tensor and sample while memory allows.

use std::collections::HashMap;

use crate::graph::Graph;
use crate::tensor::{Tensor, Tensors};

/// Measured values by tensor of a graph, one a sample.
pub type BySample = HashMap<usize, Vec<Option<Tensor>>>;

/// What was measured lately, of each side's own graph. The culprits are run alone on it.
#[derive(Default)]
pub struct Values {
    pub reference: BySample,
    pub candidate: BySample,
}

impl Values {
    /// Adds new values, and lets the older ones go where all together would take more than `memory` bytes.
    pub fn keep(&mut self, reference: Option<BySample>, candidate: BySample, memory: u64) {
        let bytes =
            |values: &BySample| -> u64 { values.values().flatten().flatten().map(|t| t.bytes().len() as u64).sum() };
        let new = bytes(&candidate) + reference.as_ref().map_or(0, bytes);
        if bytes(&self.reference) + bytes(&self.candidate) + new > memory {
            self.candidate.clear();
            if reference.is_some() {
                self.reference.clear();
            }
        }
        self.reference.extend(reference.into_iter().flatten());
        self.candidate.extend(candidate);
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
