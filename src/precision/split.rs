//! FP32 out of TF32, for a session that multiplies in TF32 as a whole: kept products are computed of operands split in two.
//! Graph -> graph. No weight is copied.
//!
//! An operand x is h + l: h is x rounded to 11 significant bits, which TF32 reads without loss, and l is what is left. Then
//! a*b = ah*bh + (al*bh + ah*bl), up to al*bl and the rounding of the l, about 2^-22 of it. h comes of float32 arithmetic
//! alone (Veltkamp: c = 8193 x, h = c - (c - x)), so this runs wherever the node ran, where it is no product of TF32 as well.
//! FLOAT64 would say the same in fewer nodes, but ONNX Runtime has no Conv of it on the CPU, TensorRT has none at all, and most
//! GPUs are 64 times slower in it. Operands from 4e34 on overflow.

use super::Kept;
use super::tf32::{Product, each_product};
use crate::mark::Types;
use crate::onnx::{AttributeProto, ModelProto, NodeProto, TensorProto, attribute_type};
use crate::tensor::DType;

/// 2^13 + 1: leaves 11 of 24 significant bits.
const SPLITTER: f32 = 8193.0;

/// `model` with the float32 products in `kept`, and in what is kept as a whole, computed as in FP32 by TF32. All tensors keep
/// their names; all other nodes stay as they are.
pub fn split(model: &ModelProto, types: &Types, kept: &Kept) -> ModelProto {
    let mut whole = model.clone();
    let Some(main) = whole.graph.as_mut() else { return whole };
    each_product(main, types, kept, &mut |product, nodes| match product.kept {
        true => in_three(product, nodes),
        false => nodes.push(product.node),
    });
    whole
}

/// Three products in place of one.
fn in_three(product: Product, nodes: &mut Vec<NodeProto>) {
    let Product { node, prefix, seen, .. } = product;
    let (Some(output), [a, b, ..]) = (node.output.first(), node.input.as_slice()) else { return nodes.push(node) };
    let splitter = format!("{prefix}tf32/8193");
    // No operand is called so: a name without letters is no name.
    if seen.insert(String::new()) {
        let value = TensorProto {
            data_type: Some(DType::Float32.onnx()),
            float_data: vec![SPLITTER],
            ..TensorProto::default()
        };
        let constant = NodeProto::new("Constant", &splitter, &[], &[&splitter]);
        nodes.push(constant.with(AttributeProto::tensor("value", value)));
    }
    let part = |tensor: &str, part: &str| format!("{prefix}{tensor}/tf32/{part}");
    for operand in [a, b] {
        if seen.insert(operand.clone()) {
            nodes.extend(halves(operand, &splitter, &|which| part(operand, which)));
        }
    }
    let of = |which: &str, a: String, b: String| {
        let mut node = node.clone();
        node.input[0] = a;
        node.input[1] = b;
        node.output[0] = part(output, which);
        node
    };
    let unbiased = |mut node: NodeProto| {
        node.name = Some(node.output[0].clone());
        match node.op_type() {
            // Below opset 11 there must be a bias.
            "Gemm" => {
                node.attribute.retain(|a| a.name() != "beta");
                let float = Some(attribute_type::FLOAT);
                let name = Some("beta".to_string());
                node.attribute.push(AttributeProto { name, f: Some(0.0), r#type: float, ..Default::default() });
            }
            _ => node.input.truncate(2),
        }
        node
    };
    let add = |a: &str, b: &str, to: &str| NodeProto::new("Add", &format!("{to}/sum"), &[a, b], &[to]);
    let [high, left, right, low] = ["high", "left", "right", "low"].map(|which| part(output, which));
    nodes.push(of("high", part(a, "h"), part(b, "h")));
    nodes.push(unbiased(of("left", part(a, "l"), part(b, "h"))));
    nodes.push(unbiased(of("right", part(a, "h"), part(b, "l"))));
    nodes.push(add(&left, &right, &low));
    let mut sum = add(&high, &low, output);
    sum.name = Some(format!("{prefix}{output}/sum"));
    nodes.push(sum);
}

/// What makes the parts `h` and `l` of the tensor `x`.
fn halves(x: &str, splitter: &str, part: &dyn Fn(&str) -> String) -> [NodeProto; 4] {
    let [c, d, h, l] = ["c", "d", "h", "l"].map(part);
    let node = |op: &str, a: &str, b: &str, to: &str| NodeProto::new(op, to, &[a, b], &[to]);
    [node("Mul", x, splitter, &c), node("Sub", &c, x, &d), node("Sub", &c, &d, &h), node("Sub", x, &h, &l)]
}

#[cfg(test)]
mod tests;
