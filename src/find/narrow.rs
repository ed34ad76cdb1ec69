//! The strategy `bisect`: few tensors a run, narrowing down, and the looks that keep its guesses honest.

use crate::cli::SearchArgs;
use crate::find::scan::{parents, targets};
use crate::found::Status;
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::{self, Answer, Dag, Limits, Masked, Suspect};
use crate::spec::Place;

/// Tensors a run, where few are asked for and nobody says how many.
const MARKS: usize = 8;
/// The same where every run is a build of minutes.
const ENGINE_MARKS: usize = 16;

/// Why a search stops before its end.
enum Halt {
    Failed(RunError),
    /// More was measured than had been asked for: start afresh with it.
    News,
}

/// What the search came to.
pub struct Narrowed {
    /// In topological order.
    pub suspects: Vec<Suspect>,
    /// Whose error is lost on the way, as far as that was seen. In topological order.
    pub masked: Vec<Masked>,
    /// It stopped at the number of culprits that was asked for.
    pub unexplained: bool,
}

/// Few tensors a run, narrowing down.
pub fn bisect(args: &SearchArgs, probe: &mut Probe, progress: &Progress) -> Result<Narrowed, RunError> {
    let targets = targets(probe);
    let engine = probe.lab.candidate.is_engine();
    let marks = args.marks.map_or(if engine { ENGINE_MARKS } else { MARKS }, |k| k as usize);
    let builds = probe.lab.candidate.width();
    let limits = Limits { marks, builds, max_suspects: args.max_culprits as usize };
    // What one round can see.
    let sight = marks.saturating_mul(builds);
    let dag = value_dag(probe);
    let runs = std::cell::Cell::new(0);
    let look = |probe: &mut Probe, round: &[&[usize]]| {
        runs.set(runs.get() + round.len());
        let tensors: usize = round.iter().map(|tensors| tensors.len()).sum();
        progress.step(format!("search, run {}: {tensors} tensors", runs.get()));
        let answers = probe.measure_each(round).map_err(Halt::Failed)?;
        if probe.news() { Err(Halt::News) } else { Ok(answers) }
    };
    probe.known();
    let search = |probe: &mut Probe, targets: &[usize]| {
        loop {
            let known = probe.results.answers();
            match search::bisect(&dag, known, targets, limits, |round| look(probe, round)) {
                Ok(found) => return Ok(found),
                Err(Halt::News) => {}
                Err(Halt::Failed(e)) => return Err(e),
            }
        }
    };
    let mut found = search(probe, &targets)?;
    // Between a suspect and the output everything unmeasured passes for its consequence. While runs are left, the likeliest
    // exceptions are measured too: a second fault may stand below a tensor where the error of the first one is lost.
    let enough = builds * (dag.len().max(2) as f64).log((sight + 1) as f64).ceil() as usize;
    if probe.ledger.counts.candidate_runs + probe.ledger.counts.recalled_runs < enough + 2 {
        let losses = losses(probe, &dag, &found.suspects, &targets, sight);
        if !losses.is_empty() {
            let round: Vec<&[usize]> = losses.chunks(marks).collect();
            if let Err(Halt::Failed(e)) = look(probe, &round) {
                return Err(e);
            }
            found = search(probe, &targets)?;
        }
    }
    let causes = behind_shapes(probe, &mut found.suspects)?;
    let more = if causes.is_empty() { Vec::new() } else { search(probe, &causes)?.suspects };
    let mut suspects = found.suspects;
    suspects.extend(more);
    // A fault whose error shrinks below the tolerance and grows again leaves a trace where nothing rounds: values that
    // agree but are not the same. Their origin is looked for as well, and accused if it diverges.
    let traces = traces(probe, &dag, &suspects, &targets);
    if !traces.is_empty() {
        let known = (0..probe.lab.tensors()).map(|t| differs(probe, t)).collect();
        // Only where both sides compute alike, and nothing is measured that was not asked for.
        let found = search::bisect(&dag, known, &traces, limits, |round| {
            probe.measure_each(round)?;
            let tensors = round.iter().copied().flatten();
            Ok(tensors.map(|t| differs(probe, *t).unwrap_or(Answer::Unknown)).collect())
        })?;
        let diverges = |s: &Suspect| probe.results.answer(s.item) == Some(Answer::Bad);
        suspects.extend(found.suspects.into_iter().filter(diverges));
    }
    suspects.sort_by_key(|s| s.item);
    suspects.dedup_by_key(|s| s.item);
    let masked = search::all_masked(&dag, &probe.results.answers(), &targets);
    Ok(Narrowed { suspects, masked, unexplained: found.unexplained })
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

/// The same without the way through Shape and Size: they see no values, so that theirs agree says nothing about what they
/// read, and would acquit everything above.
fn value_dag(probe: &Probe) -> Dag {
    let graph = &probe.lab.reference.graph;
    Dag::new((0..graph.tensors.len()).map(|t| if blind(probe, t) { Vec::new() } else { parents(probe, t) }).collect())
}

fn blind(probe: &Probe, tensor: usize) -> bool {
    matches!(probe.lab.reference.graph.producer(tensor).op_type.as_str(), "Shape" | "Size")
}

/// A shape that differs has its cause in what was measured: those suspects give way to the tensors they read.
fn behind_shapes(probe: &mut Probe, suspects: &mut Vec<Suspect>) -> Result<Vec<usize>, RunError> {
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
