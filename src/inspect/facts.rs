//! What `inspect` tells, as values: `layerdiff.inspect/1`, the JSON of `--json`. Keys are stable; nothing here reads a file.

mod cost;
mod coverage;
mod data;
mod head;
mod lint;
mod model;
mod parser;
mod related;
mod tensor;

pub use cost::*;
pub use coverage::*;
pub use data::*;
pub use head::*;
pub use lint::*;
pub use model::*;
pub use parser::*;
pub use related::*;
pub use tensor::*;

use std::collections::HashMap;

use serde::Serialize;

use crate::run::Layer;
use crate::tensor::DType;

/// The schema's name and version.
pub const SCHEMA: &str = "layerdiff.inspect/1";

/// The whole answer of `layerdiff inspect`.
#[derive(Debug, Serialize)]
pub struct Inspection {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// layerdiff's version.
    pub layerdiff: &'static str,
    /// What was named first on the command line.
    pub subject: Facts,
    /// Only with `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Facts>,
    /// Only with `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<Differences>,
}

/// What is known of a file; in JSON the key `kind` says which of them it is.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Facts {
    /// An ONNX model, damaged or incomplete ones too.
    Model(Box<ModelFacts>),
    /// A ready TensorRT engine.
    Engine(Box<EngineFacts>),
    /// Arrays by name.
    Data(Box<DataFacts>),
}

/// A count by name: nodes by operator, layers by kind, tensors by element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What is counted, as its file calls it.
    pub name: String,
    /// At least one.
    pub count: usize,
}

impl Count {
    /// How often each occurs; the most frequent first.
    pub fn each(names: impl Iterator<Item = String>) -> Vec<Count> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        names.for_each(|name| *counts.entry(name).or_default() += 1);
        let mut counts: Vec<Count> = counts.into_iter().map(|(name, count)| Count { name, count }).collect();
        counts.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
        counts
    }
}

/// An input or output.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Port {
    /// As the file calls it.
    pub name: String,
    /// `None` for what is no tensor, or is not declared.
    pub dtype: Option<DType>,
    /// Sequences, maps and optionals, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// `None` where not even the rank is declared.
    pub shape: Option<Vec<Dim>>,
    /// Of an engine's input, by profile: the smallest, the usual and the largest shape.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<[Vec<i64>; 3]>,
}

/// A dimension, in JSON a number, a symbol or null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Dim {
    /// A size; of a model it is not negative.
    Fixed(i64),
    /// A name: the same one in a model means the same size.
    Symbol(String),
    /// Neither a size nor a name.
    Open,
}

/// What a TensorRT engine tells of itself.
#[derive(Debug, Default, Serialize)]
pub struct EngineFacts {
    /// As the user named it.
    pub path: String,
    /// Of the engine's file.
    pub bytes: u64,
    /// The library that read it, and its version.
    pub library: String,
    /// Its name and number: `TensorRT-RTX 1.7.1`.
    pub version: String,
    /// With the types and shapes that a caller must bind.
    pub inputs: Vec<Port>,
    /// With the types and shapes that a caller must bind.
    pub outputs: Vec<Port>,
    /// How many shape profiles it was built with.
    pub profiles: usize,
    /// Bytes that running it takes on the GPU besides weights, inputs and outputs; `None` where the library does not
    /// tell.
    pub device_memory: Option<u64>,
    /// In the order in which they run; empty where the engine was built to tell nothing of them.
    pub layers: Vec<Layer>,
    /// Layers by kind and by the types of their outputs; the most frequent first.
    pub kinds: Vec<Count>,
    /// What [`Self::kinds`] says of kinds, for types: the types of a layer's outputs, each once.
    pub precisions: Vec<Count>,
    /// Layers that came from several nodes.
    pub fusions: usize,
    /// Names of nodes that its layers say they came from, each once.
    pub nodes: usize,
}

/// What differs between the subject and the other.
#[derive(Debug, Default, Serialize)]
pub struct Differences {
    /// Inputs and outputs that do not fit: any of them makes the exit status 1.
    pub mismatches: Vec<Mismatch>,
    /// Inputs and outputs that fit, but not for every shape.
    pub narrower: Vec<Mismatch>,
    /// What is not the interface: opsets, operators, weights, nodes.
    pub inside: Vec<Inside>,
    /// Of two files of arrays: how those that belong together differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub arrays: Vec<Related>,
}

/// An input or output that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which kind of thing: `missing`, `dtype`, `rank`, `shape`, `samples`; `narrower` among those that fit.
    pub code: &'static str,
    /// Of the input or output, as the subject calls it where it has it.
    pub tensor: String,
    /// One sentence.
    pub text: String,
}

/// A difference behind the interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inside {
    /// Which kind of thing, for programs: `opset`, `operators`, `weights`, `changed_nodes`, `layers`, ...
    pub code: &'static str,
    /// How many there are of what.
    pub text: String,
    /// All of what `text` counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}
