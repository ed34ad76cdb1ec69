//! Two tensors and a tolerance become an answer and the metrics. Pure: no file, no graph, no backend.

mod block;
pub mod device;
mod format;
mod histogram;
mod lanes;
#[cfg(test)]
mod oracle;
mod pass;
mod scale;
mod stats;
#[cfg(test)]
mod tests;
mod widen;

pub use scale::{Scale, each};
pub use stats::{argmax_differs, to_f64};

use serde::{Deserialize, Serialize};

use crate::found::{Metrics, Real, Status};
use crate::tensor::{Tensor, shape_text};
use block::Pair;
use format::Format;
use histogram::Histogram;
use pass::Sums;
use stats::Fractions;

/// `|c - r| <= atol + rtol |r|` for every element.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tolerance {
    /// Absolute, in the tensor's own unit.
    pub atol: f64,
    /// Relative to the element of the reference.
    pub rtol: f64,
}

/// The answer for one tensor of one sample.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// By the tolerance; whoever holds the rules may settle it otherwise.
    pub status: Status,
    /// What differs besides the numbers (shape, element type), or why nothing was compared.
    pub why: Option<String>,
    /// `None` where no element could be set against another.
    pub metrics: Option<Metrics>,
}

/// Compares a candidate's tensor with the reference's, in one pass over both.
///
/// NaN agrees with NaN and an infinity with the same infinity; any other NaN or infinity is a mismatch. Element types
/// that differ are compared by their values, in the format of the reference; shapes that differ diverge.
pub fn compare(reference: &Tensor, candidate: &Tensor, tolerance: Tolerance) -> Comparison {
    if reference.shape != candidate.shape {
        let why =
            format!("shape: reference {}, candidate {}", shape_text(&reference.shape), shape_text(&candidate.shape));
        return Comparison { status: Status::Diverges, why: Some(why), metrics: None };
    }
    let why = (reference.dtype != candidate.dtype)
        .then(|| format!("dtype: reference {}, candidate {}", reference.dtype, candidate.dtype));
    let metrics = match (reference.as_strings(), candidate.as_strings()) {
        (Some(r), Some(c)) => compare_strings(r, c, &reference.shape),
        (None, None) => compare_numbers(reference, candidate, tolerance),
        _ => return Comparison { status: Status::Diverges, why, metrics: None },
    };
    Comparison::of(metrics, why)
}

impl Comparison {
    /// Where every element was set against another.
    fn of(metrics: Metrics, why: Option<String>) -> Comparison {
        let status = if metrics.mismatched > 0 { Status::Diverges } else { Status::Agrees };
        Comparison { status, why, metrics: Some(metrics) }
    }
}

fn compare_numbers(reference: &Tensor, candidate: &Tensor, tolerance: Tolerance) -> Metrics {
    let format = Format::of(reference.dtype);
    let (sums, histogram) = pass::measure(&Pair::new(reference, candidate), format, tolerance);
    let metrics = metrics(&sums, &histogram, format, &reference.shape);
    if sums.overflow_squared() { of_fractions(metrics, &Fractions::of(reference, candidate)) } else { metrics }
}

/// What is made of squares, where those are no f64 any more.
fn of_fractions(metrics: Metrics, fractions: &Fractions) -> Metrics {
    let [rr, cc, rc, ee] = fractions.sums;
    let rmse = (ee / fractions.finite.max(1) as f64).sqrt() * fractions.error * fractions.unit;
    let sums = Sums { rr, cc, rc, ee, ..Sums::none() };
    // The errors are counted in a unit of their own.
    let sqnr_db = sqnr_db(&sums) - if ee == 0.0 { 0.0 } else { 20.0 * fractions.error.log10() };
    Metrics { cosine: Real(cosine(&sums)), sqnr_db: Real(sqnr_db), rmse: Real(rmse), ..metrics }
}

/// Strings are equal or not: there is no number for how far apart they are.
fn compare_strings(reference: &[String], candidate: &[String], shape: &[usize]) -> Metrics {
    let mut different = (0..reference.len()).filter(|i| reference[*i] != candidate[*i]);
    let first = different.next();
    let none = Metrics { cosine: Real(1.0), sqnr_db: Real(f64::INFINITY), ..Metrics::default() };
    let errors = if first.is_some() { none.without_error() } else { none };
    Metrics {
        mismatched: first.iter().count() as u64 + different.count() as u64,
        elements: reference.len() as u64,
        first_mismatch: first.map_or(Vec::new(), |at| index(at, shape)),
        ref_min: Real(f64::NAN),
        ref_max: Real(f64::NAN),
        ..errors
    }
}

fn metrics(sums: &Sums, histogram: &Histogram, format: Format, shape: &[usize]) -> Metrics {
    let elements: usize = shape.iter().product();
    let per_pair = |total: f64| Real(if sums.finite == 0 { 0.0 } else { total / sums.finite as f64 });
    let fraction = |count: u64| Real(if elements == 0 { 0.0 } else { count as f64 / elements as f64 });
    let bounded = |x: f64| Real(if sums.min_r <= sums.max_r { x } else { f64::NAN });
    let max_ulp = if format.integer { sums.max_e } else { sums.max_scaled * 2f64.powi(format.mantissa) };
    let metrics = Metrics {
        max_abs: Real(sums.max_e),
        mean_abs: per_pair(sums.e),
        p99_abs: Real(histogram.percentile(0.99).min(sums.max_e)),
        max_rel: Real(sums.max_rel),
        mean_rel: per_pair(sums.rel),
        rmse: Real(per_pair(sums.ee).0.sqrt()),
        cosine: Real(cosine(sums)),
        sqnr_db: Real(sqnr_db(sums)),
        max_ulp: Real(max_ulp),
        mismatched: sums.mismatched,
        elements: elements as u64,
        ref_min: bounded(sums.min_r),
        ref_max: bounded(sums.max_r),
        ref_nonfinite: sums.ref_nonfinite,
        cand_nonfinite: sums.cand_nonfinite,
        overflow_fraction: fraction(sums.overflow),
        subnormal_fraction: fraction(sums.subnormal),
        first_mismatch: sums.first_mismatch.map_or(Vec::new(), |at| index(at, shape)),
        sample: 0,
        part: None,
    };
    // The rest does not stand for the tensor where NaN or infinities are in other places, or where there is no rest.
    let no_pair = sums.finite == 0 && elements > 0;
    if sums.odd > 0 || no_pair { metrics.without_error() } else { metrics }
}

/// Of equal tensors exactly 1, which rounding in the sums would miss.
fn cosine(sums: &Sums) -> f64 {
    match (sums.rr == 0.0, sums.cc == 0.0) {
        _ if sums.ee == 0.0 => 1.0,
        (true, true) => 1.0,
        (false, false) => (sums.rc / (sums.rr.sqrt() * sums.cc.sqrt())).clamp(-1.0, 1.0),
        _ => 0.0,
    }
}

fn sqnr_db(sums: &Sums) -> f64 {
    if sums.ee == 0.0 { f64::INFINITY } else { 10.0 * (sums.rr / sums.ee).log10() }
}

/// The position of element `at` in a row-major tensor.
fn index(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, size) in index.iter_mut().zip(shape).rev() {
        *i = at % size;
        at /= size;
    }
    index
}
