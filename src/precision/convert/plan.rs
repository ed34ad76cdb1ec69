//! A model as conversion sees it: every value of every graph with its element type, every node with what each of its
//! slots can take. Types; `build` makes them, and what is kept in FP32 is not decided here.

use std::collections::HashMap;

use crate::graph::Node;
use crate::onnx::NodeProto;
use crate::tensor::DType;

/// The model as the conversion sees it: graphs, nodes and values by number.
pub struct Plan<'a> {
    /// The main graph first; a graph comes after the one around it.
    pub scopes: Vec<Scope>,
    /// Holders come before what their bodies hold.
    pub ops: Vec<Op<'a>>,
    /// Every tensor of every graph, once.
    pub values: Vec<Value>,
}

/// One graph: the main one, or a body of If, Loop or Scan.
#[derive(Default)]
pub struct Scope {
    /// Values of this graph by the names that its nodes use.
    pub names: HashMap<String, usize>,
    /// The graph around it; `None` for the main graph.
    pub outer: Option<usize>,
    /// The node whose body it is.
    pub holder: Option<usize>,
    /// Its nodes, in the order of the file.
    pub ops: Vec<usize>,
    /// Where its outputs come from.
    pub outputs: Vec<Option<usize>>,
}

/// A tensor.
pub struct Value {
    /// As its own graph calls it.
    pub name: String,
    /// The number of that graph.
    pub scope: usize,
    /// `None`: a sequence, a map, an optional, or a tensor that nobody knows the type of.
    pub dtype: Option<DType>,
    /// Who gives it.
    pub origin: Origin,
    /// Is it an output of the model?
    pub output: bool,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Origin {
    /// An input of the model, with or without a default.
    Input,
    /// An input of a body.
    Body,
    /// An initializer (its position), which no caller can replace.
    Initializer(usize),
    Sparse,
    /// A Constant node.
    Constant(usize),
    /// A node and the slot of its output.
    Made(usize, usize),
}

/// A node.
pub struct Op<'a> {
    /// As the graph knows it, for names and for `keep`.
    pub node: Known<'a>,
    /// As the file has it.
    pub proto: &'a NodeProto,
    /// For each input: the value; `None` where it is left out.
    pub reads: Vec<Option<usize>>,
    /// For each output: the value; `None` where it is left out.
    pub writes: Vec<Option<usize>>,
    /// For each input: what it takes when the node is low.
    pub takes: Vec<Takes>,
    /// For each output: is it low when the node is low?
    pub gives: Vec<bool>,
    /// Its bodies, in the order of its attributes.
    pub bodies: Vec<usize>,
    /// The node stays in FP32 whatever is asked for.
    pub stays: Option<Why>,
}

/// A node as the caller's graph has it, or, inside Loop and Scan, made here.
pub enum Known<'a> {
    Of(&'a Node),
    Own(Box<Node>),
}

/// What an input takes when its node computes in the low type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// The precision of the node.
    Mode,
    /// float32 in every precision.
    Full,
    /// Whatever there is: the operator's type does not depend on it.
    Either,
}

/// Why a node stays in FP32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The ONNX schema of its opset has no low type for it.
    Schema,
    /// It holds float32 tensors as attributes, and ONNX wants one type for them and its inputs.
    Attribute,
    /// ONNX defines it by other operators, and these have no low type for it.
    Definition,
    /// ONNX Runtime's CPU provider makes it in float32 only, and a Cast behind it loses nothing.
    Kernel,
    /// It computes a shape.
    Shape,
    /// Its scale has no normal value in the low type.
    Scale,
    /// Sequences, optionals, maps, unknown types.
    Untyped,
    /// A model-local function.
    Function,
    /// An operator that ONNX does not define.
    Foreign,
}

impl Scope {
    /// A value of this very graph.
    pub fn own(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }
}

impl Known<'_> {
    /// The node of the graph, or one like it for a node that the graph does not have.
    pub fn node(&self) -> &Node {
        match self {
            Known::Of(node) => node,
            Known::Own(node) => node,
        }
    }
}

impl Value {
    /// Is it of float32? Nothing else is ever lowered.
    pub fn is_float(&self) -> bool {
        self.dtype == Some(DType::Float32)
    }

    /// Written in the file: its precision is the one its readers ask for.
    pub fn is_weight(&self) -> bool {
        matches!(self.origin, Origin::Initializer(_) | Origin::Constant(_))
    }
}

impl Plan<'_> {
    /// Does it read or make a float32 tensor?
    pub fn touches_float(&self, op: &Op) -> bool {
        op.reads.iter().chain(&op.writes).flatten().any(|v| self.values[*v].is_float())
    }
}
