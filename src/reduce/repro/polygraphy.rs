//! The command for NVIDIA Polygraphy. It compares two runners, or one with stored outputs; it has no emulated precision,
//! no `exec:`, and no types that NumPy lacks, and where it cannot show the failure the script says so.

use crate::found::words::setting;
use crate::load::npy::widen;
use crate::spec::{Place, Precision, Spec};
use crate::tensor::{DType, Tensor};

use super::Runs;
use super::shell::{call, comment, words};
use crate::reduce::story::{Bound, JSON_INPUTS, JSON_OUTPUTS};

/// What Polygraphy can do here.
pub struct Plan {
    /// Runners and what they are compared with; `None`: nothing at all.
    runners: Option<Vec<String>>,
    /// What the command is worth.
    remark: String,
    judges: bool,
}

/// Runners for the candidate of `runs`.
pub fn plan(runs: &Runs) -> Plan {
    if let Some(remark) = obstacle(runs) {
        return Plan { runners: None, remark, judges: false };
    }
    let (mut runners, mut remark, mut judges) = candidate(&runs.candidate);
    if runs.outputs.is_some_and(|outputs| outputs.values().any(|t| any_float(t, f64::is_nan))) {
        remark +=
            "\nThe reference holds NaN, and to Polygraphy a NaN differs from every NaN: its verdict means nothing.";
        judges = false;
    }
    if runs.bounds.is_empty() && judges {
        remark += "\nWhat layerdiff tolerates is no number that Polygraphy could be given: its verdict means nothing.";
        judges = false;
    }
    if needs_stored_outputs(&runs.reference, &runs.candidate, runs.own_model) {
        runners.extend(["--load-outputs", JSON_OUTPUTS].map(String::from));
    } else {
        runners.extend(on_cpu());
    }
    Plan { runners: Some(runners), remark, judges }
}

/// The runner of the reference must be ONNX Runtime on the CPU beside another one of TensorRT; all else is compared with
/// what is stored.
pub fn needs_stored_outputs(reference: &Spec, candidate: &Spec, own_model: bool) -> bool {
    own_model || !plain(reference) || !is_tensorrt(candidate)
}

impl Plan {
    /// Does its exit status say whether the failure shows?
    pub fn judges(&self) -> bool {
        self.judges
    }

    /// `by_polygraphy`, with a comment.
    pub fn function(&self, runs: &Runs) -> String {
        let mut out = format!("\n{}by_polygraphy() {{\n", comment(&self.remark));
        let Some(runners) = &self.runners else {
            return out
                + "    echo 'repro.sh: Polygraphy cannot run this one; see the comment in repro.sh' >&2\n    return 3\n}\n";
        };
        out += "    cd \"$here\" || return 3\n    rm -f polygraphy.log\n";
        out += &call(&[
            "\"$polygraphy\" run model.onnx".to_string(),
            words(runners),
            words(&["--load-inputs", JSON_INPUTS]),
            words(&tolerance(runs)),
            words(&["--log-file", "polygraphy.log"]),
        ]);
        out += if self.judges {
            "    status=$?\n    \
             # Whatever goes wrong, it ends with 1; only when it has compared, there is a summary.\n    \
             grep -q 'Accuracy Summary' polygraphy.log || return 3\n    \
             return \"$status\"\n}\n"
        } else {
            "    echo 'repro.sh: this does not show the failure; see the comment in repro.sh' >&2\n    return 3\n}\n"
        };
        out
    }
}

/// Runners, a remark, and whether a difference shows the failure.
fn candidate(spec: &Spec) -> (Vec<String>, String, bool) {
    let sound = "It shows only that ONNX Runtime gives the stored outputs: the model and the data are sound.";
    match &spec.place {
        _ if is_tensorrt(spec) => {
            let mut runners = vec!["--trt".to_string()];
            if spec.precision != Precision::Fp32 {
                runners.push(format!("--{}", spec.precision));
            }
            let mut remark = "TensorRT against the reference.".to_string();
            if spec.place != Place::TensorRt {
                remark += " It is called without the ONNX Runtime around it that the failure was seen in.";
            }
            if matches!(spec.precision, Precision::Fp16 | Precision::Bf16 | Precision::Int8 | Precision::Fp8) {
                remark += &format!("\nTensorRT 11 has no --{}: there the types in the model decide.", spec.precision);
            }
            (runners, remark, true)
        }
        Place::Cpu if spec.precision == Precision::Fp32 => {
            (on_cpu(), "ONNX Runtime on the CPU against the reference's outputs, which are stored.".into(), true)
        }
        Place::Provider(name) if spec.precision == Precision::Fp32 => {
            let remark = format!("ONNX Runtime's provider '{name}' against the reference's outputs, which are stored.");
            (onnxruntime(name), remark, true)
        }
        Place::Cpu => (on_cpu(), format!("Polygraphy cannot emulate {} on the CPU. {sound}", spec.precision), false),
        Place::Provider(name) => {
            let remark = format!("Polygraphy cannot set {} for the provider '{name}'. {sound}", spec.precision);
            (on_cpu(), remark, false)
        }
        // No runner of it is known.
        _ => (on_cpu(), format!("Polygraphy cannot run the candidate. {sound}"), false),
    }
}

