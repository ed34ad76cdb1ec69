//! Is a slice of a tensor lost where the tensor as a whole is within noise? A row of zeros among hundreds, a tenth of the
//! channels: the error of the whole hides it, that of the slice is as large as the slice itself.

use crate::compare;
use crate::tensor::Tensor;

/// A slice counts if its mean square is this share of the tensor's at least: below that everything is rounding.
const COUNTS: f64 = 1e-10;
/// It is lost if its squared error is this share of its squares at least (1.5 dB).
const LOST: f64 = 0.7;
/// And so many times that of nearly all other slices: where many are as bad, it is noise.
const APART: f64 = 100.0;
/// A small element that is elsewhere now has so many times the usual squared error, and this share of the mean square.
const ASTRAY: f64 = 400.0;
const LARGE: f64 = 0.1;
/// Nearly all: so much of them. Slices that are one element or few vary more.
const NEARLY: f64 = 0.5;
const NEARLY_SHORT: f64 = 0.98;
/// Shorter slices are single elements.
const SHORT: usize = 4;
/// Of single elements there must be so many to say what is usual.
const ENOUGH: usize = 200;

/// A slice that is lost, or an element.
#[derive(Clone, Debug, PartialEq)]
pub struct Lost {
    /// The first one, in words: `3 of axis 1`, `row 7`, `element 12`.
    pub place: String,
    /// How many are.
    pub slices: usize,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Lost { place, slices } = self;
        let lost = if *slices == 1 { "a slice is lost".to_string() } else { format!("{slices} slices are lost") };
        write!(f, "{lost} though the whole is within noise: the first is {place}")
    }
}

/// The first way of slicing in which slices are lost: along an axis, in rows of the last axis, in single elements; `None` where
/// none is. Both have the same shape.
pub fn lost(reference: &Tensor, candidate: &Tensor) -> Option<Lost> {
    let (r, c) = (compare::to_f64(reference), compare::to_f64(candidate));
    if r.len() != c.len() {
        return None;
    }
    let mean = r.iter().filter(|x| x.is_finite()).map(|x| x * x).sum::<f64>() / r.len().max(1) as f64;
    let in_slices = |size: usize, inner: usize| {
        let length = r.len().checked_div(size).filter(|length| *length > 0 && size > 1)?;
        let mut slices = vec![Slice::default(); size];
        for (at, (r, c)) in r.chunks(inner).zip(c.chunks(inner)).enumerate() {
            slices[at % size].add(r, c);
        }
        found(&slices, length, mean)
    };
    let shape = &reference.shape;
    let along = |axis: usize| {
        let (index, slices) = in_slices(shape[axis], shape[axis + 1..].iter().product())?;
        Some(Lost { place: format!("{index} of axis {axis}"), slices })
    };
    let rows = |width: usize| {
        let (index, slices) = in_slices(r.len().checked_div(width)?, width)?;
        Some(Lost { place: format!("row {index}"), slices })
    };
    let elements = || {
        let (index, slices) = in_slices(r.len(), 1)?;
        Some(Lost { place: format!("element {index}"), slices })
    };
    let by_axis = (0..shape.len()).find_map(along);
    by_axis.or_else(|| shape.last().filter(|_| shape.len() > 2).and_then(|width| rows(*width))).or_else(elements)
}

/// Sums over a slice.
#[derive(Clone, Copy, Default)]
struct Slice {
    squares: f64,
    errors: f64,
}

impl Slice {
    fn add(&mut self, r: &[f64], c: &[f64]) {
        for (r, c) in r.iter().zip(c).filter(|(r, c)| r.is_finite() && c.is_finite()) {
            self.squares += r * r;
            self.errors += (c - r) * (c - r);
        }
    }
}

/// The first slice that is lost, and how many are; `length` elements make one, and `mean` is the mean square of all.
fn found(slices: &[Slice], length: usize, mean: f64) -> Option<(usize, usize)> {
    let short = length < SHORT;
    if short && slices.len() < ENOUGH {
        return None;
    }
    let mut errors: Vec<f64> = slices.iter().map(|slice| slice.errors).collect();
    errors.sort_unstable_by(f64::total_cmp);
    let usual = errors[(slices.len() as f64 * if short { NEARLY_SHORT } else { NEARLY }) as usize];
    let is_lost = |slice: &Slice| {
        let counts = slice.squares >= COUNTS * mean * length as f64 && slice.squares >= APART * usual;
        let astray = short && slice.errors > ASTRAY * usual && slice.errors >= LARGE * mean * length as f64;
        slice.errors >= LOST * slice.squares && (counts && slice.errors > APART * usual || astray)
    };
    let index = slices.iter().position(is_lost)?;
    Some((index, slices.iter().filter(|slice| is_lost(slice)).count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_row_or_column_is_found_and_noise_is_not() {
        let right: Vec<f32> = (0..80).map(|i| ((i * 37 % 23) as f32 - 11.0) / 5.0).collect();
        let check = |change: fn(usize, f32) -> f32, want: Option<(&str, usize)>| {
            let got: Vec<f32> = right.iter().enumerate().map(|(i, x)| change(i, *x)).collect();
            let (r, c) = (Tensor::f32(&[10, 8], &right), Tensor::f32(&[10, 8], &got));
            let got = lost(&r, &c);
            assert_eq!(got.as_ref().map(|lost| (lost.place.as_str(), lost.slices)), want);
        };
        check(|_, x| x * 1.02, None);
        check(|_, x| -x, None);
        check(|i, x| if i / 8 == 3 { 0.0 } else { x * 1.02 }, Some(("3 of axis 0", 1)));
        check(|i, x| if i % 8 > 5 { 0.0 } else { x * 1.02 }, Some(("6 of axis 1", 2)));
    }

    #[test]
    fn what_has_no_slices_loses_none() {
        let vector = Tensor::f32(&[4], &[1.0; 4]);
        assert_eq!(lost(&vector, &Tensor::f32(&[4], &[0.0; 4])), None);
        let many = Tensor::f32(&[300], &[1.0; 300]);
        let mut one = [1.01f32; 300];
        one[7] = 0.0;
        let got = lost(&many, &Tensor::f32(&[300], &one)).unwrap();
        assert_eq!(got.to_string(), "a slice is lost though the whole is within noise: the first is 7 of axis 0");
        let empty = Tensor::f32(&[0, 4], &[]);
        assert_eq!(lost(&empty, &empty), None);
    }
}
