//! The hidden `__worker` subcommand: a backend in a process of its own.

use std::process::ExitCode;

use crate::run::Backend;
use crate::run::ort::Ort;
use crate::run::worker::serve;

/// Serves the parent until it goes away.
pub fn run() -> ExitCode {
    serve(|task| {
        let ort = Ort::new(&task.library, task.provider)?;
        Ok(Box::new(ort) as Box<dyn Backend>)
    })
}