/// Why Polygraphy can do nothing with these files.
fn obstacle(runs: &Runs) -> Option<String> {
    let stored = needs_stored_outputs(&runs.reference, &runs.candidate, runs.own_model);
    if stored && runs.outputs.is_none() {
        return Some("Polygraphy has nothing to compare with: no reference could run.".into());
    }
    let foreign = |t: &Tensor| t.dtype == DType::String || widen::wide(t.dtype) != t.dtype;
    let mut values = runs.inputs.iter().map(|i| (i.name, i.value));
    let outputs = runs.outputs.into_iter().flatten().map(|(name, value)| (name.as_str(), value));
    let (name, value) = values.find(|(_, t)| foreign(t)).or_else(|| outputs.into_iter().find(|(_, t)| foreign(t)))?;
    Some(format!("Polygraphy holds tensors as NumPy does, and cannot take '{name}', which is {}.", value.dtype))
}

/// ONNX Runtime on the CPU without a precision of its own.
fn plain(spec: &Spec) -> bool {
    spec.place == Place::Cpu && spec.precision == Precision::Fp32
}

fn is_tensorrt(spec: &Spec) -> bool {
    match &spec.place {
        Place::TensorRt => true,
        Place::Provider(name) => name == "tensorrt",
        _ => false,
    }
}

fn on_cpu() -> Vec<String> {
    onnxruntime("cpu")
}

/// Graph optimisation is off, as in layerdiff.
fn onnxruntime(provider: &str) -> Vec<String> {
    ["--onnxrt", "--providers", provider, "--graph-optimization-level", "ORT_DISABLE_ALL"].map(String::from).into()
}

/// `--atol` and `--rtol`, one number where one says it all. Equal infinities are equal in layerdiff.
fn tolerance(runs: &Runs) -> Vec<String> {
    type Number = fn(&Bound) -> f64;
    let mut words = Vec::new();
    for (flag, number) in [("--atol", (|b| b.atol) as Number), ("--rtol", |b| b.rtol)] {
        let Some(first) = runs.bounds.first() else { continue };
        words.push(flag.to_string());
        // A name that looks like an option cannot be given: the loosest bound is everybody's then.
        let named = runs.bounds.iter().all(|b| !b.output.starts_with('-'));
        match runs.bounds.iter().all(|b| number(b) == number(first)) {
            true => words.push(figure(number(first))),
            false if named => words.extend(runs.bounds.iter().map(|b| format!("{}:{}", b.output, figure(number(b))))),
            false => words.push(figure(runs.bounds.iter().map(number).fold(0.0, f64::max))),
        }
    }
    if runs.outputs.is_some_and(|outputs| outputs.values().any(|t| any_float(t, f64::is_infinite))) {
        words.push("--infinities-compare-equal".to_string());
    }
    words
}

/// Short, and never tighter than `x`.
fn figure(x: f64) -> String {
    let exact = setting(x);
    if exact.len() <= 9 { exact } else { format!("{:.3e}", x * 1.0005) }
}

/// Is `what` true of any element of a float tensor?
fn any_float(tensor: &Tensor, what: fn(f64) -> bool) -> bool {
    match tensor.dtype {
        DType::Float64 => tensor.view::<f64>().iter().any(|x| what(*x)),
        DType::Float32 => tensor.view::<f32>().iter().any(|x| what(f64::from(*x))),
        DType::Float16 => tensor.view::<half::f16>().iter().any(|x| what(x.to_f64())),
        _ => false,
    }
}
