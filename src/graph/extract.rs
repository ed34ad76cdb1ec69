//! A cut: some nodes of a model as a model of their own, its boundary as typed inputs. Values in, values out.

use std::collections::{HashMap, HashSet};

use super::{Graph, Node, Source, Step, graph_at};
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::tensor::DType;

/// A cut-out model, and how its names map to the whole model's.
pub struct Extract {
    /// Weights of the whole model stay where they are: external locations are the whole model's.
    pub proto: ModelProto,
    /// (input name, key of the tensor to feed; a model input's own name).
    pub feeds: Vec<(String, String)>,
    /// (output name, tensor of the whole model).
    pub outputs: Vec<(String, usize)>,
}

/// What a cut hands out.
#[derive(Clone, Copy)]
pub enum Outputs<'a> {
    /// Everything that its nodes make.
    All,
    /// What the model hands out, what nodes outside the cut read, and what nobody reads of a node whose outputs nobody reads.
    Leaving,
    /// These tensors.
    Only(&'a [usize]),
}

/// Nodes `ids` (numbers in `graph`, all of one scope) as a model. `typed` tells element type and shape of what crosses the
/// boundary; `None` if something crosses that it does not know, or the nodes are of different scopes. Constants at the
/// boundary become initializers: their values are part of the model.
pub fn extract(
    model: &ModelProto,
    graph: &Graph,
    ids: &[usize],
    outputs: Outputs,
    typed: impl Fn(&str) -> Option<(DType, Vec<usize>)>,
) -> Option<Extract> {
    let main = model.graph.as_ref()?;
    let scope = &graph.nodes.get(*ids.first()?)?.scope;
    if ids.iter().any(|i| graph.nodes[*i].scope != *scope) {
        return None;
    }
    let mut nodes: Vec<usize> = ids.to_vec();
    nodes.sort_unstable();
    let made: HashSet<usize> = nodes.iter().flat_map(|i| graph.nodes[*i].writes.iter().copied()).collect();
    let weights = initializers(main, scope);
    let mut cut = GraphProto { name: Some("layerdiff".to_string()), ..Default::default() };
    let mut feeds: Vec<(String, String)> = Vec::new();
    let mut seen = HashSet::new();
    for &id in &nodes {
        let node = &graph.nodes[id];
        cut.node.push(NodeProto { name: Some(node.name.clone()), ..node.proto(model)?.clone() });
        for read in &node.reads {
            if matches!(read.source, Source::Tensor(t) if made.contains(&t)) || !seen.insert(read.name.clone()) {
                continue;
            }
            let key = match read.source {
                Source::Tensor(t) => match constant(model, graph, t) {
                    Some(value) => {
                        cut.initializer.push(TensorProto { name: Some(read.name.clone()), ..value });
                        continue;
                    }
                    None => graph.tensors[t].key.clone(),
                },
                Source::Input => read.name.clone(),
                Source::Initializer => {
                    cut.initializer.push((*weights.get(read.name.as_str())?).clone());
                    continue;
                }
            };
            let (dtype, shape) = typed(&key)?;
            cut.input.push(ValueInfoProto::tensor(&read.name, dtype, &shape));
            feeds.push((read.name.clone(), key));
        }
    }
    let outputs: Vec<(String, usize)> =
        handed_out(graph, &nodes, outputs).into_iter().map(|t| (graph.tensors[t].name.clone(), t)).collect();
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

/// The keys of what `nodes` read from outside: what [`extract`] will ask the types of.
pub fn boundary(model: &ModelProto, graph: &Graph, nodes: &[usize]) -> Vec<String> {
    let made: HashSet<usize> = nodes.iter().flat_map(|i| graph.nodes[*i].writes.iter().copied()).collect();
    let reads = nodes.iter().flat_map(|i| &graph.nodes[*i].reads);
    let mut seen = HashSet::new();
    let keys = reads.filter_map(|read| match read.source {
        Source::Tensor(t) if made.contains(&t) || constant(model, graph, t).is_some() => None,
        Source::Tensor(t) => Some(graph.tensors[t].key.clone()),
        Source::Input => Some(read.name.clone()),
        Source::Initializer => None,
    });
    keys.filter(|key| seen.insert(key.clone())).collect()
}

/// Writes down what is known of the tensors that nodes of `graph` make: outputs get what `told` tells of them, and the rest
/// becomes value_info.
pub fn describe(graph: &mut GraphProto, told: impl Fn(&str) -> Option<ValueInfoProto>) {
    for output in &mut graph.output {
        if let Some(info) = told(output.name()) {
            *output = info;
        }
    }
    let outputs: HashSet<&str> = graph.output.iter().map(|o| o.name()).collect();
    let inner = graph.node.iter().flat_map(|n| &n.output).filter(|o| !o.is_empty() && !outputs.contains(o.as_str()));
    graph.value_info = inner.filter_map(|name| told(name)).collect();
}

fn handed_out(graph: &Graph, nodes: &[usize], outputs: Outputs) -> Vec<usize> {
    let made = || nodes.iter().flat_map(|i| graph.nodes[*i].writes.iter().copied());
    match outputs {
        Outputs::All => made().collect(),
        Outputs::Only(tensors) => tensors.to_vec(),
        Outputs::Leaving => {
            let inside: HashSet<usize> = nodes.iter().copied().collect();
            let last: HashSet<usize> = graph.outputs.iter().filter_map(|(_, t)| *t).collect();
            let depth = |t: usize| graph.producer(t).scope.len();
            // Readers in bodies are behind a node of this scope, which reads it too.
            let outside = |t: &usize| {
                let mut readers = graph.children(*t).into_iter().filter(|c| depth(*c) <= depth(*t));
                readers.any(|c| !inside.contains(&graph.tensors[c].node))
            };
            let unread = |node: &Node| node.writes.iter().all(|t| graph.children(*t).is_empty());
            let leaves = |t: &usize| last.contains(t) || outside(t) || unread(graph.producer(*t));
            made().filter(leaves).collect()
        }
    }
}

/// The value of `tensor`, where a Constant node makes it.
fn constant(model: &ModelProto, graph: &Graph, tensor: usize) -> Option<TensorProto> {
    if !graph.is_constant(tensor) {
        return None;
    }
    graph.producer(tensor).proto(model)?.constant()
}

/// The initializer that `name` means in the graph at `scope`: the innermost one.
pub fn initializer<'a>(main: &'a GraphProto, scope: &[Step], name: &str) -> Option<&'a TensorProto> {
    initializers(main, scope).get(name).copied()
}

