//! quantise.py: the quantiser of ONNX Runtime called again, with the settings that the file was made with as far as it says so,
//! and those that cure it. And what of that ModelOpt's quantiser can be told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Told, excluded, tensor_name};
use crate::cure::export::{Content, Export, command, line, plain, plain_path};
use crate::qdq::{Base, Setting};
use crate::show::page::{Block, Words};
use crate::tensor::DType;

/// A script, where settings or nodes left unquantised are a cure.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "quantise",
        file: "quantise.py",
        content: |told| match has_script(told) {
            true => Ok(Some(Content::Text(script(told)?))),
            false => Ok(None),
        },
        section,
    }
}

/// Arguments of ModelOpt's quantiser, where the cure is a setting that it has: operators left out.
pub fn modelopt<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "modelopt_settings",
        file: "modelopt_settings.args",
        content: |told| Ok(modelopt_arguments(told).map(Content::Text)),
        section: |_| vec![line(MODELOPT), command("python -m modelopt.onnx.quantization", "modelopt_settings.args")],
    }
}

const MODELOPT: &str =
    "**modelopt_settings.args** (the same for ModelOpt, untried; add --calibration_data_path), in bash:";

fn has_script(told: &Told) -> bool {
    !settings(told).is_empty() || (told.cured() && told.found.verified)
}

fn settings<'a>(told: &'a Told) -> &'a [Setting] {
    told.remedy.settings.get().map_or(&[], |found| &found.chosen)
}

fn section(told: &Told) -> Vec<Block> {
    let mut blocks = Vec::new();
    let rows = &told.found.settings;
    match rows.iter().all(|row| row.verified) {
        _ if rows.is_empty() => {
            blocks.push(line("**quantise.py** quantises the float model again without those nodes:"))
        }
        true => blocks.push(line(SEEN)),
        false => blocks.push(line(UNSEEN)),
    }
    blocks.extend(Block::list(rows.iter().map(|row| plain(&format!("{} = {}", row.setting, row.detail)))));
    blocks.push(Block::Code("python quantise.py FLOAT.onnx QUANTISED.onnx CALIBRATION.npz ...".into()));
    blocks.push(line(Words::from(REST)));
    blocks
}

const SEEN: &str = "**quantise.py** quantises the float model again with other settings. With these and all nodes quantised the \
                    outputs agree, as a run of the quantised file edited accordingly showed:";

const UNSEEN: &str = "**quantise.py** quantises the float model again with other settings. With these and all nodes quantised the \
                      outputs agree on the samples that the search saw, and not on those held back:";

const REST: &str = "Its other arguments are read from the quantised file as far as that says them; calibration is yours, and what \
                    comes of it is to be compared again.";

/// The keywords of `quantize_static` as JSON, which Python reads; types by their names in `QuantType`.
fn keywords(told: &Told) -> Value {
    let candidate = told.remedy.candidate;
    let quantised = &told.remedy.quantised;
    let base = Base::of(&candidate.graph, &quantised.pairs);
    let has = |setting: &Setting| settings(told).contains(setting);
    let mut extra = serde_json::Map::new();
    let asymmetric =
        settings(told).iter().find_map(|s| if let Setting::WeightSymmetric(b) = s { Some(*b) } else { None });
    extra.insert("WeightSymmetric".into(), asymmetric.unwrap_or(base.weights_symmetric).into());
    let symmetric = base.activations_symmetric || has(&Setting::ActivationSymmetric);
    extra.insert("ActivationSymmetric".into(), symmetric.into());
    extra.insert("QuantizeBias".into(), (base.bias && !has(&Setting::FloatBias)).into());
    let mut nodes = Vec::new();
    if settings(told).is_empty() {
        nodes.clone_from(&told.excluded.ort);
        extra.insert("OpTypesToExcludeOutputQuantization".into(), json!(told.excluded.makers));
    }
    let gone: Vec<usize> = settings(told)
        .iter()
        .filter_map(|s| if let Setting::WithoutPairs(p) = s { Some(p) } else { None })
        .flatten()
        .copied()
        .collect();
    if !gone.is_empty() {
        let excluded = excluded(told.remedy, &gone);
        nodes = excluded.ort;
        extra.insert("OpTypesToExcludeOutputQuantization".into(), json!(excluded.makers));
    }
    let ops: Vec<&String> = base.ops.iter().filter(|op| !has(&Setting::WithoutOp(op.to_string()))).collect();
    json!({
        "activation_type": quant_type(base.activations),
        "weight_type": quant_type(base.weights),
        "per_channel": base.per_channel || has(&Setting::PerChannel),
        "reduce_range": base.reduced || has(&Setting::ReduceRange),
        "op_types_to_quantize": ops,
        "nodes_to_exclude": nodes,
        "extra_options": extra,
    })
}

