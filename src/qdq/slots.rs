//! A quantised weight by the float weight whose place it takes: the operand of the same node in the float model. What it is
//! called in its own file is the exporter's business.

use super::Pair;
use crate::graph::{Graph, Node, initializer};
use crate::load::Model;
use crate::onnx::{NodeProto, TensorProto};

/// Gives stored weights the names of the float weights that they stand for, where `theirs` is the file of `pairs` and `float`
/// the one that was quantised. A weight that has such a name already keeps it.
pub fn name_weights(pairs: &mut [Pair], theirs: (&Model, &Graph), float: (&Model, &Graph)) {
    for pair in pairs.iter_mut().filter(|p| p.stored.is_some()) {
        let fits = |name: &str| written(float, name).is_some_and(|t| stands_for(pair, &t));
        if fits(&pair.tensor) {
            continue;
        }
        if let Some(name) = by_slot(pair, theirs, float).filter(|name| fits(name)) {
            pair.tensor = name;
        }
    }
}

/// What the float model's node reads where the pair's reader has the weight.
fn by_slot(pair: &Pair, (model, graph): (&Model, &Graph), float: (&Model, &Graph)) -> Option<String> {
    let result = graph.nodes[pair.dequantize].proto(&model.proto)?.output.first()?;
    if !pair.is_pair() {
        // An integer operator stands where the float one did; both have their weight in the second place.
        return float_maker(graph, &graph.nodes[pair.dequantize], float.1)?
            .proto(&float.0.proto)?
            .input
            .get(1)
            .cloned();
    }
    pair.consumers.iter().find_map(|reader| {
        let reader = &graph.nodes[*reader];
        let slot = reader.proto(&model.proto)?.input.iter().position(|i| i == result)?;
        same_node(graph, reader, float.1)?.proto(&float.0.proto)?.input.get(slot).cloned()
    })
}

/// May the float weight be what the pair stores? An n-bit product has it transposed.
fn stands_for(pair: &Pair, weight: &TensorProto) -> bool {
    let turned = || weight.dims.iter().rev().map(|d| usize::try_from(*d).unwrap_or(0));
    let transposed = pair.stored.as_ref().is_some_and(|s| turned().eq(s.shape.iter().copied()));
    super::stands_for(pair, weight) || (pair.is_blocked() && transposed)
}

/// The node of `float` that makes what an integer operator makes, itself or behind a DequantizeLinear.
fn float_maker<'a>(graph: &Graph, node: &Node, float: &'a Graph) -> Option<&'a Node> {
    const PRODUCTS: [&str; 4] = ["Conv", "ConvTranspose", "Gemm", "MatMul"];
    let behind = node.writes.iter().flat_map(|t| graph.children(*t));
    let mut keys = node.writes.iter().copied().chain(behind).map(|t| &graph.tensors[t].key);
    let made = keys.find_map(|key| float.tensor(key)).map(|t| float.producer(t));
    made.filter(|n| PRODUCTS.contains(&n.op_type.as_str()))
}

/// The node of `float` that makes the same tensor, else the one of the same name; of the same operator.
fn same_node<'a>(graph: &Graph, node: &Node, float: &'a Graph) -> Option<&'a Node> {
    let made = node.writes.iter().find_map(|t| float.tensor(&graph.tensors[*t].key)).map(|t| float.producer(t));
    let named = || float.nodes.iter().find(|n| n.name == node.name && n.scope.len() == node.scope.len());
    made.filter(|n| n.op_type == node.op_type).or_else(|| named().filter(|n| n.op_type == node.op_type))
}

/// The constant of this name, complete.
fn written((model, graph): (&Model, &Graph), name: &str) -> Option<TensorProto> {
    let main = model.proto.graph.as_ref()?;
    if let Some(t) = initializer(main, &[], name) {
        return Some(model.inline(t));
    }
    let tensor = graph.tensor(name).filter(|t| graph.is_constant(*t))?;
    graph.producer(tensor).proto(&model.proto).and_then(NodeProto::constant)
}
