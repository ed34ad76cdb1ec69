//! The runs: both sides with tensors marked, side by side, and what is kept of their values. Compares nothing.

use std::collections::{BTreeSet, HashMap};
use std::thread;

use super::first::CANDIDATE;
use super::pairs::Asked;
use super::values::by_tensor;
use super::{Lab, Probe};
use crate::run::{Observe, RunError, join};

impl Probe<'_> {
    /// What the candidate is asked for with these tensors of its own marked: the final outputs tell whether that changed it.
    pub(super) fn wanted(&self, theirs: &[usize]) -> Vec<String> {
        let mut wanted = self.lab.candidate.graph.keys(theirs);
        let finals = self.finals.unmarked.first().into_iter().flat_map(|outputs| outputs.keys());
        let more: Vec<String> = finals.filter(|f| !wanted.contains(f)).cloned().collect();
        wanted.extend(more);
        wanted
    }

    /// The reference's tensors behind what is asked for whose values are not known, each once.
    pub(super) fn missing<'t>(&self, asked: impl IntoIterator<Item = &'t Asked>) -> Vec<usize> {
        let mine = asked.into_iter().map(|(_, pair)| pair.reference);
        let missing: BTreeSet<usize> = mine.filter(|t| !self.values.reference.contains_key(t)).collect();
        missing.into_iter().collect()
    }

    /// Fills `values` for these tensors: the reference where it is not known yet, the candidate always. Gives back why the
    /// candidate's values say nothing about its unmarked self, if they do not.
    pub(super) fn run_marked(&mut self, asked: &[Asked], way: Observe) -> Result<Option<String>, RunError> {
        let Lab { reference: mine, candidate: other, feeds, .. } = self.lab;
        let theirs: &[usize] = &asked.iter().map(|(_, p)| p.candidate).collect::<Vec<_>>();
        let missing = self.missing(asked);
        let wanted = self.wanted(theirs);
        let ran = self.values.ahead.everything.take().or_else(|| self.take_ahead(theirs, way));
        let (reference, candidate) = thread::scope(|scope| {
            let theirs = scope.spawn(|| match ran {
                Some(answer) => answer,
                None => other.see(theirs, feeds, &wanted, way).map(|answer| answer.values),
            });
            let own = (!missing.is_empty()).then(|| mine.run(&missing, feeds, &self.wanted_of_reference(&missing)));
            (own.transpose(), join(theirs, CANDIDATE))
        });
        let reference = reference?;
        self.ledger.counts.reference_runs += usize::from(reference.is_some());
        let moved = reference.as_ref().and_then(|values| self.reference_disturbance(values));
        let reference = reference.filter(|_| moved.is_none()).map(|mut values| {
            let keys = mine.graph.keys(&missing);
            values.iter_mut().for_each(|values| values.retain(|name, _| keys.contains(name)));
            by_tensor(&mine.graph, values)
        });
        self.ledger.counts.candidate_builds += 1;
        self.ledger.counts.candidate_runs += 1;
        let (candidate, disturbance) = match candidate {
            Ok(values) => {
                let disturbance = self.disturbance(&values);
                (values, disturbance)
            }
            // The unmarked engine was built and ran: it is the marks that this one cannot bear.
            Err(e) if other.fuses() && e != RunError::Interrupted => (Vec::new(), Some(format!("with it marked, {e}"))),
            Err(e) => return Err(e),
        };
        self.values.keep(reference, by_tensor(&other.graph, candidate));
        self.sight.reference_moved = disturbance.is_none() && moved.is_some();
        Ok(disturbance.or(moved))
    }

    /// What the reference is asked for with these tensors of its own marked; where that may change it, its final outputs too.
    fn wanted_of_reference(&self, missing: &[usize]) -> Vec<String> {
        let mine = &self.lab.reference;
        let mut wanted = mine.graph.keys(missing);
        let finals = self.lab.outputs.iter().filter(|_| mine.fuses());
        let more: Vec<String> = finals.filter(|name| !wanted.contains(name)).cloned().collect();
        wanted.extend(more);
        wanted
    }

    /// Runs the reference for these tensors, however many of them are known: what is kept fits into memory together.
    pub(super) fn run_reference(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        let Lab { reference, feeds, .. } = self.lab;
        let values = reference.run(tensors, feeds, &reference.graph.keys(tensors))?;
        self.ledger.counts.reference_runs += 1;
        self.values.keep(Some(by_tensor(&reference.graph, values)), HashMap::new());
        Ok(())
    }

    /// Reference and candidate values of these tensors, by sample, measured again where they were forgotten.
    pub fn values_of(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        let pairs = self.lab.comparable(tensors.iter().copied().filter(|t| !self.values.fixed.contains_key(t)));
        // An engine is not built once more for what may be forgotten or was never seen by any run.
        let engine = self.lab.candidate.fuses();
        if engine {
            self.see_again(tensors)?;
        }
        let known = |(_, p): &Asked| {
            let candidate = engine || self.values.candidate.contains_key(&p.candidate);
            self.values.reference.contains_key(&p.reference) && candidate
        };
        if pairs.iter().all(known) {
            return Ok(());
        }
        match engine {
            true => self.run_reference(&pairs.iter().map(|(_, p)| p.reference).collect::<Vec<_>>()),
            false => self.run_marked(&pairs, Observe::Outputs).map(drop),
        }
    }
}
