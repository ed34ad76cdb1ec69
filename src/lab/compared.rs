//! A marked run of a candidate that compares its values where they lie: the reference runs first, its values go along, and only
//! what differs comes back.

use std::collections::HashMap;

use super::pairs::Asked;
use super::results::Judged;
use super::values::by_tensor;
use super::{Lab, Probe};
use crate::run::{Against, RunError};
use crate::tensor::Tensors;

impl Probe<'_> {
    /// Will the next marked run be compared by the candidate itself? Not where every value is wanted, or was computed ahead.
    pub(super) fn is_compared(&self) -> bool {
        self.lab.candidate.compares() && !self.values.saves() && self.values.ahead.is_empty()
    }

    /// As `run_marked`; what the candidate compared comes along.
    pub(super) fn run_compared(&mut self, asked: &[Asked]) -> Result<(Option<String>, Judged), RunError> {
        let lab = self.lab;
        let missing = self.missing(asked);
        if !missing.is_empty() {
            self.run_reference(&missing)?;
        }
        let tensors: Vec<usize> = asked.iter().map(|(_, p)| p.candidate).collect();
        let wanted = self.wanted(&tensors);
        let answer = lab.candidate.run_against(&tensors, &lab.feeds, &wanted, &self.against(asked))?;
        self.ledger.counts.candidate_builds += 1;
        self.ledger.counts.candidate_runs += 1;
        let disturbance = self.disturbance(&answer.values);
        self.sight.unjudged = self.sight.unjudged.take().or(answer.unjudged);
        self.values.keep(None, by_tensor(&lab.candidate.graph, answer.values));
        Ok((disturbance, by_candidate(lab, answer.judged)))
    }

    /// The reference's values under the candidate's names.
    fn against(&self, asked: &[Asked]) -> Against {
        let lab = self.lab;
        let of_sample = |sample: usize| {
            let mut values = Tensors::new();
            let mut tolerances = HashMap::new();
            for (tensor, pair) in asked {
                let value = self.values.reference.get(&pair.reference).and_then(|v| v.get(sample)?.as_ref());
                let Some(value) = value else { continue };
                let name = &lab.candidate.graph.tensors[pair.candidate].key;
                tolerances.insert(name.clone(), lab.rules.tolerance(lab.key(*tensor), value));
                values.insert(name.clone(), value.clone());
            }
            (values, tolerances)
        };
        let (reference, tolerance) = (0..lab.feeds.len()).map(of_sample).unzip();
        Against { reference, tolerance }
    }
}

/// By tensor of the candidate's graph, turned round.
fn by_candidate(lab: &Lab, judged: Vec<crate::run::Judged>) -> Judged {
    let mut by_tensor = Judged::new();
    let samples = judged.len();
    for (sample, comparisons) in judged.into_iter().enumerate() {
        for (name, comparison) in comparisons {
            if let Some(tensor) = lab.candidate.graph.tensor(&name) {
                by_tensor.entry(tensor).or_insert_with(|| vec![None; samples])[sample] = Some(comparison);
            }
        }
    }
    by_tensor
}
