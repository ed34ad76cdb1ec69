//! The two lists in JSON: nodes.json for everybody, and ONNX Runtime's float16 converter's.

use serde_json::{Value, json};

use super::{Kept, Override};
use crate::found::Real;

/// All that is known, for scripts.
pub fn nodes(o: &Override, kept: &[Kept], onnx: &str) -> anyhow::Result<String> {
    let node = |k: &Kept| {
        json!({
            "name": k.name,
            "op_type": k.op_type,
            "outputs": k.outputs,
            "index": k.index,
            "subgraph": k.subgraph,
        })
    };
    let names = |numbers: &[usize]| -> Vec<&str> {
        kept.iter().filter(|k| numbers.contains(&k.number)).map(|k| k.name.as_str()).collect()
    };
    let groups: Vec<Value> =
        o.story.groups.iter().map(|g| json!({"title": g.title, "nodes": names(&g.nodes)})).collect();
    let list = json!({
        "schema": "layerdiff.overrides/1",
        "model": onnx,
        "precision": "fp32",
        "low": o.low.to_string(),
        "nodes": kept.iter().map(node).collect::<Vec<_>>(),
        "groups": groups,
        "verified": o.story.verified,
        "measure": o.story.measure,
        "error_before": Real(o.story.error_before),
        "error_after": Real(o.story.error_after),
    });
    pretty(&list)
}

/// The block list of `onnxconverter_common.float16` and `onnxruntime.transformers.float16`.
pub fn float16(onnx: &str, kept: &[Kept]) -> anyhow::Result<String> {
    let load =
        format!("low = convert_float_to_float16(onnx.load({}), keep_io_types=True,", serde_json::to_string(onnx)?);
    let usage = [
        "import json, onnx",
        "from onnxconverter_common.float16 import convert_float_to_float16",
        &load,
        "    node_block_list=json.load(open(\"ort_float16.json\"))[\"node_block_list\"])",
        "onnx.save(low, \"model.float16.onnx\")",
    ];
    let names: Vec<&str> = kept.iter().map(|k| k.name.as_str()).collect();
    pretty(&json!({"usage": usage, "node_block_list": names}))
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
