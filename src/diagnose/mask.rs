//! Masks: constants that mean "never" and are too large for the low precision, in front of a Softmax.

use super::case::Case;
use super::stats::{self, Summary};
use super::words::{num, share};
use super::{Finding, Strength};
use crate::tensor::Tensor;

/// The code of this diagnosis.
pub const CODE: &str = "mask-sentinel";

/// What masks are made and applied with.
const MASKING: [&str; 20] = [
    "Where",
    "Add",
    "Sub",
    "Mul",
    "Expand",
    "Unsqueeze",
    "Squeeze",
    "Cast",
    "Slice",
    "Concat",
    "Reshape",
    "Transpose",
    "Identity",
    "ConstantOfShape",
    "Tile",
    "Gather",
    "Min",
    "Max",
    "Softmax",
    "LogSoftmax",
];

const SOFTMAX: [&str; 2] = ["Softmax", "LogSoftmax"];

/// From here down a value can only mean "never".
const NEVER: f64 = -1e4;

/// A value that only means "never" is too low for the format, so that a softmax meets an infinity.
pub fn mask_sentinel(case: &Case) -> Option<Finding> {
    // A constant by itself is a mask by what reads it.
    let masking = case.is_any(&MASKING) || case.is_any(&["Constant"]) && case.read_by(&SOFTMAX);
    let to_softmax = case.read_by(&SOFTMAX) || case.is_any(&SOFTMAX);
    let applied = to_softmax || case.is_any(&["Where"]) || case.read_by(&["Where", "Add", "Sub", "Expand"]);
    if !masking || !applied {
        return None;
    }
    let strength = if to_softmax { Strength::AtWork } else { Strength::Fits };
    let evidence = zero_times(case).or_else(|| constant(case)).or_else(|| infinite_in_format(case));
    let evidence = evidence.or_else(|| clamped(case))?;
    let softmax = if to_softmax { behind(case) } else { String::new() };
    let advice = format!("keep {} and the nodes behind it up to the Softmax in FP32", case.name());
    Some(Finding { code: CODE, strength, evidence: format!("{evidence}{softmax}"), advice })
}

/// What the softmax behind it meets. It makes NaN of rows that are masked from end to end, and of no others.
fn behind(case: &Case) -> String {
    let broken = case.pairs.as_ref().is_some_and(|p| p.nan_new > 0);
    match case.format.zip(case.e.output).map_or(0, |(format, out)| masked_rows(out, -format.infinite_from)) {
        _ if broken => "; the Softmax behind it hands the NaN on".to_string(),
        _ if case.is_any(&["Constant"]) => "; a Softmax is behind it".to_string(),
        0 => "; the Softmax behind it meets an infinity".to_string(),
        1 => "; 1 row is masked as a whole, which makes the Softmax behind it NaN".to_string(),
        n => format!("; {n} rows are masked as a whole, which makes the Softmax behind them NaN"),
    }
}

/// Rows along the last axis without a value above `limit`.
fn masked_rows(mask: &Tensor, limit: f64) -> usize {
    let length = mask.shape.last().copied().unwrap_or(1).max(1);
    let (mut rows, mut masked, mut at) = (0, 0, 0);
    for x in stats::chunks(mask, 0..mask.elements()).flatten() {
        masked += usize::from(x <= limit);
        at += 1;
        if at == length {
            rows += usize::from(masked == length);
            (masked, at) = (0, 0);
        }
    }
    rows
}

