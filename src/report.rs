//! The report: what a run of layerdiff found, as types. `report.json` is these types and nothing else; the terminal's
//! summary, the HTML and the Markdown are made from them. Knows no backend and no graph.
//!
//! JSON is strict: NaN and the infinities are the strings "NaN", "Infinity" and "-Infinity" ([`Real`]).

pub mod html;
pub mod json;
pub mod markdown;
pub mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The schema's name and version; an incompatible change gets a new number.
pub const SCHEMA: &str = "layerdiff.report/1";

/// `layerdiff.report/1`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    pub schema: String,
    /// layerdiff's version.
    pub layerdiff: String,
    /// The command line, program name included.
    pub command: Vec<String>,
    pub verdict: Verdict,
    /// Why the verdict is what it is, in one sentence: always there when inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub model: ModelInfo,
    pub reference: BackendInfo,
    pub candidate: BackendInfo,
    pub inputs: InputsInfo,
    pub tolerance: ToleranceInfo,
    /// The model's own outputs, from the unmarked candidate run.
    pub outputs: Vec<TensorResult>,
    /// In topological order.
    pub culprits: Vec<Culprit>,
    pub search: SearchInfo,
    /// Every tensor measured, in topological order.
    pub tensors: Vec<TensorResult>,
    /// The first reproducer.
    pub reduced: Option<Reduced>,
    /// Where there are several independent faults: a reproducer of each, the first one too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reproducers: Vec<Reduced>,
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
    pub environment: Environment,
    pub seconds: f64,
    /// What the user should know before trusting the rest: unknown fields dropped, synthetic data, fallbacks taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Agreed,
    Diverged,
    #[default]
    Inconclusive,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ModelInfo {
    pub path: String,
    pub sha256: String,
    /// The version of the default domain (`ai.onnx`).
    pub opset: i64,
    /// Nodes of the graph and of its subgraphs.
    pub nodes: usize,
    pub initializer_bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct BackendInfo {
    pub spec: String,
    pub backend: String,
    pub version: String,
    pub precision: String,
    pub provider: String,
    /// Why this candidate was chosen, when the user named none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InputsInfo {
    /// Paths, or "synthetic (seed N)".
    pub source: String,
    pub synthetic: bool,
    pub samples: usize,
    pub tensors: Vec<InputTensor>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct InputTensor {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<usize>,
}

/// The tolerance in force. With `auto` the numbers are a(p) and r(p) of DESIGN: atol is scaled by each tensor's rms.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct ToleranceInfo {
    pub atol: Real,
    pub rtol: Real,
    pub why: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    pub node: NodeRef,
    /// The output of the node that diverges.
    pub tensor: String,
    pub accumulated: Metrics,
    /// The node alone in the candidate, fed with reference inputs; null when it could not be run alone (see `why`).
    pub local: Option<Metrics>,
    /// Every compared input of the node was measured and agrees.
    pub inputs_agree: bool,
    /// Inputs that are model inputs or initializers: the same data on both sides, nothing to measure.
    #[serde(default)]
    pub given: Vec<String>,
    pub kind: Kind,
    /// What the engine made of the node, where the candidate tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Realised>,
    /// The nodes between the agreeing inputs and the diverging output; one node unless the answer is a region.
    pub region: Vec<String>,
    pub diagnosis: Vec<Diagnosis>,
    /// What decided `kind`, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A layer of the candidate's unmarked engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Realised {
    pub layer: String,
    /// Realised types of its outputs, as the engine calls them.
    pub types: Vec<String>,
    /// All nodes that were fused into it.
    pub nodes: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRef {
    pub name: String,
    pub op_type: String,
    pub domain: String,
    /// Position in its graph's node list.
    pub index: usize,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    /// `node/attribute` of the enclosing If, Loop or Scan, outermost first; null in the main graph.
    pub subgraph: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Wrong on its own, fed with reference inputs.
    Introduces,
    /// Right on its own: it makes a tolerable difference of its inputs intolerable.
    Amplifies,
    /// Agreeing inputs, diverging output, and no single node to blame.
    Region,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    pub code: String,
    pub evidence: String,
    pub advice: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SearchInfo {
    pub strategy: String,
    /// Sessions or engines of the whole model built for the candidate.
    pub candidate_builds: usize,
    /// Runs of the whole model in the candidate (samples of one build count as one).
    pub candidate_runs: usize,
    /// Builds before the search that test the candidate itself, and builds after it that prove the culprits: counted apart.
    #[serde(default)]
    pub trust_builds: usize,
    #[serde(default)]
    pub proof_builds: usize,
    pub reference_runs: usize,
    pub tensors_compared: usize,
    pub tensors_not_compared: usize,
    /// Marking changed the candidate's own final outputs.
    pub perturbed: bool,
    /// How tensors were made visible, where that is a choice: "outputs", "debug", "unfused".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<String>,
    pub seconds: f64,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TensorResult {
    pub name: String,
    /// The node that makes it; empty for a graph input.
    pub node: String,
    /// The reference's element type; empty if the reference has no value.
    pub dtype: String,
    pub shape: Vec<usize>,
    pub status: Status,
    /// Why it was not compared, or what differs besides the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Absent when nothing was measured.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Agrees,
    Diverges,
    NotCompared,
}

/// How far a candidate tensor c is from a reference tensor r. All sums are accumulated in f64; elements where exactly
/// one side is NaN, or an infinity differs, count as mismatched and are left out of the sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Metrics {
    /// max |c - r|
    pub max_abs: Real,
    /// mean |c - r|
    pub mean_abs: Real,
    /// 99th percentile of |c - r|, read from a histogram with 32 bins per octave: at most 3.2 % above the true value.
    pub p99_abs: Real,
    /// max |c - r| / max(|r|, t), t = 2^-10 for fp16 and bf16, 2^-20 otherwise
    pub max_rel: Real,
    pub mean_rel: Real,
    /// sqrt(mean (c - r)^2)
    pub rmse: Real,
    /// r.c / (|r| |c|); both zero 1, one zero 0
    pub cosine: Real,
    /// 20 log10(|r| / |r - c|); Infinity when equal
    pub sqnr_db: Real,
    /// max |c - r| in units of the last place of r, in the tensor's own format
    pub max_ulp: Real,
    /// Elements beyond the tolerance, non-finite mismatches included.
    pub mismatched: u64,
    pub elements: u64,
    /// Smallest and largest finite reference value.
    pub ref_min: Real,
    pub ref_max: Real,
    pub ref_nonfinite: u64,
    pub cand_nonfinite: u64,
    /// Fraction of reference elements with |r| > 65504.
    pub overflow_fraction: Real,
    /// Fraction of reference elements with 0 < |r| < 2^-14.
    pub subnormal_fraction: Real,
    /// Index of the first mismatched element; empty when there is none.
    pub first_mismatch: Vec<usize>,
    /// The sample these numbers are from: the worst one.
    pub sample: usize,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Reduced {
    /// The model.
    pub path: String,
    pub nodes: usize,
    /// The files, read again by a new process, fail as the whole model does.
    pub reproduces: bool,
    /// Models that were tried.
    pub probes: usize,
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

/// The smallest set of nodes that cures the outputs when it is kept in float32. Errors are relative: the largest RMS of
/// (c - r) over the RMS of r, of all outputs and samples.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    pub nodes: Vec<String>,
    /// The outputs were seen to agree with exactly these nodes in float32.
    pub verified: bool,
    /// With nothing kept.
    pub error_before: Real,
    pub error_after: Real,
    /// Seconds of one run of the candidate, with nothing kept and with these nodes kept: the median of repeated runs. `None`
    /// where it was not measured: an emulation takes its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_before: Option<Real>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_after: Option<Real>,
    /// Models that were tried.
    pub builds: usize,
    /// By consumer.
    pub files: BTreeMap<String, String>,
    /// The same nodes as an engineer reads them: "LayerNorm 'encoder/ln_1': Pow, ReduceMean".
    #[serde(default)]
    pub groups: Vec<String>,
    /// Without any single one of them it was seen not to agree.
    #[serde(default)]
    pub minimal: bool,
    /// Of how many nodes with float32 outputs.
    #[serde(default)]
    pub of: usize,
    /// Nodes kept, and the smallest error seen with that many.
    #[serde(default)]
    pub curve: Vec<(usize, Real)>,
    /// Why nothing is verified, or what else the user should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Knobs of an engine's compiler that, turned off together, make the outputs agree.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Routes {
    /// As the builder takes them: `-fuse_pointwise=off`. Empty: none cures it.
    pub knobs: Vec<String>,
    /// What the compiler says of each.
    pub help: Vec<String>,
    pub verified: bool,
    /// Engines that were built for it.
    pub builds: usize,
    /// Of how many knobs that can be turned off.
    pub of: usize,
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
    pub repeat: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tf32: Option<String>,
}

/// A node in the candidate's lower precision. Errors are relative RMS; of the first sample.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ranked {
    pub node: String,
    pub op_type: String,
    /// The output that is meant: the one with the largest local error.
    pub tensor: String,
    /// Of the node alone, fed with reference inputs.
    pub local: Real,
    /// The same in an emulation of the precision on the CPU; null where that could not be had.
    pub emulated: Option<Real>,
    /// Local error over the emulation's: above 4 the node is worse than its precision. 1 where the candidate is the
    /// emulation.
    pub rho: Option<Real>,
    /// Accumulated error of the output over the largest one among the inputs; null where those are exact or unknown.
    pub gain: Option<Real>,
}

/// Why no node is to blame.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct PrecisionLimited {
    pub largest_rho: Real,
    pub why: String,
}

/// How much one node matters in the candidate's precision. Errors as in [`Overrides`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sensitivity {
    pub node: String,
    pub op_type: String,
    pub tensor: String,
    /// Of the node's own output, fed with reference inputs.
    pub local: Real,
    /// Of the model's outputs with this node alone in float32; null where it was not tried.
    pub promoted: Option<Real>,
    /// Of the model's outputs with this node alone in the low precision.
    pub demoted: Option<Real>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    pub os: String,
    pub cpu: String,
    pub gpu: Option<String>,
    pub onnxruntime: String,
    pub cuda: Option<String>,
    pub tensorrt: Option<String>,
}

/// An f64 whose JSON is strict: a number, or "NaN", "Infinity", "-Infinity".
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Real(pub f64);

impl From<f64> for Real {
    fn from(x: f64) -> Real {
        Real(x)
    }
}

impl Serialize for Real {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_nan() => s.serialize_str("NaN"),
            f64::INFINITY => s.serialize_str("Infinity"),
            f64::NEG_INFINITY => s.serialize_str("-Infinity"),
            x => s.serialize_f64(x),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Real, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(f64),
            Word(String),
        }
        match Form::deserialize(d)? {
            Form::Number(x) => Ok(Real(x)),
            Form::Word(w) => match w.as_str() {
                "NaN" => Ok(Real(f64::NAN)),
                "Infinity" => Ok(Real(f64::INFINITY)),
                "-Infinity" => Ok(Real(f64::NEG_INFINITY)),
                other => Err(serde::de::Error::custom(format!("'{other}' is not a number"))),
            },
        }
    }
}

impl JsonSchema for Real {
    fn schema_name() -> Cow<'static, str> {
        "Real".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "number" }, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
    }
}
