//! What the engine inspector tells: the engine's layers, their types, and the ONNX nodes that each was made from. Pure: text in, values out.

use serde_json::Value;

use crate::tensor::DType;

/// A layer of an engine, perhaps fused from many nodes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// As the inspector calls it; fused layers join the names of their nodes.
    pub name: String,
    /// What it does: `CaskConvolution`, `Reformat`, ...; empty where the engine tells names only.
    pub kind: String,
    /// In the inspector's order.
    pub inputs: Vec<Port>,
    /// In the inspector's order.
    pub outputs: Vec<Port>,
    /// The nodes of the model that it came from, each once.
    pub onnx_nodes: Vec<String>,
    /// The kernel that was chosen.
    pub tactic: Option<String>,
}

/// A tensor that goes in or out of a layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// The ONNX name, where one is left.
    pub name: String,
    /// As the inspector says it: `Row major linear FP32`.
    pub format: String,
    /// What `format` says; `None` for a type that layerdiff does not know.
    pub dtype: Option<DType>,
    /// Of the profile that it was built for; -1 for an open dimension.
    pub shape: Vec<i64>,
}

/// Reads the inspector's JSON of a whole engine. An engine without detailed verbosity has names only.
pub fn read(json: &str) -> Result<Vec<Layer>, String> {
    let value: Value =
        serde_json::from_str(json).map_err(|e| format!("the engine inspector's answer is no JSON: {e}"))?;
    let layers = value.get("Layers").and_then(Value::as_array).ok_or("the engine inspector's answer has no layers")?;
    Ok(layers.iter().map(layer).collect())
}

/// The nodes in a layer's metadata, `[ONNX Layer: NAME]`. Nodes of one fusion are joined with \x1f, groups with \x1e. For
/// `[ONNX Layer: INNER | CALL (FUNCTION) | OUTER CALL (FUNCTION)]` it is the outermost call: a node of the model's own graph.
pub fn nodes(metadata: &str) -> Vec<String> {
    let mut nodes = Vec::new();
    for part in metadata.split(['\x1e', '\x1f']) {
        for rest in part.split("[ONNX Layer: ").skip(1) {
            // A node's name may have brackets: the entry ends with the last one.
            let entry = rest.trim_end();
            let name = outermost(entry.strip_suffix(']').unwrap_or(entry)).to_string();
            if !name.is_empty() && !nodes.contains(&name) {
                nodes.push(name);
            }
        }
    }
    nodes
}

fn outermost(entry: &str) -> &str {
    match entry.rsplit_once(" | ") {
        Some((_, call)) => call.rsplit_once(" (").map_or(call, |(name, _)| name),
        None => entry,
    }
}

