//! An activation that lets less through than it gets cannot make an error larger, only the share of it: it is right about what
//! it gets, and the maker of that is to blame, though all of its output passes for noise.

use crate::found::{Culprit, KERNEL, Kind, Status};
use crate::graph::{Node, Source};
use crate::lab::Probe;
use crate::search::Suspect;

/// Operators whose output is never further off than their input.
const CONTRACTIONS: [&str; 12] = [
    "Relu",
    "LeakyRelu",
    "PRelu",
    "Clip",
    "HardSigmoid",
    "Sigmoid",
    "Tanh",
    "Softsign",
    "MaxPool",
    "GlobalMaxPool",
    "ReduceMax",
    "Abs",
];

/// The suspect in place of a node that is right on its own and made nothing worse: the maker of its input, where that agrees
/// as a whole only.
pub fn above(probe: &Probe, suspect: &Suspect, kind: Kind, local: Option<f64>) -> Option<Suspect> {
    let graph = &probe.lab.reference.graph;
    let node = graph.producer(suspect.item);
    let innocent = kind == Kind::Amplifies && local == Some(0.0) && CONTRACTIONS.contains(&node.op_type.as_str());
    let input = data(node).filter(|_| innocent)?;
    let noisy = probe.results.get(input).filter(|r| r.status == Status::Agrees)?.metrics.as_ref()?;
    let parents = graph.parents(input);
    let clean = |t: &usize| probe.results.get(*t).is_some_and(|r| r.status == Status::Agrees) || graph.is_constant(*t);
    (noisy.mismatched > 0 && parents.iter().all(clean)).then(|| Suspect {
        item: input,
        inputs: parents,
        region: vec![input],
    })
}

/// The tensor that a node lets through.
fn data(node: &Node) -> Option<usize> {
    match node.reads.first()?.source {
        Source::Tensor(t) => Some(t),
        _ => None,
    }
}

/// What the maker of the input did, told of the tensor that diverges: `below`'s.
pub fn told(maker: Culprit, below: Culprit) -> Culprit {
    let wrong = maker.local.as_ref().is_some_and(|m| m.mismatched > 0);
    let decibels = maker.accumulated.sqnr_db.0;
    let why = format!(
        "'{}' is off by {decibels:.1} dB, which passes for noise as a whole, and what {} '{}' lets through of it diverges",
        maker.tensor,
        below.node.operator(),
        below.node.told()
    );
    let region = maker.region.iter().chain(&below.region).cloned().collect();
    // What was seen of the maker's output alone explains no kernel.
    let diagnosis = maker.diagnosis.into_iter().filter(|reason| reason.code != KERNEL).collect();
    Culprit {
        region,
        diagnosis,
        tensor: below.tensor,
        accumulated: below.accumulated,
        kind: if wrong { Kind::Introduces } else { maker.kind },
        why: Some(why),
        ..maker
    }
}
