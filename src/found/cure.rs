//! What a cure gave.

use std::fmt;

use super::{Overrides, Sensitivity};

/// What makes the outputs agree.
#[derive(Clone, Debug, Default)]
pub struct Cure {
    /// The smallest set of nodes, if one was sought.
    pub overrides: Option<Overrides>,
    /// How much single nodes matter.
    pub sensitivity: Vec<Sensitivity>,
    /// What else is to be known.
    pub notes: Vec<CureNote>,
}

/// A remark.
#[derive(Clone, Debug, PartialEq)]
pub enum CureNote {
    /// In words.
    Said(String),
}

impl fmt::Display for CureNote {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let CureNote::Said(words) = self;
        f.write_str(words)
    }
}
