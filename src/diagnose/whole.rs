//! Whole numbers (ids, positions, flat indices) that are computed in a low precision and are too large for it.

use super::case::Case;
use super::format::Format;
use super::stats::Summary;
use super::words::{num, share};
use super::{Finding, Strength};
use crate::compare;

/// The code of this diagnosis.
pub const CODE: &str = "integer-rounding";

/// Whole numbers beyond what the format counts up to one by one, off by its steps.
pub fn integer_rounding(case: &Case) -> Option<Finding> {
    let format = case.format?;
    let (right, got) = (case.e.output?, case.e.candidate_output?);
    if let Some(found) = counted(case, format) {
        return Some(found);
    }
    let largest = case.output.as_ref()?.max_abs();
    let counts = right.dtype.is_float() || case.is_any(&["Cast"]);
    if !counts || right.shape != got.shape || largest <= format.whole_upto() || case.nonfinite_new() {
        return None;
    }
    let off = Off::of(&compare::to_f64(right), &compare::to_f64(got), format)?;
    let (value, became) = off.first;
    let evidence = format!(
        "the values are whole numbers of up to {}, and {} holds every whole number up to {} only: the first that is lost, {}, became {}; {} are off",
        num(largest),
        format.name,
        num(format.whole_upto()),
        num(value),
        num(became),
        share(off.count, off.all, "values")
    );
    let advice = format!(
        "compute ids and positions as integers, or keep {} and the nodes around it in FP32 until they are integers",
        case.name()
    );
    Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice })
}

/// A Range of another length, for one of the numbers that it is made of is no number of the format.
fn counted(case: &Case, format: Format) -> Option<Finding> {
    let (right, got) = (case.e.output?, case.e.candidate_output?);
    if !case.is_any(&["Range"]) || right.shape == got.shape || !right.dtype.is_float() {
        return None;
    }
    let whole = |s: &Summary| s.elements == 1 && s.max.fract() == 0.0 && s.max.abs() > format.whole_upto();
    let (operand, s) = case.measured_inputs().find(|(_, s)| whole(s) && format.round(s.max) != s.max)?;
    let evidence = format!(
        "'{}' is {}, and {} holds every whole number up to {} only: it became {}, which makes {} values of {}",
        operand.name,
        num(s.max),
        format.name,
        num(format.whole_upto()),
        num(format.round(s.max)),
        got.elements(),
        right.elements()
    );
    let advice = format!("count in integers, or keep {} and what makes its operands in FP32", case.name());
    Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice })
}

struct Off {
    count: u64,
    all: u64,
    first: (f64, f64),
}

impl Off {
    /// `None` where a value is no whole number, or off by something else than the format's steps.
    fn of(right: &[f64], got: &[f64], format: Format) -> Option<Off> {
        let mut off = Off { count: 0, all: right.len() as u64, first: (0.0, 0.0) };
        for (r, c) in right.iter().zip(got) {
            if r.fract() != 0.0 || !r.is_finite() {
                return None;
            }
            if r == c {
                continue;
            }
            // Two operands are rounded, and their result.
            if r.abs() <= format.whole_upto() || (r - c).abs() > 2.0 * format.spacing(*r) {
                return None;
            }
            off.first = if off.count == 0 { (*r, *c) } else { off.first };
            off.count += 1;
        }
        (off.count > 0).then_some(off)
    }
}

#[cfg(test)]
mod tests {
    use super::CODE;
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::spec::Precision::{Bf16, Fp16};
    use crate::tensor::Tensor;

    #[test]
    fn ids_that_the_precision_cannot_count() {
        let ids = [2047.0, 2049.0, 5001.0];
        let mul = || Sample::new("Mul", &["row", "width"]);
        check(mul().fp16(&ids, &halves(&ids)), CODE, "up to 5001, and FP16 holds every whole number up to 2048 only");
        check(mul().fp16(&ids, &halves(&ids)), CODE, "the first that is lost, 2049, became 2048; 2 of 3 values");
        let cast = Sample::new("Cast", &["x"]);
        let ids = |v: &[i64]| Tensor::i64(&[v.len()], v);
        check(cast.outputs(Fp16, ids(&[20_001]), ids(&[20_000])), CODE, "20001, became 20000");
        check(mul().precision(Bf16, &[300.0, 301.0], &[300.0, 302.0]), CODE, "BF16 holds every whole number up to 256");
    }

    #[test]
    fn counts_that_are_rounded() {
        let range = |limit: f32, made: usize| {
            let of = |n: usize| Tensor::f32(&[n], &(0..n).map(|i| i as f32).collect::<Vec<f32>>());
            let range = Sample::new("Range", &["from", "to", "step"]).input("from", &[0.0]).input("step", &[1.0]);
            range.value("to", Tensor::f32(&[], &[limit])).outputs(Bf16, of(limit as usize), of(made))
        };
        let found = range(301.0, 300).diagnoses();
        assert!(found.len() == 1 && found[0].code == CODE, "{found:?}");
        check(
            range(301.0, 300),
            CODE,
            "'to' is 301, and BF16 holds every whole number up to 256 only: it became 300, which makes 300 values of 301",
        );
        without(range(300.0, 302), CODE);
    }

    #[test]
    fn other_errors_and_other_numbers() {
        let mul = || Sample::new("Mul", &["row", "width"]);
        without(mul().fp16(&[5001.5], &[5000.0]), CODE);
        without(mul().fp16(&[5001.0], &[6000.0]), CODE);
        without(mul().fp16(&[1001.0, 5000.0], &[1000.0, 5000.0]), CODE);
        without(
            Sample::new("ArgMax", &["x"]).outputs(Fp16, Tensor::i64(&[1], &[5001]), Tensor::i64(&[1], &[5000])),
            CODE,
        );
    }
}
