//! What is known of a tensor without running anything: its shape, and the value where it is a short list that steers
//! others (axes, sizes, scales).

use std::collections::HashMap;

use crate::load::testset::tensor_from_proto;
use crate::onnx::{DimValue, ModelProto, TensorProto, ValueInfoProto};
use crate::tensor::{DType, Tensor, Tensors};

/// Facts by the names of one graph.
pub type Facts = HashMap<String, Fact>;

/// `None` where the size is not known.
pub type Dim = Option<usize>;

/// Longer lists steer nothing.
const STEERS: usize = 1024;

/// What is known of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fact {
    /// `None` where not even the rank is known.
    pub shape: Option<Vec<Dim>>,
    /// Of a scalar or a list of at most 1024 elements in int64, int32, bool or float32; `None` of all others.
    pub value: Option<Value>,
}

/// A value that steers others.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Ints(Vec<i64>),
    Floats(Vec<f32>),
}

impl Fact {
    /// A shape alone.
    pub fn dims(shape: Vec<Dim>) -> Fact {
        Fact { shape: Some(shape), value: None }
    }

    /// A shape of which every axis is known.
    pub fn sized(shape: &[usize]) -> Fact {
        Fact::dims(shape.iter().map(|n| Some(*n)).collect())
    }

    /// All that a value tells.
    pub fn of(tensor: &Tensor) -> Fact {
        Fact { value: value(tensor), ..Fact::sized(&tensor.shape) }
    }

    /// What an initializer tells; its elements only where they are in the message itself.
    pub fn of_proto(proto: &TensorProto) -> Fact {
        let shape: Option<Vec<usize>> = proto.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
        let Some(shape) = shape else { return Fact::default() };
        let short = shape.len() < 2 && shape.iter().all(|n| *n <= STEERS);
        let inline = || tensor_from_proto(proto).ok();
        Fact { value: short.then(inline).flatten().and_then(|t| value(&t)), ..Fact::sized(&shape) }
    }

    /// What a model says of its input.
    pub fn declared(info: &ValueInfoProto) -> Fact {
        let size = |value: &Option<DimValue>| match value {
            Some(DimValue::DimValue(n)) => usize::try_from(*n).ok(),
            _ => None,
        };
        let shape = info.as_tensor().and_then(|t| t.shape.as_ref());
        Fact { shape: shape.map(|s| s.dim.iter().map(|d| size(&d.value)).collect()), value: None }
    }

    /// How many axes it has; `None` where that is not known.
    pub fn rank(&self) -> Option<usize> {
        self.shape.as_ref().map(Vec::len)
    }

    /// Is there an axis without elements?
    pub fn is_empty(&self) -> bool {
        self.shape.iter().flatten().any(|d| *d == Some(0))
    }

    /// The product of its axes; `None` where one is not known, or where no number holds it.
    pub fn elements(&self) -> Dim {
        self.shape.as_ref()?.iter().try_fold(1usize, |n, d| n.checked_mul((*d)?))
    }

    /// The value, if it is one of integers or truth values (0 and 1).
    pub fn as_ints(&self) -> Option<&[i64]> {
        match &self.value {
            Some(Value::Ints(values)) => Some(values),
            _ => None,
        }
    }

    /// The value, if it is one of float32.
    pub fn as_floats(&self) -> Option<&[f32]> {
        match &self.value {
            Some(Value::Floats(values)) => Some(values),
            _ => None,
        }
    }
}

/// What a main graph has before any node runs; `feeds` come before what the model declares.
pub fn given(model: &ModelProto, feeds: &Tensors) -> Facts {
    let Some(main) = &model.graph else { return Facts::new() };
    let mut facts: Facts = main.input.iter().map(|v| (v.name().to_string(), Fact::declared(v))).collect();
    facts.extend(main.initializer.iter().map(|t| (t.name().to_string(), Fact::of_proto(t))));
    facts.extend(feeds.iter().map(|(name, t)| (name.clone(), Fact::of(t))));
    facts
}

fn value(tensor: &Tensor) -> Option<Value> {
    if tensor.shape.len() > 1 || tensor.elements() > STEERS {
        return None;
    }
    match tensor.dtype {
        DType::Int64 => Some(Value::Ints(tensor.view::<i64>().to_vec())),
        DType::Int32 => Some(Value::Ints(tensor.view::<i32>().iter().map(|v| i64::from(*v)).collect())),
        DType::Bool => Some(Value::Ints(tensor.bytes().iter().map(|b| i64::from(*b != 0)).collect())),
        DType::Float32 => Some(Value::Floats(tensor.view::<f32>().to_vec())),
        _ => None,
    }
}
