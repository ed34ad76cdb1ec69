//! What the reference makes of the candidate's wrong values: it is fed with them in place of what its own nodes make there, and
//! all that is computed from them is compared with what is right. So it is foreseen where their errors go, where they are lost
//! and where they grow again, without a run of the candidate. A forecast chooses what to measure, and is no measurement.

use std::time::Instant;

use super::Probe;
use super::explained::feed;
use super::journal::Look;
use super::pairs::Asked;
use super::values::by_tensor;
use crate::found::TensorResult;
use crate::mark::Types;
use crate::precision;
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::{Tensor, Tensors};

impl Probe<'_> {
    /// By tensor: agrees, diverges, or neither, if these (which were measured) were all that is wrong in the candidate. `None`
    /// for what is not computed from them. No forecast at all where the reference cannot be run so.
    pub fn forecast(&mut self, wrong: &[usize]) -> Result<Option<Vec<Option<Answer>>>, RunError> {
        let wrong = sorted(wrong);
        let results = match self.ledger.earlier.take(&wrong, &wrong) {
            Some(look) => Some(look.tensors),
            None => self.foreseen(&wrong)?,
        };
        let Some(results) = results else { return Ok(None) };
        let mut answers = vec![None; self.lab.tensors()];
        for result in results {
            if let Some(tensor) = self.lab.reference.graph.tensor(&result.name) {
                answers[tensor] = Some(result.status.into());
            }
        }
        wrong.iter().for_each(|&t| answers[t] = Some(Answer::Bad));
        Ok(Some(answers))
    }

    /// Did an earlier run foresee it?
    pub fn is_foreseen(&self, wrong: &[usize]) -> bool {
        let wrong = sorted(wrong);
        self.ledger.earlier.knows(&wrong, &wrong)
    }

    fn foreseen(&mut self, wrong: &[usize]) -> Result<Option<Vec<TensorResult>>, RunError> {
        let lab = self.lab;
        let main = |t: &usize| lab.reference.graph.producer(*t).scope.is_empty();
        if !lab.reference.runs() || wrong.is_empty() || !wrong.iter().all(main) {
            return Ok(None);
        }
        self.values_of(wrong)?;
        let Some(fed) = self.fed(wrong) else { return Ok(None) };
        let started = Instant::now();
        let mut below = vec![false; lab.tensors()];
        wrong.iter().for_each(|&t| below[t] = true);
        for tensor in 0..below.len() {
            below[tensor] |= lab.reference.graph.parents(tensor).iter().any(|&p| below[p]);
        }
        let asked = lab.comparable((0..below.len()).filter(|&t| below[t] && !wrong.contains(&t)));
        let mut results = Vec::new();
        for batch in self.in_memory(&asked) {
            match self.foreseen_of(batch, &fed)? {
                Some(more) => results.extend(more),
                None => return Ok(None),
            }
        }
        if self.ledger.journal.is_kept() {
            self.ledger.journal.look(Look {
                asked: wrong.to_vec(),
                explained: wrong.to_vec(),
                seconds: started.elapsed().as_secs_f64(),
                tensors: results.clone(),
                ..Look::default()
            });
        }
        Ok(Some(results))
    }

    /// The candidate's values under the reference's names, by sample; `None` where one is not at hand.
    fn fed(&self, wrong: &[usize]) -> Option<Vec<(String, Vec<Tensor>)>> {
        let lab = self.lab;
        let mut fed = Vec::new();
        for (tensor, pair) in lab.comparable(wrong.iter().copied()) {
            let samples = 0..lab.feeds.len();
            let typed = |sample: usize| {
                let (right, wrong) = (self.reference_value(tensor, sample)?, self.candidate_value(tensor, sample)?);
                let same = right.dtype == wrong.dtype;
                let value = if same { wrong.clone() } else { precision::cast(wrong, right.dtype)? };
                (value.shape == right.shape).then_some(value)
            };
            let values: Vec<Tensor> = samples.map(typed).collect::<Option<_>>()?;
            for name in [pair.reference, tensor].map(|t| lab.reference.graph.tensors[t].key.clone()) {
                if fed.iter().all(|(other, _)| *other != name) {
                    fed.push((name, values.clone()));
                }
            }
        }
        (!fed.is_empty()).then_some(fed)
    }

    /// Cut so that both values of all of a batch fit into memory.
    fn in_memory<'a>(&self, asked: &'a [Asked]) -> Vec<&'a [Asked]> {
        let size =
            |(tensor, _): &Asked| 2 * self.lab.feeds.len() as u64 * self.lab.survey.size(self.lab.key(*tensor)) as u64;
        let mut batches = Vec::new();
        let (mut from, mut bytes) = (0, 0);
        for (at, one) in asked.iter().enumerate() {
            if bytes + size(one) > self.lab.memory && at > from {
                batches.push(&asked[from..at]);
                (from, bytes) = (at, 0);
            }
            bytes += size(one);
        }
        batches.push(&asked[from..]);
        batches
    }

    fn foreseen_of(
        &mut self,
        asked: &[Asked],
        fed: &[(String, Vec<Tensor>)],
    ) -> Result<Option<Vec<TensorResult>>, RunError> {
        let needed: Vec<usize> = asked.iter().map(|(_, pair)| pair.reference).collect();
        if needed.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if needed.iter().any(|t| !self.values.reference.contains_key(t)) {
            self.run_reference(&needed)?;
        }
        let lab = self.lab;
        let side = &lab.reference;
        let mut model = side.marked(&needed);
        let (mut types, mut feeds): (Types, Vec<Tensors>) = (side.types.clone(), lab.feeds.clone());
        for (name, values) in fed {
            let Some(main) = model.graph.as_mut() else { return Ok(None) };
            feed(main, name, values);
            types.extend(values.first().map(|value| (name.clone(), value.dtype)));
            feeds.iter_mut().zip(values).for_each(|(feed, value)| drop(feed.insert(name.clone(), value.clone())));
        }
        self.ledger.counts.reference_runs += 1;
        let values = match side.run_model(&model, &types, &feeds, &side.graph.keys(&needed)) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => return Ok(None),
            Ok(values) => by_tensor(&side.graph, values),
        };
        let nothing = Vec::new();
        let result = |(tensor, pair): &Asked| {
            let seen = values.get(&pair.reference).unwrap_or(&nothing);
            let samples = 0..lab.feeds.len();
            let right: Vec<_> = samples.clone().map(|s| self.reference_value(*tensor, s)).collect();
            let seen: Vec<_> = samples.map(|s| seen.get(s).and_then(Option::as_ref)).collect();
            let verdict = |s: usize, r: &Tensor| Some(lab.rules.judge(lab.key(*tensor), r, seen.get(s).copied()??));
            lab.result(*tensor, &right, &seen, verdict)
        };
        Ok(Some(asked.iter().map(result).collect()))
    }
}

fn sorted(tensors: &[usize]) -> Vec<usize> {
    let mut tensors = tensors.to_vec();
    tensors.sort_unstable();
    tensors
}

#[cfg(test)]
mod tests;
