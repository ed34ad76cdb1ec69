//! Whole models: what is refused, what is a parameter.

use std::convert::Infallible;

use super::*;
use crate::load::testset::tensor_to_proto;
use crate::onnx::*;
use crate::reduce::Case;
use crate::tensor::{DType, Tensor};

fn model(node: Vec<NodeProto>, inputs: &[&str], weights: &[(&str, Tensor)]) -> ModelProto {
    let open = |name: &&str| ValueInfoProto::typed(name, DType::Float32, None);
    let graph = GraphProto {
        input: inputs.iter().map(open).collect(),
        initializer: weights.iter().map(|(name, t)| tensor_to_proto(name, t)).collect(),
        output: node.last().iter().map(|n| ValueInfoProto::bare(&n.output[0])).collect(),
        node,
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() }
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::f32(shape, &vec![0.0; shape.iter().product()])
}

fn fed(shape: &[usize]) -> Tensors {
    let on = Tensor::from_vec(DType::Bool, vec![], vec![1u8]);
    Tensors::from([("x".to_string(), zeros(shape)), ("on".to_string(), on)])
}

fn graph_in(name: &str, node: Vec<NodeProto>, output: &str) -> AttributeProto {
    let graph = GraphProto { node, output: vec![ValueInfoProto::bare(output)], ..Default::default() };
    let r#type = Some(attribute_type::GRAPH);
    AttributeProto { name: Some(name.to_string()), g: Some(graph), r#type, ..Default::default() }
}

#[test]
fn shapes_are_followed_through_chains_bodies_and_functions() {
    let conv = |x: &str| NodeProto::new("Conv", "conv", &[x, "w"], &["c"]);
    let chain = vec![NodeProto::new("Relu", "relu", &["x"], &["r"]), conv("r")];
    let branch = |taken: &str| graph_in(taken, vec![conv("x")], "c");
    let held = NodeProto::new("If", "if", &["on"], &["y"]).with(branch("then_branch")).with(branch("else_branch"));
    let called = NodeProto { domain: Some("own".to_string()), ..NodeProto::new("Filter", "call", &["x", "w"], &["y"]) };
    let function = FunctionProto {
        name: Some("Filter".to_string()),
        domain: Some("own".to_string()),
        input: vec!["a".to_string(), "b".to_string()],
        output: vec!["c".to_string()],
        node: vec![NodeProto::new("Conv", "conv", &["a", "b"], &["c"])],
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(17) }],
        ..Default::default()
    };
    for nodes in [chain, vec![held], vec![called]] {
        let mut model = model(nodes, &["x", "on"], &[("w", zeros(&[2, 3, 5]))]);
        model.functions.push(function.clone());
        let refused = |length: usize| Sound::default().refuses(&model, &fed(&[1, 3, length]));
        assert_eq!(refused(5), None);
        assert!(refused(4).is_some_and(|why| why.contains("'conv'") && why.contains("5")), "{:?}", refused(4));
    }
}

#[test]
fn a_branch_that_is_not_taken_need_not_fit() {
    let squeezed = |x: &str| graph_in(x, vec![NodeProto::new("Squeeze", "squeeze", &["x", "first"], &["c"])], "c");
    let passed = |x: &str| graph_in(x, vec![NodeProto::new("Relu", "relu", &["x"], &["c"])], "c");
    let check = |condition: &str, then: AttributeProto, otherwise: AttributeProto, fits: bool| {
        let held = NodeProto::new("If", "if", &[condition], &["y"]).with(then).with(otherwise);
        let model = model(vec![held], &["x", "on", "open"], &[("first", Tensor::i64(&[1], &[0]))]);
        assert_eq!(Sound::default().refuses(&model, &fed(&[2, 3])).is_none(), fits, "{condition}");
    };
    check("on", passed("then_branch"), squeezed("else_branch"), true);
    check("on", squeezed("then_branch"), passed("else_branch"), false);
    check("open", squeezed("then_branch"), passed("else_branch"), true);
}

