//! One-line graphs; closures say what fails.

use std::collections::HashSet;
use std::convert::Infallible;

use super::*;
use crate::graph::Graph;
use crate::load::testset::tensor_to_proto;
use crate::onnx::*;
use crate::tensor::{DType, Tensor};

fn initializer(name: &str) -> TensorProto {
    tensor_to_proto(name, &Tensor::f32(&[2], &[1.0, 2.0]))
}

fn value(name: &str) -> ValueInfoProto {
    ValueInfoProto::tensor(name, DType::Float32, &[2])
}

fn case(nodes: Vec<NodeProto>, inputs: &[&str], initializers: &[&str], outputs: &[&str]) -> Case {
    let graph = GraphProto {
        node: nodes,
        input: inputs.iter().map(|n| value(n)).collect(),
        initializer: initializers.iter().map(|n| initializer(n)).collect(),
        output: outputs.iter().map(|n| value(n)).collect(),
        ..Default::default()
    };
    let opset = OperatorSetIdProto { domain: None, version: Some(17) };
    let model = ModelProto { ir_version: Some(8), graph: Some(graph), opset_import: vec![opset], ..Default::default() };
    let tensors = |names: &[&str]| names.iter().map(|n| (n.to_string(), Tensor::f32(&[2], &[1.0, 2.0]))).collect();
    Case { model, feeds: tensors(inputs), expected: Some(tensors(outputs)) }
}

fn main_of(case: &Case) -> &GraphProto {
    case.model.graph.as_ref().unwrap()
}

fn names<'a>(values: impl IntoIterator<Item = &'a ValueInfoProto>) -> Vec<&'a str> {
    values.into_iter().map(|v| v.name()).collect()
}

/// Trims; every case that is asked about is a sound model with a feed for each input, under words of its own.
fn trimmed(case: Case, mut answer: impl FnMut(&Case) -> Answer) -> (Case, Vec<String>) {
    let mut asked: Vec<String> = Vec::new();
    let Ok(got) = trim(case, |attempts| {
        for attempt in attempts {
            let graph = Graph::new(&attempt.case.model).unwrap();
            assert_eq!(graph.inputs, attempt.case.feeds.keys().cloned().collect::<Vec<_>>());
            asked.push(attempt.what.clone());
        }
        Ok::<_, Infallible>(attempts.iter().map(|a| answer(&a.case)).collect())
    });
    assert_eq!(asked.iter().collect::<HashSet<_>>().len(), asked.len(), "{asked:?}");
    (got, asked)
}

fn relu(input: &str, output: &str) -> NodeProto {
    NodeProto::new("Relu", &format!("make_{output}"), &[input], &[output])
}

