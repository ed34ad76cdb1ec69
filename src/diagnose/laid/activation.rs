//! Parameters of a tensor that is quantised while the model runs: two versions of them, the wrong axis, a zero point that leaves out
//! one side, a scale of another size, values that are cut off.

use super::fitted::{is_symmetric, of_range, range, scales, zero_point};
use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::{num, percent};
use crate::qdq::{Codes, Pair, Parameters, loss};

/// A scale this many times too small clips more than outliers.
const TOO_SMALL: f64 = 1.0 / 4.0;
/// A range of which only an eighth is used leaves 5 bits of 8.
const TOO_LARGE: f64 = 8.0;
/// Calibrators clip a few outliers on purpose.
const TOLERABLE: f64 = 0.005;
/// A range that covers less than this share of the values on one side cuts off what counts, however few those are.
const CUT: f64 = 0.9;
/// The width of the range is that of the values up to this factor: the scale is right, and where it lies is wrong.
const SAME_WIDTH: f64 = 1.5;

/// The first thing that is wrong.
pub fn parameters(seen: &Seen) -> Option<Suspicion> {
    [two_versions, wrong_axis, lost_zero_point, size, saturation].iter().find_map(|look| look(seen))
}

/// The pair, with both halves as the DequantizeLinear or as the QuantizeLinear has them.
fn halves(pair: &Pair) -> Option<[Pair; 2]> {
    let (scale, zero_point) = pair.quantizer.clone()?;
    let one = Pair { quantizer: None, ..pair.clone() };
    Some([one.clone(), Pair { scale, zero_point, ..one }])
}

fn two_versions(seen: &Seen) -> Option<Suspicion> {
    let (pair, value) = (seen.laid.pair, seen.laid.value);
    let [behind, front] = halves(pair)?;
    let lost = |p: &Pair| loss(p, value).map_or(f64::INFINITY, |l| l.quantisation.relative());
    let right = if lost(&front) < lost(&behind) { &front } else { &behind };
    let first = |p: &Pair| {
        let of =
            |t: &Option<crate::tensor::Tensor>| t.as_ref().map_or(0.0, |t| to_f64(t).first().copied().unwrap_or(0.0));
        (of(&p.scale), of(&p.zero_point))
    };
    let ((s, z), (own_s, own_z)) = (first(&front), first(&behind));
    let same_scale = s == own_s;
    let (code, what) = match same_scale {
        true => ("zero-point", format!("the zero point {}, and dequantised with {}", num(z), num(own_z))),
        false => ("scale-mismatch", format!("the scale {}, and dequantised with {}", num(s), num(own_s))),
    };
    let dtype = pair.dtype;
    let zero = right.zero_point.clone().or_else(|| zero_point(dtype, &[], &[0.0]));
    Some(Suspicion {
        code,
        evidence: format!("{} is quantised with {what}", seen.laid.place),
        advice: format!("give both halves of the pair of '{}' the same scale and zero point", pair.tensor),
        undo: Undo::Parameters(Box::new(Parameters {
            scale: right.scale.clone()?,
            zero_point: zero,
            axis: None,
            stored: None,
        })),
    })
}

fn wrong_axis(seen: &Seen) -> Option<Suspicion> {
    let why = seen.losses.axis_suspect.clone()?;
    Some(Suspicion {
        code: "scale-mismatch",
        evidence: format!("{}: {why}", seen.laid.place),
        advice: "let the scales run along the channels they were measured for".to_string(),
        undo: Undo::Unquantised,
    })
}

/// With one scale: what fits the range of the values.
fn fitted(seen: &Seen, symmetric: bool) -> Option<(Parameters, f64)> {
    let (pair, values) = (seen.laid.pair, to_f64(seen.laid.value));
    let own = pair.scale.as_ref().filter(|s| s.elements() == 1)?;
    let (scale, zero) = of_range(pair.dtype, range(&values), symmetric)?;
    let zero_point = zero_point(pair.dtype, &own.shape, &[zero])?;
    Some((Parameters { scale: scales(own, &[scale])?, zero_point: Some(zero_point), axis: None, stored: None }, zero))
}

