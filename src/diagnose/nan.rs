//! NaN and infinities out of finite inputs.

use super::case::Case;
use super::stats::{self, Summary};
use super::words::{num, share};
use super::{Finding, Operand, Strength};

/// The code of this diagnosis.
pub const CODE: &str = "nan-source";

/// NaN or infinities that the node makes itself.
pub fn nan_source(case: &Case) -> Option<Finding> {
    in_both(case).or_else(|| in_candidate(case))
}

/// The reference makes them too, and the candidate makes others.
fn in_both(case: &Case) -> Option<Finding> {
    let out = case.output.as_ref()?;
    let inputs_known = case.e.inputs.iter().zip(&case.inputs).all(|(o, s)| o.name.is_empty() || s.is_some());
    let finite = inputs_known && case.inputs.iter().flatten().all(|s| s.nonfinite() == 0);
    let differ = match &case.pairs {
        Some(p) => p.nonfinite_lost + p.nan_new + p.inf_new > 0,
        None => case.metrics().breaks(),
    };
    if out.nonfinite() == 0 || !finite || !differ {
        return None;
    }
    let reason = outside_domain(case).map_or(String::new(), |why| format!(": {why}"));
    let evidence = format!(
        "the reference itself makes {} NaN and {} infinities from finite inputs{reason}",
        out.nan,
        out.pos_inf + out.neg_inf
    );
    Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice: advice(case) })
}

/// The candidate alone makes them.
fn in_candidate(case: &Case) -> Option<Finding> {
    let (out, pairs) = (case.output.as_ref()?, case.pairs.as_ref());
    let new = pairs.map_or(case.nonfinite_new(), |p| p.nan_new + p.inf_new > 0);
    // What is infinite in the format overflows, be it the result or what is read.
    if !new || out.over > 0 || case.measured_inputs().any(|(_, s)| s.over > 0) {
        return None;
    }
    if let Some(evidence) = vanishing_argument(case).or_else(|| zero_argument(case)) {
        return Some(Finding { code: CODE, strength: Strength::AtWork, evidence, advice: advice(case) });
    }
    let made = pairs.map_or_else(String::new, |p| format!(" {} NaN and {} infinities", p.nan_new, p.inf_new));
    let reason = outside_domain(case);
    let strength = if reason.is_some() { Strength::Fits } else { Strength::Open };
    let evidence = format!(
        "the candidate makes{made} where the reference is finite, from inputs that agree{}",
        reason.map_or(String::new(), |why| format!("; {why}"))
    );
    Some(Finding { code: CODE, strength, evidence, advice: advice(case) })
}

/// A divisor, or the argument of a logarithm, that is zero in the format.
fn vanishing_argument(case: &Case) -> Option<String> {
    let format = case.format?;
    let slot = argument(case)?;
    let s = case.input(slot).filter(|s| s.vanishing > 0)?;
    let name = case.operand(slot)?.name;
    Some(format!(
        "{} of '{name}' are up to {}, which is zero in {}, and {} takes them",
        share(s.vanishing, s.nonzero(), "non-zero values"),
        num(format.zero_upto),
        format.name,
        case.op()
    ))
}

/// The same where it is zero in the candidate, whatever made it so.
fn zero_argument(case: &Case) -> Option<String> {
    let operand = case.operand(argument(case)?)?;
    let (right, _, pairs) = stats::pairs(operand.value?, operand.candidate?, case.format)?;
    (pairs.flushed > 0).then(|| {
        format!(
            "'{}' is 0 in the candidate at {} where the reference has {} or more, and {} takes it",
            operand.name,
            share(pairs.flushed, right.elements, "places"),
            num(right.min_abs),
            case.op()
        )
    })
}

/// The input that must not be zero.
pub fn argument(case: &Case) -> Option<usize> {
    match case.op() {
        "Div" | "Mod" => Some(1),
        "Log" | "Reciprocal" | "Rsqrt" => Some(0),
        "Pow" if case.input(1).is_some_and(|s| s.max < 0.0) => Some(0),
        _ => None,
    }
}

