//! Differences of nearly equal values: what is left is the operands' rounding.

use super::case::Case;
use super::stats::{self, Summary};
use super::words::num;
use super::{Finding, Strength};
use crate::found::Kind;
use crate::spec::Precision;

/// The result must be this many times smaller than the operands.
const RATIO: f64 = 16.0;

/// Large operands, a small result: what is left is mostly rounding.
pub fn cancellation(case: &Case) -> Option<Finding> {
    terms(case).or_else(|| difference(case))
}

/// Terms that add up to little: each is rounded, their sum is not.
fn terms(case: &Case) -> Option<Finding> {
    let tf32 = case.e.candidate == Precision::Tf32;
    let products = (tf32 || case.format.is_some()) && case.is_any(&["MatMul", "Gemm", "Conv"]);
    let sums = case.format.is_some() && case.is_any(&["ReduceSum", "ReduceMean", "GlobalAveragePool"]);
    if !(products || sums) || case.nonfinite_new() {
        return None;
    }
    let (n, out) = (case.terms()?, case.output.as_ref()?.rms());
    let root = (n as f64).sqrt();
    let size = match case.op() {
        "ReduceSum" => root * case.input(0)?.rms(),
        "ReduceMean" | "GlobalAveragePool" => case.input(0)?.rms() / root,
        _ => root * case.input(0)?.rms() * case.input(1)?.rms(),
    };
    let ratio = size / out;
    let explained = case.relative_error().is_none_or(|measured| case.unit() * ratio >= 0.1 * measured);
    if !(out > 0.0 && ratio > RATIO && explained) {
        return None;
    }
    let (what, name) = (if products { "products" } else { "terms" }, case.format.map_or("TF32", |f| f.name));
    let evidence = format!(
        "each value is a sum of {n} {what}, which with signs at random were of size {}, and is of size {}: what {name} takes from the operands (up to {} of each) counts {} times as much in it",
        num(size),
        num(out),
        num(case.unit()),
        num(ratio)
    );
    let advice = match tf32 {
        true => format!("keep {} in FP32, or switch TF32 off", case.name()),
        false => format!("keep {} and what makes its operands in FP32", case.name()),
    };
    Some(Finding { code: "cancellation", strength: Strength::AtWork, evidence, advice })
}

fn difference(case: &Case) -> Option<Finding> {
    if !case.is_any(&["Sub", "Add", "Sum"]) || case.nonfinite_new() {
        return None;
    }
    let out = case.output.as_ref()?.rms();
    let operands: Vec<f64> = case.measured_inputs().map(|(_, s)| Summary::rms(s)).collect();
    // One large operand cannot be cancelled by small ones.
    let mut sorted = operands.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (&largest, &second) = (sorted.first()?, sorted.get(1)?);
    if !(out > 0.0 && largest > RATIO * out && second > largest / 2.0) {
        return None;
    }
    let ratio = largest / out;
    let input_error = measured_input_error(case).unwrap_or(case.unit());
    let explained = case.relative_error().is_none_or(|measured| input_error * ratio >= 0.1 * measured);
    let strength = match (case.e.culprit.kind, explained) {
        (_, true) => Strength::AtWork,
        (Kind::Amplifies, false) => Strength::Fits,
        _ => return None,
    };
    let sizes: Vec<String> = operands.iter().map(|x| num(*x)).collect();
    let evidence = format!(
        "the operands are of size {}, the result of size {}: what they are wrong by counts {} times as much in it",
        sizes.join(" and "),
        num(out),
        num(ratio)
    );
    let advice = format!(
        "keep {} and what makes its operands in FP32; untried: rewrite the expression so that the large part is never added (expm1, log1p, a bias folded away)",
        case.name()
    );
    Some(Finding { code: "cancellation", strength, evidence, advice })
}

/// The largest relative error of an operand, where the candidate's values are at hand and differ.
fn measured_input_error(case: &Case) -> Option<f64> {
    let error = |o: &super::Operand| stats::pairs(o.value?, o.candidate?, None)?.2.relative();
    case.e.inputs.iter().filter_map(error).reduce(f64::max).filter(|e| *e > 0.0)
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::found::Kind;
    use crate::spec::Precision;

    #[test]
    fn nearly_equal_operands() {
        let (a, b) = ([10.001f32, 9.999], [10.0f32]);
        let sub = || Sample::new("Sub", &["a", "b"]).input("a", &a).constant("b", &b);
        let (y, c) = ([0.001, -0.001], [0.001_95, -0.001_95]);
        check(sub().fp16(&y, &c), "cancellation", "counts 10000 times as much");
        let amplifies = sub().kind(Kind::Amplifies).their(0, &[10.0011, 9.9991]);
        check(amplifies.precision(Precision::Fp32, &y, &[0.0011, -0.0009]), "cancellation", "size 10 and 10");
    }

    #[test]
    fn products_of_tf32_that_cancel() {
        let product = |second: f32| {
            let (x, w) = ([1.0, 1.0], [10.0, second]);
            Sample::new("MatMul", &["x", "w"]).input("x", &x).constant("w", &w)
        };
        let cancels = || product(-9.999).precision(Precision::Tf32, &[0.001], &[0.0]);
        check(cancels(), "cancellation", "a sum of 2 products, which with signs at random were of size 14.14");
        without(product(-9.999).precision(Precision::Fp32, &[0.001], &[0.0]), "cancellation");
        without(product(10.0).precision(Precision::Tf32, &[20.0], &[19.0]), "cancellation");
    }

    #[test]
    fn operands_that_stay() {
        let sub = |b: f32| Sample::new("Sub", &["a", "b"]).input("a", &[10.0, 9.0]).constant("b", &[b]);
        without(sub(5.0).fp16(&[5.0, 4.0], &[5.5, 4.0]), "cancellation");
        // FP32's rounding does not explain half the value.
        let wrong = sub(9.5).precision(Precision::Fp32, &[0.5, -0.5], &[0.75, -0.5]);
        without(wrong, "cancellation");
        let mul = Sample::new("Mul", &["a", "b"]).input("a", &[10.0]).input("b", &[1e-3]);
        without(mul.fp16(&[1e-2], &[2e-2]), "cancellation");
    }
}
