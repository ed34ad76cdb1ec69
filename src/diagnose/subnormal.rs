//! Values and constants so small that the low precision flushes or coarsens them.

use super::case::Case;
use super::format::Format;
use super::stats::Pairs;
use super::words::{num, share};
use super::{Finding, Strength};

/// The code of this diagnosis.
pub const CODE: &str = "fp16-subnormal";

/// The error is "in" the tiny values if they hold this share of its energy.
const MOST_OF_IT: f64 = 0.5;

/// Values below fp16's smallest normal number, and the error in them.
pub fn fp16_subnormal(case: &Case) -> Option<Finding> {
    let format = case.format.filter(|f| f.name == "FP16")?;
    values(case, format).or_else(|| constants(case, format))
}

fn values(case: &Case, format: Format) -> Option<Finding> {
    let out = case.output.as_ref()?;
    if out.tiny == 0 {
        return None;
    }
    let strength = match &case.pairs {
        Some(p) => (p.tiny_ee > MOST_OF_IT * p.ee).then_some(Strength::AtWork)?,
        // Without the candidate's values: at least as many tiny ones as wrong ones.
        None => (out.tiny >= case.metrics().mismatched.max(1)).then_some(Strength::Fits)?,
    };
    let rest = flushed(case.pairs.as_ref(), out.vanishing);
    let evidence = format!(
        "{} are below 2^-14, where FP16 loses precision; the smallest is {}{rest}",
        share(out.tiny, out.nonzero(), "non-zero values"),
        num(out.min_abs)
    );
    let up = (format.min_normal / out.min_abs).log2().ceil();
    let advice = format!(
        "keep {} and the nodes behind it in FP32; untried: scale its inputs up by 2^{up} and divide where the values are large again",
        case.name()
    );
    Some(Finding { code: CODE, strength, evidence, advice })
}

fn flushed(pairs: Option<&Pairs>, vanishing: u64) -> String {
    match pairs {
        Some(p) if p.flushed > 0 => format!("; {} became zero", p.flushed),
        _ if vanishing > 0 => format!("; {vanishing} are up to 2^-25, which is zero in FP16"),
        _ => String::new(),
    }
}

/// A constant that is zero in FP16.
fn constants(case: &Case, format: Format) -> Option<Finding> {
    let (operand, s) = case.measured_inputs().find(|(o, s)| o.constant && s.vanishing > 0)?;
    // Of a large weight some values may vanish and no harm done.
    if s.vanishing * 2 < s.nonzero() {
        return None;
    }
    let which = match s.elements {
        1 => format!("the constant '{}' is {}", operand.name, num(s.max)),
        _ => format!(
            "{} of the constant '{}' are up to {}",
            share(s.vanishing, s.nonzero(), "non-zero values"),
            operand.name,
            num(format.zero_upto)
        ),
    };
    let advice = format!(
        "keep {} in FP32; untried: give '{}' a value that FP16 holds (6.1e-5 or more)",
        case.name(),
        operand.name
    );
    Some(Finding { code: CODE, strength: Strength::Fits, evidence: format!("{which}, which is zero in FP16"), advice })
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::spec::Precision;

    fn scaled(k: f32) -> Sample {
        Sample::new("Mul", &["x", "k"]).input("x", &[1.0, 1.5]).constant("k", &[k])
    }

    #[test]
    fn flushed_values() {
        let y = [2f32.powi(-28), 1.5 * 2f32.powi(-28)];
        check(scaled(0.1).fp16(&y, &halves(&y)), "fp16-subnormal", "2 of 2 non-zero values (100 %) are below 2^-14");
        check(scaled(0.1).fp16(&y, &halves(&y)), "fp16-subnormal", "2 became zero");
        check(scaled(0.1).blind(Precision::Fp16, &y), "fp16-subnormal", "2 are up to 2^-25");
    }

    #[test]
    fn constants_that_vanish() {
        let max = Sample::new("Max", &["x", "k"]).input("x", &[1.0, 0.0]).constant("k", &[1e-9]);
        check(max.fp16(&[1.0, 1e-9], &[1.0, 0.0]), "eps-vanishes", "'k' of 1e-9 is zero");
        let div = Sample::new("Div", &["x", "k"]).input("x", &[1e-9, 1e-9]).constant("k", &[1e-9]);
        check(div.fp16(&[1.0, 1.0], &[f32::NAN; 2]), "fp16-subnormal", "'k' is 1e-9, which is zero in FP16");
    }

    #[test]
    fn errors_elsewhere_are_not_theirs() {
        without(scaled(0.1).fp16(&[1e-6, 1.0], &[1e-6, 1.5]), "fp16-subnormal");
        without(scaled(0.1).fp16(&[1.0, 2.0], &[1.5, 2.0]), "fp16-subnormal");
        let y = [2f32.powi(-28); 2];
        without(scaled(0.1).precision(Precision::Bf16, &y, &[0.0, 0.0]), "fp16-subnormal");
    }
}
