//! Periodic functions of arguments so large that the format's numbers there are a good part of a period apart.

use std::f64::consts::TAU;

use super::case::Case;
use super::words::num;
use super::{Finding, Strength};
use crate::compare;

/// The code of this diagnosis.
pub const CODE: &str = "large-angle";

/// Numbers this far apart, in radians, are too far.
const COARSE: f64 = 1.0 / 16.0;

/// The sine of a rounded argument, where rounding moves it by much of a radian.
pub fn large_angle(case: &Case) -> Option<Finding> {
    let format = case.format?;
    let of: fn(f64) -> f64 = match case.op() {
        "Sin" => f64::sin,
        "Cos" => f64::cos,
        "Tan" => f64::tan,
        _ => return None,
    };
    let largest = case.input(0)?.max_abs();
    let spacing = format.spacing(largest);
    if spacing < COARSE || largest >= format.infinite_from {
        return None;
    }
    let predicted = predicted(case, of, |x| format.round(x))?;
    // What came in is wrong where the node amplifies; alone it is right.
    let measured = if case.amplifies() { &case.e.culprit.accumulated } else { case.metrics() }.rmse.0;
    // Noise of that size, and no more: anything could be wrong by less.
    if !(measured >= 0.5 * predicted && measured <= 2.0 * predicted) {
        return None;
    }
    let evidence = format!(
        "{} takes angles of up to {} rad, where {} numbers are {} rad apart, {} of a period: by that alone the result is off by {} (rmse), and it is by {}",
        case.op(),
        num(largest),
        format.name,
        num(spacing),
        num(spacing / TAU),
        num(predicted),
        num(measured)
    );
    let advice = format!(
        "keep {} and what makes its argument in FP32; untried: take whole periods off the argument while it is exact",
        case.name()
    );
    Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice })
}

/// The error that the arguments explain: rounded ones where the node ran alone, else those that the candidate had.
fn predicted(case: &Case, of: fn(f64) -> f64, round: impl Fn(f64) -> f64) -> Option<f64> {
    let operand = case.operand(0)?;
    let right = compare::to_f64(operand.value?);
    let theirs = operand.candidate.filter(|_| case.e.culprit.local.is_none() || case.amplifies()).map(compare::to_f64);
    let theirs = theirs.filter(|t| t.len() == right.len());
    let angle = |i: usize| theirs.as_ref().map_or_else(|| round(right[i]), |t| t[i]);
    let squares: f64 = (0..right.len()).map(|i| (of(angle(i)) - of(right[i])).powi(2)).filter(|e| e.is_finite()).sum();
    let predicted = (squares / right.len().max(1) as f64).sqrt();
    (predicted > 0.0).then_some(predicted)
}

#[cfg(test)]
mod tests {
    use super::CODE;
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::found::Kind;
    use crate::spec::Precision;

    fn cos(angles: &[f32], candidate: &[f32]) -> Sample {
        let y: Vec<f32> = angles.iter().map(|x| x.cos()).collect();
        Sample::new("Cos", &["x"]).input("x", angles).fp16(&y, candidate)
    }

    #[test]
    fn rounded_angles() {
        let angles: Vec<f32> = (0..64).map(|i| 2001.3 + 13.7 * i as f32).collect();
        let rounded: Vec<f32> = halves(&angles).iter().map(|x| x.cos()).collect();
        check(cos(&angles, &rounded), CODE, "where FP16 numbers are 2 rad apart, 0.3183 of a period");
        let brought = Sample::new("Cos", &["x"]).kind(Kind::Amplifies).input("x", &angles).their(0, &halves(&angles));
        let y: Vec<f32> = angles.iter().map(|x| x.cos()).collect();
        check(brought.fp16(&y, &rounded), CODE, "0.3183 of a period");
        // Small angles, an error of another size, and BF16, which is coarser still.
        let small: Vec<f32> = angles.iter().map(|x| x / 1000.0).collect();
        let off: Vec<f32> = small.iter().map(|x| x.cos() + 0.1).collect();
        without(cos(&small, &off), CODE);
        let far: Vec<f32> = angles.iter().map(|x| x.cos() + 7.0).collect();
        without(cos(&angles, &far), CODE);
        let tens: Vec<f32> = (0..64).map(|i| 20.3 + 0.17 * i as f32).collect();
        let y: Vec<f32> = tens.iter().map(|x| x.sin()).collect();
        let c: Vec<f32> = tens.iter().map(|x| half::bf16::from_f32(*x).to_f32().sin()).collect();
        let sin = Sample::new("Sin", &["x"]).input("x", &tens);
        check(sin.precision(Precision::Bf16, &y, &c), CODE, "BF16 numbers are 0.125 rad apart");
    }
}
