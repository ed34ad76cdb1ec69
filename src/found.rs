//! The report: what a run of layerdiff found, as types. `report.json` is these types and nothing else; the terminal's
//! summary, the HTML and the Markdown are made from them. Knows no backend and no graph.
//!
//! JSON is strict: NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity" ([`Real`]).

mod advice;
mod assemble;
mod culprit;
mod cure;
mod decisions;
mod differences;
mod exit;
pub mod experiment;
mod findings;
pub mod fitted;
mod groups;
pub mod json;
mod masked;
pub mod merge;
mod metrics;
mod notes;
mod overrides;
mod real;
mod session;
pub mod shard;
pub mod sizes;
pub mod stages;
pub mod steps;
mod times;
mod torch;
pub mod words;

pub use advice::{KERNEL, LOWERED};
pub use assemble::{assemble, culprits, cut_short, of_outputs, verdict};
pub use culprit::{Culprit, Diagnosis, Kind, NodeRef, PrecisionLimited, Ranked, Realised, Sure, ordered, worst};
pub use cure::{Cure, CureNote};
pub use decisions::{
    ChangedDecision, Choice, CommandVerdict, DecisionKind, Decisions, Judged, OutputOfSample, Rows, SampleVerdict,
};
pub use differences::{Differences, FileDifference, Patched, Role};
pub use exit::Exit;
pub use findings::{
    Counts, Distrust, Findings, Found, Measured, OfCandidate, OfReference, Opening, Ranking, Reproducers, Story, Wanted,
};
pub use groups::{Effect, Group, grouped, pattern};
pub use masked::Masked;
pub use metrics::{FIGURES, Figure, Local, Locals, Metrics, PartError, Status, TensorResult, badness};
pub use notes::{Note, Who};
pub use overrides::{CureKind, Overrides, QuantiserSetting, Routes, Sensitivity};
pub use real::Real;
pub use session::{MadeNode, Optimizers, SessionInfo};
pub use times::{NodePrice, NodeShare, Price, Times, shares};
pub use torch::{KnownBy, Torch};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::spec::Precision;
use words::clean;

/// The schema's name and version; an incompatible change gets a new number.
pub const SCHEMA: &str = "layerdiff.report/1";

/// `layerdiff.report/1`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// layerdiff's version.
    pub layerdiff: String,
    /// The command line, program name included.
    pub command: Vec<String>,
    /// The answer; the exit status follows it.
    pub verdict: Verdict,
    /// Why the verdict is what it is, in one sentence: always there when inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The model under debugging.
    pub model: ModelInfo,
    /// The run that is believed.
    pub reference: BackendInfo,
    /// The run under suspicion.
    pub candidate: BackendInfo,
    /// What both sides were fed with.
    pub inputs: InputsInfo,
    /// How far apart was too far.
    pub tolerance: ToleranceInfo,
    /// The model's own outputs, from the unmarked candidate run.
    pub outputs: Vec<TensorResult>,
    /// The verdict of each sample, where there are several, or a batch of several rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<SampleVerdict>,
    /// It is one of several that share the work, to be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<shard::Shard>,
    /// The verdict of every size that was swept, the smallest sample first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sweep: Vec<sizes::SizeVerdict>,
    /// The smallest size of a sweep that diverges: the rest of the report is about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_size: Option<sizes::Size>,
    /// The rows of a batch, alone and together, where they were asked about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<sizes::Batch>,
    /// Of a model that decodes: every step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<steps::StepVerdict>,
    /// The first step, from 0, that diverges: the rest of the report is about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bad_step: Option<usize>,
    /// How the steps follow from each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding: Option<steps::Decoding>,
    /// Of outputs that decide something (labels, indices, scores): how many decisions are others in the candidate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decisions>,
    /// `--metric`: what final outputs were judged by in place of the tolerance, as `[OUTPUT:]METRIC=THRESHOLD`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
    /// What the user's command said of all outputs together, where one judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric_command: Option<CommandVerdict>,
    /// In topological order.
    pub culprits: Vec<Culprit>,
    /// The culprits by finding, that whose undoing buys most first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Group>,
    /// Nodes that are wrong too, whose error is lost before it reaches a diverging output. In topological order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<Masked>,
    /// Where the candidate runs a file of its own: how it differs from the model, at the culprits first, and what of that is to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<FileDifference>,
    /// The candidate's file with the causes undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patched: Option<Patched>,
    /// How culprits were looked for, and what it cost.
    pub search: SearchInfo,
    /// Every tensor measured, in topological order.
    pub tensors: Vec<TensorResult>,
    /// The first reproducer.
    pub reduced: Option<Reduced>,
    /// Where there are several independent faults: a reproducer of each, the first one too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reproducers: Vec<Reduced>,
    /// The smallest set of nodes whose protection makes the outputs agree; null where it was not looked for.
    pub overrides: Option<Overrides>,
    /// Knobs of the candidate's compiler that make the failure appear, where they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Routes>,
    /// Whether the candidate's answers can be built on, where it was tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// The nodes with the largest local errors, in the candidate's precision.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sensitivity: Vec<Sensitivity>,
    /// What the candidate's lower precision does to single nodes, the worst first: those that are worse than the precision
    /// itself, then by local error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranking: Vec<Ranked>,
    /// No node is to blame: everything is as wrong as the precision makes it. The culprits are then merely the first beyond
    /// the tolerance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision_limited: Option<PrecisionLimited>,
    /// The session that gave the verdict, where it is ONNX Runtime's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionInfo>,
    /// How long both sides take, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Times>,
    /// A side ended the process that it ran in, so that there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<Crash>,
    /// The machine, and the libraries on it.
    pub environment: Environment,
    /// Of the whole run, wall time.
    pub seconds: f64,
    /// What the user should know before trusting the rest: unknown fields dropped, synthetic data, fallbacks taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// What the comparison of the final outputs says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every output was compared and is within the tolerance.
    Agreed,
    /// At least one output is beyond the tolerance.
    Diverged,
    /// Neither can be said: an output was not compared, a side cannot be trusted, or the run ended before its end.
    #[default]
    Inconclusive,
}

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
    /// `ort:fp16`; whatever is known where a partial report has no SPEC. Cleaned of control characters.
    pub fn told(&self) -> String {
        match (self.spec.is_empty(), self.backend.is_empty()) {
            (false, _) => clean(&self.spec),
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
            Some(file) => format!("sample {number} ({})", clean(words::file_name(file))),
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
