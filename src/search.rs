//! Which items of a DAG are the first to be bad, with proof and with few measurements. **Knows no ONNX**: items are
//! numbers in topological order, and answers come from a closure. No file, no backend, no tolerance is known here.
//!
//! A bad item is a *suspect* when every input of it was measured and is good, and its error reaches a bad target: along items
//! that are not good, since a good one has lost it ([`open_way`]). Where every way is cut it is *masked*. Items that cannot be
//! measured are looked through: the answer is then a region, from good inputs to a bad item. Nothing unmeasured ever counts as
//! good.
//!
//! [`classify`] reads suspects and masked items off a complete set of answers. [`bisect`] asks for few: it cuts the ancestors of a
//! bad item into even parts with every probe and walks up. A good item *covers* its ancestors, which steers the search
//! away from them. That is a guess: a fault masked further down is missed, as is a second fault below a first one with
//! only unmeasured items between them. So a guess chooses what to measure, and never makes a suspect; but what nobody
//! measured between a suspect and a target passes for a way.
//!
//! [`ddmin`] knows no order but the items' numbers: of a set that is bad it finds a smallest one that still is.

mod carve;
mod classify;
mod dag;
mod ddmin;
mod evidence;
mod ksection;
#[cfg(test)]
mod tests;
mod way;

pub use classify::{Classified, all_masked, classify};
pub use dag::Dag;
pub use ddmin::{Minimal, ddmin, smallest_cure};
pub use ksection::bisect;
pub use way::open_way;

/// What was measured of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Measured, and right.
    Good,
    /// Measured, and wrong.
    Bad,
    /// It could not be measured or not compared; never counts as good.
    Unknown,
}

impl Answer {
    /// What is good for one search is what another one looks for, as [`ddmin`] does for a smallest set that cures.
    pub fn swapped(self) -> Answer {
        match self {
            Answer::Good => Answer::Bad,
            Answer::Bad => Answer::Good,
            Answer::Unknown => Answer::Unknown,
        }
    }
}

/// A bad item whose inputs are all good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Its number in the DAG.
    pub item: usize,
    /// The nearest measured ancestors, looking through unknown items; all good.
    pub inputs: Vec<usize>,
    /// The unknown items looked through, then `item`. One entry: a single culprit.
    pub region: Vec<usize>,
}

/// A bad item with good inputs whose error reaches no bad target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// As it would be accused.
    pub suspect: Suspect,
    /// The nearest good items below it: where the error is lost. Sorted.
    pub by: Vec<usize>,
}

/// How much a search may ask at once, and when it has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Items that one probe may observe; 0 is taken as 1.
    pub marks: usize,
    /// Probes that run at the same time; 0 is taken as 1.
    pub builds: usize,
    /// The search stops when it has found this many.
    pub max_suspects: usize,
}

/// What [`bisect`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In topological order.
    pub suspects: Vec<Suspect>,
    /// Everything known at the end; `None` was never asked for.
    pub answers: Vec<Option<Answer>>,
    /// Sets of items that were asked about.
    pub probes: usize,
    /// `max_suspects` stopped the search with bad items left to explain, or with parts of the DAG left to check.
    pub unexplained: bool,
}
