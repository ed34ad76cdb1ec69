//! What quantisation alone does to one tensor: the reference's value through the pair, against itself; for a weight, what
//! is stored of it.

mod mismatch;

use super::Pair;
use super::formula::{Codes, Grid, dequantised, round_trip};
use crate::compare::{Tolerance, compare, to_f64};
use crate::found::Metrics;
use crate::tensor::{Tensor, shape_text};

/// The error of a pair's own, and whether its scale is to blame.
#[derive(Clone, Debug)]
pub struct Losses {
    /// What is quantised, as [`Pair::tensor`].
    pub tensor: String,
    /// `mismatched` are elements that moved by more than half a step: what was clipped, and every NaN that became a number.
    pub quantisation: Metrics,
    /// Fraction of all elements that are beyond what can be represented, infinities included, NaN not.
    pub clip_fraction: f64,
    /// Fraction of all elements with the smallest code.
    pub at_qmin: f64,
    /// Fraction of all elements with the largest code.
    pub at_qmax: f64,
    /// Smallest and largest finite value; NaN for none.
    pub range: (f64, f64),
    /// Smallest and largest value that any of the scales can give.
    pub representable: (f64, f64),
    /// How much further the representable range reaches than the values do, on the side where that is less, for the scale
    /// where that is furthest from 1: 0.02 clips badly, 50 wastes nearly six bits. `None` where all values are zero.
    pub scale_ratio: Option<f64>,
    /// Why the scales may run along the wrong dimension.
    pub axis_suspect: Option<String>,
}

/// `None` where scales are computed, do not fit the value's shape, or the type is none of ONNX's quantised ones.
pub fn loss(pair: &Pair, value: &Tensor) -> Option<Losses> {
    let grid = Grid::quantizer(pair, &value.shape)?;
    let back = round_trip(pair, value)?;
    let stored = dequantised(pair).filter(|stored| stored.shape == value.shape);
    let tolerance = match grid.codes {
        // A little more than half a step, for the rounding of the product.
        Codes::Integers(..) => Tolerance { atol: grid.coarsest() * 0.5001, rtol: 1e-6 },
        Codes::Floats(_) => Tolerance { atol: grid.coarsest() * 0.5, rtol: 0.25 },
    };
    let values = to_f64(value);
    let seen = Seen::new(&grid, &values);
    let fraction = |count: usize| if values.is_empty() { 0.0 } else { count as f64 / values.len() as f64 };
    let groups = (0..grid.groups()).map(|g| grid.representable(g));
    Some(Losses {
        tensor: pair.tensor.clone(),
        quantisation: compare(value, stored.as_ref().unwrap_or(&back), tolerance).metrics?,
        clip_fraction: fraction(seen.clipped),
        at_qmin: fraction(seen.at_qmin),
        at_qmax: fraction(seen.at_qmax),
        range: seen.range(),
        representable: groups.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), (l, h)| (lo.min(l), hi.max(h))),
        scale_ratio: seen.scale_ratio(&grid),
        axis_suspect: axis_suspect(pair, value, &values, &back),
    })
}

/// Counts over a tensor, and the range of each scale's elements.
struct Seen {
    clipped: usize,
    at_qmin: usize,
    at_qmax: usize,
    ranges: Vec<(f64, f64)>,
}

impl Seen {
    fn new(grid: &Grid, values: &[f64]) -> Seen {
        let (least, greatest) = grid.codes.bounds();
        let nothing = (f64::INFINITY, f64::NEG_INFINITY);
        let mut seen = Seen { clipped: 0, at_qmin: 0, at_qmax: 0, ranges: vec![nothing; grid.groups()] };
        for (i, x) in values.iter().enumerate().filter(|(_, x)| !x.is_nan()) {
            let (unbounded, code) = (grid.unbounded(i, *x), grid.code(i, *x));
            seen.clipped += usize::from(unbounded < least || unbounded > greatest);
            seen.at_qmin += usize::from(code == least);
            seen.at_qmax += usize::from(code == greatest);
            if x.is_finite() {
                let (lo, hi) = &mut seen.ranges[grid.group(i)];
                (*lo, *hi) = (lo.min(*x), hi.max(*x));
            }
        }
        seen
    }

    fn range(&self) -> (f64, f64) {
        let all = self.ranges.iter().filter(|(lo, hi)| lo <= hi);
        all.copied().reduce(|(lo, hi), (l, h)| (lo.min(l), hi.max(h))).unwrap_or((f64::NAN, f64::NAN))
    }

    fn scale_ratio(&self, grid: &Grid) -> Option<f64> {
        let ratio = |(group, (lo, hi)): (usize, &(f64, f64))| {
            let (least, greatest) = grid.representable(group);
            let above = (*hi > 0.0).then(|| greatest / hi);
            let below = (*lo < 0.0).then(|| least / lo);
            above.into_iter().chain(below).map(f64::abs).reduce(f64::min)
        };
        let distance = |r: &f64| r.ln().abs();
        self.ranges.iter().enumerate().filter_map(ratio).max_by(|a, b| distance(a).total_cmp(&distance(b)))
    }
}

/// Scales by channel for another dimension than the operator's output channels; or a dimension of the same length along
/// which they would fit much better.
fn axis_suspect(pair: &Pair, value: &Tensor, values: &[f64], back: &Tensor) -> Option<String> {
    let rank = value.shape.len();
    let axis = pair.axis.filter(|_| pair.block == 0)?;
    let axis = if axis < 0 { usize::try_from(axis + rank as i64).ok()? } else { axis as usize };
    let shape = shape_text(&value.shape);
    if let Some((op_type, channels)) = &pair.channels {
        // A MatMul's matrix is the last two dimensions.
        let channels = if op_type == "MatMul" { rank.checked_sub(1)? } else { *channels };
        if channels != axis {
            return Some(format!(
                "the scales of '{}' ({shape}) run along axis {axis}, but the output channels of {op_type} are axis {channels}",
                pair.tensor
            ));
        }
    }
    let error = |back: &Tensor| -> f64 {
        let pairs = values.iter().zip(to_f64(back)).map(|(x, y)| x - y);
        pairs.filter(|d| d.is_finite()).map(|d| d * d).sum()
    };
    let here = error(back);
    let elsewhere = |other: &usize| {
        let moved = Pair { axis: Some(*other as i64), ..pair.clone() };
        round_trip(&moved, value).map(|back| error(&back))
    };
    let same_length = (0..rank).filter(|other| *other != axis && value.shape[*other] == value.shape[axis]);
    let (best, error) = same_length.filter_map(|o| Some((o, elsewhere(&o)?))).min_by(|a, b| a.1.total_cmp(&b.1))?;
    // A quarter of the square is half the error.
    (error < here / 4.0).then(|| {
        format!(
            "the scales of '{}' ({shape}) run along axis {axis}; along axis {best} the error would be {:.0} times smaller",
            pair.tensor,
            (here / error).sqrt().min(1e6)
        )
    })
}

#[cfg(test)]
mod tests;
