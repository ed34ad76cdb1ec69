//! What each side does above a tensor that the other does not: casts to a half precision, quantisation of any form. By that a
//! tensor is judged. Graphs only; no value is looked at but the scales that stand in a file.

use std::collections::HashMap;

use super::allowance::{Allowance, looser};
use super::noise::{self, Beside};
use crate::graph::{Graph, Node, Source};
use crate::load::Model;
use crate::load::testset::tensor_from_proto;
use crate::onnx::{AttributeProto, NodeProto};
use crate::spec::Precision;
use crate::tensor::{DType, Tensor};

/// One side.
#[derive(Clone, Copy)]
pub struct Wires<'a> {
    /// Of its model.
    pub graph: &'a Graph,
    /// What it runs.
    pub model: &'a Model,
}

/// By tensor of `own`, what is done above it that `other` does not do in the same place. `beside` says what runs the two.
pub fn above(own: Wires, other: Wires, beside: Beside) -> Vec<Allowance> {
    let (halves, theirs) = (halves(own), halves(other));
    let alike = quantise_alike(own, other);
    let mut known: Vec<Allowance> = vec![Allowance::default(); own.graph.tensors.len()];
    for node in &own.graph.nodes {
        let mut above = Allowance::default();
        let reads = node.reads.iter().filter_map(|r| if let Source::Tensor(t) = r.source { Some(t) } else { None });
        for tensor in reads.chain(node.results.iter().copied()) {
            let Allowance { precision, steps, .. } = known[tensor].clone();
            above = above.or(Allowance { precision, steps, ..Allowance::default() });
        }
        let proto = node.proto(&own.model.proto);
        let results = node.results.iter().map(|tensor| known[*tensor].made_of).fold(0.0, f64::max);
        let made_of = if unit(node, &known) { 1.0 } else { results };
        let counts = counts(node, &known);
        for tensor in &node.writes {
            let counterpart = other.graph.tensor(&own.graph.tensors[*tensor].key);
            let twin = counterpart.filter(|t| other.graph.producer(*t).op_type == node.op_type);
            let step = step(own, node, proto).filter(|_| twin.is_some());
            let mut allowance = Allowance { made_of, counts, step, ..above.clone() };
            // What one fused operator does at once is never rounded as its parts are.
            let apart = if beside == Beside::Same { Beside::Elsewhere } else { beside };
            match (quantises(own, node, proto), twin) {
                (None, _) => {}
                (Some(_), None) if alike => allowance.steps = Some(noise::steps(apart)),
                (Some(precision), None) => allowance.precision = looser(allowance.precision, precision),
                (Some(_), Some(_)) if rounds_values(own, node) => allowance.steps = Some(noise::steps(beside)),
                (Some(_), Some(_)) => {}
            }
            if let Some(half) = halves[*tensor] {
                let alike = counterpart.is_some_and(|t| theirs[t] == Some(half));
                if !(alike && beside == Beside::Same) {
                    allowance.precision = looser(allowance.precision, half);
                }
            }
            known[*tensor] = allowance;
        }
    }
    known
}

/// Do both models quantise as a whole? One may have what an optimiser made of the other: fewer operators, of other names. A
/// float model with a quantised corner does not.
fn quantise_alike(one: Wires, other: Wires) -> bool {
    let count = |side: Wires| {
        let quantises =
            |n: &&Node| n.op_type != "DequantizeLinear" && quantises(side, n, n.proto(&side.model.proto)).is_some();
        side.graph.nodes.iter().filter(quantises).count()
    };
    let (a, b) = (count(one), count(other));
    a.min(b) * FUSED >= a.max(b) && a.min(b) > 0
}

/// Quantising operators that one fused operator may stand for.
const FUSED: usize = 4;

