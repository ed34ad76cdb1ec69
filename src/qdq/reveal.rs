//! Integer tensors of a quantised model (QLinearConv and its like) made visible as the floats that they stand for, where
//! another model has these under the same name. Graph -> graph.
//!
//! Behind the integers come a DequantizeLinear, which gives the float its name, and a QuantizeLinear, from which everybody
//! reads: (code - zero point) * scale and back is the same code, so the model computes what it computed. Scale and zero point
//! are those of the node that makes the integers, or, behind nodes that only move them, of the one further up. A Relu or Clip
//! that is in the range of the codes has no node of its own: then the integers are what it makes. Two models that hold a tensor as integers both are left alone. Types of 16 bits and scales by channel are not looked at.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use crate::graph::{Graph, call, node_name};
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::tensor::DType;

/// `model` with the floats that its integers stand for; `None` where it has no integer whose float `other` has.
pub fn reveal(model: &ModelProto, other: &ModelProto) -> Option<ModelProto> {
    // QuantizeLinear is younger than that, and so is everything that reads it.
    let (main, theirs) = (model.graph.as_ref().filter(|_| model.opset() >= 10)?, other.graph.as_ref()?);
    let (floats, clamped) = (floats(other, theirs), clamped(other)?);
    let mut taken = HashSet::new();
    each_graph(main, "", &mut |graph, _| taken.extend(graph.given().chain(made(graph)).map(str::to_string)));
    let (eight_bits, dequantised) = (eight_bits(main), dequantised(main));
    let mut reveal = Reveal { floats, clamped, taken, eight_bits, dequantised, pairs: 0 };
    let mut graph = main.clone();
    reveal.graph(&mut graph, "", &HashMap::new());
    (reveal.pairs > 0).then(|| ModelProto { graph: Some(graph), ..model.clone_without_graph() })
}

/// What the integers of a tensor are multiplied with, and what is taken off before: names of other tensors.
#[derive(Clone, Debug, PartialEq)]
struct Code {
    scale: String,
    zero_point: Option<String>,
}

/// Tensors of a graph, and of those around it, that hold codes.
type Codes = HashMap<String, Code>;

struct Reveal {
    /// Keys of what the other model holds as it is.
    floats: HashSet<String>,
    /// Keys of what only a Relu or Clip reads there, each with the key of what that makes.
    clamped: HashMap<String, String>,
    /// Names of all values of the model.
    taken: HashSet<String>,
    /// Constants that are a zero point of 8 bits, and those that are one float32.
    eight_bits: HashSet<String>,
    /// Names of what a DequantizeLinear of the model makes.
    dequantised: HashSet<String>,
    pairs: usize,
}

/// An integer tensor, and what becomes of it.
struct Pair {
    /// Position of the node that makes it.
    maker: usize,
    integer: String,
    /// It has the name of a float of the other model, which it is not.
    moves: bool,
    /// The float that it stands for, and how; `None` where nobody can tell.
    shown: Option<(String, Code)>,
}

