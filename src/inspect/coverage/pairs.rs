//! Scales, ranges and zero points of every pair, who shares a scale, and what is odd about a quantised node.

use std::collections::BTreeMap;

use crate::compare::to_f64;
use crate::found::Real;
use crate::graph::Graph;
use crate::inspect::facts::{Left, PairFacts, SharedScale};
use crate::load::Model;
use crate::qdq::{self, Grid, Pair};
use crate::tensor::{DType, Tensor};

/// In the order of the run.
pub fn facts(model: &Model, graph: &Graph, pairs: &[Pair]) -> Vec<PairFacts> {
    pairs.iter().map(|pair| fact(model, graph, pair)).collect()
}

fn fact(model: &Model, graph: &Graph, pair: &Pair) -> PairFacts {
    let kind = match pair.weight {
        true if pair.dtype == DType::Int32 => "bias",
        true => "weight",
        false => "activation",
    };
    let per = match (pair.axis, pair.block) {
        (None, _) => "tensor",
        (_, 0) => "channel",
        _ => "block",
    };
    let proto = graph.nodes[pair.dequantize].proto(&model.proto);
    let name = proto.and_then(|p| p.input.get(pair.slots[1])).cloned().unwrap_or_default();
    let ends = |t: &Option<Tensor>| t.as_ref().and_then(|t| extremes(&to_f64(t)));
    let scales = ends(&pair.scale);
    PairFacts {
        tensor: pair.tensor.clone(),
        kind,
        dtype: pair.dtype.to_string(),
        per,
        axis: pair.axis,
        scales: pair.scale.as_ref().map_or(0, Tensor::elements),
        scale_min: scales.map(|s| s[0]),
        scale_max: scales.map(|s| s[1]),
        range: range(pair),
        zero_points: ends(&pair.zero_point),
        scale: name,
        readers: pair.consumers.iter().map(|n| graph.nodes[*n].name.clone()).collect(),
    }
}

fn extremes(values: &[f64]) -> Option<[Real; 2]> {
    let low = values.iter().copied().reduce(f64::min)?;
    let high = values.iter().copied().reduce(f64::max)?;
    Some([Real(low), Real(high)])
}

/// Over all scales; a shape that has one element for each scale stands for the tensor's own.
fn range(pair: &Pair) -> Option<[Real; 2]> {
    let scale = pair.scale.as_ref()?;
    let shape = match (&pair.stored, pair.axis) {
        (Some(stored), _) => stored.shape.clone(),
        (None, None) => vec![1],
        (None, Some(axis)) => {
            let axis = usize::try_from(axis).ok().filter(|axis| *axis < 8)?;
            let mut shape = vec![1; axis + 1];
            shape[axis] = scale.elements();
            shape
        }
    };
    let grid = Grid::dequantizer(pair, &shape)?;
    let ends = (0..grid.groups()).map(|group| grid.representable(group));
    let widest = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some([Real(widest.0), Real(widest.1)])
}

/// By the name of the scale; both halves of a pair are one tensor.
pub fn shared(pairs: &[PairFacts]) -> Vec<SharedScale> {
    let mut by_scale: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for pair in pairs.iter().filter(|p| !p.scale.is_empty()) {
        let tensors = by_scale.entry(&pair.scale).or_default();
        if !tensors.contains(&pair.tensor) {
            tensors.push(pair.tensor.clone());
        }
    }
    let several = by_scale.into_iter().filter(|(_, tensors)| tensors.len() > 1);
    several.map(|(scale, tensors)| SharedScale { scale: scale.to_string(), tensors }).collect()
}

/// Of nodes that are quantised, by number.
pub fn remarks(model: &Model, graph: &Graph, pairs: &[Pair], quantised: &[usize]) -> Vec<Left> {
    let mut remarks = Vec::new();
    for number in quantised.iter().filter(|n| !qdq::quantises(&graph.nodes[**n])) {
        let node = &graph.nodes[*number];
        let mut say = |code, why| {
            remarks.push(Left { node: node.name.clone(), op_type: node.op_type.clone(), code, why });
        };
        if float_bias(model, graph, *number) {
            say(
                "float_bias",
                "its bias stays in float32: an integer kernel has to convert it, or is not used".to_string(),
            );
        }
        let read: Vec<&str> = node.writes.iter().flat_map(|t| readers(graph, *t)).collect();
        if !read.is_empty() && !read.contains(&"QuantizeLinear") && !read.iter().all(|op| is_activation(op)) {
            say("float_output", format!("what it makes is not quantised: it goes on in float32 to {}", read[0]));
        }
    }
    let of_pair = |pair: &Pair, code, why: String| {
        let node = &graph.nodes[pair.dequantize];
        Left { node: node.name.clone(), op_type: node.op_type.clone(), code, why }
    };
    for pair in pairs {
        if qdq::wrong_bias_scale(pair, pairs, model, graph).is_some() {
            let why = format!("the scale of the bias '{}' is not that of input times weight", pair.tensor);
            remarks.push(of_pair(pair, "bias_scale", why));
        }
        if pair.quantizer.is_some() {
            let why = format!("the two halves of the pair of '{}' have other scales or zero points", pair.tensor);
            remarks.push(of_pair(pair, "halves_differ", why));
        }
    }
    remarks
}

fn readers(graph: &Graph, tensor: usize) -> Vec<&str> {
    graph.children(tensor).into_iter().map(|t| graph.producer(t).op_type.as_str()).collect()
}

/// Kernels do these at once, and are quantised behind them.
pub fn is_activation(op: &str) -> bool {
    matches!(op, "Relu" | "Clip" | "LeakyRelu" | "Sigmoid" | "HardSigmoid" | "HardSwish")
}

fn float_bias(model: &Model, graph: &Graph, number: usize) -> bool {
    let node = &graph.nodes[number];
    let bias = node.proto(&model.proto).and_then(|p| p.input.get(2)).filter(|name| !name.is_empty());
    let adds = matches!(node.op_type.as_str(), "Conv" | "ConvTranspose" | "Gemm");
    let read = node.reads.iter().find(|r| Some(&r.name) == bias);
    adds && read.is_some_and(|read| match read.source {
        crate::graph::Source::Tensor(t) => graph.producer(t).op_type != "DequantizeLinear",
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_of_two_tensors_is_told_once() {
        let pair = |tensor: &str, scale: &str| PairFacts {
            tensor: tensor.into(),
            scale: scale.into(),
            ..PairFacts::default()
        };
        let pairs = [pair("x", "s"), pair("y", "s"), pair("x", "s"), pair("z", "t"), pair("z", "t")];
        let tensors = vec!["x".to_string(), "y".to_string()];
        assert_eq!(shared(&pairs), [SharedScale { scale: "s".into(), tensors }]);
    }
}
