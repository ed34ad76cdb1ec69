//! What a run did: how it searched, what it cut out, whether a side can be built on, and what ended it. Values only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The end of a process that ran a whole model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Crash {
    /// "reference" or "candidate".
    pub side: String,
    /// "building" or "running", where that was told apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doing: Option<String>,
    /// With this node the model ends the process; cut off before it, it does not. `None` where that was not found.
    pub node: Option<String>,
    /// Of that node.
    pub op_type: Option<String>,
    /// How the process ended: the signal, its last words.
    pub ended: String,
}

/// How culprits were looked for, and what it cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchInfo {
    /// "scan", "bisect" or "ddmin"; empty where nothing was looked for.
    pub strategy: String,
    /// Sessions or engines of the whole model built for the candidate.
    pub candidate_builds: usize,
    /// Runs of the whole model in the candidate (samples of one build count as one).
    pub candidate_runs: usize,
    /// Builds before the search that test the candidate itself, and builds after it that prove the culprits: counted apart.
    #[serde(default)]
    pub trust_builds: usize,
    /// Of parts of the candidate's model.
    #[serde(default)]
    pub proof_builds: usize,
    /// Runs of the whole model in the reference.
    pub reference_runs: usize,
    /// Of `tensors`: those that agree or diverge.
    pub tensors_compared: usize,
    /// Of `tensors`: those of which neither can be said.
    pub tensors_not_compared: usize,
    /// Marking changed the candidate's own final outputs.
    pub perturbed: bool,
    /// How tensors were made visible, where that is a choice: "outputs", "debug", "unfused".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    /// Of the search alone, without the proof; 0 where there was none.
    pub seconds: f64,
}

/// A reproducer: a model of few nodes that fails as the whole one does.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reduced {
    /// The model.
    pub path: String,
    /// Of its main graph that are the failure's; generators of weights are not among them.
    pub nodes: usize,
    /// The files, read again by a new process, fail as the whole model does.
    pub reproduces: bool,
    /// Models that were tried.
    pub probes: usize,
    /// From the first attempt to the proof, wall time.
    pub seconds: f64,
    /// The nodes by name; generators of weights are not among them.
    #[serde(default)]
    pub names: Vec<String>,
    /// All files of the folder together.
    #[serde(default)]
    pub bytes: u64,
    /// Without any single one of its nodes it was seen not to fail.
    #[serde(default)]
    pub minimal: bool,
    /// The diverging tensor that it is about; null for a failure that a command shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub culprit: Option<String>,
    /// What the user should know: what was left out, why it does not reproduce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Tests of the candidate itself: "identical", or what differs. Empty where it was not tested.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// The same input twice.
    pub repeat: String,
    /// Equal rows of one batch.
    pub rows: String,
    /// Does it multiply float32 with mantissas of 10 bits? "off (measured)" or what else; for NVIDIA's providers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tf32: Option<String>,
    /// The reference, where it is not ONNX Runtime on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<ReferenceTrust>,
}

/// Tests of the reference, as in [`Trust`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ReferenceTrust {
    /// The same input twice.
    pub repeat: String,
    /// Does it multiply float32 with mantissas of 10 bits? For NVIDIA's providers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tf32: Option<String>,
}
