//! What a builder makes of a model, and what a ready engine says of itself: layers, bindings, memory. Facts only.

use serde::{Deserialize, Serialize};

use crate::tensor::DType;

/// What a builder made of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Built {
    /// That the build took.
    pub seconds: f64,
    /// In the order of the engine.
    pub layers: Vec<Layer>,
}

/// One layer of an engine: a node, several fused ones, or one that the builder added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// As the engine calls it.
    pub name: String,
    /// Its kind, as the engine calls it.
    pub kind: String,
    /// Realised types of its outputs, as the engine calls them.
    pub types: Vec<String>,
    /// The ONNX nodes it came from.
    pub nodes: Vec<String>,
}

/// What a ready engine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Engine {
    /// Inputs and outputs.
    pub bindings: Vec<Binding>,
    /// In the order of the engine; none where it does not tell.
    pub layers: Vec<Layer>,
    /// Bytes of device memory that a run needs besides inputs, outputs and weights.
    pub device_memory: Option<u64>,
}

/// An input or output of an engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// As the model calls it.
    pub name: String,
    /// Else an output.
    pub input: bool,
    /// Of its elements.
    pub dtype: DType,
    /// -1 for a dimension that the profiles leave open.
    pub shape: Vec<i64>,
    /// By profile: the smallest, the usual and the largest shape.
    pub profiles: Vec<[Vec<i64>; 3]>,
}