#[test]
fn what_nobody_reads_goes_without_a_question() {
    let mut given = case(vec![relu("x", "y")], &["x", "lone", "old"], &["unread", "old"], &["y"]);
    let main = given.model.graph.as_mut().unwrap();
    main.value_info = vec![value("y"), value("gone")];
    main.doc_string = Some("text".into());
    main.metadata_props.push(StringStringEntryProto::new("k", "v"));
    main.node[0].input.push(String::new());
    main.node[0].doc_string = Some("text".into());
    for tensor in ["y", "gone"] {
        let scale = StringStringEntryProto::new("SCALE_TENSOR", format!("{tensor}_scale"));
        let quant_parameter_tensor_names = vec![scale];
        main.quantization_annotation
            .push(TensorAnnotation { tensor_name: Some(tensor.into()), quant_parameter_tensor_names });
        main.initializer.push(initializer(&format!("{tensor}_scale")));
    }
    given.model.doc_string = Some("text".into());
    given.model.training_info.push(TrainingInfoProto::default());
    given.model.metadata_props.push(StringStringEntryProto::new("k", "v"));
    given.model.ir_version = Some(3);

    let (got, asked) = trimmed(given, |_| panic!("no question is needed"));
    assert_eq!(asked, [""; 0]);
    let mut expected = case(vec![relu("x", "y")], &["x"], &["y_scale"], &["y"]);
    let main = expected.model.graph.as_mut().unwrap();
    main.value_info = vec![value("y")];
    main.quantization_annotation = main_of(&got).quantization_annotation.clone();
    assert_eq!(main.quantization_annotation.len(), 1);
    expected.model.ir_version = Some(4);
    assert_eq!(got.model, expected.model);
    assert_eq!(got.feeds.keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(got.expected.unwrap().keys().collect::<Vec<_>>(), ["y"]);
}

#[test]
fn functions_and_opsets_stay_where_something_calls_them() {
    let call = |domain: &str, op: &str, output: &str| {
        let mut node = NodeProto::new(op, output, &["x"], &[output]);
        node.domain = Some(domain.to_string());
        node
    };
    let function = |name: &str, node: NodeProto| FunctionProto {
        name: Some(name.to_string()),
        domain: Some("local".to_string()),
        input: vec!["x".to_string()],
        output: node.output.clone(),
        node: vec![node],
        ..Default::default()
    };
    let mut given = case(vec![call("local", "Outer", "y")], &["x"], &[], &["y"]);
    given.model.functions = vec![
        function("Inner", call("vendor", "Op", "z")),
        function("Unused", call("other", "Op", "z")),
        function("Outer", call("local", "Inner", "z")),
    ];
    for domain in ["local", "vendor", "other"] {
        let version = Some(1);
        given.model.opset_import.push(OperatorSetIdProto { domain: Some(domain.to_string()), version });
    }
    clean(&mut given.model);
    let functions: Vec<&str> = given.model.functions.iter().map(|f| f.name()).collect();
    assert_eq!(functions, ["Inner", "Outer"]);
    let domains: Vec<&str> = given.model.opset_import.iter().map(|o| o.domain()).collect();
    assert_eq!(domains, ["", "local", "vendor"]);
}

#[test]
fn a_captured_initializer_is_read() {
    let body = GraphProto { node: vec![relu("w", "t")], output: vec![value("t")], ..Default::default() };
    let mut node = NodeProto::new("Op", "holder", &["x"], &["y"]);
    node.domain = Some("vendor".to_string());
    let body = AttributeProto { name: Some("body".to_string()), g: Some(body), ..Default::default() };
    let mut given = case(vec![node.with(body)], &["x"], &["w", "unread"], &["y"]);
    clean(&mut given.model);
    let kept: Vec<&str> = main_of(&given).initializer.iter().map(|t| t.name()).collect();
    assert_eq!(kept, ["w"]);
}

#[test]
fn a_loop_keeps_the_places_of_its_counts() {
    let mut given = case(vec![NodeProto::new("Loop", "l", &["", ""], &["y"])], &[], &[], &["y"]);
    clean(&mut given.model);
    assert_eq!(main_of(&given).node[0].input, ["", ""]);
}

#[test]
fn one_output_is_enough_and_the_nodes_of_the_others_go() {
    let nodes = || vec![relu("x", "a"), relu("a", "b"), relu("x", "c"), relu("u", "d")];
    let given = || case(nodes(), &["x", "u"], &[], &["b", "c", "d"]);
    let fails = |needed: &'static [&str]| {
        move |case: &Case| match needed.iter().all(|n| main_of(case).output.iter().any(|v| v.name() == *n)) {
            true => Answer::Bad,
            false => Answer::Good,
        }
    };
    let (got, asked) = trimmed(given(), fails(&["c"]));
    assert_eq!(names(&main_of(&got).output), ["c"]);
    assert_eq!(main_of(&got).node, [relu("x", "c")]);
    assert_eq!((got.feeds.len(), got.expected.unwrap().len()), (1, 1));
    assert_eq!(asked, ["only the outputs b", "only the outputs c"]);

    let (got, _) = trimmed(given(), fails(&["b", "d"]));
    assert_eq!(names(&main_of(&got).output), ["b", "d"]);
    assert_eq!(main_of(&got).node.len(), 3);
    let (got, asked) = trimmed(given(), fails(&["b", "c", "d"]));
    assert_eq!((names(&main_of(&got).output).len(), asked.len()), (3, 6));
}

#[test]
fn optional_inputs_go_and_others_are_not_asked_about() {
    let conv = NodeProto::new("Conv", "conv", &["x", "w", "bias"], &["c"]);
    let nodes = vec![
        conv,
        NodeProto::new("Clip", "clip", &["c", "low", "high"], &["d"]),
        NodeProto::new("Add", "add", &["d", "shift"], &["y"]),
    ];
    let given = || case(nodes.clone(), &["x", "high"], &["w", "bias", "low", "shift"], &["y"]);
    let (got, asked) = trimmed(given(), |_| Answer::Bad);
    let inputs: Vec<&[String]> = main_of(&got).node.iter().map(|n| n.input.as_slice()).collect();
    assert_eq!(inputs, [["x", "w"].as_slice(), &["c"], &["d", "shift"]]);
    assert_eq!(got.feeds.keys().collect::<Vec<_>>(), ["x"]);
    assert_eq!(main_of(&got).initializer.len(), 2);
    assert!(got.expected.is_none());
    assert_eq!(
        asked,
        ["without input 2 of node 1 'clip'", "without input 2 of node 0 'conv', input 1 of node 1 'clip'"]
    );

    // The upper bound is what fails: the lower one becomes a gap.
    let (got, asked) = trimmed(given(), |case| match case.feeds.contains_key("high") {
        true => Answer::Bad,
        false => Answer::Unknown,
    });
    assert_eq!(main_of(&got).node[1].input, ["c", "", "high"]);
    assert_eq!(asked.len(), 2);

    let (got, _) = trimmed(given(), |_| Answer::Unknown);
    assert_eq!(got.model, tidy(given()).model, "a refusal is no failure");
    assert!(got.expected.is_some());
}

