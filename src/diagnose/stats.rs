//! Statistics of one tensor, or of a reference and a candidate together, in one pass over the elements. No thresholds of
//! any diagnosis here, but those of the format.

use std::ops::Range;

use rayon::prelude::*;

use super::format::Format;
use crate::compare;
use crate::tensor::{DType, Tensor};

/// One tensor. Sums and extremes are over the finite elements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// All of them.
    pub elements: u64,
    /// Neither NaN nor infinite.
    pub finite: u64,
    /// NaN.
    pub nan: u64,
    /// Plus infinity.
    pub pos_inf: u64,
    /// Minus infinity.
    pub neg_inf: u64,
    /// Zeros of either sign.
    pub zeros: u64,
    /// Below zero.
    pub negative: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Elements equal to `min`, and to `max`.
    pub at_min: u64,
    /// Elements equal to `max`.
    pub at_max: u64,
    /// The smallest magnitude that is not zero.
    pub min_abs: f64,
    /// Of the elements.
    pub sum: f64,
    /// Of their magnitudes.
    pub sum_abs: f64,
    /// Of their squares.
    pub sum_sq: f64,
    /// Elements not above -10^4: values that only mean "very low".
    pub very_low: u64,
    /// Elements that become infinite in the format, lose precision there, become zero.
    pub over: u64,
    /// Elements that are not zero and below the format's smallest normal number, those that become zero too.
    pub tiny: u64,
    /// Elements that are not zero and become zero in the format.
    pub vanishing: u64,
}

/// A reference r and a candidate c of equal shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pairs {
    /// Pairs of finite values.
    pub finite: u64,
    /// Sums of squares of c - r and of r over them, and of c - r where r is tiny in the format.
    pub ee: f64,
    /// Sum of r^2.
    pub rr: f64,
    /// Sum of (c - r)^2 where r is tiny in the format.
    pub tiny_ee: f64,
    /// Largest |c - r|.
    pub max_e: f64,
    /// r is not zero, c is.
    pub flushed: u64,
    /// r becomes infinite in the format, and c is not near r.
    pub over_lost: u64,
    /// r is finite, c is not.
    pub nan_new: u64,
    /// r is finite, c is infinite.
    pub inf_new: u64,
    /// r is not finite, and c is something else.
    pub nonfinite_lost: u64,
}

/// Elements widened at a time.
const CHUNK: usize = 1 << 13;
/// Elements a task works on.
const TASK: usize = 1 << 18;

/// `None` for strings.
pub fn summary(tensor: &Tensor, format: Option<Format>) -> Option<Summary> {
    if tensor.dtype == DType::String {
        return None;
    }
    let one = |range: Range<usize>| {
        let mut s = Summary::new();
        for values in chunks(tensor, range) {
            s.add(&values, format);
        }
        s
    };
    tasks(tensor.elements()).into_par_iter().map(one).reduce_with(Summary::merge).or_else(|| Some(Summary::new()))
}

/// Both summaries and the pairs; `None` where the two cannot be set against each other.
pub fn pairs(reference: &Tensor, candidate: &Tensor, format: Option<Format>) -> Option<(Summary, Summary, Pairs)> {
    let strings = [reference, candidate].into_iter().any(|t| t.dtype == DType::String);
    if strings || reference.shape != candidate.shape {
        return None;
    }
    let one = |range: Range<usize>| {
        let (mut r, mut c, mut p) = (Summary::new(), Summary::new(), Pairs::default());
        for (x, y) in chunks(reference, range.clone()).zip(chunks(candidate, range)) {
            r.add(&x, format);
            c.add(&y, format);
            p.add(&x, &y, format);
        }
        (r, c, p)
    };
    let empty = || Some((Summary::new(), Summary::new(), Pairs::default()));
    let merge =
        |a: (Summary, Summary, Pairs), b: (Summary, Summary, Pairs)| (a.0.merge(b.0), a.1.merge(b.1), a.2.merge(b.2));
    tasks(reference.elements()).into_par_iter().map(one).reduce_with(merge).or_else(empty)
}

