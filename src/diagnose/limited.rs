//! The opposite of a fault: an error that is the precision's own, under a tolerance that asks for more than it has. Told
//! only where nothing else is.

use super::case::{Case, rho};
use super::words::num;
use super::{Finding, Strength};
use crate::found::{Kind, Metrics, Status};
use crate::judge::Rules;
use crate::spec::Precision;
use crate::tensor::DType;

/// The code of that diagnosis.
pub const CODE: &str = "precision-limited";

/// Errors up to this many times the emulation's own are the precision's.
pub const NEAR: f64 = 4.0;

/// As wrong as the precision makes it, and no more.
pub fn precision_limited(case: &Case) -> Option<Finding> {
    let emulated = emulated(case)?;
    let rho = rho(case.metrics(), emulated).filter(|rho| *rho <= NEAR)?;
    let ordinary = is_ordinary(case);
    // Of an emulation nothing else can be expected: large errors need another reason.
    if case.judged.emulation && !ordinary {
        return None;
    }
    let advice = if ordinary { loosen(case) } else { keep(case) };
    let evidence = evidence(case, emulated, rho);
    Some(Finding { code: CODE, strength: Strength::Open, evidence, advice })
}

/// What the precision alone does to the node.
fn emulated<'a>(case: &Case<'a>) -> Option<&'a Metrics> {
    let own = || case.e.culprit.local.as_ref().filter(|_| case.judged.emulation);
    case.e.emulated.or_else(own).filter(|_| case.e.culprit.kind == Kind::Introduces)
}

/// Would the automatic tolerance of the precision let the tensor pass?
fn is_ordinary(case: &Case) -> bool {
    let (Some(precision), Some(right), Some(got)) = (precision(case), case.e.output, case.e.candidate_output) else {
        return false;
    };
    let rules = Rules { precision, ..Rules::default() };
    rules.judge(&case.e.culprit.tensor, right, got).status == Status::Agrees
}

fn precision(case: &Case) -> Option<Precision> {
    match super::low_type(case.e) {
        Some(DType::Bfloat16) => Some(Precision::Bf16),
        Some(_) => Some(Precision::Fp16),
        None => Some(case.e.candidate).filter(|p| *p == Precision::Tf32),
    }
}

fn evidence(case: &Case, emulated: &Metrics, rho: f64) -> String {
    let (measured, name) = (case.metrics(), name(case));
    let mut text = format!(
        "alone it is off by {} ({} at most), and exact {name} rounding makes {}: rho {}",
        num(measured.rmse.0),
        num(measured.max_abs.0),
        num(emulated.rmse.0),
        num(rho)
    );
    let (unit, rms) = (case.unit(), case.output.as_ref().map_or(0.0, |s| s.rms()));
    text += &match case.e.candidate {
        Precision::Tf32 => format!("; {name} rounds what it multiplies by up to {} of a value", num(unit)),
        _ => format!("; {name} rounds by up to {} of a value, here about {}", num(unit), num(unit * rms)),
    };
    if let Some(t) = case.judged.tolerance {
        text += &format!("; the tolerance is atol {}, rtol {}", num(t.atol), num(t.rtol));
    }
    text
}

fn loosen(case: &Case) -> String {
    let name = name(case);
    let most = case.metrics().max_abs.0.max(case.e.culprit.accumulated.max_abs.0);
    let wider = format!("loosen --atol to at least {} for this tensor", num(rounded_up(most)));
    let rtol = match case.judged.tolerance {
        Some(t) if t.rtol >= case.unit() => String::new(),
        _ => format!(" and --rtol to {} for larger ones", num(rounded_up(case.unit()))),
    };
    format!(
        "ordinary {name} rounding, no single culprit: {wider}{rtol}, leave both out for a tolerance that allows for {name}, or use the override if the outputs must be this close"
    )
}

fn keep(case: &Case) -> String {
    format!(
        "the backend is not to blame: keep {} and what makes its operands in FP32, or allow for {} with a wider tolerance",
        case.name(),
        name(case)
    )
}

/// Of the low type: a candidate of its own file has no precision by its name.
fn name(case: &Case) -> &'static str {
    match case.e.candidate {
        Precision::Tf32 => "TF32",
        _ => case.format.map_or("low-precision", |f| f.name),
    }
}

/// To two digits, so that the number itself is enough.
fn rounded_up(x: f64) -> f64 {
    if !(x.is_finite() && x > 0.0) {
        return x;
    }
    let unit = 10f64.powi(x.log10().floor() as i32 - 1);
    (x / unit * (1.0 - 1e-12)).ceil() * unit
}

#[cfg(test)]
mod tests {
    use crate::compare::Tolerance;
    use crate::diagnose::Judged;
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::found::Kind;
    use crate::spec::Precision::{Bf16, Fp16, Fp32, Tf32};

    use super::CODE;

