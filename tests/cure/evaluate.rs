//! What evaluate.py thinks of models: the rules of tolerance and the arithmetic are its own.
#![allow(dead_code)] // Debug prints it

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use layerdiff::found::Report;
use serde::{Deserialize, Serialize};

use crate::common::{program, root};

/// Models that must do as one reference does.
#[derive(Serialize)]
pub struct Job {
    pub reference: PathBuf,
    pub samples: Vec<PathBuf>,
    pub auto: bool,
    pub atol: f64,
    pub rtol: f64,
    pub models: Vec<PathBuf>,
}

#[derive(Deserialize, Debug)]
pub struct Verdict {
    pub agrees: bool,
    /// Relative RMS of the worst output; none where one is not finite.
    pub error: Option<f64>,
    pub why: String,
    /// Nodes of the main graph that make FP32 tensors, Casts aside.
    pub float32: Vec<String>,
}

impl Job {
    /// The exported model first, then the model without each single one of the kept nodes, made by `layerdiff convert`.
    pub fn new(model: &Path, samples: &[PathBuf], report: &Report, dir: &Path) -> Job {
        let found = report.overrides.as_ref().unwrap();
        let mut models = vec![PathBuf::from(&found.files["onnx"])];
        for (number, dropped) in found.nodes.iter().enumerate() {
            let out = dir.join(format!("without_{number}.onnx"));
            let kept = found.nodes.iter().filter(|n| *n != dropped).flat_map(|n| ["--keep", n]);
            let mut convert = program();
            convert.arg("convert").arg(model).args(["--to", "fp16", "--keep-io", "-o"]).arg(&out).args(kept);
            let output = convert.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            models.push(out);
        }
        let (atol, rtol) = (report.tolerance.atol.0, report.tolerance.rtol.0);
        let auto = report.tolerance.why.starts_with("auto");
        Job { reference: model.to_path_buf(), samples: samples.to_vec(), auto, atol, rtol, models }
    }
}

/// One verdict for each model of each job, all by one process.
pub fn evaluate(jobs: &[Job]) -> Vec<Vec<Verdict>> {
    let text = python("evaluate.py", &[], &serde_json::to_string(jobs).unwrap());
    serde_json::from_str(&text).unwrap()
}

/// Runs a script of this folder on these paths and this text, and gives what it prints.
pub fn python(script: &str, args: &[&Path], input: &str) -> String {
    let python = root().join("target/venv/bin/python");
    assert!(python.exists(), "{} is missing: run scripts/venv.sh tools", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/cure").join(script)).args(args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
