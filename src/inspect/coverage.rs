//! What is quantised, what is not, and why as far as a file shows it. A quantiser leaves no word of what it was told to leave out:
//! reasons are what the neighbourhood of a node says.

mod pairs;

use std::collections::{BTreeMap, HashMap};

use super::against::dotted;
use super::facts::{Coverage, Covered, Left};
use super::file::Source;
use super::types::Typing;
use crate::graph::{Graph, Node, Source as From};
use crate::load::Model;
use crate::onnx::NodeProto;
use crate::qdq::{self, Pair};
use crate::tensor::DType;

/// What ONNX Runtime's quantiser takes (its registry of QDQ operators, and those it takes by default).
const USUAL: [&str; 37] = [
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "EmbedLayerNormalization",
    "Flatten",
    "Gather",
    "GatherElements",
    "Gemm",
    "GlobalAveragePool",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "LSTM",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "Relu",
    "Reshape",
    "Resize",
    "Sigmoid",
    "Slice",
    "Softmax",
    "Split",
    "Squeeze",
    "Sub",
    "TopK",
    "Transpose",
    "Unsqueeze",
    "Where",
    "Attention",
];

/// What only moves values is quantised where its input is.
const FOLLOWS: [&str; 12] = [
    "AveragePool",
    "Flatten",
    "Gather",
    "MaxPool",
    "Pad",
    "Reshape",
    "Resize",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];
/// The opset whose MaxPool takes integers.
const INTEGER_MAX_POOL: i64 = 12;

/// Whether the operands of a node are quantised.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    All,
    Some,
    None,
}

/// Where an operand comes from.
enum Operand {
    Quantised,
    Constant,
    /// A node of this number makes it.
    Computed(usize),
    Fed,
}

/// Everything that the file shows.
pub fn coverage(source: &Source, typing: &Typing) -> Coverage {
    let (model, graph) = match (&source.model, &source.graph) {
        (Ok(model), Ok(graph)) => (model, graph),
        (Err(why), _) | (_, Err(why)) => return Coverage { why: Some(why.clone()), ..Coverage::default() },
    };
    let found = qdq::pairs(model, graph).into_iter().chain(qdq::operands(model, graph)).collect::<Vec<Pair>>();
    let cover = Cover::new(model, graph, typing);
    let mut coverage = Coverage { nodes: cover.states.len(), ..Coverage::default() };
    coverage.quantised = cover.states.values().filter(|s| **s == State::All).count();
    coverage.operators = cover.operators();
    coverage.left = cover.left();
    coverage.remarks = pairs::remarks(model, graph, &found, &cover.quantised());
    coverage.pairs = pairs::facts(model, graph, &found);
    coverage.shared = pairs::shared(&coverage.pairs);
    coverage
}

struct Cover<'a> {
    model: &'a Model,
    graph: &'a Graph,
    typing: &'a Typing,
    /// By number of the node: those that compute with floats.
    states: BTreeMap<usize, State>,
}

