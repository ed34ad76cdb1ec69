//! `layerdiff doctor`: what is there (ONNX Runtime, the CUDA driver, TensorRT, GPUs), and the line that gets what is not.
//! Looks for files only; what is loaded is ONNX Runtime, by the caller's `probe`, and TensorRT and other builds of ONNX Runtime,
//! in worker processes.

pub mod nvidia;
mod tensorrt;

use std::cell::{Cell, OnceCell};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde::{Serialize, Serializer};

use crate::cli::DoctorArgs;
use crate::found;
use crate::found::words::wrap;
use crate::run::cuda::installed::Places;
use crate::run::ort::library::{self, Env, Naming};
use crate::run::ort::{Ort, Provider, known, runtime};
use crate::run::question;
use crate::run::tensorrt::library::Found;
use crate::run::worker::{Task, Worker};

/// Of the details of a finding.
const COLUMNS: usize = 88;

/// What ONNX Runtime says about itself once it is loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct OrtInfo {
    /// Of the library: `1.23.0`.
    pub version: String,
    /// Execution providers of this build, as ONNX Runtime calls them.
    pub providers: Vec<String>,
}

/// One thing that layerdiff can use.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Finding {
    name: &'static str,
    present: bool,
    /// Versions, providers, models: what there is to know about it.
    pub details: Vec<String>,
    #[serde(serialize_with = "lossily")]
    path: Option<PathBuf>,
    /// What to do when it is missing or does not work.
    advice: Option<String>,
}

/// JSON is text, and a path may be none.
fn lossily<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.to_string_lossy()).serialize(to)
}

#[derive(Serialize)]
struct Findings {
    layerdiff: &'static str,
    findings: Vec<Finding>,
}

/// `layerdiff doctor`: says on `out` what is here. What is missing is no error. `probe` loads the library at a path and
/// asks it.
pub fn run(
    args: &DoctorArgs,
    flag: Option<&Path>,
    probe: impl Fn(&Path) -> Result<OrtInfo, String>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    look(args, flag, probe, tensorrt::ask, out)
}

fn look(
    args: &DoctorArgs,
    flag: Option<&Path>,
    probe: impl Fn(&Path) -> Result<OrtInfo, String>,
    ask_tensorrt: impl Fn(&Found) -> Result<tensorrt::Info, String>,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let python = Python::start();
    let variable = |name: &str| std::env::var_os(name);
    let env = Env { variable: &variable, python: &|module| python.package(module), naming: Naming::HERE };
    let places = Places::of(&env);
    // ONNX Runtime is loaded while Python starts.
    let mut findings = vec![onnxruntime(flag, &env, probe)];
    let (first, others) = (["cuda", "openvino"], known::ALL.iter().map(|known| known.name));
    findings.extend(first.map(|provider| other_build(flag, provider, &env)));
    let others = others.filter(|name| !["tensorrt"].contains(name) && !first.contains(name));
    findings.extend(others.map(|name| other_build(flag, name, &env)).filter(|finding| finding.present));
    let (gpus, driver) = (nvidia::gpus(&places), nvidia::cuda_driver(&places));
    let gpu = nvidia::Gpu { driver: driver.present, models: gpus.details.clone() };
    findings.extend([gpus, driver]);
    findings.extend(tensorrt::findings(&tensorrt::Places::of(&env), python.folders(), &gpu, ask_tensorrt));
    let findings = Findings { layerdiff: env!("CARGO_PKG_VERSION"), findings };
    if args.json {
        out.write_all(found::json::pretty(&findings)?.as_bytes())?;
    } else {
        write_text(&findings, out)?;
    }
    Ok(())
}

/// Loads a library and asks it: the `probe` of every real run.
pub fn ask(library: &Path) -> Result<OrtInfo, String> {
    if let Some(died) = runtime::died() {
        return Err(format!("loading it ended the process: {died}"));
    }
    let ort = Ort::new(library, Provider::Cpu).map_err(|e| e.to_string())?;
    Ok(OrtInfo { version: ort.version(), providers: ort.offered() })
}

fn write_text(findings: &Findings, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "layerdiff {}", findings.layerdiff)?;
    for finding in &findings.findings {
        let mark = if finding.present { "found" } else { "missing" };
        let details = Some(finding.details.join(", ")).filter(|details| !details.is_empty());
        let path = finding.path.as_ref().map(|path| path.display().to_string());
        let mut row = format!("{:<22} {mark:<7}", finding.name);
        // Paths and advice are copied from here: they stay in one line.
        let details = details.iter().flat_map(|details| wrap(details, COLUMNS));
        for line in details.chain(path).chain(finding.advice.clone()) {
            writeln!(out, "{row} {line}")?;
            row = " ".repeat(30);
        }
    }
    Ok(())
}

