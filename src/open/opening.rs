//! What is known before the first run: the model, the machine, the data.

use crate::found::{Environment, InputsInfo, ModelInfo, Note, Opening};
use crate::lab::Side;
use crate::load::Model;
use crate::open::sides;
use crate::run::ort::Runtime;

/// Of the model, the reference and the data; the candidate and the rules are the caller's.
pub fn opening(model: &Model, reference: &Side, ort: &Runtime, inputs: InputsInfo) -> Opening {
    let mut notes = notes(model);
    notes.extend(inputs.synthetic.then_some(Note::Synthetic));
    Opening {
        command: command(),
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
        notes,
        ..Opening::default()
    }
}

/// What was left out when the model was read.
pub fn notes(model: &Model) -> Vec<Note> {
    model.warnings.iter().cloned().map(Note::Model).collect()
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