/// By name of the tensor: its type.
fn wide(told: &Told) -> BTreeMap<String, &'static str> {
    let pairs = &told.remedy.quantised.pairs;
    let numbers = settings(told).iter().flat_map(|s| if let Setting::Wide(wide) = s { wide.as_slice() } else { &[] });
    let one = |n: &usize| {
        let dtype = if pairs[*n].dtype == DType::Int8 { DType::Int16 } else { DType::Uint16 };
        (tensor_name(told.remedy, &pairs[*n]), quant_type(dtype))
    };
    numbers.map(one).collect()
}

fn quant_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Int8 => "QInt8",
        DType::Int16 => "QInt16",
        DType::Uint16 => "QUInt16",
        DType::Int4 => "QInt4",
        DType::Uint4 => "QUInt4",
        DType::Float8e4m3fn => "QFLOAT8E4M3FN",
        _ => "QUInt8",
    }
}

fn script(told: &Told) -> anyhow::Result<String> {
    let (keywords, wide) = (literal(&keywords(told))?, literal(&json!(wide(told)))?);
    Ok(format!("{HEAD}{keywords}{BETWEEN}{wide}{TAIL}"))
}

/// JSON that stands in a raw string of Python between three single quotes, whatever names are in it.
fn literal(value: &Value) -> anyhow::Result<String> {
    let mut out = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        match c.is_ascii() && c != '\'' {
            true => out.push(c),
            false => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out += &format!("\\u{unit:04x}")),
        }
    }
    Ok(out)
}

fn modelopt_arguments(told: &Told) -> Option<String> {
    let ops: Vec<&str> = settings(told)
        .iter()
        .filter_map(|s| if let Setting::WithoutOp(op) = s { Some(op.as_str()) } else { None })
        .collect();
    // Half a cure is none.
    if ops.is_empty() || ops.len() != settings(told).len() {
        return None;
    }
    let onnx = plain_path(&told.remedy.reference.model.path).unwrap_or_else(|| "model.onnx".to_string());
    let mut lines = vec![
        format!("--onnx_path={onnx}"),
        "--output_path=model.quantised.onnx".to_string(),
        "--quantize_mode=int8".to_string(),
        "--op_types_to_exclude".to_string(),
    ];
    lines.extend(ops.iter().map(|op| op.to_string()));
    Some(lines.join("\n") + "\n")
}

const HEAD: &str = r#""""Quantises a model again with the settings that layerdiff found: python quantise.py FLOAT.onnx QUANTISED.onnx DATA.npz ...

Each DATA.npz holds one sample to calibrate with: an array for every input of the model. To calibrate in another way, import
keywords() and call quantize_static yourself.
"""

import json
import sys

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

KEYWORDS = json.loads(r'''"#;

const BETWEEN: &str = "''')

# Activations of 16 bits.
WIDE = json.loads(r'''";

const TAIL: &str = r#"''')


class Samples(CalibrationDataReader):
    def __init__(self, paths):
        self.left = iter(paths)

    def get_next(self):
        path = next(self.left, None)
        return None if path is None else dict(np.load(path))


def keywords():
    told = dict(KEYWORDS)
    for name in ("activation_type", "weight_type"):
        told[name] = QuantType[told[name]]
    told["extra_options"] = dict(told["extra_options"])
    if WIDE:
        overrides = {name: [{"quant_type": QuantType[kind]}] for name, kind in WIDE.items()}
        told["extra_options"]["TensorQuantOverrides"] = overrides
    return told


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    quantize_static(sys.argv[1], sys.argv[2], Samples(sys.argv[3:]), quant_format=QuantFormat.QDQ, **keywords())
"#;
