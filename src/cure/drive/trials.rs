//! What the searches for a cure share: trials side by side, what the outputs of one are worth, the samples that confirm.
//! Runs no model itself.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::cure::{self, Cure, Trial, Units};
use crate::found::{CureKind, Metrics, Overrides, Real, Status};
use crate::judge::Rules;
use crate::lab::Probe;
use crate::lab::first::inner;
use crate::mark;
use crate::onnx::ModelProto;
use crate::progress::Progress;
use crate::run::{RunError, at_the_same_time};
use crate::search::Answer;
use crate::tensor::Tensors;

/// Trials at a time, at least: while one builds its session, which is single-threaded, another can run.
const JOBS: usize = 2;

/// Runs the candidate with the nodes of a set cured.
pub type Run<'a> = dyn Fn(&[usize], &[Tensors]) -> Result<Vec<Tensors>, RunError> + Sync + 'a;

/// The data that trials run on and what is right for it. How a set is run is the caller's.
pub struct Trials<'a> {
    rules: &'a Rules,
    /// The candidate's model with every judged tensor as an output.
    pub model: ModelProto,
    pub outputs: Vec<String>,
    feeds: &'a [Tensors],
    right: &'a [Tensors],
    /// Samples that the search sees; the others confirm.
    seen: usize,
    /// Trials at a time.
    pub jobs: usize,
}

impl<'a> Trials<'a> {
    pub fn new(probe: &Probe<'a>, outputs: &[String], right: &'a [Tensors], holdout: u64) -> Trials<'a> {
        let candidate = probe.candidate;
        let marks = inner(candidate, outputs);
        Trials {
            rules: probe.rules,
            model: mark::mark(&candidate.model.proto, &candidate.graph, &marks, &candidate.types),
            outputs: outputs.to_vec(),
            feeds: probe.feeds,
            right,
            seen: probe.feeds.len().saturating_sub(holdout as usize).max(1),
            jobs: candidate.backend.width().max(JOBS),
        }
    }

    /// All sets at the same time, on the samples that the search sees; answered in order.
    pub fn ask(&self, sets: &[Vec<usize>], run: &Run) -> Result<Vec<Trial>, RunError> {
        at_the_same_time("a trial", sets.iter().map(|set| move || self.trial(set, 0..self.seen, run)))
    }

    /// The same, however many sets there are: as many at the same time as can be.
    pub fn ask_all(&self, sets: &[Vec<usize>], run: &Run) -> Result<Vec<Trial>, RunError> {
        let mut tried = Vec::with_capacity(sets.len());
        for some in sets.chunks(self.jobs) {
            tried.extend(self.ask(some, run)?);
        }
        Ok(tried)
    }

    /// Searches, and lets the samples that were held back confirm. `kept` says what becomes of the nodes of a set.
    pub fn search(
        &self,
        units: &Units,
        builds: u64,
        kept: &str,
        progress: &Progress,
        run: &Run,
    ) -> Result<(Cure, Overrides), RunError> {
        let mut tried = 0;
        let cure = cure::search(units, builds as usize, self.jobs, |sets| {
            tried += sets.len();
            progress.step(format!("overrides, trial {tried}: {} nodes {kept}", sets[0].len()));
            self.ask(sets, run)
        })?;
        let mut found = told(&cure, units);
        if let (true, Some(why)) = (cure.verified, self.held_back(&cure.nodes, run)?) {
            found.verified = false;
            found.why = Some(why);
        }
        Ok((cure, found))
    }

    fn trial(&self, set: &[usize], samples: Range<usize>, run: &Run) -> Result<Trial, RunError> {
        outcome(self.rules, &self.outputs, &self.right[samples.clone()], run(set, &self.feeds[samples]))
    }

    /// Why a cure is not verified, if samples that the search never saw do not agree.
    fn held_back(&self, set: &[usize], run: &Run) -> Result<Option<String>, RunError> {
        let held = self.feeds.len() - self.seen;
        if held == 0 {
            return Ok(None);
        }
        let trial = self.trial(set, self.seen..self.feeds.len(), run)?;
        if trial.answer == Answer::Bad && set.is_empty() {
            return Ok(Some(format!(
                "the samples that the search saw agree as they are; only the {held} held back diverge: search with them (a smaller --holdout)"
            )));
        }
        Ok((trial.answer != Answer::Good).then(|| {
            format!("the {held} held-back samples do not agree (error {:.2e}); search with more of them", trial.error)
        }))
    }
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

/// RMS of the error over RMS of the reference, from the signal-to-noise ratio.
pub fn relative(metrics: &Metrics) -> f64 {
    if metrics.cand_nonfinite != metrics.ref_nonfinite {
        return f64::INFINITY;
    }
    let error = 10f64.powf(-metrics.sqnr_db.0 / 20.0);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// A cure as the report has it; its files are the caller's.
fn told(cure: &Cure, units: &Units) -> Overrides {
    let name = |n: &usize| units.names[*n].0.clone();
    Overrides {
        kind: CureKind::Float32,
        nodes: cure.nodes.iter().map(name).collect(),
        verified: cure.verified,
        error_before: Real(cure.error_before),
        error_after: Real(cure.error_after),
        latency_before: None,
        latency_after: None,
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
