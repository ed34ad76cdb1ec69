use proptest::prelude::*;

use super::*;
use crate::onnx::{FunctionProto, ValueInfoProto};

/// To 11 significant bits by arithmetic that is exact in f64.
fn oracle(x: f32) -> f32 {
    if x == 0.0 || !x.is_finite() {
        return x;
    }
    let exponent = (f64::from(x.abs()).log2().floor() as i32).clamp(-126, 127);
    let unit = 2f64.powi(exponent - 10);
    // round() takes the one away from zero of two that are as near.
    ((f64::from(x) / unit).round() * unit) as f32
}

#[track_caller]
fn check(x: f32) {
    let (got, want) = (nearest(x), oracle(x));
    assert!(got.to_bits() == want.to_bits(), "{x:e}: {got:e}, not {want:e}");
}

#[test]
fn every_boundary_is_rounded_as_arithmetic_has_it() {
    for sign_and_exponent in 0..512u32 {
        for mantissa in [0, 1, 2, 0x2aa, 0x3fe, 0x3ff] {
            for rest in [0, 1, 0xfff, 0x1000, 0x1001, 0x1fff] {
                check(f32::from_bits(sign_and_exponent << 23 | mantissa << 13 | rest));
            }
        }
    }
}

#[test]
fn ties_go_away_from_zero_and_what_is_no_number_stays() {
    let unit = 2f32.powi(-10);
    for (x, want) in [
        (1.0 + unit / 2.0, 1.0 + unit),
        (-1.0 - unit / 2.0, -1.0 - unit),
        (1.0 + unit * 1.5, 1.0 + unit * 2.0),
        (f32::MAX, f32::INFINITY),
        (f32::NEG_INFINITY, f32::NEG_INFINITY),
        // A subnormal keeps the bits that FP32's exponent has room for.
        (f32::from_bits(0x1fff), f32::from_bits(0x2000)),
        (f32::from_bits(0x0fff), 0.0),
        (-0.0, -0.0),
    ] {
        assert_eq!(nearest(x).to_bits(), want.to_bits(), "{x:e}");
    }
    let nan = f32::from_bits(0x7f80_0001);
    assert_eq!(nearest(nan).to_bits(), nan.to_bits());
}

proptest! {
    #[test]
    fn any_value_is_rounded_as_arithmetic_has_it(bits in any::<u32>()) {
        let x = f32::from_bits(bits);
        prop_assert_eq!(nearest(x).to_bits(), oracle(x).to_bits());
    }
}

fn text(graph: &GraphProto) -> Vec<String> {
    let node = |n: &NodeProto| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","));
    let mut lines = Vec::new();
    for n in &graph.node {
        lines.extend(n.subgraphs().flat_map(|(name, g)| text(g).into_iter().map(move |l| format!("  {name}: {l}"))));
        lines.push(node(n));
    }
    lines
}

fn emulated(nodes: Vec<NodeProto>, types: &[(&str, DType)], kept: &[&str]) -> Vec<String> {
    let input = vec![ValueInfoProto::tensor("x", DType::Float32, &[1])];
    let graph = GraphProto { node: nodes, input, output: vec![ValueInfoProto::bare("z")], ..Default::default() };
    let model = ModelProto { graph: Some(graph), ..Default::default() };
    let types = types.iter().map(|(name, dtype)| (name.to_string(), *dtype)).collect();
    let kept = kept.iter().map(|k| k.to_string()).collect();
    text(&emulate(&model, &types, &kept).graph.unwrap())
}

#[test]
fn operands_of_products_are_rounded_once_and_biases_never() {
    let nodes = vec![
        NodeProto::new("Gemm", "g", &["x", "w", "b"], &["y"]),
        NodeProto::new("Relu", "r", &["y"], &["a"]),
        NodeProto::new("MatMul", "m", &["a", "w"], &["p"]),
        NodeProto::new("MatMul", "i", &["n", "n"], &["q"]),
        NodeProto::new("Einsum", "e", &["p"], &["z"]),
    ];
    let f = DType::Float32;
    let types = [("y", f), ("a", f), ("p", f), ("q", DType::Float64), ("z", f)];
    assert_eq!(
        emulated(nodes, &types, &[]),
        [
            "Round(x) -> x/tf32",
            "Round(w) -> w/tf32",
            "Gemm(x/tf32,w/tf32,b) -> y",
            "Relu(y) -> a",
            "Round(a) -> a/tf32",
            "MatMul(a/tf32,w/tf32) -> p",
            "MatMul(n,n) -> q",
            "Einsum(p) -> z",
        ]
    );
}

