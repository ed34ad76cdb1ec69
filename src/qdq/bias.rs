//! The scale of an int32 bias. It is no choice: integer kernels add the bias to sums of products of codes, whose step is the
//! input's scale times the weight's. A QDQ file in which it is something else means one thing node by node and another in such
//! a kernel.

use super::Pair;
use crate::compare::to_f64;
use crate::graph::{Graph, Node};
use crate::load::Model;
use crate::tensor::{DType, Tensor};

/// Scales that are this near, relatively, are equal: quantisers multiply in float32.
const NEAR: f64 = 1e-3;

/// What the scale of the bias would have to be, where it is something else: input scale x weight scale, one number or one a
/// channel. `None` where it is that product, and where the file does not say what that is.
pub fn wrong_bias_scale(pair: &Pair, pairs: &[Pair], model: &Model, graph: &Graph) -> Option<Tensor> {
    let own = pair.scale.as_ref().filter(|_| pair.dtype == DType::Int32 && pair.stored.is_some())?;
    let result = graph.nodes[pair.dequantize].proto(&model.proto)?.output.first()?;
    let node = pair.consumers.iter().map(|n| &graph.nodes[*n]).find(|n| adds(n))?;
    let proto = node.proto(&model.proto)?;
    if proto.input.get(2) != Some(result) {
        return None;
    }
    let scale = |slot: usize| pairs.iter().find(|p| gives(graph, p, proto.input.get(slot)))?.scale.as_ref();
    let beta = proto.attr("beta").map_or(1.0, |a| f64::from(a.f()));
    let (input, weight) = (to_f64(scale(0)?), to_f64(scale(1)?));
    let [input] = input.as_slice() else { return None };
    let product: Vec<f64> = weight.iter().map(|w| w * input).collect();
    let is = |factor: f64| fits(&to_f64(own), &product, factor);
    let wanted: Vec<f32> = product.iter().map(|p| *p as f32).collect();
    (!is(1.0) && !is(beta)).then(|| Tensor::from_vec(own.dtype, scale_shape(own, wanted.len()), wanted))
}

/// Operators whose third operand is a bias.
fn adds(node: &Node) -> bool {
    let op_type = node.op_type.as_str();
    matches!(op_type, "Conv" | "ConvTranspose" | "Gemm") || op_type.ends_with("Normalization")
}

fn gives(graph: &Graph, pair: &Pair, name: Option<&String>) -> bool {
    graph.nodes[pair.dequantize].writes.iter().any(|t| Some(&graph.tensors[*t].name) == name)
}

/// One scale may stand for many, and many equal ones for one.
fn fits(own: &[f64], product: &[f64], factor: f64) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= NEAR * b.abs();
    let count = own.len().max(product.len());
    let at = |of: &[f64], i: usize| of[if of.len() == 1 { 0 } else { i.min(of.len() - 1) }];
    count > 0 && !own.is_empty() && !product.is_empty() && (0..count).all(|i| near(at(own, i), at(product, i) * factor))
}

fn scale_shape(own: &Tensor, count: usize) -> Vec<usize> {
    match count {
        1 => own.shape.iter().map(|_| 1).collect(),
        _ => vec![count],
    }
}
