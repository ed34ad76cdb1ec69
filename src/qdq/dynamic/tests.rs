//! Small quantised graphs, and what they are with units left unquantised.

use proptest::prelude::*;

use super::*;
use crate::graph::{Graph, lines};
use crate::load::Model;
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto};
use crate::tensor::{DType, Tensor};

const PRODUCT: &str = "q, s, z = DynamicQuantizeLinear(x)
                       product_quant: m = MatMulInteger(q, kernel_quantized, z, kernel_zero)
                       f = Cast(m)
                       n = Mul(s, kernel_scale)
                       y = Mul(f, n)";

/// Weights by the ends of their names: codes of two by two, scales, zero points; `kernel` and the like are floats.
fn weight(name: &str) -> TensorProto {
    let value = match name.rsplit('_').next() {
        Some("quantized") => Tensor::new(DType::Int8, vec![2, 2], vec![10u8, 20, 30, 226]).unwrap(),
        Some("scale") => Tensor::f32(&[], &[0.1]),
        Some("zero") => Tensor::new(DType::Int8, vec![], vec![0u8]).unwrap(),
        _ => Tensor::f32(&[2, 2], &[1.01, 1.99, 3.02, -2.98]),
    };
    tensor_to_proto(name, &value)
}

fn model(text: &str) -> Model {
    let lines = lines::read(text);
    let graph = GraphProto {
        name: Some("g".into()),
        node: lines.nodes.into_iter().map(in_its_domain).collect(),
        input: lines.inputs.iter().map(|name| ValueInfoProto::tensor(name, DType::Float32, &[2, 2])).collect(),
        initializer: lines.weights.iter().map(|name| weight(name)).collect(),
        output: lines.ends.iter().map(|name| ValueInfoProto::bare(name)).collect(),
        ..Default::default()
    };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.onnx");
    let proto = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import, ..Default::default() };
    std::fs::write(&path, prost::Message::encode_to_vec(&proto)).unwrap();
    Model::load(&path).unwrap()
}

fn in_its_domain(node: NodeProto) -> NodeProto {
    const CONTRIB: [&str; 4] = ["MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearAdd", "QGemm"];
    let domain = CONTRIB.contains(&node.op_type()).then(|| "com.microsoft".to_string());
    NodeProto { domain, ..node }
}

fn text(graph: &GraphProto) -> Vec<String> {
    let one =
        |n: &NodeProto| format!("{}: {} = {}({})", n.name(), n.output.join(", "), n.op_type(), n.input.join(", "));
    graph.node.iter().map(one).collect()
}

/// `quantised` with the units of these numbers left unquantised, beside the float model.
fn without(quantised: &Model, float: &Model, which: &[usize]) -> GraphProto {
    let (graph, theirs) = (Graph::new(&quantised.proto).unwrap(), Graph::new(&float.proto).unwrap());
    let found = units(quantised, &graph);
    let restored = Partners::new(float, &theirs).restored(&found, (quantised, &graph));
    let chosen: Vec<(&Unit, &Restored)> = which.iter().map(|n| (&found[*n], restored[*n].as_ref().unwrap())).collect();
    let edited = without_units(&quantised.proto, &graph, &chosen);
    let float = Graph::new(&edited).unwrap();
    chosen.iter().for_each(|(u, r)| assert!(float.tensor(&float_key(&graph, u, r)).is_some(), "{}", r.name));
    edited.graph.unwrap()
}

#[track_caller]
fn check(quantised: &str, float: &str, which: &[usize], want: &[&str]) -> GraphProto {
    let got = without(&model(quantised), &model(float), which);
    assert_eq!(text(&got), want);
    got
}

fn floats(graph: &GraphProto, name: &str) -> Vec<f32> {
    let found = graph.initializer.iter().find(|t| t.name() == name).unwrap();
    tensor_from_proto(found).unwrap().view::<f32>().to_vec()
}

#[test]
fn a_product_of_integers_is_one_unit() {
    let want = ["product: y = MatMul(x, y/1/unquantised)"];
    let got = check(PRODUCT, "product: y = MatMul(x, kernel)", &[0], &want);
    assert_eq!(floats(&got, "y/1/unquantised"), [1.01, 1.99, 3.02, -2.98]);
    assert_eq!(got.initializer.len(), 1, "nothing is left of its scales");
    // Nothing in the float model is called so, and the values are the same.
    check(PRODUCT, "other: o = MatMul(x, other)", &[0], &["other: y = MatMul(x, y/1/unquantised)"]);
    // Nothing there is like it: what is stored is all there is.
    let got = check(PRODUCT, "o = Neg(x)", &[0], &["product_quant: y = MatMul(x, y/1/unquantised)"]);
    assert_eq!(floats(&got, "y/1/unquantised"), [1.0, 2.0, 3.0, -3.0]);
}

