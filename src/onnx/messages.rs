//! The messages of `onnx.proto` (IR version 14), field for field: what prost reads and writes. No behaviour here.
//!
//! Four choices keep a model byte-identical through a round trip and its weights uncopied:
//! - every scalar field is `optional`, so that "absent" and "zero" stay apart;
//! - payloads (`raw_data`, strings of attributes) are `Bytes`, which look into the mapped file;
//! - repeated scalars are unpacked where the official library writes them unpacked;
//! - `doc_string` is bytes: ONNX Runtime accepts text that is not UTF-8, and so must we.

use bytes::Bytes;
use prost::Message;

use super::devices::{DeviceConfigurationProto, NodeDeviceConfigurationProto};
use super::values::{SparseTensorProto, StringStringEntryProto, TensorProto, TypeProto, ValueInfoProto};

/// A set of operators that a model or function imports.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetIdProto {
    /// Empty or absent for ONNX's own operators (`ai.onnx`).
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// The operators mean what this version of the domain says.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A whole `.onnx` file.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    /// The version of the format itself; it decides which fields may occur. At most [`NEWEST_IR`](super::NEWEST_IR) is
    /// known here.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// The tool that wrote the model.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// The version of that tool.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// The name space of the model, in reverse-DNS order (`com.example.vision`).
    #[prost(string, optional, tag = "4")]
    pub domain: Option<String>,
    /// The version of the model itself, counted by its author.
    #[prost(int64, optional, tag = "5")]
    pub model_version: Option<i64>,
    /// For people, in Markdown; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub doc_string: Option<Bytes>,
    /// The main graph: what runs when the model runs. A model without one cannot run.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
    /// One entry a domain; without any entry (IR versions 1 and 2) version 1 of ONNX's own operators is meant.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The author's own facts about the model (license, author, labels); no meaning to a runtime.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// Graphs that initialise and train the model; inference ignores them.
    #[prost(message, repeated, tag = "20")]
    pub training_info: Vec<TrainingInfoProto>,
    /// Functions that nodes may call like operators, identified by domain, name and overload.
    #[prost(message, repeated, tag = "25")]
    pub functions: Vec<FunctionProto>,
    /// Sets of devices that the model may be spread over (IR version 11 and newer).
    #[prost(message, repeated, tag = "26")]
    pub configuration: Vec<DeviceConfigurationProto>,
}

/// One step of training: how to start, and what to do in each iteration.
#[derive(Clone, PartialEq, Message)]
pub struct TrainingInfoProto {
    /// Its outputs are the first values of initializers; has no inputs.
    #[prost(message, optional, tag = "1")]
    pub initialization: Option<GraphProto>,
    /// One iteration of training, on the main graph's initializers and on data.
    #[prost(message, optional, tag = "2")]
    pub algorithm: Option<GraphProto>,
    /// Key: an initializer of the main graph or of `algorithm`; value: the output of `initialization` that it becomes.
    #[prost(message, repeated, tag = "3")]
    pub initialization_binding: Vec<StringStringEntryProto>,
    /// Key: an initializer of either graph; value: the output of `algorithm` that it becomes after each iteration.
    #[prost(message, repeated, tag = "4")]
    pub update_binding: Vec<StringStringEntryProto>,
}

/// Nodes with the values they share: a model's main graph, or the body of an If, a Loop or a Scan.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    /// In topological order: a node reads only what stands before it, what the graph is given, or what an outer graph
    /// has.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    /// Required in the main graph by the checker; carries no meaning.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constants by name. One of the same name as an input is that input's default (IR version 4 and newer need no such
    /// input).
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "10")]
    pub doc_string: Option<Bytes>,
    /// In the order a caller passes them. In IR version 3 all initializers are listed here too.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    /// In the order a caller receives them; every one is made by a node, given, or (in a body) taken from an outer
    /// graph.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
    /// Types and shapes of values in between, as far as they were inferred; may be absent or partial.
    #[prost(message, repeated, tag = "13")]
    pub value_info: Vec<ValueInfoProto>,
    /// Scales and zero points of tensors, told beside the graph and not by QuantizeLinear.
    #[prost(message, repeated, tag = "14")]
    pub quantization_annotation: Vec<TensorAnnotation>,
    /// Constants in sparse form; each has the name of its `values`.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<SparseTensorProto>,
    /// The author's own facts about this graph.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// Which tensors hold the quantisation parameters of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorAnnotation {
    /// The tensor that is quantised.
    #[prost(string, optional, tag = "1")]
    pub tensor_name: Option<String>,
    /// Key: `SCALE_TENSOR` or `ZERO_POINT_TENSOR`; value: the tensor that holds it.
    #[prost(message, repeated, tag = "2")]
    pub quant_parameter_tensor_names: Vec<StringStringEntryProto>,
}

