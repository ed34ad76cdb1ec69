//! Indices that differ because the values they point at are equal, or become equal when rounded.

use super::case::{Case, axis, int};
use super::words::{num, share};
use super::{Finding, Strength};
use crate::compare;
use crate::tensor::{DType, Tensor};

/// The operators that choose, with the axis they choose along by default.
const CHOOSING: [(&str, i64); 3] = [("TopK", -1), ("ArgMax", 0), ("ArgMin", 0)];

/// Other indices chosen among values that are (nearly) equal.
pub fn topk_tie(case: &Case) -> Option<Finding> {
    let (_, default) = CHOOSING.into_iter().find(|(op, _)| *op == case.op())?;
    let along = int(case.e.node, "axis").unwrap_or(default);
    let chosen = Chosen::of(case, along)?;
    let strength = match () {
        _ if chosen.equal == chosen.differ => Strength::Proven,
        _ if chosen.ties == chosen.differ => Strength::AtWork,
        _ if chosen.ties * 10 >= chosen.differ * 9 => Strength::Fits,
        _ => return None,
    };
    let (a, b) = chosen.example;
    let low = case.format.map_or("FP32", |f| f.name);
    let same = if a == b { "equal".to_string() } else { format!("as good as equal in {low}") };
    let evidence = format!(
        "{} differ, and {} of them point at values that are {same} (such as {} and {}{})",
        share(chosen.differ, chosen.all, "indices"),
        chosen.ties,
        exact(a),
        exact(b),
        steps(case, a, b)
    );
    let evidence = match strength {
        Strength::Proven => evidence + "; by the values that they point at, all agree",
        _ => evidence,
    };
    let advice = match a == b {
        // ONNX asks for the lower index among equals, and many devices give any.
        true => format!(
            "compare the values, not the indices, of {}: among equals ONNX asks for the first one, which few devices promise",
            case.name()
        ),
        false => format!(
            "compare the values, not the indices, of {}: either choice is right; for a stable order keep its scores in FP32",
            case.name()
        ),
    };
    Some(Finding { code: "topk-tie", strength, evidence, advice })
}

/// How far apart they are, in units of the last place.
fn steps(case: &Case, a: f64, b: f64) -> String {
    let Some(format) = case.format.filter(|_| a != b) else { return String::new() };
    let step = format.spacing(a.abs().max(b.abs()));
    format!(", {} steps of {} apart, where a step is {}", num((a - b).abs() / step), format.name, num(step))
}

struct Chosen {
    all: u64,
    differ: u64,
    ties: u64,
    /// Those of the ties whose values are equal.
    equal: u64,
    /// The values behind the first tie: the reference's choice, the candidate's.
    example: (f64, f64),
}

impl Chosen {
    /// `None` where no index differs.
    fn of(case: &Case, along: i64) -> Option<Chosen> {
        let (scores, reference, candidate) = (case.e.inputs.first()?.value?, case.e.output?, case.e.candidate_output?);
        if reference.dtype != DType::Int64 || reference.elements() != candidate.elements() {
            return None;
        }
        let at = axis(along, scores.shape.len())?;
        let (length, inner) = (scores.shape[at], scores.shape[at + 1..].iter().product::<usize>());
        let outer: usize = scores.shape[..at].iter().product();
        let rows = (outer * inner).max(1);
        let per_row = reference.elements() / rows;
        let (right, got) = (indices(reference)?, indices(candidate)?);
        let scores = compare::to_f64(scores);
        let value = |i: usize, index: i64| {
            let index = usize::try_from(index).ok().filter(|x| *x < length)?;
            let row = i / (per_row * inner).max(1);
            scores.get((row * length + index) * inner + i % inner.max(1)).copied()
        };
        // Scores that differ by a few roundings may have come out equal, or the other way round.
        let near = |a: f64, b: f64| {
            let rounded = case.format.is_some_and(|f| f.round(a) == f.round(b));
            rounded || (a - b).abs() <= 4.0 * case.unit() * a.abs().max(b.abs())
        };
        let mut chosen = Chosen { all: right.len() as u64, differ: 0, ties: 0, equal: 0, example: (0.0, 0.0) };
        for i in (0..right.len()).filter(|i| right[*i] != got[*i]) {
            chosen.differ += 1;
            if let (Some(a), Some(b)) = (value(i, right[i]), value(i, got[i]))
                && near(a, b)
            {
                chosen.example = if chosen.ties == 0 { (a, b) } else { chosen.example };
                chosen.ties += 1;
                chosen.equal += u64::from(a == b);
            }
        }
        (chosen.differ > 0).then_some(chosen)
    }
}

fn indices(tensor: &Tensor) -> Option<Vec<i64>> {
    match tensor.dtype {
        DType::Int64 => Some(tensor.view::<i64>().to_vec()),
        DType::Int32 => Some(tensor.view::<i32>().iter().map(|x| i64::from(*x)).collect()),
        _ => None,
    }
}

/// Enough digits to tell two neighbours apart.
fn exact(x: f64) -> String {
    if x.fract() == 0.0 { num(x) } else { format!("{}", x as f32) }
}

#[cfg(test)]
mod tests {
    use crate::diagnose::sample::{Sample, check, without};
    use crate::onnx::AttributeProto;
    use crate::spec::Precision::{Fp16, Fp32};
    use crate::tensor::Tensor;

    fn top(scores: &[f32], shape: &[usize], axis: i64, indices: [&[i64]; 2]) -> Sample {
        let ids = |i: &[i64]| Tensor::i64(&[i.len()], i);
        let chosen = Sample::new("TopK", &["x", "k"]).shaped("x", shape, scores);
        chosen.attribute(AttributeProto::int("axis", axis)).outputs(Fp16, ids(indices[0]), ids(indices[1]))
    }

    #[test]
    fn equal_after_rounding() {
        let scores = [0.0, 1.0002, 1.0001, 0.5];
        check(top(&scores, &[1, 4], -1, [&[1, 2], &[2, 1]]), "topk-tie", "as good as equal in FP16");
        check(
            top(&scores, &[1, 4], -1, [&[1, 2], &[2, 1]]),
            "topk-tie",
            "such as 1.0002 and 1.0001, 0.1024 steps of FP16 apart",
        );
        let columns = [1.0, 9.0, 3.0, 9.0, 1.0, 2.0];
        check(top(&columns, &[3, 2], 0, [&[1, 0], &[1, 1]]), "topk-tie", "are equal (such as 9 and 9)");
        let best = Sample::new("ArgMax", &["x"]).shaped("x", &[2, 1], &[4.0, 4.0]);
        check(best.outputs(Fp32, Tensor::i64(&[1], &[0]), Tensor::i64(&[1], &[1])), "topk-tie", "1 of them point");
    }

    #[test]
    fn a_worse_choice_is_no_tie() {
        without(top(&[0.0, 1.5, 1.0, 0.5], &[1, 4], -1, [&[1, 2], &[2, 1]]), "topk-tie");
        without(top(&[0.0, 1.5, 1.0, 0.5], &[1, 4], -1, [&[1, 2], &[1, 99]]), "topk-tie");
        without(top(&[0.0, 1.5, 1.0, 0.5], &[1, 4], -1, [&[1, 2], &[1, 2]]), "topk-tie");
    }
}
