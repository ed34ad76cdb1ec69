//! Numbers about the elements of one tensor. Pure; reads a tensor block by block, so that large weights need no second copy.

use super::facts::{Channel, Channels, Element, Histogram, Statistics};
use crate::compare::{each, to_f64};
use crate::found::Real;
use crate::tensor::{DType, Tensor};

/// Bins of a histogram.
const BINS: usize = 16;
/// The largest FP16.
const LARGEST: f64 = 65504.0;
/// The smallest normal FP16, and what rounds to 0: half of the smallest subnormal one.
const NORMAL: f64 = 1.0 / 16_384.0;
const VANISHES: f64 = 1.0 / 33_554_432.0;

/// `None` for strings, and where there are no elements.
pub fn statistics(tensor: &Tensor) -> Option<Statistics> {
    if tensor.dtype == DType::String || tensor.elements() == 0 {
        return None;
    }
    let counts = Counts::of(tensor);
    let finite = counts.finite as f64;
    let unit = counts.low.abs().max(counts.high.abs());
    // As fractions of the largest: squares of 1e200 are no f64.
    let unit = if unit > 0.0 { unit } else { 1.0 };
    let mut sums = [0.0; 2];
    each(tensor, |values| {
        for x in values.iter().filter(|x| x.is_finite()).map(|x| x / unit) {
            sums[0] += x;
            sums[1] += x * x;
        }
    });
    let mean = sums[0] / finite;
    let mut central = [0.0; 2];
    each(tensor, |values| {
        for d in values.iter().filter(|x| x.is_finite()).map(|x| (x / unit - mean).powi(2)) {
            central[0] += d;
            central[1] += d * d;
        }
    });
    let variance = central[0] / finite;
    let real = |x: f64| Real(if counts.finite == 0 { f64::NAN } else { x });
    Some(Statistics {
        elements: tensor.elements() as u64,
        min: real(counts.low),
        max: real(counts.high),
        mean: real(mean * unit),
        std: real(variance.sqrt() * unit),
        rms: real((sums[1] / finite).sqrt() * unit),
        kurtosis: real(central[1] / finite / (variance * variance)),
        zeros: counts.zeros,
        nan: counts.nan,
        inf: counts.inf,
        beyond_fp16: counts.beyond,
        subnormal_fp16: counts.subnormal,
        vanish_fp16: counts.vanish,
        all_equal: counts.low == counts.high && counts.finite == tensor.elements() as u64,
    })
}

