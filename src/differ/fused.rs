//! Weights of nodes that are others in the two files: a fused Conv has the weights of the Conv that it stands for. They are found by their
//! shape and not by their place, for places mean nothing between operators.

use super::held::{self, Constant, Held};
use super::schemas::Schemas;
use super::scope::{Scope, transposed};
use super::{At, What, version};
use crate::onnx::ModelProto;

/// A constant that a node reads.
struct Weight {
    at: At,
    slot: usize,
    value: Constant,
}

/// Weights of `theirs` that no node of `mine` has, though one has another of that very shape: the node that reads it, and the difference.
pub fn weights(
    (mine, own): (&Scope, &[At]),
    (theirs, others): (&Scope, &[At]),
    (schemas, model): (&Schemas, &ModelProto),
) -> Vec<(At, What)> {
    let mut left = read_by(mine, own);
    let mut open = Vec::new();
    for weight in read_by(theirs, others) {
        match left.iter().position(|own| alike(own, &weight).is_some_and(|own| held::same_values(&own, &weight.value)))
        {
            Some(at) => drop(left.remove(at)),
            None => open.push(weight),
        }
    }
    let mut found = Vec::new();
    for weight in open {
        let fits: Vec<usize> = (0..left.len()).filter(|i| alike(&left[*i], &weight).is_some()).collect();
        let [only] = fits[..] else { continue };
        let Some(value) = alike(&left.remove(only), &weight) else { continue };
        let node = &theirs.graph().node[weight.at.index];
        let schema = schemas.of(node.domain(), node.op_type(), version(model, node.domain()));
        let name = schema.and_then(|s| s.input(weight.slot)).unwrap_or_else(|| format!("input {}", weight.slot));
        let (mine, theirs) = (Held::Constant(Box::new(value)), Held::Constant(Box::new(weight.value)));
        found.push((weight.at, What::Slot { name, input: Some(weight.slot), mine, theirs }));
    }
    found
}

/// What `mine` would be in the place of `theirs`: the same shape, or the other way round.
fn alike(mine: &Weight, theirs: &Weight) -> Option<Constant> {
    let (a, b) = (&mine.value, &theirs.value);
    if a.value.shape == b.value.shape {
        return Some(a.clone());
    }
    let turned = a.value.shape.len() == 2 && [a.value.shape[1], a.value.shape[0]] == b.value.shape[..];
    let value = transposed(&a.value, &[1, 0]).filter(|_| turned)?;
    Some(Constant { value, ..a.clone() })
}

/// Constants of more than one element; single numbers are settings.
fn read_by(scope: &Scope, nodes: &[At]) -> Vec<Weight> {
    let mut weights = Vec::new();
    for at in nodes {
        let Some(node) = scope.graph().node.get(at.index) else { continue };
        for (slot, name) in node.input.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let Some(value) = scope.constant(name).filter(|c| c.value.dtype.is_float() && c.value.elements() > 1)
            else {
                continue;
            };
            weights.push(Weight { at: at.clone(), slot, value });
        }
    }
    weights
}
