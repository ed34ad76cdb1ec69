//! The session of ONNX Runtime that gave the verdict, and what became of it beside the plain one. Values only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;

/// How the candidate's session was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionInfo {
    /// "off", "basic", "extended" or "all".
    pub optimization: String,
    /// Weights were packed for the kernels that use them.
    pub prepacking: bool,
    /// What else was said of it, as `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// The same file in the plain session, unoptimised and without prepacking: how its outputs stand to the reference. Null
    /// where it was not run, because the verdict came from it, or because what is deployed agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<Verdict>,
    /// What is deployed is within what optimising explains, and the plain session, in which both sides compute alike, diverges: the
    /// verdict is of that one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hidden: bool,
    /// Why the plain session gave no outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_why: Option<String>,
    /// Where only what is deployed fails: what of it was turned off so that the outputs agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub optimizers: Option<Optimizers>,
}

/// The smallest set of optimizers whose turning off cures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Optimizers {
    /// By the runtime's names, for `optimization.disable_specified_optimizers`; "prepacking" is that of weights. Empty where
    /// none was seen to cure.
    pub names: Vec<String>,
    /// With these off, and all else as deployed, the outputs were seen to agree on every sample.
    pub verified: bool,
    /// Without any single one of them off they were seen not to agree.
    pub minimal: bool,
    /// Sessions that it took.
    pub trials: usize,
    /// Of how many that changed this model.
    pub of: usize,
    /// What they made of the model: nodes that are there with them, and not without.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<MadeNode>,
}

/// A node that an optimizer made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MadeNode {
    /// As the runtime calls it.
    pub node: String,
    /// Its operator, of ONNX or of the runtime's own.
    pub op_type: String,
    /// The tensors that it makes; the names of the model, where they are left.
    pub outputs: Vec<String>,
    /// Nodes that are there without the optimizers, and not with them: what this one stands for.
    pub from: Vec<String>,
}
