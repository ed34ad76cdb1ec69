//! Is a weight still as it was initialised? Its standard deviation, its moments and the independence of its elements beside
//! those of the usual ways to initialise one. Pure. A weight that was barely trained passes for an untrained one.

use super::facts::{Initialisation, Statistics};
use crate::compare::each;
use crate::found::Real;
use crate::found::words::number;
use crate::tensor::Tensor;

/// With fewer elements nothing can be ruled out.
const FEWEST: u64 = 100;
/// With fewer, some way to initialise a weight has nearly every standard deviation by chance.
const PLENTY: u64 = 8000;
/// Standard errors that a moment may be off.
const OFF: f64 = 3.0;
/// Rows and columns that are set beside each other.
const PICKED: usize = 64;
/// Standard deviations by which rows and columns of independent elements never differ.
const APART: f64 = 6.0;

/// A distribution: its kurtosis, the variance of a sample's kurtosis times the size of the sample, and the largest magnitude
/// in standard deviations.
struct Kind {
    kurtosis: f64,
    spread: f64,
    bound: f64,
}

/// Of `m4/m2^2`, by the delta method.
const NORMAL: Kind = Kind { kurtosis: 3.0, spread: 24.0, bound: 8.0 };
const UNIFORM: Kind = Kind { kurtosis: 1.8, spread: 1.32, bound: 1.7325 };
/// Cut at two standard deviations of what was cut.
const TRUNCATED: Kind = Kind { kurtosis: 2.3655, spread: 6.0, bound: 2.2745 };
/// The standard deviation that such a cut leaves.
const CUT: f64 = 0.879_63;

/// A way to initialise a weight of a shape.
struct Scheme {
    name: String,
    std: f64,
    kind: Kind,
}

/// `None` for what is no weight of floats with two axes or more, or too small to tell.
pub fn judge(tensor: &Tensor, statistics: &Statistics) -> Option<Initialisation> {
    let weight = tensor.dtype.is_float() && tensor.shape.len() >= 2 && statistics.nan + statistics.inf == 0;
    if !weight || statistics.elements < FEWEST || statistics.all_equal {
        return None;
    }
    let (n, std, kurtosis) = (statistics.elements as f64, statistics.std.0, statistics.kurtosis.0);
    let structure = structure(tensor, statistics);
    let near = |s: &Scheme| (std / s.std - 1.0).abs() <= OFF * ((s.kind.kurtosis - 1.0) / (4.0 * n)).sqrt() + 0.002;
    let shaped = |s: &Scheme| {
        let largest = statistics.max.0.abs().max(statistics.min.0.abs());
        (kurtosis - s.kind.kurtosis).abs() <= OFF * (s.kind.spread / n).sqrt() + 0.01
            && largest <= s.kind.bound * s.std * 1.001
    };
    let centred = statistics.mean.0.abs() <= OFF * std / n.sqrt();
    let schemes: Vec<Scheme> = schemes(&tensor.shape).into_iter().filter(near).collect();
    let fits = schemes.iter().position(shaped);
    let possible = fits.is_some() && centred && structure <= APART;
    let likely_untrained = possible && statistics.elements >= PLENTY;
    let scheme = schemes.get(fits.unwrap_or(0));
    let measured = format!("std {}, kurtosis {}", number(std), number(kurtosis));
    let alike = format!("rows and columns {} standard deviations apart", number(structure));
    let text = match scheme {
        None => format!("no: {measured}; no usual initialisation of this shape has that std"),
        Some(s) if fits.is_none() => {
            format!("no: {measured}; the std is near that of {}, but not the kurtosis of {}", s.name, s.kind.kurtosis)
        }
        Some(s) if !centred => {
            format!("no: the mean of {} is far from the 0 of {} ({measured})", number(statistics.mean.0), s.name)
        }
        Some(s) if structure > APART => {
            format!("no: {measured} are those of {}, but {alike}: its elements depend on each other", s.name)
        }
        Some(s) => {
            let (std, kurtosis) = (number(s.std), s.kind.kurtosis);
            let told = if likely_untrained { "likely" } else { "too small to tell" };
            format!("{told}: {measured}, as {} (std {std}, kurtosis {kurtosis}); {alike}", s.name)
        }
    };
    Some(Initialisation {
        possible,
        likely_untrained,
        scheme: scheme.map(|s| s.name.clone()),
        expected_std: scheme.map(|s| Real(s.std)),
        expected_kurtosis: scheme.map(|s| Real(s.kind.kurtosis)),
        structure: Some(Real(structure)),
        text,
    })
}

