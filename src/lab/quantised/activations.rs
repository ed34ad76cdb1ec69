//! Relu and Clip that a quantiser left out: where the smallest code stands for zero, saturation does their work, and
//! taking the pair out would take them out as well. They are read from the reference's model.

use std::collections::HashMap;

use super::{keys, written};
use crate::graph::Source;
use crate::lab::Side;
use crate::qdq::{Activation, Pair};

/// By number of the DequantizeLinear: what is lost in front of it, first to last.
pub fn lost(reference: &Side, candidate: &Side, pairs: &[Pair]) -> HashMap<usize, Vec<Activation>> {
    let computed = pairs.iter().filter(|p| p.quantize.is_some() && !p.weight);
    let found = computed.filter_map(|p| Some((p.dequantize, in_front(reference, candidate, p)?)));
    found.filter(|(_, activations)| !activations.is_empty()).collect()
}

/// What is lost in front of this pair, first to last; `None` where the two files cannot be set side by side.
pub fn in_front(reference: &Side, candidate: &Side, pair: &Pair) -> Option<Vec<Activation>> {
    let (mine, theirs) = (&reference.graph, &candidate.graph);
    let maker = theirs.producer(theirs.tensor(&pair.tensor)?);
    let mut tensor = keys(candidate, pair).iter().find_map(|key| mine.tensor(key))?;
    let mut found = Vec::new();
    loop {
        let node = mine.producer(tensor);
        if node.op_type == maker.op_type {
            break;
        }
        // What else is different is no quantiser's doing.
        found.push(activation(reference, tensor).filter(|_| matches!(node.op_type.as_str(), "Relu" | "Clip"))?);
        let Some(Source::Tensor(above)) = node.reads.first().map(|r| &r.source) else { return None };
        tensor = *above;
    }
    found.reverse();
    Some(found)
}

/// The maker of `tensor`, with the bounds that the file has for it.
fn activation(reference: &Side, tensor: usize) -> Option<Activation> {
    let node = reference.graph.producer(tensor).proto(&reference.model.proto)?.clone();
    let named = node.input.iter().enumerate().skip(1).filter(|(_, name)| !name.is_empty());
    let bounds: Option<Vec<_>> = named.map(|(slot, name)| Some((slot, written(reference, name)?))).collect();
    Some(Activation { bounds: bounds?, node })
}
