//! Run a model somewhere: [`Backend`] is the one trait of layerdiff, because it has several real implementations.
//! A backend is given a model, feeds and the names of the tensors to return. It knows no tolerance and no search.

pub mod check;
mod child;
mod command;
pub mod exec;
pub mod ort;
pub mod saved;
pub mod worker;

use serde::{Deserialize, Serialize};

use crate::load::Lean;
use crate::report::BackendInfo;
use crate::tensor::Tensors;

/// Why a backend has no answer. None of these is a wrong result: a crash says nothing about accuracy.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum RunError {
    /// A library or an execution provider is not there, or is too old: the message says what to install.
    #[error("{0}")]
    Missing(String),
    /// The model was refused when the session or engine was built.
    #[error("{backend} could not build the model: {reason}")]
    Build { backend: String, reason: String },
    /// The built model failed while it ran.
    #[error("{backend} failed while running the model: {reason}")]
    Run { backend: String, reason: String },
    /// The process of the backend died.
    #[error("{backend} crashed: {reason}")]
    Crash { backend: String, reason: String },
    /// The backend answered, but not with what was asked for.
    #[error("{backend} answered with garbage: {reason}")]
    Garbage { backend: String, reason: String },
    /// A check gave no answer that could be built on.
    #[error("{0}")]
    Unclear(String),
    #[error("interrupted")]
    Interrupted,
}

/// Something that runs ONNX models.
pub trait Backend: Send + Sync {
    /// What it is, for the report. `spec` is filled in by the caller.
    fn info(&self) -> BackendInfo;

    /// Can it give a value for the tensor of this name? Backends that run models can try for every one.
    fn stores(&self, _tensor: &str) -> bool {
        true
    }

    /// Does it run models, parts of models included? Stored tensors do not.
    fn runs(&self) -> bool {
        true
    }

    /// Builds `model` once and runs it on every feed, in order; gives back the tensors named in `outputs`, each a graph
    /// output of `model`. A tensor that the backend has no value for is left out, and the caller says "not compared".
    fn run(&self, model: &Lean, feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError>;
}
