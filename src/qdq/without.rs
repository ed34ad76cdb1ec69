//! Pairs taken out of a model: who read the dequantised value reads the float value. Model -> model.

use std::collections::HashSet;

use super::{Pair, dequantised};
use crate::graph::{Graph, Node, graph_at_mut};
use crate::load::testset::tensor_to_proto;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

/// What the float model has that a quantised one has lost.
pub struct Float<'a> {
    /// The float values of a weight by the pair's `tensor`, complete (not in another model's files).
    pub weight: &'a dyn Fn(&str) -> Option<TensorProto>,
    /// What a quantiser left out because saturation does its work, first to last.
    pub activations: &'a dyn Fn(&Pair) -> Vec<Activation>,
}

/// A Relu or a Clip.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Its first input and its output are the pair's to name.
    pub node: NodeProto,
    /// What it reads besides, by number of the input.
    pub bounds: Vec<(usize, TensorProto)>,
}

/// `model` without these pairs. A weight that `float` does not know, or knows in another shape, gets the values it stands
/// for now.
pub fn without(model: &ModelProto, graph: &Graph, pairs: &[&Pair], float: &Float) -> ModelProto {
    let mut edited = model.clone();
    let Some(main) = edited.graph.as_mut() else { return edited };
    let mut orphans = HashSet::new();
    let mut added = Vec::new();
    for pair in pairs {
        let node = &graph.nodes[pair.dequantize];
        let done = match pair.quantize {
            Some(quantize) => {
                let activations = (float.activations)(pair);
                if activations.is_empty() {
                    bypass(main, &graph.nodes[quantize], node)
                } else {
                    activate(main, &graph.nodes[quantize], node, activations, &mut added)
                }
            }
            None => store(main, node, pair, float.weight),
        };
        orphans.extend(done.into_iter().flatten());
    }
    for quantize in pairs.iter().filter_map(|p| p.quantize) {
        orphans.extend(retire(main, &graph.nodes[quantize]).into_iter().flatten());
    }
    // Positions of what is still to come stay as they are: from the inside out, from the back to the front.
    added.sort_by_key(|(node, _)| std::cmp::Reverse((node.scope.len(), node.index)));
    for (node, activations) in added {
        if let Some(home) = graph_at_mut(main, &node.scope) {
            let at = node.index.min(home.node.len());
            home.node.splice(at..at, activations);
        }
    }
    sweep(main, &orphans);
    edited
}

/// May this float weight take the place of the stored one?
pub fn stands_for(pair: &Pair, weight: &TensorProto) -> bool {
    let Some(stored) = &pair.stored else { return false };
    let same_shape = weight.dims.iter().map(|d| usize::try_from(*d).ok()).eq(stored.shape.iter().map(|d| Some(*d)));
    same_shape && pair.scale.as_ref().is_none_or(|s| weight.dtype() == Some(s.dtype))
}

/// The float weight that the stored one stands for.
pub fn stored_as_float(pair: &Pair) -> Option<TensorProto> {
    Some(tensor_to_proto(&pair.tensor, &dequantised(pair)?))
}

/// What nodes read that have gone.
type Orphans = Option<Vec<String>>;

/// The readers of a DequantizeLinear read what its QuantizeLinear reads. Where the result has to keep its name, because
/// the model gives it out or a subgraph captures it, an Identity makes it.
fn bypass(main: &mut GraphProto, quantize: &Node, dequantize: &Node) -> Orphans {
    let source = node_mut(main, quantize)?.input.first()?.clone();
    let result = node_mut(main, dequantize)?.output.first()?.clone();
    let home = graph_at_mut(main, &dequantize.scope)?;
    for reader in home.node.iter_mut() {
        reader.input.iter_mut().filter(|i| **i == result).for_each(|i| i.clone_from(&source));
    }
    let needed = is_read(home, &result);
    let node = home.node.get_mut(dequantize.index)?;
    let replacement =
        if needed { NodeProto::new("Identity", node.name(), &[&source], &[&result]) } else { NodeProto::default() };
    let gone = std::mem::replace(node, replacement);
    Some([gone.input, gone.output].concat())
}

