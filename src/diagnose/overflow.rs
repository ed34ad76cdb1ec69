//! Values, squares and running sums beyond what the low precision holds.

use super::case::Case;
use super::format::Format;
use super::stats::Summary;
use super::words::{list, num, share};
use super::{Finding, Operand, Strength, norm};
use crate::compare;
use crate::found::words::plural;

/// How the codes of all formats end.
pub const SUFFIX: &str = "-overflow";

/// Operators that square their input inside.
const SQUARES_INSIDE: [&str; 8] = [
    "ReduceL2",
    "ReduceSumSquare",
    "LpNormalization",
    "LayerNormalization",
    "SimplifiedLayerNormalization",
    "RMSNormalization",
    "InstanceNormalization",
    "GroupNormalization",
];

/// Values above the largest number of the format.
pub fn fp16_overflow(case: &Case) -> Option<Finding> {
    let format = case.format?;
    let out = case.output.as_ref()?;
    let lost = case.pairs.as_ref().is_none_or(|p| p.over_lost > 0);
    if let Some(evidence) = constant_overflows(case, format) {
        let advice = keep_constant(case, format);
        return Some(Finding { code: code(format), strength: Strength::AtWork, evidence, advice });
    }
    if out.over > 0 && lost {
        let evidence = output_overflows(case, format, out);
        return Some(Finding {
            code: code(format),
            strength: Strength::AtWork,
            evidence,
            advice: advice(case, format),
        });
    }
    if let Some(evidence) = case.nonfinite_new().then(|| read_overflows(case, format)).flatten() {
        let advice = format!("keep {} and what makes its operands in FP32; untried: scale them down", case.name());
        return Some(Finding { code: code(format), strength: Strength::AtWork, evidence, advice });
    }
    let evidence = case.nonfinite_new().then(|| inside_overflows(case, format, out)).flatten()?;
    Some(Finding { code: code(format), strength: Strength::Fits, evidence, advice: advice(case, format) })
}

/// Both are the same finding.
fn code(format: Format) -> &'static str {
    if format.name == "FP16" { "fp16-overflow" } else { "bf16-overflow" }
}

/// A constant is infinite in the format, in a Constant node of its own or read by this one, and the result shows it.
fn constant_overflows(case: &Case, format: Format) -> Option<String> {
    let told = |name: &str, s: &Summary| {
        let limit = format!("which is Infinity in {}, whose largest value is {}", format.name, num(format.max));
        let most = if s.max > -s.min { s.max } else { s.min };
        match s.elements {
            1 => format!("the constant '{name}' is {}, {limit}", num(most)),
            _ => format!(
                "{} of the constant '{name}' are as large as {}, {limit}",
                share(s.over, s.elements, "values"),
                num(most)
            ),
        }
    };
    let broken = case.nonfinite_new() || case.pairs.as_ref().is_some_and(|p| p.flushed > 0);
    if case.is_any(&["Constant"]) {
        let out = case.output.as_ref().filter(|s| s.over > 0 && broken)?;
        return Some(told(&case.e.culprit.tensor, out));
    }
    let (operand, s) = case.measured_inputs().find(|(o, s)| o.constant && s.over > 0)?;
    if let Some(theirs) = clamped(operand, format) {
        return Some(format!("{}; the candidate's file has {} in its place", told(operand.name, s), num(theirs)));
    }
    if !broken {
        return None;
    }
    let made = case.pairs.as_ref().map_or_else(String::new, |p| match (p.nan_new, p.flushed) {
        (0, 0) => String::new(),
        (0, zeros) => format!("; {} became zero by it", plural(zeros as usize, "result")),
        (1, _) => "; 0 times that is NaN, which 1 result is".to_string(),
        (nan, _) => format!("; 0 times that is NaN, which {nan} results are"),
    });
    let zeros = case.is_any(&["Mul", "MatMul", "Gemm", "Conv"]) || !made.contains("NaN");
    Some(format!("{}{}", told(operand.name, s), if zeros { made } else { String::new() }))
}

/// What a converter wrote in place of one value that the format does not hold.
fn clamped(operand: &Operand, format: Format) -> Option<f64> {
    let stored = operand.candidate.filter(|t| t.elements() == 1)?;
    let (right, theirs) = (compare::to_f64(operand.value?), compare::to_f64(stored));
    let (right, theirs) = (right.first()?, theirs.first()?);
    (theirs.is_finite() && theirs.abs() <= format.max && right.abs() > format.max).then_some(*theirs)
}

