//! What measuring cost, where it is written, and what an earlier run of the same experiment had written.

use super::journal::{Journal, Look};
use super::recall::Earlier;
use crate::found::Counts;

/// Counts, journal, memory of an earlier run.
#[derive(Default)]
pub struct Ledger {
    /// Builds and runs by now.
    pub counts: Counts,
    /// Every look goes into it.
    pub journal: Journal,
    /// From the journal of a run that was cut short.
    pub(super) earlier: Earlier,
}

impl Ledger {
    /// Nothing is counted yet; `looks` are taken over when they are asked for.
    pub fn new(journal: Journal, looks: Vec<Look>) -> Ledger {
        Ledger { counts: Counts::default(), journal, earlier: Earlier::of(looks) }
    }
}
