//! What a run was about: the model, both sides, the data, the tolerance, the machine. Values only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;
use super::words::{clean, file_name};
use crate::spec::{Accumulate, Precision, Weights};

/// The model under debugging.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    /// As the user named it.
    pub path: String,
    /// Of the model file, 64 hexadecimal digits; data in other files is not in it.
    pub sha256: String,
    /// The version of the default domain (`ai.onnx`).
    pub opset: i64,
    /// Nodes of the graph and of its subgraphs.
    pub nodes: usize,
    /// What its initializers take, those in other files and in subgraphs too.
    pub initializer_bytes: u64,
}

/// One side: what ran the model, or the command that decides in its place.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendInfo {
    /// As the user writes it.
    pub spec: String,
    /// "onnxruntime", "TensorRT", "exec", "saved", "check".
    pub backend: String,
    /// Of the backend; empty where it tells none.
    pub version: String,
    /// The precision in words, and how it is computed.
    pub precision: String,
    /// The same as a value; `None` where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computes: Option<Precision>,
    /// What an emulation adds up in, where that is not FP32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<Accumulate>,
    /// What an emulation makes of weights beyond its range, where that is not infinity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
    /// The user's command, where that decides and nothing is compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// The execution provider, the library or the command.
    pub provider: String,
    /// Why this candidate was chosen, when the user named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl BackendInfo {
    /// `ort:fp16`, `ort:fp16 with FP16 accumulation`; whatever is known where a partial report has no SPEC. Cleaned of control
    /// characters.
    pub fn told(&self) -> String {
        let sums = if self.accumulate == Some(Accumulate::Fp16) { " with FP16 accumulation" } else { "" };
        match (self.spec.is_empty(), self.backend.is_empty()) {
            (false, _) => clean(&self.spec) + sums,
            (true, false) => clean(&self.backend),
            (true, true) => "an unknown backend".into(),
        }
    }

    /// `ort:fp16 (onnxruntime 1.23.0, fp16, CPUExecutionProvider)`. Cleaned of control characters.
    pub fn described(&self) -> String {
        let version = format!("{} {}", self.backend, self.version);
        let parts = [version.trim(), &self.precision, &self.provider];
        let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).map(clean).collect();
        if parts.is_empty() { self.told() } else { format!("{} ({})", self.told(), parts.join(", ")) }
    }
}

/// The data that both sides ran on.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InputsInfo {
    /// Paths, or "synthetic (seed N)".
    pub source: String,
    /// Made up from a seed: no data of the user's.
    pub synthetic: bool,
    /// How many sets of inputs were run.
    pub samples: usize,
    /// Of the first sample.
    pub tensors: Vec<InputTensor>,
    /// What each sample was read from, where a folder was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
}

impl InputsInfo {
    /// `sample 3`, `sample 3 (cat.jpg)`
    pub fn sample(&self, number: usize) -> String {
        match self.files.get(number) {
            Some(file) => format!("sample {number} ({})", clean(file_name(file))),
            None => format!("sample {number}"),
        }
    }
}

/// One input, as it was fed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InputTensor {
    /// As the model calls it.
    pub name: String,
    /// Its element type, as NumPy calls it.
    pub dtype: String,
    /// Sizes of its axes; empty for a scalar.
    pub shape: Vec<usize>,
}

/// The tolerance in force. With `auto` the numbers are a(p) and r(p) of DESIGN: atol is scaled by each tensor's rms.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ToleranceInfo {
    /// Absolute: |c - r| <= atol + rtol |r|. With `auto`, times the tensor's rms.
    pub atol: Real,
    /// Relative to the reference's element.
    pub rtol: Real,
    /// Who chose the numbers, and what else makes a tensor agree.
    pub why: String,
}

/// The machine, and the libraries on it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// The distribution's own name for itself, else the family ("linux").
    pub os: String,
    /// The model of the processor, else its architecture.
    pub cpu: String,
    /// Always null by now: `provider` of a side names its GPU.
    pub gpu: Option<String>,
    /// The version of the library that the reference and the tools use.
    pub onnxruntime: String,
    /// Always null by now: `doctor` tells it.
    pub cuda: Option<String>,
    /// Always null by now: `version` of a side that ran in TensorRT tells it.
    pub tensorrt: Option<String>,
}
