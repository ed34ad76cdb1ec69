//! Several samples, one answer: the worst one's.

use crate::compare::Comparison;
use crate::found::{Status, TensorResult, badness};
use crate::tensor::Tensor;

/// The verdict over all samples: the worst one's numbers. `verdict` is that of one sample; `None`: the candidate has no value.
pub fn worst(
    name: &str,
    node: String,
    references: &[Option<&Tensor>],
    verdict: impl Fn(usize, &Tensor) -> Option<Comparison>,
) -> TensorResult {
    let shown = references.iter().find_map(|r| *r);
    let mut result = TensorResult {
        name: name.to_string(),
        node,
        dtype: shown.map_or(String::new(), |t| t.dtype.to_string()),
        shape: shown.map_or(Vec::new(), |t| t.shape.clone()),
        status: Status::NotCompared,
        why: Some("no sample gave a value for it".to_string()),
        metrics: None,
    };
    let mut missing = None;
    for (sample, reference) in references.iter().enumerate() {
        let Some(reference) = reference else {
            missing = Some("the reference gave no value for it".to_string());
            continue;
        };
        let Some(mut verdict) = verdict(sample, reference) else {
            missing = Some("the candidate gave no value for it".to_string());
            continue;
        };
        if let Some(m) = verdict.metrics.as_mut() {
            m.sample = sample;
        }
        let worse = badness(verdict.status, verdict.metrics.as_ref()) > result.badness();
        let first = result.metrics.is_none() && result.status == Status::NotCompared;
        if worse || first {
            result.status = verdict.status;
            (result.why, result.metrics) = (verdict.why, verdict.metrics);
            result.shape = reference.shape.clone();
        }
    }
    // A sample without a value is not an agreement.
    if let (Some(why), Status::Agrees) = (&missing, result.status) {
        result.status = Status::NotCompared;
        result.why = Some(why.clone());
    } else if let (Some(why), Status::NotCompared) = (missing, result.status) {
        result.why = Some(why);
    }
    result
}
