//! The hidden `__worker` subcommand: a backend in a process of its own.

use std::process::ExitCode;

use crate::run::ort::operators;
use crate::run::worker::serve;

/// Serves the parent until it goes away.
pub fn run() -> ExitCode {
    serve(|task| {
        operators::register(task.operators);
        task.what.start()
    })
}
