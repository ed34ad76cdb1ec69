//! What stands around a culprit in the graph, for its diagnosis: constants that keep its arguments away from zero, and the
//! axes of the nearest reduction. Runs nothing and judges nothing.

use super::written;
use crate::compare;
use crate::diagnose::{Guard, Reduced};
use crate::graph::{Graph, Node, Source};
use crate::lab::{Probe, Side};
use crate::onnx::NodeProto;

/// Steps up within which an epsilon belongs to the culprit.
const STEPS: usize = 4;

/// Operators that add a constant, or bound a value by one.
const GUARDING: [&str; 5] = ["Add", "Sub", "Sum", "Max", "Clip"];

/// A guard, and where it stands.
pub struct Found {
    /// For the diagnosis.
    pub guard: Guard,
    /// Tensors on the way from the culprit's input up to what the guarding node makes, that one last.
    pub way: Vec<usize>,
}

/// The constants above the maker of `tensor`, the nearest first. `beside` of those whose values are not at hand is none.
pub fn guards(probe: &Probe, tensor: usize, sample: usize) -> Vec<Found> {
    let side = &probe.lab.reference;
    let node = side.graph.producer(tensor);
    let Some(proto) = node.proto(&side.model.proto) else { return Vec::new() };
    let mut found: Vec<Found> = Vec::new();
    let mut ways: Vec<(usize, Vec<usize>)> = Vec::new();
    for read in &node.reads {
        let slots = (0..proto.input.len()).filter(|i| proto.input[*i] == read.name);
        if let Source::Tensor(t) = read.source {
            ways.extend(slots.map(|slot| (slot, vec![t])));
        }
    }
    for _ in 0..STEPS {
        let mut further = Vec::new();
        for (slot, way) in ways {
            let last = way[way.len() - 1];
            let maker = side.graph.producer(last);
            if let Some((constant, value)) = guarding(side, maker) {
                let largest = |t| {
                    crate::compare::to_f64(t)
                        .into_iter()
                        .filter(|x| x.is_finite())
                        .fold(0.0, |a: f64, x| a.max(x.abs()))
                };
                let beside = probe.reference_value(last, sample).map(largest);
                let guard = Guard { slot, node: maker.name.clone(), constant, value, beside };
                found.push(Found { guard, way: way.clone() });
            }
            further.extend(made(maker).map(|t| (slot, [way.as_slice(), &[t]].concat())));
        }
        ways = further;
    }
    found
}

/// The tensors that a node reads.
fn made(node: &Node) -> impl Iterator<Item = usize> {
    node.reads.iter().filter_map(|r| if let Source::Tensor(t) = r.source { Some(t) } else { None })
}

/// The constant of one value that a node adds, or bounds another by.
fn guarding(side: &Side, node: &Node) -> Option<(String, f64)> {
    if !GUARDING.contains(&node.op_type.as_str()) {
        return None;
    }
    let single = |name: &String| {
        let values = compare::to_f64(&written(side, node, name).filter(|t| t.dtype.is_float() && t.elements() == 1)?);
        values.first().copied().filter(|x| *x != 0.0).map(|x| (name.clone(), x))
    };
    node.reads.iter().find_map(|r| single(&r.name))
}

/// The axes of the nearest sum or mean at, below or above the maker of `tensor`.
pub fn reduced(side: &Side, tensor: usize, rank: impl Fn(&str) -> Option<usize>) -> Option<Reduced> {
    let graph = &side.graph;
    let (mut below, mut above) = (vec![tensor], vec![tensor]);
    for _ in 0..=super::STEPS {
        let both = below.iter().chain(&above);
        let found = both.copied().map(|t| graph.producer(t)).find_map(|node| axes(side, node, &rank));
        if found.is_some() {
            return found;
        }
        let step =
            |from: &[usize], next: fn(&Graph, usize) -> Vec<usize>| from.iter().flat_map(|t| next(graph, *t)).collect();
        (below, above) = (step(&below, Graph::children), step(&above, Graph::parents));
    }
    None
}

/// The axes that a node sums over, where it does; all of them where it names none.
fn axes(side: &Side, node: &Node, rank: impl Fn(&str) -> Option<usize>) -> Option<Reduced> {
    if !node.op_type.starts_with("Reduce") {
        return None;
    }
    let proto: &NodeProto = node.proto(&side.model.proto)?;
    let rank = rank(proto.input.first()?)?;
    let given = match proto.attr("axes") {
        Some(axes) => axes.ints.clone(),
        None => match proto.input.get(1).filter(|name| !name.is_empty()) {
            Some(name) => compare::to_f64(&written(side, node, name)?).into_iter().map(|x| x as i64).collect(),
            None => (0..rank as i64).collect(),
        },
    };
    let from_front =
        |axis: &i64| usize::try_from(if *axis < 0 { axis + rank as i64 } else { *axis }).ok().filter(|a| *a < rank);
    let mut axes = given.iter().map(from_front).collect::<Option<Vec<usize>>>()?;
    axes.sort_unstable();
    axes.dedup();
    Some(Reduced { axes, rank })
}
