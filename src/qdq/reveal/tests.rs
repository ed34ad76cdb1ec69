//! Small quantised graphs against the float graphs that they were.

use super::*;
use crate::graph::Graph;
use crate::onnx::{AttributeProto, OperatorSetIdProto, ValueInfoProto};

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto::new(op, "", inputs, outputs)
}

fn weight(name: &str, dtype: DType, dims: &[i64]) -> TensorProto {
    let one = TensorProto {
        name: Some(name.into()),
        dims: dims.to_vec(),
        data_type: Some(dtype.onnx()),
        ..Default::default()
    };
    match dtype {
        DType::Float32 => TensorProto { float_data: vec![0.5; dims.iter().product::<i64>() as usize], ..one },
        _ => TensorProto { int32_data: vec![3; dims.iter().product::<i64>() as usize], ..one },
    }
}

/// Scales `s`, `t` and zero points `z`, `n`; `many` are scales by channel, and `wide` is of 16 bits.
fn model(node: Vec<NodeProto>, output: &[&str]) -> ModelProto {
    let initializer = vec![
        weight("s", DType::Float32, &[]),
        weight("t", DType::Float32, &[1]),
        weight("z", DType::Uint8, &[]),
        weight("n", DType::Int8, &[]),
        weight("many", DType::Float32, &[2]),
        weight("wide", DType::Uint16, &[]),
        weight("w", DType::Int8, &[2, 2]),
    ];
    let output = output.iter().map(|name| ValueInfoProto::bare(name)).collect();
    let graph = GraphProto { node, initializer, input: vec![ValueInfoProto::bare("x")], output, ..Default::default() };
    let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(17) }];
    ModelProto { graph: Some(graph), opset_import, ..Default::default() }
}

fn text(graph: &GraphProto) -> Vec<String> {
    let node = |n: &NodeProto| {
        let inside: Vec<String> = n.subgraphs().map(|(_, g)| format!(" {{{}}}", text(g).join("; "))).collect();
        format!("{}({}) {}{}", n.op_type(), n.input.join(","), n.output.join(","), inside.concat())
    };
    graph.node.iter().map(node).collect()
}

/// `None`: nothing is to be seen.
fn check(quantised: Vec<NodeProto>, output: &str, float: Vec<NodeProto>, want: Option<&[&str]>) {
    let output = [output];
    let got = reveal(&model(quantised, &output), &model(float, &["y"]));
    got.iter().for_each(|model| drop(Graph::new(model).unwrap()));
    let lines = got.map(|m| text(m.graph.as_ref().unwrap()));
    assert_eq!(lines, want.map(|lines| lines.iter().map(|l| l.to_string()).collect()));
}

fn conv(from: &str, to: &str) -> NodeProto {
    node("QLinearConv", &[from, "s", "z", "w", "s", "n", "t", "z"], &[to])
}

fn float_chain() -> Vec<NodeProto> {
    vec![node("Conv", &["x", "w"], &["a"]), node("MaxPool", &["a"], &["b"]), node("Conv", &["b", "w"], &["y"])]
}

#[test]
fn integers_are_seen_as_the_floats_of_the_other_model() {
    let chain = |suffix: &str| {
        let name = |name: &str| format!("{name}{suffix}");
        vec![
            node("QuantizeLinear", &["x", "s", "z"], &["x_quantized"]),
            conv("x_quantized", &name("a")),
            node("MaxPool", &[&name("a")], &[&name("b")]),
            conv(&name("b"), "y_quantized"),
            node("DequantizeLinear", &["y_quantized", "t", "z"], &["y"]),
        ]
    };
    check(
        chain("_quantized"),
        "y",
        float_chain(),
        Some(&[
            "QuantizeLinear(x,s,z) x_quantized",
            "QLinearConv(x_quantized,s,z,w,s,n,t,z) a_quantized",
            "DequantizeLinear(a_quantized,t,z) a",
            "QuantizeLinear(a,t,z) a/codes/again",
            "MaxPool(a/codes/again) b_quantized",
            "DequantizeLinear(b_quantized,t,z) b",
            "QuantizeLinear(b,t,z) b/codes/again",
            "QLinearConv(b/codes/again,s,z,w,s,n,t,z) y_quantized",
            "DequantizeLinear(y_quantized,t,z) y",
        ]),
    );
    check(
        chain(""),
        "y",
        float_chain(),
        Some(&[
            "QuantizeLinear(x,s,z) x_quantized",
            "QLinearConv(x_quantized,s,z,w,s,n,t,z) a/codes",
            "DequantizeLinear(a/codes,t,z) a",
            "QuantizeLinear(a,t,z) a/codes/again",
            "MaxPool(a/codes/again) b/codes",
            "DequantizeLinear(b/codes,t,z) b",
            "QuantizeLinear(b,t,z) b/codes/again",
            "QLinearConv(b/codes/again,s,z,w,s,n,t,z) y_quantized",
            "DequantizeLinear(y_quantized,t,z) y",
        ]),
    );
    check(float_chain(), "y", chain(""), None);
    check(chain(""), "y", chain(""), None);
    check(chain("_of_another_name"), "y", float_chain(), None);
    // What the model hands out as integers stays that, and is seen under the other name all the same.
    check(
        vec![conv("x", "y_quantized")],
        "y_quantized",
        float_chain(),
        Some(&[
            "QLinearConv(x,s,z,w,s,n,t,z) y_quantized",
            "DequantizeLinear(y_quantized,t,z) y",
            "QuantizeLinear(y,t,z) y/codes/again",
        ]),
    );
    check(vec![conv("x", "y")], "y", float_chain(), None);
}

