use super::*;
use crate::onnx::{GraphProto, ValueInfoProto};

fn split_of(nodes: Vec<NodeProto>, kept: &[&str]) -> Vec<NodeProto> {
    let input = ["x", "w", "b"].map(|n| ValueInfoProto::tensor(n, DType::Float32, &[1])).to_vec();
    let graph = GraphProto { node: nodes, input, output: vec![ValueInfoProto::bare("y")], ..Default::default() };
    let model = ModelProto { graph: Some(graph), ..Default::default() };
    let types = ["x", "w", "b", "y", "z"].map(|n| (n.to_string(), DType::Float32)).into();
    let kept = kept.iter().map(|k| k.to_string()).collect();
    split(&model, &types, &kept).graph.unwrap().node
}

fn text(nodes: &[NodeProto]) -> Vec<String> {
    nodes.iter().map(|n| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","))).collect()
}

#[test]
fn a_kept_product_becomes_three_and_the_others_stay() {
    let nodes = || {
        vec![
            NodeProto::new("Gemm", "g", &["x", "w", "b"], &["y"]).with(AttributeProto::int("transB", 1)),
            NodeProto::new("MatMul", "m", &["y", "w"], &["z"]),
        ]
    };
    let got = split_of(nodes(), &["y"]);
    assert_eq!(
        text(&got),
        [
            "Constant() -> tf32/8193",
            "Mul(x,tf32/8193) -> x/tf32/c",
            "Sub(x/tf32/c,x) -> x/tf32/d",
            "Sub(x/tf32/c,x/tf32/d) -> x/tf32/h",
            "Sub(x,x/tf32/h) -> x/tf32/l",
            "Mul(w,tf32/8193) -> w/tf32/c",
            "Sub(w/tf32/c,w) -> w/tf32/d",
            "Sub(w/tf32/c,w/tf32/d) -> w/tf32/h",
            "Sub(w,w/tf32/h) -> w/tf32/l",
            "Gemm(x/tf32/h,w/tf32/h,b) -> y/tf32/high",
            "Gemm(x/tf32/l,w/tf32/h,b) -> y/tf32/left",
            "Gemm(x/tf32/h,w/tf32/l,b) -> y/tf32/right",
            "Add(y/tf32/left,y/tf32/right) -> y/tf32/low",
            "Add(y/tf32/high,y/tf32/low) -> y",
            "MatMul(y,w) -> z",
        ]
    );
    let beta = |n: &NodeProto| n.attr("beta").and_then(|a| a.f);
    assert_eq!(got[9..12].iter().map(beta).collect::<Vec<_>>(), [None, Some(0.0), Some(0.0)], "one bias");
    assert!(got[9..12].iter().all(|n| n.attr("transB").is_some_and(|a| a.i() == 1)));
    assert_eq!(split_of(nodes(), &[]), nodes());
}

#[test]
fn operands_of_several_products_are_split_once() {
    let nodes =
        vec![NodeProto::new("MatMul", "a", &["x", "x"], &["y"]), NodeProto::new("Conv", "b", &["x", "w", "b"], &["z"])];
    let got = text(&split_of(nodes, &["y", "z"]));
    assert_eq!(got.iter().filter(|line| line.ends_with("-> x/tf32/h")).count(), 1);
    assert_eq!(got.iter().filter(|line| line.starts_with("Constant")).count(), 1);
    assert!(got.contains(&"Conv(x/tf32/l,w/tf32/h) -> z/tf32/left".to_string()), "{got:?}");
}

#[test]
fn the_upper_half_is_what_tf32_holds_and_the_two_are_all_there_is() {
    for i in 0..200_000u32 {
        let x = f32::from_bits(i.wrapping_mul(2_654_435_761));
        if !(1e-30..1e30).contains(&x.abs()) {
            continue;
        }
        let c = SPLITTER * x;
        let h = c - (c - x);
        let l = x - h;
        assert_eq!(h.to_bits() & 0x1fff, 0, "{x:e} is no value of TF32");
        assert_eq!(f64::from(h) + f64::from(l), f64::from(x));
        assert!(l.abs() <= x.abs() * 2f32.powi(-11), "{x:e}: {l:e}");
    }
}