    fn tight() -> Judged {
        Judged { tolerance: Some(Tolerance { atol: 1e-5, rtol: 0.0 }), emulation: true, ..Judged::default() }
    }

    fn values() -> Vec<f32> {
        (0..64).map(|i| 0.1 + i as f32 / 77.0).collect()
    }

    /// A Relu of these values, rounded as the emulation rounds.
    fn rounded() -> Sample {
        Sample::new("Relu", &["x"]).fp16(&values(), &halves(&values()))
    }

    #[test]
    fn rounding_under_a_tight_tolerance() {
        check(rounded().judged(tight()), CODE, "rho 1; FP16 rounds by up to 4.883e-4 of a value, here about 2.748e-4");
        check(rounded().judged(tight()), CODE, "the tolerance is atol 1e-5, rtol 0");
        // Without a caller who knows: float32 values of a candidate in FP16 are an emulation's.
        check(rounded(), CODE, "exact FP16 rounding makes");
        let [found] = rounded().judged(tight()).diagnoses().try_into().unwrap();
        assert!(found.advice.contains("--atol to at least 2.5e-4 for this tensor and --rtol to 4.9e-4"), "{found:?}");
        let bf16: Vec<f32> = values().iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect();
        check(
            Sample::new("Relu", &["x"]).precision(Bf16, &values(), &bf16).judged(tight()),
            CODE,
            "BF16 rounds by up to 0.003906 of a value",
        );
    }

    #[test]
    fn a_device_as_wrong_as_its_precision() {
        let conv = |c: f32, rmse: f64| Sample::new("Conv", &["x"]).emulated(rmse).fp16(&[1.0], &[c]);
        check(conv(1.1, 0.05), CODE, "rho 2");
        without(conv(1.1, 0.001), CODE);
        let advice = |sample: Sample| sample.diagnoses().remove(0).advice;
        assert!(advice(conv(1.1, 0.05)).contains("keep 'node' and what makes its operands in FP32"));
        assert!(advice(conv(1.0005, 0.0005)).contains("ordinary FP16 rounding"));
    }

    #[test]
    fn products_of_tf32() {
        let off: Vec<f32> = values().iter().map(|x| x * 1.0003).collect();
        let product = || Sample::new("MatMul", &["x", "w"]).precision(Tf32, &values(), &off);
        // The emulation itself, and a device that is as wrong.
        check(product().judged(tight()), CODE, "TF32 rounds what it multiplies by up to 4.883e-4 of a value");
        let device = || product().emulated(1e-4).judged(Judged { emulation: false, ..tight() });
        check(device(), CODE, "exact TF32 rounding makes 1e-4");
        assert!(device().diagnoses()[0].advice.starts_with("ordinary TF32 rounding, no single culprit"));
        without(product().emulated(1e-6).judged(Judged { emulation: false, ..tight() }), CODE);
    }

    #[test]
    fn what_rounding_does_not_explain() {
        let relu = || Sample::new("Relu", &["x"]);
        without(relu().fp16(&[1.0, 2.0], &[1.1, 2.0]).judged(tight()), CODE);
        without(relu().fp16(&[1.0, 2.0], &[f32::NAN, 2.0]).judged(tight()), CODE);
        without(rounded().kind(Kind::Amplifies).judged(tight()), CODE);
        without(rounded().judged(Judged { emulation: false, ..tight() }), CODE);
        without(relu().precision(Fp32, &values(), &halves(&values())), CODE);
        // Halves are what a device computed in, and with what emulation that compares is not known.
        let device = relu().outputs(Fp16, super::super::sample::vector(&values()), half_tensor(&values()));
        without(device, CODE);
    }

    #[test]
    fn a_better_reason_stands_alone() {
        let (a, b) = ([10.001f32, 9.999], [10.0f32]);
        let sub = Sample::new("Sub", &["a", "b"]).input("a", &a).constant("b", &b);
        let codes: Vec<String> = sub
            .fp16(&[0.001, -0.001], &[0.001_02, -0.001_02])
            .judged(tight())
            .diagnoses()
            .into_iter()
            .map(|d| d.code)
            .collect();
        assert_eq!(codes, ["cancellation"]);
    }

    #[test]
    fn numbers_that_are_enough() {
        for (x, want) in [(0.000_234_1, 0.000_24), (0.000_24, 0.000_24), (9.91, 10.0), (1.0, 1.0), (0.0, 0.0)] {
            assert!((super::rounded_up(x) - want).abs() <= 1e-12 * want, "{x}: {}", super::rounded_up(x));
        }
    }

    fn half_tensor(values: &[f32]) -> crate::tensor::Tensor {
        let bits: Vec<half::f16> = values.iter().map(|x| half::f16::from_f32(*x)).collect();
        crate::tensor::Tensor::from_vec(crate::tensor::DType::Float16, vec![bits.len()], bits)
    }
}
