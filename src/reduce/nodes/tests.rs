//! Reductions driven by closures: the acceptance table of graph R, culprits outwards, values that are fed.

use super::*;
use crate::onnx::{GraphProto, NodeProto, TensorProto};
use crate::tensor::Tensor;

/// Graph R: x -> n1; y -> n3; n5 = Add(n1, n3); n7 and n9 read n5.
fn graph_r() -> ModelProto {
    let node = vec![
        NodeProto::new("Identity", "n1", &["x"], &["a"]),
        NodeProto::new("Identity", "n3", &["y"], &["b"]),
        NodeProto::new("Add", "n5", &["a", "b"], &["c"]),
        NodeProto::new("Identity", "n7", &["c"], &["d"]),
        NodeProto::new("Identity", "n9", &["c"], &["e"]),
    ];
    model(node, &["x", "y"], &["d", "e"])
}

fn model(node: Vec<NodeProto>, inputs: &[&str], outputs: &[&str]) -> ModelProto {
    let input = inputs.iter().map(|n| ValueInfoProto::tensor(n, DType::Float32, &[1])).collect();
    let output = outputs.iter().map(|n| ValueInfoProto::bare(n)).collect();
    let graph = GraphProto { node, input, output, ..Default::default() };
    ModelProto { graph: Some(graph), ..Default::default() }
}

fn names(case: &Case) -> Vec<&str> {
    case.model.graph.as_ref().unwrap().node.iter().map(|n| n.name()).collect()
}

/// Every tensor has the value [7].
fn sevens(keys: &[String]) -> Tensors {
    keys.iter().map(|k| (k.clone(), Tensor::f32(&[1], &[7.0]))).collect()
}

fn whole<'a>(model: &'a ModelProto, graph: &'a Graph, target: Option<&str>) -> Whole<'a> {
    let target = target.map(|key| (graph.tensor(key).unwrap(), None));
    Whole { model, graph, values: &sevens, told: &|_| None, target, label: String::new() }
}

/// Fails iff all of `faulty` are there; asserts on every case that it is a sound model with all its inputs fed.
fn fails_with<'a>(faulty: &'a [&str]) -> impl FnMut(&[Attempt]) -> Result<Vec<Answer>, ()> + 'a {
    move |attempts| {
        let one = |attempt: &Attempt| {
            let graph = Graph::new(&attempt.case.model).unwrap();
            assert!(graph.inputs.iter().all(|i| attempt.case.feeds.contains_key(i)));
            assert!(!graph.outputs.is_empty());
            let names = names(&attempt.case);
            if faulty.iter().all(|f| names.contains(f)) { Answer::Bad } else { Answer::Good }
        };
        Ok(attempts.iter().map(one).collect())
    }
}

#[test]
fn the_table_of_graph_r() {
    let model = graph_r();
    let graph = Graph::new(&model).unwrap();
    let whole = whole(&model, &graph, None);
    for faulty in [&["n1"][..], &["n3"], &["n5"], &["n9"], &["n7"], &["n1", "n3"], &["n7", "n9"], &["n1", "n9"]] {
        for jobs in [1, 4] {
            let found = among(&whole, &main_nodes(&graph), jobs, fails_with(faulty)).unwrap().unwrap();
            assert_eq!(names(&found.case), faulty);
            assert!(found.minimal);
        }
    }
}

#[test]
fn a_fault_fed_by_a_constant_is_one_node_without_inputs() {
    let value = TensorProto { dims: vec![1], data_type: Some(1), float_data: vec![3.0], ..Default::default() };
    let mut node = vec![
        NodeProto::new("Constant", "k", &[], &["k"]).with(crate::onnx::AttributeProto::tensor("value", value)),
        NodeProto::new("Neg", "n", &["k"], &["y"]),
    ];
    node.push(NodeProto::new("Add", "after", &["y", "x"], &["z"]));
    let model = model(node, &["x"], &["z"]);
    let graph = Graph::new(&model).unwrap();
    let found = among(&whole(&model, &graph, None), &main_nodes(&graph), 1, fails_with(&["n"])).unwrap().unwrap();
    assert_eq!(names(&found.case), ["n"]);
    assert!(found.case.feeds.is_empty());
    let outwards = around(&whole(&model, &graph, Some("y")), &[1], false, 1, fails_with(&["n"])).unwrap().unwrap();
    assert_eq!((names(&outwards.case), outwards.case.feeds.len()), (vec!["n"], 0));
}

/// x -> n0 -> n1 -> ... ; tensor `t<i>` is made by n<i>.
fn chain(length: usize) -> ModelProto {
    let name = |i: usize| format!("t{i}");
    let from = |i: usize| if i == 0 { "x".to_string() } else { name(i - 1) };
    let node = |i: usize| NodeProto::new("Identity", &format!("n{i}"), &[&from(i)], &[&name(i)]);
    model((0..length).map(node).collect(), &["x"], &[&name(length - 1)])
}

#[test]
fn a_long_chain_with_the_fault_in_its_first_node() {
    let model = chain(300);
    let graph = Graph::new(&model).unwrap();
    let found = among(&whole(&model, &graph, None), &main_nodes(&graph), 1, fails_with(&["n0"])).unwrap().unwrap();
    assert_eq!(names(&found.case), ["n0"]);
}

#[test]
fn from_the_culprit_outwards() {
    let model = chain(100);
    let graph = Graph::new(&model).unwrap();
    let whole = whole(&model, &graph, Some("t60"));
    let check = |faulty: &[&str], known: bool, most: usize| {
        let mut probes = 0;
        let mut test = fails_with(faulty);
        let found = around(&whole, &[60], known, 1, |attempts: &[Attempt]| {
            probes += attempts.len();
            test(attempts)
        });
        let found = found.unwrap().unwrap();
        assert_eq!(names(&found.case), faulty);
        let outputs = &found.case.model.graph.as_ref().unwrap().output;
        assert_eq!(outputs.iter().map(|o| o.name()).collect::<Vec<_>>(), ["t60"]);
        assert!(probes <= most, "{faulty:?} took {probes} probes");
    };
    check(&["n60"], true, 0);
    check(&["n60"], false, 1);
    check(&["n59", "n60"], false, 4);
    // What lies between is alive only with the rest of the way: this much cannot be seen without it.
    check(&["n57", "n58", "n59", "n60"], false, 12);
}

#[test]
fn what_never_fails_is_not_found() {
    let model = chain(10);
    let graph = Graph::new(&model).unwrap();
    let found = around(&whole(&model, &graph, Some("t9")), &[9], false, 1, fails_with(&["absent"])).unwrap();
    assert!(found.is_none());
}

#[test]
fn sets_have_short_names() {
    assert_eq!(ranges(&[3, 7, 8, 9, 11]), "3,7-9,11");
    assert_eq!(ranges(&[]), "");
}
