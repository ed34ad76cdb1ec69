//! What a side gave for all that it was fed with, where one sample may fail and the others are told.

use crate::found::fitted::Fitted;
use crate::lab::Side;
use crate::lab::first::{self, Plan};
use crate::run::{Answer, RunError};
use crate::tensor::Tensors;

/// By sample, size or step: its outputs, or why there are none.
pub type Values = Vec<Result<Tensors, RunError>>;

/// What a candidate gave.
pub struct Gave {
    /// For each of the feeds.
    pub values: Values,
    /// Step by step from its own outputs; empty where it does not decode.
    pub own: Vec<Tensors>,
    /// What was done so that they stand against the reference's.
    pub fitted: Vec<Fitted>,
    /// Seconds that each of `values` took, where the backend tells.
    pub seconds: Vec<f64>,
}

/// Seconds of each sample, where there is an answer and the backend tells.
pub fn seconds(answer: &Result<Answer, RunError>) -> Vec<f64> {
    answer.as_ref().map(|answer| answer.seconds.clone()).unwrap_or_default()
}

/// By sample: its outputs, or why there are none. Where all together fail, each is tried alone; but what cannot be built for the
/// first one either, for the same reason, is built for none.
pub fn each(answer: Result<Answer, RunError>, side: &Side, plan: &Plan) -> Result<Values, RunError> {
    let all = match answer {
        Ok(answer) => return Ok(answer.values.into_iter().map(Ok).collect()),
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(e) => e,
    };
    let mut values = Values::new();
    for feed in plan.feeds {
        match first::unmarked(side, &Plan { feeds: std::slice::from_ref(feed), ..*plan }) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(e) if values.is_empty() && e == all && is_of_no_sample(&e) => {
                return Ok(vec![Err(e); plan.feeds.len()]);
            }
            Err(e) => values.push(Err(e)),
            Ok(mut answer) => values.push(Ok(answer.values.pop().unwrap_or_default())),
        }
    }
    Ok(values)
}

/// Did it fail before it saw any data?
fn is_of_no_sample(e: &RunError) -> bool {
    matches!(e, RunError::Build { .. } | RunError::Missing(_))
}
