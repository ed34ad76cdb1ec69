//! Every holder of a body, built small; then the models of testdata. If branches and what concerns every holder are here.

mod call;
mod loops;

use std::path::Path;

use super::*;
use crate::load::Model;
use crate::onnx::{AttributeProto, EXTERNAL, OperatorSetIdProto, StringStringEntryProto, attribute_type};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto::new(op, &outputs.concat(), inputs, outputs)
}

fn body(inputs: &[&str], nodes: Vec<NodeProto>, outputs: &[&str]) -> GraphProto {
    let bare = |names: &[&str]| names.iter().map(|n| ValueInfoProto::bare(n)).collect();
    GraphProto { node: nodes, input: bare(inputs), output: bare(outputs), ..Default::default() }
}

fn attribute(name: &str, g: GraphProto) -> AttributeProto {
    let r#type = Some(attribute_type::GRAPH);
    AttributeProto { name: Some(name.to_string()), g: Some(g), r#type, ..Default::default() }
}

fn branches(then: GraphProto, otherwise: GraphProto) -> NodeProto {
    let node = node("If", &["c"], &["y"]);
    node.with(attribute("then_branch", then)).with(attribute("else_branch", otherwise))
}

/// A weight of four floats that lies in a file.
fn weight(name: &str) -> TensorProto {
    let external_data = vec![StringStringEntryProto::new("location", "weights.bin")];
    let (name, data_type) = (Some(name.to_string()), Some(DType::Float32.onnx()));
    TensorProto { name, data_type, dims: vec![4], external_data, data_location: Some(EXTERNAL), ..Default::default() }
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(version) }
}

/// x -> h, the Constant k, and `last`, which holds the body; c, x, m, n, p are inputs, w is a weight.
fn model(last: NodeProto) -> ModelProto {
    let k = node("Constant", &[], &["k"]).with(AttributeProto::int("value_int", 7));
    let outputs: Vec<String> = last.output.iter().filter(|o| !o.is_empty()).cloned().collect();
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut main = body(&["c", "x", "m", "n", "p"], vec![node("Relu", &["x"], &["h"]), k, last], &outputs);
    main.initializer = vec![weight("w")];
    ModelProto {
        ir_version: Some(8),
        opset_import: vec![opset("", 17)],
        metadata_props: vec![StringStringEntryProto::new("author", "somebody")],
        graph: Some(main),
        ..Default::default()
    }
}

fn flag(value: bool) -> Tensor {
    Tensor::from_vec(DType::Bool, vec![], vec![u8::from(value)])
}

/// c is true, m is 3; x, h and n are matrices; p is no tensor.
fn values(name: &str) -> Option<Tensor> {
    match name {
        "c" => Some(flag(true)),
        "m" => Some(Tensor::i64(&[], &[3])),
        "x" | "h" => Some(Tensor::f32(&[2, 3], &[0., 1., 2., 3., 4., 5.])),
        "n" => Some(Tensor::i64(&[2, 2], &[10, 11, 12, 13])),
        _ => None,
    }
}

fn text(case: &Case) -> Vec<String> {
    let graph = case.model.graph.as_ref().unwrap();
    let line = |n: &NodeProto| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","));
    graph.node.iter().map(line).collect()
}

fn outputs(case: &Case) -> Vec<&str> {
    case.model.graph.as_ref().unwrap().output.iter().map(|o| o.name()).collect()
}

fn weights(case: &Case) -> Vec<&str> {
    case.model.graph.as_ref().unwrap().initializer.iter().map(|t| t.name()).collect()
}

/// What the inputs are fed with; checks that they are declared so.
fn fed(case: &Case) -> Vec<(&str, Vec<usize>)> {
    let declared: Vec<&ValueInfoProto> = case.model.graph.as_ref().unwrap().input.iter().collect();
    assert_eq!(declared.len(), case.feeds.len());
    for (input, (name, tensor)) in declared.iter().zip(&case.feeds) {
        assert_eq!(**input, ValueInfoProto::tensor(name, tensor.dtype, &tensor.shape));
    }
    case.feeds.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.clone())).collect()
}

fn entered(model: &ModelProto) -> Option<Case> {
    assert!(holds_a_body(model, &model.graph.as_ref()?.node[2]));
    descend(model, 2, &values)
}

#[test]
fn the_branch_that_runs_becomes_the_graph() {
    let then = body(&[], vec![node("Add", &["h", "w"], &["t"]), node("Mul", &["t", "k"], &["t2"])], &["t2"]);
    let other = body(&[], vec![node("Neg", &["x"], &["e"])], &["e"]);
    let model = model(branches(then, other));
    let case = entered(&model).unwrap();
    assert_eq!(text(&case), ["Add(h,w) -> t", "Mul(t,k) -> t2"]);
    assert_eq!((fed(&case), outputs(&case)), (vec![("h", vec![2, 3])], vec!["t2"]));
    assert_eq!(weights(&case), ["w", "k"], "what is constant outside stays constant");
    let graph = case.model.graph.as_ref().unwrap();
    assert_eq!(graph.initializer[0], weight("w"), "its data stays in its file");
    assert_eq!(graph.initializer[1].int64_data, [7]);
    assert!(case.model.metadata_props.is_empty() && case.expected.is_none());

    let otherwise = |name: &str| {
        if name == "c" { Some(flag(false)) } else { values(name) }
    };
    let case = descend(&model, 2, &otherwise).unwrap();
    assert_eq!((text(&case), fed(&case)), (vec!["Neg(x) -> e".to_string()], vec![("x", vec![2, 3])]));
    assert!(weights(&case).is_empty());
}

