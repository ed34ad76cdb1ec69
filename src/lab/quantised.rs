//! What the two files of a quantised candidate say of one another: the pairs by the names of the float model, its weights, and
//! the activations that a quantiser left out. Both the search for causes and that for cures stand on it. Runs nothing.

mod activations;

pub use activations::{in_front, lost};

use super::Side;
use crate::graph::initializer;
use crate::onnx::{NodeProto, TensorProto};
use crate::qdq::{self, Pair};

/// The pairs of the candidate; weights by the names that the reference has for them, in whatever file they stand.
pub fn pairs(reference: &Side, candidate: &Side) -> Vec<Pair> {
    let mut pairs = qdq::pairs(&candidate.model, &candidate.graph);
    qdq::name_weights(&mut pairs, (&candidate.model, &candidate.graph), (&reference.model, &reference.graph));
    pairs
}

/// Weights that integer operators of the candidate read, by the names that the reference has for them.
pub fn operands(reference: &Side, candidate: &Side) -> Vec<Pair> {
    let mut operands = qdq::operands(&candidate.model, &candidate.graph);
    qdq::name_weights(&mut operands, (&candidate.model, &candidate.graph), (&reference.model, &reference.graph));
    operands
}

/// What the reference may call the tensor: an output of the model has its name behind the pair only.
pub fn keys(candidate: &Side, pair: &Pair) -> Vec<String> {
    let behind = candidate.graph.nodes[pair.dequantize].writes.iter();
    let behind = behind.map(|t| candidate.graph.tensors[*t].key.clone());
    std::iter::once(pair.tensor.clone()).chain(behind).collect()
}

/// What the side's file has for `name`: an initializer or a Constant, complete.
pub fn written(side: &Side, name: &str) -> Option<TensorProto> {
    let main = side.model.proto.graph.as_ref()?;
    if let Some(t) = initializer(main, &[], name) {
        return Some(side.model.inline(t));
    }
    let tensor = side.graph.tensor(name).filter(|t| side.graph.is_constant(*t))?;
    side.graph.producer(tensor).proto(&side.model.proto).and_then(NodeProto::constant)
}

/// The float weight that a stored one stands for: the reference's, else what the integers mean.
pub fn float_weight(reference: &Side, pair: &Pair) -> Option<TensorProto> {
    written(reference, &pair.tensor).filter(|t| qdq::stands_for(pair, t)).or_else(|| qdq::stored_as_float(pair))
}
