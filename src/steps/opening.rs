//! A report before the first run: the model, the machine, the data; and what is left of it when the user interrupts.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::sides;
use crate::load::Model;
use crate::probe::Side;
use crate::probe::journal::Question;
use crate::report::{self, Environment, InputsInfo, ModelInfo, Report, Verdict};
use crate::run::ort::Ort;

/// A warning of every report without real data.
pub const SYNTHETIC: &str = "the input data is synthetic; real data may show another first culprit";

/// A report of which only the model, the reference and the data are known.
pub fn report(model: &Model, reference: &Side, ort: &Ort, inputs: InputsInfo) -> Report {
    let mut warnings = model.warnings.clone();
    if inputs.synthetic {
        warnings.push(SYNTHETIC.to_string());
    }
    Report {
        schema: report::SCHEMA.to_string(),
        layerdiff: env!("CARGO_PKG_VERSION").to_string(),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        verdict: Verdict::Inconclusive,
        why: Some("not finished".to_string()),
        model: ModelInfo {
            path: model.path.display().to_string(),
            sha256: String::new(),
            opset: model.proto.opset(),
            nodes: model.proto.graph.as_ref().map_or(0, |g| g.nodes_in_all()),
            initializer_bytes: model.initializer_bytes,
        },
        reference: sides::info(reference, None),
        inputs,
        environment: environment(ort),
        warnings,
        ..Report::default()
    }
}

fn environment(ort: &Ort) -> Environment {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|l| l.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_string())
    });
    let os = std::fs::read_to_string("/etc/os-release").ok().and_then(|text| {
        let line = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="))?;
        Some(line.trim_matches('"').to_string())
    });
    Environment {
        os: os.unwrap_or_else(|| std::env::consts::OS.to_string()),
        cpu: cpu.unwrap_or_else(|| std::env::consts::ARCH.to_string()),
        onnxruntime: ort.version(),
        ..Environment::default()
    }
}

/// What a journal is about.
pub fn question(report: &Report) -> Question {
    let tolerance = &report.tolerance;
    Question {
        model_sha256: report.model.sha256.clone(),
        reference: report.reference.spec.clone(),
        candidate: report.candidate.spec.clone(),
        inputs: report.inputs.source.clone(),
        tolerance: format!("{} {} {}", tolerance.atol.0, tolerance.rtol.0, tolerance.why),
    }
}

/// The report as far as it has come, for the moment the user interrupts something that cannot be stopped.
static SO_FAR: Mutex<Option<(PathBuf, Report)>> = Mutex::new(None);

/// Remembers a partial report.
pub fn so_far(dir: &Path, report: &Report) {
    *SO_FAR.lock().unwrap_or_else(PoisonError::into_inner) = Some((dir.to_path_buf(), report.clone()));
}

/// Writes the remembered report, as interrupted.
pub fn write_so_far() {
    if let Some((dir, mut report)) = SO_FAR.lock().unwrap_or_else(PoisonError::into_inner).take() {
        report.verdict = Verdict::Inconclusive;
        report.why = Some("interrupted".to_string());
        drop(report::json::write(&dir.join("report.json"), &report));
    }
}
