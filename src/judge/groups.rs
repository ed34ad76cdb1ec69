//! A tensor's elements in groups that are judged each by itself: the parts that it was put together of, and, in each, those
//! that are of a size of their own.

use std::ops::Range;

use super::allowance::Allowance;
use crate::compare::{self, Comparison, Scale, Tolerance};
use crate::found::{Metrics, PartError, Real, Status};
use crate::tensor::Tensor;

/// Below this nothing of a part matters beside parts that are [`MATTERS`] times as large, in a low precision.
const NOTHING: f64 = 1e-6;
const MATTERS: f64 = 1024.0;

/// What became of one group.
struct Judged {
    /// The part it is (of).
    part: Option<String>,
    metrics: Metrics,
    agrees: bool,
}

/// Judges both group by group; `None` where there is one group only, or values that cannot be taken apart. `whole` is the
/// comparison of everything, whose counts and extremes stay.
pub fn judged(allowance: &Allowance, reference: &Tensor, candidate: &Tensor, whole: &Comparison) -> Option<Comparison> {
    let metrics = whole.metrics.as_ref()?;
    if !is_simple(reference) || !is_simple(candidate) {
        return None;
    }
    let mut levels: Vec<Vec<Judged>> = Vec::new();
    for cut in allowance.parts.iter().filter(|cut| cut.elements == reference.elements()) {
        let groups = (0..cut.parts.len()).flat_map(|part| {
            let ranges = cut.ranges(part);
            let (r, c) = (taken(reference, &ranges), taken(candidate, &ranges));
            let largest = metrics.ref_max.0.abs().max(metrics.ref_min.0.abs());
            by_size(allowance, r, c, Some((cut.told(part), largest)))
        });
        levels.push(groups.collect());
    }
    if levels.is_empty() {
        let groups = by_size(allowance, reference.clone(), candidate.clone(), None);
        if groups.len() < 2 {
            return None;
        }
        levels.push(groups);
    }
    Some(joined(&levels, whole, metrics, allowance))
}

/// The smallest atol of any part; `None` where there are none.
pub fn smallest(allowance: &Allowance, reference: &Tensor) -> Option<f64> {
    let cuts = allowance.parts.iter().filter(|cut| cut.elements == reference.elements() && is_simple(reference));
    let parts = cuts.flat_map(|cut| (0..cut.parts.len()).map(|part| taken(reference, &cut.ranges(part))));
    parts.map(|part| allowance.tolerance(Scale::of(&part).rms, false).0).reduce(f64::min)
}

/// Can its elements be taken apart?
fn is_simple(t: &Tensor) -> bool {
    t.dtype.is_float() && t.dtype.bits() >= 8
}

/// Ordinary elements, and those of a size of their own. `part`: what it is called, and the largest value of the whole.
fn by_size(allowance: &Allowance, r: Tensor, c: Tensor, part: Option<(String, f64)>) -> Vec<Judged> {
    let scale = Scale::of(&r);
    let name = part.as_ref().map(|(name, _)| name.clone());
    let Some(limit) = scale.beyond else {
        let alone = part.is_none();
        return vec![one(allowance, (&r, &c), scale.rms, alone, part)];
    };
    let own = runs(&compare::to_f64(&r), |x| x.abs() >= limit && x.is_finite());
    let rest = runs(&compare::to_f64(&r), |x| !(x.abs() >= limit && x.is_finite()));
    let of = |ranges: &[Range<usize>], rms: Option<f64>| {
        let (r, c) = (taken(&r, ranges), taken(&c, ranges));
        let rms = rms.unwrap_or_else(|| Scale::of(&r).rms);
        one(allowance, (&r, &c), rms, false, part.clone())
    };
    let (mut ordinary, mut large) = (of(&rest, Some(scale.rms)), of(&own, None));
    (ordinary.part, large.part) = (name.clone(), name);
    vec![ordinary, large]
}

