//! What a model is made of, as `layerdiff inspect` tells it.

use serde::Serialize;

use super::{Cost, Count, Coverage, Dim, Finding, HeadFacts, ParserFacts, Port, TensorFacts, Total};
use crate::found::Placement;
use crate::tensor::DType;

/// What a model's file tells, and, where ONNX Runtime takes the model, what that infers.
#[derive(Debug, Default, Serialize)]
pub struct ModelFacts {
    /// As the user named it.
    pub path: String,
    /// Of the model file itself.
    pub bytes: u64,
    /// The version of ONNX's file format.
    pub ir_version: i64,
    /// One a domain, by name: ONNX's own come first.
    pub opsets: Vec<Opset>,
    /// The tool that wrote it and its version; `None` where the file says neither.
    pub producer: Option<String>,
    /// The name of the main graph.
    pub graph: String,
    /// (key, value), in the order of the file.
    pub metadata: Vec<(String, String)>,
    /// Those of the main graph that a caller must feed: inputs with an initializer's default are left out.
    pub inputs: Vec<Port>,
    /// Of the main graph.
    pub outputs: Vec<Port>,
    /// Of the main graph and all graphs inside it.
    pub nodes: usize,
    /// Of the main graph and all subgraphs; the most frequent first.
    pub operators: Vec<Operator>,
    /// Initializers, and what they take.
    pub weights: Weights,
    /// Element types of what nodes make.
    pub computes: Computes,
    /// Bodies of If, Loop, Scan and the like, outer ones before those inside them.
    pub subgraphs: Vec<Subgraph>,
    /// Functions that the file defines.
    pub functions: Vec<Function>,
    /// `None` where the graph cannot be followed.
    pub quantised: Option<Quantised>,
    /// Nodes without a name, of all graphs: overrides by name cannot mean them.
    pub unnamed_nodes: usize,
    /// What is wrong with the file, sentence by sentence.
    pub defects: Vec<String>,
    /// What is to be known before TensorRT gets it.
    pub tensorrt: TensorRt,
    /// Products behind outputs of two dimensions: classifiers, mostly.
    pub heads: Vec<HeadFacts>,
    /// Only with `--nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_list: Option<Vec<NodeFacts>>,
    /// Only with `--nodes`: what all nodes cost together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Total>,
    /// Only with `--coverage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// Only with `--lint`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<Vec<Finding>>,
    /// Only with `--placement`: who runs which node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Only with `--tensor`: those of these names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tensors: Vec<TensorFacts>,
}

/// A version of a domain's operators that the model imports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opset {
    /// Empty for ONNX's own.
    pub domain: String,
    /// The model's operators mean what this version says.
    pub version: i64,
}

/// Nodes of one operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Of the operator or function.
    pub op_type: String,
    /// Empty for ONNX's own.
    pub domain: String,
    /// Nodes of the main graph and all subgraphs.
    pub count: usize,
}

/// Initializers, subgraphs' included.
#[derive(Debug, Default, Serialize)]
pub struct Weights {
    /// How many there are; sparse ones and Constant nodes are not among them.
    pub initializers: usize,
    /// Of all their values together, wherever these lie.
    pub bytes: u64,
    /// What Constant nodes hold comes on top.
    pub constants: usize,
    /// Of the values of those Constant nodes.
    pub constant_bytes: u64,
    /// Sparse initializers: counted only.
    pub sparse: usize,
    /// Of the initializers whose values are in the model file itself.
    pub inline_bytes: u64,
    /// By location.
    pub files: Vec<WeightFile>,
    /// The type with the most bytes first.
    pub by_type: Vec<Typed>,
    /// The eight with the most bytes, in falling order.
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
    /// How many say that their values are in it.
    pub initializers: usize,
    /// That initializers say they take of it.
    pub bytes: u64,
    /// Why it cannot be read, or that it is too short; `None` where nothing is wrong.
    pub problem: Option<String>,
}

/// Initializers of one element type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Typed {
    /// As NumPy calls it; `type N` for a number that is not known.
    pub dtype: String,
    /// How many there are.
    pub count: usize,
    /// Of their values together.
    pub bytes: u64,
}

