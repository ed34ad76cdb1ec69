//! What the searches for a cure share: trials side by side, and what the outputs of one are worth. Runs no model itself.

use std::collections::BTreeMap;

use crate::overrides::{Cure, Trial, Units};
use crate::report::{Metrics, Overrides, Real, Status};
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensors;
use crate::tolerance::Rules;

/// Trials at a time: while one builds its session, which is single-threaded, another can run.
pub const JOBS: usize = 2;

/// All sets at the same time, answered in order.
pub fn together(
    sets: &[Vec<usize>],
    trial: impl Fn(&[usize]) -> Result<Trial, RunError> + Sync,
) -> Result<Vec<Trial>, RunError> {
    let trial = &trial;
    std::thread::scope(|scope| {
        let threads: Vec<_> = sets.iter().map(|set| scope.spawn(move || trial(set))).collect();
        let panicked = || RunError::Crash { backend: "a trial".to_string(), reason: "its thread panicked".to_string() };
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(panicked()))).collect()
    })
}

/// Compares what a trial gave for each sample with what is right. A model that does not run is no answer.
pub fn outcome(
    rules: &Rules,
    outputs: &[String],
    right: &[Tensors],
    run: Result<Vec<Tensors>, RunError>,
) -> Result<Trial, RunError> {
    let values = match run {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(_) => return Ok(Trial { answer: Answer::Unknown, error: f64::INFINITY }),
        Ok(values) => values,
    };
    let mut trial = Trial { answer: Answer::Good, error: 0.0 };
    for (got, right) in values.iter().zip(right) {
        for name in outputs {
            let (Some(got), Some(right)) = (got.get(name), right.get(name)) else {
                trial.answer = Answer::Unknown;
                continue;
            };
            let verdict = rules.judge_output(name, right, got);
            trial.error = trial.error.max(verdict.metrics.as_ref().map_or(f64::INFINITY, relative));
            trial.answer = match (verdict.status, trial.answer) {
                (Status::Diverges, _) => Answer::Bad,
                (Status::NotCompared, Answer::Good) => Answer::Unknown,
                (_, answer) => answer,
            };
        }
    }
    Ok(trial)
}

/// Why a cure is not verified, if the trial on the samples that were held back was not good.
pub fn refused(held: usize, trial: &Trial) -> Option<String> {
    (trial.answer != Answer::Good).then(|| {
        format!("the {held} held-back samples do not agree (error {:.2e}); search with more of them", trial.error)
    })
}

/// RMS of the error over RMS of the reference, from the signal-to-noise ratio.
pub fn relative(metrics: &Metrics) -> f64 {
    if metrics.cand_nonfinite != metrics.ref_nonfinite {
        return f64::INFINITY;
    }
    let error = 10f64.powf(-metrics.sqnr_db.0 / 20.0);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// A cure as the report has it; its files are the caller's.
pub fn told(cure: &Cure, units: &Units) -> Overrides {
    let name = |n: &usize| units.names[*n].0.clone();
    Overrides {
        nodes: cure.nodes.iter().map(name).collect(),
        verified: cure.verified,
        error_before: Real(cure.error_before),
        error_after: Real(cure.error_after),
        builds: cure.trials,
        files: BTreeMap::new(),
        groups: cure.groups.clone(),
        minimal: cure.minimal,
        of: units.nodes.len(),
        curve: cure.curve.iter().map(|(kept, error)| (*kept, Real(*error))).collect(),
        why: cure.why.clone().or_else(|| unfinished(cure)),
    }
}

/// Why perhaps fewer nodes would do.
fn unfinished(cure: &Cure) -> Option<String> {
    match (cure.verified && !cure.minimal, cure.budget_spent, cure.unknown) {
        (false, ..) => None,
        (true, true, _) => Some("the builds that --builds allows were spent before every node was tried".to_string()),
        (true, false, unknown) => Some(format!("{unknown} nodes stay because the trials without them failed to run")),
    }
}
