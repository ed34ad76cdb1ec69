//! Small questions about one tensor, or about two as an answer to "which one is the best": outside the one pass.

use crate::compare::widen;
use crate::tensor::{DType, Tensor};

/// Every element as f64, rounded where a 64-bit integer does not fit; a complex number is its magnitude. Strings give
/// nothing.
pub fn to_f64(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype {
        DType::String => Vec::new(),
        DType::Complex64 | DType::Complex128 => {
            let mut parts = vec![0.0; tensor.elements() * 2];
            widen::reals(tensor.dtype, tensor.bytes(), 0, &mut parts);
            parts.as_chunks::<2>().0.iter().map(|[re, im]| re.hypot(*im)).collect()
        }
        dtype => {
            let mut values = vec![0.0; tensor.elements()];
            widen::reals(dtype, tensor.bytes(), 0, &mut values);
            values
        }
    }
}

/// Sums of squares of a pair whose squares are no f64 any more, as fractions of the largest magnitude.
pub struct Fractions {
    /// The largest magnitude of either side, which the others are fractions of.
    pub unit: f64,
    /// Finite pairs.
    pub finite: u64,
    /// The largest |c - r|, as a fraction of `unit`: what errors are fractions of, as their squares would vanish beside those.
    pub error: f64,
    /// Sum of r^2, c^2, r c and (c - r)^2, each in its unit.
    pub sums: [f64; 4],
}

impl Fractions {
    /// Over the finite pairs of two tensors of one shape.
    pub fn of(reference: &Tensor, candidate: &Tensor) -> Fractions {
        let (r, c) = (to_f64(reference), to_f64(candidate));
        let pairs = || r.iter().zip(&c).filter(|(r, c)| r.is_finite() && c.is_finite());
        let unit = pairs().fold(0.0f64, |top, (r, c)| top.max(r.abs()).max(c.abs()));
        // A difference of two large numbers is exact as it is, or does not fit.
        let off = |r: f64, c: f64| match c - r {
            e if e.is_finite() => e / unit,
            _ => c / unit - r / unit,
        };
        let error = pairs().fold(0.0f64, |top, (r, c)| top.max(off(*r, *c).abs()));
        let mut fractions = Fractions { unit, finite: 0, error, sums: [0.0; 4] };
        for (r, c) in pairs() {
            let e = if error == 0.0 { 0.0 } else { off(*r, *c) / error };
            let (r, c) = (r / unit, c / unit);
            fractions.finite += 1;
            for (sum, x) in fractions.sums.iter_mut().zip([r * r, c * c, r * c, e * e]) {
                *sum += x;
            }
        }
        fractions
    }
}

/// Does the arg-max over the last axis (the first of equals, as in NumPy) differ in any row?
///
/// Rows in which the reference has two equal best values, or a NaN, have no arg-max to lose and are skipped. A NaN in the
/// candidate's row counts as a difference, and so does another shape. Strings, scalars and empty tensors never differ.
pub fn argmax_differs(reference: &Tensor, candidate: &Tensor) -> bool {
    if reference.shape != candidate.shape {
        return true;
    }
    let width = reference.shape.last().copied().unwrap_or(0);
    let strings = reference.as_strings().is_some() || candidate.as_strings().is_some();
    if strings || width == 0 {
        return false;
    }
    let (r, c) = (to_f64(reference), to_f64(candidate));
    r.chunks(width).zip(c.chunks(width)).any(|(r, c)| match unique_best(r) {
        Some(best) => c.iter().any(|x| x.is_nan()) || first_best(c) != best,
        None => false,
    })
}

/// The index of the one largest value; `None` if there are two, or a NaN.
fn unique_best(row: &[f64]) -> Option<usize> {
    let best = first_best(row);
    let alone = row.iter().filter(|x| **x == row[best]).count() == 1;
    (alone && !row.iter().any(|x| x.is_nan())).then_some(best)
}

fn first_best(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_best_is_noticed() {
        let nan = f32::NAN;
        let check = |r: &[f32], c: &[f32], want| {
            let (r, c) = (Tensor::f32(&[r.len() / 2, 2], r), Tensor::f32(&[c.len() / 2, 2], c));
            assert_eq!(argmax_differs(&r, &c), want, "{r:?} {c:?}");
        };
        check(&[1.0, 2.0, 4.0, 3.0], &[1.0, 1.1, 4.0, 3.0], false);
        check(&[1.0, 2.0, 4.0, 3.0], &[1.0, 2.0, 4.0, 4.1], true);
        check(&[1.0, 2.0], &[2.0, 2.0], true);
        check(&[2.0, 2.0], &[1.0, 2.0], false);
        check(&[1.0, nan], &[2.0, 1.0], false);
        check(&[1.0, 2.0], &[nan, 2.0], true);
        check(&[], &[], false);
        check(&[1.0, 2.0], &[1.0, 2.0, 1.0, 2.0], true);
    }
}
