//! A marked run of a candidate that compares its values where they lie: the reference runs first, its values go along, and only
//! what differs comes back.

use std::collections::HashMap;

use super::values::by_tensor;
use super::{Pair, Probe};
use crate::compare::Comparison;
use crate::run::{Against, Judged, RunError};
use crate::tensor::Tensors;

impl Probe<'_> {
    /// Will the next marked run be compared by the candidate itself? Not where every value is wanted, or was computed ahead.
    pub(super) fn is_compared(&self) -> bool {
        self.candidate.compares() && self.saved.is_none() && self.everything.is_none() && self.ahead.is_empty()
    }

    /// As `run_marked`; what the candidate compared is in `judged`.
    pub(super) fn run_compared(&mut self, asked: &[(usize, Pair)]) -> Result<Option<String>, RunError> {
        let missing = self.missing(asked);
        if !missing.is_empty() {
            self.run_reference(&missing)?;
        }
        let tensors: Vec<usize> = asked.iter().map(|(_, p)| p.candidate).collect();
        let wanted = self.wanted(&tensors);
        let answer = self.candidate.run_against(&tensors, self.feeds, &wanted, &self.against(asked))?;
        self.counts.candidate_builds += 1;
        self.counts.candidate_runs += 1;
        let disturbance = self.disturbance(&answer.values);
        self.judged = self.by_candidate(answer.judged);
        self.unjudged = self.unjudged.take().or(answer.unjudged);
        self.values.keep(None, by_tensor(&self.candidate.graph, answer.values), self.memory);
        Ok(disturbance)
    }

    /// The reference's values under the candidate's names.
    fn against(&self, asked: &[(usize, Pair)]) -> Against {
        let of_sample = |sample: usize| {
            let mut values = Tensors::new();
            let mut tolerances = HashMap::new();
            for (tensor, pair) in asked {
                let value = self.values.reference.get(&pair.reference).and_then(|v| v.get(sample)?.as_ref());
                let Some(value) = value else { continue };
                let name = &self.candidate.graph.tensors[pair.candidate].key;
                let rule = &self.reference.graph.tensors[*tensor].key;
                tolerances.insert(name.clone(), self.rules.tolerance(rule, value));
                values.insert(name.clone(), value.clone());
            }
            (values, tolerances)
        };
        let (reference, tolerance) = (0..self.feeds.len()).map(of_sample).unzip();
        Against { reference, tolerance }
    }

    fn by_candidate(&self, judged: Vec<Judged>) -> HashMap<usize, Vec<Option<Comparison>>> {
        let mut by_tensor = HashMap::new();
        let samples = judged.len();
        for (sample, comparisons) in judged.into_iter().enumerate() {
            for (name, comparison) in comparisons {
                if let Some(tensor) = self.candidate.graph.tensor(&name) {
                    by_tensor.entry(tensor).or_insert_with(|| vec![None; samples])[sample] = Some(comparison);
                }
            }
        }
        by_tensor
    }
}