/// One application of an operator, or a call of a function.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    /// Names of the values it reads, by position; an empty name is an optional input left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values it makes, by position; an empty name is an optional output left out.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// For people; may be absent, and need not be unique.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// Operator or function, looked up in `domain`.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// Arguments that are known before the run; at most one of each name.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub doc_string: Option<Bytes>,
    /// Empty or absent for ONNX's own operators; "ai.onnx" means the same.
    #[prost(string, optional, tag = "7")]
    pub domain: Option<String>,
    /// Tells functions of one domain and name apart (IR version 10 and newer).
    #[prost(string, optional, tag = "8")]
    pub overload: Option<String>,
    /// The author's own facts about this node.
    #[prost(message, repeated, tag = "9")]
    pub metadata_props: Vec<StringStringEntryProto>,
    /// How the node is spread over devices, one entry a configuration (IR version 11 and newer).
    #[prost(message, repeated, tag = "10")]
    pub device_configurations: Vec<NodeDeviceConfigurationProto>,
}

/// An argument of a node, known before the run. One of its value fields is used: which one, `type` says.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    /// As the operator calls it; unique within a node.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A number (FLOAT).
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// A number (INT); also truth values and element types.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// A string (STRING), in bytes.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub s: Option<Bytes>,
    /// A tensor (TENSOR), such as the value of a Constant.
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    /// A body (GRAPH), such as a branch of an If.
    #[prost(message, optional, tag = "6")]
    pub g: Option<GraphProto>,
    /// Numbers (FLOATS).
    #[prost(float, repeated, packed = "false", tag = "7")]
    pub floats: Vec<f32>,
    /// Numbers (INTS), such as axes or pads.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Strings (STRINGS), in bytes.
    #[prost(bytes = "bytes", repeated, tag = "9")]
    pub strings: Vec<Bytes>,
    /// Tensors (TENSORS).
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<TensorProto>,
    /// Bodies (GRAPHS).
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<GraphProto>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "13")]
    pub doc_string: Option<Bytes>,
    /// A type (TYPE_PROTO), such as that of an empty Optional.
    #[prost(message, optional, tag = "14")]
    pub tp: Option<TypeProto>,
    /// Types (TYPE_PROTOS).
    #[prost(message, repeated, tag = "15")]
    pub type_protos: Vec<TypeProto>,
    /// Which field holds the value: see [`attribute_type`](super::attribute_type). Absent in files of IR version 1.
    #[prost(int32, optional, tag = "20")]
    pub r#type: Option<i32>,
    /// In a function's body only: the value is that of the function's attribute of this name.
    #[prost(string, optional, tag = "21")]
    pub ref_attr_name: Option<String>,
    /// A sparse tensor (SPARSE_TENSOR).
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<SparseTensorProto>,
    /// Sparse tensors (SPARSE_TENSORS).
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<SparseTensorProto>,
}

/// An operator defined by nodes; a runtime may have a kernel of its own for it.
#[derive(Clone, PartialEq, Message)]
pub struct FunctionProto {
    /// What a node's `op_type` says to call it.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// Names of the values a call passes, by position.
    #[prost(string, repeated, tag = "4")]
    pub input: Vec<String>,
    /// Names of the values a call receives, by position.
    #[prost(string, repeated, tag = "5")]
    pub output: Vec<String>,
    /// Names of the attributes that a call must give.
    #[prost(string, repeated, tag = "6")]
    pub attribute: Vec<String>,
    /// The body, in topological order; it sees nothing of the caller but inputs and attributes.
    #[prost(message, repeated, tag = "7")]
    pub node: Vec<NodeProto>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub doc_string: Option<Bytes>,
    /// The operator versions of the body, which may differ from the model's.
    #[prost(message, repeated, tag = "9")]
    pub opset_import: Vec<OperatorSetIdProto>,
    /// The domain that a call names.
    #[prost(string, optional, tag = "10")]
    pub domain: Option<String>,
    /// Attributes that a call may leave out, with their defaults.
    #[prost(message, repeated, tag = "11")]
    pub attribute_proto: Vec<AttributeProto>,
    /// Types and shapes of values of the body.
    #[prost(message, repeated, tag = "12")]
    pub value_info: Vec<ValueInfoProto>,
    /// Tells functions of one domain and name apart (IR version 10 and newer).
    #[prost(string, optional, tag = "13")]
    pub overload: Option<String>,
    /// The author's own facts about this function.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<StringStringEntryProto>,
}
