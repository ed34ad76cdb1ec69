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

/// What a stage found, and what ended it before its end: what was found stays found.
#[derive(Clone, Debug, Default)]
pub struct Ended<T> {
    /// As far as it came.
    pub value: T,
    /// `None`: it came to its end.
    pub halted: Option<RunError>,
}

impl<T> Ended<T> {
    /// Of a stage that came to its end.
    pub fn well(value: T) -> Ended<T> {
        Ended { value, halted: None }
    }

    /// Puts what was found in its place; an error if that is not all of it.
    pub fn keep(self, place: &mut T) -> Result<(), RunError> {
        *place = self.value;
        self.halted.map_or(Ok(()), Err)
    }
}
