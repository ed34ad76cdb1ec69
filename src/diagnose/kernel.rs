//! What no property of the values explains: amplification of what came in, another kernel, a fusion, TF32, or nobody knows.
//! A kernel is blamed only where both sides ran the very same node on the same inputs. The opposite, an error that is exactly
//! the precision's own, is not here; nor is what to do with a reproducer, for it is made later.

use super::case::{Case, rho};
use super::stats;
use super::words::{list, num};
use super::{Finding, Operand, Strength};
use crate::found::{KERNEL, Kind, Metrics};
use crate::spec::Precision;

/// Errors this many times the emulation's own are not the precision's.
const FAR: f64 = 10.0;

/// Errors that are so many times their inputs' are a gain.
const LARGER: f64 = 2.0;

/// As reports call it where too little is known to blame anybody.
pub const UNKNOWN: &str = "unknown";

/// The code of a difference that a node enlarges.
pub const GAIN: &str = "gain";

/// The node enlarges a difference that its inputs brought.
pub fn gain(case: &Case) -> Option<Finding> {
    if !case.amplifies() || case.nonfinite_new() {
        return None;
    }
    let error = |o: &Operand| stats::pairs(o.value?, o.candidate?, None)?.2.relative();
    // What makes NaN of numbers is no factor.
    if case.nonfinite_new() {
        return None;
    }
    let inputs = case.e.inputs.iter().filter_map(error).reduce(f64::max).filter(|e| *e > 0.0);
    let output = case.pairs.as_ref().and_then(|p| p.relative()).filter(|o| o.is_finite());
    let (strength, evidence) = match inputs.zip(output) {
        Some((i, o)) if o >= LARGER * i => {
            let text = format!("the inputs are off by {} of their size, the result by {}", num(i), num(o));
            (Strength::AtWork, format!("{text}: {} times as much", num(o / i)))
        }
        Some(_) => return None,
        None => {
            (Strength::Open, "right on its own, it turns a tolerable difference of its inputs into this one".into())
        }
    };
    let advice = format!(
        "look above {}: a tighter --rtol shows where the difference comes in; keep that and {} in FP32",
        case.name(),
        case.name()
    );
    Some(Finding { code: GAIN, strength, evidence, advice })
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
    if same_node(case).is_none() {
        return Some(unknown(case, evidence));
    }
    Some(Finding { code: KERNEL, strength, evidence, advice: kept(case) })
}

/// FP32 against FP32, and nothing above has explained it.
pub fn unexplained(case: &Case) -> Option<Finding> {
    let plain = case.e.candidate == Precision::Fp32 && case.format.is_none() && case.e.quantised.is_none();
    if !plain || case.e.culprit.kind == Kind::Amplifies || case.e.emulated.is_some() {
        return None;
    }
    if let Some(evidence) = fused(case) {
        return Some(Finding { code: KERNEL, strength: Strength::Fits, evidence, advice: kept(case) });
    }
    let error = case.relative_error().map_or(String::new(), |e| format!(" by {} of its size", num(e)));
    if case.e.own_model && case.e.culprit.region.len() > 1 {
        let evidence = format!(
            "it is off{error}, and inside the region no tensor of the two files could be set against another: other nodes, or other names"
        );
        let advice =
            format!("compare the region that ends in {} with what the candidate's file has for it", case.name());
        return Some(Finding { code: UNKNOWN, strength: Strength::Open, evidence, advice });
    }
    let Some(how) = same_node(case) else {
        return Some(unknown(case, format!("it is off{error} in FP32")));
    };
    let evidence = format!("{how}, and it is off{error} in FP32; {}", ruled_out(case));
    Some(Finding { code: KERNEL, strength: Strength::Open, evidence, advice: kept(case) })
}

/// How both sides ran this very node on the same inputs; `None` where they did not.
fn same_node(case: &Case) -> Option<&'static str> {
    let (culprit, judged) = (case.e.culprit, case.judged);
    let local = culprit.local.as_ref().filter(|_| !case.e.own_model && !judged.stored && !judged.alike)?;
    let wrong = local.mismatched > 0 || local.elements == 0 || culprit.kind == Kind::Introduces;
    let inside = culprit.kind == Kind::Region && culprit.region.len() == 1;
    match (wrong, inside) {
        (true, _) => Some("both sides ran the very same node on the same inputs"),
        (false, true) => Some("right on its own, the same node is wrong inside the whole model"),
        (false, false) => None,
    }
}