fn onnxruntime(flag: Option<&Path>, env: &Env, probe: impl Fn(&Path) -> Result<OrtInfo, String>) -> Finding {
    let name = "ONNX Runtime";
    let library = match library::find_in(flag, env) {
        Ok(library) => library,
        Err(error) => return Finding { name, advice: Some(error.to_string()), ..Finding::default() },
    };
    let how = library.found.to_string();
    let (details, advice) = match probe(&library.path) {
        Ok(info) => (vec![info.version, how, info.providers.join(" ")], None),
        Err(why) => {
            let advice =
                format!("it cannot be used ({why}); run `layerdiff setup`, or name another with ORT_DYLIB_PATH");
            (vec![how], Some(advice))
        }
    };
    Finding { name, present: true, details, path: Some(library.path), advice }
}

fn other_build(flag: Option<&Path>, provider: &'static str, env: &Env) -> Finding {
    let name = match provider {
        "cuda" => "ONNX Runtime, CUDA",
        "openvino" => "ONNX Runtime, OpenVINO",
        other => other,
    };
    match library::find_with_provider_in(flag, provider, env) {
        Ok(library) => {
            let details = vec![library.found.to_string(), offers(&library.path)];
            Finding { name, present: true, details, path: Some(library.path), advice: None }
        }
        Err(error) => Finding { name, advice: Some(error.to_string()), ..Finding::default() },
    }
}

/// The providers of another library, or why it does not load: asked in a process of its own, for one process holds one.
fn offers(library: &Path) -> String {
    let ask = || question::offers(&Worker::start(&Task::new(library.to_path_buf(), Provider::Cpu))?);
    ask().map_or_else(|e| format!("it cannot be used: {e}"), |names| names.join(" "))
}

/// Python's import path, asked for once: Python starts at once and is waited for when somebody needs the answer.
struct Python {
    child: Cell<Option<Child>>,
    folders: OnceCell<Vec<PathBuf>>,
}

impl Python {
    fn start() -> Python {
        const PATH: &str = "import sys; print('\\n'.join(p for p in sys.path if p))";
        let mut command = Command::new(Naming::HERE.python());
        command.args(["-c", PATH]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        Python { child: Cell::new(command.spawn().ok()), folders: OnceCell::new() }
    }

    fn folders(&self) -> &[PathBuf] {
        self.folders.get_or_init(|| {
            let mut answer = String::new();
            if let Some(mut child) = self.child.take() {
                let _ = child.stdout.take().map(|mut stdout| stdout.read_to_string(&mut answer));
                let _ = child.wait();
            }
            answer.lines().map(PathBuf::from).collect()
        })
    }

    fn package(&self, module: &str) -> Option<PathBuf> {
        self.folders().iter().map(|site| site.join(module)).find(|folder| folder.is_dir())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_library_that_does_not_load_is_told() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("ort.so"), "").unwrap();
        let env = Env { variable: &|_| None, python: &|_| None, naming: Naming::HERE };
        let path = root.path().join("ort.so");
        let found = onnxruntime(Some(&path), &env, |_| Err("file too short".to_string()));
        assert!(found.present && found.advice.is_some_and(|a| a.contains("(file too short); run `layerdiff setup`")));
        let info = OrtInfo { version: "1.31.1".to_string(), providers: vec!["CPUExecutionProvider".to_string()] };
        let found = onnxruntime(Some(&path), &env, |_| Ok(info.clone()));
        assert_eq!(found.details, ["1.31.1", "--ort-library", "CPUExecutionProvider"]);
        let found = onnxruntime(None, &env, |_| Ok(info.clone()));
        assert!(!found.present && found.advice.is_some_and(|a| a.contains("layerdiff setup")));
    }

    #[test]
    fn json_is_json() {
        let mut out = Vec::new();
        let probe = |_: &Path| Err(String::new());
        let ask = |_: &Found| Err("not here".to_string());
        look(&DoctorArgs { json: true }, Some(Path::new("/nowhere")), probe, ask, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["findings"][0]["name"], "ONNX Runtime");
        assert_eq!(json["findings"][0]["present"], false);
        let names: Vec<&str> = json["findings"].as_array().unwrap().iter().filter_map(|f| f["name"].as_str()).collect();
        let last = ["NVIDIA GPUs", "CUDA driver", "TensorRT", "TensorRT-RTX"];
        assert_eq!(names[3..7], last, "{names:?}");
    }
}
