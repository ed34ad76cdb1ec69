//! The command for TensorRT's own trtexec, which runs a model and judges nothing.

use crate::spec::Precision;
use crate::tensor::{DType, shape_text};

use super::shell::{call, comment, words};
use super::{Input, Runs};
use crate::reduce::story::{RAW, TEST_SET};

/// `by_trtexec`, with a comment.
pub fn function(runs: &Runs) -> String {
    let start = "\nby_trtexec() {\n";
    if let Some(input) = runs.inputs.iter().find(|i| i.value.dtype == DType::String || i.name.contains(['\'', ','])) {
        let why = format!("trtexec cannot be given the input '{}'.", input.name);
        let said = "    echo 'repro.sh: trtexec cannot take an input of this model; see the comment in repro.sh' >&2\n";
        return format!("\n{}{}{said}    return 3\n}}\n", comment(&why), start.trim_start());
    }
    let truth = match runs.outputs {
        Some(_) => format!("compare {RAW}/outputs.json with the reference, {TEST_SET}/output_*.pb"),
        None => format!("its outputs are in {RAW}/outputs.json"),
    };
    let mut remark = "TensorRT alone. It runs the model and judges nothing.".to_string();
    if matches!(runs.candidate.precision, Precision::Fp16 | Precision::Bf16 | Precision::Int8 | Precision::Fp8) {
        let precision = runs.candidate.precision;
        remark += &format!("\nTensorRT 11 has no --{precision}: there the types in the model decide.");
    }
    let mut out = format!("\n{}{}    cd \"$here\" || return 3\n", comment(&remark), start.trim_start());
    out += &call(&[
        "\"$trtexec\" --onnx=model.onnx".to_string(),
        words(precision(runs.candidate.precision)),
        words(shapes(runs.inputs).as_slice()),
        words(loaded(runs.inputs).as_slice()),
        words(&[format!("--exportOutput={RAW}/outputs.json")]),
    ]);
    out += "    [ $? -eq 0 ] || return 3\n";
    out + &format!("    echo 'repro.sh: trtexec judges nothing: {truth}' >&2\n    return 3\n}}\n")
}

/// TF32 is on by default, and is not FP32.
fn precision(precision: Precision) -> &'static [&'static str] {
    match precision {
        Precision::Fp32 => &["--noTF32"],
        Precision::Tf32 => &[],
        Precision::Fp16 => &["--fp16"],
        Precision::Bf16 => &["--bf16"],
        Precision::Int8 => &["--int8"],
        Precision::Fp8 => &["--fp8"],
    }
}

/// The shapes that the model leaves open; trtexec refuses any other.
fn shapes(inputs: &[Input]) -> Option<String> {
    let one = |i: &Input| format!("{}:{}", named(i.name), shape_text(&i.value.shape));
    let open: Vec<String> = inputs.iter().filter(|i| i.open).map(one).collect();
    (!open.is_empty()).then(|| format!("--shapes={}", open.join(",")))
}

fn loaded(inputs: &[Input]) -> Option<String> {
    let files: Vec<String> = inputs.iter().map(|i| format!("{}:{}", named(i.name), i.file)).collect();
    (!files.is_empty()).then(|| format!("--loadInputs={}", files.join(",")))
}

/// Only quoted can a name hold a colon.
fn named(name: &str) -> String {
    if name.contains(':') { format!("'{name}'") } else { name.to_string() }
}