fn one(
    allowance: &Allowance,
    (r, c): (&Tensor, &Tensor),
    scale: f64,
    alone: bool,
    part: Option<(String, f64)>,
) -> Judged {
    let (atol, rtol) = allowance.tolerance(scale, alone);
    let compared = compare::compare(r, c, Tolerance { atol, rtol });
    let metrics = compared.metrics.unwrap_or_default();
    let agrees = compared.status == Status::Agrees || allowance.floor().explains(&metrics);
    let (part, beside) = part.map_or((None, 0.0), |(name, largest)| (Some(name), largest));
    let largest = metrics.ref_max.0.abs().max(metrics.ref_min.0.abs());
    let nothing = allowance.precision.low().is_some() || allowance.floor().sqnr_db < 20.0;
    let negligible = nothing && !metrics.breaks() && largest <= NOTHING && metrics.max_abs.0 <= NOTHING;
    Judged { part, metrics, agrees: agrees || negligible && beside >= MATTERS * largest }
}

/// One answer: the worst group's SQNR and cosine stand for the tensor where sizes differ, and for the part where parts do.
fn joined(levels: &[Vec<Judged>], whole: &Comparison, metrics: &Metrics, allowance: &Allowance) -> Comparison {
    let bad = |groups: &&Vec<Judged>| groups.iter().any(|g| !g.agrees);
    let Some(groups) = levels.iter().find(bad).or(levels.first()) else { return whole.clone() };
    // Among those that agree, the worst that is more than nothing.
    let key = |g: &&Judged| (g.agrees, g.metrics.decibels());
    let order = |a: &&Judged, b: &&Judged| key(a).0.cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1));
    let Some(worst) = groups.iter().min_by(order) else { return whole.clone() };
    let mismatched = groups.iter().map(|g| g.metrics.mismatched).sum();
    let mut joined = Metrics { mismatched, ..metrics.clone() };
    if mismatched == 0 {
        joined.first_mismatch.clear();
    }
    match &worst.part {
        Some(part) if !worst.agrees => joined.part = Some(PartError::of(part.clone(), &worst.metrics)),
        Some(_) => {}
        None => (joined.sqnr_db, joined.cosine) = (worst.metrics.sqnr_db, worst.metrics.cosine),
    }
    let why = match (worst.agrees, &worst.part) {
        (false, Some(part)) => {
            Some(format!("part {part} diverges: by itself its SQNR is {:.1} dB", db(&worst.metrics)))
        }
        (false, None) => None,
        (true, _) if mismatched == 0 => None,
        (true, _) => {
            let beyond = format!("{mismatched} of {} elements beyond atol and rtol", metrics.elements);
            Some(format!("{beyond}, but {:.1} dB is what {} explains", db(&worst.metrics), allowance.told()))
        }
    };
    let status = if worst.agrees { Status::Agrees } else { Status::Diverges };
    Comparison { status, why: why.or_else(|| whole.why.clone()), metrics: Some(joined) }
}

fn db(metrics: &Metrics) -> f64 {
    let Real(db) = metrics.sqnr_db;
    db
}

/// The elements in these ranges, as a tensor of one dimension.
fn taken(tensor: &Tensor, ranges: &[Range<usize>]) -> Tensor {
    let (bytes, size) = (tensor.bytes(), tensor.dtype.bits() / 8);
    let mut out = Vec::with_capacity(ranges.iter().map(|r| r.len() * size).sum());
    for range in ranges {
        out.extend_from_slice(bytes.get(range.start * size..range.end * size).unwrap_or_default());
    }
    let elements = out.len() / size.max(1);
    Tensor::new(tensor.dtype, vec![elements], out).unwrap_or_else(|_| Tensor::f32(&[0], &[]))
}

/// Where the values satisfy `holds`, as ranges.
fn runs(values: &[f64], holds: impl Fn(f64) -> bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (at, _) in values.iter().enumerate().filter(|(_, x)| holds(**x)) {
        match ranges.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => ranges.push(at..at + 1),
        }
    }
    ranges
}
