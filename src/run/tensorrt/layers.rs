//! What the engine inspector tells: the engine's layers, their types, and the ONNX nodes that each was made from. Pure: text in, values out.

use serde_json::Value;

use crate::tensor::DType;

/// A layer of an engine, perhaps fused from many nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    pub name: String,
    pub kind: String,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    /// The nodes of the model that it came from, each once.
    pub onnx_nodes: Vec<String>,
    /// The kernel that was chosen.
    pub tactic: Option<String>,
}

/// A tensor that goes in or out of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    /// As the inspector says it: `Row major linear FP32`.
    pub format: String,
    pub dtype: Option<DType>,
    pub shape: Vec<i64>,
}

/// Reads the inspector's JSON of a whole engine. An engine without detailed verbosity has names only.
pub fn read(json: &str) -> Result<Vec<Layer>, String> {
    let value: Value =
        serde_json::from_str(json).map_err(|e| format!("the engine inspector's answer is no JSON: {e}"))?;
    let layers = value.get("Layers").and_then(Value::as_array).ok_or("the engine inspector's answer has no layers")?;
    Ok(layers.iter().map(layer).collect())
}

/// The nodes in a layer's metadata, `[ONNX Layer: NAME]`. Nodes of one fusion are joined with \x1f, groups with \x1e. Nodes in a
/// local function are `[ONNX Layer: OUTER | Local Function: ...]`: the node of the model's own graph is the first part.
pub fn nodes(metadata: &str) -> Vec<String> {
    let mut nodes = Vec::new();
    for part in metadata.split(['\x1e', '\x1f']) {
        for rest in part.split("[ONNX Layer: ").skip(1) {
            // A node's name may have brackets: the entry ends with the last one.
            let entry = rest.trim_end();
            let entry = entry.strip_suffix(']').unwrap_or(entry);
            let name = entry.split(" | ").next().unwrap_or(entry).to_string();
            if !name.is_empty() && !nodes.contains(&name) {
                nodes.push(name);
            }
        }
    }
    nodes
}

fn layer(value: &Value) -> Layer {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let ports = |key: &str| value.get(key).and_then(Value::as_array).into_iter().flatten().map(port).collect();
    Layer {
        name: value.as_str().or(text("Name")).unwrap_or_default().to_string(),
        kind: text("LayerType").unwrap_or_default().to_string(),
        inputs: ports("Inputs"),
        outputs: ports("Outputs"),
        onnx_nodes: nodes(text("Metadata").unwrap_or_default()),
        tactic: text("TacticName").filter(|name| !name.is_empty()).map(str::to_string),
    }
}

fn port(value: &Value) -> Port {
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let format = text("Format/Datatype").or(text("Datatype")).or(text("Format")).unwrap_or_default();
    let sizes = value.get("Dimensions").and_then(Value::as_array);
    Port {
        name: text("Name").unwrap_or_default().to_string(),
        format: format.to_string(),
        dtype: dtype(format),
        shape: sizes.into_iter().flatten().filter_map(Value::as_i64).collect(),
    }
}

/// The element type is a word of the format.
fn dtype(format: &str) -> Option<DType> {
    format.split(|c: char| !c.is_ascii_alphanumeric()).rev().find_map(|word| {
        Some(match word.to_ascii_lowercase().as_str() {
            "fp32" | "float" | "float32" => DType::Float32,
            "fp16" | "half" | "float16" => DType::Float16,
            "bf16" | "bfloat16" => DType::Bfloat16,
            "fp8" => DType::Float8e4m3fn,
            "fp4" => DType::Float4e2m1,
            "int8" => DType::Int8,
            "int32" => DType::Int32,
            "int64" => DType::Int64,
            "int4" => DType::Int4,
            "uint8" => DType::Uint8,
            "bool" => DType::Bool,
            _ => return None,
        })
    })
}
