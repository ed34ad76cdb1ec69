//! What the report says of a model that decodes: step by step, fed by the reference and by its own outputs. Values only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{TensorResult, Verdict};

/// All steps, and how one follows from the other.
#[derive(Clone, Debug, Default)]
pub struct Steps {
    /// In order.
    pub steps: Vec<StepVerdict>,
    /// How they follow.
    pub decoding: Option<Decoding>,
}

/// How a step follows from the one before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decoding {
    /// A sentence each.
    pub rules: Vec<String>,
    /// The first step, from 0, after which the two sides go on with different tokens; null where they never do.
    pub first_token: Option<usize>,
    /// The step whose state the rest of the report is about.
    pub searched: usize,
    /// Every step alone is within tolerance, and fed by its own outputs the candidate leaves it: from this step on.
    pub drifts_from: Option<usize>,
}

/// One step.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct StepVerdict {
    /// From 0.
    pub step: usize,
    /// With the reference's state and tokens on both sides.
    pub verdict: Verdict,
    /// Why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Each judged output, with the reference's state.
    pub outputs: Vec<TensorResult>,
    /// With its own state and tokens; null from the step on where its tokens are others, and where it cannot decode.
    pub own: Option<OwnStep>,
    /// The tokens that this step says, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<Tokens>,
}

/// The candidate by itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct OwnStep {
    /// Against the reference by itself.
    pub verdict: Verdict,
    /// Each judged output.
    pub outputs: Vec<TensorResult>,
}

/// What the best of the last position is, by row of the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// The reference's.
    pub reference: Vec<i64>,
    /// The candidate's, with the reference's state.
    pub candidate: Vec<i64>,
    /// The candidate's by itself; empty where it did not decode.
    pub own: Vec<i64>,
}

impl Steps {
    /// The first step that diverges with the reference's state, else the first that does by itself.
    pub fn first_bad(&self) -> Option<usize> {
        let forced = self.steps.iter().find(|step| step.verdict == Verdict::Diverged).map(|step| step.step);
        forced.or_else(|| self.decoding.as_ref()?.drifts_from)
    }

    /// Of a candidate that drifts, the part of the tolerance that one step may use up: what each adds comes again in the next.
    pub fn share(&self) -> Option<f64> {
        self.decoding.as_ref()?.drifts_from.map(|_| 1.0 / self.steps.len().max(1) as f64)
    }

    /// What the steps add to the verdict on the outputs of the chosen one.
    pub fn verdict(&self, outputs: (Verdict, Option<String>)) -> (Verdict, Option<String>) {
        if outputs.0 != Verdict::Agreed || self.steps.is_empty() {
            return outputs;
        }
        if let Some(from) = self.decoding.as_ref().and_then(|decoding| decoding.drifts_from) {
            let why = format!(
                "every step alone is within tolerance, and fed by its own outputs the candidate leaves it at step {from}"
            );
            return (Verdict::Diverged, Some(why));
        }
        match self.steps.iter().find(|step| step.verdict == Verdict::Inconclusive) {
            Some(step) => {
                let why = step.why.clone().unwrap_or_else(|| "it gave no answer".to_string());
                (Verdict::Inconclusive, Some(format!("step {}: {why}", step.step)))
            }
            None => outputs,
        }
    }
}
