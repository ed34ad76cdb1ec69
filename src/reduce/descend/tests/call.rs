//! Function calls: arguments, attributes, operator sets.

use super::*;

fn reference(name: &str, of: &str) -> AttributeProto {
    let r#type = Some(attribute_type::INT);
    let ref_attr_name = Some(of.to_string());
    AttributeProto { name: Some(name.to_string()), ref_attr_name, r#type, ..Default::default() }
}

/// f(a, b, o) with attributes `axis` (no default) and `keep` (default 0).
fn function() -> FunctionProto {
    let inner = body(&[], vec![node("Softmax", &["a"], &["s"]).with(reference("axis", "axis"))], &["s"]);
    let mut nested = branches(inner.clone(), inner);
    (nested.input, nested.output) = (vec!["b".to_string()], vec!["r".to_string()]);
    let nodes = vec![
        node("ReduceMax", &["r", "o"], &["q"]).with(reference("keepdims", "keep")),
        node("Concat", &["q", "a"], &["z"]).with(reference("axis", "axis")).with(AttributeProto::int("fixed", 5)),
    ];
    let owned = |names: &[&str]| names.iter().map(|s| s.to_string()).collect();
    FunctionProto {
        name: Some("F".to_string()),
        domain: Some("d".to_string()),
        input: owned(&["a", "b", "o"]),
        output: owned(&["q", "z"]),
        attribute: owned(&["axis"]),
        attribute_proto: vec![AttributeProto::int("keep", 0)],
        node: [vec![nested], nodes].concat(),
        opset_import: vec![opset("ai.onnx", 17), opset("e", 2)],
        ..Default::default()
    }
}

fn calling(call: NodeProto, function: FunctionProto) -> ModelProto {
    let mut model = model(NodeProto { domain: Some("d".to_string()), ..call });
    model.opset_import.push(opset("d", 1));
    model.functions = vec![function];
    model
}

/// Every attribute of the body that is no graph, nested ones first.
fn settings(graph: &GraphProto) -> Vec<String> {
    let own = |n: &NodeProto| -> Vec<String> {
        let plain = n.attribute.iter().filter(|a| a.g.is_none());
        plain.map(|a| format!("{}.{}={}{}", n.op_type(), a.name(), a.i(), a.ref_attr_name())).collect()
    };
    let inside = |n: &NodeProto| n.subgraphs().flat_map(|(_, g)| settings(g)).collect::<Vec<_>>();
    graph.node.iter().flat_map(|n| [inside(n), own(n)].concat()).collect()
}

#[test]
fn a_call_is_entered_with_its_arguments_and_attributes() {
    let call = node("F", &["x", "c", "w"], &["y", "z"]).with(AttributeProto::int("axis", 1));
    let case = entered(&calling(call.clone(), function())).unwrap();
    assert_eq!(text(&case), ["If(b) -> r", "ReduceMax(r,o) -> q", "Concat(q,a) -> z"]);
    assert_eq!((fed(&case), outputs(&case)), (vec![("a", vec![2, 3]), ("b", vec![])], vec!["q", "z"]));
    let renamed = TensorProto { name: Some("o".to_string()), ..weight("w") };
    assert_eq!(case.model.graph.as_ref().unwrap().initializer, [renamed], "a weight stays a weight");
    let want = ["Softmax.axis=1", "Softmax.axis=1", "ReduceMax.keepdims=0", "Concat.axis=1", "Concat.fixed=5"];
    assert_eq!(settings(case.model.graph.as_ref().unwrap()), want);
    let imported: Vec<(&str, i64)> = case.model.opset_import.iter().map(|o| (o.domain(), o.version())).collect();
    assert_eq!(imported, [("", 17), ("d", 1), ("e", 2)]);
    assert_eq!(case.model.functions.len(), 1, "functions may be called inside");

    let keeping = call.with(AttributeProto::int("keep", 1));
    let case = entered(&calling(keeping, function())).unwrap();
    assert!(settings(case.model.graph.as_ref().unwrap()).contains(&"ReduceMax.keepdims=1".to_string()));
}

#[test]
fn what_a_call_omits_is_omitted_inside() {
    for inputs in [&["x", "c"][..], &["x", "c", ""]] {
        let case = entered(&calling(node("F", inputs, &["y"]), function())).unwrap();
        assert_eq!(text(&case)[1], "ReduceMax(r,) -> q");
        assert_eq!(outputs(&case), ["q"], "the caller does not ask for z");
        let want = ["ReduceMax.keepdims=0", "Concat.fixed=5"];
        assert_eq!(settings(case.model.graph.as_ref().unwrap()), want, "no value and no default");
    }
    let case = entered(&calling(node("F", &["", "c", "x"], &["y"]), function())).unwrap();
    let nested = case.model.graph.as_ref().unwrap().node[0].subgraphs().next().unwrap().1;
    assert_eq!(nested.node[0].input, [""], "inside subgraphs too");
}

#[test]
fn a_call_that_cannot_be_told_is_not_entered() {
    let call = || node("F", &["x", "c"], &["y"]);
    let other = FunctionProto { opset_import: vec![opset("", 18)], ..function() };
    assert!(entered(&calling(call(), other)).is_none(), "two versions of one domain");
    let graph = call().with(attribute("axis", body(&[], vec![], &["x"])));
    assert!(entered(&calling(graph, function())).is_none(), "a graph of the caller's scope");
    assert!(entered(&calling(node("F", &["p", "c"], &["y"]), function())).is_none(), "p is no tensor");
    let overloaded = FunctionProto { overload: Some("float".to_string()), ..function() };
    let wanting = |overload: &str| NodeProto { overload: Some(overload.to_string()), ..call() };
    assert!(descend(&calling(wanting("int"), overloaded.clone()), 2, &values).is_none(), "another overload");
    assert!(entered(&calling(wanting("float"), overloaded)).is_some());
}
