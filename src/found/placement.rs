//! Which execution provider ran what of the candidate's model. Values, and the questions that follow from them; the words of
//! a page are `show`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;
use super::words::plural;

/// Where the nodes of the candidate's session ran, as ONNX Runtime itself tells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Placement {
    /// The provider that was asked for, by the runtime's name: `OpenVINOExecutionProvider`.
    pub asked: String,
    /// Who tells: "assignment" (the nodes of the model, as the runtime gave them away after its basic optimisation) or
    /// "profile" (what ran, before ONNX Runtime 1.24: what a provider compiled is one node there).
    pub told_by: String,
    /// Nodes of all providers.
    pub nodes: usize,
    /// Nodes of the provider that was asked for.
    pub took: usize,
    /// The reference runs on the CPU: what fell back there was compared with itself.
    #[serde(default)]
    pub reference_on_cpu: bool,
    /// By provider, that which was asked for first; it is here even if it took none.
    pub providers: Vec<OfProvider>,
    /// The nodes that another provider ran.
    pub fell_back: Vec<FellBack>,
    /// Copies between devices, in one run.
    pub copies: usize,
    /// Bytes of these copies.
    pub copied_bytes: u64,
    /// Of the time of all nodes, the share of those that fell back, copies included: from 0 to 1. Null where nothing was
    /// timed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_share: Option<Real>,
    /// What the runtime's log says of the division, but for what it says of single nodes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// What one provider ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OfProvider {
    /// By the runtime's name.
    pub provider: String,
    /// Its nodes.
    pub nodes: usize,
    /// Their names, where there are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// They by operator, the most frequent first: `Conv`, 12.
    pub operators: Vec<(String, usize)>,
    /// What it ran as one: kernels, and subgraphs that it compiled. Null where nothing was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<usize>,
    /// Of one run, after one to warm up; copies are not in it.
    pub seconds: Real,
}

/// A node that the provider did not take.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FellBack {
    /// As the report calls it elsewhere.
    pub node: String,
    /// Its operator.
    pub op_type: String,
    /// Who ran it.
    pub provider: String,
    /// Why, in the words of the runtime's log, where it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Placement {
    /// Did the provider run nothing of the model, so that another was compared in its place?
    pub fn took_nothing(&self) -> bool {
        self.took == 0 && self.nodes > 0
    }

    /// That it took nothing, as the reason of a run without an answer.
    pub fn nothing_compared(&self) -> String {
        let with = if self.reference_on_cpu { "with itself" } else { "in its place" };
        let (asked, nodes) = (short(&self.asked), plural(self.nodes, "node"));
        format!("{asked} took no node of the model ({nodes} fell back to the CPU): the CPU was compared {with}")
    }

    /// Who ran a node in place of the provider that was asked for.
    pub fn ran_elsewhere(&self, node: &str) -> Option<&FellBack> {
        self.fell_back.iter().find(|own| !node.is_empty() && own.node == node)
    }
}

/// As people say it: `OpenVINO` of `OpenVINOExecutionProvider`.
pub fn short(provider: &str) -> &str {
    provider.strip_suffix("ExecutionProvider").filter(|short| !short.is_empty()).unwrap_or(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_taken_of_something_is_nothing() {
        let placement = Placement { nodes: 3, ..Placement::default() };
        assert!(placement.took_nothing());
        assert!(!Placement { took: 1, ..placement.clone() }.took_nothing());
        assert!(!Placement::default().took_nothing(), "a model of which nothing is left says nothing");
        let took_nothing = Placement { took: 0, asked: "CUDAExecutionProvider".into(), ..placement };
        let told = "CUDA took no node of the model (3 nodes fell back to the CPU): the CPU was compared in its place";
        assert_eq!(took_nothing.nothing_compared(), told);
        assert_eq!((short("CUDAExecutionProvider"), short("ggml")), ("CUDA", "ggml"));
    }
}
