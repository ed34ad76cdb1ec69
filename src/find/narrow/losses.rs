//! Where an error may be lost and grow again between two measurements: places that are worth a look, and traces that it left.

use super::Hunt;
use super::shapes::value_dag;
use crate::found::Status;
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{self, Answer, Dag, Suspect};
use crate::spec::Place;

impl Hunt<'_> {
    /// Measures where the suspects' errors are most often lost. `false`: nothing was left to be measured.
    pub fn look_at_losses(&mut self, probe: &mut Probe, suspects: &[Suspect]) -> Result<bool, RunError> {
        let losses = losses(probe, &value_dag(probe), suspects, &self.targets, self.sight);
        self.measure(probe, &losses)?;
        Ok(!losses.is_empty())
    }

    /// A fault whose error shrinks below the tolerance and grows again leaves a trace where nothing rounds: values that agree
    /// but are not the same. Their origins, as far as they diverge.
    pub fn traced(&mut self, probe: &mut Probe, suspects: &[Suspect]) -> Result<Vec<Suspect>, RunError> {
        let dag = value_dag(probe);
        let traces = traces(probe, &dag, suspects, &self.targets);
        if traces.is_empty() {
            return Ok(Vec::new());
        }
        let known = (0..probe.lab.tensors()).map(|t| differs(probe, t)).collect();
        // Only where both sides compute alike, and nothing is measured that was not asked for.
        let found = search::bisect(&dag, known, &traces, self.limits, |round| {
            probe.measure_each(round)?;
            let tensors = round.iter().copied().flatten();
            Ok(tensors.map(|t| differs(probe, *t).unwrap_or(Answer::Unknown)).collect())
        })?;
        let diverges = |s: &Suspect| probe.results.answer(s.item) == Some(Answer::Bad);
        Ok(found.suspects.into_iter().filter(diverges).collect())
    }
}

/// At most `most` unmeasured tensors below the suspects, on the way to a target, where errors are most often lost:
/// behind reductions first, then behind what saturates; spread evenly.
fn losses(probe: &Probe, dag: &Dag, suspects: &[Suspect], targets: &[usize], most: usize) -> Vec<usize> {
    let items: Vec<usize> = suspects.iter().map(|s| s.item).collect();
    let (below, above) = (dag.descendants(&items), dag.ancestors(targets));
    let open = |t: &usize| below[*t] && above[*t] && probe.results.is_open(*t);
    let made_by = |ops: &[&str]| -> Vec<usize> {
        let op = |t: &usize| probe.lab.reference.graph.producer(*t).op_type.clone();
        (0..dag.len()).filter(open).filter(|t| ops.contains(&op(t).as_str())).collect()
    };
    let mut chosen: Vec<usize> = Vec::new();
    for ops in [REDUCING, SATURATING] {
        let (candidates, room) = (made_by(ops), most - chosen.len());
        let step = candidates.len().div_ceil(room.max(1)).max(1);
        chosen.extend(candidates.into_iter().step_by(step).take(room));
    }
    chosen
}

const REDUCING: &[&str] =
    &["GlobalAveragePool", "AveragePool", "ReduceMean", "ReduceMax", "ReduceMin", "GlobalMaxPool", "ArgMax", "TopK"];
const SATURATING: &[&str] = &["HardSigmoid", "Sigmoid", "Clip", "Softmax", "Tanh", "MaxPool", "Relu", "HardSwish"];

/// Agreeing tensors above the targets that are not exactly the reference's, and that no suspect explains, where both
/// sides compute exactly alike.
fn traces(probe: &Probe, dag: &Dag, suspects: &[Suspect], targets: &[usize]) -> Vec<usize> {
    if !alike(probe) {
        return Vec::new();
    }
    let items: Vec<usize> = suspects.iter().map(|s| s.item).collect();
    let (below, above) = (dag.descendants(&items), dag.ancestors(targets));
    let agrees = |t: &usize| probe.results.answer(*t) == Some(Answer::Good) && differs(probe, *t) == Some(Answer::Bad);
    (0..dag.len()).filter(|t| above[*t] && !below[*t]).filter(agrees).collect()
}

/// Would the two sides give the same bits for the same model? A wrong guess costs runs and accuses nobody.
fn alike(probe: &Probe) -> bool {
    let (own, other) = (&probe.lab.reference.spec, &probe.lab.candidate.spec);
    let same =
        matches!(other.place, Place::Provider(_)) && own.place == other.place && own.precision == other.precision;
    probe.lab.candidate.is_plain() && (probe.lab.candidate.on_cpu() || same)
}

/// Is the measured value exactly the reference's (`Good`) or not (`Bad`)?
fn differs(probe: &Probe, tensor: usize) -> Option<Answer> {
    let result = probe.results.get(tensor)?;
    Some(match (result.status, &result.metrics) {
        (Status::NotCompared, _) => Answer::Unknown,
        (Status::Agrees, Some(m)) if m.max_abs.0 == 0.0 => Answer::Good,
        _ => Answer::Bad,
    })
}
