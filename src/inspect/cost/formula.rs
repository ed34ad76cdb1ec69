//! Floating-point operations of one node by its operator and shapes: a multiplication with its addition counts as two, every other
//! operation on an element as one, moving values as none. Subgraphs and unknown operators have no formula.

use std::collections::HashMap;

use crate::onnx::NodeProto;

/// A shape that is known.
type Shape = Option<Vec<usize>>;

/// What a node reads and makes; `None` where a shape is not known.
pub struct Shapes {
    /// By position.
    pub reads: Vec<Shape>,
    /// By position.
    pub makes: Vec<Shape>,
}

/// Operators that move values and compute none.
const MOVES: [&str; 34] = [
    "Cast",
    "CastLike",
    "Compress",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "DepthToSpace",
    "Dropout",
    "Expand",
    "EyeLike",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "NonZero",
    "OneHot",
    "Pad",
    "Range",
    "Reshape",
    "ReverseSequence",
    "ScatterElements",
    "ScatterND",
    "SequenceAt",
    "Shape",
    "Size",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// One operation on each element of the result.
const BY_ELEMENT: [&str; 53] = [
    "Abs",
    "Acos",
    "Add",
    "And",
    "Asin",
    "Atan",
    "BiasGelu",
    "BitShift",
    "Ceil",
    "Celu",
    "Clip",
    "Cos",
    "Cosh",
    "Div",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "FastGelu",
    "Floor",
    "Gelu",
    "Greater",
    "GreaterOrEqual",
    "HardSigmoid",
    "HardSwish",
    "IsInf",
    "IsNaN",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "Max",
    "Min",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pow",
    "QuickGelu",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Tanh",
];

/// No tensor has as many elements; whatever a damaged file says is cut there, so that products are still numbers.
const MOST: u128 = 1 << 60;

/// `None` where a shape that it takes is not known, there is no formula, or no number holds the result.
pub fn flops(node: &NodeProto, shapes: &Shapes) -> Option<u64> {
    u64::try_from(operations(node, shapes)?).ok()
}

fn operations(node: &NodeProto, shapes: &Shapes) -> Option<u128> {
    let op = node.op_type();
    if MOVES.contains(&op) {
        return Some(0);
    }
    let made = || Some(elements(shapes.makes.first()?.as_ref()?));
    let read = || Some(elements(shapes.reads.first()?.as_ref()?));
    match op {
        "Conv" | "FusedConv" | "ConvInteger" => convolution(shapes, 1, node.input.get(2)),
        "QLinearConv" => convolution(shapes, 3, node.input.get(8)),
        "ConvTranspose" => Some(2 * read()? * kernel(shapes, 1)? + with_bias(node.input.get(2), made()?)),
        "MatMul"
        | "MatMulInteger"
        | "FusedMatMul"
        | "MatMulIntegerToFloat"
        | "DynamicQuantizeMatMul"
        | "QLinearMatMul" => Some(2 * made()? * shapes.reads.first()?.as_ref()?.last().copied()? as u128),
        "Gemm" | "FusedGemm" | "QGemm" => {
            let turned = node.attr("transA").is_some_and(|a| a.i() != 0);
            let length = shapes.reads.first()?.as_ref()?.get(usize::from(!turned)).copied()? as u128;
            Some(2 * made()? * length + with_bias(node.input.get(2), made()?))
        }
        "MatMulNBits" => Some(2 * made()? * u128::try_from(node.attr("K")?.i()).ok()?),
        "Einsum" => einsum(node, shapes),
        "LSTM" | "GRU" | "RNN" => recurrent(op, shapes),
        "Softmax" | "LogSoftmax" => Some(5 * made()?),
        "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" | "MeanVarianceNormalization" => {
            Some(8 * made()?)
        }
        "SkipLayerNormalization" | "EmbedLayerNormalization" => Some(9 * made()?),
        "RMSNormalization" | "SimplifiedLayerNormalization" | "LpNormalization" => Some(4 * made()?),
        "BatchNormalization" | "QuantizeLinear" | "DequantizeLinear" => Some(2 * made()?),
        "AveragePool" | "MaxPool" | "LpPool" => Some(made()? * pooled(node)?),
        "Resize" | "Upsample" => {
            Some(made()? * if node.attr("mode").is_some_and(|m| m.s() == b"linear") { 8 } else { 0 })
        }
        _ if op.starts_with("Reduce") || op.starts_with("Global") || op.starts_with("Arg") || op == "CumSum" => read(),
        "Sum" | "Mean" => Some(made()? * node.input.len().saturating_sub(1) as u128),
        _ if BY_ELEMENT.contains(&op) => made(),
        _ => None,
    }
}

fn elements(shape: &[usize]) -> u128 {
    shape.iter().fold(1, |n: u128, d| n.saturating_mul(*d as u128)).min(MOST)
}

fn with_bias(bias: Option<&String>, made: u128) -> u128 {
    if bias.is_some_and(|name| !name.is_empty()) { made } else { 0 }
}

/// Elements of a filter for one element of one channel: all axes of the weight but the first.
fn kernel(shapes: &Shapes, slot: usize) -> Option<u128> {
    Some(elements(shapes.reads.get(slot)?.as_ref()?.get(1..)?))
}

fn convolution(shapes: &Shapes, slot: usize, bias: Option<&String>) -> Option<u128> {
    let made = elements(shapes.makes.first()?.as_ref()?);
    Some(2 * made * kernel(shapes, slot)? + with_bias(bias, made))
}

fn pooled(node: &NodeProto) -> Option<u128> {
    node.attr("kernel_shape")?
        .ints
        .iter()
        .try_fold(1u128, |n, k| n.checked_mul(u128::try_from(*k).ok()?))
        .map(|n| n.min(MOST))
}

/// Every combination of letters is one multiplication for each operand but the first, and one addition.
fn einsum(node: &NodeProto, shapes: &Shapes) -> Option<u128> {
    let equation = String::from_utf8(node.attr("equation")?.s().to_vec()).ok()?;
    let terms = equation.split("->").next()?.split(',');
    let mut sizes: HashMap<char, u128> = HashMap::new();
    for (term, shape) in terms.zip(&shapes.reads) {
        let letters: Vec<char> = term.chars().filter(|c| !c.is_whitespace()).collect();
        let shape = shape.as_ref().filter(|shape| shape.len() == letters.len())?;
        sizes.extend(letters.into_iter().zip(shape.iter().map(|d| *d as u128)));
    }
    Some(sizes.values().fold(1, |n: u128, d| n.saturating_mul(*d)).min(MOST) * shapes.reads.len() as u128)
}

/// Gates by both products, and what is done by element to make a state of them.
fn recurrent(op: &str, shapes: &Shapes) -> Option<u128> {
    let (gates, by_element) = match op {
        "LSTM" => (4, 11),
        "GRU" => (3, 9),
        _ => (1, 2),
    };
    let [steps, batch, features] = <[usize; 3]>::try_from(shapes.reads.first()?.clone()?).ok()?;
    let [directions, _, hidden] = <[usize; 3]>::try_from(shapes.reads.get(2)?.clone()?).ok()?;
    let [features, hidden] = [features, hidden].map(|d| d.min(1 << 24) as u128);
    let one = 2 * gates * hidden * (features + hidden) + by_element * hidden;
    Some(elements(&[steps, batch, directions]) * one)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::AttributeProto;

    fn check(node: NodeProto, reads: &[&[usize]], makes: &[usize], want: Option<u64>) {
        let shapes = Shapes {
            reads: reads.iter().map(|shape| Some(shape.to_vec())).collect(),
            makes: vec![Some(makes.to_vec())],
        };
        assert_eq!(flops(&node, &shapes), want, "{}", node.op_type());
    }

    fn node(op: &str, inputs: usize) -> NodeProto {
        NodeProto::new(op, "n", &["a", "b", "c"][..inputs], &["y"])
    }

    #[test]
    fn formulas() {
        let conv: [&[usize]; 2] = [&[1, 3, 8, 8], &[16, 3, 3, 3]];
        check(node("Conv", 2), &conv, &[1, 16, 8, 8], Some(2 * 16 * 64 * 27));
        check(node("Conv", 3), &[conv[0], conv[1], &[16]], &[1, 16, 8, 8], Some(2 * 16 * 64 * 27 + 16 * 64));
        let up: [&[usize]; 2] = [&[1, 16, 4, 4], &[16, 8, 2, 2]];
        check(node("ConvTranspose", 2), &up, &[1, 8, 8, 8], Some(2 * 256 * 32));
        check(node("MatMul", 2), &[&[2, 5, 7], &[7, 3]], &[2, 5, 3], Some(2 * 30 * 7));
        let turned = node("Gemm", 2).with(AttributeProto::int("transA", 1));
        check(turned, &[&[7, 5], &[7, 3]], &[5, 3], Some(2 * 15 * 7));
        let equation = AttributeProto {
            name: Some("equation".into()),
            s: Some(b"bij,bjk->bik".to_vec().into()),
            ..AttributeProto::default()
        };
        check(node("Einsum", 2).with(equation), &[&[2, 3, 4], &[2, 4, 5]], &[2, 3, 5], Some(2 * 2 * 3 * 4 * 5));
        let lstm: [&[usize]; 3] = [&[10, 1, 32], &[1, 256, 32], &[1, 256, 64]];
        check(node("LSTM", 3), &lstm, &[10, 1, 1, 64], Some(10 * (2 * 4 * 64 * 96 + 11 * 64)));
        check(node("Add", 2), &[&[2, 3], &[3]], &[2, 3], Some(6));
        check(node("ReduceMean", 1), &[&[2, 3]], &[2, 1], Some(6));
        check(node("Softmax", 1), &[&[2, 3]], &[2, 3], Some(30));
        check(node("Reshape", 2), &[], &[], Some(0));
        check(node("Loop", 1), &[&[1]], &[1], None);
        check(node("Unheard", 1), &[&[1]], &[1], None);
    }
}