/// Fans as PyTorch counts them: of [out, in, kernel...]; a product's weight may be stored either way round.
fn schemes(shape: &[usize]) -> Vec<Scheme> {
    let kernel: usize = shape[2..].iter().product();
    let (one, other) = ((shape[1] * kernel) as f64, (shape[0] * kernel) as f64);
    let mut schemes = Vec::new();
    let mut add = |name: &str, std: f64, kind: Kind| schemes.push(Scheme { name: name.to_string(), std, kind });
    for fan in [one, other] {
        add("PyTorch's default, uniform", (1.0 / (3.0 * fan)).sqrt(), UNIFORM);
        add("Kaiming uniform", (2.0 / fan).sqrt(), UNIFORM);
        add("Kaiming normal", (2.0 / fan).sqrt(), NORMAL);
        add("LeCun uniform", (1.0 / fan).sqrt(), UNIFORM);
        add("LeCun normal", (1.0 / fan).sqrt(), NORMAL);
    }
    let xavier = (2.0 / (one + other)).sqrt();
    add("Xavier uniform", xavier, UNIFORM);
    add("Xavier normal", xavier, NORMAL);
    add("Xavier normal, truncated", xavier, TRUNCATED);
    for std in [0.02, 0.01, 1.0] {
        add(&format!("N(0, {std})"), std, NORMAL);
        add(&format!("N(0, {std}), truncated"), std * CUT, TRUNCATED);
    }
    schemes
}

/// How far rows and columns are from those of independent elements: their means, their mean squares, and the products of pairs
/// of them. The largest, each a chi-squared sum in standard deviations of its own.
fn structure(tensor: &Tensor, statistics: &Statistics) -> f64 {
    let rows = tensor.shape[0];
    let columns = tensor.elements() / rows;
    let mean = statistics.mean.0;
    let (mut by_row, mut by_column) = (Lines::new(rows, columns), Lines::new(columns, rows));
    let mut at = 0;
    each(tensor, |values| {
        for d in values.iter().map(|x| x - mean) {
            by_row.add(at / columns, d);
            by_column.add(at % columns, d);
            at += 1;
        }
    });
    by_row.apart(statistics).max(by_column.apart(statistics))
}

/// Rows, or columns: sums over the elements of each, and all elements of a few.
struct Lines {
    length: usize,
    /// Of differences from the mean, and of their squares.
    sums: Vec<[f64; 2]>,
    every: usize,
    picked: Vec<Vec<f64>>,
}

impl Lines {
    fn new(count: usize, length: usize) -> Lines {
        let every = count.div_ceil(PICKED);
        let picked = vec![Vec::with_capacity(length); count.div_ceil(every)];
        Lines { length, sums: vec![[0.0; 2]; count], every, picked }
    }

    fn add(&mut self, line: usize, d: f64) {
        self.sums[line][0] += d;
        self.sums[line][1] += d * d;
        if line.is_multiple_of(self.every) {
            self.picked[line / self.every].push(d);
        }
    }

