//! NVIDIA's libraries for ONNX Runtime's CUDA provider: found where pip, a toolkit or the user put them, and loaded before the
//! provider asks for them by name, so that no LD_LIBRARY_PATH is needed. Builds no session; knows no GPU.

mod elf;

use std::fs;
use std::path::{Path, PathBuf};

use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{self, ExecutionProviderDispatch};

use super::library::{Env, site_packages};
use super::options::with;
use crate::run::RunError;
use crate::run::cuda::driver_is_present;
use crate::run::tensorrt::library::loader_folders;

/// One of NVIDIA's libraries.
struct Part {
    /// Without version: `libcublas.so`
    stem: &'static str,
    /// The version in the file's name for CUDA 12 and 13.
    versions: [&'static str; 2],
    /// The pip packages that bring it for CUDA 12 and 13. Those of CUDA 13 carry no 13 in their names.
    packages: [&'static str; 2],
}

const fn part(stem: &'static str, versions: [&'static str; 2], packages: [&'static str; 2]) -> Part {
    Part { stem, versions, packages }
}

/// In the order in which they need each other. cuDNN's own parts are not here: it finds them beside itself, and loads those
/// that a model needs.
const PARTS: [Part; 8] = [
    part("libcudart.so", ["12", "13"], ["nvidia-cuda-runtime-cu12", "nvidia-cuda-runtime~=13.0"]),
    part("libnvrtc.so", ["12", "13"], ["nvidia-cuda-nvrtc-cu12", "nvidia-cuda-nvrtc~=13.0"]),
    part("libnvJitLink.so", ["12", "13"], ["nvidia-nvjitlink-cu12", "nvidia-nvjitlink~=13.0"]),
    part("libcublasLt.so", ["12", "13"], ["nvidia-cublas-cu12", "nvidia-cublas~=13.0"]),
    part("libcublas.so", ["12", "13"], ["nvidia-cublas-cu12", "nvidia-cublas~=13.0"]),
    part("libcurand.so", ["10", "10"], ["nvidia-curand-cu12", "nvidia-curand~=10.0"]),
    part("libcufft.so", ["11", "12"], ["nvidia-cufft-cu12", "nvidia-cufft~=12.0"]),
    part("libcudnn.so", ["9", "9"], ["nvidia-cudnn-cu12~=9.0", "nvidia-cudnn-cu13~=9.0"]),
];

/// What a provider's file asks for.
#[derive(Debug, PartialEq)]
struct Needs {
    /// CUDA's major version: 12 or 13.
    major: u32,
    /// Files that the provider cannot be loaded without; the others it opens when a model needs them.
    at_once: Vec<String>,
}

/// Where to look, in this order.
#[derive(Clone, Debug, Default)]
struct Places {
    /// Folders with libraries that the user named: LD_LIBRARY_PATH.
    named: Vec<PathBuf>,
    /// `site-packages` of Python: the one that ONNX Runtime lies in, then those of the environment.
    sites: Vec<PathBuf>,
    /// Folders of the dynamic loader and of NVIDIA's installers.
    system: Vec<PathBuf>,
}

/// A library that is nowhere.
#[derive(Clone, Debug, PartialEq)]
struct Missing {
    file: String,
    package: &'static str,
    at_once: bool,
}

/// CUDA as one of ONNX Runtime's providers on a GPU, with float32 products in TF32 or in full.
pub fn provider(tf32: bool, device: usize, options: &[(String, String)]) -> ExecutionProviderDispatch {
    // Always said, since versions differ in what they take for granted. By timing (the default), the same convolution may get
    // another kernel in each session, and rows of two sessions could not be compared; the heuristic depends on shapes and GPU
    // alone. The fixed algorithm builds sessions faster (2 s instead of 11 for a detector in FP16, every tensor marked), but takes
    // tensor cores for no convolution of float32 and is 40 times slower: not what is deployed (measured on an H200, cuDNN 9).
    let cuda = ep::CUDA::default().with_tf32(tf32).with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic);
    let cuda = cuda.with_device_id(i32::try_from(device).unwrap_or(i32::MAX));
    with(cuda, options).build().error_on_failure()
}

/// Loads what the CUDA provider beside ONNX Runtime's `library` needs. What it may need later and is nowhere comes back as a
/// sentence for the message of a model that fails.
pub fn preload(library: &Path) -> Result<Option<String>, RunError> {
    if !driver_is_present() {
        let what =
            "no NVIDIA driver here: libcuda.so.1 was not found; run on a machine with an NVIDIA GPU and its driver";
        return Err(RunError::Missing(what.to_string()));
    }
    // A file that cannot be read is ONNX Runtime's to complain about.
    let Some(needs) = needs_of(&super::library::provider_file(library, "cuda")) else { return Ok(None) };
    let env = Env::process();
    let mut places = Places::of(library, &env);
    let (mut found, mut missing) = find(&needs, &places);
    // Starting Python is slow: it is asked when all else has failed.
    if !missing.is_empty()
        && let Some(site) = (env.python)("nvidia").as_deref().and_then(Path::parent)
    {
        places.sites.push(site.to_path_buf());
        (found, missing) = find(&needs, &places);
    }
    for path in found {
        let loaded = ort::util::preload_dylib(&path);
        loaded.map_err(|e| RunError::Missing(format!("{} cannot be loaded: {e}", path.display())))?;
    }
    // The loader knows places that we do not.
    missing.retain(|missing| ort::util::preload_dylib(&missing.file).is_err());
    match missing.iter().any(|missing| missing.at_once) {
        true => Err(RunError::Missing(advice(&needs, &missing))),
        false => Ok((!missing.is_empty()).then(|| advice(&needs, &missing))),
    }
}

/// The files that are there, in the order of loading, and those that are not.
fn find(needs: &Needs, places: &Places) -> (Vec<PathBuf>, Vec<Missing>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    let folders = places.folders();
    let column = usize::from(needs.major == 13);
    for part in &PARTS {
        let file = format!("{}.{}", part.stem, part.versions[column]);
        let at_once = needs.at_once.contains(&file);
        match folders.iter().map(|folder| folder.join(&file)).find(|path| path.is_file()) {
            Some(path) => found.push(path),
            // Newer cuFFT and cuDNN bring it in themselves; who needs it as a file of its own says so when loaded.
            None if part.stem == "libnvJitLink.so" && !at_once => {}
            None => missing.push(Missing { file, package: part.packages[column], at_once }),
        }
    }
    (found, missing)
}

/// `ONNX Runtime's CUDA provider needs libcublas.so.13 ..., which were not found; run `python3 -m pip install ...``
fn advice(needs: &Needs, missing: &[Missing]) -> String {
    let files: Vec<&str> = missing.iter().map(|m| m.file.as_str()).collect();
    let mut packages: Vec<&str> = missing.iter().map(|m| m.package).collect();
    packages.dedup();
    let were = if files.len() == 1 { "which was" } else { "which were" };
    format!(
        "ONNX Runtime's CUDA provider needs {} (CUDA {}), {were} not found; run `python3 -m pip install {}` where onnxruntime-gpu is",
        files.join(", "),
        needs.major,
        packages.join(" ")
    )
}

/// What the provider's file was linked with; `None` when it is not a provider of a CUDA that we know.
fn needs_of(provider: &Path) -> Option<Needs> {
    needs_from(elf::needed(provider).ok()?)
}

fn needs_from(needed: Vec<String>) -> Option<Needs> {
    let version = needed.iter().find_map(|file| {
        ["libcudart.so.", "libcublas.so.", "libcublasLt.so."].iter().find_map(|stem| file.strip_prefix(stem))
    });
    let major = version?.split('.').next()?.parse().ok()?;
    let known = matches!(major, 12 | 13);
    known.then_some(Needs { major, at_once: needed })
}

impl Places {
    fn of(library: &Path, env: &Env) -> Places {
        let named = (env.variable)("LD_LIBRARY_PATH").unwrap_or_default();
        let named = std::env::split_paths(&named).filter(|folder| folder.is_absolute()).collect();
        // `site-packages/onnxruntime/capi/libonnxruntime.so`; a link leads to where the packages are.
        let beside = [Some(library.to_path_buf()), fs::canonicalize(library).ok()];
        let beside = beside.into_iter().flatten().filter_map(|path| path.ancestors().nth(3).map(Path::to_path_buf));
        let below = |name: &str, inner: &str| (env.variable)(name).map(|root| PathBuf::from(root).join(inner));
        let roots = [below("VIRTUAL_ENV", "lib"), below("CONDA_PREFIX", "lib"), below("HOME", ".local/lib")];
        let mut sites: Vec<PathBuf> = beside.collect();
        sites.extend(roots.into_iter().flatten().flat_map(|lib| site_packages(&lib)));
        Places { named, sites, system: loader_folders(env.variable) }
    }

    /// All folders that may hold libraries. pip puts CUDA 12 into `nvidia/cublas/lib` and so on, CUDA 13 into `nvidia/cu13/lib`
    /// and cuDNN into `nvidia/cudnn/lib`.
    fn folders(&self) -> Vec<PathBuf> {
        let packaged = self.sites.iter().flat_map(|site| {
            let entries = fs::read_dir(site.join("nvidia")).into_iter().flatten().flatten();
            let mut libs: Vec<PathBuf> = entries.map(|e| e.path().join("lib")).filter(|lib| lib.is_dir()).collect();
            libs.sort();
            libs
        });
        self.named.iter().cloned().chain(packaged).chain(self.system.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests;
