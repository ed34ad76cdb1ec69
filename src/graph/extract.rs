//! A cut: some nodes of a model as a model of their own, its boundary as typed inputs. Values in, values out.

use std::collections::HashSet;

use super::{Graph, Source, graph_at};
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::tensor::DType;

/// A cut-out model, and how its names map to the whole model's.
pub struct Extract {
    pub proto: ModelProto,
    /// (input name, key of the tensor to feed; a model input's own name).
    pub feeds: Vec<(String, String)>,
    /// (output name, tensor of the whole model).
    pub outputs: Vec<(String, usize)>,
}

/// Nodes `ids` (numbers in `graph`, all of one scope) as a model. `typed` tells element type and shape of what crosses the
/// boundary; `None` if something crosses that it does not know, or the nodes are of different scopes.
pub fn extract(
    model: &ModelProto,
    graph: &Graph,
    ids: &[usize],
    typed: impl Fn(&str) -> Option<(DType, Vec<usize>)>,
) -> Option<Extract> {
    let main = model.graph.as_ref()?;
    let scope = &graph.nodes.get(*ids.first()?)?.scope;
    if ids.iter().any(|i| graph.nodes[*i].scope != *scope) {
        return None;
    }
    let made: HashSet<usize> = ids.iter().flat_map(|i| graph.nodes[*i].writes.iter().copied()).collect();
    let mut cut = GraphProto { name: Some("layerdiff".to_string()), ..Default::default() };
    let mut feeds: Vec<(String, String)> = Vec::new();
    let mut seen = HashSet::new();
    let mut nodes: Vec<usize> = ids.to_vec();
    nodes.sort_unstable();
    for &id in &nodes {
        let node = &graph.nodes[id];
        cut.node.push(NodeProto { name: Some(node.name.clone()), ..node.proto(model)?.clone() });
        for read in &node.reads {
            let key = match read.source {
                Source::Tensor(t) if made.contains(&t) => continue,
                Source::Tensor(t) => graph.tensors[t].key.clone(),
                Source::Input => read.name.clone(),
                Source::Initializer => {
                    if seen.insert(read.name.clone()) {
                        cut.initializer.push(initializer(main, scope, &read.name)?.clone());
                    }
                    continue;
                }
            };
            if seen.insert(read.name.clone()) {
                let (dtype, shape) = typed(&key)?;
                cut.input.push(ValueInfoProto::tensor(&read.name, dtype, &shape));
                feeds.push((read.name.clone(), key));
            }
        }
    }
    let outputs: Vec<(String, usize)> = nodes
        .iter()
        .flat_map(|i| graph.nodes[*i].writes.iter().map(|t| (graph.tensors[*t].name.clone(), *t)))
        .collect();
    cut.output = outputs.iter().map(|(name, _)| ValueInfoProto::bare(name)).collect();
    let proto = ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        functions: model.functions.clone(),
        producer_name: Some("layerdiff".to_string()),
        graph: Some(cut),
        ..Default::default()
    };
    Some(Extract { proto, feeds, outputs })
}

/// The initializer that `name` means in the graph at `scope`: the innermost one.
pub fn initializer<'a>(main: &'a GraphProto, scope: &[super::Step], name: &str) -> Option<&'a TensorProto> {
    (0..=scope.len()).rev().find_map(|depth| {
        let graph = graph_at(main, &scope[..depth])?;
        graph.initializer.iter().find(|t| t.name() == name)
    })
}
