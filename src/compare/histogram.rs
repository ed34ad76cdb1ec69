//! A histogram of errors over all magnitudes of f32, fine enough for a percentile. Knows no tensor.

use crate::compare::block::{BLOCK, Values};

/// Mantissa bits that tell the bins of one octave apart: 32 bins.
const FINE: u32 = 5;
const SHIFT: u32 = 23 - FINE;
/// Of all exponents of float32, 32 bins each.
pub const BINS: usize = 1 << (8 + FINE);
/// The bin of infinity; those above it stay empty.
const INFINITE: usize = 255 << FINE;

/// Counts of non-negative numbers, by exponent and leading mantissa bits.
pub struct Histogram {
    counts: Box<[u64; BINS]>,
    zeros: u64,
}

impl Histogram {
    /// Without any number.
    pub fn new() -> Histogram {
        Histogram { counts: Box::new([0; BINS]), zeros: 0 }
    }

    /// The counts of bins of somebody else's histogram; what they leave of `total` numbers are zeros.
    pub fn of_counts(counts: &[u64], total: u64) -> Histogram {
        let mut histogram = Histogram::new();
        for (count, given) in histogram.counts.iter_mut().zip(counts).skip(1) {
            *count = *given;
        }
        histogram.zeros = total.saturating_sub(histogram.counts.iter().sum());
        histogram
    }

    /// Counts `n` zeros at once.
    pub fn add_zeros(&mut self, n: usize) {
        self.zeros += n as u64;
    }

    /// Counts the first `n` values of a block.
    pub fn add(&mut self, errors: &Values, n: usize) {
        let mut bins = [0; BLOCK];
        for i in 0..BLOCK {
            bins[i] = (errors[i] as f32).to_bits() >> SHIFT;
        }
        for bin in &bins[..n] {
            // The mask drops nothing (the sign is 0); it only shows that the index is in bounds.
            self.counts[*bin as usize & (BINS - 1)] += 1;
        }
    }

    /// The counts of both.
    pub fn merge(mut self, other: Histogram) -> Histogram {
        self.zeros += other.zeros;
        for (a, b) in self.counts.iter_mut().zip(other.counts.iter()) {
            *a += b;
        }
        self
    }

    /// A value that at least the fraction `p` of the numbers do not exceed, at most 3.2 % above the smallest such number.
    /// Numbers below 2^-131 count as 0, those beyond f32's range as infinite.
    pub fn percentile(&self, p: f64) -> f64 {
        let total = self.zeros + self.counts.iter().sum::<u64>();
        let rank = (p * total as f64).ceil() as u64;
        let mut seen = self.zeros;
        if rank <= seen {
            return 0.0;
        }
        for (bin, count) in self.counts.iter().enumerate() {
            seen += count;
            if rank <= seen {
                return upper_edge(bin);
            }
        }
        0.0
    }
}

fn upper_edge(bin: usize) -> f64 {
    match bin {
        0 => 0.0,
        INFINITE.. => f64::INFINITY,
        _ => f32::from_bits((bin as u32 + 1) << SHIFT) as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn add(histogram: &mut Histogram, values: &[f64]) {
        for values in values.chunks(BLOCK) {
            let mut block = [0.0; BLOCK];
            block[..values.len()].copy_from_slice(values);
            histogram.add(&block, values.len());
        }
    }

    #[test]
    fn nothing_and_zeros_give_zero() {
        let mut h = Histogram::new();
        assert_eq!(h.percentile(0.99), 0.0);
        h.add_zeros(99);
        add(&mut h, &[1.0]);
        assert_eq!(h.percentile(0.99), 0.0);
        assert_eq!(h.percentile(1.0), 1.03125);
    }

    proptest! {
        #[test]
        fn a_percentile_is_never_below_the_truth(mut xs in prop::collection::vec(1e-30f64..1e30, 1..300), p in 0.01f64..1.0) {
            let (left, right) = xs.split_at(xs.len() / 2);
            let (mut a, mut b) = (Histogram::new(), Histogram::new());
            add(&mut a, left);
            add(&mut b, right);
            let got = a.merge(b).percentile(p);
            xs.sort_by(f64::total_cmp);
            let truth = xs[(p * xs.len() as f64).ceil() as usize - 1];
            // The index is made from e rounded to f32, hence the last digits.
            prop_assert!(truth <= got * (1.0 + 1e-7) && got <= truth * (1.03125 + 1e-6), "{got} for {truth}");
        }
    }
}
