//! ONNX's protobuf: the messages, and the few questions everybody asks of them. The only parser and writer of models.
//! Knows no file (that is `load`) and no graph theory (that is `graph`).

mod bare;
mod devices;
mod messages;
mod values;

pub use devices::*;
pub use messages::*;
pub use values::*;

use crate::tensor::DType;

/// `AttributeProto.AttributeType`
pub mod attribute_type {
    /// `f`
    pub const FLOAT: i32 = 1;
    /// `i`
    pub const INT: i32 = 2;
    /// `s`
    pub const STRING: i32 = 3;
    /// `t`
    pub const TENSOR: i32 = 4;
    /// `g`
    pub const GRAPH: i32 = 5;
    /// `floats`
    pub const FLOATS: i32 = 6;
    /// `ints`
    pub const INTS: i32 = 7;
    /// `strings`
    pub const STRINGS: i32 = 8;
}

/// `TensorProto.DataLocation.EXTERNAL`
pub const EXTERNAL: i32 = 1;

/// The newest IR version whose fields `messages` knows.
pub const NEWEST_IR: i64 = 14;

impl ModelProto {
    /// The version of the default operator domain; 1 if the model names none (IR version 1 and 2 did not).
    pub fn opset(&self) -> i64 {
        let default = |o: &&OperatorSetIdProto| matches!(o.domain(), "" | "ai.onnx");
        self.opset_import.iter().find(default).map_or(1, |o| o.version())
    }
}

impl ModelProto {
    /// Everything around the graph: versions, opsets, functions, metadata.
    pub fn clone_without_graph(&self) -> ModelProto {
        ModelProto {
            ir_version: self.ir_version,
            producer_name: self.producer_name.clone(),
            producer_version: self.producer_version.clone(),
            domain: self.domain.clone(),
            model_version: self.model_version,
            doc_string: self.doc_string.clone(),
            graph: None,
            opset_import: self.opset_import.clone(),
            metadata_props: self.metadata_props.clone(),
            training_info: self.training_info.clone(),
            functions: self.functions.clone(),
            configuration: self.configuration.clone(),
        }
    }
}

impl NodeProto {
    /// A node of the default domain; attributes are added by the caller.
    pub fn new(op_type: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        let owned = |names: &[&str]| names.iter().map(|s| s.to_string()).collect();
        NodeProto {
            op_type: Some(op_type.to_string()),
            name: Some(name.to_string()),
            input: owned(inputs),
            output: owned(outputs),
            ..Default::default()
        }
    }

    /// The same with one more attribute; whether one of that name is there already is not looked at.
    pub fn with(mut self, attribute: AttributeProto) -> NodeProto {
        self.attribute.push(attribute);
        self
    }

    /// The first attribute of this name.
    pub fn attr(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|a| a.name() == name)
    }

    /// The value of a Constant node, without a name; `None` for other nodes and for sparse values.
    pub fn constant(&self) -> Option<TensorProto> {
        let attribute = self.attribute.first().filter(|_| self.is("Constant"))?;
        let (f, i, s) = (DType::Float32.onnx(), DType::Int64.onnx(), DType::String.onnx());
        let vector = |length: usize| vec![length as i64];
        let typed = |data_type, dims| TensorProto { dims, data_type: Some(data_type), ..Default::default() };
        Some(match attribute.name() {
            "value" => TensorProto { name: None, ..attribute.t.clone()? },
            "value_float" => TensorProto { float_data: vec![attribute.f()], ..typed(f, vec![]) },
            "value_floats" => {
                TensorProto { float_data: attribute.floats.clone(), ..typed(f, vector(attribute.floats.len())) }
            }
            "value_int" => TensorProto { int64_data: vec![attribute.i()], ..typed(i, vec![]) },
            "value_ints" => {
                TensorProto { int64_data: attribute.ints.clone(), ..typed(i, vector(attribute.ints.len())) }
            }
            "value_string" => TensorProto { string_data: vec![attribute.s.clone()?], ..typed(s, vec![]) },
            "value_strings" => {
                TensorProto { string_data: attribute.strings.clone(), ..typed(s, vector(attribute.strings.len())) }
            }
            _ => return None,
        })
    }

    /// Is it this operator of the default domain?
    pub fn is(&self, op_type: &str) -> bool {
        self.op_type() == op_type && matches!(self.domain(), "" | "ai.onnx")
    }

    /// The graphs in its attributes (If, Loop, Scan), with the attribute's name.
    pub fn subgraphs(&self) -> impl Iterator<Item = (&str, &GraphProto)> {
        self.attribute.iter().flat_map(|a| {
            let one = a.g.iter().map(move |g| (a.name(), g));
            one.chain(a.graphs.iter().map(move |g| (a.name(), g)))
        })
    }

    /// The graphs in its attributes, in the order of [`NodeProto::subgraphs`].
    pub fn subgraphs_mut(&mut self) -> impl Iterator<Item = &mut GraphProto> {
        self.attribute.iter_mut().flat_map(|a| a.g.iter_mut().chain(a.graphs.iter_mut()))
    }
}

