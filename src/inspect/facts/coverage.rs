//! What is told of a model's quantisation: what has it, what has not, and with which scales.

use serde::Serialize;

use crate::found::Real;

/// How far a model is quantised.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Coverage {
    /// Why nothing is known; then the rest is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Nodes that compute with floats, those of quantisation itself left out.
    pub nodes: usize,
    /// Of those, nodes whose operands are all quantised.
    pub quantised: usize,
    /// By operator, those with the most nodes first.
    pub operators: Vec<Covered>,
    /// Nodes that compute in floats, all or in part, in the order of the run.
    pub left: Vec<Left>,
    /// What is worth knowing of quantised nodes.
    pub remarks: Vec<Left>,
    /// Every pair of quantisation, in the order of the run.
    pub pairs: Vec<PairFacts>,
    /// Scales that several tensors have, by the name of the scale.
    pub shared: Vec<SharedScale>,
}

/// Nodes of one operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// With its domain where that is not ONNX's own.
    pub operator: String,
    /// All of them that compute with floats.
    pub nodes: usize,
    /// All operands quantised.
    pub quantised: usize,
    /// Some of them.
    pub partly: usize,
}

/// A node, and what is to be said of its quantisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Left {
    /// As users know it.
    pub node: String,
    /// Its operator.
    pub op_type: String,
    /// For programs: `operator`, `type_left_out`, `weight`, `input`, `neighbours`, `excluded`, `not_float32`; of remarks
    /// `float_bias`, `float_output`, `bias_scale`, `halves_differ`.
    pub code: &'static str,
    /// The reason as far as the file shows it.
    pub why: String,
}

/// A QuantizeLinear and its DequantizeLinear, or a stored weight with its scales.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PairFacts {
    /// What is quantised, as the float model calls it.
    pub tensor: String,
    /// `weight`, `bias`, `activation`.
    pub kind: &'static str,
    /// The type of the codes.
    pub dtype: String,
    /// `tensor`, `channel`, `block`.
    pub per: &'static str,
    /// Of channels and blocks.
    pub axis: Option<i64>,
    /// How many scales there are; 0 where they are computed while the model runs.
    pub scales: usize,
    /// The smallest scale.
    pub scale_min: Option<Real>,
    /// The largest scale.
    pub scale_max: Option<Real>,
    /// The smallest and the largest value that codes stand for, over all scales.
    pub range: Option<[Real; 2]>,
    /// The smallest and the largest zero point.
    pub zero_points: Option<[Real; 2]>,
    /// The name of the scale in the file.
    pub scale: String,
    /// Nodes that read the result.
    pub readers: Vec<String>,
}

/// A scale that several tensors have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedScale {
    /// Its name in the file.
    pub scale: String,
    /// Whose it is.
    pub tensors: Vec<String>,
}