/// `range` of the tensor as f64, some thousand elements at a time. The range must begin a chunk.
pub fn chunks(tensor: &Tensor, range: Range<usize>) -> impl Iterator<Item = Vec<f64>> {
    let (bytes, bits) = (tensor.shared().unwrap_or_default(), tensor.dtype.bits());
    let part = move |from: usize, to: usize| {
        let slice = bytes.slice(from * bits / 8..(to * bits).div_ceil(8));
        Tensor::new(tensor.dtype, vec![to - from], slice).map_or_else(|_| Vec::new(), |t| compare::to_f64(&t))
    };
    let end = range.end;
    range.step_by(CHUNK).map(move |from| part(from, end.min(from + CHUNK)))
}

fn tasks(elements: usize) -> Vec<Range<usize>> {
    (0..elements).step_by(TASK).map(|from| from..elements.min(from + TASK)).collect()
}

impl Summary {
    fn new() -> Summary {
        Summary { min: f64::INFINITY, max: f64::NEG_INFINITY, min_abs: f64::INFINITY, ..Summary::default() }
    }

    fn add(&mut self, values: &[f64], format: Option<Format>) {
        self.elements += values.len() as u64;
        for &x in values {
            if !x.is_finite() {
                self.nan += x.is_nan() as u64;
                self.pos_inf += (x == f64::INFINITY) as u64;
                self.neg_inf += (x == f64::NEG_INFINITY) as u64;
                continue;
            }
            let a = x.abs();
            self.finite += 1;
            self.sum += x;
            self.sum_abs += a;
            self.sum_sq += x * x;
            self.negative += (x < 0.0) as u64;
            self.very_low += (x <= -1e4) as u64;
            if x <= self.min {
                self.at_min = if x == self.min { self.at_min + 1 } else { 1 };
                self.min = x;
            }
            if x >= self.max {
                self.at_max = if x == self.max { self.at_max + 1 } else { 1 };
                self.max = x;
            }
            if a == 0.0 {
                self.zeros += 1;
                continue;
            }
            self.min_abs = self.min_abs.min(a);
            if let Some(f) = format {
                self.over += (a >= f.infinite_from) as u64;
                self.tiny += (a < f.min_normal) as u64;
                self.vanishing += (a <= f.zero_upto) as u64;
            }
        }
    }

    fn merge(self, other: Summary) -> Summary {
        let min = self.min.min(other.min);
        let max = self.max.max(other.max);
        let at = |extreme: f64, a: (f64, u64), b: (f64, u64)| {
            [a, b].into_iter().filter(|(x, _)| *x == extreme).map(|(_, n)| n).sum()
        };
        Summary {
            elements: self.elements + other.elements,
            finite: self.finite + other.finite,
            nan: self.nan + other.nan,
            pos_inf: self.pos_inf + other.pos_inf,
            neg_inf: self.neg_inf + other.neg_inf,
            zeros: self.zeros + other.zeros,
            negative: self.negative + other.negative,
            at_min: at(min, (self.min, self.at_min), (other.min, other.at_min)),
            at_max: at(max, (self.max, self.at_max), (other.max, other.at_max)),
            min,
            max,
            min_abs: self.min_abs.min(other.min_abs),
            sum: self.sum + other.sum,
            sum_abs: self.sum_abs + other.sum_abs,
            sum_sq: self.sum_sq + other.sum_sq,
            very_low: self.very_low + other.very_low,
            over: self.over + other.over,
            tiny: self.tiny + other.tiny,
            vanishing: self.vanishing + other.vanishing,
        }
    }

    /// The largest magnitude; 0 where nothing is finite.
    pub fn max_abs(&self) -> f64 {
        if self.finite == 0 { 0.0 } else { self.min.abs().max(self.max.abs()) }
    }

    /// Of the finite elements.
    pub fn mean(&self) -> f64 {
        self.per_element(self.sum)
    }

    /// Of the magnitudes of the finite elements.
    pub fn mean_abs(&self) -> f64 {
        self.per_element(self.sum_abs)
    }

    /// The root of the mean square of the finite elements.
    pub fn rms(&self) -> f64 {
        self.per_element(self.sum_sq).sqrt()
    }

    /// NaN and infinities.
    pub fn nonfinite(&self) -> u64 {
        self.elements - self.finite
    }

    /// Elements that are finite and not zero.
    pub fn nonzero(&self) -> u64 {
        self.finite - self.zeros
    }

