//! Which nodes does the candidate's lower precision hurt most? Every node alone, the same in an emulation of the precision,
//! and what each makes of the error that comes in. Two runs at most, one of them on the CPU; searches nothing.

mod limited;

use std::collections::HashMap;

use crate::compare::Comparison;
use crate::diagnose::NEAR;
use crate::find::isolate;
use crate::found::{Culprit, Local, Locals, Metrics, Note, Ranked as Row, Ranking, Real, worst};
use crate::graph::Source;
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;
use crate::spec::Precision;
use limited::Facts;

/// Rows of the report's table.
const MOST: usize = 20;

/// What a ranking came to.
#[derive(Default)]
pub struct Ranked {
    /// For the report.
    pub ranking: Ranking,
    /// What every node does alone; `None` where that was not measured.
    pub locals: Option<Locals>,
}

/// Ranks the nodes, and tells whether any is to blame at all, where the candidate is a lower precision of the reference's own
/// model. `builds` says that an engine may be built once more for it.
pub fn rank(probe: &mut Probe, culprits: &[Culprit], builds: bool, progress: &Progress) -> Result<Ranked, RunError> {
    if !is_lowered(probe) {
        return Ok(Ranked::default());
    }
    let mut facts = Facts::of(probe, culprits);
    let mut ranked = Ranked::default();
    if probe.lab.candidate.is_engine() && !builds {
        ranked.ranking.notes.push(Note::RankingNeedsBuild);
    } else {
        progress.step("every node alone");
        ranked = measured(probe, &mut facts)?;
    }
    facts.add_culprits(probe, culprits);
    ranked.ranking.limited = limited::limited(culprits, &facts);
    Ok(ranked)
}

/// The rows, and what every node does alone.
fn measured(probe: &mut Probe, facts: &mut Facts) -> Result<Ranked, RunError> {
    let mut ranking = Ranking::default();
    let locals = match measure(probe) {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        // What was found stays found.
        Err(e) => {
            ranking.notes.push(Note::NotRanked(e.to_string()));
            Locals::new()
        }
        Ok((locals, emulated)) => {
            let mut rows = rows(probe, &locals, emulated.as_ref());
            rows.sort_by(worst_first);
            facts.add_rows(&rows);
            ranking.rows = rows.into_iter().filter(is_telling).take(MOST).collect();
            locals
        }
    };
    Ok(Ranked { ranking, locals: Some(locals) })
}

/// The culprits that get a reproducer: where no node is to blame, the worst one is enough, one that computes if there is one.
pub fn worth_cutting_out(culprits: &[Culprit], ranking: &Ranking) -> Vec<Culprit> {
    match (&ranking.limited, worst(culprits)) {
        (Some(_), Some(worst)) => vec![worst.clone()],
        _ => culprits.to_vec(),
    }
}

/// Every node alone, in the candidate.
fn local_errors(probe: &mut Probe) -> Result<Locals, RunError> {
    let keys: Vec<String> = probe.lab.reference.graph.tensors.iter().map(|t| t.key.clone()).collect();
    probe.fetch(&probe.lab.reference, &keys)?;
    let mut errors = Locals::new();
    for (tensor, error) in errors_of(isolate::everywhere(probe, 0)?) {
        let key = &probe.lab.reference.graph.tensors[tensor].key;
        let Some(theirs) = probe.lab.candidate.graph.tensor(key) else { continue };
        let entry = errors.entry(probe.lab.candidate.graph.tensors[theirs].node);
        let worst = entry.or_insert(Local { tensor: key.clone(), error: 0.0 });
        if error > worst.error {
            *worst = Local { tensor: key.clone(), error };
        }
    }
    Ok(errors)
}

/// Does the candidate compute the reference's own model in a lower precision?
fn is_lowered(probe: &Probe) -> bool {
    let candidate = &probe.lab.candidate;
    candidate.lowering.low().is_some() && candidate.runs() && !probe.lab.relation.is_own_model()
}

/// Is the candidate itself the emulation of its precision, and of nothing else?
fn is_emulation(probe: &Probe) -> bool {
    probe.lab.candidate.only_rounds()
}