#[test]
fn an_input_that_another_node_makes_stays() {
    let nodes = vec![relu("b", "bias"), NodeProto::new("Conv", "conv", &["x", "w", "bias"], &["y"])];
    let (_, asked) = trimmed(case(nodes, &["x", "b"], &["w"], &["y"]), |_| Answer::Bad);
    assert_eq!(asked, [""; 0]);
}

fn choose(then: GraphProto, other: GraphProto) -> NodeProto {
    let branch = |name: &str, g| AttributeProto { name: Some(name.to_string()), g: Some(g), ..Default::default() };
    let node = NodeProto::new("If", "if", &["cond"], &["y"]);
    node.with(branch("then_branch", then)).with(branch("else_branch", other))
}

#[test]
fn the_branch_that_is_not_taken_becomes_constants() {
    let branch = |input: &str, output: &str| GraphProto {
        node: vec![relu(input, &format!("{output}_in")), relu(&format!("{output}_in"), output)],
        output: vec![value(output)],
        ..Default::default()
    };
    for taken in [true, false] {
        let node = choose(branch("a", "t"), branch("b", "e"));
        let mut given = case(vec![node], &["cond", "a", "b"], &[], &["y"]);
        given.feeds["cond"] = Tensor::new(DType::Bool, vec![], vec![u8::from(taken)]).unwrap();
        let (got, asked) = trimmed(given, |_| Answer::Bad);
        let idle = if taken { "else_branch" } else { "then_branch" };
        assert_eq!(asked, [format!("empty {idle} of node 0 'if'")]);
        let node = &main_of(&got).node[0];
        let body = node.attr(idle).unwrap().g.as_ref().unwrap();
        assert_eq!((body.node.len(), body.node[0].op_type()), (1, "Constant"));
        assert_eq!(names(&body.output), [if taken { "e" } else { "t" }]);
        let kept = if taken { ["cond", "a"] } else { ["cond", "b"] };
        assert_eq!(got.feeds.keys().collect::<Vec<_>>(), kept);
        assert!(got.expected.is_some(), "no value has changed");
        let again = trimmed(got, |_| panic!("it is small already"));
        assert_eq!(again.1, [""; 0]);
    }
}

#[test]
fn an_unknown_condition_leaves_both_branches() {
    let branch = |output: &str| GraphProto {
        node: vec![relu("a", "in"), relu("in", output)],
        output: vec![value(output)],
        ..Default::default()
    };
    let not = NodeProto::new("Not", "not", &["fed"], &["cond"]);
    let given = case(vec![not, choose(branch("t"), branch("e"))], &["fed", "a"], &[], &["y"]);
    assert_eq!(trimmed(given, |_| Answer::Bad).1, [""; 0]);
}

#[test]
fn an_idle_branch_inside_an_idle_branch_goes_with_it() {
    let plain = |input: &str, output: &str| GraphProto {
        node: vec![relu(input, &format!("{output}_in")), relu(&format!("{output}_in"), output)],
        output: vec![value(output)],
        ..Default::default()
    };
    let mut inner = choose(plain("a", "t2"), plain("b", "e2"));
    inner.output = vec!["e".to_string()];
    let nested = GraphProto { node: vec![inner], output: vec![value("e")], ..Default::default() };
    let mut given = case(vec![choose(plain("a", "t"), nested)], &["cond", "a", "b"], &[], &["y"]);
    given.feeds["cond"] = Tensor::new(DType::Bool, vec![], vec![1]).unwrap();
    let (got, _) = trimmed(given, |_| Answer::Bad);
    assert_eq!(got.feeds.keys().collect::<Vec<_>>(), ["cond", "a"]);
    assert_eq!(main_of(&got).nodes_in_all(), 4);
}