/// What is not masked is 0 times the sentinel.
fn zero_times(case: &Case) -> Option<String> {
    let format = case.format?;
    let nan = case.pairs.as_ref().filter(|p| p.nan_new > 0)?.nan_new;
    if !case.is_any(&["Mul"]) || case.output.as_ref()?.max > 0.0 {
        return None;
    }
    let mut both = (0..2).filter_map(|slot| Some((case.operand(slot)?, case.input(slot)?)));
    let (sentinel, s) = both.clone().find(|(_, s)| s.over > 0)?;
    let (mask, zeros) = both.find(|(o, s)| o.name != sentinel.name && s.zeros > 0)?;
    let value = if s.max > -s.min { s.max } else { s.min };
    let infinity = if value < 0.0 { "-Infinity" } else { "Infinity" };
    Some(format!(
        "'{}' is {}, which is {infinity} in {}, and 0 times that is NaN: {} are, '{}' is 0 at {}",
        sentinel.name,
        num(value),
        format.name,
        share(nan, case.output.as_ref()?.elements, "values"),
        mask.name,
        share(zeros.zeros, zeros.elements, "places")
    ))
}

/// A Constant node of the sentinel, of either sign: what multiplies it makes it low.
fn constant(case: &Case) -> Option<String> {
    let (format, out) = (case.format?, case.output.as_ref()?);
    let value = if out.max > -out.min { out.max } else { out.min };
    if !case.is_any(&["Constant"]) || out.over == 0 || out.elements != 1 || !is_round(value.abs()) {
        return None;
    }
    let infinity = if value < 0.0 { "-Infinity" } else { "Infinity" };
    let zero = if case.read_by(&["Mul"]) { ", and 0 times that is NaN" } else { "" };
    Some(format!(
        "the constant '{}' is {}, which is {infinity} in {}{zero}",
        case.e.culprit.tensor,
        num(value),
        format.name
    ))
}

/// The sentinel, or the sum of two, is -Infinity in the format.
fn infinite_in_format(case: &Case) -> Option<String> {
    let format = case.format?;
    let out = case.output.as_ref()?;
    let beyond = out.min <= -format.infinite_from;
    if !beyond || case.pairs.as_ref().is_some_and(|p| p.over_lost == 0) {
        return None;
    }
    if is_sentinel(out) {
        return Some(format!(
            "{} are {}, which is -Infinity in {}",
            share(out.at_min, out.elements, "values"),
            num(out.min),
            format.name
        ));
    }
    // Scores and mask together: the mask is among the operands.
    let (operand, mask) = case.measured_inputs().find(|(_, s)| is_sentinel(s) && out.min <= s.min / 2.0)?;
    Some(format!(
        "'{}' masks with {}, and the result goes down to {}, which is -Infinity in {}",
        operand.name,
        num(mask.min),
        num(out.min),
        format.name
    ))
}

/// The reference masks with -Infinity; the candidate has made a number of it.
fn clamped(case: &Case) -> Option<String> {
    let (out, candidate, pairs) = (case.output.as_ref()?, case.candidate.as_ref()?, case.pairs.as_ref()?);
    let lost = pairs.nonfinite_lost > 0 && out.neg_inf > 0 && candidate.neg_inf == 0 && candidate.min <= NEVER;
    lost.then(|| {
        format!(
            "{} are -Infinity in the reference, and {} in the candidate",
            share(out.neg_inf, out.elements, "values"),
            num(candidate.min)
        )
    })
}

/// One very low value, alone or many times, and nothing else of its size.
fn is_sentinel(s: &Summary) -> bool {
    let one_value = s.min <= NEVER && s.very_low == s.at_min && s.max <= s.min.abs() * 0.1;
    let repeated = s.at_min > 1 || s.finite == 1 || is_round(-s.min);
    one_value && repeated
}