impl Reveal {
    fn graph(&mut self, graph: &mut GraphProto, prefix: &str, outer: &Codes) {
        let mut codes = outer.clone();
        add_codes(graph, &mut codes);
        for node in &mut graph.node {
            let path = node_name(node);
            for attribute in &mut node.attribute {
                let inner = format!("{prefix}{path}/{}/", attribute.name());
                for body in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    self.graph(body, &inner, &codes);
                }
            }
        }
        for pair in self.pairs_of(graph, prefix, &codes).into_iter().rev() {
            self.put(graph, pair);
        }
    }

    /// In the order of the nodes.
    fn pairs_of(&self, graph: &GraphProto, prefix: &str, codes: &Codes) -> Vec<Pair> {
        let mut seen = HashSet::new();
        let made = graph.node.iter().enumerate().flat_map(|(maker, node)| node.output.iter().map(move |o| (maker, o)));
        let pair = |(maker, integer): (usize, &String)| {
            let code = codes.get(integer)?;
            // What the model hands out stays what it is.
            let handed_out = graph.output.iter().any(|o| o.name() == integer);
            let moves = !handed_out && self.floats.contains(&format!("{prefix}{integer}"));
            let float = self.float_of(prefix, integer, moves).filter(|_| self.is_plain(code));
            let shown = float.filter(|float| seen.insert(float.clone())).map(|float| (float, code.clone()));
            (moves || shown.is_some()).then(|| Pair { maker, integer: integer.clone(), moves, shown })
        };
        made.filter_map(pair).collect()
    }

    fn is_plain(&self, code: &Code) -> bool {
        [Some(&code.scale), code.zero_point.as_ref()].into_iter().flatten().all(|name| self.eight_bits.contains(name))
    }

    /// What the other model calls it: ONNX Runtime's quantiser adds a suffix, others keep the very name.
    fn float_of(&self, prefix: &str, integer: &str, same: bool) -> Option<String> {
        let float = integer.strip_suffix("_quantized");
        let float =
            float.filter(|name| self.floats.contains(&format!("{prefix}{name}")) && !self.taken.contains(*name));
        let mut float = float.or(Some(integer).filter(|_| same))?;
        while let Some(behind) = self.clamped.get(&format!("{prefix}{float}")).and_then(|key| key.strip_prefix(prefix))
        {
            if self.dequantised.contains(behind) {
                // It has a value under its own name; what stands in front of the Relu has none.
                return None;
            }
            if [behind.to_string(), format!("{behind}_quantized")].iter().any(|own| self.taken.contains(own)) {
                break;
            }
            float = behind;
        }
        Some(float.to_string())
    }

    fn put(&mut self, graph: &mut GraphProto, pair: Pair) {
        let Pair { maker, integer, moves, shown } = pair;
        let codes = if moves { self.fresh(&format!("{integer}/codes")) } else { integer.clone() };
        let again = shown.as_ref().map(|(float, _)| self.fresh(&format!("{float}/codes/again")));
        let read = again.as_ref().unwrap_or(&codes);
        graph.node.iter_mut().for_each(|node| read_instead(node, &integer, read));
        if moves {
            graph.node[maker].output.iter_mut().filter(|o| **o == integer).for_each(|o| o.clone_from(&codes));
            graph.value_info.retain(|v| v.name() != integer);
        }
        if let Some(((float, code), again)) = shown.zip(again) {
            let node = |op: &str, from: &str, to: &str| {
                let inputs = [Some(from), Some(&code.scale), code.zero_point.as_deref()];
                NodeProto::new(op, &format!("{to}/made"), &inputs.into_iter().flatten().collect::<Vec<_>>(), &[to])
            };
            let pair = [node("DequantizeLinear", &codes, &float), node("QuantizeLinear", &float, &again)];
            graph.node.splice(maker + 1..maker + 1, pair);
            self.taken.insert(float);
        }
        self.pairs += 1;
    }

    fn fresh(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_string();
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        name
    }
}

/// Everything that the node, or a body in it, reads as `name` it reads as `again` now.
fn read_instead(node: &mut NodeProto, name: &str, again: &str) {
    node.input.iter_mut().filter(|input| *input == name).for_each(|input| *input = again.to_string());
    for body in node.subgraphs_mut() {
        body.node.iter_mut().for_each(|node| read_instead(node, name, again));
        for output in body.output.iter_mut().filter(|o| o.name() == name) {
            output.name = Some(again.to_string());
        }
    }
}

/// Keys of what nodes of a model make that no code says to be integers.
fn floats(model: &ModelProto, main: &GraphProto) -> HashSet<String> {
    let mut codes = Codes::new();
    each_graph(main, "", &mut |graph, _| add_codes(graph, &mut codes));
    let mut keys = HashSet::new();
    let called = |node: &NodeProto| call::function(model, node).is_some();
    each_graph(main, "", &mut |graph, prefix| {
        let counts = |n: &&NodeProto| called(n) || !gives_integers(n);
        let made = graph.node.iter().filter(counts).flat_map(|n| &n.output).filter(|o| !codes.contains_key(*o));
        keys.extend(made.map(|o| format!("{prefix}{o}")));
    });
    keys
}

/// Names of what a DequantizeLinear makes.
fn dequantised(main: &GraphProto) -> HashSet<String> {
    let mut names = HashSet::new();
    each_graph(main, "", &mut |graph, _| {
        let nodes = graph.node.iter().filter(|n| n.op_type() == "DequantizeLinear");
        names.extend(nodes.flat_map(|n| n.output.iter().cloned()));
    });
    names
}

