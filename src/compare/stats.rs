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

/// The root of the mean square of the finite elements; 0 if there is none.
pub fn rms(tensor: &Tensor) -> f64 {
    let finite = to_f64(tensor).into_iter().filter(|x| x.is_finite());
    let (n, squares) = finite.fold((0u64, 0.0), |(n, s), x| (n + 1, s + x * x));
    if n == 0 { 0.0 } else { (squares / n as f64).sqrt() }
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
    fn rms_is_over_finite_elements() {
        assert_eq!(rms(&Tensor::f32(&[4], &[3.0, f32::NAN, 4.0, f32::INFINITY])), 12.5f64.sqrt());
        assert_eq!(rms(&Tensor::f32(&[0], &[])), 0.0);
        assert_eq!(rms(&Tensor::strings(vec![1], vec!["a".into()]).unwrap()), 0.0);
        assert_eq!(rms(&Tensor::from_vec(DType::Complex64, vec![1], vec![3f32, 4.0])), 5.0);
    }

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
