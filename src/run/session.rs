//! What ONNX Runtime may make of a model before it runs it: nothing, where single tensors are to be seen, or what people
//! deploy. Plain data; other backends have nothing of the kind.

use serde::{Deserialize, Serialize};

/// How a session is made. The default is the plain one: every node runs as the model has it, and weights stay mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOptions {
    /// How far the graph is optimised.
    pub level: Level,
    /// May weights be packed for the kernels that use them? Some kernels exist only so.
    pub prepack: bool,
    /// Optimizers of these names are turned off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Entries of the session's configuration, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<(String, String)>,
    /// Options of the execution provider, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider: Vec<(String, String)>,
}

/// How far a graph is optimised, in ONNX Runtime's terms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Not at all.
    #[default]
    Off,
    /// What keeps to ONNX's operators: constants folded, what is never read left out.
    Basic,
    /// And fusions into operators of the runtime's own.
    Extended,
    /// And layouts of the processor's.
    All,
}

impl SessionOptions {
    /// What a session is that is made without a word about it.
    pub fn deployed() -> SessionOptions {
        SessionOptions { level: Level::All, prepack: true, ..SessionOptions::default() }
    }

    /// May it compute otherwise than the nodes of the model, one by one, with their weights as they are?
    pub fn is_plain(&self) -> bool {
        self.level == Level::Off && !self.prepack
    }
}

/// What a session made of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Optimised {
    /// Optimizers that changed something, by the runtime's own names, in the order in which they first did.
    pub applied: Vec<String>,
    /// The nodes of the optimised graph; empty where it could not be written.
    pub nodes: Vec<OptimisedNode>,
}

/// A node of an optimised graph.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptimisedNode {
    /// As the runtime calls it.
    pub name: String,
    /// Its operator, of ONNX or of the runtime's own.
    pub op_type: String,
    /// What it reads.
    pub inputs: Vec<String>,
    /// What it makes.
    pub outputs: Vec<String>,
}
