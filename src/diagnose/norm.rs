//! Mean and variance: a normalisation spelt out in nodes, or one node of it, whose squares, epsilon or difference do not
//! survive the low precision.

use super::case::Case;
use super::format::Format;
use super::words::{list, num, share};
use super::{Finding, Strength};

const NODES: [&str; 10] =
    ["Sub", "Pow", "Mul", "ReduceMean", "Add", "Sqrt", "Div", "Reciprocal", "ReduceSumSquare", "ReduceL2"];

const WHOLE: [&str; 8] = [
    "LayerNormalization",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "RMSNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "BatchNormalization",
    "LpNormalization",
];

const MEANS: [&str; 4] = ["ReduceMean", "GlobalAveragePool", "ReduceSumSquare", "ReduceL2"];

/// The code of this diagnosis.
pub const CODE: &str = "normalization-statistics";

/// A mean or a variance that the format cannot hold, in a normalisation or a part of one.
pub fn normalization_statistics(case: &Case) -> Option<Finding> {
    let format = case.format?;
    let found = if is_part(case) { part(case, format)? } else { whole(case, format)? };
    let (strength, evidence) = found;
    let advice = match cure(case) {
        // Its statistics are FP32's already: what is lost is lost before.
        _ if case.rounds_only() && WHOLE.contains(&case.op()) => {
            format!("keep {} and what makes its input in FP32", case.name())
        }
        Some(advice) => advice,
        None => whole_cure(case),
    };
    Some(Finding { code: CODE, strength, evidence, advice })
}

/// The advice for a node of a normalisation; `None` for others.
pub fn cure(case: &Case) -> Option<String> {
    if !is_part(case) {
        return WHOLE.contains(&case.op()).then(|| whole_cure(case));
    }
    let keep = format!("keep the statistics in FP32, from {} to the root and the quotient behind it", case.name());
    Some(match one_node(case) {
        Some(replace) => format!("{keep}; {replace}"),
        None => keep,
    })
}

/// The operator that a normalisation can be written as, where there is one for its axes.
fn one_node(case: &Case) -> Option<String> {
    let reduced = case.e.around.reduced.as_ref()?;
    // A mean that is taken off first is LayerNorm; without it, it is RMSNorm.
    let centred = case.is_any(&["Sub"]) || case.made_by(&["Sub"]);
    let (operator, since) = if centred { ("LayerNormalization", 17) } else { ("RMSNormalization", 23) };
    if !reduced.is_trailing() {
        let axes: Vec<String> = reduced.axes.iter().map(usize::to_string).collect();
        let (noun, axes) = (if axes.len() == 1 { "axis" } else { "axes" }, list(&axes));
        return Some(format!(
            "{operator} has no place here without Transposes around it: it normalises the last axes, and this is over {noun} {axes} of {}",
            reduced.rank
        ));
    }
    let has = case.e.opset;
    let raise = if has < since { format!(" (opset {since}; this model has {has})") } else { String::new() };
    Some(format!("untried: replace the subgraph by {operator}{raise}"))
}

fn whole_cure(case: &Case) -> String {
    format!("keep {} in FP32: its statistics need the range and the precision", case.name())
}

/// Is the node one of a mean, of squares or a variance, and of a root?
fn is_part(case: &Case) -> bool {
    let around = |op_types: &[&str]| case.is_any(op_types) || case.read_by(op_types) || case.made_by(op_types);
    let squares = around(&["Pow", "ReduceSumSquare", "ReduceL2"]) || around(&["Mul"]);
    case.is_any(&NODES) && squares && roots_a_mean(case)
}

/// A mean around the node, and a root of that: a mean of roots is something else.
fn roots_a_mean(case: &Case) -> bool {
    let (above, below) = (case.e.makers.iter().rev(), case.e.readers.iter());
    let mut way = above.map(String::as_str).chain([case.op()]).chain(below.map(String::as_str));
    way.by_ref().any(|op| MEANS.contains(&op)) && way.any(|op| ["Sqrt", "Rsqrt"].contains(&op))
}

/// A node of a normalisation: what of it goes wrong?
fn part(case: &Case, format: Format) -> Option<(Strength, String)> {
    let out = case.output.as_ref()?;
    if case.is_square() && out.over > 0 {
        let largest = case.input(0).map_or(0.0, |s| s.max_abs());
        let bound = format.max.sqrt();
        return Some((
            Strength::Fits,
            format!(
                "the squares of a normalisation overflow: inputs reach {}, the bound is {}",
                num(largest),
                num(bound)
            ),
        ));
    }
    if out.tiny * 2 > out.nonzero() && case.is_any(&["Pow", "Mul", "ReduceMean", "Add"]) && format.name == "FP16" {
        let text = format!(
            "the squares or the variance of a normalisation vanish: {} are below 2^-14, {} of them zero in FP16",
            share(out.tiny, out.nonzero(), "non-zero values"),
            out.vanishing
        );
        return Some((Strength::Fits, text));
    }
    None
}

