//! What a node cut out of one side is fed with: values that were measured, in the side's own names and element types.

use super::{Lab, Probe, Side};
use crate::precision;
use crate::run::RunError;
use crate::tensor::Tensor;

/// Whose values a node is fed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feed {
    /// The reference's: what the node gives is its local error.
    Reference,
    /// The candidate's own: what the node gives is what it gave in the whole model.
    Candidate,
}

impl Lab {
    /// The tensor of the reference whose value may be fed for `key` of `side`'s graph.
    pub fn stands_for(&self, side: &Side, key: &str) -> Option<usize> {
        // A quantised candidate reads `t_dq` where the reference has `t`.
        let graph = &self.reference.graph;
        let measured = |t: &usize| self.counterpart(*t).is_some();
        let own = graph.tensor(key).filter(measured);
        // The reference's own names mean what they say.
        if std::ptr::eq(side, &self.reference) {
            return own;
        }
        own.or_else(|| {
            let theirs = side.graph.tensor(key)?;
            (0..graph.tensors.len()).find(|t| self.counterpart(*t) == Some(theirs))
        })
    }
}

impl Probe<'_> {
    /// The value to feed for `key` of the side's graph: a model input, or what was measured for the tensor of that name.
    pub fn value_at(&self, side: &Side, key: &str, sample: usize, feed: Feed) -> Option<Tensor> {
        if let Some(input) = self.lab.feeds.get(sample)?.get(key) {
            return Some(input.clone());
        }
        let tensor = self.lab.stands_for(side, key)?;
        let value = match feed {
            Feed::Reference => self.reference_value(tensor, sample),
            Feed::Candidate => self.candidate_value(tensor, sample),
        }?;
        // An FP16 file holds in half precision what the reference holds in single.
        match side.types.get(key) {
            Some(dtype) if *dtype != value.dtype => precision::cast(value, *dtype),
            _ => Some(value.clone()),
        }
    }

    /// Makes sure that the reference's values for these keys of `side`'s graph are at hand. Runs the reference at most once;
    /// what still has no value then has none.
    pub fn fetch(&mut self, side: &Side, keys: &[String]) -> Result<(), RunError> {
        let wanted = keys.iter().filter_map(|key| self.lab.stands_for(side, key));
        let pairs = self.lab.comparable(wanted.filter(|t| !self.values.fixed.contains_key(t)));
        if pairs.iter().all(|(_, p)| self.values.reference.contains_key(&p.reference)) {
            return Ok(());
        }
        let tensors: Vec<usize> = pairs.iter().map(|(_, p)| p.reference).collect();
        self.run_reference(&tensors)
    }
}
