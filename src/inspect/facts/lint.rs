//! What bites later: a model that runs today and will not elsewhere.

use serde::Serialize;

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which kind, for programs: `opset_old`, `fp16_constant`, ...
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// Nodes, tensors or inputs that have it, each once; empty where it is the whole model.
    #[serde(rename = "where")]
    pub places: Vec<String>,
    /// What it is and why it matters.
    pub why: String,
    /// What to do.
    pub advice: &'static str,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// No runtime, or not this one, takes the model as it is: exit status 1.
    Error,
    /// Some runtime, or FP16, gives something else.
    Warning,
    /// Worth knowing.
    Info,
}
