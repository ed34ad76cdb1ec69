//! Why there is no answer: one enum for all of a run, with the data of each failure, so that whoever is told can tell a crash
//! from a refusal, and a full disk from either. All of them end with the same exit status.

use serde::{Deserialize, Serialize};

/// Why a backend has no answer. None of these is a wrong result: a crash says nothing about accuracy.
#[derive(Clone, Debug, PartialEq, thiserror::Error, Serialize, Deserialize)]
pub enum RunError {
    /// A library or an execution provider is not there, or is too old: the message says what to install.
    #[error("{0}")]
    Missing(String),
    /// The model was refused when the session or engine was built.
    #[error("{backend} could not build the model: {reason}")]
    Build {
        /// Who refused it.
        backend: String,
        /// Its own words.
        reason: String,
    },
    /// The built model failed while it ran.
    #[error("{backend} failed while running the model: {reason}")]
    Run {
        /// Whose session or engine it was.
        backend: String,
        /// Its own words.
        reason: String,
    },
    /// The process of the backend died.
    #[error("{backend} crashed: {reason}")]
    Crash {
        /// Whose process it was.
        backend: String,
        /// How it ended: the signal or status, its last words.
        reason: String,
    },
    /// The backend answered, but not with what was asked for.
    #[error("{backend} answered with garbage: {reason}")]
    Garbage {
        /// Who answered.
        backend: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Data could not be given to the backend, or come back from it: files that could not be written or read.
    #[error("nothing can be exchanged with {backend}: {reason}")]
    Exchange {
        /// With whom.
        backend: String,
        /// Which file, and what the system said.
        reason: String,
    },
    /// The backend has nothing to tell of what it was asked.
    #[error("it tells nothing of {what}")]
    Silent {
        /// The thing that was asked of it.
        what: String,
    },
    /// A file that the user was promised could not be written: the reason names it.
    #[error("{reason}")]
    Unwritten {
        /// What it was to be: the report, a page, a model.
        what: String,
        /// Which file, and what the system said.
        reason: String,
    },
    /// A model was written, but ONNX Runtime does not load it.
    #[error(
        "{path} was written, but ONNX Runtime does not load it on the CPU: {reason}; another runtime may, or --keep that node"
    )]
    NotLoaded {
        /// The model that was written.
        path: String,
        /// ONNX Runtime's own words.
        reason: String,
    },
    /// A check neither passed nor failed on the full model.
    #[error(
        "the check says nothing about the full model: {why}; it must exit with 0 when the model passes and with 1 when it fails (see --fail-code, --fail-regex, --check-timeout)"
    )]
    CheckUndecided {
        /// What it did instead.
        why: String,
    },
    /// A check failed on the full model in some runs only.
    #[error(
        "the check flaps: {fails} of {runs} runs on the full model fail, the others pass; make it say the same every time (seeds, one thread, no shared files)"
    )]
    CheckFlaps {
        /// Runs that failed: at least one, and not all.
        fails: usize,
        /// All runs on the full model.
        runs: usize,
    },
    /// A reproducer was found and its files could not be written.
    #[error("the reproducer could not be written: {reason}")]
    UnwrittenReproducer {
        /// Which file, and what the system said.
        reason: String,
    },
    /// Nobody could run the command that a reproducer's files are proved by.
    #[error("the reproducer could not be proved: {reason}")]
    Unproved {
        /// Why the command could not be started.
        reason: String,
    },
    /// The files of a reproducer do not show the failure that it was made of.
    #[error("{path} does not show the failure: {why}")]
    LostReproducer {
        /// The reproducer's folder.
        path: String,
        /// What its files show instead.
        why: String,
    },
    /// The failure is there, and nothing smaller than the model shows it; why, where that is known.
    #[error("{}", why.as_deref().unwrap_or("there is no reproducer"))]
    NoReproducer {
        /// `None` where the words would add nothing.
        why: Option<String>,
    },
    /// The user stopped the run.
    #[error("interrupted")]
    Interrupted,
}

impl RunError {
    /// Files between us and `backend` failed.
    pub fn exchange(backend: impl Into<String>) -> impl Fn(anyhow::Error) -> RunError {
        let backend = backend.into();
        move |e| RunError::Exchange { backend: backend.clone(), reason: format!("{e:#}") }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_files_is_no_failure_of_a_model() {
        let full = RunError::exchange("the exec command")(anyhow::anyhow!("no space left"));
        assert_eq!(full.to_string(), "nothing can be exchanged with the exec command: no space left");
        let reason = "no space left".to_string();
        assert_eq!(
            RunError::UnwrittenReproducer { reason }.to_string(),
            "the reproducer could not be written: no space left"
        );
        assert_eq!(RunError::NoReproducer { why: None }.to_string(), "there is no reproducer");
    }
}
