//! `--metric`: judges of final outputs in place of the tolerance. No file, no backend.

use super::{Rules, is_exact};
use crate::compare::{self, Comparison};
use crate::found::Status;
use crate::tensor::Tensor;

/// A judge of final outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutputMetric {
    /// At least this cosine.
    Cosine(f64),
    /// At least this many dB.
    Sqnr(f64),
    /// Every row's K best indices are the same set.
    TopK(usize),
}

impl Rules {
    /// A final output: by `--metric` where one is given.
    pub fn judge_output(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Comparison {
        if let Some(why) = vacuous(reference, candidate) {
            let compared = self.judge(name, reference, candidate);
            return Comparison { status: Status::NotCompared, why: Some(why.to_string()), ..compared };
        }
        let Some(metric) = self.metric else { return self.judge(name, reference, candidate) };
        let mut verdict = compare::compare(reference, candidate, self.tolerance(name, reference));
        let Some(m) = &verdict.metrics else { return verdict };
        let (holds, what) = match metric {
            OutputMetric::Cosine(least) => (m.cosine.0 >= least, format!("cosine {:.6} against {least}", m.cosine.0)),
            OutputMetric::Sqnr(least) => (m.sqnr_db.0 >= least, format!("SQNR {:.2} dB against {least}", m.sqnr_db.0)),
            OutputMetric::TopK(k) => (same_top_k(reference, candidate, k), format!("the {k} best of each row")),
        };
        verdict.status = if holds { Status::Agrees } else { Status::Diverges };
        verdict.why = Some(format!("judged by {what}"));
        verdict
    }
}

/// Why two outputs show nothing, whatever they are.
fn vacuous(reference: &Tensor, candidate: &Tensor) -> Option<&'static str> {
    let nan = |t: &Tensor| t.elements() > 0 && !is_exact(t.dtype) && compare::to_f64(t).iter().all(|x| x.is_nan());
    if reference.shape != candidate.shape {
        return None;
    }
    if reference.elements() == 0 {
        return Some("it has no element");
    }
    (nan(reference) && nan(candidate)).then_some("it is NaN throughout, in the reference too")
}

/// Are the `k` best indices along the last axis the same set in every row? Different shapes: no.
fn same_top_k(reference: &Tensor, candidate: &Tensor, k: usize) -> bool {
    let width = match reference.shape.last() {
        Some(width) if reference.shape == candidate.shape && *width > 0 => *width,
        _ => return reference.shape == candidate.shape,
    };
    let best = |row: &[f64]| {
        let mut order: Vec<usize> = (0..row.len()).collect();
        // NaN is worse than everything; ties go to the first.
        let key = |i: &usize| if row[*i].is_nan() { f64::NEG_INFINITY } else { row[*i] };
        order.sort_by(|a, b| key(b).total_cmp(&key(a)));
        order.truncate(k);
        order.sort_unstable();
        order
    };
    let (reference, candidate) = (compare::to_f64(reference), compare::to_f64(candidate));
    reference.chunks(width).zip(candidate.chunks(width)).all(|(r, c)| best(r) == best(c))
}

impl std::str::FromStr for OutputMetric {
    type Err = String;

    fn from_str(text: &str) -> Result<OutputMetric, String> {
        let wrong = || format!("'{text}' is no metric; use cosine=0.999, sqnr=30 (dB) or topk=5");
        let (name, value) = text.split_once('=').ok_or_else(wrong)?;
        let number = || value.parse::<f64>().ok().filter(|x| x.is_finite()).ok_or_else(wrong);
        match name {
            "cosine" => Ok(OutputMetric::Cosine(number()?)),
            "sqnr" => Ok(OutputMetric::Sqnr(number()?)),
            "topk" => Ok(OutputMetric::TopK(value.parse().ok().filter(|k| *k > 0).ok_or_else(wrong)?)),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_k_looks_at_sets_row_by_row() {
        let t = |v: &[f32]| Tensor::f32(&[2, v.len() / 2], v);
        let reference = t(&[0.1, 0.7, 0.2, 0.5, 0.4, 0.1]);
        assert!(same_top_k(&reference, &t(&[0.1, 0.2, 0.7, 0.4, 0.5, 0.1]), 2));
        assert!(!same_top_k(&reference, &t(&[0.1, 0.2, 0.7, 0.4, 0.5, 0.1]), 1));
        assert!(!same_top_k(&reference, &t(&[0.1, f32::NAN, 0.2, 0.5, 0.4, 0.1]), 1));
        assert!(!same_top_k(&reference, &Tensor::f32(&[6], &[0.0; 6]), 1));
    }

    #[test]
    fn metrics_are_parsed() {
        assert_eq!("cosine=0.99".parse(), Ok(OutputMetric::Cosine(0.99)));
        assert_eq!("topk=5".parse(), Ok(OutputMetric::TopK(5)));
        for wrong in ["cosine", "topk=0", "sqnr=x", "kl=1", "cosine=NaN"] {
            assert!(wrong.parse::<OutputMetric>().is_err(), "{wrong}");
        }
    }
}
