//! Pairs taken out of a model: who read the dequantised value reads the float value. Model -> model.

use std::collections::HashSet;

use super::{Pair, dequantised};
use crate::graph::{Graph, Node, graph_at_mut};
use crate::load::testset::tensor_to_proto;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};

/// `model` without these pairs. `float` gives the float values of a weight by the pair's `tensor`, complete (not in
/// another model's files); a weight that it does not know, or knows in another shape, gets the values it stands for now.
pub fn without(
    model: &ModelProto,
    graph: &Graph,
    pairs: &[&Pair],
    float: &dyn Fn(&str) -> Option<TensorProto>,
) -> ModelProto {
    let mut edited = model.clone();
    let Some(main) = edited.graph.as_mut() else { return edited };
    let mut orphans = HashSet::new();
    for pair in pairs {
        let node = &graph.nodes[pair.dequantize];
        let done = match pair.quantize {
            Some(quantize) => bypass(main, &graph.nodes[quantize], node),
            None => store(main, node, pair, float),
        };
        orphans.extend(done.into_iter().flatten());
    }
    for quantize in pairs.iter().filter_map(|p| p.quantize) {
        orphans.extend(retire(main, &graph.nodes[quantize]).into_iter().flatten());
    }
    sweep(main, &orphans);
    edited
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

/// A weight that is stored quantised becomes a float initializer with the name of the result.
fn store(
    main: &mut GraphProto,
    dequantize: &Node,
    pair: &Pair,
    float: &dyn Fn(&str) -> Option<TensorProto>,
) -> Orphans {
    let (stored, scale) = (pair.stored.as_ref()?, pair.scale.as_ref());
    let fits = |t: &TensorProto| {
        let same_shape = t.dims.iter().map(|d| usize::try_from(*d).ok()).eq(stored.shape.iter().map(|d| Some(*d)));
        same_shape && scale.is_none_or(|s| t.dtype() == Some(s.dtype))
    };
    let result = node_mut(main, dequantize)?.output.first()?.clone();
    let weight = match float(&pair.tensor).filter(fits) {
        Some(weight) => TensorProto { name: Some(result), ..weight },
        None => tensor_to_proto(&result, &dequantised(pair)?),
    };
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
fn is_read(graph: &GraphProto, name: &str) -> bool {
    let inside = |n: &NodeProto| n.input.iter().any(|i| i == name) || n.subgraphs().any(|(_, g)| is_read(g, name));
    graph.output.iter().any(|o| o.name() == name) || graph.node.iter().any(inside)
}

/// Drops the empty places, and those of `orphans` that nothing makes use of: scales, zero points, integer weights.
fn sweep(graph: &mut GraphProto, orphans: &HashSet<String>) {
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