/// The same, where activations have to make the result of what the QuantizeLinear reads. They go in front of `dequantize`.
fn activate<'a>(
    main: &mut GraphProto,
    quantize: &Node,
    dequantize: &'a Node,
    activations: Vec<Activation>,
    added: &mut Vec<(&'a Node, Vec<NodeProto>)>,
) -> Orphans {
    let mut source = node_mut(main, quantize)?.input.first()?.clone();
    let result = node_mut(main, dequantize)?.output.first()?.clone();
    let home = graph_at_mut(main, &dequantize.scope)?;
    let last = activations.len() - 1;
    let mut nodes = Vec::new();
    for (number, Activation { mut node, bounds }) in activations.into_iter().enumerate() {
        let output = if number == last { result.clone() } else { format!("{result}/{number}") };
        *node.input.first_mut()? = std::mem::replace(&mut source, output.clone());
        for (slot, value) in bounds {
            let name = format!("{output}/{}", if slot == 1 { "min" } else { "max" });
            node.input.get_mut(slot)?.clone_from(&name);
            home.initializer.push(TensorProto { name: Some(name), ..value });
        }
        node.output = vec![output];
        nodes.push(node);
    }
    added.push((dequantize, nodes));
    Some(std::mem::take(home.node.get_mut(dequantize.index)?).input)
}

/// A weight that is stored quantised becomes a float initializer with the name of the result.
fn store(
    main: &mut GraphProto,
    dequantize: &Node,
    pair: &Pair,
    float: &dyn Fn(&str) -> Option<TensorProto>,
) -> Orphans {
    let result = node_mut(main, dequantize)?.output.first()?.clone();
    let weight = float(&pair.tensor).filter(|t| stands_for(pair, t)).or_else(|| stored_as_float(pair))?;
    let weight = TensorProto { name: Some(result), ..weight };
    let home = graph_at_mut(main, &dequantize.scope)?;
    home.initializer.push(weight);
    Some(std::mem::take(home.node.get_mut(dequantize.index)?).input)
}

/// A QuantizeLinear that nobody reads any more goes.
fn retire(main: &mut GraphProto, quantize: &Node) -> Orphans {
    let result = node_mut(main, quantize)?.output.first()?.clone();
    let home = graph_at_mut(main, &quantize.scope)?;
    let unread = !is_read(home, &result);
    unread.then(|| home.node.get_mut(quantize.index).map(|n| std::mem::take(n).input))?
}

/// A node where it was before anything was taken out; positions stay until [`sweep`].
fn node_mut<'a>(main: &'a mut GraphProto, node: &Node) -> Option<&'a mut NodeProto> {
    graph_at_mut(main, &node.scope)?.node.get_mut(node.index)
}

/// Does a node of this graph or of one inside it read `name`, or is it given out?
pub(super) fn is_read(graph: &GraphProto, name: &str) -> bool {
    let inside = |n: &NodeProto| n.input.iter().any(|i| i == name) || n.subgraphs().any(|(_, g)| is_read(g, name));
    graph.output.iter().any(|o| o.name() == name) || graph.node.iter().any(inside)
}

/// Drops the empty places, and those of `orphans` that nothing makes use of: scales, zero points, integer weights.
pub(super) fn sweep(graph: &mut GraphProto, orphans: &HashSet<String>) {
    graph.node.retain(|n| *n != NodeProto::default());
    for node in &mut graph.node {
        node.subgraphs_mut().for_each(|body| sweep(body, orphans));
    }
    let unread: HashSet<String> = orphans.iter().filter(|o| !is_read(graph, o)).cloned().collect();
    let weights = graph.initializer.iter().map(|t| t.name().to_string());
    let gone: HashSet<String> = weights.filter(|name| unread.contains(name)).collect();
    graph.initializer.retain(|t| !gone.contains(t.name()));
    graph.value_info.retain(|v| !unread.contains(v.name()));
    // Weights were inputs too before IR 4; an input that must be fed stays.
    graph.input.retain(|v| !gone.contains(v.name()));
}

#[cfg(test)]
mod tests;
