//! One experiment after another: what is known already is answered, what is not is looked at, and what was seen is written
//! down.

use std::time::Instant;

use super::journal::Look;
use super::pairs::{Asked, numbers};
use super::{Probe, fixed};
use crate::found::{Measured, Note};
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensor;

impl Probe<'_> {
    /// What needs no run of the model: tensors that cannot be compared or were not computed, and those that depend on no
    /// input. `None` is to be measured.
    pub fn known(&mut self) -> Vec<Option<Answer>> {
        let lab = self.lab;
        // Where every value is at hand already, nothing is gained by computing some of them apart.
        let (mine, theirs) = match self.values.ahead.everything {
            Some(_) => Default::default(),
            None => (fixed::values(&lab.reference), fixed::values(&lab.candidate)),
        };
        for tensor in 0..lab.tensors() {
            if !self.results.is_open(tensor) {
                continue;
            }
            if !self.results.ran(tensor) {
                self.results.set(tensor, lab.not_compared(tensor, "its branch did not run"));
                continue;
            }
            match &lab.pairs[tensor] {
                Err(why) => self.results.set(tensor, lab.not_compared(tensor, why)),
                Ok(pair) => {
                    if let (Some(r), Some(c)) = (mine.get(&pair.reference), theirs.get(&pair.candidate)) {
                        let verdict = |_, r: &Tensor| Some(lab.rules.judge(lab.key(tensor), r, c));
                        self.results.set(tensor, lab.result(tensor, &[Some(r)], &[Some(c)], verdict));
                        self.values.fixed.insert(tensor, (r.clone(), c.clone()));
                    }
                }
            }
        }
        self.results.answers()
    }

    /// Runs both sides with these tensors marked, compares them, and answers in the same order.
    pub fn measure(&mut self, tensors: &[usize]) -> Result<Vec<Answer>, RunError> {
        let asked = self.open(tensors);
        if !asked.is_empty() {
            match self.ledger.earlier.take(&numbers(&asked), &[]) {
                // Every value is at hand already: nothing is gained by doing without.
                Some(_) if self.values.ahead.everything.is_some() => drop(self.measure_now(&asked)?),
                Some(look) => self.take_over(look),
                None => self.measure_rest(tensors)?,
            }
        }
        Ok(tensors.iter().map(|t| self.results.answer(*t).unwrap_or(Answer::Unknown)).collect())
    }

    /// What no earlier run measured, into the journal.
    fn measure_rest(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        if self.values.ahead.everything.is_none() {
            self.take_over_parts(&self.open(tensors));
        }
        let asked = self.open(tensors);
        if asked.is_empty() {
            return Ok(());
        }
        let look = self.measure_now(&asked)?;
        self.ledger.journal.look(look);
        Ok(())
    }

    fn measure_now(&mut self, asked: &[Asked]) -> Result<Look, RunError> {
        let (started, before) = (Instant::now(), self.ledger.counts.candidate_runs);
        let open: Vec<usize> = (0..self.lab.tensors()).filter(|t| self.results.is_open(*t)).collect();
        self.look(asked)?;
        self.values.save(self.lab, asked);
        let measured: Vec<usize> = open.into_iter().filter(|t| !self.results.is_open(*t)).collect();
        let absent = self.note_absent(measured.iter().copied());
        let asked = numbers(asked);
        let learnt = self.learnt(&asked, before);
        let tensors = match self.ledger.journal.is_kept() {
            true => measured.iter().filter_map(|t| self.results.get(*t).cloned()).collect(),
            false => Vec::new(),
        };
        Ok(Look { asked, seconds: started.elapsed().as_secs_f64(), tensors, absent, learnt, ..Look::default() })
    }

    /// Those that were not measured yet and can be.
    pub(super) fn open(&self, tensors: &[usize]) -> Vec<Asked> {
        self.lab.comparable(tensors.iter().copied().filter(|t| self.results.is_open(*t)))
    }

    /// Everything that was measured by now, and what it cost.
    pub fn measured(&self) -> Measured {
        let engine = self.lab.candidate.is_engine();
        let word = |way: &crate::run::Observe| format!("{way:?}").to_lowercase();
        let copied = self.sight.unjudged.clone().map(Note::Copied);
        let perturbed = match (self.ledger.counts.perturbed, self.sight.disturbed) {
            (false, _) => None,
            (true, 0) => Some(Note::Perturbed),
            (true, builds) => Some(Note::Disturbed(builds)),
        };
        Measured {
            tensors: self.results.all().cloned().collect(),
            counts: self.ledger.counts.clone(),
            observed: if engine { self.sight.ways.iter().map(word).collect() } else { Vec::new() },
            times: None,
            notes: copied.into_iter().chain(perturbed).collect(),
        }
    }
}
