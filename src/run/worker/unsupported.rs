//! Workers where there are no Unix sockets: none.

use std::convert::Infallible;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::Task;
use crate::run::{About, Answer, Backend, Job, Question, RunError, Told};

/// There is none.
pub struct Worker {
    /// As elsewhere.
    pub timeout: Option<Duration>,
    never: Infallible,
}

impl Worker {
    /// Always an error: there are no workers on this system.
    pub fn start(task: &Task) -> Result<Worker, RunError> {
        Worker::start_with(Path::new(""), task)
    }

    /// Always an error.
    pub fn start_with(_: &Path, task: &Task) -> Result<Worker, RunError> {
        Err(missing(task.what.name()))
    }
}

impl Backend for Worker {
    fn about(&self) -> &About {
        match self.never {}
    }

    fn run(&self, _: &Job) -> Result<Answer, RunError> {
        match self.never {}
    }

    fn ask(&self, _: &Question) -> Result<Told, RunError> {
        match self.never {}
    }
}

/// Nobody asks it.
pub fn serve(_: impl FnOnce(Task) -> Result<Box<dyn Backend>, RunError>) -> ExitCode {
    ExitCode::from(2)
}

fn missing(what: String) -> RunError {
    RunError::Missing(format!("{what} needs a worker process, which layerdiff has on Linux and macOS only"))
}
