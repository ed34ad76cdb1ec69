//! TF32, NVIDIA's way to multiply float32, emulated on a backend that has none. Graph -> graph.
//!
//! TF32 is no type of tensors: each operand of a product loses all but 10 bits of its mantissa on the way in, products and
//! sums are FP32, and results are not rounded. So a Round comes in front of both operands of every Conv, ConvTranspose, Gemm,
//! MatMul and Einsum of two, wherever in the model; biases stay as they are. Depthwise and grouped convolutions are treated
//! like the others, although NVIDIA's libraries often compute them without tensor cores. What multiplies inside (attention
//! as one node, Einsum of three, FusedConv and FusedGemm of optimised files) or has no TF32 in ONNX Runtime (LSTM, GRU, RNN) is not emulated.

use std::collections::HashSet;

use super::{Kept, ROUND, ROUND_DOMAIN};
use crate::graph::node_name;
use crate::mark::Types;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::tensor::DType;

/// Explicit bits of TF32's mantissa; an attribute of Round.
pub const MANTISSA: i64 = 10;

/// `x` as a tensor core reads it: to 10 bits of mantissa, the nearest, of two the one away from zero. This is what
/// `cvt.rna.tf32.f32` does, and with it kernels that convert their operands. Kernels that hand float32 over as it is have its
/// last 13 bits cut off instead, which errs by up to twice as much. The exponent's range is FP32's, with its subnormals; what
/// is beyond the largest value is an infinity; NaN and infinities stay.
pub fn nearest(x: f32) -> f32 {
    let bits = x.to_bits();
    let half = 1 << 12;
    if x.is_finite() { f32::from_bits((bits + half) & !(2 * half - 1)) } else { x }
}

/// Does it multiply in TF32, or something inside it? Such nodes change with TF32, and no others.
pub fn multiplies(node: &NodeProto) -> bool {
    let inside = |(_, body): (&str, &GraphProto)| body.node.iter().any(multiplies);
    is_product(node) || node.subgraphs().any(inside)
}

/// Its first two inputs are what it multiplies, and both have the type of its output.
fn is_product(node: &NodeProto) -> bool {
    match (node.domain(), node.op_type()) {
        ("" | "ai.onnx", "Conv" | "ConvTranspose" | "Gemm" | "MatMul") => true,
        ("" | "ai.onnx", "Einsum") => node.input.len() == 2,
        ("com.microsoft", "FusedMatMul" | "TransposeMatMul") => true,
        _ => false,
    }
}

/// `model` with the operands of its float32 products rounded, except in `kept` nodes and in all that is inside those.
pub fn emulate(model: &ModelProto, types: &Types, kept: &Kept) -> ModelProto {
    let mut emulated = model.clone();
    let Some(main) = emulated.graph.as_mut() else { return emulated };
    each_product(main, types, kept, &mut |at: Product, nodes| {
        let Product { mut node, prefix, kept, seen } = at;
        for input in node.input.iter_mut().take(if kept { 0 } else { 2 }) {
            let rounded = format!("{prefix}{input}/tf32");
            if seen.insert(input.clone()) {
                let mut round = NodeProto::new(ROUND, &format!("{rounded}/round"), &[input], &[&rounded]);
                round.domain = Some(ROUND_DOMAIN.to_string());
                nodes.push(round.with(AttributeProto::int("mantissa", MANTISSA)));
            }
            *input = rounded;
        }
        nodes.push(node);
    });
    emulated.opset_import.push(OperatorSetIdProto { domain: Some(ROUND_DOMAIN.to_string()), version: Some(1) });
    emulated
}

/// A float32 product on its way.
pub(super) struct Product<'a> {
    pub node: NodeProto,
    /// What keys of its graph's tensors begin with.
    pub prefix: &'a str,
    /// It, or what it is in, is kept.
    pub kept: bool,
    /// Operands that are dealt with in this graph.
    pub seen: &'a mut HashSet<String>,
}

/// Takes every float32 product out of the model, and puts what `put` pushes in its place.
pub(super) fn each_product(
    main: &mut GraphProto,
    types: &Types,
    kept: &Kept,
    put: &mut dyn FnMut(Product, &mut Vec<NodeProto>),
) {
    walk(main, "", false, &(types, kept), put);
}

fn walk(
    graph: &mut GraphProto,
    prefix: &str,
    within: bool,
    about: &(&Types, &Kept),
    put: &mut dyn FnMut(Product, &mut Vec<NodeProto>),
) {
    let (types, chosen) = about;
    let mut seen = HashSet::new();
    let mut nodes = Vec::with_capacity(graph.node.len() * 3);
    for mut node in std::mem::take(&mut graph.node) {
        let path = node_name(&node);
        let kept = within || node.output.iter().any(|o| chosen.contains(&format!("{prefix}{o}")));
        for attribute in &mut node.attribute {
            let inner = format!("{prefix}{path}/{}/", attribute.name());
            for body in attribute.g.iter_mut().chain(attribute.graphs.iter_mut()) {
                walk(body, &inner, kept, about, put);
            }
        }
        // One of the three is known even where a cut knows only what it is fed with.
        let mut names = node.output.iter().chain(node.input.iter().take(2));
        let float = names.any(|name| types.get(&format!("{prefix}{name}")) == Some(&DType::Float32));
        match is_product(&node) && float {
            true => put(Product { node, prefix, kept, seen: &mut seen }, &mut nodes),
            false => nodes.push(node),
        }
    }
    graph.node = nodes;
}

#[cfg(test)]
mod tests;