#[test]
fn scales_may_be_multiplied_in_one_after_the_other_and_zero_points_left_out() {
    let chain = "q, s, z = DynamicQuantizeLinear(x)
                 product: m = MatMulInteger(q, kernel_quantized, z)
                 f = Cast(m)
                 n = Mul(kernel_scale, f)
                 p = Mul(n, s)
                 y = Mul(p, other)";
    let want = ["product: p = MatMul(x, p/1/unquantised)", "make_y: y = Mul(p, other)"];
    check(chain, "product: p = MatMul(x, kernel); y = Mul(p, other)", &[0], &want);
}

#[test]
fn what_is_no_scale_makes_no_unit() {
    for wrong in ["f = Cast(m); y = Mul(f, t)", "f = Cast(m); y = Add(f, s)", "y = Identity(m)"] {
        let text = format!("q, s, z = DynamicQuantizeLinear(x); m = MatMulInteger(q, kernel_quantized, z); {wrong}");
        let model = model(&text);
        assert!(units(&model, &Graph::new(&model.proto).unwrap()).is_empty(), "{wrong}");
    }
}

#[test]
fn others_keep_what_they_share() {
    let two = format!("{PRODUCT}; other: k = MatMulInteger(q, kernel_quantized, z); g = Cast(k); w = Mul(g, n)");
    let float = "product: y = MatMul(x, kernel); other: w = MatMul(x, kernel)";
    let got = without(&model(&two), &model(float), &[0]);
    let ops: Vec<&str> = got.node.iter().map(|n| n.op_type()).collect();
    assert_eq!(ops, ["DynamicQuantizeLinear", "Mul", "MatMul", "MatMulInteger", "Cast", "Mul"]);
    assert!(got.initializer.iter().any(|t| t.name() == "kernel_quantized"));
    let want = ["product: y = MatMul(x, y/1/unquantised)", "other: w = MatMul(x, w/1/unquantised)"];
    check(&two, float, &[0, 1], &want);
}

#[test]
fn a_bias_inside_is_added_behind() {
    let fused = "product: y = DynamicQuantizeMatMul(x, kernel_quantized, kernel_scale, kernel_zero, bias)";
    let want = ["product: y/step0 = MatMul(x, y/1/unquantised)", "product/bias: y = Add(y/step0, bias)"];
    check(fused, "product: m = MatMul(x, kernel); y = Add(m, bias)", &[0], &want);
}

const LINEAR: &str = "a = QuantizeLinear(x, a_scale, a_zero)
                      first: b = QLinearMatMul(a, a_scale, a_zero, kernel_quantized, kernel_scale, kernel_zero, b_scale, b_zero)
                      pool: p = MaxPool(b)
                      second: c = QLinearMatMul(p, b_scale, b_zero, kernel_quantized, kernel_scale, kernel_zero, c_scale, c_zero)
                      y = DequantizeLinear(c, c_scale, c_zero)";
const FLOAT: &str = "first: b = MatMul(x, kernel); pool: p = MaxPool(b); second: y = MatMul(p, kernel)";

#[test]
fn codes_are_made_again_for_those_who_read_them() {
    let want = [
        "first: b/unquantised = MatMul(x, b/1/unquantised)",
        "b/made: b = QuantizeLinear(b/unquantised, b_scale, b_zero)",
        "pool: p = MaxPool(b)",
        "second: c = QLinearMatMul(p, b_scale, b_zero, kernel_quantized, kernel_scale, kernel_zero, c_scale, c_zero)",
        "make_y: y = DequantizeLinear(c, c_scale, c_zero)",
    ];
    check(LINEAR, FLOAT, &[0], &want);
    let want = [
        "make_a: a = QuantizeLinear(x, a_scale, a_zero)",
        "first: b = QLinearMatMul(a, a_scale, a_zero, kernel_quantized, kernel_scale, kernel_zero, b_scale, b_zero)",
        "pool: p = MaxPool(b)",
        "c/0/dequantised/made: c/0/dequantised = DequantizeLinear(p, b_scale, b_zero)",
        "second: c/unquantised = MatMul(c/0/dequantised, c/1/unquantised)",
        "make_y: y = Identity(c/unquantised)",
    ];
    check(LINEAR, FLOAT, &[1], &want);
}

