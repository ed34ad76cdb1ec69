//! What the report says of single nodes: who is to blame, with what proof, and whom the precision hurts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Metrics, Real};
use crate::graph::{Graph, Node};

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
    pub layer: String,
    /// Realised types of its outputs, as the engine calls them.
    pub types: Vec<String>,
    /// All nodes that were fused into it.
    pub nodes: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Diagnosis {
    pub code: String,
    pub evidence: String,
    pub advice: String,
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

/// The one to be told first where no node is to blame: the worst, one that computes rather than a constant.
pub fn worst(culprits: &[Culprit]) -> Option<&Culprit> {
    let decibels = |c: &Culprit| c.local.as_ref().unwrap_or(&c.accumulated).sqnr_db.0;
    culprits.iter().min_by(|a, b| {
        let constant = |c: &Culprit| c.node.inputs.is_empty();
        constant(a).cmp(&constant(b)).then(decibels(a).total_cmp(&decibels(b)))
    })
}
