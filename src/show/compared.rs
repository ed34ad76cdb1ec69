//! What every table of comparisons says alike: a verdict in a cell, which output stands for all, and what became of many in one
//! sentence.

use super::page::{Fact, Role};
use crate::found::{Status, TensorResult, Verdict};

/// What became of all steps or sizes, in one sentence.
pub struct Sentence {
    /// Of the fact that it becomes.
    pub role: Role,
    /// Without a full stop.
    pub text: String,
}

impl Sentence {
    /// All agree.
    pub fn good(text: String) -> Sentence {
        Sentence { role: Role::Dim, text }
    }

    /// One diverges.
    pub fn bad(text: String) -> Sentence {
        Sentence { role: Role::Strong, text }
    }

    /// One has no answer.
    pub fn doubtful(text: String) -> Sentence {
        Sentence { role: Role::Doubt, text }
    }

    /// Under this name, said of `whom`.
    pub fn fact(self, name: &str, whom: &str) -> Fact {
        Fact { role: self.role, ..Fact::new(name, format!("{whom}{}", self.text)) }
    }
}

/// In a cell.
pub fn told(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Agreed => "agrees",
        Verdict::Diverged => "diverges",
        Verdict::Inconclusive => "no answer",
    }
}

/// The output that is furthest off: one that diverges before one that does not.
pub fn worst(outputs: &[TensorResult]) -> Option<&TensorResult> {
    let rank = |output: &&TensorResult| {
        let error = output.metrics.as_ref().map_or(-1.0, |m| m.relative_rms().unwrap_or(f64::INFINITY));
        (output.status == Status::Diverges, error)
    };
    outputs.iter().max_by(|a, b| {
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    })
}
