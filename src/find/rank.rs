//! Which nodes does the candidate's lower precision hurt most? Every node alone, the same in an emulation of the precision,
//! and what each makes of the error that comes in. Two runs at most, one of them on the CPU; searches nothing.

mod limited;

use std::collections::HashMap;

use crate::compare::Comparison;
use crate::cure::drive::trials::relative;
use crate::diagnose::NEAR;
use crate::find::isolate;
use crate::found::{Culprit, Ranked, Real, Report, ordered};
use crate::graph::Source;
use crate::lab::{Lowering, Probe};
use crate::progress::Progress;
use crate::run::RunError;
use crate::spec::Precision;
use limited::Facts;

/// Rows of the report's table.
const MOST: usize = 20;

/// A node's own error, alone on reference inputs.
pub struct Local {
    pub tensor: String,
    /// Relative RMS; infinite where it makes NaN or an infinity of its own.
    pub error: f64,
}

/// By node of the candidate's graph.
pub type Locals = HashMap<usize, Local>;

/// Fills in the report's ranking, and whether any node is to blame at all, where the candidate is a lower precision of the
/// reference's own model. `builds` says that an engine may be built once more for it. What was measured is given back:
/// `None` where nothing was.
pub fn rank(
    probe: &mut Probe,
    report: &mut Report,
    builds: bool,
    progress: &Progress,
) -> Result<Option<Locals>, RunError> {
    if !is_lowered(probe) {
        return Ok(None);
    }
    let mut facts = Facts::of(probe, report);
    if probe.candidate.backend.is_engine() && !builds {
        report.warnings.push(
            "the nodes are not ranked: it takes one more build of the engine; leave --no-overrides out".to_string(),
        );
        facts.add_culprits(probe, report);
        report.precision_limited = limited::limited(report, &facts);
        return Ok(None);
    }
    progress.step("every node alone");
    let locals = match measure(probe) {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        // What was found stays found.
        Err(e) => {
            report.warnings.push(format!("the nodes could not be ranked: {e}"));
            Locals::new()
        }
        Ok((locals, emulated)) => {
            let mut rows = rows(probe, &locals, emulated.as_ref());
            rows.sort_by(worst_first);
            facts.add_rows(&rows);
            report.ranking = rows.into_iter().filter(is_telling).take(MOST).collect();
            locals
        }
    };
    facts.add_culprits(probe, report);
    report.precision_limited = limited::limited(report, &facts);
    Ok(Some(locals))
}

/// The culprits that get a reproducer: where no node is to blame, the worst one is enough, one that computes if there is one.
pub fn worth_cutting_out(report: &Report) -> Vec<Culprit> {
    match (&report.precision_limited, ordered(report).first()) {
        (Some(_), Some(worst)) => vec![worst.clone()],
        _ => report.culprits.clone(),
    }
}

/// Every node alone, in the candidate.
pub fn local_errors(probe: &mut Probe) -> Result<Locals, RunError> {
    let keys: Vec<String> = probe.reference.graph.tensors.iter().map(|t| t.key.clone()).collect();
    probe.fetch(probe.reference, &keys)?;
    let mut errors = Locals::new();
    for (tensor, error) in errors_of(isolate::everywhere(probe, 0)?) {
        let key = &probe.reference.graph.tensors[tensor].key;
        let Some(theirs) = probe.candidate.graph.tensor(key) else { continue };
        let entry = errors.entry(probe.candidate.graph.tensors[theirs].node);
        let worst = entry.or_insert(Local { tensor: key.clone(), error: 0.0 });
        if error > worst.error {
            *worst = Local { tensor: key.clone(), error };
        }
    }
    Ok(errors)
}

/// Does the candidate compute the reference's own model in a lower precision?
fn is_lowered(probe: &Probe) -> bool {
    let (reference, candidate) = (probe.reference, probe.candidate);
    let own_model = candidate.spec.model.is_some() || reference.spec.model.is_some();
    candidate.lowering.low().is_some() && candidate.backend.runs() && !own_model
}

/// Is the candidate itself the emulation of its precision?
fn is_emulation(probe: &Probe) -> bool {
    matches!(probe.candidate.lowering, Lowering::Emulate(_))
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
    let key = |tensor: usize| probe.reference.graph.tensors[tensor].key.clone();
    Ok((locals, emulated.map(|all| errors_of(all).map(|(tensor, error)| (key(tensor), error)).collect())))
}

