//! Which library is found, on small made-up machines. No variable of this process is read, no Python started.

use super::*;
use crate::run::tree::tree;

/// A home with these empty files, these variables (`~` is the home) and a Python that finds what is in `python`.
struct Machine {
    home: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    naming: Naming,
}

impl Machine {
    fn new(files: &[&str], variables: &[(&'static str, &str)]) -> Machine {
        let home = tree(files);
        let here = home.path().to_str().unwrap();
        let variables = variables.iter().map(|(name, value)| (*name, value.replace('~', here))).collect();
        Machine { home, variables, naming: Naming::HERE }
    }

    fn with_env<T>(&self, ask: impl FnOnce(&Env) -> T) -> T {
        let variable = |name: &str| Some(self.variables.iter().find(|(n, _)| *n == name)?.1.clone().into());
        let python = |module: &str| Some(self.home.path().join("python").join(module)).filter(|p| p.is_dir());
        ask(&Env { variable: &variable, python: &python, naming: self.naming })
    }

    /// The answer with the home written `~`.
    fn tell(&self, answer: Result<Library, RunError>) -> String {
        let told = match answer {
            Ok(library) => format!("{} ({})", library.path.display(), library.found),
            Err(error) => error.to_string(),
        };
        told.replace(self.home.path().to_str().unwrap(), "~")
    }
}

const HOME: (&str, &str) = ("HOME", "~");
const CACHED: &str = ".cache/layerdiff/onnxruntime-1.31.1/libonnxruntime.so.1.31.1";
const VENV: &str = "venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.24.1";
const PYTHON: &str = "python/onnxruntime/capi/libonnxruntime.so.1.23.0";

fn check(files: &[&str], variables: &[(&'static str, &str)], expected: &str) {
    let machine = Machine::new(files, variables);
    assert_eq!(machine.tell(machine.with_env(|env| find_in(None, env))), expected);
}

fn check_provider(files: &[&str], variables: &[(&'static str, &str)], provider: &str, expected: &str) {
    let machine = Machine::new(files, variables);
    let told = machine.tell(machine.with_env(|env| find_with_provider_in(None, provider, env)));
    assert!(told.contains(expected), "{told}");
}

#[test]
#[cfg(target_os = "linux")]
fn nearest_first() {
    let venv = ("VIRTUAL_ENV", "~/venv");
    let cached = "~/.cache/layerdiff/onnxruntime-1.31.1/libonnxruntime.so.1.31.1 (installed by `layerdiff setup`)";
    let in_venv = "~/venv/lib/python3.11/site-packages/onnxruntime/capi/libonnxruntime.so.1.24.1 \
                   (Python package in ~/venv/lib/python3.11/site-packages/onnxruntime)";
    let in_python = "~/python/onnxruntime/capi/libonnxruntime.so.1.23.0 (Python package in ~/python/onnxruntime)";
    check(&[CACHED, VENV, PYTHON, "my.so"], &[HOME, venv, ("ORT_DYLIB_PATH", "~/my.so")], "~/my.so (ORT_DYLIB_PATH)");
    check(&[CACHED, VENV, PYTHON], &[HOME, venv, ("ORT_DYLIB_PATH", "")], cached);
    check(&[CACHED, VENV], &[HOME, ("XDG_CACHE_HOME", "relative")], cached);
    check(&[CACHED, VENV], &[HOME, venv, ("XDG_CACHE_HOME", "~/else")], in_venv);
    check(&[VENV, PYTHON], &[HOME, venv], in_venv);
    check(&[VENV, PYTHON], &[HOME], in_python);
    check(&[VENV, PYTHON], &[], in_python);
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_found_says_what_to_run() {
    let missing = "ONNX Runtime 1.23 or newer was not found; run `layerdiff setup` (it fetches 1.31.1 with pip), or \
                   set ORT_DYLIB_PATH to libonnxruntime.so";
    check(&[], &[], missing);
    check(&["python/onnxruntime/capi/libonnxruntime.so.1.22.1"], &[HOME], missing);
    check(&["python/onnxruntime/capi/libonnxruntime_providers_shared.so"], &[HOME], missing);
}

#[test]
#[cfg(target_os = "linux")]
fn a_name_that_leads_nowhere_is_an_error() {
    let nowhere = "ORT_DYLIB_PATH names ~/no.so, which is not a file; let it name libonnxruntime.so";
    check(&[CACHED], &[HOME, ("ORT_DYLIB_PATH", "~/no.so")], nowhere);
    let folder = "ORT_DYLIB_PATH names ~, which is a folder, not a library; let it name libonnxruntime.so";
    check(&[CACHED], &[HOME, ("ORT_DYLIB_PATH", "~")], folder);
    let machine = Machine::new(&[CACHED], &[HOME]);
    let flag = machine.home.path().join("no.so");
    let told = machine.tell(machine.with_env(|env| find_in(Some(&flag), env)));
    assert_eq!(told, "--ort-library names ~/no.so, which is not a file; let it name libonnxruntime.so");
}

#[test]
#[cfg(target_os = "linux")]
fn python_is_not_started_when_the_cache_has_it() {
    let machine = Machine::new(&[CACHED], &[HOME]);
    let python = |_: &str| -> Option<PathBuf> { panic!("Python was started") };
    machine
        .with_env(|env| find_in(None, &Env { variable: env.variable, python: &python, naming: env.naming }))
        .unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_build_is_known_by_its_provider() {
    let openvino = "python/onnxruntime/capi/libonnxruntime_providers_openvino.so";
    check_provider(
        &[CACHED, PYTHON, openvino],
        &[HOME],
        "openvino",
        "~/python/onnxruntime/capi/libonnxruntime.so.1.23.0",
    );
    check_provider(&[CACHED, PYTHON], &[HOME], "openvino", "pip install onnxruntime-openvino`");
    check_provider(&[CACHED, PYTHON], &[HOME], "cuda", "pip install 'onnxruntime-gpu[cuda,cudnn]'`");
    let variable = ("LAYERDIFF_ORT_CUDA", "~/gpu.so");
    check_provider(&["gpu.so"], &[variable], "CUDA", "~/gpu.so (LAYERDIFF_ORT_CUDA)");
    check_provider(&[PYTHON], &[variable], "cuda", "LAYERDIFF_ORT_CUDA names ~/gpu.so, which is not a file");
    let beside = ["my.so", "libonnxruntime_providers_cuda.so"];
    check_provider(&beside, &[("ORT_DYLIB_PATH", "~/my.so")], "cuda", "~/my.so (ORT_DYLIB_PATH)");
}

#[test]
fn windows_has_its_own_places() {
    let cached = "AppData/layerdiff/onnxruntime-1.31.1/onnxruntime.dll";
    let packaged = "venv/Lib/site-packages/onnxruntime/capi/onnxruntime.dll";
    let provider = "venv/Lib/site-packages/onnxruntime/capi/onnxruntime_providers_cuda.dll";
    let variables = [("LOCALAPPDATA", "~/AppData"), ("VIRTUAL_ENV", "~/venv"), HOME];
    let check = |files: &[&str], provider: Option<&str>, expected: &str| {
        let machine = Machine { naming: Naming::Windows, ..Machine::new(files, &variables) };
        let found = machine.with_env(|env| match provider {
            Some(provider) => find_with_provider_in(None, provider, env),
            None => find_in(None, env),
        });
        let told = machine.tell(found);
        assert!(told.starts_with(&format!("~/{expected} (")), "{told}");
    };
    check(&[cached, packaged, provider], None, cached);
    check(&[packaged, provider], None, packaged);
    check(&[cached, packaged, provider], Some("cuda"), packaged);
}

#[test]
fn a_module_belongs_to_the_distribution_beside_it() {
    let machine = Machine::new(&["s/onnxruntime/x", "s/onnxruntime_openvino-1.24.1.dist-info/METADATA"], &[]);
    let folder = machine.home.path().join("s/onnxruntime");
    assert!(is_brought_by(&folder, "onnxruntime-openvino"));
    assert!(!is_brought_by(&folder, "onnxruntime"));
    assert!(!is_brought_by(&folder, "onnxruntime-gpu"));
}