/// Does an operator quantise, and to what precision?
fn quantises(side: Wires, node: &Node, proto: Option<&NodeProto>) -> Option<Precision> {
    let op = node.op_type.as_str();
    let contrib = node.domain == "com.microsoft"
        && op.starts_with('Q')
        && op.chars().nth(1).is_some_and(|second| second.is_uppercase());
    let linear = matches!(op, "QuantizeLinear" | "DequantizeLinear");
    let other = ["QLinear", "Quantize", "Quantise", "NBits", "Bnb4", "MatMulInteger", "ConvInteger", "MatMulFpQ4"];
    let inside = side.model.proto.functions.iter().filter(|f| f.name() == op && f.domain() == node.domain);
    let body =
        inside.flat_map(|f| &f.node).any(|n| n.op_type().contains("Quantize") || n.op_type().contains("QLinear"));
    if !linear && !contrib && !body && !other.iter().any(|word| op.contains(word)) {
        return None;
    }
    Some(match if linear { stored(side, node, proto?) } else { None } {
        // A bias in int32 has steps far below everything else.
        Some(DType::Int32) => return None,
        Some(DType::Int16 | DType::Uint16) => Precision::Fp16,
        _ => Precision::Int8,
    })
}

/// What the integers of a QuantizeLinear or DequantizeLinear are.
fn stored(side: Wires, node: &Node, proto: &NodeProto) -> Option<DType> {
    let declared = proto.attr("output_dtype").map(|a| DType::from_onnx(a.i() as i32));
    if let Some(Some(dtype)) = declared.filter(|_| node.op_type == "QuantizeLinear") {
        return Some(dtype);
    }
    let zero_point = proto.input.get(2).filter(|name| !name.is_empty()).and_then(|name| written(side, node, name));
    if let Some(zero_point) = zero_point {
        return Some(zero_point.dtype);
    }
    let data = proto.input.first().filter(|_| node.op_type == "DequantizeLinear")?;
    if let Some(weight) = weight_type(side, node, data) {
        return Some(weight);
    }
    let read = node.reads.iter().find(|r| r.name == *data)?;
    let Source::Tensor(t) = read.source else { return None };
    let maker = side.graph.producer(t);
    (maker.op_type == "QuantizeLinear").then(|| stored(side, maker, maker.proto(&side.model.proto)?)).flatten()
}

/// Does it round values that were computed, so that two sides may come to different steps? A stored weight is the same.
fn rounds_values(side: Wires, node: &Node) -> bool {
    let computed = |source: &Source| match source {
        Source::Tensor(t) => !side.graph.is_constant(*t),
        Source::Input => true,
        Source::Initializer => false,
    };
    node.op_type != "DequantizeLinear" && node.reads.first().is_some_and(|r| computed(&r.source))
}

/// One step of what the node makes, where that is a quantised value (on both sides, or it would hide a part that is lost): 1 of integers, the scale of what a DequantizeLinear gives.
fn step(side: Wires, node: &Node, proto: Option<&NodeProto>) -> Option<f64> {
    let op = node.op_type.as_str();
    if matches!(op, "QuantizeLinear" | "DynamicQuantizeLinear") || op.starts_with("QLinear") || op == "QGemm" {
        return Some(1.0);
    }
    let proto = proto.filter(|_| op == "DequantizeLinear")?;
    if !node.reads.first().is_some_and(|r| matches!(r.source, Source::Tensor(_))) {
        return None;
    }
    let scale = written(side, node, proto.input.get(1)?)?;
    (scale.elements() == 1).then(|| crate::compare::to_f64(&scale).first().copied()).flatten().map(f64::abs)
}

/// Made of numbers near one?
fn unit(node: &Node, known: &[Allowance]) -> bool {
    let made = matches!(
        node.op_type.as_str(),
        "Sigmoid" | "HardSigmoid" | "Softmax" | "LogSoftmax" | "Tanh" | "Erf" | "Sin" | "Cos" | "Softplus" | "Softsign"
    );
    let passes = matches!(
        node.op_type.as_str(),
        "Identity"
            | "Reshape"
            | "Flatten"
            | "Squeeze"
            | "Unsqueeze"
            | "Transpose"
            | "Concat"
            | "Slice"
            | "Split"
            | "Gather"
            | "GatherElements"
            | "GatherND"
            | "Expand"
            | "Tile"
            | "Cast"
            | "Max"
            | "Min"
            | "Clip"
            | "MaxPool"
            | "ReduceMax"
            | "GlobalMaxPool"
            | "TopK"
            | "Where"
            | "Add"
            | "Sub"
            | "ReduceMean"
            | "Dropout"
    );
    let read = |r: &crate::graph::Read| matches!(r.source, Source::Tensor(t) if known[t].made_of > 0.0);
    // A product with something else has the size of that.
    let product = node.op_type == "Mul" && node.reads.iter().all(read);
    made || product || (passes && node.reads.iter().any(read))
}

