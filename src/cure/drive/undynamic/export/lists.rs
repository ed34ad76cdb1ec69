//! Keywords of ONNX Runtime's quantisers, by who made the file; and nodes.json, for scripts.

use serde_json::json;

use super::{Kind, Told};
use crate::cure::export::{Content, Export, line, pretty, with_outcome};
use crate::show::page::Block;

/// For `onnxruntime.quantization.quantize_dynamic`.
pub fn dynamic<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnxruntime",
        file: "ort_quantize_dynamic.json",
        content: |told| keywords(told, Kind::Dynamic),
        section: |_| {
            let code = "options = json.load(open(\"ort_quantize_dynamic.json\"))\nquantize_dynamic(float_model, quantised_model, **options)";
            vec![line("**ort_quantize_dynamic.json** (ONNX Runtime):"), Block::Code(code.into())]
        },
    }
}

/// For `onnxruntime.quantization.matmul_nbits_quantizer`.
pub fn n_bits<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "matmul_nbits",
        file: "matmul_nbits.json",
        content: |told| keywords(told, Kind::Bits),
        section: |_| {
            let code = "options = json.load(open(\"matmul_nbits.json\"))\nMatMulNBitsQuantizer(onnx.load(float_model), **options).process()";
            vec![line("**matmul_nbits.json** (ONNX Runtime):"), Block::Code(code.into())]
        },
    }
}

/// For `onnxruntime.quantization.quantize_static` with operators instead of pairs.
pub fn operators<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnxruntime_qoperator",
        file: "ort_quantize_qoperator.json",
        content: |told| keywords(told, Kind::Operators),
        section: |_| {
            let code = "options = json.load(open(\"ort_quantize_qoperator.json\"))\nquantize_static(float_model, quantised_model, calibration_reader, quant_format=QuantFormat.QOperator, **options)";
            vec![line("**ort_quantize_qoperator.json** (ONNX Runtime):"), Block::Code(code.into())]
        },
    }
}

fn keywords(told: &Told, kind: Kind) -> anyhow::Result<Option<Content>> {
    let names = told.names(kind);
    let text = || pretty(&json!({"nodes_to_exclude": names})).map(Content::Text);
    (!names.is_empty()).then(text).transpose()
}

/// nodes.json, always written.
pub fn nodes<'a>() -> Export<Told<'a>> {
    Export::list(|told| Ok(Some(Content::Text(list(told)?))))
}

fn list(told: &Told) -> anyhow::Result<String> {
    let (remedy, found) = (told.remedy, told.found);
    let file = remedy.file;
    let node = |u: usize| {
        let (unit, restored) = (&file.units[u], &file.restored[u]);
        let proto = &file.graph.nodes[unit.node];
        json!({
            "name": restored.name,
            "op_type": unit.float,
            "outputs": [file.graph.tensors[unit.result].name],
            "subgraph": proto.subgraph(),
            "quantised": {"name": proto.name, "op_type": proto.op_type, "bits": unit.bits},
            "weight_of_reference": restored.reference.is_some(),
        })
    };
    let losses = |u: usize| {
        let effect = &remedy.effects[u];
        json!({"name": file.restored[u].name, "local": effect.local, "outputs": effect.outputs})
    };
    let list = json!({
        "schema": "layerdiff.unquantised/1",
        "model": remedy.candidate.model.path.to_string_lossy(),
        "nodes": told.units().map(node).collect::<Vec<_>>(),
        "groups": found.groups,
        "losses": (0..file.units.len()).map(losses).collect::<Vec<_>>(),
    });
    pretty(&with_outcome(list, found))
}
