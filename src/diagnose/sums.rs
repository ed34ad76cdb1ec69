//! Sums of many terms: the error grows with their number.

use super::case::Case;
use super::words::{num, percent};
use super::{Finding, Strength};
use crate::spec::Precision;

/// Fewer terms are no large reduction.
const MANY: usize = 64;

/// A sum of many terms that overflows or loses its small ones.
pub fn large_reduction(case: &Case) -> Option<Finding> {
    let terms = case.terms().filter(|n| *n >= MANY)?;
    overflowing(case, terms).or_else(|| inaccurate(case, terms))
}

fn finding(case: &Case, evidence: String) -> Option<Finding> {
    let advice = format!(
        "let {} accumulate in FP32 (keep it in FP32, or choose a kernel with FP32 accumulation); untried: scale its inputs before the sum, not behind it",
        case.name()
    );
    Some(Finding { code: "large-reduction", strength: Strength::Fits, evidence, advice })
}

/// Every term fits, their sum does not.
fn overflowing(case: &Case, terms: usize) -> Option<Finding> {
    let (format, out, s) = (case.format?, case.output.as_ref()?, case.input(0)?);
    let sums = case.op().starts_with("Reduce") && out.over > 0 && s.over == 0;
    if !sums {
        return None;
    }
    let evidence = format!(
        "{terms} terms of about {} each, which {} holds, add up to {}, which it does not",
        num(s.mean_abs()),
        format.name,
        num(out.max_abs())
    );
    finding(case, evidence)
}

/// The error is too large for one rounding and of the size that adding up makes.
fn inaccurate(case: &Case, terms: usize) -> Option<Finding> {
    // Sums are FP32's there, and in every emulation.
    if case.e.candidate == Precision::Tf32 || (case.judged.emulation && case.format.is_some()) {
        return None;
    }
    let (n, unit) = (terms as f64, case.unit());
    let scale = magnitude(case, n)?;
    let error = case.metrics().rmse.0;
    let one_rounding = unit * case.output.as_ref()?.rms();
    // In low precision a naive sum may lose everything in proportion to n; FP32 kernels add in blocks.
    let growth = if case.format.is_some() { 2.0 * n } else { 8.0 * n.sqrt() };
    if case.nonfinite_new() || error <= 4.0 * one_rounding || error > growth * unit * scale {
        return None;
    }
    let name = case.format.map_or("FP32", |f| f.name);
    let evidence = format!(
        "each value is a sum of {terms} terms; in {name} adding them one by one errs by {} to {} of their magnitude ({}), and the error is {}",
        percent((n.sqrt() * unit).min(1.0)),
        percent((n * unit).min(1.0)),
        num(scale),
        num(error)
    );
    finding(case, evidence)
}

/// What the magnitudes of the terms of one sum add up to, about.
fn magnitude(case: &Case, n: f64) -> Option<f64> {
    let x = case.input(0)?;
    match case.op() {
        "ReduceMean" | "GlobalAveragePool" | "AveragePool" => Some(x.mean_abs()),
        "ReduceSum" | "CumSum" | "ReduceL1" => Some(n * x.mean_abs()),
        "ReduceSumSquare" => Some(n * x.rms().powi(2)),
        "MatMul" | "Gemm" | "Conv" => Some(n * x.rms() * case.input(1)?.rms()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::Judged;
    use crate::diagnose::sample::{Sample, check, without};
    use crate::spec::Precision;

    /// A device may add up in its own precision; the emulation does not.
    const DEVICE: Judged =
        Judged { tolerance: None, emulation: false, stored: false, alike: false, engine: false, read_right: false };

    fn naive_half_sum(x: &[f32]) -> f32 {
        x.iter().fold(half::f16::ZERO, |sum, x| half::f16::from_f32(sum.to_f32() + x)).to_f32()
    }

    #[test]
    fn naive_accumulation() {
        let x: Vec<f32> = (0..2048).map(|i| 1.0 + (i % 7) as f32 / 64.0).collect();
        let (right, wrong) = (x.iter().sum::<f32>(), naive_half_sum(&x));
        assert!((right - wrong).abs() > 1.0);
        let sum = || Sample::new("ReduceSum", &["x"]).input("x", &x).judged(DEVICE);
        without(sum().judged(Judged { emulation: true, ..DEVICE }).fp16(&[right], &[wrong]), "large-reduction");
        check(sum().fp16(&[right], &[wrong]), "large-reduction", "a sum of 2048 terms");
        // One rounding, or more than adding up explains.
        without(sum().fp16(&[right], &[right + 0.25]), "large-reduction");
        without(sum().fp16(&[right], &[right * 9.0]), "large-reduction");
        without(sum().precision(Precision::Fp32, &[right], &[wrong]), "large-reduction");
    }

    #[test]
    fn products() {
        let (a, b) = (vec![1.0f32; 1024], vec![0.5f32; 1024]);
        let product = || {
            Sample::new("MatMul", &["a", "b"]).shaped("a", &[1, 1024], &a).shaped("b", &[1024, 1], &b).judged(DEVICE)
        };
        check(product().fp16(&[512.0], &[500.0]), "large-reduction", "a sum of 1024 terms");
        without(product().fp16(&[512.0], &[512.2]), "large-reduction");
        let few = Sample::new("MatMul", &["a", "b"]).shaped("a", &[1, 2], &[1.0, 1.0]).shaped("b", &[2, 1], &[1.0; 2]);
        without(few.fp16(&[2.0], &[2.1]), "large-reduction");
    }

    #[test]
    fn sums_that_overflow() {
        let x = vec![200.0f32; 512];
        let sum = Sample::new("ReduceSum", &["x"]).input("x", &x);
        check(sum.fp16(&[102_400.0], &[f32::INFINITY]), "large-reduction", "512 terms of about 200 each");
    }
}
