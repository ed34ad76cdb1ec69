//! What `inspect` tells, as values: `layerdiff.inspect/1`, the JSON of `--json`. Keys are stable; nothing here reads a file.

use std::collections::HashMap;

use serde::Serialize;

use crate::run::Layer;
use crate::tensor::DType;

/// The schema's name and version.
pub const SCHEMA: &str = "layerdiff.inspect/1";

#[derive(Debug, Serialize)]
pub struct Inspection {
    pub schema: &'static str,
    pub layerdiff: &'static str,
    pub subject: Facts,
    /// Only with `--against`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Facts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differences: Option<Differences>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Facts {
    Model(Box<ModelFacts>),
    Engine(Box<EngineFacts>),
}

/// A count by name: nodes by operator, layers by kind, tensors by element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    pub name: String,
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
    Fixed(i64),
    Symbol(String),
    Open,
}

#[derive(Debug, Default, Serialize)]
pub struct ModelFacts {
    pub path: String,
    /// Of the model file itself.
    pub bytes: u64,
    pub ir_version: i64,
    pub opsets: Vec<Opset>,
    pub producer: Option<String>,
    pub graph: String,
    pub metadata: Vec<(String, String)>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// Of the main graph and all subgraphs; the most frequent first.
    pub nodes: usize,
    pub operators: Vec<Operator>,
    pub weights: Weights,
    pub computes: Computes,
    pub subgraphs: Vec<Subgraph>,
    pub functions: Vec<Function>,
    /// `None` where the graph cannot be followed.
    pub quantised: Option<Quantised>,
    pub unnamed_nodes: usize,
    /// What is wrong with the file, sentence by sentence.
    pub defects: Vec<String>,
    pub tensorrt: TensorRt,
    /// Only with `--nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_list: Option<Vec<NodeFacts>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opset {
    /// Empty for ONNX's own.
    pub domain: String,
    pub version: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    pub op_type: String,
    pub domain: String,
    pub count: usize,
}

/// Initializers, subgraphs' included.
#[derive(Debug, Default, Serialize)]
pub struct Weights {
    pub initializers: usize,
    pub bytes: u64,
    /// What Constant nodes hold comes on top.
    pub constants: usize,
    pub constant_bytes: u64,
    pub sparse: usize,
    pub inline_bytes: u64,
    pub files: Vec<WeightFile>,
    pub by_type: Vec<Typed>,
    pub largest: Vec<Weight>,
    /// int64 values that int32 cannot hold.
    pub wide: Vec<Wide>,
}

/// A file of external data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WeightFile {
    /// As the model writes it.
    pub location: String,
    /// Of the file; `None` where it cannot be read.
    pub size: Option<u64>,
    pub initializers: usize,
    /// That initializers say they take of it.
    pub bytes: u64,
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Typed {
    pub dtype: String,
    pub count: usize,
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weight {
    pub name: String,
    pub dtype: String,
    pub shape: Vec<i64>,
    pub bytes: u64,
}

/// An int64 constant with values beyond int32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wide {
    pub name: String,
    pub values: usize,
    /// The largest by magnitude.
    pub extreme: i64,
    /// Only bounds of Slice, where "to the end" survives clamping.
    pub bound: bool,
}

/// Who says what element types nodes make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Inferred {
    /// There are no nodes.
    #[default]
    #[serde(rename = "")]
    Nothing,
    Onnxruntime,
    /// The file alone.
    Declared,
}

/// Element types of what the nodes make.
#[derive(Debug, Default, Serialize)]
pub struct Computes {
    /// Who says so.
    pub source: Inferred,
    /// Why they are declared types only.
    pub why: Option<String>,
    /// The most frequent first.
    pub types: Vec<Count>,
    pub unknown: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subgraph {
    pub node: String,
    pub op_type: String,
    pub attribute: String,
    pub nodes: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    pub name: String,
    pub domain: String,
    pub nodes: usize,
    pub calls: usize,
}

/// QuantizeLinear and DequantizeLinear pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantised {
    pub weights: usize,
    pub activations: usize,
    pub per_channel: usize,
    /// Pairs whose two halves disagree about scale or zero point.
    pub unequal: Vec<String>,
    pub types: Vec<Count>,
}

/// What TensorRT has to say to the model, as far as the file tells.
#[derive(Debug, Default, Serialize)]
pub struct TensorRt {
    pub notes: Vec<Note>,
    /// Arguments of `--profile`, to be filled with the sizes of the user's data.
    pub profile: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    pub code: &'static str,
    pub text: String,
}

#[derive(Debug, Serialize)]
pub struct NodeFacts {
    pub name: String,
    pub op_type: String,
    pub domain: String,
    pub subgraph: Option<String>,
    pub inputs: Vec<Operand>,
    pub outputs: Vec<Operand>,
}

#[derive(Debug, Serialize)]
pub struct Operand {
    pub name: String,
    pub dtype: Option<DType>,
    /// Where the file declares it.
    pub shape: Option<Vec<Dim>>,
}

#[derive(Debug, Default, Serialize)]
pub struct EngineFacts {
    pub path: String,
    pub bytes: u64,
    /// The library that read it, and its version.
    pub library: String,
    pub version: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub profiles: usize,
    pub device_memory: Option<u64>,
    pub layers: Vec<Layer>,
    /// Layers by kind and by the types of their outputs; the most frequent first.
    pub kinds: Vec<Count>,
    pub precisions: Vec<Count>,
    /// Layers that came from several nodes.
    pub fusions: usize,
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
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    pub code: &'static str,
    pub tensor: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inside {
    pub code: &'static str,
    pub text: String,
    /// All of what `text` counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}