fn errors_of(compared: Vec<(usize, Comparison)>) -> impl Iterator<Item = (usize, f64)> {
    compared.into_iter().filter_map(|(tensor, comparison)| Some((tensor, relative(&comparison.metrics?))))
}

/// One a node that is off at all.
fn rows(probe: &Probe, locals: &Locals, emulated: Option<&Emulated>) -> Vec<Ranked> {
    let graph = &probe.candidate.graph;
    let unit = unit(probe.candidate.spec.precision);
    let mut off: Vec<_> = locals.iter().filter(|(_, local)| local.error > 0.0).collect();
    // In the graph's order, so that equals have one.
    off.sort_by_key(|(node, _)| **node);
    let row = |(node, local): (&usize, &Local)| {
        let emulated = match is_emulation(probe) {
            true => Some(local.error),
            false => emulated.and_then(|all| all.get(&local.tensor).copied()),
        };
        Ranked {
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
fn worst_first(a: &Ranked, b: &Ranked) -> std::cmp::Ordering {
    let beyond = |row: &Ranked| row.rho.is_some_and(|rho| rho.0 > NEAR);
    beyond(b).cmp(&beyond(a)).then(b.local.0.total_cmp(&a.local.0))
}

/// What only moves values shows the rounding of what it was fed with, which is nothing of its own.
fn is_telling(row: &Ranked) -> bool {
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
    let graph = &probe.reference.graph;
    let error = |t: usize| probe.results[t].as_ref()?.metrics.as_ref().map(relative);
    let tensor = graph.tensor(tensor)?;
    let made = graph.producer(tensor).reads.iter().filter_map(|r| match r.source {
        Source::Tensor(t) if !graph.is_constant(t) => Some(t),
        _ => None,
    });
    let inputs = made.filter_map(error).reduce(f64::max).filter(|e| *e > 0.0)?;
    Some(error(tensor)? / inputs).filter(|gain| !gain.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Metrics, PrecisionLimited};
    use crate::show::sample::sample_report;

    fn row(node: &str, local: f64, rho: Option<f64>) -> Ranked {
        Ranked { node: node.into(), local: Real(local), rho: rho.map(Real), ..Ranked::default() }
    }

    #[test]
    fn what_is_worse_than_the_precision_comes_first() {
        let mut rows = [
            row("rounding", 1e-2, Some(1.0)),
            row("kernel", 1e-4, Some(50.0)),
            row("unknown", 1e-3, None),
            row("broken", f64::INFINITY, Some(1.0)),
        ];
        rows.sort_by(worst_first);
        assert_eq!(rows.map(|r| r.node), ["kernel", "broken", "rounding", "unknown"]);
    }

    #[test]
    fn what_only_moves_values_is_told_of_where_it_is_broken() {
        let moves = |rho| Ranked { op_type: "Transpose".into(), ..row("t", 1e-4, rho) };
        assert_eq!([None, Some(1.0), Some(5.0)].map(|rho| is_telling(&moves(rho))), [false, false, true]);
        assert!(is_telling(&row("conv", 1e-4, None)));
    }

    #[test]
    fn errors_against_the_emulation() {
        let unit = unit(Precision::Fp16);
        assert_eq!(rho(3e-3, 1e-3, unit), 3.0);
        assert_eq!(rho(unit / 8.0, 0.0, unit), 1.0);
        assert_eq!(rho(f64::INFINITY, 1e-3, unit), f64::INFINITY);
        assert_eq!(rho(f64::INFINITY, f64::INFINITY, unit), 1.0);
        assert_eq!(rho(1e-3, f64::INFINITY, unit), 0.0);
        assert_eq!(super::unit(Precision::Bf16), 8.0 * unit);
    }

    #[test]
    fn the_worst_that_computes_is_cut_out() {
        let mut report = sample_report();
        let off = |db: f64| Some(Metrics { sqnr_db: Real(db), ..Metrics::default() });
        let mut culprits = vec![report.culprits[0].clone(); 3];
        for (culprit, (name, db)) in culprits.iter_mut().zip([("a", 60.0), ("b", 40.0), ("constant", 20.0)]) {
            (culprit.tensor, culprit.local) = (name.into(), off(db));
        }
        culprits[2].node.inputs.clear();
        report.culprits = culprits;
        assert_eq!(worth_cutting_out(&report).len(), 3, "there is somebody to blame");
        report.precision_limited = Some(PrecisionLimited::default());
        let worst = worth_cutting_out(&report);
        assert_eq!((worst.len(), worst[0].tensor.as_str()), (1, "b"));
    }
}
