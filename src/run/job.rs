//! One thing for a backend to do, as a value: the model, the data, what to give back, and how; and what comes of it. What
//! forwards a job forwards all of it. Knows no backend.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::engine::Built;
use super::session::SessionOptions;
use crate::compare::{Comparison, Tolerance};
use crate::failure::RunError;
use crate::load::Lean;
use crate::load::decode::Decode;
use crate::tensor::Tensors;

/// A model to build once and to run on every feed, in order.
#[derive(Clone, Debug)]
pub struct Job {
    /// Shared: a pool hands one model to several workers.
    pub model: Arc<Lean>,
    /// By sample.
    pub feeds: Vec<Tensors>,
    /// Names of the tensors to give back, each a graph output of the model; with [`Observe::Debug`] and
    /// [`Observe::Unfused`] any tensor of it. One that the backend has no value for is left out, and the caller says "not
    /// compared".
    pub outputs: Vec<String>,
    /// How the model is to be built.
    pub how: How,
    /// What can be compared where it lies is, and is copied only if it differs.
    pub against: Option<Against>,
    /// The model decodes: it is run on the first feed, and then on what follows from its own outputs, step by step; the other
    /// feeds are the user's values for those steps. The answer has a sample for each step.
    pub decode: Option<Arc<Decode>>,
}

/// How a model is to be built, beyond what the backend was started with. Most backends have nothing to choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct How {
    /// Nodes (by name) that a builder which lowers precision by itself must leave in float32.
    pub float32: Vec<String>,
    /// How tensors that are asked for, and are no outputs of the model, become visible.
    pub observe: Observe,
    /// Knobs of the compiler.
    pub route: Option<String>,
    /// What ONNX Runtime may make of it first.
    #[serde(default)]
    pub session: SessionOptions,
    /// The same will be asked for on other feeds: a session of ONNX Runtime is kept until something else is.
    #[serde(default)]
    pub held: bool,
}

/// Ways to see inside an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observe {
    /// Each is marked as an output: nothing is fused over it.
    #[default]
    Outputs,
    /// Each is marked as a debug tensor: nothing is fused over it either, but it is no output.
    Debug,
    /// Whatever survives fusion is reported; what does not has no value.
    Unfused,
}

/// Values that a backend compares its own with, by the names of its own.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// By sample.
    pub reference: Vec<Tensors>,
    /// By sample; what has no tolerance is not compared.
    pub tolerance: Vec<HashMap<String, Tolerance>>,
}

/// Comparisons by the name of the tensor.
pub type Judged = HashMap<String, Comparison>;

/// What one build and its runs gave.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// By sample.
    pub values: Vec<Tensors>,
    /// Where the backend tells what it built.
    pub built: Option<Built>,
    /// By sample: what was compared where it lay. Of these, what agrees has no value.
    pub judged: Vec<Judged>,
    /// Why nothing was compared there although it could be.
    pub unjudged: Option<String>,
    /// By sample: wall time of its run without the build, in seconds; empty where nothing ran.
    pub seconds: Vec<f64>,
}

/// The values of every feed, or of every step where the job decodes, and how long each took, in seconds.
pub fn each(
    job: &Job,
    mut run: impl FnMut(&Tensors) -> Result<Tensors, RunError>,
) -> Result<(Vec<Tensors>, Vec<f64>), RunError> {
    let Some(decode) = &job.decode else { return timed(&job.feeds, run) };
    let (mut values, mut seconds) = (Vec::new(), Vec::new());
    let mut next = job.feeds.first().cloned();
    while let Some(feed) = next.take().filter(|_| values.len() < decode.steps) {
        let (made, took) = timed(std::slice::from_ref(&feed), &mut run)?;
        values.extend(made);
        seconds.extend(took);
        let fresh = job.feeds.get(values.len());
        if let Some(last) = values.last().filter(|_| values.len() < decode.steps) {
            let garbage = |reason| RunError::Garbage { backend: format!("step {}", values.len() - 1), reason };
            next = Some(decode.next(&feed, last, fresh).map_err(garbage)?);
        }
    }
    Ok((values, seconds))
}

/// The values of every feed, and how long each took, in seconds.
pub fn timed(
    feeds: &[Tensors],
    mut run: impl FnMut(&Tensors) -> Result<Tensors, RunError>,
) -> Result<(Vec<Tensors>, Vec<f64>), RunError> {
    let one = |feed: &Tensors| {
        let started = Instant::now();
        Ok((run(feed)?, started.elapsed().as_secs_f64()))
    };
    Ok(feeds.iter().map(one).collect::<Result<Vec<_>, RunError>>()?.into_iter().unzip())
}

impl Job {
    /// Runs `model` as the backend would by itself.
    pub fn new(model: impl Into<Arc<Lean>>, feeds: &[Tensors], outputs: &[String]) -> Job {
        let (feeds, outputs) = (feeds.to_vec(), outputs.to_vec());
        Job { model: model.into(), feeds, outputs, how: How::default(), against: None, decode: None }
    }

    /// The same, built in a certain way.
    pub fn built(self, how: How) -> Job {
        Job { how, ..self }
    }

    /// The same on some of the samples.
    pub fn part(&self, samples: Range<usize>) -> Job {
        let feeds = self.feeds.get(samples.clone()).map(<[_]>::to_vec).unwrap_or_default();
        Job { feeds, against: self.against.as_ref().map(|against| against.part(samples)), ..self.clone() }
    }
}

impl Against {
    /// That of some of the samples.
    fn part(&self, samples: Range<usize>) -> Against {
        let reference = self.reference.get(samples.clone()).map(<[_]>::to_vec).unwrap_or_default();
        Against { reference, tolerance: self.tolerance.get(samples).map(<[_]>::to_vec).unwrap_or_default() }
    }
}

impl From<Vec<Tensors>> for Answer {
    /// From a backend that has nothing else to tell.
    fn from(values: Vec<Tensors>) -> Answer {
        Answer { values, ..Answer::default() }
    }
}