/// An initializer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Weight {
    /// As its graph calls it; not unique between graphs.
    pub name: String,
    /// As NumPy calls it; `type N` for a number that is not known.
    pub dtype: String,
    /// As the file has it: a damaged one may say -1.
    pub shape: Vec<i64>,
    /// Of its values.
    pub bytes: u64,
}

/// An int64 constant with values beyond int32.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wide {
    /// Of the initializer, or of the tensor that the Constant node makes.
    pub name: String,
    /// How many values are below -2^31 or above 2^31 - 1.
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
    /// ONNX Runtime's inference, on top of what the file declares.
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
    /// Tensors that nodes make and of which nobody knows the type.
    pub unknown: usize,
}

/// A body: a graph in an attribute of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subgraph {
    /// The node that holds it, behind the path of its own subgraph (`if_3/then_branch/if_4`).
    pub node: String,
    /// Of that node.
    pub op_type: String,
    /// Of that node: `then_branch`, `body`, ...
    pub attribute: String,
    /// Of this graph alone, without those inside it.
    pub nodes: usize,
}

/// A function that the model file defines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Function {
    /// What nodes call it.
    pub name: String,
    /// The domain that nodes name to call it.
    pub domain: String,
    /// Of its body.
    pub nodes: usize,
    /// Nodes of the main graph and all subgraphs that call it; calls from other functions are not counted.
    pub calls: usize,
}

/// QuantizeLinear and DequantizeLinear pairs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quantised {
    /// Pairs whose values are weights.
    pub weights: usize,
    /// All other pairs.
    pub activations: usize,
    /// Pairs with a scale for each index of an axis.
    pub per_channel: usize,
    /// Pairs whose two halves disagree about scale or zero point.
    pub unequal: Vec<String>,
    /// Pairs by their quantised element type; the most frequent first.
    pub types: Vec<Count>,
}

/// What TensorRT has to say to the model, as far as the file tells.
#[derive(Debug, Default, Serialize)]
pub struct TensorRt {
    /// In the order of the checks.
    pub notes: Vec<Note>,
    /// Arguments of `--profile`, to be filled with the sizes of the user's data.
    pub profile: Vec<String>,
    /// Only with `--lint`: what a real parser says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parser: Option<ParserFacts>,
}

/// One thing to be known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Which kind of thing, for programs: `int64_input`, `binding_type`, `int64_constant`, `plugin`, `no_rank`,
    /// `profile`, `operator`, `zero_point`, ...
    pub code: &'static str,
    /// One sentence.
    pub text: String,
    /// Nodes that it is about.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<String>,
    /// Of which versions it is known, and from where.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
}

/// What some version of TensorRT does with a node, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// One, or several.
    pub version: &'static str,
    /// What it does.
    pub effect: Effect,
    /// Who says so: `its parser` was asked.
    pub source: &'static str,
}

/// What becomes of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// The parser takes no model with it.
    Refused,
    /// The same, as a plugin is not there that other versions have.
    Plugin,
    /// It is taken for something else.
    Changed,
}

/// A node.
#[derive(Debug, Serialize)]
pub struct NodeFacts {
    /// As in the file; `node_of_<first output>` where the file has none.
    pub name: String,
    /// Of the operator or function.
    pub op_type: String,
    /// As in the file; empty for ONNX's own.
    pub domain: String,
    /// `node/attribute` of the node that holds its graph, outermost first; null in the main graph.
    pub subgraph: Option<String>,
    /// By position; one that is left out has an empty name.
    pub inputs: Vec<Operand>,
    /// By position; one that is left out has an empty name.
    pub outputs: Vec<Operand>,
    /// What running it costs.
    pub cost: Cost,
}

/// A tensor that a node reads or makes.
#[derive(Debug, Serialize)]
pub struct Operand {
    /// As the node's graph calls it.
    pub name: String,
    /// Inferred or declared; null where it is not known.
    pub dtype: Option<DType>,
    /// Where the file declares it, or ONNX Runtime infers it.
    pub shape: Option<Vec<Dim>>,
}