/// What only a Relu or a Clip reads, with what that makes; `None` where the model has no order.
fn clamped(model: &ModelProto) -> Option<HashMap<String, String>> {
    let graph = Graph::new(model).ok()?;
    let handed_out = |t: usize| graph.outputs.iter().any(|(_, output)| *output == Some(t));
    let pair = |t: usize| match graph.children(t).as_slice() {
        [child] if matches!(graph.producer(*child).op_type.as_str(), "Relu" | "Clip") && !handed_out(t) => {
            Some((graph.tensors[t].key.clone(), graph.tensors[*child].key.clone()))
        }
        _ => None,
    };
    Some((0..graph.tensors.len()).filter_map(pair).collect())
}

/// Operators whose results are integers or truth values, whatever they read; a Cast may be to anything.
fn gives_integers(node: &NodeProto) -> bool {
    const INTEGERS: [&str; 12] = [
        "ArgMax",
        "ArgMin",
        "Cast",
        "Equal",
        "Greater",
        "Less",
        "MatMulInteger",
        "ConvInteger",
        "NonZero",
        "Not",
        "Shape",
        "Size",
    ];
    INTEGERS.contains(&node.op_type())
}

/// Adds the outputs of the graph's nodes that hold codes.
fn add_codes(graph: &GraphProto, codes: &mut Codes) {
    for node in &graph.node {
        if let Some(code) = code(node, codes) {
            codes.extend(node.output.iter().filter(|o| !o.is_empty()).map(|o| (o.clone(), code.clone())));
        }
    }
}

/// What the integers that `node` makes stand for: by its own scale, or by that of those it hands on.
fn code(node: &NodeProto, known: &Codes) -> Option<Code> {
    const MOVES: [&str; 14] = [
        "DepthToSpace",
        "Expand",
        "Flatten",
        "Gather",
        "Identity",
        "MaxPool",
        "Reshape",
        "Resize",
        "Slice",
        "SpaceToDepth",
        "Split",
        "Squeeze",
        "Transpose",
        "Unsqueeze",
    ];
    let (scale, zero_point) = match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", op) if MOVES.contains(&op) => return known.get(node.input.first()?).cloned(),
        (_, "QuantizeLinear") if node.attr("output_dtype").is_none() => (1, 2),
        (_, "QLinearConv" | "QLinearMatMul" | "QLinearAdd" | "QLinearMul") => (6, 7),
        (_, "QGemm" | "QLinearWhere") => (7, 8),
        (_, "QLinearConcat") => (0, 1),
        (_, op) if op.starts_with("QLinear") => (3, 4),
        _ => return None,
    };
    let input = |slot: usize| node.input.get(slot).filter(|name| !name.is_empty()).cloned();
    Some(Code { scale: input(scale)?, zero_point: input(zero_point) })
}

/// Constants of one element that are float32 and normal, or integers of 8 bits, by name.
fn eight_bits(main: &GraphProto) -> HashSet<String> {
    let mut names = HashSet::new();
    each_graph(main, "", &mut |graph, _| {
        let weights = graph.initializer.iter().map(|t| (t.name().to_string(), t.clone()));
        let constants = graph.node.iter().filter_map(|n| Some((n.output.first()?.clone(), n.constant()?)));
        names.extend(weights.chain(constants).filter(|(_, t)| is_parameter(t)).map(|(name, _)| name));
    });
    names
}

fn is_parameter(tensor: &TensorProto) -> bool {
    if tensor.dims.iter().any(|d| *d != 1) {
        return false;
    }
    match tensor.dtype() {
        Some(DType::Uint8 | DType::Int8) => true,
        Some(DType::Float32) if !tensor.is_external() => {
            crate::load::testset::tensor_from_proto(tensor).is_ok_and(|t| t.view::<f32>()[0].is_normal())
        }
        _ => false,
    }
}

fn made(graph: &GraphProto) -> impl Iterator<Item = &str> {
    graph.node.iter().flat_map(|n| &n.output).map(String::as_str).filter(|o| !o.is_empty())
}

/// The graph and those inside, each with what keys of its tensors begin with; outer ones first.
fn each_graph<'a>(graph: &'a GraphProto, prefix: &str, f: &mut dyn FnMut(&'a GraphProto, &str)) {
    f(graph, prefix);
    for node in &graph.node {
        for (attribute, body) in node.subgraphs() {
            each_graph(body, &format!("{prefix}{}/{attribute}/", node_name(node)), f);
        }
    }
}
