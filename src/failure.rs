//! Why there is no answer: one enum for all of a run, so that whoever is told can tell a crash from a refusal.

use serde::{Deserialize, Serialize};

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
