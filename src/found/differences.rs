//! What differs between the two files of a run, which of it is the cause, and the file without that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Diagnosis;

/// What became of a difference when it was undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Undone, with the other causes, it makes the outputs agree; without it they do not.
    Cause,
    /// The outputs agree while it is there.
    Harmless,
    /// It was not shown to be either.
    #[default]
    Open,
}

/// A difference between the model under debugging and the candidate's own file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileDifference {
    /// The node of the model under debugging.
    pub node: String,
    /// The node of the candidate's file.
    pub their_node: String,
    /// What the node makes, in the model under debugging.
    pub tensor: String,
    /// Which kind it is, for programs: "attribute-differs", "weights-differ", "wiring-differs", "input-missing", "operator-differs",
    /// "opset-differs".
    pub code: String,
    /// In words.
    pub told: String,
    /// Is it to blame?
    pub role: Role,
}

/// The candidate's file with the causes undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Patched {
    /// Inside the folder of the report.
    pub path: String,
    /// What was undone, in words.
    pub edits: Vec<String>,
    /// Read again from the disk, it was run by the candidate, and all outputs agreed.
    pub verified: bool,
}

/// What the comparison of the two files gave.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// Those that were looked at one by one: at the culprits, and causes elsewhere.
    pub rows: Vec<FileDifference>,
    /// All that were found in the files; `None` where only the culprits were compared.
    pub all: Option<usize>,
    /// The file that agrees, if there is one.
    pub patched: Option<Patched>,
    /// What this says of each culprit; its other likely causes are out where one is shown.
    pub diagnoses: Vec<Vec<Diagnosis>>,
}
