//! Pairs out of one-line graphs.

use super::*;
use crate::load::Model;
use crate::load::testset::tensor_from_proto;
use crate::onnx::{AttributeProto, ValueInfoProto};
use crate::qdq::pairs;
use crate::tensor::{DType, Tensor};

fn float(name: &str, values: &[f32]) -> TensorProto {
    tensor_to_proto(name, &Tensor::f32(&[values.len()], values))
}

fn node(op: &str, inputs: &str, output: &str) -> NodeProto {
    let inputs: Vec<&str> = inputs.split_whitespace().collect();
    NodeProto::new(op, output, &inputs, &[output])
}

fn quantize(input: &str, output: &str) -> NodeProto {
    node("QuantizeLinear", &format!("{input} s z"), output)
}

fn dequantize(input: &str, output: &str) -> NodeProto {
    node("DequantizeLinear", &format!("{input} s z"), output)
}

/// x is fed; s, z are scale and zero point, w_quantized is a weight.
fn model(nodes: Vec<NodeProto>, outputs: &[&str]) -> ModelProto {
    let int8 = |name: &str, values: &[i8]| {
        tensor_to_proto(name, &Tensor::from_vec(DType::Int8, vec![values.len()], values.to_vec()))
    };
    let scale = TensorProto { dims: vec![], ..float("s", &[0.5]) };
    let zero = TensorProto { dims: vec![], ..int8("z", &[0]) };
    let graph = GraphProto {
        node: nodes,
        initializer: vec![scale, zero, int8("w_quantized", &[2, -4])],
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2])],
        output: outputs.iter().map(|o| ValueInfoProto::bare(o)).collect(),
        ..Default::default()
    };
    ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
}

/// The model without the pairs of these tensors.
fn edited(proto: &ModelProto, tensors: &[&str], known: &dyn Fn(&str) -> Option<TensorProto>) -> GraphProto {
    use prost::Message;
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("m.onnx"), proto.encode_to_vec()).unwrap();
    let model = Model::load(&home.path().join("m.onnx")).unwrap();
    let graph = Graph::new(&model.proto).unwrap();
    let all = pairs(&model, &graph);
    let chosen: Vec<&Pair> = all.iter().filter(|p| tensors.contains(&p.tensor.as_str())).collect();
    assert!(tensors.iter().all(|t| chosen.iter().any(|p| p.tensor == *t)), "{tensors:?}");
    let lost = |pair: &Pair| if pair.tensor.starts_with("lost") { clip_and_relu() } else { Vec::new() };
    let edited = without(&model.proto, &graph, &chosen, &Float { weight: known, activations: &lost });
    assert!(Graph::new(&edited).is_ok());
    edited.graph.unwrap()
}

/// What a quantiser leaves out in front of tensors whose names start with "lost".
fn clip_and_relu() -> Vec<Activation> {
    let clip = NodeProto::new("Clip", "clip", &["c", "", "most"], &["r"]);
    let relu = Activation { node: NodeProto::new("Relu", "relu", &["r"], &["lost"]), bounds: Vec::new() };
    vec![Activation { node: clip, bounds: vec![(2, float("most", &[6.0]))] }, relu]
}

fn text(graph: &GraphProto) -> Vec<String> {
    let one = |n: &NodeProto| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","));
    graph.node.iter().map(one).collect()
}

fn weights(graph: &GraphProto) -> Vec<&str> {
    graph.initializer.iter().map(|t| t.name()).collect()
}

fn check(nodes: Vec<NodeProto>, outputs: &[&str], tensors: &[&str], want: &[&str], want_weights: &[&str]) {
    let got = edited(&model(nodes, outputs), tensors, &|_| None);
    assert_eq!((text(&got), weights(&got)), (want.iter().map(|s| s.to_string()).collect(), want_weights.to_vec()));
}

#[test]
fn readers_read_the_float() {
    let nodes = || vec![quantize("x", "q"), dequantize("q", "d"), node("Relu", "d", "y"), node("Neg", "q", "n")];
    let left = ["s", "z", "w_quantized"];
    // Somebody else reads q.
    check(nodes(), &["y", "n"], &["x"], &["QuantizeLinear(x,s,z) -> q", "Relu(x) -> y", "Neg(q) -> n"], &left);
    check(nodes()[..3].to_vec(), &["y"], &["x"], &["Relu(x) -> y"], &["w_quantized"]);
}

#[test]
fn an_output_keeps_its_name() {
    let nodes = vec![node("Relu", "x", "r"), quantize("r", "q"), dequantize("q", "y"), node("Neg", "y", "n")];
    let want = ["Relu(x) -> r", "Identity(r) -> y", "Neg(r) -> n"];
    check(nodes, &["y", "n"], &["r"], &want, &["w_quantized"]);
}

