//! Run a model somewhere: [`Backend`] is the one trait of layerdiff, because it has several real implementations.
//! A backend is given a model, feeds and the names of the tensors to return. It knows no tolerance and no search.

pub mod check;
pub mod child;
mod command;
pub mod cuda;
pub mod exec;
pub mod ort;
pub mod pool;
pub mod ready;
pub mod saved;
pub mod tensorrt;
#[cfg(test)]
mod tree;
pub mod worker;

use std::collections::HashMap;
use std::thread::{self, ScopedJoinHandle};

use serde::{Deserialize, Serialize};

use crate::compare::{Comparison, Tolerance};
pub use crate::failure::RunError;
use crate::found::BackendInfo;
use crate::load::Lean;
use crate::tensor::{DType, Tensors};
use ort::Output;

/// How a model is to be built, beyond what the backend was started with. Most backends have nothing to choose.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct How {
    /// Nodes (by name) that a builder which lowers precision by itself must leave in float32.
    pub float32: Vec<String>,
    /// How tensors that are asked for, and are no outputs of the model, become visible.
    pub observe: Observe,
    /// Knobs of the compiler.
    pub route: Option<String>,
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
}

/// Comparisons by the name of the tensor.
pub type Judged = HashMap<String, Comparison>;

/// Values that a backend compares its own with, by the names of its own.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// By sample.
    pub reference: Vec<Tensors>,
    /// By sample; what has no tolerance is not compared.
    pub tolerance: Vec<HashMap<String, Tolerance>>,
}

/// What a builder made of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Built {
    pub seconds: f64,
    pub layers: Vec<Layer>,
}

/// One layer of an engine: a node, several fused ones, or one that the builder added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    pub name: String,
    pub kind: String,
    /// Realised types of its outputs, as the engine calls them.
    pub types: Vec<String>,
    /// The ONNX nodes it came from.
    pub nodes: Vec<String>,
}

/// What a ready engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    pub bindings: Vec<Binding>,
    pub layers: Vec<Layer>,
    /// Bytes of device memory that a run needs besides inputs, outputs and weights.
    pub device_memory: Option<u64>,
}

/// An input or output of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    pub name: String,
    pub input: bool,
    pub dtype: DType,
    /// -1 for a dimension that the profiles leave open.
    pub shape: Vec<i64>,
    /// By profile: the smallest, the usual and the largest shape.
    pub profiles: Vec<[Vec<i64>; 3]>,
}

impl Against {
    /// That of some of the samples.
    fn part(&self, samples: std::ops::Range<usize>) -> Against {
        let reference = self.reference.get(samples.clone()).map(<[_]>::to_vec).unwrap_or_default();
        Against { reference, tolerance: self.tolerance.get(samples).map(<[_]>::to_vec).unwrap_or_default() }
    }
}

/// Waits for a thread of `who`. Its panic is a failure of its own, not ours.
pub fn join<T>(thread: ScopedJoinHandle<'_, Result<T, RunError>>, who: &str) -> Result<T, RunError> {
    let panicked = || RunError::Crash { backend: who.to_string(), reason: "its thread panicked".to_string() };
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

/// Each in a thread of its own; the results in order, or the first error.
pub fn at_the_same_time<T: Send>(
    who: &str,
    work: impl Iterator<Item = impl FnOnce() -> Result<T, RunError> + Send>,
) -> Result<Vec<T>, RunError> {
    thread::scope(|scope| {
        let threads: Vec<_> = work.map(|work| scope.spawn(work)).collect();
        let joined: Vec<_> = threads.into_iter().map(|thread| join(thread, who)).collect();
        joined.into_iter().collect()
    })
}

/// Something that runs ONNX models.
pub trait Backend: Send + Sync {
    /// What it is, for the report. `spec` is filled in by the caller.
    fn info(&self) -> BackendInfo;

    /// Can it give a value for the tensor of this name? Backends that run models can try for every one.
    fn stores(&self, _tensor: &str) -> bool {
        true
    }

    /// Can it make tensors visible in this way? Every backend that runs models can mark them as outputs.
    fn observes(&self, how: Observe) -> bool {
        how == Observe::Outputs
    }

    /// Does marking cost it something? Then it fuses and chooses kernels by what is marked, and a build may take minutes.
    fn is_engine(&self) -> bool {
        false
    }

    /// Calls that run at the same time; more of them wait for each other.
    fn width(&self) -> usize {
        1
    }

    /// Does it run models, parts of models included? Stored tensors do not.
    fn runs(&self) -> bool {
        true
    }

    /// Seconds that one run of the built `model` takes: the median of `runs`, after one to warm up. `None` where there is no
    /// such number: an emulation takes its own time.
    fn latency(&self, _model: &Lean, _feed: &Tensors, _runs: usize) -> Result<Option<f64>, RunError> {
        Ok(None)
    }

    /// Builds `model` once and runs it on every feed, in order; gives back the tensors named in `outputs`, each a graph
    /// output of `model`. A tensor that the backend has no value for is left out, and the caller says "not compared".
    fn run(&self, model: &Lean, feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError>;

    /// The same, built in a certain way; with [`Observe::Debug`] and [`Observe::Unfused`], `outputs` may name any tensor.
    fn build(&self, model: &Lean, feeds: &[Tensors], outputs: &[String], _how: &How) -> Result<Answer, RunError> {
        Ok(Answer { values: self.run(model, feeds, outputs)?, ..Answer::default() })
    }

    /// Can it compare values where they lie?
    fn compares(&self) -> bool {
        false
    }

    /// As [`Backend::run`], but what can be compared where it lies is, and copied only if it differs.
    fn run_against(
        &self,
        model: &Lean,
        feeds: &[Tensors],
        outputs: &[String],
        _against: &Against,
    ) -> Result<Answer, RunError> {
        Ok(Answer { values: self.run(model, feeds, outputs)?, ..Answer::default() })
    }

    /// The engine that it was started with, if it was.
    fn engine(&self) -> Result<Option<Engine>, RunError> {
        Ok(None)
    }

    /// What it says of the outputs of `model` once that is built; nothing where it says nothing.
    fn outputs(&self, _model: &Lean) -> Result<Vec<Output>, RunError> {
        Ok(Vec::new())
    }

    /// The knobs of its compiler, as it tells them; none where it has no such thing.
    fn routes(&self) -> Result<Option<String>, RunError> {
        Ok(None)
    }
}
