//! Sums as a device takes them that accumulates in FP16: what a node computes, from values to values. Nothing here knows a backend
//! or a graph; every operator is given its node, with what decides its shape as attributes, and float32 values.
//!
//! Devices differ in the order of a sum and in how much of it they hold exactly. What is computed here:
//!
//! - **Products** (MatMul, Gemm, Conv and its like): the terms of a sum are taken in the order in which the weights lie, [`STEP`] at a
//!   time. The products of FP16 values are exact; those of a step are added up in FP32, and their sum is added to an accumulator
//!   that is rounded to FP16 after every step. That is what tensor cores do with an FP16 accumulator. A bias, alpha and beta come
//!   to the end of it, in FP32.
//! - **Reductions** (ReduceMean, GlobalAveragePool, the denominator of a Softmax): a tree. [`STEP`] values that lie side by side are
//!   added up in FP32 and rounded to FP16; so are the sums of those, until one is left. A mean is the sum divided by the number
//!   of its terms: the sum itself must hold.
//! - **Normalisations**: written out, with every step rounded to FP16: the mean, the differences from it, their squares, the mean
//!   of those, the epsilon added, the root, the quotient, the scale.

mod conv;
mod fold;
mod half;
mod matmul;
mod norm;
mod product;
mod reach;
mod softmax;
#[cfg(test)]
mod tests;

pub use half::{Half, INFINITE, MAX, Partial, Watch, to_half};
pub use product::STEP;
pub use reach::beyond;

use std::borrow::Cow;

use crate::onnx::{AttributeProto, NodeProto};
use crate::tensor::{DType, Tensor};

/// A float32 tensor: borrowed where it is read, owned where it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Values<'a> {
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Cow<'a, [f32]>,
}

impl<'a> Values<'a> {
    /// Made here.
    pub fn made(shape: Vec<usize>, values: Vec<f32>) -> Values<'static> {
        Values { shape, values: Cow::Owned(values) }
    }

    /// Of a float32 tensor; `None` for another.
    pub fn of(tensor: &'a Tensor) -> Option<Values<'a>> {
        (tensor.dtype == DType::Float32).then(|| Values { shape: tensor.shape.clone(), values: tensor.view::<f32>() })
    }

    fn rank(&self) -> usize {
        self.shape.len()
    }

    /// Elements from this axis on.
    fn behind(&self, axis: usize) -> usize {
        self.shape.get(axis..).map_or(1, |sizes| sizes.iter().product())
    }
}

/// The attribute that names the opset of the model that a node comes from.
pub const SINCE: &str = "since";

/// Operators whose sums are taken here, by domain and name.
const OPERATORS: [(&str, &str); 25] = [
    ("", "Conv"),
    ("", "ConvTranspose"),
    ("", "Gemm"),
    ("", "MatMul"),
    ("com.microsoft", "FusedMatMul"),
    ("", "GlobalAveragePool"),
    ("", "ReduceL1"),
    ("", "ReduceL2"),
    ("", "ReduceLogSum"),
    ("", "ReduceLogSumExp"),
    ("", "ReduceMean"),
    ("", "ReduceSum"),
    ("", "ReduceSumSquare"),
    ("", "LogSoftmax"),
    ("", "Softmax"),
    ("", "GroupNormalization"),
    ("", "InstanceNormalization"),
    ("", "LayerNormalization"),
    ("", "LpNormalization"),
    ("", "RMSNormalization"),
    ("", "SimplifiedLayerNormalization"),
    ("com.microsoft", "SimplifiedLayerNormalization"),
    ("com.microsoft", "SkipLayerNormalization"),
    ("com.microsoft", "SkipSimplifiedLayerNormalization"),
    ("com.microsoft", "TransposeMatMul"),
];

/// Others that add up floats, and are left as they are: in FP32.
const OTHERS: [&str; 24] = [
    "Attention",
    "AveragePool",
    "BiasSoftmax",
    "CumSum",
    "DFT",
    "DecoderMaskedMultiHeadAttention",
    "Einsum",
    "EmbedLayerNormalization",
    "FusedConv",
    "FusedGemm",
    "GRU",
    "GlobalLpPool",
    "GroupNorm",
    "GroupQueryAttention",
    "LRN",
    "LSTM",
    "LpPool",
    "MatMulNBits",
    "MeanVarianceNormalization",
    "MultiHeadAttention",
    "NhwcConv",
    "QAttention",
    "RNN",
    "SkipGroupNorm",
];

/// Are the sums of this operator taken here?
pub fn takes(node: &NodeProto) -> bool {
    let domain = if node.domain() == "ai.onnx" { "" } else { node.domain() };
    OPERATORS.contains(&(domain, node.op_type())) && !(node.is("ConvTranspose") && conv::is_shaped(node))
}

/// Does it add up floats, so that it is left in FP32 where the others are not?
pub fn leaves(node: &NodeProto) -> bool {
    matches!(node.domain(), "" | "ai.onnx" | "com.microsoft")
        && (OTHERS.contains(&node.op_type()) || node.is("ConvTranspose") && conv::is_shaped(node))
}

