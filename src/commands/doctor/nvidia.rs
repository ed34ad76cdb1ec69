//! NVIDIA's driver and GPUs, found by their files: models and version from /proc, libcuda where the loader looks. Loads and starts
//! nothing.

use std::fs;
use std::path::PathBuf;

use super::{Finding, entries};
use crate::run::ort::library::Env;
use crate::run::tensorrt::library;

/// Where to look.
pub struct Places {
    libraries: Vec<PathBuf>,
    driver: PathBuf,
}

/// What there is to run engines on.
#[derive(Clone, Debug, Default)]
pub struct Gpu {
    pub driver: bool,
    pub models: Vec<String>,
}

impl Places {
    pub fn of(env: &Env) -> Places {
        Places { libraries: driver_folders(env), driver: PathBuf::from("/proc/driver/nvidia") }
    }
}

pub fn gpus(places: &Places) -> Finding {
    let folders = entries(&places.driver.join("gpus"));
    let model = |gpu: &PathBuf| {
        let information = fs::read_to_string(gpu.join("information")).ok()?;
        let line = information.lines().find_map(|line| line.strip_prefix("Model:"))?;
        Some(line.trim().to_string())
    };
    let details: Vec<String> = folders.iter().filter_map(model).collect();
    let advice = details.is_empty().then(|| {
        "the driver shows no NVIDIA GPU; in a container, start it with its GPUs (`docker run --gpus all`)".to_string()
    });
    Finding { name: "NVIDIA GPUs", present: !details.is_empty(), details, path: None, advice }
}

pub fn cuda_driver(places: &Places) -> Finding {
    let path = places.libraries.iter().map(|folder| folder.join("libcuda.so.1")).find(|path| path.is_file());
    let version = fs::read_to_string(places.driver.join("version")).ok().and_then(|text| driver_version(&text));
    let advice = path.is_none().then(|| {
        "libcuda.so.1 comes with NVIDIA's driver; install the driver (CPU candidates do without it)".to_string()
    });
    let details = if path.is_some() { version.into_iter().collect() } else { vec![] };
    Finding { name: "CUDA driver", present: path.is_some(), details, path, advice }
}

/// `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build` -> `580.159.04`
fn driver_version(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.lines().next()?.split_whitespace().find(is_version).map(str::to_string)
}

/// Where the dynamic loader looks, and where NVIDIA's containers and WSL put the driver.
fn driver_folders(env: &Env) -> Vec<PathBuf> {
    let driver = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib", "/usr/local/cuda/compat"];
    library::loader_folders(env.variable).into_iter().chain(driver.map(PathBuf::from)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        root
    }

    fn places(root: &Path) -> Places {
        Places { libraries: vec![root.join("none"), root.join("lib")], driver: root.join("driver") }
    }

    #[test]
    fn a_gpu_machine() {
        let version =
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build\nGCC 15.3.0\n";
        let gpu = "Model: \t\t NVIDIA H200\nIRQ:   \t\t 41\n";
        let gpus_and_driver =
            [("driver/version", version), ("driver/gpus/0:6/information", gpu), ("lib/libcuda.so.1", "")];
        let root = tree(&gpus_and_driver);
        let found = gpus(&places(root.path()));
        assert_eq!((found.details, found.advice), (vec!["NVIDIA H200".to_string()], None));
        let found = cuda_driver(&places(root.path()));
        assert_eq!(found.path, Some(root.path().join("lib/libcuda.so.1")));
        assert_eq!(found.details, ["580.159.04"]);
    }

    #[test]
    fn what_is_missing_comes_with_advice() {
        let root = tree(&[]);
        let places = places(root.path());
        for missing in [gpus(&places), cuda_driver(&places)] {
            assert!(!missing.present && missing.advice.is_some(), "{missing:?}");
        }
    }
}