#[test]
fn what_is_clamped_by_its_codes_is_what_stands_behind_the_clamp() {
    let float = |more: Vec<NodeProto>| {
        let chain =
            vec![node("Conv", &["x", "w"], &["a"]), node("Relu", &["a"], &["r"]), node("Conv", &["r", "w"], &["y"])];
        [chain, more].concat()
    };
    let back = node("DequantizeLinear", &["y_quantized", "t", "z"], &["y"]);
    let lines = |a: &str, name: &str| {
        vec![
            format!("QLinearConv(x,s,z,w,s,n,t,z) {a}"),
            format!("DequantizeLinear({a},t,z) {name}"),
            format!("QuantizeLinear({name},t,z) {name}/codes/again"),
            format!("QLinearConv({name}/codes/again,s,z,w,s,n,t,z) y_quantized"),
            "DequantizeLinear(y_quantized,t,z) y".to_string(),
        ]
    };
    let of = |a: &str, float: Vec<NodeProto>, want: Vec<String>| {
        let chain = vec![conv("x", a), conv(a, "y_quantized"), back.clone()];
        check(chain, "y", float, Some(&want.iter().map(String::as_str).collect::<Vec<_>>()));
    };
    of("a_quantized", float(vec![]), lines("a_quantized", "r"));
    of("a", float(vec![]), lines("a/codes", "r"));
    of("a_quantized", float(vec![node("Neg", &["a"], &["m"])]), lines("a_quantized", "a"));
}

#[test]
fn only_one_scale_of_eight_bits_is_read() {
    let with = |scale: &str, zero_point: &str| {
        let conv = node("QLinearConv", &["x", "s", "z", "w", "s", "n", scale, zero_point], &["a_quantized"]);
        vec![conv, node("DequantizeLinear", &["a_quantized", "s", "z"], &["y"])]
    };
    check(with("many", "z"), "y", float_chain(), None);
    check(with("s", "wide"), "y", float_chain(), None);
    check(with("x", "z"), "y", float_chain(), None);
    // Integers that nobody can read are no floats all the same.
    let same = vec![
        node("QLinearConv", &["x", "s", "z", "w", "s", "n", "s", "wide"], &["a"]),
        node("DequantizeLinear", &["a", "s", "wide"], &["y"]),
    ];
    let want = ["QLinearConv(x,s,z,w,s,n,s,wide) a/codes", "DequantizeLinear(a/codes,s,wide) y"];
    check(same, "y", float_chain(), Some(&want));
    assert!(reveal(&model(with("s", "n"), &["y"]), &model(float_chain(), &["y"])).is_some());
}

#[test]
fn every_operator_has_its_scale_at_a_place_of_its_own() {
    let of = |op: &str, inputs: &[&str]| {
        let code = code(&node(op, inputs, &["y"]), &Codes::new())?;
        Some(format!("{} {}", code.scale, code.zero_point.unwrap_or_default()))
    };
    let slots = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];
    let check = |op: &str, want: Option<&str>| assert_eq!(of(op, &slots).as_deref(), want, "{op}");
    check("QuantizeLinear", Some("1 2"));
    check("QLinearMatMul", Some("6 7"));
    check("QLinearAdd", Some("6 7"));
    check("QLinearSigmoid", Some("3 4"));
    check("QLinearGlobalAveragePool", Some("3 4"));
    check("QLinearConcat", Some("0 1"));
    check("QGemm", Some("7 8"));
    check("DequantizeLinear", None);
    check("MatMulInteger", None);
    assert_eq!(of("QGemm", &slots[..7]), None, "its output is a float");
    assert_eq!(of("QuantizeLinear", &slots[..2]).as_deref(), Some("1 "));
}

#[test]
fn bodies_read_what_is_around_them() {
    let body = |name: &str, node: Vec<NodeProto>, output: &str| AttributeProto {
        name: Some(name.to_string()),
        g: Some(GraphProto { node, output: vec![ValueInfoProto::bare(output)], ..Default::default() }),
        ..Default::default()
    };
    let choose = |then: Vec<NodeProto>, other: Vec<NodeProto>| {
        node("If", &["x"], &["y"]).with(body("then_branch", then, "r")).with(body("else_branch", other, "e"))
    };
    let float = vec![
        node("Conv", &["x", "w"], &["a"]),
        choose(vec![node("Conv", &["a", "w"], &["c"]), node("Neg", &["c"], &["r"])], vec![node("Neg", &["a"], &["e"])]),
    ];
    let back = |from: &str, to: &str| node("DequantizeLinear", &[from, "t", "z"], &[to]);
    let quantised =
        vec![conv("x", "a"), choose(vec![conv("a", "c_quantized"), back("c_quantized", "r")], vec![back("a", "e")])];
    check(
        quantised,
        "y",
        float,
        Some(&[
            "QLinearConv(x,s,z,w,s,n,t,z) a/codes",
            "DequantizeLinear(a/codes,t,z) a",
            "QuantizeLinear(a,t,z) a/codes/again",
            "If(x) y {QLinearConv(a/codes/again,s,z,w,s,n,t,z) c_quantized; DequantizeLinear(c_quantized,t,z) c; \
         QuantizeLinear(c,t,z) c/codes/again; DequantizeLinear(c/codes/again,t,z) r} {DequantizeLinear(a/codes/again,t,z) e}",
        ]),
    );
}
