//! Workers where there are no Unix sockets: none.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::Task;
use crate::found::BackendInfo;
use crate::load::Lean;
use crate::run::{Backend, RunError};
use crate::tensor::Tensors;

pub struct Worker {
    pub timeout: Option<Duration>,
}

impl Worker {
    pub fn start(task: &Task) -> Result<Worker, RunError> {
        Worker::start_with(Path::new(""), task)
    }

    pub fn start_with(_: &Path, task: &Task) -> Result<Worker, RunError> {
        Err(missing(task.name()))
    }
}

impl Backend for Worker {
    fn info(&self) -> BackendInfo {
        BackendInfo::default()
    }

    fn run(&self, _: &Lean, _: &[Tensors], _: &[String]) -> Result<Vec<Tensors>, RunError> {
        Err(missing("this backend".to_string()))
    }
}

pub fn serve(_: impl FnOnce(Task) -> Result<Box<dyn Backend>, RunError>) -> ExitCode {
    ExitCode::from(2)
}

fn missing(what: String) -> RunError {
    RunError::Missing(format!("{what} needs a worker process, which layerdiff has on Linux and macOS only"))
}
