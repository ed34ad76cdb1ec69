//! What becomes of a candidate that fuses nodes where tensors are made outputs of it, so that it may not fuse across them. Values
//! only.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Price;

/// The smallest set of tensors that, made outputs, makes the candidate's outputs agree.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Fusion {
    /// Whether there is such a set.
    pub answer: FusionAnswer,
    /// Its tensors, in topological order; empty where none was seen to cure.
    pub tensors: Vec<String>,
    /// Built once more, the candidate diverged without these outputs and agreed with exactly these, on every sample.
    pub verified: bool,
    /// Without any single one of them it was seen to diverge.
    pub minimal: bool,
    /// Builds that it took.
    pub trials: usize,
    /// Of how many tensors that could be made outputs.
    pub of: usize,
    /// What the outputs cost, where the candidate has a time of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Price>,
    /// Why it is not known, not verified or not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What was written, by consumer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// Does making tensors outputs cure?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FusionAnswer {
    /// It does.
    Cured,
    /// With every tensor an output, as far as the candidate lets them be outputs, it still diverges.
    Diverges,
    /// Nothing that was built told.
    #[default]
    Unknown,
}

impl Fusion {
    /// Was it shown that these outputs, and they alone, make the difference?
    pub fn is_shown(&self) -> bool {
        self.answer == FusionAnswer::Cured && self.verified && !self.tensors.is_empty()
    }
}