fn keep_constant(case: &Case, format: Format) -> String {
    // What it hands on is rounded again where only itself is kept.
    let behind = case.is_any(&["Constant"]) || case.output.as_ref().is_some_and(|s| s.over > 0);
    let and =
        if behind { format!(" and the nodes behind it until their values fit {}", format.name) } else { String::new() };
    format!(
        "keep {}{and} in FP32; untried: a constant within {}'s range, with the rest of the factor elsewhere",
        case.name(),
        format.name
    )
}

/// What the node reads fits FP32 where it is made, or fed, and not the format in which it is read.
fn read_overflows(case: &Case, format: Format) -> Option<String> {
    let (operand, s) = case.measured_inputs().find(|(o, s)| !o.constant && s.over > 0)?;
    Some(format!(
        "{} of '{}', which it reads, exceed {}, {}'s largest value; the largest is {}",
        share(s.over, s.elements, "values"),
        operand.name,
        num(format.max),
        format.name,
        num(s.max_abs())
    ))
}

/// The result itself is too large: where does that come from?
fn output_overflows(case: &Case, format: Format, out: &Summary) -> String {
    let limit = format!("{}, {}'s largest value", num(format.max), format.name);
    let count = share(out.over, out.elements, "values");
    let input = case.input(0).map_or(0.0, Summary::max_abs);
    let inputs: Vec<String> = case.measured_inputs().take(2).map(|(_, s)| num(s.max_abs())).collect();
    if case.is_square() {
        return format!(
            "the largest input is {}, so its square {} exceeds {limit}; {count} do so",
            num(input),
            num(input * input)
        );
    }
    if case.is_any(&["Exp"]) {
        let most = case.input(0).map_or(0.0, |s| s.max);
        let from = format.max.ln();
        return format!(
            "the largest input is {}, and above {} Exp exceeds {limit}; {count} do so",
            num(most),
            num(from)
        );
    }
    if let Some(terms) = case.terms().filter(|n| *n > 1) {
        let (largest, reach) = (num(out.max_abs()), list(&inputs));
        return format!(
            "each value is a sum of {terms} terms, from inputs of up to {reach}; the largest sum, {largest}, exceeds {limit}; {count} do so"
        );
    }
    format!("{count} exceed {limit}; the largest is {}", num(out.max_abs()))
}

/// The result fits, what the node computes on the way does not.
fn inside_overflows(case: &Case, format: Format, out: &Summary) -> Option<String> {
    let limit = format!("{}, {}'s largest value", num(format.max), format.name);
    // In an emulation it is computed in FP32.
    let input = case.input(0).filter(|_| !case.rounds_only())?;
    if case.is_any(&SQUARES_INSIDE) && input.max_abs().powi(2) >= format.infinite_from {
        let square = num(input.max_abs().powi(2));
        let largest = num(input.max_abs());
        return Some(format!(
            "{} squares its input inside: the largest is {largest}, and its square {square} exceeds {limit}",
            case.op()
        ));
    }
    let terms = case.terms().filter(|n| *n > 1)?;
    let mean = case.is_any(&["ReduceMean", "GlobalAveragePool", "AveragePool"]);
    let sum = terms as f64 * if mean { out.max_abs() } else { return products(case, format, terms) };
    (sum >= format.infinite_from).then(|| {
        format!(
            "the means reach {}, so the sum of {terms} terms before the division reaches {}, which exceeds {limit}",
            num(out.max_abs()),
            num(sum)
        )
    })
}

/// The partial sums of a matrix product can be larger than what is left at the end.
fn products(case: &Case, format: Format, terms: usize) -> Option<String> {
    let (a, b) = (case.input(0)?, case.input(1)?);
    let typical = terms as f64 * a.mean_abs() * b.mean_abs();
    (typical >= format.infinite_from).then(|| {
        format!(
            "each value is a sum of {terms} products whose magnitudes add up to about {}; partial sums exceed {}, {}'s largest value",
            num(typical),
            num(format.max),
            format.name
        )
    })
}

