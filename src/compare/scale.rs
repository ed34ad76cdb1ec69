//! How large the ordinary elements of a tensor are: what its tolerance is made of. A few elements of a size of their own (a
//! mask of -3.4e38, a suppressed logit of -1e9, 1e200 among ones) never set the scale of the others.

use crate::compare::block::{BLOCK, Values};
use crate::compare::widen;
use crate::tensor::{DType, Tensor};

/// Below this nothing is a sentinel: probabilities and their tails lie many orders apart as well.
const LARGE: f64 = 256.0;
/// Octaves without any element below elements of a size of their own.
const GAP: usize = 10;
/// One in so many elements at most is of a size of its own, unless all of them are the same number.
const FEW: u64 = 10;
/// Sentinels are so many times as many as other elements at most: rows that are padded nearly to their end.
const MOST: u64 = 64;
/// How far apart two of "the same number" are, relative: -10000 plus a score is still the mask.
const ALIKE: f64 = 1.0 / 64.0;
/// What masks a tensor of zeros is at least this large. Activations of 500 among zeros are not masks.
const MASK: f64 = 1e4;
/// Squares of larger numbers are added up as fractions of the largest one.
const SQUARES: f64 = 1e150;

/// The scale of a tensor's finite elements.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Scale {
    /// Root of the mean square of the ordinary ones; 0 if there is none.
    pub rms: f64,
    /// Elements of this magnitude and above are of a size of their own.
    pub beyond: Option<f64>,
}

impl Scale {
    /// Of the finite elements of a tensor; a complex number counts by its magnitude. Strings have none.
    pub fn of(tensor: &Tensor) -> Scale {
        let all = Totals::of(tensor, f64::INFINITY);
        let beyond = if all.largest >= LARGE && tensor.dtype.is_float() { beyond(tensor, &all) } else { None };
        let Some(limit) = beyond else { return Scale { rms: all.rms(), beyond } };
        let rest = Totals::of(tensor, limit);
        // Behind a mask of zeros stands what is added to it: numbers around one.
        Scale { rms: if rest.largest == 0.0 { 1.0 } else { rest.rms() }, beyond }
    }
}

/// Sums over the finite elements below a limit.
struct Totals {
    finite: u64,
    squares: f64,
    largest: f64,
    /// What `squares` are fractions of the square of.
    unit: f64,
}

impl Totals {
    fn of(tensor: &Tensor, limit: f64) -> Totals {
        let totals = Totals::in_units(tensor, limit, 1.0);
        match totals.largest > SQUARES {
            true => Totals::in_units(tensor, limit, totals.largest),
            false => totals,
        }
    }

    fn in_units(tensor: &Tensor, limit: f64, unit: f64) -> Totals {
        let mut totals = Totals { finite: 0, squares: 0.0, largest: 0.0, unit };
        each(tensor, |values| {
            let (mut finite, mut squares, mut largest) = (0u64, 0.0, 0.0f64);
            for x in values {
                let x = x.abs();
                let counts = x < limit;
                let fraction = if counts { x / unit } else { 0.0 };
                finite += counts as u64;
                squares += fraction * fraction;
                largest = if counts && x > largest { x } else { largest };
            }
            totals.finite += finite;
            totals.squares += squares;
            totals.largest = totals.largest.max(largest);
        });
        totals
    }

    fn rms(&self) -> f64 {
        if self.finite == 0 { 0.0 } else { (self.squares / self.finite as f64).sqrt() * self.unit }
    }
}

/// Elements by magnitude: those of one octave together.
struct Octaves {
    counts: Vec<u64>,
    zeros: u64,
}

impl Octaves {
    fn of(tensor: &Tensor) -> Octaves {
        let mut octaves = Octaves { counts: vec![0; 2048], zeros: 0 };
        each(tensor, |values| {
            for x in values.iter().filter(|x| x.is_finite()) {
                match *x == 0.0 {
                    true => octaves.zeros += 1,
                    false => octaves.counts[(x.abs().to_bits() >> 52) as usize] += 1,
                }
            }
        });
        octaves
    }
}

/// The magnitude from which on elements are of a size of their own: above a gap of [`GAP`] empty octaves, and few or all alike.
fn beyond(tensor: &Tensor, all: &Totals) -> Option<f64> {
    let octaves = Octaves::of(tensor);
    let occupied: Vec<usize> = (0..2048).rev().filter(|octave| octaves.counts[*octave] > 0).collect();
    let mut found = None;
    let mut above = 0;
    for (at, octave) in occupied.iter().enumerate() {
        above += octaves.counts[*octave];
        let limit = f64::from_bits((*octave as u64) << 52);
        let below = all.finite - above;
        let gap = match occupied.get(at + 1) {
            Some(next) => octave - next > GAP,
            None => octaves.zeros > 0 && limit * 2.0 > MASK,
        };
        if limit < LARGE / 2.0 || below == 0 {
            break;
        }
        if !gap {
            continue;
        }
        let nonzero = below > octaves.zeros;
        let few = nonzero && above * FEW <= all.finite && above * 2 <= below - octaves.zeros;
        // One value near zero among large ones is a result of theirs, not what they are sentinels of.
        let masks = limit * 2.0 > MASK && (!nonzero || (below - octaves.zeros) * MOST >= above);
        if few || masks && alike(tensor, limit, nonzero) {
            found = Some(limit);
        } else {
            break;
        }
    }
    found
}

