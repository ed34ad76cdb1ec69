//! What an earlier run of the same experiment measured is answered as if it were measured now: in the order in which the
//! search asks, so that it takes the same way and comes to the same end. Values are not kept; what later needs them measures
//! again.

use std::collections::HashMap;

use super::Probe;
use super::journal::Look;
use super::pairs::Asked;
use crate::found::TensorResult;
use crate::run::{Observe, RunError};

/// Looks of an earlier run.
#[derive(Default)]
pub(super) struct Earlier {
    /// Those that were not asked for yet.
    looks: Vec<Look>,
    /// Of an engine, what was marked together in looks that were taken over, and how.
    unseen: Vec<(Vec<usize>, Observe)>,
}

impl Earlier {
    /// `looks` in the order in which they were made.
    pub(super) fn of(looks: Vec<Look>) -> Earlier {
        Earlier { looks, unseen: Vec::new() }
    }

    /// Is there nothing to recall?
    pub(super) fn is_empty(&self) -> bool {
        self.looks.is_empty()
    }

    /// Was there a look at these very tensors?
    pub(super) fn has(&self, asked: &[usize]) -> bool {
        self.knows(asked, &[])
    }

    /// Was there one with these explained?
    pub(super) fn knows(&self, asked: &[usize], explained: &[usize]) -> bool {
        self.looks.iter().any(|look| look.asked == asked && look.explained == explained)
    }

    /// The look at these tensors with those explained.
    pub(super) fn take(&mut self, asked: &[usize], explained: &[usize]) -> Option<Look> {
        let at = self.looks.iter().position(|look| look.asked == asked && look.explained == explained)?;
        Some(self.looks.remove(at))
    }
}

impl Probe<'_> {
    /// Answers as the look did.
    pub(super) fn take_over(&mut self, look: Look) {
        for result in look.tensors {
            if let Some(tensor) = self.lab.reference.graph.tensor(&result.name) {
                self.results.suggest(tensor, result);
            }
        }
        self.results.note_absent(&look.absent);
        let way = self.relearn(&look.asked, look.learnt);
        if self.lab.candidate.fuses() {
            self.ledger.earlier.unseen.extend(way.map(|way| (look.asked, way)));
        }
    }

    /// Where marks disturb nothing, what was marked together does not matter: of `asked`, those are answered that any earlier
    /// look saw. Batches are cut by the memory that is free.
    pub(super) fn take_over_parts(&mut self, asked: &[Asked]) {
        if self.ledger.earlier.is_empty() || self.lab.candidate.fuses() {
            return;
        }
        let mut known: HashMap<&str, (&TensorResult, usize)> = HashMap::new();
        let looks = self.ledger.earlier.looks.iter().enumerate();
        for (number, look) in looks.filter(|(_, look)| look.explained.is_empty()) {
            known.extend(look.tensors.iter().map(|result| (result.name.as_str(), (result, number))));
        }
        let mut used = Vec::new();
        for (tensor, _) in asked {
            if let Some((result, look)) = known.get(self.lab.key(*tensor)) {
                self.results.set(*tensor, (*result).clone());
                used.push(*look);
            }
        }
        used.sort_unstable();
        used.dedup();
        for look in used {
            let Look { asked, absent, learnt, .. } = self.ledger.earlier.looks[look].clone();
            self.results.note_absent(&absent);
            self.relearn(&asked, learnt);
        }
    }

    /// An engine is built again for values that an earlier run saw: around the same tensors, so that it is the same one.
    pub(super) fn see_again(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        let forgotten = |probe: &Self, t: &usize| {
            probe.lab.counterpart(*t).is_some_and(|theirs| !probe.values.candidate.contains_key(&theirs))
        };
        let wanted: Vec<usize> = tensors.iter().copied().filter(|t| forgotten(self, t)).collect();
        let (again, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ledger.earlier.unseen)
            .into_iter()
            .partition(|(asked, _)| wanted.iter().any(|tensor| asked.contains(tensor)));
        self.ledger.earlier.unseen = rest;
        for (asked, way) in again {
            let pairs = self.lab.comparable(asked);
            self.look_marked(&pairs, way)?;
        }
        Ok(())
    }
}
