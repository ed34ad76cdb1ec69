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
        SessionOptions { level: Level::All, prepack: true }
    }
}