/// The initializers that the graph at `scope` can see, by name: the innermost ones.
fn initializers<'a>(main: &'a GraphProto, scope: &[Step]) -> HashMap<&'a str, &'a TensorProto> {
    let graphs = (0..=scope.len()).filter_map(|depth| graph_at(main, &scope[..depth]));
    graphs.flat_map(|g| &g.initializer).map(|t| (t.name(), t)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::AttributeProto;

    /// x -> a -> y -> (b -> z, c -> w), c reads the Constant k; z and w are outputs.
    fn model() -> ModelProto {
        let value = TensorProto { dims: vec![1], data_type: Some(1), float_data: vec![3.0], ..Default::default() };
        let node = vec![
            NodeProto::new("Relu", "a", &["x"], &["y"]),
            NodeProto::new("Constant", "k", &[], &["k"]).with(AttributeProto::tensor("value", value)),
            NodeProto::new("Neg", "b", &["y"], &["z"]),
            NodeProto::new("Add", "c", &["y", "k"], &["w"]),
        ];
        let (input, output) = (vec![ValueInfoProto::bare("x")], ["z", "w"].map(ValueInfoProto::bare).to_vec());
        let graph = GraphProto { node, input, output, ..Default::default() };
        ModelProto { graph: Some(graph), ..Default::default() }
    }

    fn check(ids: &[usize], outputs: Outputs, want_inputs: &[&str], want_outputs: &[&str]) {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let cut = extract(&model, &graph, ids, outputs, |_| Some((DType::Float32, vec![1]))).unwrap();
        let main = cut.proto.graph.as_ref().unwrap();
        assert_eq!(main.input.iter().map(|v| v.name()).collect::<Vec<_>>(), want_inputs, "{ids:?}");
        assert_eq!(main.output.iter().map(|v| v.name()).collect::<Vec<_>>(), want_outputs, "{ids:?}");
        assert_eq!(boundary(&model, &graph, ids), want_inputs, "{ids:?}");
        Graph::new(&cut.proto).unwrap();
    }

    #[test]
    fn cuts_have_the_right_inputs_and_outputs() {
        check(&[0], Outputs::Leaving, &["x"], &["y"]);
        check(&[0, 2], Outputs::Leaving, &["x"], &["y", "z"]);
        check(&[0, 2, 3], Outputs::Leaving, &["x"], &["z", "w"]);
        check(&[0, 2], Outputs::All, &["x"], &["y", "z"]);
        check(&[0, 2, 3], Outputs::Only(&[2]), &["x"], &["z"]);
        check(&[3], Outputs::Leaving, &["y"], &["w"]);
    }

    #[test]
    fn a_constant_at_the_boundary_is_an_initializer() {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let cut = extract(&model, &graph, &[3], Outputs::All, |_| Some((DType::Float32, vec![1]))).unwrap();
        let weights = cut.proto.graph.unwrap().initializer;
        assert_eq!((weights[0].name(), weights[0].float_data.as_slice()), ("k", &[3.0][..]));
    }

    #[test]
    fn types_are_written_down_where_they_are_known() {
        let mut graph = model().graph.unwrap();
        describe(&mut graph, |name| (name != "w").then(|| ValueInfoProto::tensor(name, DType::Float16, &[2])));
        assert_eq!(graph.output[0].dtype(), Some(DType::Float16));
        assert_eq!(graph.output[1].dtype(), None);
        assert_eq!(graph.value_info.iter().map(|v| v.name()).collect::<Vec<_>>(), ["y", "k"]);
    }
}
