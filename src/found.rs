//! The report: what a run of layerdiff found, as types. `report.json` is these types and nothing else; the terminal's
//! summary, the HTML and the Markdown are made from them. Knows no backend and no graph.
//!
//! JSON is strict: NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity" ([`Real`]).

mod advice;
mod asked;
mod assemble;
mod culprit;
mod cure;
mod decisions;
mod differences;
mod done;
mod exit;
pub mod experiment;
mod findings;
pub mod fitted;
mod fusion;
mod groups;
pub mod json;
mod masked;
pub mod merge;
mod metrics;
mod notes;
mod overrides;
pub mod placement;
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
pub use asked::{BackendInfo, Environment, InputTensor, InputsInfo, ModelInfo, ToleranceInfo};
pub use assemble::{assemble, culprits, cut_short, of_outputs, verdict};
pub use culprit::{Culprit, Diagnosis, Kind, NodeRef, PrecisionLimited, Ranked, Realised, Sure, ordered, worst};
pub use cure::{Cure, CureNote};
pub use decisions::{
    ChangedDecision, Choice, CommandVerdict, DecisionKind, Decisions, Judged, OutputOfSample, Rows, SampleVerdict,
};
pub use differences::{Differences, FileDifference, Patched, Role};
pub use done::{Crash, Reduced, ReferenceTrust, SearchInfo, Trust};
pub use exit::Exit;
pub use findings::{
    Counts, Distrust, Findings, Found, Measured, OfCandidate, OfCompiler, OfFirst, OfReference, Opening, Ranking,
    Reproducers, Story, Wanted,
};
pub use fusion::{Fusion, FusionAnswer};
pub use groups::{Effect, Group, grouped, pattern};
pub use masked::Masked;
pub use metrics::{FIGURES, Figure, Local, Locals, Metrics, PartError, Status, TensorResult, badness};
pub use notes::{Arithmetic, Beyond, Note, Who};
pub use overrides::{CureKind, Overrides, QuantiserSetting, Routes, Sensitivity};
pub use placement::{FellBack, OfProvider, Placement};
pub use real::Real;
pub use session::{MadeNode, Optimizers, SessionInfo};
pub use times::{Latency, NodePrice, NodeShare, Price, Times, shares};
pub use torch::{KnownBy, Torch};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// What the run was to answer; absent where that is which nodes are to blame.
    #[serde(default, skip_serializing_if = "Wanted::is_culprits")]
    pub wanted: Wanted,
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
    /// Tensors that, made outputs, make the outputs agree, where they were looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fusion: Option<Fusion>,
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
    /// Which execution provider ran what, where the candidate has one besides the CPU's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
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