impl AttributeProto {
    /// An attribute of type INT.
    pub fn int(name: &str, value: i64) -> AttributeProto {
        let r#type = Some(attribute_type::INT);
        AttributeProto { name: Some(name.to_string()), i: Some(value), r#type, ..Default::default() }
    }

    /// An attribute of type TENSOR.
    pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
        let r#type = Some(attribute_type::TENSOR);
        AttributeProto { name: Some(name.to_string()), t: Some(value), r#type, ..Default::default() }
    }
}

impl GraphProto {
    /// Names of the values this graph has before any node runs: inputs, initializers, sparse initializers.
    pub fn given(&self) -> impl Iterator<Item = &str> {
        let sparse = self.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        let inputs = self.input.iter().map(|v| v.name());
        inputs.chain(self.initializer.iter().chain(sparse).map(|t| t.name()))
    }

    /// Nodes of this graph and of all graphs inside it.
    pub fn nodes_in_all(&self) -> usize {
        let inside = |n: &NodeProto| n.subgraphs().map(|(_, g)| g.nodes_in_all()).sum::<usize>();
        self.node.iter().map(|n| 1 + inside(n)).sum()
    }

    /// Calls `f` on every tensor that can hold weights: initializers of this graph and of all graphs inside it.
    pub fn each_initializer<'a>(&'a self, f: &mut impl FnMut(&'a TensorProto)) {
        self.initializer.iter().for_each(&mut *f);
        for node in &self.node {
            for (_, graph) in node.subgraphs() {
                graph.each_initializer(f);
            }
        }
    }

    /// [`GraphProto::each_initializer`], to change them.
    pub fn each_initializer_mut(&mut self, f: &mut impl FnMut(&mut TensorProto)) {
        self.initializer.iter_mut().for_each(&mut *f);
        for node in &mut self.node {
            for graph in node.subgraphs_mut() {
                graph.each_initializer_mut(f);
            }
        }
    }
}

impl TensorProto {
    /// The element type; `None` for a number that no known type has, 0 (undefined) among them.
    pub fn dtype(&self) -> Option<DType> {
        DType::from_onnx(self.data_type())
    }

    /// Are its elements in a file beside the model?
    pub fn is_external(&self) -> bool {
        self.data_location() == EXTERNAL
    }

    /// The value of an `external_data` key: `location`, `offset`, `length`, `checksum`.
    pub fn external(&self, key: &str) -> Option<&str> {
        self.external_data.iter().find(|e| e.key() == key).map(|e| e.value())
    }

    /// Bytes of its payload as the shape says; `None` for strings, unknown types and shapes that make no sense.
    pub fn payload_len(&self) -> Option<usize> {
        let elements = self.dims.iter().try_fold(1usize, |n, d| n.checked_mul(usize::try_from(*d).ok()?))?;
        self.dtype()?.byte_len(elements)
    }
}

impl StringStringEntryProto {
    /// A pair of these two.
    pub fn new(key: &str, value: impl Into<String>) -> StringStringEntryProto {
        StringStringEntryProto { key: Some(key.to_string()), value: Some(value.into()) }
    }
}

impl ValueInfoProto {
    /// A value of which only the name is told: ONNX Runtime infers the rest.
    pub fn bare(name: &str) -> ValueInfoProto {
        ValueInfoProto { name: Some(name.to_string()), ..Default::default() }
    }

    /// A tensor of this element type and shape.
    pub fn tensor(name: &str, dtype: DType, shape: &[usize]) -> ValueInfoProto {
        let dim = |d: &usize| Dimension { value: Some(DimValue::DimValue(*d as i64)), denotation: None };
        let shape = TensorShapeProto { dim: shape.iter().map(dim).collect() };
        ValueInfoProto::typed(name, dtype, Some(shape))
    }

    /// A tensor of this element type; the shape may be left open.
    pub fn typed(name: &str, dtype: DType, shape: Option<TensorShapeProto>) -> ValueInfoProto {
        let tensor = TypeTensor { elem_type: Some(dtype.onnx()), shape };
        let r#type = Some(TypeProto { value: Some(TypeValue::Tensor(tensor)), denotation: None });
        ValueInfoProto { name: Some(name.to_string()), r#type, ..Default::default() }
    }

    /// Element type and dimensions, if it is declared to be a tensor.
    pub fn as_tensor(&self) -> Option<&TypeTensor> {
        match self.r#type.as_ref()?.value.as_ref()? {
            TypeValue::Tensor(tensor) => Some(tensor),
            _ => None,
        }
    }

    /// The declared element type; `None` for what is no tensor, and for types that are not known.
    pub fn dtype(&self) -> Option<DType> {
        DType::from_onnx(self.as_tensor()?.elem_type())
    }

    /// Its shape, if every dimension is a number.
    pub fn concrete_shape(&self) -> Option<Vec<usize>> {
        let dimension = |d: &Dimension| match d.value {
            Some(DimValue::DimValue(n)) => usize::try_from(n).ok(),
            _ => None,
        };
        self.as_tensor()?.shape.as_ref()?.dim.iter().map(dimension).collect()
    }
}
