//! What the report says of outputs that decide something: which labels, indices or best classes changed, how narrowly, and
//! how many samples and rows diverge. Values only: what is a decision, and what is narrow, is judged elsewhere.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words::{index, number};
use super::{Metrics, Note, Real, Status};

/// What the final outputs say besides how far they are apart.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// One for each sample, where there are several, or rows of a batch.
    pub samples: Vec<SampleVerdict>,
    /// One for each output that decides something.
    pub decisions: Vec<Decisions>,
    /// What outputs are judged by in place of the tolerance, as users write it.
    pub metrics: Vec<String>,
    /// Of all outputs together, where a command of the user's judges.
    pub command: Option<CommandVerdict>,
    /// What else is to be known.
    pub notes: Vec<Note>,
    /// Outputs that diverge by what they are judged by, and are within the tolerance.
    pub within_tolerance: Vec<String>,
}

/// What an output of both runs decides, over all samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Decisions {
    /// Name of the output.
    pub output: String,
    /// What a decision is.
    pub kind: DecisionKind,
    /// Decisions are asked about (--labels, --metric topk), or the output is made of labels; else it may be something else,
    /// an embedding for example, whose largest value means nothing.
    pub asked: bool,
    /// Scores: the best of each row that are told. 1 for labels.
    pub k: usize,
    /// Rows (scores) or elements (labels) of all samples that were compared; rows with NaN in the reference are not.
    pub rows: u64,
    /// Rows whose best is another one, elements that differ. Of equal values either choice is right.
    pub changed: u64,
    /// Of them, those whose change the tolerance explains: the reference's margin between its best and the candidate's is
    /// no more than what the tolerance allows both of them together. Always 0 for labels.
    pub near_ties: u64,
    /// Scores: rows whose set of the k best is another one, the best itself included; 0 where a row has no more than k.
    pub sets_changed: u64,
    /// The changed ones, the worst first; a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worst: Vec<ChangedDecision>,
}

/// What a decision is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DecisionKind {
    /// The best of a row of scores: logits, probabilities.
    #[default]
    Scores,
    /// An element by itself: a class, an index, a token, a truth value, a text.
    Labels,
}

/// One decision that changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangedDecision {
    /// From 0.
    pub sample: usize,
    /// Where it is: of scores the index of the row (without the last axis), of labels that of the element.
    pub at: Vec<usize>,
    /// Does the tolerance explain it? Null for labels, where no margin is known.
    pub near_tie: Option<bool>,
    /// Scores: the reference's margin between its best and the candidate's best. Null where there is none.
    pub margin: Option<Real>,
    /// The reference's choices, the best first.
    pub reference: Vec<Choice>,
    /// The candidate's.
    pub candidate: Vec<Choice>,
}

/// One choice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// Of scores the index in the row, of labels the value itself. Null for a text, and where 64 bits do not hold it.
    pub index: Option<i64>,
    /// The score. Null for labels.
    pub value: Option<Real>,
    /// What it is called, if --labels says so; of a text, the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The verdict of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SampleVerdict {
    /// From 0.
    pub sample: usize,
    /// The worst of its outputs.
    pub status: Status,
    /// Each judged output.
    pub outputs: Vec<OutputOfSample>,
}

/// An output of one sample.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputOfSample {
    /// Name of the output.
    pub name: String,
    /// As the whole output is judged.
    pub status: Status,
    /// Why it was not compared, or what differs besides the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Elements beyond the tolerance, of all elements; null where nothing was measured.
    pub beyond: Option<Real>,
    /// max |c - r|; null where nothing was measured.
    pub max_abs: Option<Real>,
    /// 20 log10(|r| / |r - c|); null where nothing was measured.
    pub sqnr_db: Option<Real>,
    /// Rows of the batch, where all inputs and this output share their first axis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<Rows>,
}

/// Rows of a batch in one output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rows {
    /// All of them.
    pub of: usize,
    /// Those that diverge: by the output's metric alone with the row, else with elements beyond what the tolerance of the
    /// whole output allows. 0 where the output agrees.
    pub diverge: usize,
    /// The one that is furthest off, from 0; null where the output agrees.
    pub worst: Option<usize>,
}

/// What the user's command said of all outputs together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandVerdict {
    /// As the user wrote it.
    pub command: String,
    /// "agrees" by exit status 0, "diverges" by 1, "not_compared" by any other.
    pub status: Status,
    /// The number on the last line of its standard output, if there is one.
    pub value: Option<Real>,
    /// Why it has no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl SampleVerdict {
    /// The worst of these outputs.
    pub fn of(sample: usize, outputs: Vec<OutputOfSample>) -> SampleVerdict {
        let with = |status: Status| outputs.iter().any(|output| output.status == status);
        let status = match (with(Status::Diverges), with(Status::NotCompared)) {
            (true, _) => Status::Diverges,
            (false, true) => Status::NotCompared,
            (false, false) => Status::Agrees,
        };
        SampleVerdict { sample, status, outputs }
    }
}

impl OutputOfSample {
    /// What a comparison says of it, where there was one.
    pub fn of(name: &str, status: Status, why: Option<String>, metrics: Option<&Metrics>) -> OutputOfSample {
        OutputOfSample {
            name: name.to_string(),
            status,
            why,
            beyond: metrics.map(|m| Real(m.mismatched as f64 / m.elements.max(1) as f64)),
            max_abs: metrics.map(|m| m.max_abs),
            sqnr_db: metrics.map(|m| m.sqnr_db),
            rows: None,
        }
    }
}

impl Decisions {
    /// Changed decisions that are told of one output.
    pub const TOLD: usize = 8;

    /// Of scores those that are no near-ties, then by margin; a few. Labels stay in their order.
    pub fn keep_worst(&mut self) {
        let margin = |row: &ChangedDecision| row.margin.map_or(f64::INFINITY, |margin| margin.0);
        if self.kind == DecisionKind::Scores {
            self.worst.sort_by(|a, b| a.near_tie.cmp(&b.near_tie).then(margin(b).total_cmp(&margin(a))));
        }
        self.worst.truncate(Decisions::TOLD);
    }
}

impl ChangedDecision {
    /// `row 3`, `row [0,3]`; of one element `[0]`.
    pub fn place(&self) -> String {
        match (self.near_tie, self.at.as_slice()) {
            (Some(_), [row]) => format!("row {row}"),
            (Some(_), rows) => format!("row {}", index(rows)),
            (None, at) => index(at),
        }
    }

    /// The best of both sides: `'cat' 0.710 -> 'dog' 0.700`. Labels come from files of others.
    pub fn told(&self) -> String {
        let best = |choices: &[Choice]| choices.first().map_or("nothing".to_string(), Choice::told);
        format!("{} -> {}", best(&self.reference), best(&self.candidate))
    }
}

impl Choice {
    /// `'cat' 0.710`, `17 0.710`, `800`.
    pub fn told(&self) -> String {
        let name = match (&self.label, self.index) {
            (Some(label), _) => format!("'{label}'"),
            (None, Some(index)) => index.to_string(),
            (None, None) => String::new(),
        };
        let value = self.value.map_or(String::new(), |value| number(value.0));
        [name, value].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
    }
}
