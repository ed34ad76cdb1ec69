//! What no property of the values explains: amplification of what came in, another kernel, a fusion, TF32. The opposite,
//! an error that is exactly the precision's own, is not here.

use super::case::Case;
use super::stats;
use super::words::num;
use super::{Finding, Operand, Strength};
use crate::found::{Kind, Metrics};
use crate::spec::Precision;

/// Errors this many times the emulation's own are not the precision's.
const FAR: f64 = 10.0;

/// Less is handed on, not enlarged.
const GAIN: f64 = 2.0;

/// The node enlarges a difference that its inputs brought.
pub fn gain(case: &Case) -> Option<Finding> {
    if !case.amplifies() || case.nonfinite_new() {
        return None;
    }
    let error = |o: &Operand| stats::pairs(o.value?, o.candidate?, None)?.2.relative();
    let inputs = case.e.inputs.iter().filter_map(error).reduce(f64::max).filter(|e| *e > 0.0);
    let output = case.pairs.as_ref().and_then(|p| p.relative());
    let (strength, evidence) = match inputs.zip(output) {
        Some((i, o)) if o < GAIN * i => return None,
        Some((i, o)) => {
            let text = format!("the inputs are off by {} of their size, the result by {}", num(i), num(o));
            (Strength::AtWork, format!("{text}: {} times as much", num(o / i)))
        }
        None => {
            (Strength::Open, "right on its own, it turns a tolerable difference of its inputs into this one".into())
        }
    };
    let advice = format!(
        "look above {}: a tighter --rtol shows where the difference comes in; keep that and {} in FP32",
        case.name(),
        case.name()
    );
    Some(Finding { code: "gain", strength, evidence, advice })
}

/// The operators that tensor cores compute.
const PRODUCTS: [&str; 5] = ["MatMul", "Gemm", "Conv", "ConvTranspose", "Einsum"];

/// An FP32 product that is as wrong as TF32 makes it.
pub fn tf32(case: &Case) -> Option<Finding> {
    let plain = case.e.candidate == Precision::Fp32 && case.format.is_none() && !case.e.own_model;
    let error = case.relative_error().filter(|e| (2f64.powi(-15)..2f64.powi(-8)).contains(e))?;
    if !plain || !case.is_any(&PRODUCTS) {
        return None;
    }
    let evidence = format!(
        "the error is {} of the result's size: thousands of FP32's roundings (6e-8), about one of TF32's (4.9e-4)",
        num(error)
    );
    let advice =
        "turn TF32 off (NVIDIA_TF32_OVERRIDE=0, or trtexec --noTF32) and compare again, or compare as tf32".to_string();
    Some(Finding { code: "tf32", strength: Strength::Fits, evidence, advice })
}

/// Far worse than an exact emulation of the precision.
pub fn kernel_or_fusion(case: &Case) -> Option<Finding> {
    let emulated = case.e.emulated?;
    let (measured, floor) = (case.metrics(), emulated.rmse.0);
    let name = case.e.candidate.to_string().to_uppercase();
    let broken = |m: &Metrics| m.cand_nonfinite > m.ref_nonfinite;
    let (strength, evidence) = match rho(measured, emulated) {
        _ if broken(measured) && !broken(emulated) => {
            let count = measured.cand_nonfinite - measured.ref_nonfinite;
            (Strength::AtWork, format!("it makes {count} NaN or infinities, where exact {name} rounding makes none"))
        }
        Some(rho) if rho >= FAR => {
            let text =
                format!("its error of {} is {} times that of exact {name} rounding", num(measured.rmse.0), num(rho));
            (Strength::AtWork, format!("{text} ({}): the precision does not explain it", num(floor)))
        }
        _ => return None,
    };
    Some(Finding { code: "kernel-or-fusion", strength, evidence, advice: reproducer(case) })
}

/// FP32 against FP32, and nothing above has explained it.
pub fn unexplained(case: &Case) -> Option<Finding> {
    let plain = case.e.candidate == Precision::Fp32 && case.format.is_none() && case.e.quantised.is_none();
    // Two files are set against each other as such, and what differs in them is undone.
    if !plain || case.e.own_model || case.e.culprit.kind == Kind::Amplifies || case.e.emulated.is_some() {
        return None;
    }
    if let Some(evidence) = fused(case) {
        return Some(Finding {
            code: "kernel-or-fusion",
            strength: Strength::Fits,
            evidence,
            advice: reproducer(case),
        });
    }
    let error = case.relative_error().map_or(String::new(), |e| format!(" by {} of its size", num(e)));
    let evidence = format!("it is off{error} in FP32, and neither its values nor its attributes explain that");
    Some(Finding { code: "kernel-or-fusion", strength: Strength::Open, evidence, advice: reproducer(case) })
}

