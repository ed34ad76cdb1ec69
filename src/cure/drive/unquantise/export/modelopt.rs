//! Arguments of ModelOpt's quantiser, which makes a QDQ model of the float one without these nodes.

use super::{Told, Unquantised};
use crate::cure::export::{Content, Export, command, line, plain_path};
use crate::tensor::DType;

/// For `python -m modelopt.onnx.quantization`, where there is a cure.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "modelopt",
        file: "modelopt_quantize.args",
        content: |told| Ok(told.cured().then(|| Content::Text(arguments(told)))),
        section: |_| vec![line(SECTION), command("python -m modelopt.onnx.quantization", "modelopt_quantize.args")],
    }
}

const SECTION: &str = "**modelopt_quantize.args** (add your calibration data with --calibration_data_path), in bash:";

/// One argument a line.
fn arguments(told: &Told) -> String {
    let Unquantised { reference, quantised, .. } = told.remedy;
    let onnx = plain_path(&reference.model.path).unwrap_or_else(|| "model.onnx".to_string());
    let activations = quantised.pairs.iter().filter(|p| !p.weight).chain(&quantised.pairs);
    let mode = match activations.map(|p| p.dtype).next() {
        Some(DType::Float8e4m3fn | DType::Float8e5m2) => "fp8",
        Some(DType::Int4 | DType::Uint4) => "int4",
        _ => "int8",
    };
    let mut lines = vec![
        format!("--onnx_path={onnx}"),
        "--output_path=model.quantised.onnx".to_string(),
        format!("--quantize_mode={mode}"),
        "--nodes_to_exclude".to_string(),
    ];
    lines.extend_from_slice(&told.excluded.modelopt);
    lines.join("\n") + "\n"
}
