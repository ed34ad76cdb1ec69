//! One value of another order of magnitude sets the scale of a tensor, so that all others fall on one or two codes: the -3.4e38
//! of a mask in the scores of attention.

use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::{num, share};
use crate::qdq::{Grid, Pair};
use crate::tensor::Tensor;

/// This many times smaller than the largest, a value lives by itself.
const APART: f64 = 100.0;
/// And there is nothing between the two kinds: the smallest of the large ones is this many times the largest that lives.
const GAP: f64 = 8.0;
/// Codes that may be left to the values that live.
const FEW: usize = 4;
/// Larger ones are no measurements: somebody wrote them there.
const WRITTEN: f64 = 1e4;
/// One of so many values may be an outlier.
const OUTLIERS: usize = 10;

/// The values that live beside a much larger one, and how few codes they have.
pub struct Alive {
    /// The largest value of all.
    most: f64,
    /// So many values are as large.
    large: usize,
    /// Of all.
    of: usize,
    /// Smallest and largest value that lives.
    range: (f64, f64),
    /// Codes that the living values have.
    codes: usize,
    /// One step of the scale.
    step: f64,
}

/// `None` where no value of another order sets the scale, or the others have codes enough.
pub fn alive(pair: &Pair, value: &Tensor) -> Option<Alive> {
    let grid = Grid::quantizer(pair, &value.shape)?;
    let values = to_f64(value);
    let most = values.iter().filter(|x| x.is_finite()).copied().max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
    let lives = |x: &f64| x.abs() * APART < most.abs();
    let live: Vec<(usize, f64)> = values.iter().copied().enumerate().filter(|(_, x)| lives(x)).collect();
    let (least, greatest) =
        live.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), (_, x)| (lo.min(*x), hi.max(*x)));
    // Zeros alone lose nothing; and a scale that cuts the sentinel off is not set by it.
    let covered = (0..grid.groups()).any(|g| {
        let (low, high) = grid.representable(g);
        low.abs().max(high.abs()) * 2.0 > most.abs()
    });
    if live.is_empty() || least >= greatest || !covered {
        return None;
    }
    let mut codes: Vec<i64> = live.iter().map(|(i, x)| grid.code(*i, *x) as i64).collect();
    codes.sort_unstable();
    codes.dedup();
    if codes.len() > FEW {
        return None;
    }
    let large = values.len() - live.len();
    // Many are no outliers: a sentinel may stand anywhere, measured values of two sizes are something else.
    if most.abs() < WRITTEN && large * OUTLIERS > values.len() {
        return None;
    }
    let least_large = values.iter().filter(|x| !lives(x)).fold(f64::INFINITY, |least, x| least.min(x.abs()));
    if least_large < GAP * least.abs().max(greatest.abs()) {
        return None;
    }
    let step = grid.coarsest();
    Some(Alive { most, large, of: values.len(), range: (least, greatest), codes: codes.len(), step })
}

/// The values that live have next to no codes.
pub fn range(seen: &Seen) -> Option<Suspicion> {
    let pair = seen.laid.pair;
    let Alive { most, large, of, range: (least, greatest), codes, step } = alive(pair, seen.laid.value)?;
    let written = most.abs() >= WRITTEN;
    let what = if written { "a sentinel" } else { "an outlier" };
    let advice = match written {
        true => format!(
            "leave '{}' unquantised (the nodes that read it, and as an output of the one that makes it), or give the mask a number of the size of the other values before calibration (untried)",
            pair.tensor
        ),
        false => format!("leave '{}' unquantised, or give it 16 bits (untried)", pair.tensor),
    };
    Some(Suspicion {
        code: "sentinel-range",
        evidence: format!(
            "{what} sets the range of {}: {} are as large as {}, so one step is {}, and the others ({} .. {}) have {} left of them all",
            seen.laid.place,
            share(large as u64, of as u64, "values"),
            num(most),
            num(step),
            num(least),
            num(greatest),
            if codes == 1 { "1 code".to_string() } else { format!("{codes} codes") },
        ),
        advice,
        undo: Undo::Unquantised,
    })
}
