//! What the report says of cures: nodes in FP32, what each of them does, knobs of the compiler.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Price;
use super::Real;

/// What becomes of the nodes of a cure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CureKind {
    /// They are kept in float32 while the others run in a lower precision.
    #[default]
    Fp32,
    /// They multiply as in float32, of split operands, while the others multiply in TF32.
    Split,
    /// They are left unquantised: the Q/DQ pairs that they alone read go.
    Unquantised,
}

/// The smallest set of nodes that cures the outputs when it is kept in float32, or left unquantised. Errors are relative:
/// the largest RMS of (c - r) over the RMS of r, of all outputs and samples.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Overrides {
    /// What becomes of the nodes.
    #[serde(default)]
    pub kind: CureKind,
    /// By name, in the model's order; empty where there is no cure or none is needed.
    pub nodes: Vec<String>,
    /// The outputs were seen to agree with exactly these nodes in float32.
    pub verified: bool,
    /// They are more than a third of all: no cure, but the precision's limit; `why` says what a part of them buys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited: bool,
    /// Error of the outputs with these nodes kept and the inputs changed by a thousandth; `None` where that was not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Real>,
    /// With nothing kept.
    pub error_before: Real,
    /// With these nodes kept; with nothing kept where there is no cure.
    pub error_after: Real,
    /// Seconds of one run of the candidate, with nothing kept and with these nodes kept: the median of repeated runs. `None`
    /// where it was not measured: an emulation takes its own time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_before: Option<Real>,
    /// Seconds with these nodes kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_after: Option<Real>,
    /// The same with their spread, and what the reference takes on the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Models that were tried.
    pub builds: usize,
    /// Paths by consumer: who reads the file.
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
    /// Of a quantised model: the fewest and cheapest settings of the quantiser that cure the outputs, alone or together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<QuantiserSetting>,
    /// Of how many settings and sets of them it was tried, each on the file itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub settings_tried: usize,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// A setting that a quantiser is to be given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QuantiserSetting {
    /// As ONNX Runtime's quantiser calls it: `per_channel`, `QuantizeBias`.
    pub setting: String,
    /// Its value, and what it does: `True: one scale for each output channel of 3 weights`.
    pub detail: String,
    /// The outputs were seen to agree with the candidate's own file edited so, all settings together, on every sample.
    pub verified: bool,
}

impl Overrides {
    /// Do these nodes cure the outputs? Not where a run never showed it, nor where they are most of the model.
    pub fn is_cure(&self) -> bool {
        self.verified && !self.limited && !self.nodes.is_empty()
    }
}

/// How much one node matters in the candidate's precision. Errors as in [`Overrides`].
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Sensitivity {
    /// The node's name.
    pub node: String,
    /// Its operator.
    pub op_type: String,
    /// The tensor in which its own error is largest.
    pub tensor: String,
    /// Of the node's own output, fed with reference inputs.
    pub local: Real,
    /// Of the model's outputs with this node alone in float32; null where it was not tried.
    pub promoted: Option<Real>,
    /// Of the model's outputs with this node alone in the low precision.
    pub demoted: Option<Real>,
}

/// Knobs of an engine's compiler that, turned off together, make the outputs agree.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Routes {
    /// As the builder takes them: `-fuse_pointwise=off`. Empty: none cures it.
    pub knobs: Vec<String>,
    /// What the compiler says of each.
    pub help: Vec<String>,
    /// The outputs were seen to agree with exactly these knobs turned off.
    pub verified: bool,
    /// Engines that were built for it.
    pub builds: usize,
    /// Of how many knobs that can be turned off.
    pub of: usize,
}
