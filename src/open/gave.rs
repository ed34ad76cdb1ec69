//! What a side gave for all that it was fed with, where one sample may fail and the others are told.

use crate::lab::first::Plan;
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
    /// Seconds that each of `values` took, where the backend tells.
    pub seconds: Vec<f64>,
}

/// Seconds of each sample, where there is an answer and the backend tells.
pub fn seconds(answer: &Result<Answer, RunError>) -> Vec<f64> {
    answer.as_ref().map(|answer| answer.seconds.clone()).unwrap_or_default()
}

/// By sample: its outputs, or why there are none. Where all together fail, each is tried alone.
pub fn each(
    answer: Result<Answer, RunError>,
    plan: &Plan,
    run: impl Fn(&Plan) -> Result<Answer, RunError>,
) -> Result<Values, RunError> {
    let one = |feed: &Tensors| {
        let plan = Plan { feeds: std::slice::from_ref(feed), ..*plan };
        match run(&plan) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(e) => Ok(Err(e)),
            Ok(mut answer) => Ok(Ok(answer.values.pop().unwrap_or_default())),
        }
    };
    match answer {
        Ok(answer) => Ok(answer.values.into_iter().map(Ok).collect()),
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => plan.feeds.iter().map(one).collect(),
    }
}
