//! What the report says of single nodes: who is to blame, with what proof, and whom the precision hurts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metrics, Real};
use crate::graph::{Graph, Node};

/// A node that is the first to go wrong, or the region of nodes where it happens.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Culprit {
    /// The node to be blamed; of a region, the one that makes `tensor`.
    pub node: NodeRef,
    /// The output of the node that diverges.
    pub tensor: String,
    /// The error of `tensor` when the whole model runs in the candidate.
    pub accumulated: Metrics,
    /// The node alone in the candidate, fed with reference inputs; null when it could not be run alone (see `why`).
    pub local: Option<Metrics>,
    /// Every compared input of the node was measured and agrees.
    pub inputs_agree: bool,
    /// Inputs that are model inputs or initializers: the same data on both sides, nothing to measure.
    #[serde(default)]
    pub given: Vec<String>,
    /// What kind of wrong it is.
    pub kind: Kind,
    /// What the engine made of the node, where the candidate tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Realised>,
    /// The nodes between the agreeing inputs and the diverging output; one node unless the answer is a region.
    pub region: Vec<String>,
    /// Reasons, the most certain first, at most three; empty where nothing is known.
    pub diagnosis: Vec<Diagnosis>,
    /// What decided `kind`, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a culprit does to its tensor.
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

/// A node of the model under debugging, or of the candidate's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRef {
    /// As in the file; `node_of_<first output>` where the file has none.
    pub name: String,
    /// Of the operator or function.
    pub op_type: String,
    /// Empty for ONNX's own operators.
    pub domain: String,
    /// Position in its graph's node list.
    pub index: usize,
    /// By name; what its subgraphs capture is among them, inputs left out are not.
    pub inputs: Vec<String>,
    /// By name in its own graph; outputs left out are not among them.
    pub outputs: Vec<String>,
    /// `node/attribute` of the enclosing If, Loop or Scan, outermost first; null in the main graph.
    pub subgraph: Option<String>,
}

impl NodeRef {
    /// The node as its graph has it.
    pub fn of(graph: &Graph, node: &Node) -> NodeRef {
        NodeRef {
            name: node.name.clone(),
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            index: node.index,
            inputs: node.reads.iter().map(|r| r.name.clone()).collect(),
            outputs: node.writes.iter().map(|t| graph.tensors[*t].name.clone()).collect(),
            subgraph: node.subgraph(),
        }
    }
}

/// A layer of the candidate's unmarked engine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Realised {
    /// As the engine calls it.
    pub layer: String,
    /// Realised types of its outputs, as the engine calls them.
    pub types: Vec<String>,
    /// All nodes that were fused into it.
    pub nodes: Vec<String>,
}

/// A reason for what a culprit does, with what was seen and what can be done.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    /// Which reason, for programs: "fp16-overflow", "cancellation", ...
    pub code: String,
    /// What was measured, in words and numbers.
    pub evidence: String,
    /// What to do about it.
    pub advice: String,
}

/// A node in the candidate's lower precision. Errors are relative RMS; of the first sample.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Ranked {
    /// By name.
    pub node: String,
    /// Of the node.
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
    /// The largest rho among all nodes that were measured: at most 4 here.
    pub largest_rho: Real,
    /// The whole reason, in one sentence.
    pub why: String,
}

/// The one to be told first where no node is to blame: the worst, one that computes rather than a constant.
pub fn worst(culprits: &[Culprit]) -> Option<&Culprit> {
    let decibels = |c: &Culprit| c.local.as_ref().unwrap_or(&c.accumulated).sqnr_db.0;
    culprits.iter().min_by(|a, b| {
        let constant = |c: &Culprit| c.node.inputs.is_empty();
        constant(a).cmp(&constant(b)).then(decibels(a).total_cmp(&decibels(b)))
    })
}
