//! How two arrays differ, as what makes one of them of the other.

use serde::Serialize;

use crate::found::Real;

/// Two arrays of two files.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Related {
    /// In the first file.
    pub name: String,
    /// In the other.
    pub other: String,
    /// The sample, from 0, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<usize>,
    /// Whether they are equal, or how one is made of the other.
    pub verdict: Relation,
    /// What makes the other of the first, in this order.
    pub steps: Vec<Step>,
    /// Of what is left after the steps; null where they cannot be set beside each other.
    pub max_abs: Option<Real>,
    /// Squared correlation of what the steps make and the other; null likewise.
    pub r2: Option<Real>,
    /// Elements that are equal before any step, where shapes are the same.
    pub equal: Option<u64>,
    /// All elements of the other.
    pub elements: u64,
    /// One sentence.
    pub text: String,
}

/// How two arrays are related.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Relation {
    /// Every element, the shape and the element type; floats but for their last digits.
    Equal,
    /// The steps make one of the other.
    Explained,
    /// None of what was tried does.
    #[default]
    Different,
}

/// Something that was tried and is part of the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// For programs: `squeeze`, `unsqueeze`, `layout`, `transpose`, `channels`, `flip`, `shift`, `factor`, `affine`,
    /// `normalise`, `round`, `dtype`.
    pub code: &'static str,
    /// `channels reversed on axis 1`
    pub text: String,
}

impl Step {
    /// One of this kind.
    pub fn new(code: &'static str, text: impl Into<String>) -> Step {
        Step { code, text: text.into() }
    }
}
