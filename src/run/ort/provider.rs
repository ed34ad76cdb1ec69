//! Which execution provider runs the nodes, and how a session gets it.

use std::path::PathBuf;

use ort::ep::{self, ExecutionProviderDispatch};
use ort::session::builder::SessionBuilder;
use serde::{Deserialize, Serialize};

use super::options::{last_of_each, with};
use super::reason::{one_line, whole};
use super::{Ort, capi, cuda, known, library};
use crate::run::{RunError, Tf32};

/// Where nodes run. What the provider does not take falls back to the CPU, as in every ONNX Runtime program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Provider {
    /// ONNX Runtime's own kernels.
    Cpu,
    /// A provider of the loaded library, as users call it: `openvino`, `tensorrt`.
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
    /// Makes a plug-in library known to the environment; the names of its providers.
    pub(super) fn register(&self) -> Result<Vec<String>, RunError> {
        let Provider::Plugin { name, library } = &self.provider else { return Ok(Vec::new()) };
        let before = self.providers();
        let named = |names: &[String]| names.iter().filter(|own| known::same(own, name)).cloned().collect::<Vec<_>>();
        let already = named(&before);
        if !already.is_empty() {
            return Ok(already);
        }
        self.environment.register_ep_library(name, library).map_err(|e| {
            let reason = one_line(&e.to_string());
            RunError::Missing(format!("{} is not a plug-in provider of this ONNX Runtime: {reason}", library.display()))
        })?;
        let now = self.providers();
        let own = named(&now);
        // A plug-in may call its provider otherwise than the user does: what came with it is meant.
        Ok(if own.is_empty() { now.into_iter().filter(|name| !before.contains(name)).collect() } else { own })
    }

    /// A provider that this library was not built with is not here, and is no unknown name. One with a file of its own beside the
    /// library is tried in any case.
    pub(super) fn has_provider(&self) -> Result<(), RunError> {
        let Provider::Built(name) = &self.provider else { return Ok(()) };
        let offered = capi::offered();
        if library::has_provider(&self.library, name)
            || offered.iter().any(|own| known::same(own, &self.full_name(name)))
        {
            return Ok(());
        }
        let offered: Vec<String> = offered.iter().map(|full| known::as_users_say(full)).collect();
        Err(RunError::Missing(format!(
            "{} (ONNX Runtime {}) has no execution provider '{name}'; it offers {}; {}",
            self.library.display(),
            self.version(),
            if offered.is_empty() { "none".to_string() } else { offered.join(", ") },
            known::advice(name, &library::plain_name())
        )))
    }

    /// The runtime's name of a provider that users call so.
    pub(super) fn full_name(&self, name: &str) -> String {
        let own = self.plugs.first().cloned();
        let known = || known::by_name(name).map(|known| known.full.to_string());
        let offered = || capi::offered().into_iter().find(|full| known::same(full, name));
        own.or_else(known).or_else(offered).unwrap_or_else(|| name.to_string())
    }

    /// The session will run on this provider; an error where there is no device of it.
    pub(super) fn provide(
        &self,
        builder: SessionBuilder,
        options: &[(String, String)],
    ) -> Result<SessionBuilder, RunError> {
        let refused = |e: ort::Error<SessionBuilder>| {
            RunError::Missing(format!("{} could not start its provider: {}", self.name(), self.words.of(&e)))
        };
        match &self.provider {
            // Once a plug-in is registered, ordinary sessions run on it silently: name the CPU's device instead.
            Provider::Cpu => {
                let cpu = self.environment.devices().filter(|d| d.ep().is_ok_and(|ep| ep == "CPUExecutionProvider"));
                builder.with_devices(cpu, None).map_err(refused)
            }
            Provider::Plugin { name, .. } => {
                let devices: Vec<_> = self
                    .environment
                    .devices()
                    .filter(|d| d.ep().is_ok_and(|ep| self.plugs.iter().any(|own| own == ep)))
                    .collect();
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
            Provider::Built(name) => self.built_in(builder, name, options),
        }
    }

    /// The library's own; where it does not start, with all that was said and logged of it.
    fn built_in(
        &self,
        builder: SessionBuilder,
        name: &str,
        options: &[(String, String)],
    ) -> Result<SessionBuilder, RunError> {
        let attempt = || match with_struct(name, options) {
            Some(own) => builder.with_execution_providers([own]).map_err(|e| e.to_string()),
            None => {
                let mut builder = builder;
                capi::append(&mut builder, &self.full_name(name), &last_of_each(options)).map(|()| builder)
            }
        };
        let (built, heard) = self.listening(attempt);
        built.map_err(|why| {
            let why = whole(&[vec![why], heard].concat().join("\n"));
            RunError::Missing(format!("{} could not start its provider: {why}", self.name()))
        })
    }
}

/// Those that the runtime does not take by a name and options, but by a structure of their own.
fn with_struct(name: &str, options: &[(String, String)]) -> Option<ExecutionProviderDispatch> {
    let provider = match known::by_name(name)?.name {
        "tensorrt" => with(ep::TensorRT::default(), options).build(),
        "cann" => with(ep::CANN::default(), options).build(),
        "rocm" => with(ep::ROCm::default(), options).build(),
        "dnnl" => with(ep::OneDNN::default(), options).build(),
        "acl" => {
            let fast = options.iter().rev().find(|(key, _)| key == "enable_fast_math");
            let fast = fast.is_some_and(|(_, value)| matches!(value.as_str(), "1" | "true"));
            ep::ACL::default().with_fast_math(fast).build()
        }
        _ => return None,
    };
    Some(provider.error_on_failure())
}
