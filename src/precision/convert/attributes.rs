//! Attributes that name or hold a float type: those of a node that is low now. Node -> node.

use std::collections::HashMap;

use super::decide::short;
use crate::load::Model;
use crate::onnx::{AttributeProto, NodeProto, TensorProto};
use crate::tensor::DType;

use super::weights::{self, Loss};

/// Attributes that hold a `TensorProto.DataType` of an output.
const TYPE_ATTRIBUTES: [&str; 4] = ["to", "dtype", "output_dtype", "output_datatype"];

/// Makes the float32 output of `node` one of `low`. Gives back what became of a fill value.
pub fn lower(node: &mut NodeProto, low: DType, model: &Model) -> anyhow::Result<Option<Loss>> {
    if node.is("ConstantOfShape") {
        return fill(node, low, model).map(Some);
    }
    for attribute in node.attribute.iter_mut().filter(|a| TYPE_ATTRIBUTES.contains(&a.name())) {
        if attribute.i == Some(DType::Float32.onnx().into()) {
            attribute.i = Some(low.onnx().into());
        }
        // Cast before opset 6 names its type.
        if attribute.s.as_deref() == Some(b"FLOAT") {
            attribute.s = Some("FLOAT16".into());
        }
    }
    let default_is_float = match node.op_type() {
        "RandomNormal" | "RandomUniform" => Some("dtype"),
        "HannWindow" | "HammingWindow" | "BlackmanWindow" | "MelWeightMatrix" => Some("output_datatype"),
        _ => None,
    };
    if let Some(name) = default_is_float.filter(|name| node.attr(name).is_none()) {
        node.attribute.push(AttributeProto::int(name, low.onnx().into()));
    }
    Ok(None)
}

/// The value of a ConstantOfShape, which is zero where the file has none.
fn fill(node: &mut NodeProto, low: DType, model: &Model) -> anyhow::Result<Loss> {
    let zero = TensorProto {
        dims: vec![1],
        data_type: Some(DType::Float32.onnx()),
        float_data: vec![0.0],
        ..Default::default()
    };
    let value = node.attr("value").and_then(|a| a.t.clone()).unwrap_or(zero);
    let converted = weights::convert(model, &value, low)?;
    node.attribute.retain(|a| a.name() != "value");
    node.attribute.push(AttributeProto::tensor("value", converted.tensor));
    Ok(converted.loss)
}

/// A Cast of the model's opset.
pub fn cast(from: &str, to: &str, dtype: DType, opset: i64) -> NodeProto {
    let named = |dtype| match dtype {
        DType::Float16 => "FLOAT16",
        DType::Int64 => "INT64",
        _ => "FLOAT",
    };
    let attribute = match opset < 6 {
        false => AttributeProto::int("to", dtype.onnx().into()),
        true => AttributeProto {
            name: Some("to".to_string()),
            s: Some(named(dtype).into()),
            r#type: Some(crate::onnx::attribute_type::STRING),
            ..Default::default()
        },
    };
    NodeProto::new("Cast", to, &[from], &[to]).with(attribute)
}

/// Unique, non-empty node names: TensorRT needs them, and whoever is told to keep a node.
#[derive(Default)]
pub struct NodeNames {
    used: HashMap<String, usize>,
}

impl NodeNames {
    /// The node's name, with a number behind it from the second time on.
    pub fn unique(&mut self, node: &NodeProto) -> String {
        let wanted = crate::graph::node_name(node);
        let mut name = wanted.clone();
        while let Some(times) = self.used.get_mut(&name) {
            *times += 1;
            name = format!("{wanted}_{times}");
        }
        self.used.insert(name.clone(), 0);
        name
    }
}

/// `float16`, as notes say it.
pub fn word(dtype: DType) -> &'static str {
    match short(dtype) {
        "bf16" => "bfloat16",
        _ => "float16",
    }
}