impl<'a> Cover<'a> {
    fn new(model: &'a Model, graph: &'a Graph, typing: &'a Typing) -> Cover<'a> {
        let mut cover = Cover { model, graph, typing, states: BTreeMap::new() };
        cover.states = (0..graph.nodes.len()).filter_map(|n| Some((n, cover.state(n)?))).collect();
        let fused: Vec<usize> = cover.states.keys().copied().filter(|n| cover.is_fused(*n)).collect();
        cover.states.extend(fused.into_iter().map(|number| (number, State::All)));
        cover
    }

    /// An activation between a quantised node and a QuantizeLinear is part of that node's kernel.
    fn is_fused(&self, number: usize) -> bool {
        let node = &self.graph.nodes[number];
        let of_quantised = self.operands(node).iter().any(|(_, operand)| match operand {
            Operand::Computed(by) => self.states.get(by) == Some(&State::All),
            _ => false,
        });
        let readers = node.writes.iter().flat_map(|t| self.graph.children(*t));
        let mut readers = readers.map(|t| self.graph.producer(t).op_type.as_str()).peekable();
        let quantised = readers.peek().is_some() && readers.all(|op| op == "QuantizeLinear");
        pairs::is_activation(&node.op_type) && of_quantised && quantised
    }

    /// `None` for what computes no floats, and for quantisation itself.
    fn state(&self, number: usize) -> Option<State> {
        let node = &self.graph.nodes[number];
        if matches!(
            node.op_type.as_str(),
            "QuantizeLinear" | "DequantizeLinear" | "DynamicQuantizeLinear" | "Constant" | "Shape" | "Size"
        ) {
            return None;
        }
        if qdq::quantises(node) {
            return Some(State::All);
        }
        let operands = self.operands(node);
        let quantised = operands.iter().filter(|(_, o)| matches!(o, Operand::Quantised)).count();
        Some(match (operands.len(), quantised) {
            (0, _) => return None,
            // Arithmetic of constants is folded before it runs.
            _ if operands.iter().all(|(_, o)| matches!(o, Operand::Constant)) => return None,
            (all, n) if all == n => State::All,
            (_, 0) => State::None,
            _ => State::Some,
        })
    }

    /// The operands with values to quantise, by name: parameters and biases are left out, and so is what is no float.
    fn operands(&self, node: &Node) -> Vec<(String, Operand)> {
        let Some(proto) = node.proto(&self.model.proto) else { return Vec::new() };
        let names = proto.input.iter().enumerate().filter(|(at, name)| is_data(proto, *at) && !name.is_empty());
        names.filter_map(|(_, name)| Some((name.clone(), self.operand(node, name)?))).collect()
    }

    fn operand(&self, node: &Node, name: &str) -> Option<Operand> {
        let prefix = node.subgraph().map_or(String::new(), |path| format!("{path}/"));
        if self.typing.of(&prefix, name).is_some_and(|dtype| !dtype.is_float()) {
            return None;
        }
        Some(match &node.reads.iter().find(|r| r.name == name)?.source {
            From::Initializer => Operand::Constant,
            From::Input => Operand::Fed,
            From::Tensor(t) if self.graph.is_constant(*t) => Operand::Constant,
            From::Tensor(t) => match self.graph.producer(*t).op_type.as_str() {
                "DequantizeLinear" => Operand::Quantised,
                _ => Operand::Computed(self.graph.tensors[*t].node),
            },
        })
    }

    fn quantised(&self) -> Vec<usize> {
        self.states.iter().filter(|(_, state)| **state == State::All).map(|(number, _)| *number).collect()
    }

    fn operators(&self) -> Vec<Covered> {
        let mut by_name: HashMap<String, Covered> = HashMap::new();
        for (number, state) in &self.states {
            let node = &self.graph.nodes[*number];
            let operator = dotted(node.domain.trim_start_matches("ai.onnx"), &node.op_type);
            let none = Covered { operator: operator.clone(), nodes: 0, quantised: 0, partly: 0 };
            let covered = by_name.entry(operator).or_insert(none);
            covered.nodes += 1;
            covered.quantised += usize::from(*state == State::All);
            covered.partly += usize::from(*state == State::Some);
        }
        let mut all: Vec<Covered> = by_name.into_values().collect();
        all.sort_by(|a, b| b.nodes.cmp(&a.nodes).then_with(|| a.operator.cmp(&b.operator)));
        all
    }

    fn left(&self) -> Vec<Left> {
        let open = self.states.iter().filter(|(_, state)| **state != State::All);
        open.map(|(number, state)| self.why(*number, *state)).collect()
    }

    fn why(&self, number: usize, state: State) -> Left {
        let node = &self.graph.nodes[number];
        let op = node.op_type.as_str();
        let usual = USUAL.contains(&op) && matches!(node.domain.as_str(), "" | "ai.onnx" | "com.microsoft");
        let (code, why) = match state {
            _ if !usual => ("operator", format!("quantisers do not take {op} by default")),
            _ if op == "MaxPool" && self.model.proto.opset() < INTEGER_MAX_POOL => {
                ("operator", format!("MaxPool of integers is there from opset {INTEGER_MAX_POOL} on"))
            }
            State::Some => self.missing(node),
            _ => match self.other_type(node) {
                Some(dtype) => ("not_float32", format!("it computes in {dtype}, and quantisers take float32")),
                None => self.untouched(number),
            },
        };
        Left { node: node.name.clone(), op_type: op.to_string(), code, why }
    }

    /// Some operands are quantised and this one is not.
    fn missing(&self, node: &Node) -> (&'static str, String) {
        let operands = self.operands(node);
        let open = operands.iter().find(|(_, o)| !matches!(o, Operand::Quantised));
        match open {
            Some((name, Operand::Constant)) => ("weight", format!("the weight '{name}' is not quantised")),
            Some((name, Operand::Computed(by))) => {
                let maker = &self.graph.nodes[*by];
                ("input", format!("its input '{name}' from '{}' ({}) is not quantised", maker.name, maker.op_type))
            }
            Some((name, _)) => ("input", format!("its input '{name}' is not quantised")),
            None => ("input", "an input is not quantised".to_string()),
        }
    }

    /// An operator that quantisers take, with no pair in front of it.
    fn untouched(&self, number: usize) -> (&'static str, String) {
        let node = &self.graph.nodes[number];
        let of_type = |n: &&usize| self.graph.nodes[**n].op_type == node.op_type;
        let all = self.states.keys().filter(of_type).count();
        let quantised = self.states.iter().filter(|(n, s)| of_type(n) && **s == State::All).count();
        let op = &node.op_type;
        if self.states.values().all(|s| *s == State::None) {
            return ("type_left_out", "nothing in this model is quantised".to_string());
        }
        if FOLLOWS.contains(&op.as_str()) {
            return ("neighbours", format!("quantisers leave {op} as its input is, which is in float"));
        }
        if quantised == 0 && all > 1 {
            return ("type_left_out", format!("none of {all} {op} is: the quantiser may not have been asked for {op}"));
        }
        let above = self.operands(node).iter().any(|(_, o)| matches!(o, Operand::Computed(by) if self.is_open(*by)));
        let readers = node.writes.iter().flat_map(|t| self.graph.children(*t));
        let below = readers.map(|t| self.graph.tensors[t].node).any(|n| self.is_open(n));
        match above || below {
            true => {
                ("neighbours", format!("it stands beside nodes that are not quantised ({quantised} of {all} {op} are)"))
            }
            false => {
                ("excluded", format!("{quantised} of {all} {op} are, and its neighbours: excluded by name, it seems"))
            }
        }
    }

    fn is_open(&self, number: usize) -> bool {
        self.states.get(&number).is_some_and(|state| *state == State::None)
    }

    /// The type of its operands, where that is not float32.
    fn other_type(&self, node: &Node) -> Option<DType> {
        let prefix = node.subgraph().map_or(String::new(), |path| format!("{path}/"));
        let of = |(name, _): &(String, Operand)| self.typing.of(&prefix, name);
        self.operands(node).iter().filter_map(of).find(|dtype| *dtype != DType::Float32)
    }
}

/// Is this input values to compute with, and no parameter or bias?
fn is_data(proto: &NodeProto, at: usize) -> bool {
    let data: &[usize] = match proto.op_type() {
        "Conv" | "ConvTranspose" | "Gemm" | "MatMul" | "PRelu" | "Gather" | "GatherElements" => &[0, 1],
        "Where" => &[1, 2],
        "LSTM" | "GRU" | "RNN" => &[0, 1, 2],
        "Clip" | "Resize" | "Pad" | "BatchNormalization" | "LayerNormalization" | "InstanceNormalization" => &[0],
        "GroupNormalization" | "RMSNormalization" | "TopK" | "Slice" | "Reshape" | "Upsample" | "Dropout" => &[0],
        _ => return true,
    };
    data.contains(&at)
}
