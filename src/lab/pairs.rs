//! Which tensors of the two graphs are one and the same, and which have no counterpart. Runs nothing.

use super::{Side, Survey};
use crate::mark;
use crate::tensor::DType;

/// A tensor in both graphs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    /// Its number in the reference's graph.
    pub reference: usize,
    /// Its number in the candidate's graph.
    pub candidate: usize,
}

/// A tensor that is asked for, by its number in the reference's graph, and what stands for it.
pub(super) type Asked = (usize, Pair);

/// Of the tensors that are asked for, in the reference's graph.
pub(super) fn numbers(asked: &[Asked]) -> Vec<usize> {
    asked.iter().map(|(tensor, _)| *tensor).collect()
}

/// What stands for `tensor` of the reference's graph, or why it cannot be compared.
pub(super) fn pair(reference: &Side, candidate: &Side, survey: &Survey, tensor: usize) -> Result<Pair, String> {
    let (mine, theirs) = (&reference.graph, &candidate.graph);
    let key = &mine.tensors[tensor].key;
    if !reference.stores(key) {
        return Err("the reference has no value for it".to_string());
    }
    let Some(counterpart) = mark::counterpart(theirs, key) else {
        return Err("it exists in the reference model only".to_string());
    };
    // A quantised candidate of a model that is quantised itself: both are seen behind the quantizer.
    let quantised = theirs.tensor(key) != Some(counterpart);
    let own = mark::behind_quantizer(mine, tensor).filter(|_| quantised).unwrap_or(tensor);
    if !survey.types.contains_key(&mine.tensors[own].key) {
        return Err("it is not a tensor, or its element type is unknown".to_string());
    }
    if candidate.is_engine() && survey.types.get(key) == Some(&DType::Bool) {
        return Err("an engine has no bool among its outputs".to_string());
    }
    if !candidate.stores(&theirs.tensors[counterpart].key) {
        return Err("the candidate has no value for it".to_string());
    }
    Ok(Pair { reference: own, candidate: counterpart })
}
