//! Values and constants so small that the low precision flushes or coarsens them.

use super::case::Case;
use super::format::Format;
use super::stats::{self, Pairs};
use super::words::{num, share};
use super::{Finding, Operand, Strength};
use crate::tensor::Tensor;

/// The code of this diagnosis.
pub const CODE: &str = "fp16-subnormal";

/// The error is "in" the tiny values if they hold this share of its energy.
const MOST_OF_IT: f64 = 0.5;

/// Values below fp16's smallest normal number, and the error in them.
pub fn fp16_subnormal(case: &Case) -> Option<Finding> {
    let format = case.format.filter(|f| f.name == "FP16")?;
    values(case, format).or_else(|| constants(case, format)).or_else(|| coarse(case, format))
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
    let other = match case.is_any(&["Constant"]) {
        true => "a value that FP16 holds (6.1e-5 or more)".to_string(),
        false => format!("scale its inputs up by 2^{up} and divide where the values are large again"),
    };
    let advice = format!("keep {} and the nodes behind it in FP32; untried: {other}", case.name());
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

/// Operators in whose result an operand's relative error stays, or grows.
const MULTIPLYING: [&str; 13] = [
    "Mul",
    "Div",
    "MatMul",
    "Gemm",
    "Conv",
    "ConvTranspose",
    "Einsum",
    "LSTM",
    "GRU",
    "Log",
    "Reciprocal",
    "Rsqrt",
    "Sqrt",
];

/// How many times an ordinary rounding's error an operand must lose.
const COARSE: f64 = 4.0;

/// What it reads fits, and has fewer digits there: weights, or the argument of a logarithm.
fn coarse(case: &Case, format: Format) -> Option<Finding> {
    if !case.is_any(&MULTIPLYING) || case.nonfinite_new() {
        return None;
    }
    let measured = case.relative_error()?;
    let lost = |o: &Operand| Some(lost(o.value?, format));
    let (operand, s, lost) =
        case.measured_inputs().filter_map(|(o, s)| Some((o, s, lost(o)?))).find(|(_, s, lost)| {
            let elementwise = case.is_any(&["Log", "Reciprocal", "Rsqrt", "Sqrt"]);
            s.tiny > 0 && (elementwise || *lost > COARSE * format.unit && *lost >= 0.1 * measured)
        })?;
    let what = if operand.constant { "the constant " } else { "" };
    let evidence = format!(
        "{} of {what}'{}' are below 2^-14, where FP16 numbers are 6e-8 apart: rounding makes it off by {} of its size (an ordinary rounding: {})",
        share(s.tiny, s.nonzero(), "non-zero values"),
        operand.name,
        num(lost),
        num(format.unit / 3f64.sqrt())
    );
    let too = if operand.constant { String::new() } else { format!(" and what makes '{}'", operand.name) };
    let advice = format!(
        "keep {}{too} in FP32; untried: scale '{}' up by a power of two and divide behind it",
        case.name(),
        operand.name
    );
    Some(Finding { code: CODE, strength: Strength::Fits, evidence, advice })
}

/// What rounding takes from the values, of their size.
fn lost(tensor: &Tensor, format: Format) -> f64 {
    let (mut errors, mut squares) = (0.0, 0.0);
    for x in stats::chunks(tensor, 0..tensor.elements()).flatten().filter(|x| x.is_finite()) {
        errors += (format.round(x) - x).powi(2);
        squares += x * x;
    }
    if squares > 0.0 { (errors / squares).sqrt() } else { 0.0 }
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
    fn weights_that_lose_their_digits() {
        let w = [1e-7f32, -2.4e-7, 3.1e-7, 0.5e-7];
        let halved: Vec<f32> = halves(&w).iter().map(|x| x * 1e3).collect();
        let y = w.map(|x| x * 1e3);
        let product = |k: &[f32]| Sample::new("Conv", &["x", "w"]).input("x", &[1e3]).constant("w", k);
        let told = "4 of 4 non-zero values (100 %) of the constant 'w' are below 2^-14";
        check(product(&w).fp16(&y, &halved), "fp16-subnormal", told);
        // A tiny summand, and weights that have all their digits.
        let sum = Sample::new("Add", &["x", "w"]).input("x", &[1e3; 4]).constant("w", &w);
        without(sum.fp16(&[1e3; 4], &[1.1e3; 4]), "fp16-subnormal");
        without(product(&[1.0, 2.0, 3.0, 4.0]).fp16(&y, &halved), "fp16-subnormal");
    }

    #[test]
    fn errors_elsewhere_are_not_theirs() {
        without(scaled(0.1).fp16(&[1e-6, 1.0], &[1e-6, 1.5]), "fp16-subnormal");
        without(scaled(0.1).fp16(&[1.0, 2.0], &[1.5, 2.0]), "fp16-subnormal");
        let y = [2f32.powi(-28); 2];
        without(scaled(0.1).precision(Precision::Bf16, &y, &[0.0, 0.0]), "fp16-subnormal");
    }
}
