//! What can be asked of a backend besides a run. A question is a value, so whatever forwards one forwards all; a backend
//! that has nothing to tell says so.

use serde::{Deserialize, Serialize};

use super::{Backend, Engine, Job, RunError};
use crate::tensor::DType;

/// A question; `J` is the job in it, which on its way to another process lies packed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question<J = Job> {
    /// What are the outputs of the job's model, once it is built? Nothing is run.
    Outputs(J),
    /// How long does a run of the job's model take, on its first feed: the median of `runs`, after one to warm up?
    Latency {
        /// Its model, and the feed that is run.
        job: J,
        /// Timed runs, of which the median counts; at least one.
        runs: usize,
    },
    /// The engine that it was started with.
    Engine,
    /// The knobs of its compiler, as it tells them.
    Routes,
}

/// What a backend says to a [`Question`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// There is no such thing here: an emulation takes its own time, and a command has no compiler.
    Nothing,
    /// To [`Question::Outputs`].
    Outputs(Vec<Output>),
    /// To [`Question::Latency`]: of each run.
    Seconds(Vec<f64>),
    /// To [`Question::Engine`].
    Engine(Engine),
    /// To [`Question::Routes`].
    Routes(String),
}

/// One output of a model that was built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// As the model calls it.
    pub name: String,
    /// `None` for sequences, maps and optionals.
    pub dtype: Option<DType>,
    /// `None` for dimensions that only a run can tell.
    pub shape: Vec<Option<usize>>,
}

impl Output {
    /// Bytes of a value, where the shape is known.
    pub fn bytes(&self) -> Option<usize> {
        let elements = self.shape.iter().try_fold(1usize, |n, d| n.checked_mul((*d)?))?;
        self.dtype?.byte_len(elements)
    }
}

impl<J> Question<J> {
    /// The same question about what `change` makes of its job.
    pub fn with<K, E>(self, change: impl FnOnce(J) -> Result<K, E>) -> Result<Question<K>, E> {
        Ok(match self {
            Question::Outputs(job) => Question::Outputs(change(job)?),
            Question::Latency { job, runs } => Question::Latency { job: change(job)?, runs },
            Question::Engine => Question::Engine,
            Question::Routes => Question::Routes,
        })
    }
}

/// Of the job's model once it is built; none where the backend says nothing of them.
pub fn outputs(backend: &dyn Backend, job: Job) -> Result<Vec<Output>, RunError> {
    match backend.ask(&Question::Outputs(job))? {
        Told::Outputs(outputs) => Ok(outputs),
        Told::Nothing => Ok(Vec::new()),
        _ => Err(astray(backend)),
    }
}

/// Seconds of every one of so many runs of the job's model, after one to warm up; `None` where there is no such number.
pub fn latency(backend: &dyn Backend, job: Job, runs: usize) -> Result<Option<Vec<f64>>, RunError> {
    match backend.ask(&Question::Latency { job, runs })? {
        Told::Seconds(seconds) => Ok(Some(seconds)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// The engine that the backend was started with, if it was.
pub fn engine(backend: &dyn Backend) -> Result<Option<Engine>, RunError> {
    match backend.ask(&Question::Engine)? {
        Told::Engine(engine) => Ok(Some(engine)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// The knobs of its compiler; none where it has no such thing.
pub fn routes(backend: &dyn Backend) -> Result<Option<String>, RunError> {
    match backend.ask(&Question::Routes)? {
        Told::Routes(routes) => Ok(Some(routes)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

fn astray(backend: &dyn Backend) -> RunError {
    let reason = "it answers another question than it was asked".to_string();
    RunError::Garbage { backend: backend.about().info.backend.clone(), reason }
}
