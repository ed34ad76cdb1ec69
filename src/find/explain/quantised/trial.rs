//! One trial of a cause: the candidate's file with some parameters replaced or pairs left out, run on one sample, and whether the
//! culprit's tensor and the outputs agree then.

use crate::diagnose::laid::Undo;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::find::isolate::judge;
use crate::found::words::decibels;
use crate::found::{self, Metrics, Status};
use crate::lab::Probe;
use crate::lab::first::inner;
use crate::lab::quantised::{float_weight, in_front};
use crate::mark;
use crate::onnx::ModelProto;
use crate::qdq::{Float, Pair, mend, without};
use crate::run::RunError;

/// An error that is less than this share of what it was has something to do with what was undone.
const HELPED: f64 = 0.8;

/// What is run in each trial.
pub struct Trial<'p, 'a> {
    probe: &'p Probe<'a>,
    /// The culprit's tensor in the reference's graph.
    tensor: usize,
    /// And in the candidate's.
    own: usize,
    sample: usize,
    /// The candidate's model with the tensor and the outputs to be seen.
    model: ModelProto,
    outputs: Vec<String>,
    before: Option<Metrics>,
    builds: AtomicUsize,
}

/// What undoing did.
pub enum Effect {
    /// The culprit's tensor agrees, and perhaps the outputs.
    Agrees { outputs: bool, before: f64, after: f64 },
    /// It is less wrong.
    Helps { before: f64, after: f64 },
    /// It does not agree, and is as wrong as before; or the edited file does not run.
    Nothing,
}

impl Effect {
    /// Does the tensor agree?
    pub fn agrees(&self) -> bool {
        matches!(self, Effect::Agrees { .. })
    }

    /// As it goes on after what was undone: `'y' agrees (SQNR 1.2 -> 38.0 dB), and so do the outputs`.
    pub fn told(&self, tensor: &str) -> String {
        let change = |before: f64, after: f64| match before.is_finite() && after.is_finite() {
            true => format!(" (SQNR {} -> {} dB)", decibels(before), decibels(after)),
            false => String::new(),
        };
        match self {
            Effect::Agrees { outputs: true, before, after } => {
                format!("'{tensor}' agrees{}, and so do the outputs", change(*before, *after))
            }
            Effect::Agrees { before, after, .. } => format!("'{tensor}' agrees{}", change(*before, *after)),
            Effect::Helps { before, after } => {
                format!("'{tensor}' is less wrong and does not agree{}", change(*before, *after))
            }
            Effect::Nothing => format!("'{tensor}' is as wrong as before"),
        }
    }
}

impl<'p, 'a> Trial<'p, 'a> {
    /// Of the culprit's tensor, `own` in the candidate's graph.
    pub fn new(probe: &'p Probe<'a>, tensor: usize, own: usize, sample: usize) -> Trial<'p, 'a> {
        let candidate = &probe.lab.candidate;
        let mut marks = inner(candidate, &probe.lab.outputs);
        marks.push(own);
        let model = mark::mark(&candidate.model.proto, &candidate.graph, &marks, &candidate.types);
        let mut outputs = probe.lab.outputs.clone();
        let key = candidate.graph.tensors[own].key.clone();
        if !outputs.contains(&key) {
            outputs.push(key);
        }
        let before = probe.results.metrics(tensor).cloned();
        Trial { probe, tensor, own, sample, model, outputs, before, builds: AtomicUsize::new(0) }
    }

    /// Models that were built so far.
    pub fn builds(&self) -> usize {
        self.builds.load(Ordering::Relaxed)
    }

    /// Undoes all of these in the file, and runs it. Fails where it was interrupted only.
    pub fn run(&self, undone: &[(&Pair, &Undo)]) -> Result<Effect, RunError> {
        // What an integer operator reads has no pair that could go.
        if undone.iter().any(|(pair, undo)| matches!(undo, Undo::Unquantised) && !pair.is_pair()) {
            return Ok(Effect::Nothing);
        }
        self.look(&edited(self.probe, &self.model, undone))
    }

    /// The candidate's model with the culprit's tensor and the outputs to be seen.
    pub fn model(&self) -> &ModelProto {
        &self.model
    }

    /// Runs an edit of [`Trial::model`]. Fails where it was interrupted only.
    pub fn look(&self, model: &ModelProto) -> Result<Effect, RunError> {
        let (lab, sample) = (self.probe.lab, self.sample);
        let Some(feeds) = lab.feeds.get(sample..=sample) else { return Ok(Effect::Nothing) };
        self.builds.fetch_add(1, Ordering::Relaxed);
        let values = match lab.candidate.run_model(model, &lab.candidate.types, feeds, &self.outputs) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => return Ok(Effect::Nothing),
            Ok(values) => values,
        };
        let Some(values) = values.first() else { return Ok(Effect::Nothing) };
        let key = &lab.candidate.graph.tensors[self.own].key;
        let Some(verdict) = judge(self.probe, self.tensor, sample, values.get(key)) else { return Ok(Effect::Nothing) };
        let error = |m: &Option<Metrics>| m.as_ref().map_or(f64::INFINITY, Metrics::relative);
        let wrong = |m: &Option<Metrics>| m.as_ref().map_or(u64::MAX, |m| m.mismatched);
        let (before, after) = (
            self.before.as_ref().map_or(f64::NAN, |m| m.decibels()),
            verdict.metrics.as_ref().map_or(f64::NAN, |m| m.decibels()),
        );
        if verdict.status == Status::Agrees {
            let agree = outputs(self.probe, model)?.is_some_and(|effect| effect.agree);
            return Ok(Effect::Agrees { outputs: agree, before, after });
        }
        let helps = error(&verdict.metrics) < HELPED * error(&self.before)
            || (wrong(&verdict.metrics) as f64) < HELPED * wrong(&self.before) as f64;
        Ok(if helps { Effect::Helps { before, after } } else { Effect::Nothing })
    }
}

/// `model`, which has the candidate's nodes, with all of these undone: parameters first, which leave every node where it is.
pub fn edited(probe: &Probe, model: &ModelProto, undone: &[(&Pair, &Undo)]) -> ModelProto {
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    let (mut model, mut gone) = (model.clone(), Vec::new());
    for (pair, undo) in undone {
        match undo {
            Undo::Parameters(parameters) => model = mend(&model, &candidate.graph, pair, parameters),
            Undo::Unquantised => gone.push(*pair),
        }
    }
    let known = |name: &str| gone.iter().find(|p| p.tensor == name).and_then(|p| float_weight(reference, p));
    let lost = |pair: &Pair| match pair.quantize {
        Some(_) if !pair.weight => in_front(reference, candidate, pair).unwrap_or_default(),
        _ => Vec::new(),
    };
    let float = Float { weight: &known, activations: &lost };
    if gone.is_empty() { model } else { without(&model, &candidate.graph, &gone, &float) }
}

/// What an edit of the candidate's model makes of the outputs of all samples; `None` where it does not run. Fails where it was
/// interrupted only.
pub fn outputs(probe: &Probe, model: &ModelProto) -> Result<Option<found::Effect>, RunError> {
    let lab = probe.lab;
    match lab.candidate.run_model(model, &lab.candidate.types, &lab.feeds, &lab.outputs) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(None),
        Ok(values) => Ok(Some(found::Effect::of_samples(&probe.outputs_of(&values)))),
    }
}