/// Does it make integers that are numbers: sums of products of quantised values?
fn counts(node: &Node, known: &[Allowance]) -> bool {
    let passes = matches!(
        node.op_type.as_str(),
        "Add"
            | "Sub"
            | "Mul"
            | "Neg"
            | "Reshape"
            | "Transpose"
            | "Squeeze"
            | "Unsqueeze"
            | "Flatten"
            | "Concat"
            | "Slice"
            | "Split"
            | "Identity"
            | "ReduceSum"
    );
    let read = |r: &crate::graph::Read| matches!(r.source, Source::Tensor(t) if known[t].counts);
    matches!(node.op_type.as_str(), "MatMulInteger" | "ConvInteger") || (passes && node.reads.iter().any(read))
}

/// By tensor: FP16 or BF16, where its elements are stored so, as far as the operators tell.
fn halves(side: Wires) -> Vec<Option<Precision>> {
    let weights = Weights::of(side);
    let mut known: Vec<Option<Precision>> = vec![None; side.graph.tensors.len()];
    for node in &side.graph.nodes {
        let of = |name: &str| {
            let read = node.reads.iter().find(|r| r.name == name)?;
            if let Source::Tensor(t) = read.source { known[t] } else { weights.half(name) }
        };
        let proto = node.proto(&side.model.proto);
        let typed = |name: &str| proto.and_then(|p| p.attr(name)).map(AttributeProto::i);
        let half = match node.op_type.as_str() {
            "Cast" => typed("to").and_then(|to| half(DType::from_onnx(to as i32)?)),
            "Constant" => proto.and_then(NodeProto::constant).and_then(|t| half(t.dtype()?)),
            "ConstantOfShape" => proto.and_then(|p| p.attr("value")?.t.as_ref()?.dtype()).and_then(half),
            "QuantizeLinear" | "DynamicQuantizeLinear" | "Shape" | "Size" => None,
            "DequantizeLinear" | "CastLike" => proto.and_then(|p| of(p.input.get(1)?)),
            _ => node.reads.iter().find_map(|r| of(&r.name)).or_else(|| node.results.iter().find_map(|t| known[*t])),
        };
        node.writes.iter().for_each(|t| known[*t] = half);
    }
    known
}

fn half(dtype: DType) -> Option<Precision> {
    match dtype {
        DType::Float16 => Some(Precision::Fp16),
        DType::Bfloat16 => Some(Precision::Bf16),
        _ => None,
    }
}

/// Element types of what the file gives, by name.
struct Weights(HashMap<String, DType>);

impl Weights {
    fn of(side: Wires) -> Weights {
        let mut types = HashMap::new();
        if let Some(main) = &side.model.proto.graph {
            types.extend(main.input.iter().filter_map(|v| Some((v.name().to_string(), v.dtype()?))));
            main.each_initializer(&mut |t| types.extend(t.dtype().map(|dtype| (t.name().to_string(), dtype))));
        }
        Weights(types)
    }

    fn half(&self, name: &str) -> Option<Precision> {
        half(*self.0.get(name)?)
    }
}

fn weight_type(side: Wires, node: &Node, name: &str) -> Option<DType> {
    let main = side.model.proto.graph.as_ref()?;
    crate::graph::initializer(main, &node.scope, name)?.dtype()
}

/// The value that the file has for `name`, as the node reads it.
fn written(side: Wires, node: &Node, name: &str) -> Option<Tensor> {
    let read = node.reads.iter().find(|r| r.name == name)?;
    let proto = match read.source {
        Source::Initializer => {
            let main = side.model.proto.graph.as_ref()?;
            side.model.inline(crate::graph::initializer(main, &node.scope, name)?)
        }
        Source::Tensor(t) if side.graph.is_constant(t) => {
            side.graph.producer(t).proto(&side.model.proto)?.constant()?
        }
        _ => return None,
    };
    tensor_from_proto(&proto).ok()
}
