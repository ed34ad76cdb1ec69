//! Tensors that depend on no input: constants, and what is computed from constants and weights alone. They are compared
//! without a run of the model: as they are written in the files, or by running just the nodes that make them.

use std::collections::{HashMap, HashSet};

use indexmap::IndexMap;

use super::Side;
use crate::graph::{Graph, Outputs, Source, Step, extract};
use crate::load::testset::tensor_from_proto;
use crate::mark::Types;
use crate::precision;
use crate::spec::Low;
use crate::tensor::{Tensor, Tensors};
use crate::types;

/// Values of fixed tensors, by tensor of the side's own graph.
pub type Fixed = HashMap<usize, Tensor>;

/// Everything that `side` computes from nothing but its file. Empty where it cannot be told without a build.
pub fn values(side: &Side) -> Fixed {
    if !side.runs() {
        return Fixed::new();
    }
    let fixed = fixed(&side.graph);
    let mut values: Fixed = fixed.iter().filter_map(|t| Some((*t, constant(side, *t)?))).collect();
    // One more session is nothing on the CPU; elsewhere a build is what the search must save.
    if side.on_cpu() {
        let mut scopes: IndexMap<&[Step], Vec<usize>> = IndexMap::new();
        for tensor in fixed.iter().filter(|t| !values.contains_key(t)) {
            scopes.entry(&side.graph.producer(*tensor).scope).or_default().push(*tensor);
        }
        // Outer graphs first: branches read what those give.
        scopes.sort_by_key(|scope, _| scope.len());
        for tensors in scopes.values() {
            let computed = compute(side, tensors, &values).unwrap_or_default();
            values.extend(computed);
        }
    }
    values
}

/// The tensors that depend on no input, in topological order.
fn fixed(graph: &Graph) -> Vec<usize> {
    let mut fixed: HashSet<usize> = HashSet::new();
    let mut order = Vec::new();
    for node in &graph.nodes {
        let known = |source: &Source| match source {
            Source::Tensor(t) => fixed.contains(t),
            Source::Input => false,
            Source::Initializer => true,
        };
        let plain = node.results.is_empty() && !node.op_type.starts_with("Random");
        if plain && node.reads.iter().all(|r| known(&r.source)) {
            fixed.extend(&node.writes);
            order.extend(&node.writes);
        }
    }
    order
}

/// The value of a Constant node, as the side's precision stores it.
fn constant(side: &Side, tensor: usize) -> Option<Tensor> {
    if !side.graph.is_constant(tensor) {
        return None;
    }
    let node = side.graph.producer(tensor).proto(&side.model.proto)?;
    let value = tensor_from_proto(node.attr("value")?.t.as_ref()?).ok()?;
    let stored = side.lowering.low().and_then(Low::storage);
    Some(stored.map_or_else(|| value.clone(), |low| precision::rounded(&value, low)))
}

/// Runs the nodes of one scope that make `tensors`, fed with the fixed `values` they read.
fn compute(side: &Side, tensors: &[usize], values: &Fixed) -> Option<Fixed> {
    let graph = &side.graph;
    let mut nodes: Vec<usize> = tensors.iter().map(|t| graph.tensors[*t].node).collect();
    nodes.dedup();
    let value = |key: &str| values.get(&graph.tensor(key)?);
    let cut =
        extract(&side.model.proto, graph, &nodes, Outputs::All, |key| value(key).map(|t| (t.dtype, t.shape.clone())))?;
    let feeds: Option<Tensors> =
        cut.feeds.iter().map(|(name, key)| Some((name.clone(), value(key)?.clone()))).collect();
    let mut types: Types = cut.proto.graph.as_ref().map(types::declared).unwrap_or_default();
    for (name, tensor) in &cut.outputs {
        if let Some(dtype) = side.types.get(&graph.tensors[*tensor].key) {
            types.insert(name.clone(), *dtype);
        }
    }
    let names: Vec<String> = cut.outputs.iter().map(|(name, _)| name.clone()).collect();
    let results = side.run_model(&cut.proto, &types, &[feeds?], &names).ok()?;
    let mut results = results.into_iter().next()?;
    Some(cut.outputs.iter().filter_map(|(name, tensor)| Some((*tensor, results.shift_remove(name)?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

    #[test]
    fn what_depends_on_no_input_is_fixed() {
        let node = NodeProto::new;
        let nodes = vec![
            node("Constant", "c", &[], &["c"]),
            node("Neg", "n", &["c"], &["n"]),
            node("RandomNormal", "r", &[], &["r"]),
            node("Add", "a", &["n", "x"], &["y"]),
            node("Add", "b", &["n", "r"], &["z"]),
        ];
        let input = vec![ValueInfoProto::bare("x")];
        let output = vec![ValueInfoProto::bare("y")];
        let main = GraphProto { node: nodes, input, output, ..Default::default() };
        let graph = Graph::new(&ModelProto { graph: Some(main), ..Default::default() }).unwrap();
        let names: Vec<&str> = fixed(&graph).iter().map(|t| graph.tensors[*t].key.as_str()).collect();
        assert_eq!(names, ["c", "n"]);
    }
}
