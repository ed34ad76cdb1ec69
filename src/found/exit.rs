//! Exit statuses, as diff(1) has them.

use super::Verdict;

/// What a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Both sides agree, or the work is done.
    Agreed = 0,
    /// They diverge, and the answer was found.
    Diverged = 1,
    /// Wrong usage or wrong input.
    BadInput = 2,
    /// No answer, or a backend failed.
    Inconclusive = 3,
}

impl Exit {
    /// That of a verdict.
    pub fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Agreed => Exit::Agreed,
            Verdict::Diverged => Exit::Diverged,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }
}
