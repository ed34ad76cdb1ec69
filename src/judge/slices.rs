//! Is a slice of a tensor lost where the tensor as a whole is within noise? A row of zeros among hundreds, a tenth of the
//! channels: the error of the whole hides it, that of the slice is as large as the slice itself.

use crate::compare;
use crate::tensor::Tensor;

/// Shorter slices are single elements, which the tolerance looks at.
const SHORTEST: usize = 4;
/// A slice counts if its mean square is this share of the tensor's at least.
const COUNTS: f64 = 0.2;
/// It is lost if its squared error is this share of its squares at least (1.5 dB).
const LOST: f64 = 0.7;
/// And so many times that of the median slice: where all are as bad, it is noise.
const APART: f64 = 10.0;

/// A slice that is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lost {
    /// Dimension across which slices are told apart.
    pub axis: usize,
    /// The first one that is lost.
    pub index: usize,
    /// How many are.
    pub slices: usize,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Lost { axis, index, slices } = self;
        let lost = if *slices == 1 { "a slice is lost".to_string() } else { format!("{slices} slices are lost") };
        write!(f, "{lost} though the whole is within noise: the first is {index} of axis {axis}")
    }
}

/// The first axis along which slices are lost; `None` where none is. Both have the same shape.
pub fn lost(reference: &Tensor, candidate: &Tensor) -> Option<Lost> {
    let (r, c) = (compare::to_f64(reference), compare::to_f64(candidate));
    if r.len() != c.len() {
        return None;
    }
    let mean = r.iter().filter(|x| x.is_finite()).map(|x| x * x).sum::<f64>() / r.len().max(1) as f64;
    (0..reference.shape.len()).find_map(|axis| {
        let size = reference.shape[axis];
        let length = r.len().checked_div(size).filter(|length| *length >= SHORTEST && size > 1)?;
        let inner: usize = reference.shape[axis + 1..].iter().product();
        let mut slices = vec![(0.0f64, 0.0f64); size];
        for (at, (r, c)) in r.chunks(inner).zip(c.chunks(inner)).enumerate() {
            let (squares, errors) = &mut slices[at % size];
            for (r, c) in r.iter().zip(c).filter(|(r, c)| r.is_finite() && c.is_finite()) {
                *squares += r * r;
                *errors += (c - r) * (c - r);
            }
        }
        let mut errors: Vec<f64> = slices.iter().map(|(_, errors)| *errors).collect();
        errors.sort_by(f64::total_cmp);
        let median = errors[size / 2];
        let is_lost = |(squares, errors): &(f64, f64)| {
            *squares >= COUNTS * mean * length as f64 && *errors >= LOST * squares && *errors > APART * median
        };
        let index = slices.iter().position(is_lost)?;
        Some(Lost { axis, index, slices: slices.iter().filter(|slice| is_lost(slice)).count() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_row_or_column_is_found_and_noise_is_not() {
        let right: Vec<f32> = (0..80).map(|i| ((i * 37 % 23) as f32 - 11.0) / 5.0).collect();
        let check = |change: fn(usize, f32) -> f32, want: Option<Lost>| {
            let got: Vec<f32> = right.iter().enumerate().map(|(i, x)| change(i, *x)).collect();
            let (r, c) = (Tensor::f32(&[10, 8], &right), Tensor::f32(&[10, 8], &got));
            assert_eq!(lost(&r, &c), want);
        };
        check(|_, x| x * 1.02, None);
        check(|_, x| -x, None);
        check(|i, x| if i / 8 == 3 { 0.0 } else { x * 1.02 }, Some(Lost { axis: 0, index: 3, slices: 1 }));
        check(|i, x| if i % 8 > 5 { 0.0 } else { x * 1.02 }, Some(Lost { axis: 1, index: 6, slices: 2 }));
    }

    #[test]
    fn what_has_no_slices_loses_none() {
        let vector = Tensor::f32(&[4], &[1.0; 4]);
        assert_eq!(lost(&vector, &Tensor::f32(&[4], &[0.0; 4])), None);
        let empty = Tensor::f32(&[0, 4], &[]);
        assert_eq!(lost(&empty, &empty), None);
    }
}