#[test]
fn what_a_branch_only_hands_on_is_no_output() {
    let other = || body(&[], vec![node("Neg", &["x"], &["e"])], &["e"]);
    let mut node_of_two = branches(body(&[], vec![node("Abs", &["h"], &["t"])], &["n", "t", "t"]), other());
    node_of_two.output = ["y", "z", "q"].map(str::to_string).to_vec();
    let case = entered(&model(node_of_two.clone())).unwrap();
    assert_eq!((outputs(&case), fed(&case)), (vec!["t"], vec![("h", vec![2, 3])]));
    node_of_two.output = vec!["y".to_string(), String::new()];
    assert!(entered(&model(node_of_two)).is_none(), "nobody asks for the output that a node makes");
    assert!(entered(&model(branches(body(&[], vec![], &["h"]), other()))).is_none(), "no nodes");
}

#[test]
fn what_is_not_known_is_not_guessed() {
    let branch = |read: &str| body(&[], vec![node("Neg", &[read], &["t"])], &["t"]);
    let known = model(branches(branch("h"), branch("p")));
    assert!(entered(&known).is_some(), "the branch that does not run may read what it likes");
    assert!(entered(&model(branches(branch("p"), branch("h")))).is_none(), "p is no tensor");
    assert!(descend(&known, 2, &|name| values(name).filter(|_| name != "c")).is_none(), "which branch?");
    assert!(descend(&known, 0, &values).is_none() && !holds_a_body(&known, &known.graph.as_ref().unwrap().node[0]));
    assert!(descend(&known, 9, &values).is_none());
    let half = node("If", &["c"], &["y"]).with(attribute("then_branch", branch("h")));
    assert!(descend(&model(half), 2, &values).is_none());
}

#[test]
fn unnamed_nodes_get_the_name_that_users_know_and_bodies_stay_nested() {
    let inner = body(&[], vec![node("Mul", &["t", "w"], &["u"])], &["u"]);
    let same = body(&[], vec![node("Abs", &["x"], &["v"])], &["v"]);
    let mut nested = branches(inner, same);
    (nested.name, nested.output) = (None, vec!["r".to_string()]);
    let then = body(&[], vec![node("Neg", &["h"], &["t"]), nested], &["r"]);
    let case = entered(&model(branches(then.clone(), then))).unwrap();
    let graph = case.model.graph.as_ref().unwrap();
    assert_eq!(graph.node.iter().map(|n| n.name()).collect::<Vec<_>>(), ["t", "node_of_r"]);
    let names: Vec<&str> = fed(&case).iter().map(|(name, _)| *name).collect();
    assert_eq!((names, weights(&case)), (vec!["h", "c", "x"], vec!["w"]), "captures of both branches inside");
    let deeper = descend(&case.model, 1, &|name| case.feeds.get(name).or(values("h").as_ref()).cloned()).unwrap();
    assert_eq!((text(&deeper), weights(&deeper)), (vec!["Mul(t,w) -> u".to_string()], vec!["w"]));
}

#[test]
fn weights_need_not_be_inputs() {
    let then = body(&[], vec![node("Add", &["h", "w"], &["t"])], &["t"]);
    let old = ModelProto { ir_version: Some(3), ..model(branches(then.clone(), then)) };
    assert_eq!(entered(&old).unwrap().model.ir_version, Some(4));
}

/// The first holder of a testdata model, entered with ones of the declared shapes and the initializers of the file.
fn entered_on_disk(case: &str, shapes: &[(&str, &[usize])]) -> Case {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(case).join("model.onnx");
    let model = Model::load(&path).unwrap();
    let main = model.proto.graph.as_ref().unwrap();
    let index = main.node.iter().position(|n| holds_a_body(&model.proto, n)).unwrap();
    let value = |name: &str| {
        if let Some(t) = initializer(main, &[], name) {
            let shape = t.dims.iter().map(|d| *d as usize).collect();
            return Tensor::new(t.dtype()?, shape, model.payload(t)?).ok();
        }
        let shape = shapes.iter().find(|(known, _)| *known == name)?.1;
        let count: usize = shape.iter().product();
        Some(if count == 1 { flag(true) } else { Tensor::f32(shape, &vec![1.0; count]) })
    };
    descend(&model.proto, index, &value).unwrap()
}

#[test]
fn the_models_of_testdata_are_entered() {
    let check = |case: &str, shapes: &[(&str, &[usize])], nodes: usize, want: &[&str]| {
        let case = entered_on_disk(case, shapes);
        let graph = Graph::new(&case.model).unwrap();
        assert_eq!(graph.nodes.len(), nodes);
        assert_eq!(graph.inputs, case.feeds.keys().cloned().collect::<Vec<_>>());
        assert_eq!(fed(&case).iter().map(|(name, _)| *name).collect::<Vec<_>>(), want);
    };
    check("loop_body", &[("drive", &[2, 8])], 4, &["i", "go", "state", "drive"]);
    check("scan_ok", &[("x", &[5, 4])], 2, &["total", "row"]);
    check("if_branch_fault", &[("positive_out", &[]), ("hidden", &[2, 8])], 3, &["hidden"]);
    check("function_model", &[("fc1_out", &[2, 8])], 4, &["x"]);
}
