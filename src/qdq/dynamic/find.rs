//! Which units a model has, by what reads what. What an operator's scales are must be seen, else it is no unit.

mod integers;
mod linear;
mod several;

use super::{Code, Operand, Stored, Unit, stored::Layout};
use crate::compare::to_f64;
use crate::graph::{Graph, Node, Source};
use crate::load::Model;
use crate::onnx::{AttributeProto, NodeProto};
use crate::qdq::Pair;
use crate::qdq::find::constant;
use crate::tensor::{DType, Tensor};

/// Every unit, in the graph's order. `graph` is that of `model.proto`.
pub fn units(model: &Model, graph: &Graph) -> Vec<Unit> {
    let find = Find { model, graph };
    (0..graph.nodes.len()).filter_map(|number| find.unit(number)).collect()
}

struct Find<'a> {
    model: &'a Model,
    graph: &'a Graph,
}

/// A node with its proto and its number.
#[derive(Clone, Copy)]
struct At<'a> {
    number: usize,
    node: &'a Node,
    proto: &'a NodeProto,
}

impl At<'_> {
    /// The name in an input; empty where there is none.
    fn input(&self, slot: usize) -> String {
        self.proto.input.get(slot).cloned().unwrap_or_default()
    }

    fn int(&self, name: &str) -> Option<i64> {
        self.proto.attr(name).map(AttributeProto::i)
    }

    /// All attributes but these.
    fn attributes(&self, but: &[&str]) -> Vec<AttributeProto> {
        self.proto.attribute.iter().filter(|a| !but.contains(&a.name())).cloned().collect()
    }

    /// The number of the node that makes what is called `name` here.
    fn tensor(&self, name: &str) -> Option<usize> {
        match self.node.reads.iter().find(|r| r.name == name)?.source {
            Source::Tensor(t) => Some(t),
            _ => None,
        }
    }
}

impl<'a> Find<'a> {
    fn unit(&self, number: usize) -> Option<Unit> {
        let at = self.at(number)?;
        match (at.node.domain.as_str(), at.node.op_type.as_str()) {
            ("" | "ai.onnx", "MatMulInteger" | "ConvInteger") => self.integers(at),
            ("" | "ai.onnx", "Gather") => self.gathered(at),
            ("" | "ai.onnx" | "com.microsoft", "QLinearConv" | "QLinearMatMul") => self.linear(at),
            ("com.microsoft", "MatMulIntegerToFloat") => self.integers_to_float(at),
            ("com.microsoft", "DynamicQuantizeMatMul") => self.dynamic_product(at),
            ("com.microsoft", "DynamicQuantizeLSTM") => self.lstm(at),
            ("com.microsoft", "QAttention") => self.attention(at),
            ("com.microsoft", "MatMulNBits") => self.n_bits(at),
            ("com.microsoft", "GatherBlockQuantized") => self.gathered_by_block(at),
            ("com.microsoft", "QGemm") => self.gemm(at),
            ("com.microsoft", op) if op.starts_with("QLinear") => self.elementwise(at),
            _ => None,
        }
    }

    fn at(&self, number: usize) -> Option<At<'a>> {
        let node = self.graph.nodes.get(number)?;
        Some(At { number, node, proto: node.proto(&self.model.proto)? })
    }

    /// The value of a constant input.
    fn value(&self, at: At, slot: usize) -> Option<Tensor> {
        self.named(at, at.proto.input.get(slot).filter(|name| !name.is_empty())?)
    }

    fn named(&self, at: At, name: &str) -> Option<Tensor> {
        constant(self.model, self.graph, at.node, name)
    }

    /// The only node that reads this tensor, in the same graph.
    fn reader(&self, tensor: usize) -> Option<At<'a>> {
        let mut readers: Vec<usize> =
            self.graph.children(tensor).into_iter().map(|t| self.graph.tensors[t].node).collect();
        readers.dedup();
        let [only] = readers[..] else { return None };
        let handed_out = self.graph.outputs.iter().any(|(_, output)| *output == Some(tensor));
        self.at(only).filter(|at| !handed_out && at.node.scope == self.graph.producer(tensor).scope)
    }
}

/// A unit of which `number` is the only node that must be there.
fn alone(number: usize, result: usize, float: &'static str, operands: Vec<Operand>) -> Unit {
    Unit {
        node: number,
        last: number,
        around: Vec::new(),
        float,
        attributes: Vec::new(),
        operands,
        bias: None,
        result,
        codes: None,
        dynamic: false,
        bits: None,
    }
}

/// Integers with scales by tensor or along `axis`; one number stands for as many as the other has. No scale: not known.
fn plain(
    number: usize,
    name: &str,
    stored: Tensor,
    scale: Option<Tensor>,
    zero: Option<Tensor>,
    axis: usize,
) -> Stored {
    let (scale, zero_point) = alike(scale, zero);
    let several = scale.as_ref().is_some_and(|s| s.elements() != 1);
    let dtype = scale.as_ref().map_or(DType::Float32, |s| s.dtype);
    let pair = Pair {
        tensor: name.to_string(),
        quantize: None,
        dequantize: number,
        slots: Pair::LINEAR,
        axis: several.then_some(axis as i64),
        block: 0,
        dtype: stored.dtype,
        weight: true,
        consumers: vec![number],
        channels: None,
        stored: Some(stored),
        scale,
        zero_point,
        quantizer: None,
    };
    Stored { name: name.to_string(), layout: Layout::Plain(Box::new(pair)), turned: false, dtype }
}

/// As many zero points as scales, and as many scales as zero points.
fn alike(scale: Option<Tensor>, zero: Option<Tensor>) -> (Option<Tensor>, Option<Tensor>) {
    let (Some(scale), Some(zero)) = (&scale, &zero) else { return (scale, zero) };
    let many = scale.elements().max(zero.elements());
    (Some(repeated(scale, many)), Some(repeated(zero, many)))
}

fn repeated(tensor: &Tensor, many: usize) -> Tensor {
    if tensor.elements() != 1 {
        return tensor.clone();
    }
    Tensor::new(tensor.dtype, vec![many], tensor.bytes().repeat(many)).unwrap_or_else(|_| tensor.clone())
}

/// Products of scales: single numbers, or as many as the longest has. In float32, as the model multiplies them.
fn multiplied(factors: &[Tensor]) -> Option<Tensor> {
    let many = factors.iter().map(Tensor::elements).max()?;
    let values: Vec<Vec<f64>> = factors.iter().map(to_f64).collect();
    if values.iter().any(|v| v.len() != 1 && v.len() != many) {
        return None;
    }
    let of = |i: usize| values.iter().fold(1f32, |product, v| product * v[if v.len() == 1 { 0 } else { i }] as f32);
    let product = Tensor::from_vec(DType::Float32, vec![many], (0..many).map(of).collect::<Vec<f32>>());
    crate::precision::cast(&product, factors[0].dtype)
}

fn code(scale: String, zero_point: String) -> Code {
    Code { scale, zero_point }
}