/// What is convolved is read by the rounding of both operands: a picture of one pixel is left alone.
#[test]
fn a_convolution_shows_its_picture() {
    let nodes = vec![
        NodeProto::new("Conv", "c", &["x", "w", "b"], &["y"]),
        NodeProto::new("Conv", "d", &["y", "w"], &["a"]),
        NodeProto::new("MatMul", "m", &["y", "y"], &["z"]),
    ];
    let f = DType::Float32;
    assert_eq!(
        emulated(nodes, &[("y", f), ("a", f), ("z", f)], &[]),
        [
            "Round(x,x) -> x/tf32/x",
            "Round(w,x) -> w/tf32/x",
            "Conv(x/tf32/x,w/tf32/x,b) -> y",
            "Round(y,y) -> y/tf32/y",
            "Round(w,y) -> w/tf32/y",
            "Conv(y/tf32/y,w/tf32/y) -> a",
            "Round(y) -> y/tf32",
            "MatMul(y/tf32,y/tf32) -> z",
        ]
    );
}

fn choice() -> Vec<NodeProto> {
    let branch = |t: &str| GraphProto {
        node: vec![NodeProto::new("MatMul", t, &["x", "x"], &[t])],
        output: vec![ValueInfoProto::bare(t)],
        ..Default::default()
    };
    let attr = |name: &str, g| AttributeProto { name: Some(name.into()), g: Some(g), ..Default::default() };
    let choose = NodeProto::new("If", "if", &["c"], &["z"]);
    vec![choose.with(attr("then_branch", branch("t"))).with(attr("else_branch", branch("e")))]
}

#[test]
fn bodies_are_part_of_the_model() {
    let types = [("if/then_branch/t", DType::Float32), ("if/else_branch/e", DType::Float32)];
    let want = [
        "  then_branch: MatMul(x,x) -> t",
        "  else_branch: Round(x) -> if/else_branch/x/tf32",
        "  else_branch: MatMul(if/else_branch/x/tf32,if/else_branch/x/tf32) -> e",
        "If(c) -> z",
    ];
    assert_eq!(emulated(choice(), &types, &["if/then_branch/t"]), want);
    // With the whole node, all that is inside is kept.
    assert!(emulated(choice(), &types, &["z"]).iter().all(|line| !line.contains("Round")));
    let multiplies = |node: &NodeProto, model: &ModelProto| super::multiplies(node, model);
    let plain = ModelProto::default();
    assert!(multiplies(&choice()[0], &plain));
    assert!(!multiplies(&NodeProto::new("Relu", "r", &["x"], &["y"]), &plain));
    let named = |name: &str, node| FunctionProto { name: Some(name.to_string()), node, ..Default::default() };
    let call = |name: &str| NodeProto::new(name, "f", &["x"], &["y"]);
    let functions = vec![named("F", vec![call("G")]), named("G", choice()), named("H", vec![call("H")])];
    let calling = ModelProto { functions, ..Default::default() };
    assert!(multiplies(&call("F"), &calling) && !multiplies(&call("H"), &calling));
}

#[test]
fn tensor_cores_take_what_comes_in_fours() {
    let check = |node: NodeProto, second: Option<&[i64]>, want: bool| {
        assert_eq!(on_tensor_cores(&node, second), want, "{} {second:?}", node.op_type());
    };
    let conv = || NodeProto::new("Conv", "c", &["x", "w"], &["y"]);
    let product = || NodeProto::new("MatMul", "m", &["x", "w"], &["y"]);
    check(conv(), Some(&[64, 32, 3, 3]), true);
    check(conv(), Some(&[32, 32, 3, 3]), false);
    check(conv(), Some(&[16, 8, 1, 1]), true);
    check(conv(), Some(&[16, 3, 3, 3]), false);
    check(conv(), Some(&[22, 88, 1, 1]), false);
    check(conv().with(AttributeProto::int("group", 16)), Some(&[16, 4, 3, 3]), false);
    check(conv(), None, true);
    check(product(), Some(&[200, 2]), true);
}
