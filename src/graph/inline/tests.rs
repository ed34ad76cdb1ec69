//! Small functions, called every way that ONNX has.

use super::*;
use crate::graph::Graph;
use crate::onnx::{AttributeProto, ValueInfoProto, attribute_type};

fn function(name: &str, inputs: &[&str], outputs: &[&str], node: Vec<NodeProto>) -> FunctionProto {
    let owned = |names: &[&str]| names.iter().map(|s| s.to_string()).collect();
    FunctionProto {
        name: Some(name.to_string()),
        domain: Some("d".to_string()),
        input: owned(inputs),
        output: owned(outputs),
        node,
        opset_import: vec![opset("", 17), opset("d", 1)],
        ..Default::default()
    }
}

fn opset(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(version) }
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto::new(op, "", inputs, outputs)
}

fn call(name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto { domain: Some("d".to_string()), ..node(name, inputs, outputs) }
}

fn body(attribute: &str, input: &[&str], node: Vec<NodeProto>, output: &[&str]) -> AttributeProto {
    let values = |names: &[&str]| names.iter().map(|name| ValueInfoProto::bare(name)).collect();
    let graph = GraphProto { input: values(input), node, output: values(output), ..Default::default() };
    let r#type = Some(attribute_type::GRAPH);
    AttributeProto { name: Some(attribute.to_string()), g: Some(graph), r#type, ..Default::default() }
}

fn model(node: Vec<NodeProto>, output: &[&str], functions: Vec<FunctionProto>) -> ModelProto {
    let output = output.iter().map(|name| ValueInfoProto::bare(name)).collect();
    let input = ["x", "w", "c"].map(ValueInfoProto::bare).to_vec();
    let graph = GraphProto { node, input, output, ..Default::default() };
    let opset_import = vec![opset("", 17), opset("d", 1)];
    ModelProto { graph: Some(graph), functions, opset_import, ..Default::default() }
}

fn text(nodes: &[NodeProto]) -> Vec<String> {
    let node = |n: &NodeProto| {
        let inside: Vec<String> = n.subgraphs().map(|(_, g)| format!(" {{{}}}", text(&g.node).join("; "))).collect();
        format!("{}({}) {}{}", n.op_type(), n.input.join(","), n.output.join(","), inside.concat())
    };
    nodes.iter().map(node).collect()
}

/// What the model becomes: a graph that can be ordered.
fn check(model: &ModelProto, want: &[&str]) -> Inlined {
    let got = inline(model).unwrap();
    assert_eq!(text(&got.model.graph.as_ref().unwrap().node), want);
    Graph::new(&got.model).unwrap();
    got
}

#[test]
fn values_of_a_body_have_names_of_their_own() {
    let square =
        || function("F", &["a", "b"], &["z"], vec![node("Mul", &["a", "a"], &["x"]), node("Add", &["x", "b"], &["z"])]);
    let nodes = vec![call("F", &["x", "w"], &["p"]), call("F", &["p", "p"], &["q"]), node("Neg", &["q"], &["z"])];
    let got = check(
        &model(nodes, &["z"], vec![square()]),
        &["Mul(x,x) p/F/x", "Add(p/F/x,w) p", "Mul(p,p) q/F/x", "Add(q/F/x,p) q", "Neg(q) z"],
    );
    assert!(got.left.is_empty() && got.model.functions.is_empty());
    assert_eq!(got.made().collect::<Vec<_>>(), ["p/F/x", "p", "q/F/x", "q"]);
    let with = |key: &str| got.with_bodies(&HashSet::from([key.to_string()]));
    assert_eq!(with("p"), HashSet::from(["p".to_string(), "p/F/x".to_string()]));
    assert_eq!(with("z"), HashSet::from(["z".to_string()]));
    let of = |key: &str| got.calls_of(key).map(|call| call.path.as_str()).collect::<Vec<_>>();
    assert_eq!((of("q/F/node_of_x"), of("node_of_z")), (vec!["node_of_q"], vec![]));
    // Names that somebody has already are given to nobody else.
    let taken = vec![call("F", &["x", "w"], &["p"]), node("Add", &["p", "p"], &["p/F/x"])];
    check(&model(taken, &["p/F/x"], vec![square()]), &["Mul(x,x) p/F_/x", "Add(p/F_/x,w) p", "Add(p,p) p/F/x"]);
}

#[test]
fn inputs_and_outputs_may_be_left_out_or_be_the_same() {
    let clip = function(
        "F",
        &["a", "low", "high"],
        &["a", "y", "y", "n"],
        vec![node("Clip", &["a", "low", "high"], &["y"]), node("Neg", &["y"], &["n"])],
    );
    let of = |inputs: &[&str], outputs: &[&str], want: &[&str]| {
        let nodes = vec![call("F", inputs, outputs)];
        check(&model(nodes, &[outputs[1]], vec![clip.clone()]), want);
    };
    of(&["x", "", "w"], &["", "p"], &["Clip(x,,w) p", "Neg(p) p/F/n"]);
    of(
        &["x"],
        &["o", "p", "q"],
        &["Clip(x,,) p", "Neg(p) p/F/n".replace("p/", "o/").as_str(), "Identity(x) o", "Identity(p) q"],
    );
    of(&["x", "w", "c"], &["", "p", "", "m"], &["Clip(x,w,c) p", "Neg(p) m"]);
}

#[test]
fn attributes_come_from_the_call_or_are_defaults() {
    let reference = |name: &str, of: &str| {
        let (name, of) = (Some(name.to_string()), Some(of.to_string()));
        AttributeProto { name, ref_attr_name: of, r#type: Some(attribute_type::INT), ..Default::default() }
    };
    let softmax = node("Softmax", &["a"], &["s"]).with(reference("axis", "axis")).with(reference("none", "none"));
    let mut inner = function("G", &["a"], &["s"], vec![softmax]);
    (inner.attribute, inner.attribute_proto) = (vec!["none".into()], vec![AttributeProto::int("axis", 7)]);
    let mut outer = function("F", &["a"], &["y"], vec![call("G", &["a"], &["y"]).with(reference("axis", "along"))]);
    outer.attribute = vec!["along".into()];
    let nodes = vec![call("F", &["x"], &["p"]).with(AttributeProto::int("along", 1)), call("F", &["p"], &["q"])];
    let got = check(&model(nodes, &["q"], vec![outer, inner]), &["Softmax(x) p", "Softmax(p) q"]);
    let axes = got
        .model
        .graph
        .as_ref()
        .unwrap()
        .node
        .iter()
        .map(|n| (n.attribute.len(), n.attr("axis").unwrap().i()))
        .collect::<Vec<_>>();
    assert_eq!(axes, [(1, 1), (1, 7)], "functions call functions");
    let names: Vec<&str> = got.calls.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["p/F/node_of_y", "node_of_p", "q/F/node_of_y", "node_of_q"]);
    assert_eq!(got.calls_of("q/G/node_of_s").map(|c| c.op_type.as_str()).collect::<Vec<_>>(), ["G", "F"]);
}

#[test]
fn bodies_call_and_are_called() {
    // A function's own If, whose branches take from the function and have values of the names that the caller uses.
    let choose = node("If", &["k"], &["y"])
        .with(body("then_branch", &[], vec![node("Add", &["x", "s"], &["w"])], &["w"]))
        .with(body("else_branch", &[], vec![call("G", &["s"], &["w"])], &["w"]));
    let outer = function("F", &["k", "x"], &["y"], vec![node("Neg", &["x"], &["s"]), choose]);
    let double = function("G", &["a"], &["d"], vec![node("Add", &["a", "a"], &["d"])]);
    // The call stands in a branch itself.
    let choose = node("If", &["c"], &["z"])
        .with(body("then_branch", &[], vec![call("F", &["c", "w"], &["p"])], &["p"]))
        .with(body("else_branch", &[], vec![node("Neg", &["w"], &["p"])], &["p"]));
    let got = check(
        &model(vec![choose], &["z"], vec![outer, double]),
        &["If(c) z {Neg(w) p/F/s; If(c) p {Add(w,p/F/s) p/F/w} {Add(p/F/s,p/F/s) p/F/w}} {Neg(w) p}"],
    );
    let of = |key: &str| got.calls_of(key).map(|call| call.path.as_str()).collect::<Vec<_>>();
    assert_eq!(of("node_of_z/then_branch/p/F/node_of_s"), ["node_of_z/then_branch/node_of_p"]);
    assert!(of("node_of_z").is_empty());
}

#[test]
fn what_cannot_be_put_in_is_left_and_named() {
    let other = FunctionProto {
        opset_import: vec![opset("", 18)],
        ..function("F", &["a"], &["y"], vec![node("Neg", &["a"], &["y"])])
    };
    let unused = other.clone();
    let got = check(&model(vec![call("F", &["x"], &["y"])], &["y"], vec![other]), &["F(x) y"]);
    assert_eq!((got.left, got.model.functions.len()), (vec!["F".to_string()], 1));
    let circle = function("F", &["a"], &["y"], vec![node("Neg", &["a"], &["s"]), call("F", &["s"], &["y"])]);
    let got = check(&model(vec![call("F", &["x"], &["y"])], &["y"], vec![circle]), &["Neg(x) y/F/s", "F(y/F/s) y"]);
    assert_eq!(got.left, ["F"]);
    let nobody = function("F", &["a"], &["y"], vec![node("Neg", &["a"], &["s"])]);
    assert_eq!(check(&model(vec![call("F", &["x"], &["y"])], &["y"], vec![nobody]), &["F(x) y"]).left, ["F"]);
    // Of two of one name, the one that is meant.
    let named = |overload: &str, op: &str| FunctionProto {
        overload: Some(overload.to_string()),
        ..function("F", &["a"], &["y"], vec![node(op, &["a"], &["y"])])
    };
    let mine = NodeProto { overload: Some("b".to_string()), ..call("F", &["x"], &["y"]) };
    let got = check(&model(vec![mine], &["y"], vec![named("a", "Neg"), named("b", "Abs")]), &["Abs(x) y"]);
    assert!(got.left.is_empty());
    // A function may call another of its name.
    let inner = FunctionProto {
        domain: Some("e".into()),
        ..function("F", &["a"], &["y"], vec![node("Neg", &["a"], &["s"]), node("Abs", &["s"], &["y"])])
    };
    let other = NodeProto { domain: Some("e".into()), ..node("F", &["s"], &["y"]) };
    let outer = function("F", &["a"], &["y"], vec![node("Exp", &["a"], &["s"]), other]);
    let calling = model(vec![call("F", &["x"], &["y"])], &["y"], vec![outer, inner]);
    check(&calling, &["Exp(x) y/F/s", "Neg(y/F/s) y/F_/s", "Abs(y/F_/s) y"]);
    assert!(inline(&model(vec![node("Neg", &["x"], &["y"])], &["y"], vec![unused])).is_none(), "nobody calls it");
    // Operator sets that only the function imports.
    let more = FunctionProto {
        opset_import: vec![opset("ai.onnx", 17), opset("e", 2)],
        ..function("F", &["a"], &["y"], vec![NodeProto { domain: Some("e".into()), ..node("Op", &["a"], &["y"]) }])
    };
    let got = check(&model(vec![call("F", &["x"], &["y"])], &["y"], vec![more]), &["Op(x) y"]);
    assert_eq!(got.model.opset_import.last(), Some(&opset("e", 2)));
}
