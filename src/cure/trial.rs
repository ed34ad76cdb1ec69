//! One trial: what a set of nodes did to the outputs. Runs nothing.

use crate::found::{Metrics, Status};
use crate::judge::Rules;
use crate::search::Answer;
use crate::tensor::Tensors;

/// One trial: some nodes cured (in FP32, or unquantised), all others as they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Good: the outputs agree.
    pub answer: Answer,
    /// One number for the outputs, smaller is better; NaN counts as infinite.
    pub error: f64,
}

impl Trial {
    /// Nothing ran.
    pub const FAILED: Trial = Trial { answer: Answer::Unknown, error: f64::INFINITY };

    /// What came out for each sample against what is right for it. The error is the largest of all `outputs` and samples,
    /// [`Metrics::relative`]; where a value is missing, or cannot be compared, the answer is unknown unless another is bad.
    pub fn judged(rules: &Rules, outputs: &[String], right: &[Tensors], values: &[Tensors]) -> Trial {
        let mut trial = Trial { answer: Answer::Good, error: 0.0 };
        for (got, right) in values.iter().zip(right) {
            for name in outputs {
                let (Some(got), Some(right)) = (got.get(name), right.get(name)) else {
                    trial.answer = Answer::Unknown;
                    continue;
                };
                let verdict = rules.judge_output(name, right, got);
                trial.error = trial.error.max(verdict.metrics.as_ref().map_or(f64::INFINITY, Metrics::relative));
                trial.answer = match (verdict.status, trial.answer) {
                    (Status::Diverges, _) => Answer::Bad,
                    (Status::NotCompared, Answer::Good) => Answer::Unknown,
                    (_, answer) => answer,
                };
            }
        }
        trial
    }
}
