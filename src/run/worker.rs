//! A backend in a process of its own: layerdiff again, under the hidden subcommand `__worker`, kept alive over many runs.
//! One process holds one ONNX Runtime, and a vendor's crash must be an answer, not our end.
//!
//! Orders and replies are lines of JSON on a socket that the worker has as its standard input: what a vendor's library
//! prints cannot disturb them. Models and tensors travel as files in private folders (`parcel`). `wire` is the language of
//! the two sides; `parent` starts and asks, `serve` answers, `steps` tells how far a build is, and `what` lists the backends
//! that live so. Here is a task: one of them, and its environment.

mod parcel;
pub mod steps;
mod what;
#[cfg(unix)]
mod wire;

#[cfg(unix)]
mod parent;
#[cfg(unix)]
mod serve;
#[cfg(not(unix))]
mod unsupported;

#[cfg(unix)]
pub use parent::Worker;
#[cfg(unix)]
pub use serve::serve;
#[cfg(not(unix))]
pub use unsupported::{Worker, serve};

pub use what::What;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::ort::{Provider, operators};
use super::tensorrt;

/// The hidden subcommand under which layerdiff is a worker.
pub const SUBCOMMAND: &str = "__worker";

/// What a worker is, and the environment that its libraries need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The backend that it is.
    pub what: What,
    /// Set before the process starts, so that it reaches the loader: `LD_LIBRARY_PATH` of the library's own folder, say.
    pub env: Vec<(String, String)>,
    /// Libraries of custom operators that its sessions know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<PathBuf>,
}

impl Task {
    /// A provider that is built into a library finds the vendor's libraries beside it.
    pub fn new(library: PathBuf, provider: Provider) -> Task {
        let env = match (&provider, library.parent()) {
            (Provider::Built(_) | Provider::Cuda { .. }, Some(folder)) => vec![search_in(folder)],
            _ => Vec::new(),
        };
        Task { what: What::OnnxRuntime { library, provider }, env, operators: operators::libraries().to_vec() }
    }

    /// With this variable set for the process.
    pub fn with(mut self, name: &str, value: &str) -> Task {
        self.env.push((name.to_string(), value.to_string()));
        self
    }

    /// On the GPU of this number, where it uses one.
    pub fn on(mut self, gpu: usize) -> Task {
        if let Some(chosen) = self.what.gpu() {
            *chosen = gpu;
        }
        self
    }

    /// Its libraries are opened by their paths, and find each other.
    pub fn tensorrt(options: tensorrt::Options) -> Task {
        Task { what: What::TensorRt(Box::new(options)), env: Vec::new(), operators: Vec::new() }
    }
}

/// The variable that makes the loader look into `folder` first.
fn search_in(folder: &Path) -> (String, String) {
    let variable = if cfg!(target_os = "macos") { "DYLD_LIBRARY_PATH" } else { "LD_LIBRARY_PATH" };
    // An empty part would mean the current folder.
    let before = std::env::var(variable).ok().filter(|v| !v.is_empty());
    let folders = std::iter::once(folder.display().to_string()).chain(before);
    (variable.to_string(), folders.collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_built_in_provider_finds_its_neighbours() {
        let task = Task::new(PathBuf::from("/some/where/lib.so"), Provider::Built("openvino".to_string()));
        let [(_, folders)] = &task.env[..] else { panic!("{task:?}") };
        assert_eq!(folders.split(':').next(), Some("/some/where"));
        assert!(!folders.ends_with(':'), "{folders}");
        assert!(Task::new(PathBuf::from("/some/where/lib.so"), Provider::Cpu).env.is_empty());
    }
}
