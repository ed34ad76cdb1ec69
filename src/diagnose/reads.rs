//! Results that the rounding of what a node reads is enough to spoil, in an emulation or what is as wrong, where nothing more
//! special is known: the node itself computes in FP32 there. Errors that operands brought along are `kernel::gain`'s.

use super::case::Case;
use super::kernel::GAIN;
use super::words::num;
use super::{Finding, Operand, Strength};
use crate::compare;
use crate::found::Kind;

/// A result that is off by so many roundings of its own is not the work of one.
const TIMES: f64 = 4.0;

/// Functions of exponents: an absolute error of what they read is a relative one of what they make.
const EXPONENTIAL: [&str; 2] = ["Softmax", "Exp"];

/// The node makes more of the rounding of its operands than a rounding.
pub fn rounded_reads(case: &Case) -> Option<Finding> {
    let format = case.format.filter(|_| case.rounds_only() && case.e.culprit.kind == Kind::Introduces)?;
    let measured = case.relative_error().filter(|_| !case.nonfinite_new())?;
    if measured < TIMES * format.unit {
        return None;
    }
    let widest = |o: &Operand| {
        let values = compare::to_f64(o.value?);
        let off = |x: &f64| (format.round(*x) - x).abs();
        values.into_iter().filter(|x| x.is_finite()).max_by(|a, b| off(a).total_cmp(&off(b)))
    };
    let float = case.e.inputs.iter().filter(|o| o.value.is_some_and(|t| t.dtype.is_float()));
    let (operand, x) = float.filter_map(|o| Some((o, widest(o)?))).max_by(|(_, a), (_, b)| {
        let off = |x: &f64| (format.round(*x) - x).abs();
        off(a).total_cmp(&off(b))
    })?;
    let off = (format.round(x) - x).abs();
    if off == 0.0 || !off.is_finite() {
        return None;
    }
    let absolute = case.is_any(&EXPONENTIAL);
    let why = if absolute { ", and what is added to an exponent is a factor in the result" } else { "" };
    let evidence = format!(
        "what it reads is rounded by up to {} ('{}' has {}, where {} numbers are {} apart){why}: the result is off by {} of its size, {} roundings of {}",
        num(off),
        operand.name,
        x as f32,
        format.name,
        num(format.spacing(x)),
        num(measured),
        num(measured / format.unit),
        num(format.unit)
    );
    let advice = format!("keep {} and what makes its operands in FP32", case.name());
    // Of an emulation nothing else can be expected; a device that is exactly as wrong is a measurement.
    let strength = if case.judged.emulation { Strength::Open } else { Strength::Fits };
    Some(Finding { code: GAIN, strength, evidence, advice })
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::found::Kind;

    fn exp(at: f32) -> Sample {
        let x: Vec<f32> = (0..16).map(|i| at + 0.37 * i as f32).collect();
        let (y, c): (Vec<f32>, Vec<f32>) =
            x.iter().zip(halves(&x)).map(|(x, h)| ((x - at - 6.0).exp(), (h - at - 6.0).exp())).unzip();
        Sample::new("Softmax", &["x"]).input("x", &x).fp16(&y, &c)
    }

    #[test]
    fn logits_too_large_for_their_digits() {
        check(
            exp(4000.1),
            "gain",
            "where FP16 numbers are 2 apart), and what is added to an exponent is a factor in the result",
        );
        without(exp(0.1), "gain");
        without(exp(4000.1).device(), "gain");
        without(exp(4000.1).kind(Kind::Region), "gain");
    }
}
