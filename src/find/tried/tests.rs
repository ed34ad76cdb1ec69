//! Who is named, and who is near.

use super::*;
use crate::graph::lines::{self, Lines};
use crate::onnx::{GraphProto, ModelProto, ValueInfoProto};

#[test]
fn makers_around_a_tensor() {
    let Lines { nodes, .. } = lines::read("a = Neg(x); b = Neg(a); c = Neg(b); d = Add(c, b); e = Neg(d)");
    let (input, output) = (vec![ValueInfoProto::bare("x")], vec![ValueInfoProto::bare("e")]);
    let graph = GraphProto { node: nodes, input, output, ..Default::default() };
    let graph = Graph::new(&ModelProto { graph: Some(graph), ..Default::default() }).unwrap();
    let of = |key: &str| graph.tensor(key).unwrap();
    let keys = |tensors: Vec<usize>| graph.keys(&tensors).concat();
    assert_eq!(keys(around(&graph, &[of("d")], 1, Graph::parents)), "bc");
    assert_eq!(keys(around(&graph, &[of("d")], 3, Graph::parents)), "bca");
    assert_eq!(keys(around(&graph, &[of("e")], 3, Graph::children)), "");
    let all: Vec<usize> = (0..5).collect();
    assert!(named(&graph, &all).ends_with(" and 1 more"), "{}", named(&graph, &all));
}

#[test]
fn runs_come_to_an_end() {
    let mut budget = Budget { left: 2, begun: Instant::now(), outputs: "" };
    assert_eq!([budget.take(), budget.take(), budget.take()], [true, true, false]);
    let late = Instant::now().checked_sub(TIME);
    assert!(late.is_none_or(|begun| !Budget { left: 2, begun, outputs: "" }.take()));
}