/// Inputs for which the operator has no finite value.
fn outside_domain(case: &Case) -> Option<String> {
    let (slot, count, what) = {
        let count = |slot: usize, f: fn(&Summary) -> u64| case.input(slot).map_or(0, f);
        match case.op() {
            "Div" | "Mod" => (1, count(1, |s| s.zeros), "zero"),
            "Reciprocal" | "Rsqrt" => (0, count(0, |s| s.zeros), "zero"),
            "Log" => (0, count(0, |s| s.zeros + s.negative), "not positive"),
            "Sqrt" | "Pow" => (0, count(0, |s| s.negative), "negative"),
            "Acos" | "Asin" | "Atanh" => {
                (0, count(0, |s| (s.max_abs() >= 1.0) as u64 * (s.at_min + s.at_max)), "not below 1")
            }
            _ => return None,
        }
    };
    let operand: &Operand = case.operand(slot).filter(|_| count > 0)?;
    let whole = case.input(slot).map_or(0, |s| s.elements);
    Some(format!("{} of '{}' are {what}", share(count, whole, "values"), operand.name))
}

fn advice(case: &Case) -> String {
    let name = case.name();
    match case.op() {
        "Div" | "Log" | "Reciprocal" | "Rsqrt" | "Mod" => format!(
            "keep {name} and what makes its argument in FP32; untried: add an epsilon that the precision holds (1e-4 in FP16) in front of it"
        ),
        "Sqrt" | "Pow" | "Acos" | "Asin" | "Atanh" => {
            format!(
                "keep {name} and what makes its argument in FP32; untried: clip it to where the operator is defined"
            )
        }
        _ => format!("run the reproducer of {name} in the candidate, and keep {name} in FP32 until it is understood"),
    }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::spec::Precision;

    const NAN: f32 = f32::NAN;

    #[test]
    fn in_the_reference_too() {
        let div = || Sample::new("Div", &["a", "b"]).input("a", &[0.0, 1.0, 1.0]).input("b", &[0.0, 0.0, 2.0]);
        let y = [NAN, f32::INFINITY, 0.5];
        let wrong = div().precision(Precision::Fp32, &y, &[0.0, f32::INFINITY, 0.5]);
        check(wrong, "nan-source", "1 NaN and 1 infinities from finite inputs: 2 of 3 values (66.7 %) of 'b' are zero");
        // They agree there: the error is elsewhere.
        without(div().precision(Precision::Fp32, &y, &[NAN, f32::INFINITY, 0.75]), "nan-source");
        let log = Sample::new("Log", &["x"]).input("x", &[-1.0, 1.0]);
        check(log.precision(Precision::Fp32, &[NAN, 0.0], &[0.0, 0.0]), "nan-source", "are not positive");
        // NaN that came in is not made here.
        let relu = Sample::new("Relu", &["x"]).input("x", &[NAN, 1.0]);
        without(relu.precision(Precision::Fp32, &[NAN, 1.0], &[0.0, 1.0]), "nan-source");
    }

    #[test]
    fn in_the_candidate_alone() {
        let div = || Sample::new("Div", &["a", "b"]).input("a", &[1e-8, 1.0]).input("b", &[1e-8, 2.0]);
        check(div().fp16(&[1.0, 0.5], &[NAN, 0.5]), "nan-source", "of 'b' are up to 2.98e-8, which is zero in FP16");
        let sqrt = Sample::new("Sqrt", &["x"]).input("x", &[4.0]);
        check(sqrt.precision(Precision::Fp32, &[2.0], &[NAN]), "nan-source", "1 NaN and 0 infinities");
        without(div().fp16(&[1.0, 0.5], &[1.5, 0.5]), "nan-source");
    }
}