/// `None` where no element is finite.
pub fn histogram(tensor: &Tensor) -> Option<Histogram> {
    let Counts { low, high, finite, .. } = Counts::of(tensor);
    if finite == 0 {
        return None;
    }
    if low == high {
        return Some(Histogram { low: Real(low), high: Real(high), counts: vec![finite] });
    }
    let mut counts = vec![0; BINS];
    // In halves: the range of float64 is no float64.
    let width = high / 2.0 - low / 2.0;
    each(tensor, |values| {
        for x in values.iter().filter(|x| x.is_finite()) {
            let part = (x / 2.0 - low / 2.0) / width;
            counts[((part * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
    });
    Some(Histogram { low: Real(low), high: Real(high), counts })
}

/// The first and the last `most` elements; all of them are first where there are no more.
pub fn ends(tensor: &Tensor, most: usize) -> (Vec<Element>, Vec<Element>) {
    let elements = tensor.elements();
    let first = (0..elements.min(most)).filter_map(|at| element(tensor, at)).collect();
    let last = if elements > most { elements.saturating_sub(most).max(most)..elements } else { 0..0 };
    (first, last.filter_map(|at| element(tensor, at)).collect())
}

/// The element at this place of the row-major order.
fn element(tensor: &Tensor, at: usize) -> Option<Element> {
    if let Some(strings) = tensor.as_strings() {
        return strings.get(at).cloned().map(Element::Text);
    }
    // Their values are more than an f64 holds.
    match tensor.dtype {
        DType::Int64 => return word(tensor, at).map(|w| Element::Integer(i64::from_le_bytes(w).into())),
        DType::Uint64 => return word(tensor, at).map(|w| Element::Integer(u64::from_le_bytes(w).into())),
        _ => {}
    }
    let bits = tensor.dtype.bits();
    // The whole bytes around it: types of 4 and 2 bits share one.
    let per_byte = (8 / bits.max(1)).max(1);
    let (start, inside) = (at / per_byte * per_byte, at % per_byte);
    let end = (start + per_byte).min(tensor.elements());
    let bytes = tensor.bytes().get(start * bits / 8..(end * bits).div_ceil(8))?;
    let few = Tensor::new(tensor.dtype, vec![end - start], bytes.to_vec()).ok()?;
    let value = *to_f64(&few).get(inside)?;
    let whole = !tensor.dtype.is_float() && !matches!(tensor.dtype, DType::Complex64 | DType::Complex128);
    Some(if whole { Element::Integer(value as i128) } else { Element::Number(Real(value)) })
}

fn word(tensor: &Tensor, at: usize) -> Option<[u8; 8]> {
    tensor.bytes().get(at * 8..at * 8 + 8)?.try_into().ok()
}

/// By index of the first and of the last axis of a weight: of tensors of two axes or more, and of axes of more than one channel.
pub fn channels(tensor: &Tensor) -> Vec<Channels> {
    let rank = tensor.shape.len();
    let axes = if rank < 2 || tensor.elements() == 0 { Vec::new() } else { vec![0, rank - 1] };
    axes.into_iter().filter(|axis| tensor.shape[*axis] > 1).filter_map(|axis| along(tensor, axis)).collect()
}

/// By index of whatever axis of an array may be colours: its size is 3 or 4.
pub fn colours(tensor: &Tensor) -> Vec<Channels> {
    let axes = (0..tensor.shape.len()).filter(|axis| matches!(tensor.shape[*axis], 3 | 4));
    if tensor.shape.len() < 3 || tensor.elements() == 0 {
        Vec::new()
    } else {
        axes.filter_map(|axis| along(tensor, axis)).collect()
    }
}

fn along(tensor: &Tensor, axis: usize) -> Option<Channels> {
    let ranges = ranges(tensor, axis);
    let size = |at: &usize| ranges[*at].0.abs().max(ranges[*at].1.abs());
    let seen = || (0..ranges.len()).filter(|at| ranges[*at].0 <= ranges[*at].1);
    let widest = seen().max_by(|a, b| size(a).total_cmp(&size(b)))?;
    let narrowest = seen().filter(|at| size(at) > 0.0).min_by(|a, b| size(a).total_cmp(&size(b)))?;
    let channel = |index: usize| Channel { index, min: Real(ranges[index].0), max: Real(ranges[index].1) };
    Some(Channels {
        axis,
        count: ranges.len(),
        narrowest: channel(narrowest),
        widest: channel(widest),
        ratio: Real(size(&widest) / size(&narrowest)),
        zeros: seen().filter(|at| size(at) == 0.0).count(),
    })
}

/// The smallest and the largest finite element by index of `axis`; the wrong way round where there is none.
pub fn ranges(tensor: &Tensor, axis: usize) -> Vec<(f64, f64)> {
    let (count, inner) = (tensor.shape[axis], tensor.shape[axis + 1..].iter().product::<usize>().max(1));
    let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); count];
    let mut at = 0;
    each(tensor, |values| {
        for x in values {
            let range = &mut ranges[at / inner % count];
            if x.is_finite() {
                *range = (range.0.min(*x), range.1.max(*x));
            }
            at += 1;
        }
    });
    ranges
}

/// What one look at every element counts.
struct Counts {
    low: f64,
    high: f64,
    finite: u64,
    zeros: u64,
    nan: u64,
    inf: u64,
    beyond: u64,
    subnormal: u64,
    vanish: u64,
}

impl Counts {
    fn of(tensor: &Tensor) -> Counts {
        let none = (f64::INFINITY, f64::NEG_INFINITY);
        let mut counts = Counts {
            low: none.0,
            high: none.1,
            finite: 0,
            zeros: 0,
            nan: 0,
            inf: 0,
            beyond: 0,
            subnormal: 0,
            vanish: 0,
        };
        each(tensor, |values| values.iter().for_each(|x| counts.add(*x)));
        counts
    }

    fn add(&mut self, x: f64) {
        if !x.is_finite() {
            self.nan += u64::from(x.is_nan());
            self.inf += u64::from(x.is_infinite());
            return;
        }
        self.finite += 1;
        (self.low, self.high) = (self.low.min(x), self.high.max(x));
        let size = x.abs();
        self.zeros += u64::from(size == 0.0);
        self.beyond += u64::from(size > LARGEST);
        self.subnormal += u64::from(size > 0.0 && size < NORMAL);
        self.vanish += u64::from(size > 0.0 && size <= VANISHES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_element_is_counted() {
        let values = [0.0, -0.0, 1.0, -3.0, 7e4, 3e-5, 1e-8, f32::NAN, f32::INFINITY];
        let got = statistics(&Tensor::f32(&[9], &values)).unwrap();
        assert_eq!((got.elements, got.zeros, got.nan, got.inf), (9, 2, 1, 1));
        assert_eq!((got.beyond_fp16, got.subnormal_fp16, got.vanish_fp16), (1, 2, 1));
        assert_eq!((got.min.0, got.max.0, got.all_equal), (-3.0, 7e4, false));
    }

    #[test]
    fn moments_of_the_finite_ones() {
        let got = statistics(&Tensor::f32(&[2, 2], &[1.0, 3.0, 1.0, 3.0])).unwrap();
        let near = |x: Real, want: f64| assert!((x.0 - want).abs() < 1e-12, "{x:?}");
        [(got.mean, 2.0), (got.std, 1.0), (got.kurtosis, 1.0)].into_iter().for_each(|(x, want)| near(x, want));
        assert!((got.rms.0 - 5f64.sqrt()).abs() < 1e-12);
        let large = statistics(&Tensor::from_vec(DType::Float64, vec![2], vec![1e200, -1e200])).unwrap();
        assert!((large.rms.0 / 1e200 - 1.0).abs() < 1e-12 && (large.std.0 / 1e200 - 1.0).abs() < 1e-12);
        let none = statistics(&Tensor::f32(&[1], &[f32::NAN])).unwrap();
        assert!(none.mean.0.is_nan() && none.min.0.is_nan() && !none.all_equal);
        assert!(statistics(&Tensor::f32(&[0], &[])).is_none());
    }

    #[test]
    fn bins_hold_both_ends() {
        let got = histogram(&Tensor::f32(&[4], &[0.0, 1.0, 15.9, 16.0])).unwrap();
        assert_eq!((got.counts[0], got.counts[1], got.counts[15]), (1, 1, 2));
        assert_eq!(histogram(&Tensor::i64(&[3], &[5, 5, 5])).unwrap().counts, [3]);
        let wide = Tensor::from_vec(DType::Float64, vec![2], vec![f64::MIN, f64::MAX]);
        assert_eq!(histogram(&wide).unwrap().counts.iter().sum::<u64>(), 2);
    }

    #[test]
    fn elements_of_every_width() {
        let nibbles = Tensor::new(DType::Int4, vec![3], vec![0xF1, 0x07]).unwrap();
        let int = Element::Integer;
        assert_eq!(ends(&nibbles, 2), (vec![int(1), int(-1)], vec![int(7)]));
        assert_eq!(ends(&Tensor::i64(&[1], &[i64::MIN]), 8).0, [int(i64::MIN.into())]);
        assert_eq!(ends(&Tensor::f32(&[1], &[0.5]), 8), (vec![Element::Number(Real(0.5))], vec![]));
    }

    #[test]
    fn channels_of_both_ends() {
        let got = channels(&Tensor::f32(&[2, 3], &[0.0, 1.0, -2.0, 0.0, 8.0, 4.0]));
        let all: Vec<_> = got.iter().map(|c| (c.axis, c.narrowest.index, c.widest.index, c.ratio.0, c.zeros)).collect();
        assert_eq!(all, [(0, 0, 1, 4.0, 0), (1, 2, 1, 2.0, 1)]);
    }
}