#[test]
fn activations_that_saturation_stood_for_come_back() {
    let nodes = |a: &str, q: &str| vec![node("Neg", "x", a), quantize(a, q), dequantize(q, "d"), node("Neg", "d", "y")];
    let want = ["Neg(x) -> lost", "Clip(lost,,d/0/max) -> d/0", "Relu(d/0) -> d", "Neg(d) -> y"];
    check(nodes("lost", "q"), &["y"], &["lost"], &want, &["w_quantized", "d/0/max"]);
    // An output keeps its name; what stands behind is still there.
    let want = ["Neg(x) -> lost", "Clip(lost,,d/0/max) -> d/0", "Relu(d/0) -> d"];
    check(nodes("lost", "q")[..3].to_vec(), &["d"], &["lost"], &want, &["w_quantized", "d/0/max"]);
    let two = [nodes("lost", "q"), vec![node("Abs", "x", "k"), quantize("k", "p"), dequantize("p", "o")]].concat();
    let want = [
        "Neg(x) -> lost",
        "Clip(lost,,d/0/max) -> d/0",
        "Relu(d/0) -> d",
        "Neg(d) -> y",
        "Abs(x) -> k",
        "Identity(k) -> o",
    ];
    check(two, &["y", "o"], &["lost", "k"], &want, &["w_quantized", "d/0/max"]);
}

#[test]
fn pairs_in_a_row_and_of_one_quantizer() {
    let row =
        vec![quantize("x", "q"), dequantize("q", "d"), quantize("d", "p"), dequantize("p", "e"), node("Neg", "e", "y")];
    check(row.clone(), &["y"], &["x", "d"], &["Neg(x) -> y"], &["w_quantized"]);
    let left = ["QuantizeLinear(x,s,z) -> p", "DequantizeLinear(p,s,z) -> e", "Neg(e) -> y"];
    check(row, &["y"], &["x"], &left, &["s", "z", "w_quantized"]);
    let two = vec![quantize("x", "q"), dequantize("q", "d"), dequantize("q", "e"), node("Add", "d e", "y")];
    check(two, &["y"], &["x"], &["Add(x,x) -> y"], &["w_quantized"]);
}

#[test]
fn weights_become_floats_of_the_reference_or_their_own() {
    let proto = model(vec![dequantize("w_quantized", "w"), node("Add", "x w", "y")], &["y"]);
    let value = |known: &dyn Fn(&str) -> Option<TensorProto>| {
        let got = edited(&proto, &["w"], known);
        assert_eq!((text(&got), weights(&got)), (vec!["Add(x,w) -> y".to_string()], vec!["w"]));
        tensor_from_proto(&got.initializer[0]).unwrap().view::<f32>().to_vec()
    };
    assert_eq!(value(&|_| None), [1.0, -2.0]);
    assert_eq!(value(&|name| (name == "w").then(|| float("w", &[1.1, -2.1]))), [1.1, -2.1]);
    // Another shape is another weight.
    assert_eq!(value(&|_| Some(float("w", &[1.1]))), [1.0, -2.0]);
}

#[test]
fn a_subgraph_that_captures_the_result_still_finds_it() {
    let body =
        GraphProto { node: vec![node("Neg", "d", "t")], output: vec![ValueInfoProto::bare("t")], ..Default::default() };
    let branch = |name: &str| AttributeProto { name: Some(name.into()), g: Some(body.clone()), ..Default::default() };
    let holder = node("If", "c", "y").with(branch("then_branch")).with(branch("else_branch"));
    let mut proto = model(vec![quantize("x", "q"), dequantize("q", "d"), holder], &["y"]);
    proto.graph.as_mut().unwrap().input.push(ValueInfoProto::tensor("c", DType::Bool, &[]));
    let got = edited(&proto, &["x"], &|_| None);
    assert_eq!(text(&got), ["Identity(x) -> d", "If(c) -> y"]);
    assert_eq!(got.input.len(), 2);
}

#[test]
fn weights_that_were_inputs_go_as_both() {
    let mut proto = model(vec![quantize("x", "q"), dequantize("q", "y")], &["y"]);
    proto.graph.as_mut().unwrap().input.push(ValueInfoProto::tensor("s", DType::Float32, &[]));
    let got = edited(&proto, &["x"], &|_| None);
    assert_eq!((text(&got), got.input.len()), (vec!["Identity(x) -> y".to_string()], 1));
}
