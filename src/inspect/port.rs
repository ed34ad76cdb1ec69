//! Inputs and outputs, declared by a model or bound by an engine, in one form. Values in, values out.

use super::facts::{Dim, Port};
use crate::onnx::{DimValue, TensorShapeProto, TypeProto, TypeValue, ValueInfoProto};
use crate::run::Binding;
use crate::tensor::DType;

/// As a model declares it.
pub fn of(value: &ValueInfoProto) -> Port {
    let tensor = value.as_tensor();
    let shape = tensor.and_then(|t| t.shape.as_ref()).map(dims);
    let other = value.r#type.as_ref().filter(|_| tensor.is_none()).map(words);
    Port { name: value.name().to_string(), dtype: value.dtype(), other, shape, profiles: Vec::new() }
}

/// As an engine binds it: -1 is an open dimension.
pub fn bound(binding: &Binding) -> Port {
    let dim = |d: &i64| if *d < 0 { Dim::Open } else { Dim::Fixed(*d) };
    Port {
        name: binding.name.clone(),
        dtype: Some(binding.dtype),
        other: None,
        shape: Some(binding.shape.iter().map(dim).collect()),
        profiles: binding.profiles.clone(),
    }
}

/// Sizes below 0 and empty symbols are as good as none.
pub fn dims(shape: &TensorShapeProto) -> Vec<Dim> {
    let dim = |d: &crate::onnx::Dimension| match &d.value {
        Some(DimValue::DimValue(n)) if *n >= 0 => Dim::Fixed(*n),
        Some(DimValue::DimParam(name)) if !name.is_empty() => Dim::Symbol(name.clone()),
        _ => Dim::Open,
    };
    shape.dim.iter().map(dim).collect()
}

/// `[batch,3,224,224]`, a question mark for a dimension without a name.
pub fn shape_text(shape: &[Dim]) -> String {
    let dim = |d: &Dim| match d {
        Dim::Fixed(n) => n.to_string(),
        Dim::Symbol(name) => name.clone(),
        Dim::Open => "?".to_string(),
    };
    format!("[{}]", shape.iter().map(dim).collect::<Vec<_>>().join(","))
}

/// `1x3x224x224`, as the command line takes shapes.
pub fn sizes_text(sizes: &[i64]) -> String {
    if sizes.is_empty() { "scalar".to_string() } else { sizes.iter().map(i64::to_string).collect::<Vec<_>>().join("x") }
}

/// `float32[batch,3]`.
pub fn type_text(dtype: Option<DType>, shape: Option<&[Dim]>) -> String {
    let dtype = dtype.map_or("?".to_string(), |d| d.to_string());
    dtype + &shape.map_or(String::new(), shape_text)
}

impl Port {
    /// `float32[batch,3]`, or what it is in place of a tensor.
    pub fn type_text(&self) -> String {
        self.other.clone().unwrap_or_else(|| type_text(self.dtype, self.shape.as_deref()))
    }
}

fn words(declared: &TypeProto) -> String {
    let inner = |t: &Option<Box<TypeProto>>| t.as_ref().map_or("?".to_string(), |t| words(t));
    let name = |code: i32| DType::from_onnx(code).map_or("?".to_string(), |d| d.to_string());
    match &declared.value {
        Some(TypeValue::Tensor(t)) => name(t.elem_type()),
        Some(TypeValue::Sparse(t)) => format!("sparse {}", name(t.elem_type())),
        Some(TypeValue::Sequence(t)) => format!("sequence of {}", inner(&t.elem_type)),
        Some(TypeValue::Optional(t)) => format!("optional {}", inner(&t.elem_type)),
        Some(TypeValue::Map(t)) => format!("map from {} to {}", name(t.key_type()), inner(&t.value_type)),
        Some(TypeValue::Opaque(t)) => format!("opaque {}", t.name()),
        None => "?".to_string(),
    }
}