    fn per_element(&self, total: f64) -> f64 {
        if self.finite == 0 { 0.0 } else { total / self.finite as f64 }
    }
}

impl Pairs {
    fn add(&mut self, reference: &[f64], candidate: &[f64], format: Option<Format>) {
        for (&r, &c) in reference.iter().zip(candidate) {
            if !r.is_finite() {
                self.nonfinite_lost += !(r == c || r.is_nan() && c.is_nan()) as u64;
                continue;
            }
            let e = (c - r).abs();
            let over = format.is_some_and(|f| r.abs() >= f.infinite_from);
            // An infinity is not near; nor is NaN, which compares as false.
            let near = e <= 0.05 * r.abs();
            self.over_lost += (over && !near) as u64;
            if !c.is_finite() {
                self.nan_new += c.is_nan() as u64;
                self.inf_new += c.is_infinite() as u64;
                continue;
            }
            self.finite += 1;
            self.ee += e * e;
            self.rr += r * r;
            self.max_e = self.max_e.max(e);
            self.flushed += (r != 0.0 && c == 0.0) as u64;
            if format.is_some_and(|f| r.abs() < f.min_normal) {
                self.tiny_ee += e * e;
            }
        }
    }

    fn merge(self, other: Pairs) -> Pairs {
        Pairs {
            finite: self.finite + other.finite,
            ee: self.ee + other.ee,
            rr: self.rr + other.rr,
            tiny_ee: self.tiny_ee + other.tiny_ee,
            max_e: self.max_e.max(other.max_e),
            flushed: self.flushed + other.flushed,
            over_lost: self.over_lost + other.over_lost,
            nan_new: self.nan_new + other.nan_new,
            inf_new: self.inf_new + other.inf_new,
            nonfinite_lost: self.nonfinite_lost + other.nonfinite_lost,
        }
    }

    /// |c - r| / |r| over the whole tensor; `None` where there is nothing to divide by.
    pub fn relative(&self) -> Option<f64> {
        (self.rr > 0.0).then(|| (self.ee / self.rr).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::format::FP16;

    #[test]
    fn what_is_counted() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        let r = Tensor::f32(&[8], &[0.0, -2.0, -2.0, 7e4, 1e-5, 1e-9, inf, nan]);
        let c = Tensor::f32(&[8], &[0.0, -2.0, -1.0, inf, 1e-5, 0.0, inf, 1.0]);
        let (s, _, p) = pairs(&r, &c, Some(FP16)).unwrap();
        assert_eq!((s.elements, s.finite, s.nan, s.pos_inf, s.zeros, s.negative), (8, 6, 1, 1, 1, 2));
        assert_eq!((s.min, s.at_min, s.max, s.at_max), (-2.0, 2, 7e4, 1));
        assert_eq!((s.over, s.tiny, s.vanishing), (1, 2, 1));
        assert_eq!((p.finite, p.flushed, p.over_lost, p.inf_new, p.nan_new, p.nonfinite_lost), (5, 1, 1, 1, 0, 1));
        assert_eq!(Some(s), summary(&r, Some(FP16)));
    }

    #[test]
    fn many_tasks_give_what_one_gives() {
        let n = 2 * TASK + 77;
        let whole: Vec<f32> = (0..n).map(|i| (i % 1000) as f32 - 300.0).collect();
        let got = summary(&Tensor::f32(&[n], &whole), None).unwrap();
        let mut want = Summary::new();
        want.add(&whole.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>(), None);
        assert_eq!(got, want);
    }

    #[test]
    fn every_width_of_element_is_cut_at_bytes() {
        for (dtype, bytes) in [(DType::Int4, CHUNK), (DType::Float16, 4 * CHUNK), (DType::Complex64, 16 * CHUNK)] {
            let n = bytes * 8 / dtype.bits();
            let t = Tensor::new(dtype, vec![n], vec![0x11u8; bytes]).unwrap();
            let s = summary(&t, None).unwrap();
            assert_eq!((s.elements, s.at_min, s.at_max), (n as u64, n as u64, n as u64), "{dtype}");
        }
        assert_eq!(summary(&Tensor::strings(vec![1], vec!["a".into()]).unwrap(), None), None);
        assert_eq!(summary(&Tensor::f32(&[0], &[]), None).unwrap().max_abs(), 0.0);
    }
}