/// The fusions that can be read in a plan built with detailed verbosity, as groups of nodes, for a machine that cannot load it.
/// A plan's format is not documented: an empty answer says nothing.
pub fn in_plan(plan: &[u8]) -> Vec<Vec<String>> {
    const START: &[u8] = b"[ONNX Layer: ";
    let is_text = |byte: &u8| matches!(byte, b'\x1e' | b'\x1f' | b' '..=b'~' | 0x80..);
    let mut groups = Vec::new();
    let mut rest = plan;
    while let Some(start) = rest.windows(START.len()).position(|window| window == START) {
        rest = &rest[start..];
        let length = rest.iter().position(|byte| !is_text(byte)).unwrap_or(rest.len());
        let text = String::from_utf8_lossy(&rest[..length]);
        // Metadata ends with a bracket; other text may follow it.
        let end = text.match_indices(']').map(|(i, _)| i).find(|i| !text[i + 1..].starts_with(['\x1e', '\x1f', ']']));
        let end = end.map_or(text.len(), |i| i + 1);
        groups.push(nodes(&text[..end]));
        rest = &rest[START.len()..];
        rest = &rest[end.saturating_sub(START.len()).min(rest.len())..];
    }
    groups.retain(|group| !group.is_empty());
    groups
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_of_metadata() {
        let check = |metadata: &str, expected: &[&str]| assert_eq!(nodes(metadata), expected, "{metadata}");
        check("", &[]);
        check("[ONNX Layer: Conv@0]", &["Conv@0"]);
        check("[ONNX Layer: Conv__440]\x1f[ONNX Layer: Relu]", &["Conv__440", "Relu"]);
        check("[ONNX Layer: a]\x1e[ONNX Layer: b]\x1f[ONNX Layer: a]", &["a", "b"]);
        check("[ONNX Layer: a][ONNX Layer: b]", &["a", "b"]);
        check("[ONNX Layer: /block[0]/mul[1]]\x1f[ONNX Layer: b]", &["/block[0]/mul[1]", "b"]);
        check("[ONNX Layer: r | inner_call (Inner) | outer_call (Outer)]", &["outer_call"]);
        check(
            "[ONNX Layer: k_mul | act1 (QuickGelu)]\x1f[ONNX Layer: gate | act1 (QuickGelu)]\x1f[ONNX Layer: fc]",
            &["act1", "fc"],
        );
        check("trt.cast", &[]);
    }

    /// Metadata of TensorRT-RTX 1.7.1, in the form of the engine inspector, which a machine without an RTX GPU cannot ask.
    #[test]
    fn layers_of_an_engine() {
        let layers = read(include_str!("layers/example.json")).unwrap();
        assert_eq!(layers.len(), 3);
        let conv = &layers[0];
        assert_eq!((conv.name.as_str(), conv.kind.as_str()), ("Conv__440 + Relu", "gemm"));
        assert_eq!(conv.onnx_nodes, ["Conv__440", "Relu"]);
        assert_eq!(
            (conv.outputs[0].dtype, conv.outputs[0].shape.as_slice()),
            (Some(DType::Float16), &[1, 64, 112, 112][..])
        );
        assert_eq!(conv.inputs[0].dtype, Some(DType::Float32));
        assert_eq!(conv.tactic.as_deref(), Some("sm80_xmma_fprop_implicit_gemm_f16f16_f16f16_f16_nhwckrsc_nhwc"));
        assert_eq!(layers[1].onnx_nodes, ["max_pooling2d/MaxPool"]);
        assert_eq!(
            (layers[2].name.as_str(), layers[2].onnx_nodes.len()),
            ("Reformatting CopyNode for Input Tensor 0", 0)
        );
    }

    #[test]
    fn types_in_formats() {
        let check = |format: &str, expected| assert_eq!(dtype(format), expected, "{format}");
        check("Half", Some(DType::Float16));
        check("Row major linear FP32", Some(DType::Float32));
        check("Channel major FP16 format where channel % 8 == 0", Some(DType::Float16));
        check("Thirty-two wide channel vectorized row major Int8 format", Some(DType::Int8));
        check("BFloat16", Some(DType::Bfloat16));
        check("N/A due to dynamic shapes", None);
    }

    #[test]
    fn what_is_no_answer_of_an_inspector() {
        assert!(read("").is_err() && read("{}").is_err());
        let names = read(r#"{"Layers": ["a + b", "c"]}"#).unwrap();
        assert_eq!((names.len(), names[0].name.as_str(), names[0].onnx_nodes.len()), (2, "a + b", 0));
    }

    #[test]
    fn fusions_in_a_plan() {
        let plan = b"\x00\x01[ONNX Layer: a]\x1e[ONNX Layer: b]\x0e\x80 layers=\"[ONNX Layer: c]\x1f[ONNX Layer: d]\" }\n[ONNX Lay";
        let text = |groups: &[&[&str]]| {
            groups.iter().map(|g| g.iter().map(|n| n.to_string()).collect()).collect::<Vec<Vec<_>>>()
        };
        assert_eq!(in_plan(plan), text(&[&["a", "b"], &["c", "d"]]));
        assert!(in_plan(b"").is_empty() && in_plan(b"[ONNX Layer: ").is_empty());
    }
}