fn undo(fitted: Option<(Parameters, f64)>) -> Undo {
    fitted.map_or(Undo::Unquantised, |(parameters, _)| Undo::Parameters(Box::new(parameters)))
}

/// The range is as wide as the values, and lies elsewhere.
fn lost_zero_point(seen: &Seen) -> Option<Suspicion> {
    let pair = seen.laid.pair;
    let own = to_f64(pair.scale.as_ref()?);
    let [scale] = own.as_slice() else { return None };
    let Codes::Integers(least, most) = Codes::of(pair.dtype)? else { return None };
    let (lo, hi) = range(&to_f64(seen.laid.value));
    let width = (hi - lo) / (most - least) / scale;
    let width_fits = (1.0 / SAME_WIDTH..SAME_WIDTH).contains(&width);
    let cut = seen.losses.scale_ratio.is_some_and(|r| r < CUT);
    if seen.losses.clip_fraction == 0.0 || !cut || !width_fits {
        return None;
    }
    let (parameters, zero) = fitted(seen, false)?;
    let own_zero = pair.zero_point.as_ref().map_or(0.0, |z| to_f64(z).first().copied().unwrap_or(0.0));
    if (zero - own_zero).abs() < 2.0 {
        return None;
    }
    Some(Suspicion {
        code: "zero-point",
        evidence: format!(
            "{} has the zero point {}, with which its scale {} covers {} .. {}; the values are {} .. {}, for which it would be {}: {} are cut off",
            seen.laid.place,
            num(own_zero),
            num(*scale),
            num(seen.losses.representable.0),
            num(seen.losses.representable.1),
            num(lo),
            num(hi),
            num(zero),
            percent(seen.losses.clip_fraction),
        ),
        advice: format!(
            "store the zero point of '{}' with its scale, or quantise it symmetrically with a scale for that",
            pair.tensor
        ),
        undo: Undo::Parameters(Box::new(parameters)),
    })
}

fn size(seen: &Seen) -> Option<Suspicion> {
    let ratio = seen.losses.scale_ratio.filter(|r| *r > 0.0 && r.is_finite())?;
    let (times, word) = match ratio {
        r if r <= TOO_SMALL => (1.0 / r, "small"),
        r if r >= TOO_LARGE => (r, "large"),
        _ => return None,
    };
    let scale = seen.laid.pair.scale.as_ref().map(to_f64).and_then(|s| s.into_iter().reduce(f64::max))?;
    let (_, greatest) = seen.losses.representable;
    let advice = match seen.laid.fixed && ratio > 1.0 && (0.5..2.0).contains(&greatest) {
        // No calibration changes it.
        true => format!(
            "give '{0}' 16 bits, or leave it unquantised (untried): a quantiser gives it 0 to 1 whatever the data",
            seen.laid.pair.tensor
        ),
        false => seen.again(),
    };
    Some(Suspicion {
        code: "scale-mismatch",
        evidence: format!(
            "the scale {} of {} covers {} .. {}, and its values are {} .. {}: it is {} times too {word}",
            num(scale),
            seen.laid.place,
            num(seen.losses.representable.0),
            num(seen.losses.representable.1),
            num(seen.losses.range.0),
            num(seen.losses.range.1),
            num(times),
        ),
        advice,
        undo: undo(fitted(seen, is_symmetric(seen.laid.pair))),
    })
}

fn saturation(seen: &Seen) -> Option<Suspicion> {
    if seen.losses.clip_fraction <= TOLERABLE {
        return None;
    }
    Some(Suspicion {
        code: "int8-saturation",
        evidence: format!(
            "{} of {} are beyond {} .. {}, what {} holds with this scale and zero point; they go from {} to {}",
            percent(seen.losses.clip_fraction),
            seen.laid.place,
            num(seen.losses.representable.0),
            num(seen.losses.representable.1),
            seen.laid.pair.dtype,
            num(seen.losses.range.0),
            num(seen.losses.range.1),
        ),
        advice: seen.again(),
        undo: undo(fitted(seen, is_symmetric(seen.laid.pair))),
    })
}