fn advice(case: &Case, format: Format) -> String {
    let name = case.name();
    if let Some(advice) = norm::cure(case) {
        return advice;
    }
    if case.is_any(&["Exp"]) && case.read_by(&["Log"]) {
        return format!(
            "keep {name} up to the Log behind it in FP32; untried: replace them by Softplus or ReduceLogSumExp, which do not overflow"
        );
    }
    if format.name == "BF16" {
        return format!("keep {name} in FP32; untried: bound its values, for few that large are meant");
    }
    format!(
        "keep {name} and the nodes behind it in FP32 until the values are below 65504 again; untried: scale its inputs down"
    )
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, halves, without};
    use crate::spec::Precision;

    #[test]
    fn squares_and_exponentials() {
        let x = [351.2, 1.0, 2.0, -3.0];
        let y = x.map(|x| x * x);
        let square = || Sample::new("Mul", &["x", "x"]).input("x", &x).input("x", &x);
        check(square().fp16(&y, &halves(&y)), "fp16-overflow", "351.2, so its square 123341 exceeds 65504");
        let cube = Sample::new("Pow", &["x", "two"]).input("x", &x).constant("two", &[2.0]);
        check(cube.fp16(&y, &halves(&y)), "fp16-overflow", "its square 123341");
        let (x, y) = ([12.0f32, 1.0], [12f32.exp(), 1f32.exp()]);
        let exp = || Sample::new("Exp", &["x"]).input("x", &x);
        check(exp().fp16(&y, &halves(&y)), "fp16-overflow", "above 11.09 Exp exceeds 65504");
        let advice = exp().readers(&["Add", "Log"]).fp16(&y, &halves(&y)).diagnoses()[0].advice.clone();
        assert!(advice.contains("Softplus"), "{advice}");
    }

    #[test]
    fn sums() {
        let x = vec![200.0f32; 512];
        let sum = || Sample::new("ReduceSum", &["x"]).input("x", &x);
        check(sum().fp16(&[102_400.0], &[f32::INFINITY]), "fp16-overflow", "a sum of 512 terms");
        let mean = || Sample::new("ReduceMean", &["x"]).input("x", &x);
        let mean = || mean().fp16(&[200.0], &[f32::INFINITY]);
        check(mean().device(), "fp16-overflow", "reaches 102400");
        without(mean(), "fp16-overflow");
        let norm = Sample::new("LayerNormalization", &["x"]).input("x", &[300.0, 1.0]);
        check(norm.fp16(&[1.0, -1.0], &[f32::NAN; 2]).device(), "fp16-overflow", "its square 90000");
        let (row, w) = (vec![100.0f32; 64], vec![100.0f32; 64]);
        let product = Sample::new("MatMul", &["a", "b"]).shaped("a", &[1, 64], &row).shaped("b", &[64, 1], &w);
        check(product.fp16(&[10.0], &[f32::INFINITY]).device(), "fp16-overflow", "add up to about 640000");
    }

    #[test]
    fn constants() {
        let scale = |c: &[f32]| {
            Sample::new("Mul", &["x", "k"]).input("x", &[0.0, 1e-3]).constant("k", &[1e6]).fp16(&[0.0, 1e3], c)
        };
        let broken = || scale(&[f32::NAN, f32::INFINITY]);
        check(
            broken(),
            "fp16-overflow",
            "the constant 'k' is 1000000, which is Infinity in FP16, whose largest value is 65504",
        );
        check(broken(), "fp16-overflow", "0 times that is NaN, which 1 result is");
        without(broken(), "nan-source");
        without(scale(&[0.0, 900.0]), "fp16-overflow");
        let node = Sample::new("Constant", &[]).fp16(&[1e6], &[f32::INFINITY]);
        check(node, "fp16-overflow", "is 1000000, which is Infinity in FP16");
        let div = Sample::new("Div", &["x", "k"]).input("x", &[1e3]).constant("k", &[1e6]);
        check(div.fp16(&[1e-3], &[0.0]), "fp16-overflow", "1 result became zero by it");
    }

    #[test]
    fn what_is_read_overflows() {
        let mul = || Sample::new("Mul", &["x", "k"]).input("x", &[9e4, 1.0]).constant("k", &[1e-4]);
        let told = "1 of 2 values (50.0 %) of 'x', which it reads, exceed 65504";
        check(mul().fp16(&[9.0, 1e-4], &[f32::INFINITY, 1e-4]), "fp16-overflow", told);
        without(mul().fp16(&[9.0, 1e-4], &[f32::INFINITY, 1e-4]), "nan-source");
        without(mul().fp16(&[9.0, 1e-4], &[8.0, 1e-4]), "fp16-overflow");
    }

    #[test]
    fn what_fits_or_survives_does_not_overflow() {
        let square = || Sample::new("Mul", &["x", "x"]).input("x", &[200.0]).input("x", &[200.0]);
        without(square().fp16(&[40_000.0], &[41_000.0]), "fp16-overflow");
        // Large values that came through: the candidate computed them in FP32.
        let add = || Sample::new("Add", &["a", "b"]).input("a", &[7e4, 1.0]).input("b", &[0.0, 0.0]);
        without(add().fp16(&[7e4, 1.0], &[7e4, 2.0]), "fp16-overflow");
        without(add().precision(Precision::Fp32, &[7e4, 1.0], &[f32::INFINITY, 1.0]), "fp16-overflow");
        // BF16 holds them.
        without(add().precision(Precision::Bf16, &[7e4, 1.0], &[0.0, 1.0]), "fp16-overflow");
    }
}
