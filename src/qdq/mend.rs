//! Other parameters in place of those that a file has for one quantised tensor: what a trial of a cause needs. Every node stays
//! where it was. Model -> model.

use super::Pair;
use crate::graph::{Graph, graph_at_mut};
use crate::load::testset::tensor_to_proto;
use crate::onnx::{AttributeProto, ModelProto};
use crate::tensor::Tensor;

/// What a tensor is to be quantised with.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// One number, one a channel along `axis`, or one a block.
    pub scale: Tensor,
    /// Of the quantised type; `None` leaves the one there is.
    pub zero_point: Option<Tensor>,
    /// Where there are several scales: the dimension they run along.
    pub axis: Option<i64>,
    /// Other integers of a stored weight.
    pub stored: Option<Tensor>,
}

/// Operators that move integers and leave them as they are.
pub(super) const MOVES: [&str; 12] = [
    "DepthToSpace",
    "Flatten",
    "Gather",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// `model` with these parameters for what `pair` quantises: in its QuantizeLinear, and in every DequantizeLinear that reads the
/// integers. `graph` is the file's; `model` may have more outputs than that.
pub fn mend(model: &ModelProto, graph: &Graph, pair: &Pair, parameters: &Parameters) -> ModelProto {
    let mut edited = model.clone();
    mend_in(&mut edited, graph, pair, parameters);
    edited
}

/// The same, in place. What is mended twice under one name keeps the parameters of the first time.
pub fn mend_in(edited: &mut ModelProto, graph: &Graph, pair: &Pair, parameters: &Parameters) {
    let Some(main) = edited.graph.as_mut() else { return };
    let name = |what: &str| format!("{}/undone/{what}", pair.tensor);
    let [data, scale, zero] = pair.slots;
    let mut given = vec![(scale, name("scale"), &parameters.scale)];
    given.extend(parameters.zero_point.as_ref().map(|z| (zero, name("zero_point"), z)));
    let stored = parameters.stored.as_ref().map(|s| (data, name("integers"), s));
    for node in users(graph, pair) {
        let node = &graph.nodes[node];
        let Some(node) = graph_at_mut(main, &node.scope).and_then(|g| g.node.get_mut(node.index)) else { continue };
        let dequantizes = node.op_type() != "QuantizeLinear";
        let integers = stored.iter().filter(|_| dequantizes);
        for (slot, name, _) in given.iter().chain(integers) {
            node.input.resize(node.input.len().max(slot + 1), String::new());
            node.input[*slot].clone_from(name);
        }
        if let Some(axis) = parameters.axis.filter(|_| pair.is_pair()) {
            node.attribute.retain(|a| a.name() != "axis");
            node.attribute.push(AttributeProto::int("axis", axis));
        }
    }
    for (_, name, value) in given.iter().chain(&stored) {
        if main.initializer.iter().all(|t| t.name() != name) {
            main.initializer.push(tensor_to_proto(name, value));
        }
    }
}

/// The nodes that have the pair's parameters, by number.
pub(super) fn users(graph: &Graph, pair: &Pair) -> Vec<usize> {
    let Some(quantize) = pair.quantize else { return vec![pair.dequantize] };
    let mut users = vec![quantize];
    let mut integers = graph.nodes[quantize].writes.clone();
    while let Some(tensor) = integers.pop() {
        for child in graph.children(tensor) {
            let number = graph.tensors[child].node;
            let op = graph.nodes[number].op_type.as_str();
            if op == "DequantizeLinear" && !users.contains(&number) {
                users.push(number);
            } else if MOVES.contains(&op) {
                integers.push(child);
            }
        }
    }
    users
}
