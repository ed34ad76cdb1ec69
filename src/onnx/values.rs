//! Messages of values: tensors, their types and shapes, and the notes beside them. As in `messages`, field for field.

use bytes::Bytes;
use prost::{Message, Oneof};

/// A pair of strings: metadata, keys of external data, quantisation parameters, bindings of training.
#[derive(Clone, PartialEq, Message)]
pub struct StringStringEntryProto {
    /// What it is about; who reads the list says which keys there are, and a key should occur once.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// Free text, or the name of a tensor, as the key means it.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// The size of a dimension.
#[derive(Clone, PartialEq, Oneof)]
pub enum DimValue {
    /// A number of elements.
    #[prost(int64, tag = "1")]
    DimValue(i64),
    /// A symbol: the same one in a graph means the same size.
    #[prost(string, tag = "2")]
    DimParam(String),
}

/// The part of a tensor that a message holds where it was cut up; no tool is known to write it.
#[derive(Clone, PartialEq, Message)]
pub struct SegmentProto {
    /// First element, counted from 0.
    #[prost(int64, optional, tag = "1")]
    pub begin: Option<i64>,
    /// The element after the last.
    #[prost(int64, optional, tag = "2")]
    pub end: Option<i64>,
}

/// A tensor with its elements: in one of the typed fields, in `raw_data`, or in a file beside the model.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    /// The shape; empty for a scalar. A dimension may be 0.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// `TensorProto.DataType`: see [`DType::from_onnx`](crate::tensor::DType::from_onnx).
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Which part of the tensor this is; absent for all of it.
    #[prost(message, optional, tag = "3")]
    pub segment: Option<SegmentProto>,
    /// Elements of float32, and of complex64 as pairs (real, imaginary).
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of int32 and of all narrower types: one number an element, except that types of 4 and 2 bits stay
    /// packed; float16 and bfloat16 as their bits.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of string, in bytes.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub string_data: Vec<Bytes>,
    /// Elements of int64.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Names an initializer; empty inside attributes.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Elements of any type but string, packed, row-major, little-endian.
    #[prost(bytes = "bytes", optional, tag = "9")]
    pub raw_data: Option<Bytes>,
    /// Elements of float64, and of complex128 as pairs (real, imaginary).
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of uint64 and uint32.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "12")]
    pub doc_string: Option<Bytes>,
    /// Where the elements are if `data_location` says so: see [`TensorProto::external`].
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<StringStringEntryProto>,
    /// 0 (or absent): in this message; [`EXTERNAL`](super::EXTERNAL): in a file.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
    /// The author's own facts about this tensor.
    #[prost(message, repeated, tag = "16")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// A tensor of which only some elements are told; the others are zero, or empty strings.
#[derive(Clone, PartialEq, Message)]
pub struct SparseTensorProto {
    /// The elements that are told, shape `[n]`; its name is the tensor's name.
    #[prost(message, optional, tag = "1")]
    pub values: Option<TensorProto>,
    /// int64 positions of the elements, ascending: `[n]` in the flattened tensor, or `[n, rank]`.
    #[prost(message, optional, tag = "2")]
    pub indices: Option<TensorProto>,
    /// The shape of the whole tensor.
    #[prost(int64, repeated, packed = "false", tag = "3")]
    pub dims: Vec<i64>,
}

/// A named value of a graph, with its type.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    /// Unique within its graph.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// May be absent, except that the checker demands it of the main graph's inputs and outputs.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<TypeProto>,
    /// For people; need not be UTF-8.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub doc_string: Option<Bytes>,
    /// The author's own facts about this value.
    #[prost(message, repeated, tag = "4")]
    pub metadata_props: Vec<StringStringEntryProto>,
}

/// One dimension of a shape (`TensorShapeProto.Dimension`).
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// `None`: nothing is known of its size.
    #[prost(oneof = "DimValue", tags = "1,2")]
    pub value: Option<DimValue>,
    /// What the axis means, such as `DATA_BATCH`; no meaning to a runtime.
    #[prost(string, optional, tag = "3")]
    pub denotation: Option<String>,
}

/// A shape of which single dimensions may be open.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShapeProto {
    /// One entry a dimension; none for a scalar.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// The type of a tensor, dense or sparse (`TypeProto.Tensor`, `TypeProto.SparseTensor`).
#[derive(Clone, PartialEq, Message)]
pub struct TypeTensor {
    /// `TensorProto.DataType`; 0 where it is not known.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// `None`: not even the rank is known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShapeProto>,
}

/// A type that holds values of one other type (`TypeProto.Sequence`, `TypeProto.Optional`).
#[derive(Clone, PartialEq, Message)]
pub struct TypeBox {
    /// The type of what it holds.
    #[prost(message, optional, boxed, tag = "1")]
    pub elem_type: Option<Box<TypeProto>>,
}

/// The type of a map (`TypeProto.Map`).
#[derive(Clone, PartialEq, Message)]
pub struct TypeMap {
    /// `TensorProto.DataType`: an integer type or string.
    #[prost(int32, optional, tag = "1")]
    pub key_type: Option<i32>,
    /// The type of the values.
    #[prost(message, optional, boxed, tag = "2")]
    pub value_type: Option<Box<TypeProto>>,
}

/// A type that only the operators of some domain understand (`TypeProto.Opaque`).
#[derive(Clone, PartialEq, Message)]
pub struct TypeOpaque {
    /// The domain that defines it.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// Its name in that domain; may be empty.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
}

/// The type of a value: a tensor, or what holds tensors.
#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    /// `None`: nothing is known of the type.
    #[prost(oneof = "TypeValue", tags = "1,4,5,7,8,9")]
    pub value: Option<TypeValue>,
    /// What the value means, such as `IMAGE`; no meaning to a runtime.
    #[prost(string, optional, tag = "6")]
    pub denotation: Option<String>,
}

/// The kinds of types.
#[derive(Clone, PartialEq, Oneof)]
pub enum TypeValue {
    /// A dense tensor.
    #[prost(message, tag = "1")]
    Tensor(TypeTensor),
    /// A list of values of one type.
    #[prost(message, tag = "4")]
    Sequence(TypeBox),
    /// From keys to values of one type.
    #[prost(message, tag = "5")]
    Map(TypeMap),
    /// Of a domain's own.
    #[prost(message, tag = "7")]
    Opaque(TypeOpaque),
    /// A sparse tensor.
    #[prost(message, tag = "8")]
    Sparse(TypeTensor),
    /// A value, or none.
    #[prost(message, tag = "9")]
    Optional(TypeBox),
}
