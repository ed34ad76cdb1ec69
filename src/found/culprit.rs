//! What the report says of single nodes: who is to blame, with what proof, and whom the precision hurts.

use std::borrow::Cow;
use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{clean, plural};
use super::{Metrics, Real, Report, Torch};
use crate::graph::{Graph, Node};
use crate::onnx::ModelProto;

/// A node whose output diverges while its inputs agree.
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

impl Culprit {
    /// Was it measured that it makes a difference larger?
    fn enlarges(&self) -> bool {
        self.diagnosis.iter().any(|d| matches!(d.code.as_str(), "gain" | "cancellation"))
    }

    /// What it did, to be read after its name. Cleaned of control characters.
    pub fn deed(&self) -> String {
        match (self.kind, self.local.is_some()) {
            (Kind::Introduces, true) => "introduces the divergence: wrong on its own, fed with reference inputs".into(),
            (Kind::Introduces, false) => {
                "introduces the divergence: its inputs agree and its output does not (it was not run alone)".into()
            }
            (Kind::Amplifies, _) if !self.enlarges() => {
                "hands on what it is given: right on its own, and a difference of its inputs that is tolerable there is not behind it".into()
            }
            (Kind::Amplifies, _) => {
                "amplifies: right on its own, it makes a tolerable difference of its inputs intolerable".into()
            }
            (Kind::Region, local) => {
                let alone = if local { "" } else { " (it could not be run alone)" };
                let nodes = plural(self.region.len(), "node");
                format!("ends a region of {nodes}: agreeing inputs, diverging output, no single node to blame{alone}")
            }
        }
    }
}

/// The culprits in the order in which they are told: that of the graph, and where none is to blame the worst first, those that
/// compute before constants.
pub fn ordered(report: &Report) -> Cow<'_, [Culprit]> {
    let mut culprits = report.culprits.clone();
    if report.precision_limited.is_none() {
        if report.groups.len() > 1 {
            culprits.sort_by_key(|culprit| place(report, culprit));
            return Cow::Owned(culprits);
        }
        return Cow::Borrowed(&report.culprits);
    }
    culprits.sort_by(worst_first);
    Cow::Owned(culprits)
}

/// Where a culprit stands among the findings of a report, the one whose undoing buys most first.
fn place(report: &Report, culprit: &Culprit) -> usize {
    let found = report.groups.iter().position(|group| group.tensors.contains(&culprit.tensor));
    found.unwrap_or(report.groups.len())
}

/// The one to be told first where no node is to blame.
pub fn worst(culprits: &[Culprit]) -> Option<&Culprit> {
    culprits.iter().min_by(|a, b| worst_first(a, b))
}

/// By what each does alone, where that is known; those that compute before constants.
fn worst_first(a: &Culprit, b: &Culprit) -> Ordering {
    let decibels = |c: &Culprit| c.local.as_ref().unwrap_or(&c.accumulated).decibels();
    let constant = |c: &Culprit| c.node.inputs.is_empty();
    constant(a).cmp(&constant(b)).then(decibels(a).total_cmp(&decibels(b)))
}

/// What a culprit did.
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

/// A node of the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeRef {
    /// Empty where the model gives it none.
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
    /// Where in a PyTorch program it comes from; absent where nothing says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torch: Option<Torch>,
    /// The execution provider that ran it, by the runtime's name, where that is not the one that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

impl NodeRef {
    /// The node as its graph has it; `model` is what the graph was built from.
    pub fn of(model: &ModelProto, graph: &Graph, node: &Node) -> NodeRef {
        NodeRef {
            name: node.name.clone(),
            op_type: node.op_type.clone(),
            domain: node.domain.clone(),
            index: node.index,
            inputs: node.reads.iter().map(|r| r.name.clone()).collect(),
            outputs: node.writes.iter().map(|t| graph.tensors[*t].name.clone()).collect(),
            subgraph: node.subgraph(),
            torch: node.proto(model).and_then(Torch::of),
            provider: None,
        }
    }

    /// Its name, or its position if the model gives it none. Cleaned of control characters.
    pub fn told(&self) -> String {
        if self.name.is_empty() { format!("#{}", self.index) } else { clean(&self.name) }
    }

    /// `Pow`, `com.microsoft.Attention`. Cleaned of control characters.
    pub fn operator(&self) -> String {
        match self.domain.as_str() {
            "" | "ai.onnx" => clean(&self.op_type),
            domain => format!("{}.{}", clean(domain), clean(&self.op_type)),
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

/// How well a cause is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sure {
    /// It was undone, alone, and that made the culprit or the outputs agree.
    Shown,
    /// The measured values are those that it would give, and it was not undone.
    Likely,
    /// Nothing speaks against it, and nothing more for it.
    #[default]
    Unknown,
}

/// A reason for what a culprit does, with what was seen and what can be done.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema, PartialEq)]
pub struct Diagnosis {
    /// Which reason, for programs: "fp16-overflow", "cancellation", ...
    pub code: String,
    /// How well it is known. Reports of schema 1 from before this key say nothing, and so it is unknown.
    #[serde(default)]
    pub sure: Sure,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::sample::{limited_report, sample_report};

    #[test]
    fn the_worst_is_told_first_where_none_is_to_blame() {
        let mut report = limited_report();
        for (culprit, (tensor, db)) in
            report.culprits.iter_mut().zip([("a", 40.0), ("c", 10.0), ("b", 30.0), ("d", 50.0)])
        {
            culprit.tensor = tensor.into();
            culprit.local.as_mut().unwrap().sqnr_db = Real(db);
        }
        report.culprits[1].node.inputs.clear();
        let order = |report: &Report| ordered(report).iter().map(|c| c.tensor.clone()).collect::<String>();
        assert_eq!(order(&report), "badc");
        report.precision_limited = None;
        assert_eq!(order(&report), "acbd");
    }

    #[test]
    fn names_of_nodes() {
        let mut node = sample_report().culprits[0].node.clone();
        assert_eq!((node.told().as_str(), node.operator().as_str()), ("/norm/Pow", "Pow"));
        node.name.clear();
        node.domain = "com.microsoft".into();
        assert_eq!((node.told().as_str(), node.operator().as_str()), ("#41", "com.microsoft.Pow"));
    }
}
