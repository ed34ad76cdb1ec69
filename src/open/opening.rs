//! A report before the first run: the model, the machine, the data; and what is left of it when the run does not come to
//! its end.

mod early;

pub use early::{finished, settled, so_far, write_so_far};

use crate::found::{self, Environment, InputsInfo, ModelInfo, Report, Verdict};
use crate::lab::Side;
use crate::load::Model;
use crate::open::sides;
use crate::run::ort::Runtime;

/// A warning of every report without real data.
pub const SYNTHETIC: &str = "the input data is synthetic; real data may show another first culprit";

/// A report of which only the model, the reference and the data are known.
pub fn report(model: &Model, reference: &Side, ort: &Runtime, inputs: InputsInfo) -> Report {
    let mut warnings = model.warnings.clone();
    if inputs.synthetic {
        warnings.push(SYNTHETIC.to_string());
    }
    Report {
        schema: found::SCHEMA.to_string(),
        layerdiff: env!("CARGO_PKG_VERSION").to_string(),
        command: command(),
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

/// The command line, as text.
pub fn command() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

fn environment(ort: &Runtime) -> Environment {
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
