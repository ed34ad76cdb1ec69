//! Which tensors of the two graphs are one and the same, and which have no counterpart. Runs nothing.

use super::Probe;
use crate::mark;
use crate::tensor::DType;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub reference: usize,
    pub candidate: usize,
}

impl Probe<'_> {
    pub(super) fn pair(&self, tensor: usize) -> Result<Pair, String> {
        let (mine, theirs) = (&self.reference.graph, &self.candidate.graph);
        let key = &mine.tensors[tensor].key;
        if !self.reference.stores(key) {
            return Err("the reference has no value for it".to_string());
        }
        let Some(candidate) = mark::counterpart(theirs, key) else {
            return Err("it exists in the reference model only".to_string());
        };
        // A quantised candidate of a model that is quantised itself: both are seen behind the quantizer.
        let quantised = theirs.tensor(key) != Some(candidate);
        let reference = mark::behind_quantizer(mine, tensor).filter(|_| quantised).unwrap_or(tensor);
        if !self.survey.types.contains_key(&mine.tensors[reference].key) {
            return Err("it is not a tensor, or its element type is unknown".to_string());
        }
        if self.candidate.is_engine() && self.survey.types.get(key) == Some(&DType::Bool) {
            return Err("an engine has no bool among its outputs".to_string());
        }
        if !self.candidate.stores(&theirs.tensors[candidate].key) {
            return Err("the candidate has no value for it".to_string());
        }
        Ok(Pair { reference, candidate })
    }

    /// What stands for `tensor` in the candidate's graph.
    pub fn counterpart(&self, tensor: usize) -> Option<usize> {
        self.pairs[tensor].as_ref().ok().map(|p| p.candidate)
    }
}