/// Right on its own, and one layer with others in the engine.
fn fused(case: &Case) -> Option<String> {
    let culprit = case.e.culprit;
    let engine = culprit.engine.as_ref().filter(|engine| engine.nodes.len() > 1)?;
    let right_alone = culprit.local.as_ref().is_some_and(|local| local.mismatched == 0);
    if !right_alone || culprit.kind != Kind::Region {
        return None;
    }
    let others: Vec<&str> =
        engine.nodes.iter().filter(|name| **name != culprit.node.name).map(String::as_str).collect();
    Some(format!(
        "right on its own, and off by {} where the engine computes it in one layer with {}",
        num(culprit.accumulated.max_abs.0),
        others.join(", ")
    ))
}

fn reproducer(case: &Case) -> String {
    format!(
        "report the reproducer of {} to the backend's makers; until then keep the node in FP32, or break the fusion by making its tensor an output",
        case.name()
    )
}

/// The error against the emulation's; `None` where one of them is none or not finite.
pub fn rho(measured: &Metrics, emulated: &Metrics) -> Option<f64> {
    let (error, floor) = (measured.rmse.0, emulated.rmse.0);
    let finite = measured.cand_nonfinite <= measured.ref_nonfinite;
    (finite && error > 0.0 && floor > 0.0 && error.is_finite()).then(|| error / floor)
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::found::Kind;
    use crate::spec::Precision::Fp32;

    #[test]
    fn gains() {
        let exp =
            || Sample::new("Exp", &["x"]).kind(Kind::Amplifies).input("x", &[10.0, 10.0]).their(0, &[10.001, 10.0]);
        check(exp().precision(Fp32, &[1.0, 1.0], &[1.1, 1.0]), "gain", "999.6 times as much");
        let unknown = Sample::new("Exp", &["x"]).kind(Kind::Amplifies);
        check(unknown.precision(Fp32, &[1.0], &[1.1]), "gain", "right on its own");
        // Twice as much is a gain, less is not; nor has NaN a size.
        let slight = |c: f32| {
            Sample::new("Exp", &["x"]).kind(Kind::Amplifies).input("x", &[1.0]).their(0, &[1.01]).precision(
                Fp32,
                &[1.0],
                &[c],
            )
        };
        check(slight(1.03), "gain", "3 times as much");
        without(slight(1.015), "gain");
        without(exp().precision(Fp32, &[1.0, 1.0], &[1.1, f32::NAN]), "gain");
        without(exp().kind(Kind::Introduces).precision(Fp32, &[1.0, 1.0], &[1.1, 1.0]), "gain");
    }

    #[test]
    fn far_from_the_emulation() {
        let conv = |rmse: f64| Sample::new("Conv", &["x"]).emulated(rmse).fp16(&[1.0], &[1.1]);
        check(conv(0.001), "kernel-or-fusion", "is 100 times that of exact FP16 rounding");
        without(conv(0.05), "kernel-or-fusion");
        let nan = Sample::new("Conv", &["x"]).emulated(0.1).fp16(&[1.0], &[f32::NAN]);
        check(nan, "kernel-or-fusion", "1 NaN or infinities, where exact FP16 rounding makes none");
    }

    #[test]
    fn plain_fp32() {
        let product = |op_type: &str, c: f32| Sample::new(op_type, &["x"]).precision(Fp32, &[1.0, 1.0], &[c, 1.0]);
        check(product("MatMul", 1.0005), "tf32", "one of TF32's");
        without(product("MatMul", 1.5), "tf32");
        without(product("Relu", 1.0005), "tf32");
        check(product("Relu", 1.5), "kernel-or-fusion", "it is off by 0.3536 of its size in FP32");
        without(Sample::new("Relu", &["x"]).fp16(&[1.0], &[1.5]), "kernel-or-fusion");
    }
}
