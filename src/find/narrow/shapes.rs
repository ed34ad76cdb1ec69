//! Shape and Size see no values: what they tell agrees whatever their input is, and a shape that differs has its cause in what
//! was measured.

use crate::find::scan::parents;
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{Answer, Dag, Suspect};

/// The same without the way through Shape and Size: they see no values, so that theirs agree says nothing about what they
/// read, and would acquit everything above.
pub fn value_dag(probe: &Probe) -> Dag {
    let graph = &probe.lab.reference.graph;
    Dag::new((0..graph.tensors.len()).map(|t| if blind(probe, t) { Vec::new() } else { parents(probe, t) }).collect())
}

fn blind(probe: &Probe, tensor: usize) -> bool {
    matches!(probe.lab.reference.graph.producer(tensor).op_type.as_str(), "Shape" | "Size")
}

/// A shape that differs has its cause in what was measured: those suspects give way to the tensors they read.
pub fn behind_shapes(probe: &mut Probe, suspects: &mut Vec<Suspect>) -> Result<Vec<usize>, RunError> {
    let mut causes = Vec::new();
    let mut kept = Vec::new();
    for suspect in std::mem::take(suspects) {
        let parents =
            if blind(probe, suspect.item) { probe.lab.reference.graph.parents(suspect.item) } else { Vec::new() };
        probe.measure(&parents)?;
        let bad: Vec<usize> =
            parents.iter().copied().filter(|p| probe.results.answer(*p) == Some(Answer::Bad)).collect();
        if bad.is_empty() {
            kept.push(suspect);
        }
        causes.extend(bad);
    }
    *suspects = kept;
    Ok(causes)
}
