//! The quantised tensors around a culprit with the reference's values, and what looks wrong of them. Runs nothing.

use rayon::prelude::*;

use crate::compare::to_f64;
use crate::diagnose::laid::{Laid, Suspicion, suspicions};
use crate::found::Culprit;
use crate::lab::quantised::{keys, written};
use crate::lab::{Feed, Probe};
use crate::load::testset::tensor_from_proto;
use crate::qdq::{Pair, loss, wrong_bias_scale};
use crate::tensor::Tensor;

/// A quantised tensor with its value.
pub struct Seen<'x> {
    /// As the candidate's file has it.
    pub pair: &'x Pair,
    /// The reference's float values.
    pub value: Tensor,
    /// Relative RMS of its quantisation alone.
    pub lost: f64,
}

/// Those of the pairs whose values are at hand; those that lose most come first.
pub fn lay<'x>(probe: &Probe, pairs: &[&'x Pair], sample: usize) -> Vec<Seen<'x>> {
    let seen = |pair: &&'x Pair| {
        let value = value(probe, pair, sample)?;
        let lost = loss(pair, &value).map_or(0.0, |l| l.quantisation.relative());
        Some(Seen { pair, value, lost })
    };
    let mut all: Vec<Seen> = pairs.par_iter().filter_map(seen).collect();
    all.sort_by(|a, b| b.lost.total_cmp(&a.lost));
    all
}

/// What looks wrong, that of the tensors that lose most first.
pub fn suspects<'x>(probe: &Probe, culprit: &Culprit, all: &[Pair], seen: &[Seen<'x>]) -> Vec<(&'x Pair, Suspicion)> {
    let candidate = &probe.lab.candidate;
    let of = |seen: &Seen<'x>| {
        let product = wrong_bias_scale(seen.pair, all, &candidate.model, &candidate.graph);
        let place = place(probe, culprit, seen.pair);
        let fixed = has_own_range(probe, seen.pair);
        let parts = |key: &String| probe.lab.rules.allowance(key).parts;
        let cuts = keys(candidate, seen.pair).iter().map(parts).find(|cuts| !cuts.is_empty()).unwrap_or_default();
        let cuts = if seen.pair.weight { &[] } else { cuts.as_slice() };
        let laid = Laid { pair: seen.pair, value: &seen.value, place, product, fixed, cuts };
        suspicions(&laid).into_iter().map(|s| (seen.pair, s)).collect::<Vec<_>>()
    };
    seen.par_iter().flat_map_iter(of).collect()
}

/// Does the quantiser take the range from the operator? ONNX Runtime's does with a Softmax.
fn has_own_range(probe: &Probe, pair: &Pair) -> bool {
    let graph = &probe.lab.reference.graph;
    let maker = graph.tensor(&pair.tensor).filter(|_| !pair.weight).map(|t| graph.producer(t).op_type.as_str());
    matches!(maker, Some("Softmax" | "Sigmoid"))
}

/// `'fc2.w' (operand 1 of 'fc2')`
pub fn place(probe: &Probe, culprit: &Culprit, pair: &Pair) -> String {
    let (mine, theirs) = (&probe.lab.reference.graph, &probe.lab.candidate.graph);
    let (name, node) = (&pair.tensor, &culprit.node.name);
    let maker = mine.tensor(name).map(|t| &mine.producer(t).name);
    if !pair.weight && keys(&probe.lab.candidate, pair).contains(&culprit.tensor) {
        return format!("'{}' (the output of '{node}')", culprit.tensor);
    }
    if let Some(slot) = culprit.node.inputs.iter().position(|i| i == name) {
        return format!("'{name}' (operand {slot} of '{node}')");
    }
    match (maker.filter(|_| !pair.weight), pair.consumers.first()) {
        (Some(maker), _) => format!("'{name}' (made by '{maker}')"),
        (None, Some(reader)) => format!("'{name}' (read by '{}')", theirs.nodes[*reader].name),
        (None, None) => format!("'{name}'"),
    }
}

/// The reference's value of what is quantised.
fn value(probe: &Probe, pair: &Pair, sample: usize) -> Option<Tensor> {
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    if pair.weight {
        let own = || written(candidate, &pair.tensor).filter(|_| pair.stored.is_none());
        let value = tensor_from_proto(&written(reference, &pair.tensor).or_else(own)?).ok()?;
        return if pair.is_blocked() { transposed(&value) } else { Some(value) };
    }
    keys(candidate, pair).iter().find_map(|key| probe.value_at(candidate, key, sample, Feed::Reference))
}

/// A float32 matrix, turned.
fn transposed(matrix: &Tensor) -> Option<Tensor> {
    let [rows, columns] = matrix.shape[..] else { return None };
    let values = to_f64(matrix);
    let turned = (0..columns).flat_map(|c| (0..rows).map(move |r| r * columns + c));
    let turned: Vec<f32> = turned.map(|i| values[i] as f32).collect();
    Some(Tensor::f32(&[columns, rows], &turned))
}
