//! What can be asked of a backend besides a run. A question is a value, so whatever forwards one forwards all; a backend
//! that has nothing to tell says so.

use serde::{Deserialize, Serialize};

use super::{Backend, Engine, Job, Optimised, Placement, RunError};
use crate::tensor::DType;

/// A question; `J` is the job in it, which on its way to another process lies packed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Question<J = Job> {
    /// What are the outputs of the job's model, once it is built? Nothing is run.
    Outputs(J),
    /// How long do runs of the job's model take, on its first feed, after one to warm up?
    Latency {
        /// Its model, and the feed that is run.
        job: J,
        /// Timed runs; at least one. Fewer are enough where one takes long.
        runs: usize,
        /// Where does the time go? A backend that can tell runs a few times more for it.
        by_node: bool,
    },
    /// What does a session as the job has it make of the job's model? Nothing is run.
    Optimised(J),
    /// Which execution provider runs what of the job's model, in one run on its first feed?
    Placement(J),
    /// What does its parser refuse of the job's model? Nothing is built.
    Parse(J),
    /// The execution providers that its library was built with.
    Offers,
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
    /// To [`Question::Latency`].
    Time(Timed),
    /// To [`Question::Optimised`].
    Optimised(Optimised),
    /// To [`Question::Placement`].
    Placement(Placement),
    /// To [`Question::Parse`]: nothing where it takes the model.
    Parsed(Vec<Complaint>),
    /// To [`Question::Offers`]: the runtime's own names.
    Offers(Vec<String>),
    /// To [`Question::Engine`].
    Engine(Engine),
    /// To [`Question::Routes`].
    Routes(String),
}

/// What runs of a model took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Seconds of each.
    pub runs: Vec<f64>,
    /// Where the time of one goes, in the order in which they run; empty where that is not told.
    pub nodes: Vec<NodeTime>,
}

/// What one node, or layer, of what was built takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeTime {
    /// As the backend calls it: what was fused is one.
    pub node: String,
    /// Its operator, or the kind of its layer.
    pub op_type: String,
    /// Nodes of the model that it was made of, where the backend tells.
    #[serde(default)]
    pub from: Vec<String>,
    /// What runs it, where the backend has several.
    pub provider: String,
    /// Of the run in the middle.
    pub seconds: f64,
}

/// What a parser refuses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Complaint {
    /// The node, as the model calls it; `None` where it is about no single one.
    pub node: Option<String>,
    /// The parser's own words.
    pub words: String,
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
            Question::Latency { job, runs, by_node } => Question::Latency { job: change(job)?, runs, by_node },
            Question::Optimised(job) => Question::Optimised(change(job)?),
            Question::Placement(job) => Question::Placement(change(job)?),
            Question::Parse(job) => Question::Parse(change(job)?),
            Question::Offers => Question::Offers,
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

/// What so many runs of the job's model take, after one to warm up, and where the time goes; `None` where there is no such
/// number.
pub fn latency(backend: &dyn Backend, job: Job, runs: usize, by_node: bool) -> Result<Option<Timed>, RunError> {
    match backend.ask(&Question::Latency { job, runs, by_node })? {
        Told::Time(timed) => Ok(Some(timed)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// What a session makes of the job's model; nothing where the backend has no sessions.
pub fn optimised(backend: &dyn Backend, job: Job) -> Result<Option<Optimised>, RunError> {
    match backend.ask(&Question::Optimised(job))? {
        Told::Optimised(optimised) => Ok(Some(optimised)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// Who runs what of the job's model; nothing where there is one provider only.
pub fn placement(backend: &dyn Backend, job: Job) -> Result<Option<Placement>, RunError> {
    match backend.ask(&Question::Placement(job))? {
        Told::Placement(placement) => Ok(Some(placement)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// What its parser refuses of the job's model; `None` where it has no parser.
pub fn parse(backend: &dyn Backend, job: Job) -> Result<Option<Vec<Complaint>>, RunError> {
    match backend.ask(&Question::Parse(job))? {
        Told::Parsed(complaints) => Ok(Some(complaints)),
        Told::Nothing => Ok(None),
        _ => Err(astray(backend)),
    }
}

/// The execution providers of its library, by the runtime's own names; none where it has no such thing.
pub fn offers(backend: &dyn Backend) -> Result<Vec<String>, RunError> {
    match backend.ask(&Question::Offers)? {
        Told::Offers(names) => Ok(names),
        Told::Nothing => Ok(Vec::new()),
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
