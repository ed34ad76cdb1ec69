//! The last step of a comparison whose elements were measured elsewhere, on a GPU: partial sums and a histogram become what
//! [`super::compare`] answers. No GPU here.

use super::format::Format;
use super::histogram::{BINS, Histogram};
use super::pass::Sums;
use super::{Comparison, Tolerance, metrics};
use crate::tensor::DType;

/// 64-bit words of one part: 11 f64 as bits, then 8 counts, in the order in which [`finish`] takes them.
pub const WORDS: usize = 19;
/// Counters of the histogram.
pub const COUNTERS: usize = BINS;
/// "No mismatch" in a part.
const NONE: u64 = u64::MAX;

/// What whoever measures must know of an element type, and of the tolerance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// The denominators of relative errors are not smaller.
    pub floor: f64,
    /// Of the element type.
    pub smallest_normal: f64,
    /// The tolerance is what one expects: finite, not negative.
    pub ordinary: bool,
}

/// What is known of `dtype` and of `tolerance` before anything is measured.
pub fn rules(dtype: DType, tolerance: Tolerance) -> Rules {
    let format = Format::of(dtype);
    let ordinary = [tolerance.rtol, tolerance.atol].iter().all(|x| x.is_finite() && *x >= 0.0);
    Rules { floor: format.floor, smallest_normal: 2f64.powi(format.min_exponent), ordinary }
}

/// Joins the parts in their order; their elements may lie anywhere. Zero errors need not have been counted in the histogram.
/// `None` where squares are no f64 any more: then the host compares.
pub fn finish(dtype: DType, shape: &[usize], parts: &[[u64; WORDS]], counts: &[u64]) -> Option<Comparison> {
    let parts: Vec<Sums> = parts.iter().map(part).collect();
    let first_mismatch = parts.iter().filter_map(|part| part.first_mismatch).min();
    let sums = Sums { first_mismatch, ..parts.iter().fold(Sums::none(), |total, part| total.plus(part)) };
    if sums.overflow_squared() {
        return None;
    }
    let histogram = Histogram::of_counts(counts, sums.finite);
    Some(Comparison::of(metrics(&sums, &histogram, Format::of(dtype), shape), None))
}

fn part(words: &[u64; WORDS]) -> Sums {
    let real = |at: usize| f64::from_bits(words[at]);
    Sums {
        e: real(0),
        ee: real(1),
        rr: real(2),
        cc: real(3),
        rc: real(4),
        rel: real(5),
        max_e: real(6),
        max_rel: real(7),
        // Measured as twice its value, whose powers of two are all normal numbers.
        max_scaled: 0.5 * real(8),
        min_r: real(9),
        max_r: real(10),
        finite: words[11],
        mismatched: words[12],
        first_mismatch: Some(words[13]).filter(|at| *at != NONE).map(|at| at as usize),
        ref_nonfinite: words[14],
        cand_nonfinite: words[15],
        odd: words[16],
        overflow: words[17],
        subnormal: words[18],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Status;

    #[test]
    fn parts_are_joined_and_the_first_mismatch_is_the_smallest() {
        let mut one = [0u64; WORDS];
        (one[9], one[10]) = (1f64.to_bits(), 2f64.to_bits());
        (one[0], one[6], one[8]) = (3f64.to_bits(), 0.5f64.to_bits(), 4f64.to_bits());
        (one[11], one[12], one[13]) = (3, 1, 5);
        let mut two = one;
        (two[9], two[13]) = ((-1f64).to_bits(), 4);
        let mut counts = vec![0; COUNTERS];
        counts[0.5f32.to_bits() as usize >> 18] = 6;
        let got = finish(DType::Float32, &[2, 3], &[one, two], &counts).unwrap();
        let m = got.metrics.unwrap();
        assert_eq!((got.status, m.mismatched, m.first_mismatch), (Status::Diverges, 2, vec![1, 1]));
        assert_eq!((m.mean_abs.0, m.p99_abs.0, m.ref_min.0, m.ref_max.0), (1.0, 0.5, -1.0, 2.0));
        assert_eq!(m.max_ulp.0, 2.0 * 2f64.powi(23));
    }

    #[test]
    fn squares_that_overflow_are_left_to_the_host() {
        let mut part = [0u64; WORDS];
        (part[2], part[11]) = (f64::INFINITY.to_bits(), 1);
        assert!(finish(DType::Float64, &[1], &[part], &[0; COUNTERS]).is_none());
        // Where NaN or infinities are in other places, there is no such number anyway.
        part[16] = 1;
        assert!(finish(DType::Float64, &[1], &[part], &[0; COUNTERS]).unwrap().metrics.unwrap().rmse.0.is_nan());
    }
}
