//! If and Loop: what is inside agrees with what is outside.

use super::*;
use crate::graph::graph_at;

fn attribute(name: &str, body: GraphProto) -> AttributeProto {
    AttributeProto { name: Some(name.into()), g: Some(body), ..Default::default() }
}

/// Both branches take `a` from outside; the else branch adds a weight of its own.
fn choice() -> Case {
    let then = GraphProto {
        node: vec![node("Neg", &["a"], &["t"])],
        output: vec![ValueInfoProto::bare("t")],
        ..Default::default()
    };
    let other = GraphProto {
        node: vec![node("Add", &["a", "v"], &["e"])],
        output: vec![ValueInfoProto::bare("e")],
        initializer: vec![floats("v", &[1.0, 2.0])],
        ..Default::default()
    };
    let choose = node("If", &["c"], &["y"]).with(attribute("then_branch", then)).with(attribute("else_branch", other));
    let mut case = case(vec![node("Relu", &["x"], &["a"]), choose], &[]);
    case.graph.input.push(ValueInfoProto::tensor("c", DType::Bool, &[]));
    for key in ["y/then_branch/t", "y/else_branch/e"] {
        case.types.insert(key.to_string(), DType::Float32);
    }
    case
}

#[test]
fn branches_agree_on_the_type_of_their_output() {
    let got = Case { keep: &["e"], ..choice() }.check(&["Relu(x) a", "Cast:fp32(a) a/fp32", "If(c) y"]);
    let branch = |attribute: &str| {
        let step = crate::graph::Step { node: 2, name: "y".to_string(), attribute: attribute.to_string() };
        graph_at(main(&got), &[step]).unwrap().clone()
    };
    assert_eq!(text(&branch("then_branch")), ["Neg(a) t"]);
    assert_eq!(text(&branch("else_branch")), ["Add(a/fp32,v) e", "Cast:fp16(e) e/fp16"]);
    assert_eq!(branch("else_branch").output[0].name(), "e/fp16");
    assert_eq!((got.casts, got.kept), (2, vec!["e".to_string()]));
}

#[test]
fn a_node_that_is_kept_is_kept_with_its_bodies() {
    let got = Case { keep: &["y"], ..choice() }.convert();
    assert_eq!(got.kept, ["y", "t", "e"]);
    let mut untyped = choice();
    untyped.types.remove("y/else_branch/e");
    assert!(untyped.convert().notes[0].contains("unknown type"));
}

#[test]
fn a_loop_carries_one_type() {
    let body = GraphProto {
        node: vec![node("Add", &["h", "x"], &["h2"]), NodeProto::new("Identity", "k", &["go"], &["go2"])],
        input: ["i", "go", "h"].map(ValueInfoProto::bare).to_vec(),
        output: ["go2", "h2"].map(ValueInfoProto::bare).to_vec(),
        ..Default::default()
    };
    let mut case = case(vec![node("Loop", &["n", "", "x"], &["y"]).with(attribute("body", body))], &[]);
    case.graph.input.push(ValueInfoProto::tensor("n", DType::Int64, &[]));
    case.types.insert("y/body/h2".to_string(), DType::Float32);
    case.types.insert("y/body/go2".to_string(), DType::Bool);
    let inside = |converted: &Converted| {
        let graph = main(converted);
        text(graph.node.iter().find(|n| n.is("Loop")).unwrap().attribute[0].g.as_ref().unwrap())
    };
    let got = case.check(&["Loop(n,,x) y"]);
    assert_eq!(inside(&got), ["Add(h,x) h2", "Identity(go) go2"]);
    case.keep = &["h2"];
    let got = case.check(&["Cast:fp32(x) x/fp32", "Loop(n,,x) y"]);
    let want = ["Cast:fp32(h) h/fp32", "Add(h/fp32,x/fp32) h2", "Cast:fp16(h2) h2/fp16", "Identity(go) go2"];
    assert_eq!(inside(&got), want);
}