/// A whole normalisation in one node.
fn whole(case: &Case, format: Format) -> Option<(Strength, String)> {
    if !WHOLE.contains(&case.op()) {
        return None;
    }
    let s = case.input(0)?;
    let epsilon = case.e.node.attr("epsilon").and_then(|a| a.f).map_or(1e-5, f64::from);
    let variance = (s.rms().powi(2) - s.mean().powi(2)).max(0.0);
    // An emulation rounds what the node reads and makes; inside, it computes in FP32.
    let inside = !case.rounds_only();
    if inside && format.round(s.max_abs().powi(2)).is_infinite() {
        let text = format!("inputs reach {}, and their squares exceed {}", num(s.max_abs()), num(format.max));
        return Some((Strength::Fits, format!("{text}, {}'s largest value", format.name)));
    }
    if inside && epsilon <= format.zero_upto && variance < 1e3 * format.min_normal {
        let text = format!("epsilon {} is zero in {}", num(epsilon), format.name);
        return Some((Strength::Fits, format!("{text}, and the variance of the input is only {}", num(variance))));
    }
    if variance > 0.0 && s.mean().powi(2) * format.unit > 0.1 * variance {
        let text = format!(
            "the mean of the input, {}, is large against its deviation from it, {}: {} numbers there are {} apart",
            num(s.mean()),
            num(variance.sqrt()),
            format.name,
            num(format.spacing(s.mean()))
        );
        return Some((Strength::Fits, text));
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, halves, without};

    #[test]
    fn parts() {
        let y = [490_000.0, 1.0];
        let pow = || Sample::new("Pow", &["x", "two"]).input("x", &[700.0, 1.0]).constant("two", &[2.0]);
        let inside = || pow().makers(&["Sub", "ReduceMean"]).readers(&["ReduceMean", "Add", "Sqrt"]);
        let found = inside().reduced(&[1, 2], 3).fp16(&y, &halves(&y)).diagnoses();
        let codes: Vec<&str> = found.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["fp16-overflow", "normalization-statistics"]);
        assert!(found[0].advice.contains("; untried: replace the subgraph by Layer"), "{}", found[0].advice);
        let picture = inside().reduced(&[1], 4).fp16(&y, &halves(&y)).diagnoses();
        assert!(picture[0].advice.contains("without Transposes around it"), "{}", picture[0].advice);
        let unknown = inside().fp16(&y, &halves(&y)).diagnoses();
        assert!(!unknown[0].advice.contains("LayerNormalization"), "{}", unknown[0].advice);
        without(pow().fp16(&y, &halves(&y)), "normalization-statistics");
        // A mean of roots is no normalisation.
        let means = pow().readers(&["Sqrt", "GlobalAveragePool"]).fp16(&y, &halves(&y));
        without(means, "normalization-statistics");
        let old = pow().opset(13).makers(&["Sub"]).readers(&["ReduceMean", "Sqrt"]);
        let old = old.reduced(&[1], 2).fp16(&y, &halves(&y)).diagnoses();
        assert!(old[0].advice.ends_with("(opset 17; this model has 13)"), "{}", old[0].advice);

        let square = Sample::new("Mul", &["x", "x"]).input("x", &[1e-4; 4]).input("x", &[1e-4; 4]);
        let square = square.readers(&["ReduceMean", "Add", "Sqrt"]).fp16(&[1e-8; 4], &[0.0; 4]);
        check(square, "normalization-statistics", "4 of 4 non-zero values (100 %) are below 2^-14");
    }

    #[test]
    fn whole_ones() {
        let norm = |x: &[f32]| Sample::new("LayerNormalization", &["x"]).input("x", x);
        let (y, wrong) = ([1.0, -1.0], [0.5, -0.5]);
        let squares = || norm(&[300.0, 0.0]).fp16(&y, &wrong);
        check(squares().device(), "normalization-statistics", "their squares exceed 65504");
        let far = "100, is large against its deviation from it, 0.05: FP16 numbers there are 0.0625 apart";
        check(norm(&[100.0, 100.1]).fp16(&y, &wrong), "normalization-statistics", far);
        // An emulation has FP32 inside.
        without(squares(), "normalization-statistics");
        let advice = norm(&[100.0, 100.1]).fp16(&y, &wrong).diagnoses()[0].advice.clone();
        assert!(advice.ends_with("and what makes its input in FP32"), "{advice}");
        without(norm(&[3.0, -3.0]).fp16(&y, &wrong), "normalization-statistics");
        let coarse = Sample::new("InstanceNormalization", &["x"]).input("x", &[1e-3, -1e-3]).float("epsilon", 1e-12);
        check(coarse.fp16(&y, &wrong).device(), "normalization-statistics", "epsilon 1e-12 is zero");
    }
}