/// Too little was run to blame anybody.
fn unknown(case: &Case, seen: String) -> Finding {
    let (name, e) = (case.name(), case.e);
    let (why, advice) = match () {
        _ if e.own_model => (
            "the candidate runs a file of its own, in which another node may stand for it",
            format!("compare what the two files have for {name}: operator, attributes, operands, weights and opset"),
        ),
        _ if case.judged.stored => (
            "the candidate's tensors were stored, so that it could not be run alone there",
            format!(
                "let the candidate be run (exec:'CMD {{model}} {{inputs}} {{outputs}}'): then {name} is run alone on both sides"
            ),
        ),
        _ if case.judged.alike => (
            "both sides are the same library: what differs is its session, its optimizations or its arithmetic",
            format!("compare the session options of both sides, and what graph optimization makes of {name}"),
        ),
        _ if e.culprit.local.is_some() => (
            "right on its own; what the candidate has inside the region could not be compared",
            format!("make the tensors inside the region of {name} visible, as outputs of the model"),
        ),
        _ => (
            "it was not run alone in the candidate",
            format!("run {name} alone on both sides, on the reference's inputs, before anybody is blamed"),
        ),
    };
    let evidence = format!("{seen}, and {why}; {}", ruled_out(case));
    Finding { code: UNKNOWN, strength: Strength::Open, evidence, advice }
}

/// What was looked for and not found.
fn ruled_out(case: &Case) -> String {
    let mut found = Vec::new();
    if case.e.culprit.accumulated.elements > 0 {
        found.push("the shapes are the same".to_string());
    }
    let measured = case.measured_inputs().count();
    if measured > 0 {
        found.push("the values that it reads show none of the causes that are looked for".to_string());
    }
    match found.is_empty() {
        true => "its values are not at hand".to_string(),
        false => list(&found),
    }
}

/// Right on its own, and one layer with others in the engine.
fn fused(case: &Case) -> Option<String> {
    let culprit = case.e.culprit;
    let engine = culprit.engine.as_ref().filter(|engine| engine.nodes.len() > 1)?;
    let right_alone = culprit.local.as_ref().is_some_and(|local| local.mismatched == 0);
    if !right_alone || culprit.kind != Kind::Region || case.e.own_model {
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

/// What helps until the makers of the backend do. Whether there is a reproducer for them is not known yet.
fn kept(case: &Case) -> String {
    format!("keep {} in FP32, or break the fusion by making its tensor an output", case.name())
}

#[cfg(test)]
mod tests {
    use crate::diagnose::Judged;
    use crate::diagnose::sample::{Sample, check, without};
    use crate::found::{Kind, Sure};
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
        // Less than twice as much, or no number at all, is none.
        without(exp().precision(Fp32, &[1.0, 1.0], &[1.0001, 1.0]), "gain");
        without(exp().precision(Fp32, &[1.0, 1.0], &[f32::NAN, 1.0]), "gain");
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
    fn nobody_is_blamed_for_another_node() {
        let relu = || Sample::new("Relu", &["x"]).input("x", &[1.0, 1.0]).precision(Fp32, &[1.0, 1.0], &[1.5, 1.0]);
        let stored = || Judged { stored: true, ..Judged::default() };
        for (sample, why) in [
            (relu().judged(stored()), "the candidate's tensors were stored"),
            (relu().kind(Kind::Region), "it was not run alone"),
            (relu().own_file(), "the candidate runs a file of its own"),
            (relu().emulated(0.001).judged(stored()), "times that of exact FP32 rounding"),
        ] {
            let told = &sample.diagnoses()[0];
            assert!(told.sure == Sure::Unknown && told.code == "unknown", "{told:?}");
            assert!(!told.advice.contains("makers"), "{told:?}");
            check(sample, "unknown", why);
        }
    }

    #[test]
    fn plain_fp32() {
        let product = |op_type: &str, c: f32| Sample::new(op_type, &["x"]).precision(Fp32, &[1.0, 1.0], &[c, 1.0]);
        check(product("MatMul", 1.0005), "tf32", "one of TF32's");
        without(product("MatMul", 1.5), "tf32");
        without(product("Relu", 1.0005), "tf32");
        check(product("Relu", 1.5), "kernel-or-fusion", "it is off by 0.3536 of its size in FP32");
        check(product("Relu", 1.5), "kernel-or-fusion", "both sides ran the very same node on the same inputs");
        without(Sample::new("Relu", &["x"]).fp16(&[1.0], &[1.5]), "kernel-or-fusion");
    }
}