/// Errors of an emulation by tensor.
type Emulated = HashMap<String, f64>;

/// Every node's own error, and the emulation's where the candidate is something else and there is one.
fn measure(probe: &mut Probe) -> Result<(Locals, Option<Emulated>), RunError> {
    let locals = local_errors(probe)?;
    if is_emulation(probe) {
        return Ok((locals, None));
    }
    let emulated = match isolate::everywhere_emulated(probe, 0) {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(_) => None,
        Ok(emulated) => emulated,
    };
    let key = |tensor: usize| probe.lab.reference.graph.tensors[tensor].key.clone();
    Ok((locals, emulated.map(|all| errors_of(all).map(|(tensor, error)| (key(tensor), error)).collect())))
}

fn errors_of(compared: Vec<(usize, Comparison)>) -> impl Iterator<Item = (usize, f64)> {
    compared.into_iter().filter_map(|(tensor, comparison)| Some((tensor, comparison.metrics?.relative())))
}

/// One a node that is off at all.
fn rows(probe: &Probe, locals: &Locals, emulated: Option<&Emulated>) -> Vec<Row> {
    let graph = &probe.lab.candidate.graph;
    let unit = unit(probe.lab.candidate.spec.precision);
    let mut off: Vec<_> = locals.iter().filter(|(_, local)| local.error > 0.0).collect();
    // In the graph's order, so that equals have one.
    off.sort_by_key(|(node, _)| **node);
    let row = |(node, local): (&usize, &Local)| {
        let emulated = match is_emulation(probe) {
            true => Some(local.error),
            false => emulated.and_then(|all| all.get(&local.tensor).copied()),
        };
        Row {
            node: graph.nodes[*node].name.clone(),
            op_type: graph.nodes[*node].op_type.clone(),
            tensor: local.tensor.clone(),
            local: Real(local.error),
            emulated: emulated.map(Real),
            rho: emulated.map(|e| Real(if is_emulation(probe) { 1.0 } else { rho(local.error, e, unit) })),
            gain: gain(probe, &local.tensor).map(Real),
        }
    };
    off.into_iter().map(row).collect()
}

/// Nodes that are worse than their precision first, then by local error.
fn worst_first(a: &Row, b: &Row) -> std::cmp::Ordering {
    let beyond = |row: &Row| row.rho.is_some_and(|rho| rho.0 > NEAR);
    beyond(b).cmp(&beyond(a)).then(b.local.0.total_cmp(&a.local.0))
}

/// What only moves values shows the rounding of what it was fed with, which is nothing of its own.
fn is_telling(row: &Row) -> bool {
    !MOVERS.contains(&row.op_type.as_str()) || row.rho.is_some_and(|rho| rho.0 > NEAR)
}

const MOVERS: [&str; 16] = [
    "Concat",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "MaxPool",
    "Pad",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Unsqueeze",
];

/// The largest relative error of one rounding.
fn unit(precision: Precision) -> f64 {
    match precision {
        Precision::Bf16 => 2f64.powi(-8),
        _ => 2f64.powi(-11),
    }
}

/// Local error over the emulation's. What happens to be exact in the emulation counts as an eighth of a rounding, so that
/// nobody is accused of noise far below it.
fn rho(local: f64, emulated: f64, unit: f64) -> f64 {
    match (local.is_finite(), emulated.is_finite()) {
        (false, false) => 1.0,
        _ => local / emulated.max(unit / 8.0),
    }
}

/// Accumulated error of the tensor over the largest one among what its node reads.
fn gain(probe: &Probe, tensor: &str) -> Option<f64> {
    let graph = &probe.lab.reference.graph;
    let error = |t: usize| probe.results.metrics(t).map(Metrics::relative);
    let tensor = graph.tensor(tensor)?;
    let made = graph.producer(tensor).reads.iter().filter_map(|r| match r.source {
        Source::Tensor(t) if !graph.is_constant(t) => Some(t),
        _ => None,
    });
    let inputs = made.filter_map(error).reduce(f64::max).filter(|e| *e > 0.0)?;
    Some(error(tensor)? / inputs).filter(|gain| !gain.is_nan())
}

#[cfg(test)]
mod tests;
