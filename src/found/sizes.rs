//! What the report says of other sizes of the data: every size of a sweep, and the rows of a batch alone and together. Values
//! only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Status, TensorResult, Verdict};

/// The size of each swept dimension: `{"batch": 2}`.
pub type Size = BTreeMap<String, usize>;

/// By which sizes are put in order: the smallest sample first.
pub fn order(size: &Size) -> (usize, Vec<usize>) {
    (size.values().product(), size.values().copied().collect())
}

/// All that was tried before one size was chosen.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// The smallest sample first.
    pub sweep: Vec<SizeVerdict>,
    /// The rows of a batch, if they were asked about.
    pub batch: Option<Batch>,
}

/// One size of a sweep.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct SizeVerdict {
    /// By dimension: `{"batch": 2}`.
    pub size: Size,
    /// Candidate against reference.
    pub verdict: Verdict,
    /// Why there is no answer: a size that an engine was not built for, for example.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Each judged output.
    pub outputs: Vec<TensorResult>,
}

/// Rows of a batch, each alone, repeated until it fills the batch, and inside of its batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Batch {
    /// How many.
    pub rows: usize,
    /// Where a model mixes its rows by itself, so does the reference.
    pub reference: BatchOf,
    /// The run under suspicion.
    pub candidate: BatchOf,
    /// The first row, from 0, that the candidate makes otherwise in a batch, where the reference does not.
    pub first_bad_row: Option<usize>,
}

/// The rows of one side.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BatchOf {
    /// Is every row the same alone, repeated and in its batch?
    pub verdict: Verdict,
    /// What is otherwise, or why there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Row by row; none where a run failed.
    pub rows: Vec<RowOfBatch>,
}

/// One row, in its batch and not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RowOfBatch {
    /// From 0.
    pub row: usize,
    /// In its batch against alone.
    pub alone: Status,
    /// At this place among equal rows, against that row alone: the worst of all rows.
    pub repeated: Status,
}

impl RowOfBatch {
    /// Is it another one in its batch?
    pub fn is_bad(&self) -> bool {
        self.alone == Status::Diverges || self.repeated == Status::Diverges
    }
}

impl Sizes {
    /// The smallest size that diverges.
    pub fn first_bad(&self) -> Option<&Size> {
        self.sweep.iter().find(|tried| tried.verdict == Verdict::Diverged).map(|tried| &tried.size)
    }

    /// What the sizes add to the verdict on the outputs of the chosen one.
    pub fn verdict(&self, outputs: (Verdict, Option<String>)) -> (Verdict, Option<String>) {
        if outputs.0 != Verdict::Agreed {
            return outputs;
        }
        if let Some(batch) = self.batch.as_ref().filter(|batch| batch.candidate.verdict != Verdict::Agreed) {
            // Rows that the model itself mixes are no fault of the candidate's.
            let own = batch.reference.verdict == Verdict::Diverged;
            let verdict = if own { Verdict::Agreed } else { batch.candidate.verdict };
            return (verdict, batch.candidate.why.clone());
        }
        match self.sweep.iter().find(|tried| tried.verdict == Verdict::Inconclusive) {
            Some(tried) => {
                let why = tried.why.clone().unwrap_or_else(|| "it gave no answer".to_string());
                (Verdict::Inconclusive, Some(format!("{}: {why}", told(&tried.size))))
            }
            None => outputs,
        }
    }
}

/// `batch=2, seq=16`
pub fn told(size: &Size) -> String {
    size.iter().map(|(dim, n)| format!("{dim}={n}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_without_an_answer_is_no_agreement() {
        use Verdict::*;
        let tried = |n: usize, verdict| SizeVerdict {
            size: [("batch".to_string(), n)].into(),
            verdict,
            ..SizeVerdict::default()
        };
        let sizes = |sweep: &[SizeVerdict]| Sizes { sweep: sweep.to_vec(), batch: None };
        let agreed = || (Agreed, None);
        assert_eq!(sizes(&[tried(1, Agreed)]).verdict(agreed()), agreed());
        let (verdict, why) = sizes(&[tried(1, Agreed), tried(2, Inconclusive)]).verdict(agreed());
        assert_eq!((verdict, why.as_deref()), (Inconclusive, Some("batch=2: it gave no answer")));
        let found = sizes(&[tried(1, Inconclusive), tried(2, Diverged), tried(4, Diverged)]);
        assert_eq!(found.first_bad().map(told).as_deref(), Some("batch=2"));
        assert_eq!(found.verdict((Diverged, None)), (Diverged, None));
    }
}