    fn apart(&self, statistics: &Statistics) -> f64 {
        let (count, length) = (self.sums.len() as f64, self.length as f64);
        if self.sums.len() < 2 || self.length < 2 {
            return f64::NEG_INFINITY;
        }
        let variance = statistics.std.0.powi(2);
        let of_square = (statistics.kurtosis.0 - 1.0).max(f64::EPSILON) * variance * variance;
        let means: f64 = self.sums.iter().map(|s| (s[0] / length).powi(2) * length / variance).sum();
        let squares: f64 = self.sums.iter().map(|s| (s[1] / length - variance).powi(2) * length / of_square).sum();
        // Short lines of heavy tails spread more than their number says.
        let spread = |extra: f64| (2.0 * count * (1.0 + extra / length)).sqrt();
        ((means - count) / spread(1.0)).max((squares - count) / spread(30.0)).max(self.alike(variance))
    }

    /// Products of pairs, which are 0 on average.
    fn alike(&self, variance: f64) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0.0);
        for (at, one) in self.picked.iter().enumerate() {
            for other in &self.picked[at + 1..] {
                let product: f64 = one.iter().zip(other).map(|(a, b)| a * b).sum();
                sum += product * product / (self.length as f64 * variance * variance);
                pairs += 1.0;
            }
        }
        (sum - pairs) / (2.0 * pairs * (1.0 + 6.0 / self.length as f64)).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::statistics::statistics;

    /// Uniform in [0, 1), the same every time.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            (-2.0 * (1.0 - self.next()).ln()).sqrt() * (std::f64::consts::TAU * self.next()).cos()
        }
    }

    fn judged(shape: &[usize], mut value: impl FnMut(usize, &mut Random) -> f64) -> Initialisation {
        let mut random = Random(7);
        let values: Vec<f32> = (0..shape.iter().product()).map(|at| value(at, &mut random) as f32).collect();
        let tensor = Tensor::f32(shape, &values);
        judge(&tensor, &statistics(&tensor).unwrap()).unwrap()
    }

    #[test]
    fn initialisations_are_known_by_std_and_shape() {
        let check = |got: Initialisation, name: &str| {
            assert!(got.possible && got.scheme.as_deref() == Some(name), "{name}: {}", got.text);
        };
        check(judged(&[768, 2], |_, r| 0.02 * r.normal()), "N(0, 0.02)");
        check(judged(&[10, 512], |_, r| (2.0 * r.next() - 1.0) / 512f64.sqrt()), "PyTorch's default, uniform");
        check(judged(&[64, 32, 3, 3], |_, r| (2.0 / 288f64).sqrt() * r.normal()), "Kaiming normal");
        check(judged(&[300, 100], |_, r| (6.0 / 400f64).sqrt() * (2.0 * r.next() - 1.0)), "Xavier uniform");
    }

    #[test]
    fn trained_weights_fail_one_test() {
        let check = |got: Initialisation, word: &str| assert!(!got.possible && got.text.contains(word), "{}", got.text);
        // Heavier tails with the same std.
        check(judged(&[768, 8], |_, r| 0.02 / 15f64.sqrt() * r.normal().powi(3)), "kurtosis");
        check(judged(&[768, 8], |_, r| 0.0437 * r.normal()), "no usual initialisation");
        // Some rows have grown at the cost of others.
        let grown = |at: usize, r: &mut Random| {
            if (at / 8).is_multiple_of(2) { 0.024 * r.normal() } else { 0.015 * r.normal() }
        };
        check(judged(&[768, 8], grown), "no");
        check(
            judged(&[768, 8], |at, r| 0.0198 * r.normal() + 0.003 * ((at % 8) as f64 - 3.5) / 2.3),
            "depend on each other",
        );
        check(judged(&[768, 8], |_, r| 0.02 * r.normal() + 0.004), "mean");
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        let small = Tensor::f32(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert!(judge(&small, &statistics(&small).unwrap()).is_none());
        let equal = Tensor::f32(&[30, 30], &[1.0; 900]);
        assert!(judge(&equal, &statistics(&equal).unwrap()).is_none());
    }
}
