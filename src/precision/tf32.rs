//! TF32, NVIDIA's way to multiply float32, emulated on a backend that has none. Graph -> graph.
//!
//! TF32 is no type of tensors: each operand of a product loses all but 10 bits of its mantissa on the way in, products and
//! sums are FP32, and results are not rounded. So a Round comes in front of both operands of every Conv, ConvTranspose, Gemm,
//! MatMul and Einsum of two, wherever in the model; biases stay as they are. Not in front of those that NVIDIA's libraries compute
//! without tensor cores: see `on_tensor_cores`. What multiplies inside (attention
//! as one node, Einsum of three, FusedConv and FusedGemm of optimised files) or has no TF32 in ONNX Runtime (LSTM, GRU, RNN) is not emulated.

use std::collections::{HashMap, HashSet};

use super::Kept;
use super::emulate::{import, rounding};
use crate::graph::{call, node_name};
use crate::mark::Types;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto};
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

/// Does it multiply in TF32, or something inside it, the function of `model` that it calls included? Such nodes change with
/// TF32, and no others.
pub fn multiplies(node: &NodeProto, model: &ModelProto) -> bool {
    multiplies_within(node, model, DEEPEST)
}

/// Bodies and functions inside each other at most.
const DEEPEST: usize = 64;

fn multiplies_within(node: &NodeProto, model: &ModelProto, depth: usize) -> bool {
    let any = |nodes: &[NodeProto]| depth > 0 && nodes.iter().any(|n| multiplies_within(n, model, depth - 1));
    match call::function(model, node) {
        Some(function) => any(&function.node),
        None => is_product(node) || node.subgraphs().any(|(_, body)| any(&body.node)),
    }
}

/// Would NVIDIA's libraries take tensor cores for it? Not for grouped convolutions, not where the channels of a convolution
/// (`second`: the dimensions of its weights, where they are known) do not come in fours, the 16 bytes that tensor cores load,
/// and not where a kernel of several pixels has few channels on both sides; nor for a picture of one pixel, which only a run can
/// tell. So it was measured on an H200 with cuDNN 9 and its heuristics: the accumulated errors of rec, det, nudenet and opennsfw
/// follow the emulation's within a few percent. The libraries have more reasons, which only they know, so that the
/// emulation errs on the side of more TF32.
fn on_tensor_cores(node: &NodeProto, second: Option<&[i64]>) -> bool {
    if node.attr("group").is_some_and(|group| group.i() > 1) {
        return false;
    }
    let weights = second.filter(|_| matches!(node.op_type(), "Conv" | "ConvTranspose"));
    let Some([out, into, kernel @ ..]) = weights else { return true };
    let few = (*out).max(*into) <= FEW && kernel.iter().any(|size| *size > 1);
    out % 4 == 0 && into % 4 == 0 && !few
}

/// Channels.
const FEW: i64 = 32;

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
        let Product { mut node, prefix, kept, seen, second } = at;
        let exact = kept || !on_tensor_cores(&node, second);
        let picture = node.input.first().filter(|_| node.op_type() == "Conv").cloned();
        for input in node.input.iter_mut().take(if exact { 0 } else { 2 }) {
            let beside = picture.as_ref().map_or(String::new(), |picture| format!("/{picture}"));
            let rounded = format!("{prefix}{input}/tf32{beside}");
            if seen.insert(rounded.clone()) {
                let read: Vec<&str> = [input.as_str()].into_iter().chain(picture.as_deref()).collect();
                nodes.push(rounding(&read, &rounded, AttributeProto::int("mantissa", MANTISSA)));
            }
            *input = rounded;
        }
        nodes.push(node);
    });
    import(&mut emulated);
    emulated
}

/// A float32 product on its way.
pub(super) struct Product<'a> {
    /// As it was, but for its operands.
    pub node: NodeProto,
    /// What keys of its graph's tensors begin with.
    pub prefix: &'a str,
    /// It, or what it is in, is kept.
    pub kept: bool,
    /// Operands that are dealt with in this graph.
    pub seen: &'a mut HashSet<String>,
    /// The dimensions of its second operand, where they are written in the model.
    pub second: Option<&'a [i64]>,
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
    let dimensions = dimensions(graph);
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
        if !(is_product(&node) && float) {
            nodes.push(node);
            continue;
        }
        let second = node.input.get(1).and_then(|name| dimensions.get(name)).map(Vec::as_slice);
        put(Product { node, prefix, kept, seen: &mut seen, second }, &mut nodes);
    }
    graph.node = nodes;
}

/// Of the graph's initializers, constants and inputs: what is written there.
fn dimensions(graph: &GraphProto) -> HashMap<String, Vec<i64>> {
    let weights = graph.initializer.iter().map(|t| (t.name().to_string(), t.dims.clone()));
    let constants = graph.node.iter().filter_map(|n| Some((n.output.first()?.clone(), n.constant()?.dims.clone())));
    let inputs = graph.input.iter().filter_map(|v| {
        let shape = v.concrete_shape()?;
        Some((v.name().to_string(), shape.into_iter().map(|d| d as i64).collect()))
    });
    weights.chain(constants).chain(inputs).collect()
}

#[cfg(test)]
mod tests;
