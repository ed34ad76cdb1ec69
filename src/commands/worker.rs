//! The hidden `__worker` subcommand: a backend in a process of its own.

use std::process::ExitCode;

use crate::run::cuda::{Cuda, CudaError};
use crate::run::ort::{Ort, Provider};
use crate::run::tensorrt::TensorRt;
use crate::run::worker::{What, serve};
use crate::run::{Backend, RunError};

/// Serves the parent until it goes away.
pub fn run() -> ExitCode {
    serve(|task| {
        is_there(&task.what)?;
        Ok(match task.what {
            What::OnnxRuntime { library, provider } => Box::new(Ort::new(&library, provider)?) as Box<dyn Backend>,
            What::TensorRt(options) => Box::new(TensorRt::start(*options)?),
        })
    })
}

/// A GPU that somebody chose by its number. A machine without any says so when one is needed.
fn is_there(what: &What) -> Result<(), RunError> {
    let device = match what {
        What::OnnxRuntime { provider: Provider::Cuda { device, .. }, .. } => *device,
        What::OnnxRuntime { .. } => 0,
        What::TensorRt(options) => options.device,
    };
    match (device > 0).then(|| Cuda::open(device)) {
        Some(Err(CudaError::NoDevice(why))) => Err(RunError::Missing(why)),
        _ => Ok(()),
    }
}
