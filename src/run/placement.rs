//! Which execution provider of ONNX Runtime ran what, as the runtime itself tells: the model's nodes as they were assigned, the
//! kernels that ran, and what its log says of those that a provider did not take. Plain data; other backends have none.

use serde::{Deserialize, Serialize};

/// What the runtime tells of one session and one run in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// The provider that was asked for, by the runtime's name: `OpenVINOExecutionProvider`.
    pub asked: String,
    /// Nodes of the model, as they were assigned after its basic optimisation; those inside a compiled subgraph too. Empty
    /// where the runtime is too old to tell (before 1.24).
    pub assigned: Vec<PlacedNode>,
    /// What ran, in the order in which it first did: what a provider compiled is one.
    pub kernels: Vec<Kernel>,
    /// Lines of its log about placement, in order.
    pub log: Vec<String>,
}

/// A node, and who runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlacedNode {
    /// As the model calls it; empty where it does not.
    pub name: String,
    /// Its operator, of ONNX or of the runtime's own.
    pub op_type: String,
    /// By the runtime's name.
    pub provider: String,
}

/// Something that ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// Its node.
    pub node: PlacedNode,
    /// Of all its calls in the run.
    pub seconds: f64,
    /// Bytes that it wrote, of all calls.
    pub bytes: u64,
}