/// A number that somebody wrote down.
fn is_round(x: f64) -> bool {
    let power = 10f64.powi(x.log10().round() as i32);
    x == f64::from(f32::MAX) || x == 65504.0 || (x / power - 1.0).abs() < 1e-6
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::spec::Precision;

    const LOWEST: f32 = -f32::MAX;

    fn chosen(op_type: &str) -> Sample {
        Sample::new(op_type, &["c", "lowest", "zero"]).constant("lowest", &[LOWEST]).constant("zero", &[0.0])
    }

    #[test]
    fn sentinels() {
        let y = [0.0, LOWEST, LOWEST, 0.0];
        let mask = || chosen("Where").readers(&["Add", "Softmax", "MatMul"]);
        check(mask().fp16(&y, &halves(&y)), "mask-sentinel", "2 of 4 values (50.0 %) are -3.403e38");
        let bf16 = y.map(|y| half::bf16::from_f32(y).to_f32());
        check(mask().precision(Precision::Bf16, &y, &bf16), "mask-sentinel", "-Infinity in BF16");
        without(mask().fp16(&y, &halves(&y)), "fp16-overflow");
        let twice = Sample::new("Add", &["a", "b"]).input("a", &[0.0, -65504.0]).input("b", &[0.0, -65504.0]);
        let y = [0.0, -131_008.0];
        check(twice.readers(&["Softmax"]).fp16(&y, &halves(&y)), "mask-sentinel", "-131008");
        let y = [3.0, -1e9 - 4.0, -1e9 + 100.0, -1.5];
        let scores =
            Sample::new("Add", &["s", "m"]).input("s", &[3.0, -4.0, 100.0, -1.5]).input("m", &[0.0, -1e9, -1e9, 0.0]);
        check(scores.readers(&["Softmax"]).fp16(&y, &halves(&y)), "mask-sentinel", "'m' masks with -1e9");
    }

    #[test]
    fn nothing_times_infinity() {
        let mask = |c: &[f32]| {
            let mul = Sample::new("Mul", &["inv", "lowest"]).input("inv", &[0.0, 0.0]).constant("lowest", &[LOWEST]);
            mul.readers(&["Add", "Softmax"]).fp16(&[0.0, 0.0], c)
        };
        let broken = || mask(&[f32::NAN, f32::NAN]);
        check(broken(), "mask-sentinel", "'lowest' is -3.403e38, which is -Infinity in FP16, and 0 times that is NaN");
        without(broken(), "nan-source");
        without(broken(), "fp16-overflow");
        assert!(!broken().diagnoses()[0].evidence.contains("as a whole"));
    }

    #[test]
    fn constants_by_themselves() {
        let constant = |c: f32| Sample::new("Constant", &[]).fp16(&[c], &[f32::INFINITY.copysign(c)]);
        let mask = |c: f32| constant(c).readers(&["Mul", "Add", "Softmax"]);
        check(mask(LOWEST), "mask-sentinel", "the constant 'y' is -3.403e38, which is -Infinity in FP16, and 0 times");
        check(mask(1e9), "mask-sentinel", "'y' is 1e9, which is Infinity in FP16");
        without(mask(LOWEST), "fp16-overflow");
        without(constant(1e9).readers(&["Mul", "Relu"]), "mask-sentinel");
        without(mask(123_456.0), "mask-sentinel");
    }

    #[test]
    fn rows_that_are_masked_as_a_whole() {
        let mask = |y: &[f32]| chosen("Where").readers(&["Softmax"]).fp16(y, &halves(y));
        check(mask(&[LOWEST, LOWEST]), "mask-sentinel", "1 row is masked as a whole");
        check(mask(&[LOWEST, 0.0]), "mask-sentinel", "the Softmax behind it meets an infinity");
    }

    #[test]
    fn a_clamped_infinity() {
        let mask = Sample::new("Where", &["c", "a", "b"]).readers(&["Add", "Softmax"]);
        check(
            mask.precision(Precision::Fp32, &[0.0, f32::NEG_INFINITY], &[0.0, LOWEST]),
            "mask-sentinel",
            "-Infinity in the reference",
        );
    }

    #[test]
    fn large_values_that_are_no_mask() {
        let y = [-7e4, -9e4, 3.0, 7e4];
        without(chosen("Add").readers(&["Softmax"]).fp16(&y, &halves(&y)), "mask-sentinel");
        without(chosen("MatMul").readers(&["Softmax"]).fp16(&[0.0, LOWEST], &[0.0, 0.0]), "mask-sentinel");
        without(chosen("Where").readers(&["Softmax"]).fp16(&[0.0, -1e4], &[0.0, -1.1e4]), "mask-sentinel");
    }
}
