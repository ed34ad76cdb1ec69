//! The hidden `__worker` subcommand: a backend in a process of its own.

use std::process::ExitCode;

use crate::run::Backend;
use crate::run::ort::Ort;
use crate::run::tensorrt::TensorRt;
use crate::run::worker::{What, serve};

/// Serves the parent until it goes away.
pub fn run() -> ExitCode {
    serve(|task| {
        Ok(match task.what {
            What::OnnxRuntime { library, provider } => Box::new(Ort::new(&library, provider)?) as Box<dyn Backend>,
            What::TensorRt(options) => Box::new(TensorRt::start(*options)?),
        })
    })
}
