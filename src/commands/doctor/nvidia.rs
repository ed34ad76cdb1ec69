//! NVIDIA's parts, found by their files: GPUs and driver version from /proc, libraries where the loader looks.
//! Loads and starts nothing.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, entries};
use crate::run::ort::library::Env;

/// Where to look.
pub struct Places {
    libraries: Vec<PathBuf>,
    driver: PathBuf,
}

impl Places {
    pub fn of(env: &Env) -> Places {
        Places { libraries: loader_folders(env), driver: PathBuf::from("/proc/driver/nvidia") }
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

/// TensorRT and TensorRT-RTX: on the loader's path, or in a Python package.
pub fn tensorrt(places: &Places, sites: &[PathBuf]) -> [Finding; 2] {
    let named_so = |path: &PathBuf| file_name(path).contains("tensorrt") && path.is_dir();
    let packages: Vec<PathBuf> = sites.iter().flat_map(|site| entries(site)).filter(named_so).collect();
    let folders: Vec<PathBuf> = packages.iter().flat_map(|package| [package.clone(), package.join("lib")]).collect();
    let folders: Vec<&PathBuf> = places.libraries.iter().chain(&folders).collect();
    let finding = |name, wanted: &[&str], advice: &str| {
        let files = folders.iter().flat_map(|folder| entries(folder));
        let path = files.filter(|path| path.is_file()).find(|path| wanted.iter().any(|w| is_version_of(path, w)));
        let advice = path.is_none().then(|| advice.to_string());
        let details = path.iter().map(|path| file_name(path).to_string()).collect();
        Finding { name, present: path.is_some(), details, path, advice }
    };
    [
        finding(
            "TensorRT",
            &["libnvinfer.so.11", "libnvinfer.so.10"],
            "run `python3 -m pip install tensorrt`, or unpack NVIDIA's archive and put its lib folder on LD_LIBRARY_PATH",
        ),
        finding(
            "TensorRT-RTX",
            &["libtensorrt_rtx.so"],
            "run `python3 -m pip install onnxruntime-ep-nv-tensorrt-rtx-cu13`, which carries it (for RTX GPUs)",
        ),
    ]
}

/// `libnvinfer.so.10.3.0` is a version of `libnvinfer.so.10`; `libnvinfer.so.101` is not.
fn is_version_of(path: &Path, library: &str) -> bool {
    file_name(path).strip_prefix(library).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Where the dynamic loader looks, in its order, and where NVIDIA's containers and WSL put the driver.
fn loader_folders(env: &Env) -> Vec<PathBuf> {
    let path = (env.variable)("LD_LIBRARY_PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let configs = entries(Path::new("/etc/ld.so.conf.d")).into_iter().filter_map(|file| fs::read_to_string(file).ok());
    for config in configs {
        folders.extend(config.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from));
    }
    let arch = std::env::consts::ARCH;
    folders.extend([format!("/lib/{arch}-linux-gnu"), format!("/usr/lib/{arch}-linux-gnu")].map(PathBuf::from));
    let usual = ["/usr/lib64", "/usr/lib", "/usr/local/lib", "/usr/local/cuda/lib64", "/usr/local/tensorrt/lib"];
    let driver = ["/usr/local/nvidia/lib64", "/usr/lib/wsl/lib", "/run/opengl-driver/lib", "/usr/local/cuda/compat"];
    folders.extend(usual.into_iter().chain(driver).map(PathBuf::from));
    let mut seen = HashSet::new();
    folders.retain(|folder| folder.is_absolute() && seen.insert(folder.clone()));
    folders
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
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
        let [trt, rtx] = tensorrt(&places, &[]);
        for missing in [gpus(&places), cuda_driver(&places), trt, rtx] {
            assert!(!missing.present && missing.advice.is_some(), "{missing:?}");
        }
    }

    #[test]
    fn tensorrt_by_its_file_names() {
        let check = |file: &str, expected: [bool; 2]| {
            let root = tree(&[(file, "")]);
            let found = tensorrt(&places(root.path()), &[root.path().join("site")]);
            assert_eq!(found.map(|f| f.present), expected, "{file}");
        };
        check("lib/libnvinfer.so.10", [true, false]);
        check("lib/libnvinfer.so.11.4.0", [true, false]);
        check("lib/libnvinfer.so.8", [false, false]);
        check("lib/libnvinfer.so.101", [false, false]);
        check("lib/libnvinfer_plugin.so.10", [false, false]);
        check("site/tensorrt_libs/libnvinfer.so.10", [true, false]);
        check("site/onnxruntime_ep_nv_tensorrt_rtx/libtensorrt_rtx.so.1.7.1", [false, true]);
        check("site/elsewhere/libtensorrt_rtx.so.1.7.1", [false, false]);
    }
}
