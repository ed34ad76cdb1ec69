//! Which execution provider runs the nodes, and how a session gets it.

use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;
use serde::{Deserialize, Serialize};

use super::configured::with;
use super::reason::{one_line, reason};
use super::{Ort, cuda};
use crate::run::{RunError, Tf32};

/// Where nodes run. What the provider does not take falls back to the CPU, as in every ONNX Runtime program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// A provider of the loaded library: `openvino`, `tensorrt`.
    Built(String),
    /// The provider `cuda` of the loaded library on the GPU of this number; float32 products in full, or in TF32.
    Cuda {
        /// Products of float32 may take 10 bits of mantissa.
        tf32: bool,
        /// As CUDA counts, from 0.
        device: usize,
    },
    /// A plug-in library, registered under a name.
    Plugin {
        /// As ONNX Runtime registers it, and as users call it behind `ort-`.
        name: String,
        /// The file to load.
        library: PathBuf,
    },
}

impl Provider {
    /// As users call it; `None`: the CPU.
    pub fn name(&self) -> Option<&str> {
        match self {
            Provider::Cpu => None,
            Provider::Cuda { .. } => Some("cuda"),
            Provider::Built(name) | Provider::Plugin { name, .. } => Some(name),
        }
    }

    /// What it may multiply float32 with: those on NVIDIA's libraries are told by us, but for plug-ins.
    pub(super) fn tf32(&self) -> Tf32 {
        match self {
            Provider::Plugin { name, .. } if ["cuda", "tensorrt"].contains(&name.as_str()) => Tf32::Unknown,
            Provider::Cuda { .. } | Provider::Built(_) if self.is_on_cuda() => Tf32::Told,
            _ => Tf32::Never,
        }
    }

    /// Does it need NVIDIA's libraries?
    pub(super) fn is_on_cuda(&self) -> bool {
        match self {
            Provider::Cuda { .. } => true,
            Provider::Built(name) => name == "tensorrt",
            Provider::Cpu | Provider::Plugin { .. } => false,
        }
    }
}

impl Ort {
    /// Makes a plug-in library known to the environment.
    pub(super) fn register(&self) -> Result<(), RunError> {
        let Provider::Plugin { name, library } = &self.provider else { return Ok(()) };
        if self.providers().iter().any(|p| same_provider(p, name)) {
            return Ok(());
        }
        self.environment.register_ep_library(name, library).map_err(|e| {
            let reason = one_line(&e.to_string());
            RunError::Missing(format!("{} is not a plug-in provider of this ONNX Runtime: {reason}", library.display()))
        })
    }

    /// The session will run on this provider; an error where there is no device of it.
    pub(super) fn provide(
        &self,
        builder: SessionBuilder,
        options: &[(String, String)],
    ) -> Result<SessionBuilder, RunError> {
        let refused = |e: ort::Error<SessionBuilder>| {
            let reason = reason(&e, self.lacks.as_deref());
            RunError::Missing(format!("{} could not start its provider: {reason}", self.name()))
        };
        match &self.provider {
            // Once a plug-in is registered, ordinary sessions run on it silently: name the CPU's device instead.
            Provider::Cpu => {
                let cpu = self.environment.devices().filter(|d| d.ep().is_ok_and(|ep| ep == "CPUExecutionProvider"));
                builder.with_devices(cpu, None).map_err(refused)
            }
            Provider::Plugin { name, .. } => {
                let devices: Vec<_> =
                    self.environment.devices().filter(|d| d.ep().is_ok_and(|ep| same_provider(ep, name))).collect();
                if devices.is_empty() {
                    let offered = self.providers().join(", ");
                    return Err(RunError::Missing(format!(
                        "no device of provider '{name}' here; there are: {offered}"
                    )));
                }
                builder.with_devices(devices, Some(options)).map_err(refused)
            }
            Provider::Cuda { tf32, device } => {
                builder.with_execution_providers([cuda::provider(*tf32, *device, options)]).map_err(refused)
            }
            Provider::Built(name) => {
                let provider = built_in(name, options).ok_or_else(|| {
                    RunError::Missing(format!(
                        "execution provider '{name}' is unknown; use cuda, tensorrt or openvino, or name its plug-in library with --ep-library {name}=PATH"
                    ))
                })?;
                builder.with_execution_providers([provider]).map_err(refused)
            }
        }
    }
}

fn built_in(name: &str, options: &[(String, String)]) -> Option<ExecutionProviderDispatch> {
    let provider = match name {
        "tensorrt" => with(ep::TensorRT::default(), options).build(),
        "openvino" => with(ep::OpenVINO::default(), options).build(),
        _ => return None,
    };
    Some(provider.error_on_failure())
}

/// `ggml`, `GGML` and `GgmlExecutionProvider` are the same provider.
fn same_provider(full: &str, name: &str) -> bool {
    let short = |s: &str| s.to_ascii_lowercase().replace("executionprovider", "");
    short(full) == short(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_have_several_spellings() {
        assert!(same_provider("CPUExecutionProvider", "cpu") && same_provider("ggml", "GGML"));
        assert!(!same_provider("ggml", "cpu"));
    }
}
