//! The backends that live in workers: what each is called, where it runs, and how it starts. A new one is a variant here.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::run::cuda::{Cuda, CudaError};
use crate::run::ort::{Ort, Provider};
use crate::run::tensorrt::{self, TensorRt};
use crate::run::{Backend, RunError};

/// A backend that is to live in a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// ONNX Runtime of this library with one execution provider.
    OnnxRuntime {
        /// The file to load.
        library: PathBuf,
        /// Where nodes run.
        provider: Provider,
    },
    /// TensorRT or TensorRT-RTX.
    TensorRt(Box<tensorrt::Options>),
}

impl What {
    /// As messages call it.
    pub fn name(&self) -> String {
        match self {
            What::OnnxRuntime { provider, .. } => match provider.name() {
                None => "ONNX Runtime".to_string(),
                Some(name) => format!("ONNX Runtime with {name}"),
            },
            What::TensorRt(_) => "TensorRT".to_string(),
        }
    }

    /// The number of its GPU, where it uses one that can be chosen.
    pub fn gpu(&mut self) -> Option<&mut usize> {
        match self {
            What::OnnxRuntime { provider: Provider::Cuda { device, .. }, .. } => Some(device),
            What::OnnxRuntime { .. } => None,
            What::TensorRt(options) => Some(&mut options.device),
        }
    }

    /// In this process. A GPU that somebody chose by its number must be there; a machine without any says so when one is
    /// needed.
    pub fn start(mut self) -> Result<Box<dyn Backend>, RunError> {
        let chosen = self.gpu().map(|gpu| *gpu).filter(|gpu| *gpu > 0);
        if let Some(Err(CudaError::NoDevice(why))) = chosen.map(Cuda::open) {
            return Err(RunError::Missing(why));
        }
        Ok(match self {
            What::OnnxRuntime { library, provider } => Box::new(Ort::new(&library, provider)?),
            What::TensorRt(options) => Box::new(TensorRt::start(*options)?),
        })
    }
}
