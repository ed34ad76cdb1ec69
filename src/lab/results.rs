//! Values become results: the verdict on every measured tensor, over all samples. Runs nothing.

use std::collections::HashMap;

use rayon::prelude::*;

use super::worst::worst;
use super::{Pair, Probe};
use crate::compare::Comparison;
use crate::found::{Status, TensorResult};
use crate::tensor::Tensor;

impl Probe<'_> {
    /// Compares the values at hand of these tensors.
    pub(super) fn judge_all(&mut self, tensors: &[(usize, Pair)]) {
        let judged: Vec<(usize, TensorResult)> = tensors
            .par_iter()
            .map(|(tensor, pair)| {
                let nothing = Vec::new();
                let r = self.values.reference.get(&pair.reference).unwrap_or(&nothing);
                let c = self.values.candidate.get(&pair.candidate).unwrap_or(&nothing);
                let samples = 0..self.feeds.len();
                let references: Vec<_> = samples.clone().map(|s| r.get(s).and_then(Option::as_ref)).collect();
                let candidates: Vec<_> = samples.map(|s| c.get(s).and_then(Option::as_ref)).collect();
                let name = &self.reference.graph.tensors[*tensor].key;
                let judged = self.judged.get(&pair.candidate);
                let verdict = |s: usize, right: &Tensor| match judged.and_then(|j| j.get(s)?.clone()) {
                    Some(verdict) => Some(self.rules.settled(name, right, verdict)),
                    None => Some(self.rules.judge(name, right, candidates.get(s).copied().flatten()?)),
                };
                (*tensor, self.result(*tensor, &references, &candidates, verdict))
            })
            .collect();
        for (tensor, result) in judged {
            self.results[tensor] = Some(result);
        }
    }

    pub(super) fn save(&mut self, asked: &[(usize, Pair)]) {
        let Some(saved) = self.saved.as_mut() else { return };
        let first = |values: &HashMap<usize, Vec<Option<Tensor>>>, t: usize| values.get(&t)?.first()?.clone();
        for (tensor, pair) in asked {
            let name = &self.reference.graph.tensors[*tensor].key;
            if let Some(value) = first(&self.values.reference, pair.reference) {
                saved.insert(format!("reference/{name}"), value);
            }
            if let Some(value) = first(&self.values.candidate, pair.candidate) {
                saved.insert(format!("candidate/{name}"), value);
            }
        }
    }

    pub(super) fn not_compared(&self, tensor: usize, why: &str) -> TensorResult {
        let graph = &self.reference.graph;
        let (name, node) = (graph.tensors[tensor].key.clone(), graph.producer(tensor).name.clone());
        let dtype = self.survey.types.get(&name).map_or(String::new(), |d| d.to_string());
        let why = Some(why.to_string());
        TensorResult { name, node, dtype, shape: Vec::new(), status: Status::NotCompared, why, metrics: None }
    }

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
        worst(&graph.tensors[tensor].key, node.name.clone(), references, verdict)
    }
}
