//! The block list for ONNX Runtime's float16 converter, which makes FP16 and nothing else.

use serde_json::json;

use super::{Content, Export, Kept, Told, line, pretty};
use crate::spec::Precision;

/// For `convert_float_to_float16`, in FP16.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnxruntime",
        file: "ort_float16.json",
        content: |told| match told.o.low {
            Precision::Fp16 => Ok(Some(Content::Text(float16(&told.onnx, &told.kept)?))),
            _ => Ok(None),
        },
        section: |_| vec![line(SECTION)],
    }
}

const SECTION: &str =
    "**ort_float16.json**: the block list for ONNX Runtime's float16 converter; `usage` in it says how.";

/// The block list of `onnxconverter_common.float16` and `onnxruntime.transformers.float16`.
fn float16(onnx: &str, kept: &[Kept]) -> anyhow::Result<String> {
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
