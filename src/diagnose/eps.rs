//! An epsilon that the low precision rounds to nothing, so that what it kept away from zero is zero. Values that vanish
//! without one are not here.

use super::case::Case;
use super::format::Format;
use super::stats;
use super::words::{num, share};
use super::{Finding, Guard, Strength, nan};

/// The code of this diagnosis.
pub const CODE: &str = "eps-vanishes";

/// Operators that add a constant, or bound a value by one.
const GUARDING: [&str; 5] = ["Add", "Sub", "Sum", "Max", "Clip"];

/// Larger constants are no epsilon.
const SMALL: f64 = 0.01;

/// A constant that should keep an argument away from zero is lost in the format.
pub fn eps_vanishes(case: &Case) -> Option<Finding> {
    let format = case.format?;
    argument_is_zero(case, format).or_else(|| sum_is_zero(case, format))
}

/// The node that cannot bear a zero, or the root before it, gets one.
fn argument_is_zero(case: &Case, format: Format) -> Option<Finding> {
    let root = case.is_any(&["Sqrt"]).then_some(0);
    let slot = root.or_else(|| nan::argument(case))?;
    let operand = case.operand(slot)?;
    let (right, got) = (operand.value?, operand.candidate?);
    let (right, _, pairs) = stats::pairs(right, got, case.format)?;
    let seen = match root {
        Some(_) => case.pairs.as_ref().is_some_and(|p| p.flushed > 0),
        None => case.nonfinite_new(),
    };
    if pairs.flushed == 0 || !seen {
        return None;
    }
    let (guard, how) =
        case.e.around.guards.iter().filter(|g| g.slot == slot).find_map(|g| Some((g, lost(g, format)?)))?;
    let result = if root.is_some() { "0 as well" } else { "NaN or infinite" };
    let evidence = format!(
        "the epsilon '{}' of {} that '{}' reads is {how}, so '{}' is 0 in the candidate at {} where the reference has {} or more, and what {} makes of it is {result}",
        guard.constant,
        num(guard.value),
        guard.node,
        operand.name,
        share(pairs.flushed, right.elements, "places"),
        num(right.min_abs),
        case.op()
    );
    Some(finding(case, format, &guard.node, evidence))
}

/// The node adds the constant itself, and makes a zero.
fn sum_is_zero(case: &Case, format: Format) -> Option<Finding> {
    let flushed = case.pairs.as_ref().filter(|p| p.flushed > 0)?.flushed;
    if !case.is_any(&GUARDING) {
        return None;
    }
    let small = |s: &stats::Summary| s.elements == 1 && s.vanishing > 0;
    let (operand, s) = case.measured_inputs().find(|(o, s)| o.constant && small(s))?;
    let evidence = format!(
        "the epsilon '{}' of {} is zero in {}, so nothing keeps the result away from zero: {} became 0, and the smallest of the reference is {}",
        operand.name,
        num(s.max),
        format.name,
        share(flushed, case.output.as_ref()?.elements, "values"),
        num(case.output.as_ref()?.min_abs)
    );
    Some(finding(case, format, &case.e.culprit.node.name, evidence))
}

/// How the format loses the constant, if it does.
fn lost(guard: &Guard, format: Format) -> Option<String> {
    let size = guard.value.abs();
    if size == 0.0 || size > SMALL {
        return None;
    }
    if format.round(size) == 0.0 {
        return Some(format!("zero in {} (as is all up to {})", format.name, num(format.zero_upto)));
    }
    let beside = guard.beside?;
    let absorbed = size < format.spacing(beside) / 2.0;
    absorbed.then(|| {
        let apart = num(format.spacing(beside));
        format!("nothing in {} beside {}, where numbers are {apart} apart", format.name, num(beside))
    })
}

fn finding(case: &Case, format: Format, guard: &str, evidence: String) -> Finding {
    let large = num(if format.name == "FP16" { 1e-4 } else { format.unit });
    let own = case.e.culprit.node.name == guard;
    let end = if own { "the root or the quotient".to_string() } else { case.name() };
    let advice = format!(
        "keep '{guard}' and the nodes behind it up to {end} in FP32; untried: an epsilon that {} holds (such as {large})",
        format.name
    );
    Finding { code: CODE, strength: Strength::AtWork, evidence, advice }
}

#[cfg(test)]
mod tests {
    use super::CODE;
    use crate::diagnose::sample::{Sample, check, without};
    use crate::found::Kind;
    use crate::spec::Precision;

    const NAN: f32 = f32::NAN;

    fn div(eps: f64, beside: f64) -> Sample {
        let div = Sample::new("Div", &["d", "sd"]).input("d", &[0.0, 1.0]).input("sd", &[1e-6, 1.0]);
        div.their(1, &[0.0, 1.0]).kind(Kind::Amplifies).guard(1, eps, beside)
    }

    #[test]
    fn at_the_division() {
        check(
            div(1e-12, 1.0).fp16(&[0.0, 1.0], &[NAN, 1.0]),
            CODE,
            "'eps' of 1e-12 that 'guard' reads is zero in FP16",
        );
        check(div(1e-12, 1.0).fp16(&[0.0, 1.0], &[NAN, 1.0]), CODE, "at 1 of 2 places (50.0 %)");
        check(div(1e-5, 1.0).fp16(&[0.0, 1.0], &[NAN, 1.0]), CODE, "nothing in FP16 beside 1");
        without(div(1e-12, 1.0).fp16(&[0.0, 1.0], &[NAN, 1.0]), "gain");
        without(div(1e-12, 1.0).fp16(&[0.0, 1.0], &[0.0, 1.1]), CODE);
        without(div(1e-5, 1e-3).fp16(&[0.0, 1.0], &[NAN, 1.0]), CODE);
        // BF16 holds it, and the divisor is zero for another reason.
        without(div(1e-12, 1e-12).precision(Precision::Bf16, &[0.0, 1.0], &[NAN, 1.0]), CODE);
    }

    #[test]
    fn at_the_sum() {
        let add = || Sample::new("Add", &["v", "eps"]).input("v", &[0.0, 1.0]).constant("eps", &[1e-12]);
        check(add().fp16(&[1e-12, 1.0], &[0.0, 1.0]), CODE, "the epsilon 'eps' of 1e-12 is zero in FP16");
        without(add().fp16(&[1e-12, 1.0], &[0.0, 1.1]), "normalization-statistics");
    }
}
