//! Choices that fall otherwise because what they compare is as good as equal: comparisons, and roundings to whole numbers.
//! Indices of the largest values are in `ties`.

use super::case::Case;
use super::format::Format;
use super::words::{num, share};
use super::{Finding, Strength};
use crate::compare;
use crate::tensor::Tensor;

/// The code of this diagnosis.
pub const CODE: &str = "near-tie";

const COMPARING: [&str; 5] = ["Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Equal"];
const STEPPING: [&str; 5] = ["Floor", "Ceil", "Round", "Sign", "Cast"];

/// Units in the last place that rounding both operands, and what made them, moves them.
const NEAR: f64 = 2.0;

/// Places that flip where the two sides of the choice are within the format's rounding.
pub fn near_tie(case: &Case) -> Option<Finding> {
    let format = case.format?;
    let flips = flips(case)?;
    let ulps = |f: &Flip| (f.a - f.b).abs() / format.spacing(f.a.abs().max(f.b.abs()));
    let near = |f: &&Flip| ulps(f) <= NEAR || (f.a - f.b).abs() <= f.moved;
    let explained: Vec<&Flip> = flips.places.iter().filter(near).collect();
    if explained.is_empty() || explained.len() * 10 < flips.places.len() * 9 {
        return None;
    }
    let widest = explained.iter().copied().map(ulps).fold(0.0, f64::max);
    let first = explained[0];
    let evidence = format!(
        "{} fall the other way, and at {} of them what is compared is at most {} steps of {} apart (such as {} and {}, where a step is {})",
        share(flips.places.len() as u64, flips.all, "results"),
        explained.len(),
        num(widest),
        format.name,
        first.a as f32,
        first.b as f32,
        num(step(format, first))
    );
    let strength = if explained.len() == flips.places.len() { Strength::AtWork } else { Strength::Fits };
    let advice =
        format!("keep {} and what makes its operands in FP32: either way is right for rounded values", case.name());
    Some(Finding { code: CODE, strength, evidence, advice })
}

fn step(format: Format, flip: &Flip) -> f64 {
    format.spacing(flip.a.abs().max(flip.b.abs()))
}

/// A place where the candidate chose otherwise: the two sides of the choice in the reference, and by how much the candidate's
/// own operands were off there.
struct Flip {
    a: f64,
    b: f64,
    moved: f64,
}

struct Flips {
    all: u64,
    places: Vec<Flip>,
}

/// `None` where nothing flips, or the node makes no choice.
fn flips(case: &Case) -> Option<Flips> {
    let (right, got) = (case.e.output?, case.e.candidate_output?);
    let comparing = case.is_any(&COMPARING);
    let stepping = case.is_any(&STEPPING) && (!case.is_any(&["Cast"]) || !right.dtype.is_float());
    if right.shape != got.shape || !(comparing || stepping) {
        return None;
    }
    let a = Values::of(case, 0, &right.shape)?;
    let b = if comparing { Some(Values::of(case, 1, &right.shape)?) } else { None };
    let (right, got) = (compare::to_f64(right), compare::to_f64(got));
    let flip = |i: usize| {
        let (x, moved) = a.at(i);
        let (y, too) = b.as_ref().map_or_else(|| (edge(case.op(), x), 0.0), |b| b.at(i));
        Flip { a: x, b: y, moved: moved + too }
    };
    let places: Vec<Flip> = (0..right.len()).filter(|i| right[*i] != got[*i]).map(flip).collect();
    (!places.is_empty()).then_some(Flips { all: right.len() as u64, places })
}

/// The nearest value at which the rounding changes.
fn edge(op_type: &str, x: f64) -> f64 {
    match op_type {
        "Sign" => 0.0,
        "Round" => x.floor() + 0.5,
        _ => x.round(),
    }
}

/// An operand, as large as the result.
struct Values {
    right: Vec<f64>,
    theirs: Option<Vec<f64>>,
    shape: Vec<usize>,
    whole: Vec<usize>,
}

impl Values {
    fn of(case: &Case, slot: usize, whole: &[usize]) -> Option<Values> {
        let operand = case.operand(slot)?;
        let value: &Tensor = operand.value.filter(|t| t.dtype.is_float())?;
        let theirs = operand.candidate.filter(|t| t.shape == value.shape).map(compare::to_f64);
        Some(Values { right: compare::to_f64(value), theirs, shape: value.shape.clone(), whole: whole.to_vec() })
    }

    /// The value behind element `i` of the result, and how far the candidate's is from it.
    fn at(&self, i: usize) -> (f64, f64) {
        let (mut rest, mut index, mut stride) = (i, 0, 1);
        for (axis, size) in self.whole.iter().enumerate().rev() {
            let along = rest % size.max(&1);
            rest /= size.max(&1);
            let own = (axis + self.shape.len()).checked_sub(self.whole.len()).map(|a| self.shape[a]);
            if let Some(own) = own {
                index += if own == 1 { 0 } else { along * stride };
                stride *= own;
            }
        }
        let x = self.right.get(index).copied().unwrap_or(f64::NAN);
        let moved = self.theirs.as_ref().and_then(|t| t.get(index)).map_or(0.0, |y| (x - y).abs());
        (x, moved)
    }
}

#[cfg(test)]
mod tests {
    use super::CODE;
    use crate::diagnose::sample::{Sample, check, without};
    use crate::spec::Precision::Fp16;
    use crate::tensor::{DType, Tensor};

    fn bools(shape: &[usize], values: &[u8]) -> Tensor {
        Tensor::from_vec(DType::Bool, shape.to_vec(), values.to_vec())
    }

    #[test]
    fn comparisons_of_what_is_nearly_equal() {
        let gate = |scores: &[f32]| Sample::new("Greater", &["s", "t"]).input("s", scores).constant("t", &[0.5]);
        let flipped = |s: Sample| s.outputs(Fp16, bools(&[3], &[1, 1, 0]), bools(&[3], &[0, 1, 0]));
        check(flipped(gate(&[0.5001, 0.9, 0.1])), CODE, "1 of 3 results (33.3 %) fall the other way, and at 1 of them");
        check(flipped(gate(&[0.5001, 0.9, 0.1])), CODE, "such as 0.5001 and 0.5, where a step is 4.883e-4");
        without(flipped(gate(&[0.6, 0.9, 0.1])), CODE);
        // The candidate's operand had been moved further.
        check(flipped(gate(&[0.51, 0.9, 0.1]).their(0, &[0.49, 0.9, 0.1])), CODE, "20.48 steps of FP16 apart");
        let rows =
            Sample::new("Less", &["a", "b"]).shaped("a", &[2, 1], &[1.0, 2.0]).shaped("b", &[1, 2], &[3.0, 2.0005]);
        let rows = rows.outputs(Fp16, bools(&[2, 2], &[1, 1, 1, 1]), bools(&[2, 2], &[1, 1, 1, 0]));
        check(rows, CODE, "such as 2 and 2.0005");
    }

    #[test]
    fn whole_numbers() {
        let ids = |v: &[i64]| Tensor::i64(&[v.len()], v);
        let cast = |x: f32| Sample::new("Cast", &["x"]).input("x", &[x, 7.5]);
        check(cast(2.9999).outputs(Fp16, ids(&[2, 7]), ids(&[3, 7])), CODE, "such as 2.9999 and 3");
        without(cast(2.5).outputs(Fp16, ids(&[2, 7]), ids(&[3, 7])), CODE);
    }
}
