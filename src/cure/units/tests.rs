//! How units are ranked, who is next to whom, how sets read, and the way from a graph to units.

use super::*;
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};

fn group(name: &str, kind: Kind, nodes: &[usize]) -> Group {
    Group { name: name.to_string(), kind, nodes: nodes.to_vec() }
}

/// A chain of these operators; groups and ranks by node.
fn chain(ops: &[&str], groups: Vec<Group>, rank: &[f64]) -> Units {
    let count = ops.len();
    let names = ops.iter().enumerate().map(|(i, op)| (format!("n{i}"), op.to_string())).collect();
    let readers = (0..count).map(|i| if i + 1 < count { vec![i + 1] } else { vec![] }).collect();
    Units { nodes: (0..count).collect(), groups, rank: rank.to_vec(), readers, names }
}

const NORM: [&str; 7] = ["MatMul", "ReduceMean", "Sub", "Pow", "ReduceMean", "Sqrt", "Div"];

fn norm() -> Units {
    chain(&NORM, vec![group("LayerNorm 'x'", Kind::LayerNorm, &[1, 2, 3, 4, 5, 6])], &[])
}

#[test]
fn sets_read_as_an_engineer_says_them() {
    assert_eq!(norm().describe(&[1, 2, 3, 4, 5, 6]), ["LayerNorm 'x'"]);
    assert_eq!(norm().describe(&[3, 4]), ["LayerNorm 'x': Pow, ReduceMean"]);
    assert_eq!(norm().describe(&[0, 1, 4]), ["MatMul 'n0'", "LayerNorm 'x': 2 ReduceMean"]);
    assert_eq!(norm().describe(&[]), [""; 0]);
    let ops = ["Mul", "Add", "Softmax"];
    let masked = |nodes: &[usize]| {
        let units = chain(&ops, vec![group("layer 3 attention mask", Kind::AttentionMask, &[1, 2])], &[]);
        units.describe(nodes)
    };
    assert_eq!(masked(&[1, 2]), ["layer 3 attention mask: Add, Softmax"]);
    assert_eq!(masked(&[0, 1]), ["Mul 'n0'", "layer 3 attention mask: Add"]);
}

#[test]
fn a_group_is_whole_when_all_that_may_be_kept_is() {
    let units = Units { nodes: vec![0, 1, 2, 3], ..norm() };
    assert_eq!(units.describe(&[1, 2, 3]), ["LayerNorm 'x'"]);
}

#[test]
fn steps_go_by_rank_and_keep_groups_whole() {
    let ranked = |rank: &[f64]| Units { rank: rank.to_vec(), ..norm() }.steps();
    let (lone, whole) = (vec![0], vec![1, 2, 3, 4, 5, 6]);
    assert_eq!(ranked(&[3.0, 0.0, 1.0]), [lone.clone(), whole.clone()]);
    assert_eq!(ranked(&[3.0, 0.0, 4.0]), [whole.clone(), lone.clone()]);
    // Equal: by the sum, then groups first.
    assert_eq!(ranked(&[3.0, 3.0, 1.0]), [whole.clone(), lone.clone()]);
    assert_eq!(ranked(&[]), [whole.clone(), lone.clone()]);
}

#[test]
fn what_leaves_the_range_takes_its_readers_with_it() {
    let steps = |rank: &[f64]| chain(&["MatMul", "Add", "Sub", "MatMul"], vec![], rank).steps();
    let inf = f64::INFINITY;
    assert_eq!(steps(&[9.0, inf, 0.0, 1.0]), [vec![1, 2], vec![0], vec![3]]);
    assert_eq!(steps(&[9.0, f64::NAN, inf, 1.0]), [vec![1, 2, 3], vec![0]]);
    assert_eq!(steps(&[9.0, 8.0, 0.0, inf]), [vec![3], vec![0], vec![1], vec![2]]);
}

#[test]
fn neighbours_and_ways_between() {
    let units = chain(&["A"; 8], vec![group("g", Kind::Gelu, &[4, 5])], &[]);
    assert_eq!(units.with_neighbours(&[3]), [2, 3, 4, 5]);
    assert_eq!(units.with_neighbours(&[0, 7]), [0, 1, 6, 7]);
    assert_eq!(units.with_between(&[2, 5]), [2, 3, 4, 5]);
    assert_eq!(units.with_between(&[6]), [6]);
}

#[test]
fn roles_are_the_same_part_of_all_groups() {
    let ops = ["ReduceMean", "Sub", "ReduceMean", "Add", "ReduceMean", "Sub", "ReduceMean", "Add"];
    let groups = vec![group("a", Kind::LayerNorm, &[0, 1, 2]), group("b", Kind::LayerNorm, &[4, 5, 6])];
    let units = chain(&ops, groups, &[]);
    assert_eq!(units.roles(&units.nodes), [vec![0, 4], vec![1, 5], vec![2, 6], vec![3, 7]]);
    // The second ReduceMean stays the second one when the first is not there.
    assert_eq!(units.roles(&[0, 2, 6]), [vec![0], vec![2, 6]]);
}

#[test]
fn from_a_graph() {
    let nodes = [("a", "x", "y"), ("b", "y", "z"), ("c", "y", "w")];
    let node = nodes.iter().map(|(name, from, to)| NodeProto::new("Relu", name, &[from], &[to])).collect();
    let output = vec![ValueInfoProto::bare("w")];
    let graph = GraphProto { node, input: vec![ValueInfoProto::bare("x")], output, ..Default::default() };
    let graph = Graph::new(&ModelProto { graph: Some(graph), ..Default::default() }).unwrap();
    let units = Units::new(&graph, vec![], vec![2, 0, 2], vec![]);
    assert_eq!((units.nodes.as_slice(), units.readers[0].as_slice()), ([0, 2].as_slice(), [1, 2].as_slice()));
    assert_eq!(units.describe(&[2]), ["Relu 'c'"]);
}