#[test]
fn a_missing_maker_or_input_is_refused() {
    let lost = model(vec![NodeProto::new("Relu", "relu", &["nobody"], &["y"])], &["x"], &[]);
    assert!(Sound::default().refuses(&lost, &fed(&[1])).is_some_and(|why| why.contains("nobody")));
    let bare = model(vec![NodeProto::new("MatMul", "product", &["x"], &["y"])], &["x"], &[]);
    assert!(Sound::default().refuses(&bare, &fed(&[1, 1])).is_some_and(|why| why.contains("input 1")));
}

#[test]
fn what_was_wrong_from_the_start_is_no_reason() {
    let nodes =
        vec![NodeProto::new("Conv", "a", &["x", "w"], &["y"]), NodeProto::new("Conv", "b", &["x", "v"], &["z"])];
    let model = model(nodes, &["x"], &[("w", zeros(&[2, 3, 5])), ("v", zeros(&[2, 3, 3]))]);
    let sound = Sound::like(&model, &fed(&[1, 3, 4]));
    assert_eq!(sound.refuses(&model, &fed(&[1, 3, 3])), None);
    assert!(sound.refuses(&model, &fed(&[1, 3, 2])).is_some_and(|why| why.starts_with("'b'")));
}

#[test]
fn only_sound_attempts_are_asked_about() {
    let node = vec![NodeProto::new("Conv", "conv", &["x", "w"], &["y"])];
    let model = model(node, &["x"], &[("w", zeros(&[2, 3, 5]))]);
    let attempt = |length: usize| {
        let case = Case { model: model.clone(), feeds: fed(&[1, 3, length]), expected: None };
        Attempt { what: length.to_string(), case }
    };
    let check = |lengths: &[usize], asked: &[&str], expected: &[Answer]| {
        let mut seen = Vec::new();
        let attempts: Vec<Attempt> = lengths.iter().map(|n| attempt(*n)).collect();
        let Ok(got) = Sound::default().ask(&attempts, |tried| {
            seen.extend(tried.iter().map(|a| a.what.clone()));
            Ok::<_, Infallible>(vec![Answer::Bad])
        });
        assert_eq!((seen.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), got.as_slice()), (asked, expected));
    };
    check(&[7], &["7"], &[Answer::Bad]);
    check(&[3], &[], &[Answer::Unknown]);
    check(&[3, 7, 6], &["7", "6"], &[Answer::Unknown, Answer::Bad, Answer::Unknown]);
}

#[test]
fn parameters_and_what_they_come_from_are_known() {
    let check = |nodes: Vec<NodeProto>, expected: &[&str]| {
        let told = format!("{nodes:?}");
        let mut got: Vec<String> = parameters(&model(nodes, &["x", "n"], &[])).into_iter().collect();
        got.sort();
        assert_eq!(got, expected, "{told}");
    };
    let node = |op: &str, inputs: &[&str], output: &str| NodeProto::new(op, op, inputs, &[output]);
    check(vec![node("Resize", &["x", "", "scales"], "y")], &["scales"]);
    check(vec![node("Pad", &["x", "pads", "v", "axes"], "y")], &["axes", "pads", "v"]);
    check(vec![node("Conv", &["x", "w", "b"], "y"), node("Gather", &["y", "i"], "z")], &[]);
    // Through nodes, but not through the shape that is asked for.
    let computed = vec![
        node("Shape", &["x"], "shape"),
        node("Mul", &["shape", "twice"], "wanted"),
        node("Reshape", &["x", "wanted"], "y"),
    ];
    check(computed, &["shape", "twice", "wanted"]);
    // Captured by a body, and given to it.
    let body = graph_in("then_branch", vec![node("TopK", &["x", "k"], "t")], "t");
    check(vec![node("If", &["on"], "y").with(body)], &["k", "on"]);
    let mut body = graph_in("body", vec![node("Tile", &["carried", "repeats"], "t")], "t");
    let formals = ["i", "on", "carried", "repeats"].map(ValueInfoProto::bare);
    body.g.as_mut().unwrap().input.extend(formals);
    check(vec![node("Loop", &["trips", "", "x", "n"], "y").with(body)], &["n", "repeats", "trips"]);
    let packed = NodeProto { domain: Some("com.microsoft".to_string()), ..node("MatMulNBits", &["x", "w", "s"], "y") };
    check(vec![packed], &["s", "w"]);
}
