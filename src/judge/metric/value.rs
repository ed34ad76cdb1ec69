//! What each metric says of two tensors of one shape whose NaN and infinities are the same; and of which tensors it can say
//! nothing. Takes no decision about the verdict.

use super::OutputMetric;
use crate::compare;
use crate::found::Metrics;
use crate::found::words::{count, number};
use crate::judge::rank;
use crate::tensor::{DType, Tensor};

/// What a metric says of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// The value satisfies the threshold.
    Holds(String),
    /// It does not.
    Fails(String),
    /// The metric is not defined here, or would be satisfied by anything: why. Something else can judge.
    Nothing(String),
    /// There is nothing to judge by whatever measure.
    Vacuous(String),
}

impl OutputMetric {
    /// Why it says nothing of outputs of this type and shape, as far as they are known; an axis of unknown size is `None`.
    pub fn refuses(self, dtype: Option<DType>, shape: Option<&[Option<usize>]>) -> Option<String> {
        let by_type = dtype.and_then(|dtype| self.refuses_type(dtype));
        by_type.or_else(|| self.refuses_shape(shape?))
    }

    fn refuses_type(self, dtype: DType) -> Option<String> {
        use OutputMetric::{Cosine, Sqnr, TopK};
        match (self, dtype) {
            (_, DType::String) => Some(format!("{self} is for numbers, and strings are equal or not")),
            (TopK(_), DType::Complex64 | DType::Complex128) => Some(format!("{self} ranks, and {dtype} has no order")),
            (Cosine(_) | Sqnr(_), dtype) if is_exact(dtype) => {
                Some(format!("{self} is for floats, and {dtype} is compared exactly"))
            }
            _ => None,
        }
    }

    fn refuses_shape(self, shape: &[Option<usize>]) -> Option<String> {
        match self {
            OutputMetric::TopK(k) => match shape.last() {
                None => Some(format!("{self} ranks the values of a row, and a scalar has none")),
                Some(Some(width)) if (1..=k).contains(width) => {
                    Some(format!("{self} says nothing of rows of {width}: every value is among the {k} best"))
                }
                Some(_) => None,
            },
            OutputMetric::Cosine(_) if shape.iter().all(|size| *size == Some(1)) => {
                Some(format!("{self} says nothing of one element: it has no direction but its sign"))
            }
            _ => None,
        }
    }
}

/// Integers, truth values.
pub fn is_exact(dtype: DType) -> bool {
    !dtype.is_float() && !matches!(dtype, DType::Complex64 | DType::Complex128 | DType::String)
}

/// Of `measured`, the comparison of both, what a metric needs; of the tensors what no sum tells.
pub fn said(metric: OutputMetric, measured: &Metrics, reference: &Tensor, candidate: &Tensor) -> Said {
    let shape: Vec<Option<usize>> = reference.shape.iter().map(|size| Some(*size)).collect();
    if measured.elements == 0 {
        return Said::Vacuous("it has no elements, so there is nothing to judge".to_string());
    }
    if let Some(why) = metric.refuses(Some(reference.dtype), Some(&shape)) {
        return Said::Nothing(why);
    }
    let finite = measured.elements - measured.ref_nonfinite.min(measured.elements);
    if finite == 0 {
        return Said::Vacuous("no element of the reference is finite, so there is nothing to judge".to_string());
    }
    let equal = measured.max_abs.0 == 0.0;
    let largest = measured.ref_max.0.abs().max(measured.ref_min.0.abs());
    let silent = largest == 0.0 && !equal;
    let least = |value: f64, least: f64, words: String| judged(equal || value >= least, words);
    let most =
        |value: f64, most: f64, name: &str| judged(value <= most, format!("{name} {} against {most}", number(value)));
    match metric {
        OutputMetric::Cosine(_) | OutputMetric::Sqnr(_) | OutputMetric::Psnr(_) if silent => {
            Said::Nothing(format!("{metric} says nothing where the reference is zero throughout"))
        }
        OutputMetric::Cosine(x) => {
            // Near 1 all that counts stands behind many nines.
            let digits = if measured.cosine.0 > 0.999_999 { 12 } else { 6 };
            least(measured.cosine.0, x, format!("cosine {:.digits$} against {x}", measured.cosine.0))
        }
        OutputMetric::Sqnr(x) => least(measured.sqnr_db.0, x, format!("SQNR {:.2} dB against {x}", measured.sqnr_db.0)),
        OutputMetric::Psnr(x) => {
            let psnr = 20.0 * (largest / measured.rmse.0).log10();
            let told = if equal { f64::INFINITY } else { psnr };
            least(psnr, x, format!("PSNR {told:.2} dB against {x}"))
        }
        OutputMetric::TopK(k) => top_k(reference, candidate, k),
        OutputMetric::L2(x) => most(measured.rmse.0 * (finite as f64).sqrt(), x, "L2 distance"),
        OutputMetric::P99(x) => most(p99(reference, candidate), x, "99th percentile of the error"),
        OutputMetric::Mean(x) => most(measured.mean_abs.0, x, "mean error"),
        OutputMetric::Max(x) => most(measured.max_abs.0, x, "largest error"),
    }
}

fn judged(holds: bool, words: String) -> Said {
    let words = format!("judged by {words}");
    if holds { Said::Holds(words) } else { Said::Fails(words) }
}

/// The `k` best of every row. Rows of NaN throughout have none on either side.
fn top_k(reference: &Tensor, candidate: &Tensor, k: usize) -> Said {
    let width = reference.shape.last().copied().unwrap_or(1).max(1);
    let (reference, candidate) = (compare::to_f64(reference), compare::to_f64(candidate));
    let other = |(r, c): &(&[f64], &[f64])| !rank::are_best(r, &rank::best(c, k));
    let rows = reference.chunks(width).zip(candidate.chunks(width));
    let others: Vec<usize> = rows.enumerate().filter(|(_, row)| other(row)).map(|(number, _)| number).collect();
    let (n, of) = (count(others.len() as u64), count((reference.len() / width) as u64));
    let first = others.first().map_or(String::new(), |row| format!(", the first is row {row}"));
    let best = if k == 1 { "best".to_string() } else { format!("{k} best") };
    judged(others.is_empty(), format!("the {best} of each row: {n} of {of} rows have others{first}"))
}

/// The smallest error that 99 of 100 finite elements do not exceed. Exact, where [`Metrics::p99_abs`] is read from a histogram.
fn p99(reference: &Tensor, candidate: &Tensor) -> f64 {
    let pairs = compare::to_f64(reference).into_iter().zip(compare::to_f64(candidate));
    let mut errors: Vec<f64> =
        pairs.filter(|(r, c)| r.is_finite() && c.is_finite()).map(|(r, c)| (c - r).abs()).collect();
    let at = (0.99 * errors.len() as f64).ceil() as usize;
    match at.checked_sub(1) {
        Some(at) => *errors.select_nth_unstable_by(at, f64::total_cmp).1,
        None => 0.0,
    }
}