/// What the node makes of its inputs: a value for each of its outputs that has a name. What of it would be rounded when it is
/// stored is not rounded here.
pub fn compute<P: Partial>(
    node: &NodeProto,
    inputs: &[Option<Values>],
    partial: &P,
) -> Result<Vec<Values<'static>>, String> {
    let call = Call { node, inputs };
    let one = |made: Result<Values<'static>, String>| made.map(|made| vec![made]);
    match node.op_type() {
        "MatMul" | "FusedMatMul" | "TransposeMatMul" => one(matmul::matmul(&call, partial)),
        "Gemm" => one(matmul::gemm(&call, partial)),
        "Conv" | "ConvTranspose" => one(conv::conv(&call, partial)),
        "Softmax" | "LogSoftmax" => one(softmax::softmax(&call, partial)),
        "LpNormalization" => one(norm::lp(&call, partial)),
        "InstanceNormalization" | "GroupNormalization" => one(norm::groups(&call, partial)),
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => norm::layer(&call, partial),
        "SkipLayerNormalization" | "SkipSimplifiedLayerNormalization" => norm::skip(&call, partial),
        _ => one(fold::reduce(&call, partial)),
    }
}

/// A node, and what it reads.
struct Call<'a> {
    node: &'a NodeProto,
    inputs: &'a [Option<Values<'a>>],
}

impl<'a> Call<'a> {
    fn given(&self, slot: usize) -> Option<&'a Values<'a>> {
        self.inputs.get(slot)?.as_ref()
    }

    fn input(&self, slot: usize) -> Result<&'a Values<'a>, String> {
        self.given(slot).ok_or_else(|| format!("{} lacks input {slot}", self.node.op_type()))
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.node.attr(name).and_then(|a| a.i).unwrap_or(default)
    }

    fn is_on(&self, name: &str) -> bool {
        self.int(name, 0) != 0
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.node.attr(name).and_then(|a| a.f).unwrap_or(default)
    }

    fn ints(&self, name: &str) -> Option<&'a [i64]> {
        self.node.attr(name).map(|a: &AttributeProto| a.ints.as_slice())
    }

    fn since(&self) -> i64 {
        self.int(SINCE, i64::MAX)
    }

    /// An axis of so many, which may be counted from the end.
    fn axis(&self, axis: i64, rank: usize) -> Result<usize, String> {
        let from_front = if axis < 0 { axis + rank as i64 } else { axis };
        usize::try_from(from_front)
            .ok()
            .filter(|axis| *axis <= rank)
            .ok_or_else(|| format!("{} has no axis {axis} of {rank}", self.node.op_type()))
    }

    /// That its inputs do not fit together.
    fn misfit(&self) -> String {
        let shapes: Vec<_> = self.inputs.iter().flatten().map(|v| crate::tensor::shape_text(&v.shape)).collect();
        format!("{} of {} cannot be computed", self.node.op_type(), shapes.join(" and "))
    }
}

/// `values` repeated along the axes that `to` has and they have not, as ONNX broadcasts; `None` where they do not fit.
fn broadcast(values: &Values, to: &[usize]) -> Option<Vec<f32>> {
    if values.shape == to {
        return Some(values.values.to_vec());
    }
    let lead = to.len().checked_sub(values.rank())?;
    let mut strides = vec![0; to.len()];
    for (axis, size) in values.shape.iter().enumerate() {
        match (*size, to[lead + axis]) {
            (a, b) if a == b => strides[lead + axis] = values.behind(axis + 1),
            (1, _) => {}
            _ => return None,
        }
    }
    Some(gather(&values.values, to, &strides))
}

/// Values of these sizes, read with these strides.
fn gather(values: &[f32], sizes: &[usize], strides: &[usize]) -> Vec<f32> {
    let count: usize = sizes.iter().product();
    let Some((inner, outer)) = sizes.split_last() else { return values[..1].to_vec() };
    let (step, mut made) = (strides[outer.len()], Vec::with_capacity(count));
    let mut place = vec![0; outer.len()];
    while made.len() < count {
        let from: usize = place.iter().zip(strides).map(|(at, stride)| at * stride).sum();
        made.extend((0..*inner).map(|i| values[from + i * step]));
        for axis in (0..outer.len()).rev() {
            place[axis] += 1;
            if place[axis] < outer[axis] {
                break;
            }
            place[axis] = 0;
        }
    }
    made
}

/// The axes of row-major values in another order.
fn transposed(values: &[f32], shape: &[usize], order: &[usize]) -> Vec<f32> {
    let behind = |axis: usize| shape[axis + 1..].iter().product::<usize>();
    let sizes: Vec<usize> = order.iter().map(|axis| shape[*axis]).collect();
    let strides: Vec<usize> = order.iter().map(|axis| behind(*axis)).collect();
    if sizes.contains(&0) { Vec::new() } else { gather(values, &sizes, &strides) }
}
