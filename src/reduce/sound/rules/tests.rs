//! What nodes make of shapes, against ONNX's definitions; all cases are data.

use super::super::fact::{Fact, Value};
use super::*;
use crate::onnx::{AttributeProto, NodeProto};
use crate::tensor::Tensor;

fn x(shape: &[usize]) -> Fact {
    Fact::sized(shape)
}

fn ints(values: &[i64]) -> Fact {
    Fact::of(&Tensor::i64(&[values.len()], values))
}

fn floats(values: &[f32]) -> Fact {
    Fact::of(&Tensor::f32(&[values.len()], values))
}

fn number(value: i64) -> Fact {
    Fact::of(&Tensor::i64(&[], &[value]))
}

fn list(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_string()), ints: values.to_vec(), ..Default::default() }
}

fn text(name: &str, value: &'static str) -> AttributeProto {
    AttributeProto { name: Some(name.to_string()), s: Some(value.into()), ..Default::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto::int(name, value)
}

/// The first output's shape, or `None` where the node is refused; an input of no known shape is left out.
fn made(opset: i64, op: &str, attributes: &[AttributeProto], inputs: &[Fact]) -> Result<Vec<Fact>, String> {
    let attribute = attributes.to_vec();
    let node = NodeProto { op_type: Some(op.to_string()), attribute, ..Default::default() };
    let node = NodeProto { output: vec!["y".to_string(), "z".to_string()], ..node };
    let inputs = inputs.iter().map(|fact| fact.shape.is_some().then_some(fact)).collect();
    apply(&Call { node: &node, opset, inputs })
}

fn check(opset: i64, op: &str, attributes: &[AttributeProto], inputs: &[Fact], expected: Option<&[usize]>) {
    let got = made(opset, op, attributes, inputs);
    let shape = got.as_ref().ok().map(|facts| facts.first().and_then(|f| f.shape.clone()));
    let expected = expected.map(|e| Some(e.iter().map(|n| Some(*n)).collect::<Vec<_>>()));
    assert_eq!(shape, expected, "{op} {attributes:?} {inputs:?}: {got:?}");
}

#[test]
fn a_window_stays_inside() {
    let w = || x(&[6, 4, 5, 3]);
    check(17, "Conv", &[], &[x(&[2, 4, 8, 9]), w()], Some(&[2, 6, 4, 7]));
    check(17, "Conv", &[], &[x(&[2, 4, 5, 3]), w()], Some(&[2, 6, 1, 1]));
    check(17, "Conv", &[], &[x(&[2, 4, 4, 9]), w()], None);
    check(17, "Conv", &[list("pads", &[1, 0, 0, 0])], &[x(&[2, 4, 4, 9]), w()], Some(&[2, 6, 1, 7]));
    check(17, "Conv", &[list("dilations", &[2, 4])], &[x(&[2, 4, 9, 9]), w()], Some(&[2, 6, 1, 1]));
    check(17, "Conv", &[list("dilations", &[2, 4])], &[x(&[2, 4, 8, 9]), w()], None);
    check(
        17,
        "Conv",
        &[text("auto_pad", "SAME_UPPER"), list("strides", &[2, 2])],
        &[x(&[2, 4, 1, 3]), w()],
        Some(&[2, 6, 1, 2]),
    );
    check(17, "Conv", &[text("auto_pad", "VALID")], &[x(&[2, 4, 4, 9]), w()], None);
    check(17, "Conv", &[], &[x(&[2, 3, 8, 9]), w()], None);
    check(17, "Conv", &[int("group", 2)], &[x(&[2, 8, 8, 9]), w()], Some(&[2, 6, 4, 7]));
    check(17, "Conv", &[int("group", 4)], &[x(&[2, 16, 8, 9]), w()], None);
    check(17, "Conv", &[], &[x(&[2, 4, 8, 9]), w(), x(&[5])], None);
    check(17, "Conv", &[], &[x(&[2, 4, 40]), x(&[6, 4, 41])], None);
    check(17, "Conv", &[list("kernel_shape", &[5, 5])], &[x(&[2, 4, 8, 9]), w()], None);
    check(17, "QLinearConv", &[], &[x(&[1, 4, 8, 9]), x(&[]), x(&[]), w(), x(&[6]), x(&[6])], Some(&[1, 6, 4, 7]));
    check(17, "QLinearConv", &[], &[x(&[1, 4, 8, 9]), x(&[]), x(&[]), w(), x(&[3]), x(&[3])], None);
    for op in ["MaxPool", "AveragePool", "LpPool"] {
        check(17, op, &[list("kernel_shape", &[3, 4])], &[x(&[2, 4, 3, 6])], Some(&[2, 4, 1, 3]));
        check(17, op, &[list("kernel_shape", &[3, 4])], &[x(&[2, 4, 2, 6])], None);
        check(17, op, &[], &[x(&[2, 4, 2, 6])], None);
    }
    let sparse = [list("kernel_shape", &[2, 2]), list("dilations", &[3, 1])];
    check(17, "MaxPool", &sparse, &[x(&[1, 1, 3, 3])], None);
    let transposed = |pads: &[i64], size: usize, expected| {
        check(17, "ConvTranspose", &[list("pads", pads)], &[x(&[1, 4, size]), x(&[4, 3, 3])], expected);
    };
    transposed(&[3, 3], 5, Some(&[1, 3, 1]));
    transposed(&[3, 3], 4, None);
    transposed(&[0, 0], 1, Some(&[1, 3, 3]));
    check(17, "DepthToSpace", &[int("blocksize", 3)], &[x(&[1, 9, 2, 2])], Some(&[1, 1, 6, 6]));
    check(17, "DepthToSpace", &[int("blocksize", 3)], &[x(&[1, 8, 2, 2])], None);
    check(17, "SpaceToDepth", &[int("blocksize", 3)], &[x(&[1, 1, 6, 5])], None);
}

#[test]
fn scales_and_sizes_have_a_number_for_each_axis() {
    let none = || floats(&[]);
    let resize = |opset, inputs: &[Fact], expected| check(opset, "Resize", &[], inputs, expected);
    resize(13, &[x(&[1, 2, 4, 4]), none(), floats(&[1., 1., 2., 1.5])], Some(&[1, 2, 8, 6]));
    resize(13, &[x(&[1, 2, 4, 4]), none(), floats(&[1., 1., 2.])], None);
    resize(13, &[x(&[1, 2, 4, 4]), none(), floats(&[1., 1., 2., 0.2])], None);
    resize(13, &[x(&[1, 2, 4, 4]), none(), none(), ints(&[1, 2, 3, 3])], Some(&[1, 2, 3, 3]));
    resize(13, &[x(&[1, 2, 4, 4]), none(), none(), ints(&[1, 2, 3])], None);
    resize(13, &[x(&[1, 2, 4, 4])], None);
    resize(10, &[x(&[2, 4]), floats(&[1., 2.])], Some(&[2, 8]));
    resize(10, &[x(&[2, 4]), floats(&[1.])], None);
    let axes = [list("axes", &[-1])];
    check(18, "Resize", &axes, &[x(&[2, 4]), none(), floats(&[2.])], Some(&[2, 8]));
    check(18, "Resize", &axes, &[x(&[2, 4]), none(), floats(&[2., 1.])], None);
    check(9, "Upsample", &[], &[x(&[2, 4]), floats(&[1., 2.])], Some(&[2, 8]));
    check(9, "Upsample", &[], &[x(&[2, 4]), floats(&[2.])], None);
    let scales = |values: &[f32]| AttributeProto {
        name: Some("scales".to_string()),
        floats: values.to_vec(),
        ..Default::default()
    };
    check(7, "Upsample", &[scales(&[1., 2.])], &[x(&[2, 4])], Some(&[2, 8]));
    check(7, "Upsample", &[scales(&[2.])], &[x(&[2, 4])], None);
    // A computed list of the wrong length is none either, whatever its values are.
    resize(13, &[x(&[1, 2, 4, 4]), none(), x(&[3])], None);
}

#[test]
fn fixed_lengths_do_not_shrink() {
    check(17, "Reshape", &[], &[x(&[2, 6]), ints(&[3, -1])], Some(&[3, 4]));
    check(17, "Reshape", &[], &[x(&[2, 5]), ints(&[3, -1])], None);
    check(17, "Reshape", &[], &[x(&[2, 6]), ints(&[0, 2, 3])], Some(&[2, 2, 3]));
    check(17, "Reshape", &[], &[x(&[2, 6]), ints(&[4, 2])], None);
    check(17, "Expand", &[], &[x(&[3, 1]), ints(&[2, 3, 4])], Some(&[2, 3, 4]));
    check(17, "Expand", &[], &[x(&[2, 1]), ints(&[2, 3, 4])], None);
    check(17, "Tile", &[], &[x(&[3, 2]), ints(&[2, 3])], Some(&[6, 6]));
    check(17, "Tile", &[], &[x(&[3, 2]), ints(&[2])], None);
    check(17, "Split", &[int("axis", 1)], &[x(&[3, 6]), ints(&[2, 4])], Some(&[3, 2]));
    check(17, "Split", &[int("axis", 1)], &[x(&[3, 5]), ints(&[2, 4])], None);
    check(17, "Split", &[], &[x(&[3])], None);
    check(18, "Split", &[], &[x(&[3])], Some(&[2]));
    check(17, "Squeeze", &[], &[x(&[3, 1]), ints(&[1])], Some(&[3]));
    check(17, "Squeeze", &[], &[x(&[3, 1]), ints(&[0])], None);
    check(17, "Unsqueeze", &[], &[x(&[3]), ints(&[0, -1])], Some(&[1, 3, 1]));
    check(17, "Transpose", &[list("perm", &[1, 0])], &[x(&[3, 1])], Some(&[1, 3]));
    check(17, "Concat", &[int("axis", -1)], &[x(&[3, 1]), x(&[3, 5])], Some(&[3, 6]));
    check(17, "Concat", &[int("axis", -1)], &[x(&[3, 1]), x(&[2, 5])], None);
    check(17, "Flatten", &[int("axis", 2)], &[x(&[3, 2, 5])], Some(&[6, 5]));
    check(17, "Pad", &[], &[x(&[4]), ints(&[-1, -2])], Some(&[1]));
    check(17, "Pad", &[], &[x(&[3]), ints(&[-1, -2])], None);
    check(17, "Pad", &[], &[x(&[3]), ints(&[1, 2, 3])], None);
    check(17, "Pad", &[text("mode", "reflect")], &[x(&[3]), ints(&[2, 0])], Some(&[5]));
    check(17, "Pad", &[text("mode", "reflect")], &[x(&[2]), ints(&[2, 0])], None);
    check(18, "Pad", &[], &[x(&[3, 4]), ints(&[1, 0]), Fact::default(), ints(&[1])], Some(&[3, 5]));
    check(17, "TopK", &[], &[x(&[2, 5]), ints(&[3])], Some(&[2, 3]));
    check(17, "TopK", &[], &[x(&[2, 2]), ints(&[3])], None);
    check(17, "Gather", &[], &[x(&[4, 2]), ints(&[-4, 3])], Some(&[2, 2]));
    check(17, "Gather", &[], &[x(&[3, 2]), ints(&[3])], None);
    let slice = |size: usize, from: i64, to: i64, step: i64, expected: &[usize]| {
        let inputs = [x(&[size]), ints(&[from]), ints(&[to]), ints(&[0]), ints(&[step])];
        check(17, "Slice", &[], &inputs, Some(expected));
    };
    slice(9, 2, 7, 2, &[3]);
    slice(9, -3, i64::MAX, 1, &[3]);
    slice(9, -1, i64::MIN, -2, &[5]);
    slice(9, 20, i64::MAX, 1, &[0]);
    check(9, "Slice", &[list("starts", &[1]), list("ends", &[3])], &[x(&[9])], Some(&[2]));
    check(17, "MatMul", &[], &[x(&[7, 2, 3]), x(&[3, 4])], Some(&[7, 2, 4]));
    check(17, "MatMul", &[], &[x(&[3]), x(&[3, 4])], Some(&[4]));
    check(17, "MatMul", &[], &[x(&[2, 3]), x(&[2, 4])], None);
    check(17, "Gemm", &[int("transB", 1)], &[x(&[2, 3]), x(&[4, 3]), x(&[4])], Some(&[2, 4]));
    check(17, "Gemm", &[int("transB", 1)], &[x(&[2, 3]), x(&[4, 3]), x(&[3])], None);
    check(17, "Einsum", &[text("equation", "bij, bjk -> ik")], &[x(&[2, 3, 4]), x(&[2, 4, 5])], Some(&[3, 5]));
    check(17, "Einsum", &[text("equation", "ij,jk->ik")], &[x(&[3, 4]), x(&[3, 5])], None);
    check(17, "LSTM", &[int("hidden_size", 4)], &[x(&[7, 2, 5]), x(&[1, 16, 5]), x(&[1, 16, 4])], Some(&[7, 1, 2, 4]));
    check(17, "LSTM", &[int("hidden_size", 4)], &[x(&[7, 2, 5]), x(&[1, 8, 5]), x(&[1, 8, 2])], None);
    check(17, "Add", &[], &[x(&[4, 1, 3]), x(&[2, 1])], Some(&[4, 2, 3]));
    check(17, "Add", &[], &[x(&[4, 3]), x(&[2])], None);
    check(17, "LayerNormalization", &[], &[x(&[4, 3]), x(&[3])], Some(&[4, 3]));
    check(17, "LayerNormalization", &[], &[x(&[4, 3]), x(&[2])], None);
    check(17, "STFT", &[], &[x(&[1, 20, 1]), number(4), Fact::default(), number(8)], Some(&[1, 4, 5, 2]));
    check(17, "STFT", &[], &[x(&[1, 7, 1]), number(4), Fact::default(), number(8)], None);
    let c = || x(&[3]);
    check(17, "BatchNormalization", &[], &[x(&[2, 3, 4]), c(), c(), c(), c()], Some(&[2, 3, 4]));
    check(17, "BatchNormalization", &[], &[x(&[2, 1, 4]), c(), c(), c(), c()], None);
    check(17, "DequantizeLinear", &[int("axis", 0)], &[x(&[3, 4]), x(&[3]), x(&[3])], Some(&[3, 4]));
    check(17, "DequantizeLinear", &[int("axis", 0)], &[x(&[1, 4]), x(&[3]), x(&[3])], None);
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for (op, inputs) in [("Nonsense", vec![x(&[2])]), ("NonZero", vec![x(&[2])]), ("Reshape", vec![x(&[2]), x(&[3])])] {
        let got = made(17, op, &[], &inputs).unwrap();
        let sizes: Vec<_> = got.first().and_then(|f| f.shape.clone()).into_iter().flatten().skip(1).collect();
        assert!(sizes.iter().all(Option::is_none), "{op}: {sizes:?}");
    }
}

#[test]
fn values_that_steer_are_followed() {
    let check = |op: &str, attributes: &[AttributeProto], inputs: &[Fact], expected: &[i64]| {
        let got = made(17, op, attributes, inputs).unwrap();
        assert_eq!(got[0].value, Some(Value::Ints(expected.to_vec())), "{op}");
    };
    check("Shape", &[], &[x(&[2, 3, 4])], &[2, 3, 4]);
    check("Shape", &[int("start", -2)], &[x(&[2, 3, 4])], &[3, 4]);
    check("Size", &[], &[x(&[2, 3, 4])], &[24]);
    check("Gather", &[], &[ints(&[5, 6, 7]), ints(&[-1, 0])], &[7, 5]);
    check("Gather", &[], &[ints(&[5, 6, 7]), number(1)], &[6]);
    check("Slice", &[], &[ints(&[5, 6, 7]), ints(&[1]), ints(&[3])], &[6, 7]);
    check("Concat", &[int("axis", 0)], &[ints(&[5]), ints(&[6, 7])], &[5, 6, 7]);
    check("Unsqueeze", &[], &[number(5), ints(&[0])], &[5]);
    check("Mul", &[], &[ints(&[5, 6]), number(2)], &[10, 12]);
    check("Div", &[], &[ints(&[-5, 6]), number(2)], &[-2, 3]);
    check("Range", &[], &[number(5), number(0), number(-2)], &[5, 3, 1]);
    check("Cast", &[int("to", 7)], &[ints(&[5, 6])], &[5, 6]);
    // No answer rather than a crash.
    assert_eq!(made(17, "Div", &[], &[ints(&[i64::MIN]), number(-1)]).unwrap()[0].value, None);
    assert_eq!(made(17, "Div", &[], &[ints(&[1]), number(0)]).unwrap()[0].value, None);
}