#[test]
fn without_any_unit_nothing_is_quantised() {
    let want = [
        "first: b/unquantised = MatMul(x, b/1/unquantised)",
        "pool/unquantised: p/unquantised = MaxPool(b/unquantised)",
        "second: c/unquantised = MatMul(p/unquantised, c/1/unquantised)",
        "make_y: y = Identity(c/unquantised)",
    ];
    check(LINEAR, FLOAT, &[0, 1], &want);
}

#[test]
fn a_relu_that_saturation_stood_for_comes_back() {
    let float = "first: m = MatMul(x, kernel); b = Relu(m); pool: p = MaxPool(b); second: y = MatMul(p, kernel)";
    let got = without(&model(LINEAR), &model(float), &[0]);
    let start = ["first: b/step0 = MatMul(x, b/1/unquantised)", "make_b: b/unquantised = Relu(b/step0)"];
    assert_eq!(text(&got)[..2], start);
}

proptest! {
    /// Some of many products in a row, which share weights and quantised activations.
    #[test]
    fn any_set_of_units_leaves_a_sound_graph(length in 1usize..6, chosen in prop::collection::btree_set(0usize..12, 0..12)) {
        let (mut quantised, mut float) = (String::new(), String::new());
        for i in 0..length {
            let before = if i == 0 { "x".to_string() } else { format!("y{}", i - 1) };
            quantised += &format!("q{i}, s{i}, z{i} = DynamicQuantizeLinear({before}); n{i} = Mul(s{i}, kernel_scale);");
            for side in ["a", "b"] {
                quantised += &format!("{side}{i}_q: {side}m{i} = MatMulInteger(q{i}, kernel_quantized, z{i});
                    {side}f{i} = Cast({side}m{i}); {side}{i} = Mul({side}f{i}, n{i});");
                float += &format!("{side}{i}: {side}{i} = MatMul({before}, kernel);");
            }
            let sum = format!("y{i} = Add(a{i}, b{i});");
            (quantised, float) = (quantised + &sum, float + &sum);
        }
        let which: Vec<usize> = chosen.into_iter().filter(|n| *n < 2 * length).collect();
        let got = without(&model(&quantised), &model(&float), &which);
        let count = |op: &str| got.node.iter().filter(|n| n.op_type() == op).count();
        prop_assert_eq!((count("MatMul"), count("MatMulInteger")), (which.len(), 2 * length - which.len()));
        prop_assert_eq!(count("Cast"), 2 * length - which.len());
        let quantisers = (0..length).filter(|i| !(which.contains(&(2 * i)) && which.contains(&(2 * i + 1)))).count();
        prop_assert_eq!(count("DynamicQuantizeLinear"), quantisers);
    }
}

#[test]
fn codes_of_few_bits_are_read_from_the_lowest_up() {
    let packed = |bits: usize, codes: Vec<u8>, zeros: Option<Vec<u8>>| stored::Packed {
        rows: 1,
        length: 3,
        block: 2,
        bits,
        codes: Tensor::new(DType::Uint8, vec![codes.len()], codes).unwrap(),
        scales: Tensor::f32(&[2], &[0.5, 2.0]),
        zeros: zeros.map(|z| Tensor::new(DType::Uint8, vec![z.len()], z).unwrap()),
        groups: None,
    };
    let floats = |packed| {
        let layout = stored::Layout::Packed(Box::new(packed));
        let stored = Stored { name: "w".into(), layout, turned: true, dtype: DType::Float32 };
        let floats = stored.floats().unwrap();
        assert_eq!(floats.shape, stored.shape());
        floats.view::<f32>().to_vec()
    };
    // 9 and 7, then 10 of a block that is not full; the middle is 8.
    assert_eq!(floats(packed(4, vec![0x79, 0x0a], None)), [0.5, -0.5, 4.0]);
    assert_eq!(floats(packed(4, vec![0x79, 0x0a], Some(vec![0x97]))), [1.0, 0.0, 2.0]);
    assert_eq!(floats(packed(2, vec![0b0111, 0b01], None)), [0.5, -0.5, -2.0]);
    assert_eq!(floats(packed(8, vec![130, 127, 128, 0], None)), [1.0, -0.5, 0.0]);
}