/// Are all finite elements of at least this magnitude the same number? Among zeros exactly so, and then one alone must be
/// negative: a positive one is what an activation let through.
fn alike(tensor: &Tensor, limit: f64, nonzero: bool) -> bool {
    let (mut low, mut high, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0u64);
    each(tensor, |values| {
        for x in values.iter().filter(|x| x.is_finite() && x.abs() >= limit) {
            (low, high, count) = (low.min(*x), high.max(*x), count + 1);
        }
    });
    match nonzero {
        true => high.abs().max(low.abs()) >= MASK && high - low <= ALIKE * high.abs().max(low.abs()),
        false => high == low && high.abs() >= MASK && (count > 1 || high < 0.0),
    }
}

/// Calls `f` with the elements as f64, a block at a time, in order; a complex number is its magnitude, and strings give none.
pub fn each(tensor: &Tensor, mut f: impl FnMut(&[f64])) {
    if tensor.dtype == DType::String {
        return;
    }
    if matches!(tensor.dtype, DType::Complex64 | DType::Complex128) {
        return f(&super::to_f64(tensor));
    }
    let mut block: Values = [0.0; BLOCK];
    for start in (0..tensor.elements()).step_by(BLOCK) {
        let n = BLOCK.min(tensor.elements() - start);
        widen::reals(tensor.dtype, tensor.bytes(), start, &mut block[..n]);
        f(&block[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f32], rms: f64, own: bool) {
        let got = Scale::of(&Tensor::f32(&[values.len()], values));
        assert!((got.rms - rms).abs() <= 1e-6 * rms, "{values:?}: {got:?}");
        assert_eq!(got.beyond.is_some(), own, "{values:?}: {got:?}");
    }

    #[test]
    fn a_sentinel_never_sets_the_scale() {
        let row = |sentinel: f32, of: usize| [vec![sentinel; of], vec![3.0, -4.0, 3.0, -4.0, 3.0, -4.0]].concat();
        check(&row(-1e9, 1), 12.5f64.sqrt(), true);
        check(&row(-1e9, 60), 12.5f64.sqrt(), true);
        check(&row(f32::MIN, 3), 12.5f64.sqrt(), true);
        check(&row(-1e4, 9), 12.5f64.sqrt(), true);
        check(&[[-10003.0, -9997.0, -10001.0].as_slice(), &row(-1e4, 3)].concat(), 12.5f64.sqrt(), true);
        check(&[row(-1e9, 1), vec![f32::NEG_INFINITY, f32::NAN]].concat(), 12.5f64.sqrt(), true);
    }

    #[test]
    fn a_mask_of_zeros_has_the_scale_of_what_it_is_added_to() {
        check(&[0.0, 0.0, -3.4e38, -3.4e38], 1.0, true);
        check(&[0.0, 0.0, -1e4], 1.0, true);
        check(&[0.0, 0.0, 500.0], (250000.0f64 / 3.0).sqrt(), false);
        check(&[0.0, 0.0, 1e6], (1e12f64 / 3.0).sqrt(), false);
        check(&[0.0, 20000.0, 30000.0], (1.3e9f64 / 3.0).sqrt(), false);
    }

    #[test]
    fn what_merely_varies_has_one_scale() {
        check(&[1.0, 1e-20, 1e-30], (1.0f64 / 3.0).sqrt(), false);
        check(&[5000.0, 5001.0, 4999.0, 0.01], (0.75f64 * 25e6).sqrt(), false);
        check(&[640.0, 320.0, 0.9, 0.1, 1e-4, 1e-8], (512000.0f64 / 6.0).sqrt(), false);
        check(&[7.0], 7.0, false);
        check(&[1e9, 1e9], 1e9, false);
        check(&[], 0.0, false);
    }

    #[test]
    fn squares_that_overflow_are_added_up_as_fractions() {
        let values = [1e200, 3.0, -4.0, 3.0, -4.0, 3.0, -4.0, 3.0, -4.0, 3.0, -4.0];
        let got = Scale::of(&Tensor::from_vec(DType::Float64, vec![11], values.to_vec()));
        assert!((got.rms - 12.5f64.sqrt()).abs() < 1e-9 && got.beyond.is_some(), "{got:?}");
        let all = Scale::of(&Tensor::from_vec(DType::Float64, vec![2], vec![3e200, -4e200]));
        assert!((all.rms / (12.5f64.sqrt() * 1e200) - 1.0).abs() < 1e-12, "{all:?}");
    }

    #[test]
    fn over_finite_elements() {
        check(&[3.0, f32::NAN, 4.0, f32::INFINITY], 12.5f64.sqrt(), false);
        assert_eq!(Scale::of(&Tensor::strings(vec![1], vec!["a".into()]).unwrap()), Scale::default());
        assert_eq!(Scale::of(&Tensor::from_vec(DType::Complex64, vec![1], vec![3f32, 4.0])).rms, 5.0);
    }
}
