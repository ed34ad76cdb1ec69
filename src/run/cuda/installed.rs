//! NVIDIA's driver and GPUs, found by their files: models and version from /proc, libcuda where the loader looks. Loads and starts
//! nothing.

use std::fs;
use std::path::PathBuf;

use crate::run::ort::library::Env;
use crate::run::tensorrt::library::loader_folders;

/// Where to look.
pub struct Places {
    /// Folders that may hold libcuda, the first one that does counts.
    pub libraries: Vec<PathBuf>,
    /// What the kernel's driver says of itself.
    pub driver: PathBuf,
}

impl Places {
    /// Where the dynamic loader looks, and where NVIDIA's containers and WSL put the driver.
    pub fn of(env: &Env) -> Places {
        let more = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib", "/usr/local/cuda/compat"];
        let libraries = loader_folders(env.variable).into_iter().chain(more.map(PathBuf::from)).collect();
        Places { libraries, driver: PathBuf::from("/proc/driver/nvidia") }
    }

    /// The model of each GPU that the driver shows.
    pub fn gpus(&self) -> Vec<String> {
        let folders = fs::read_dir(self.driver.join("gpus")).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
        folders.sort();
        let model = |gpu: &PathBuf| {
            let information = fs::read_to_string(gpu.join("information")).ok()?;
            let line = information.lines().find_map(|line| line.strip_prefix("Model:"))?;
            Some(line.trim().to_string())
        };
        folders.iter().filter_map(model).collect()
    }

    /// NVIDIA's driver library, `libcuda.so.1`.
    pub fn libcuda(&self) -> Option<PathBuf> {
        self.libraries.iter().map(|folder| folder.join("libcuda.so.1")).find(|path| path.is_file())
    }

    /// `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build` -> `580.159.04`
    pub fn driver_version(&self) -> Option<String> {
        let text = fs::read_to_string(self.driver.join("version")).ok()?;
        let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
        text.lines().next()?.split_whitespace().find(is_version).map(str::to_string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tree::filled;

    #[test]
    fn a_gpu_machine() {
        let version =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC 15.3.0\n";
        let gpu = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 41\n";
        let root =
            filled(&[("driver/version", version), ("driver/gpus/0:6/information", gpu), ("lib/libcuda.so.1", "")]);
        let libraries = vec![root.path().join("none"), root.path().join("lib")];
        let places = Places { libraries, driver: root.path().join("driver") };
        assert_eq!(places.gpus(), ["NVIDIA H200"]);
        assert_eq!(places.libcuda(), Some(root.path().join("lib/libcuda.so.1")));
        assert_eq!(places.driver_version().as_deref(), Some("580.159.04"));
    }
}
