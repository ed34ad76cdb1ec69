//! Two processes for one run. The *child* does the work and may die of it: ONNX Runtime aborts, divides by zero, runs out of
//! memory. The *parent* loads nothing and outlives it: it hands signals on, and when the child dies it starts the run
//! again, with ONNX Runtime in processes of its own this time, so that the next death is an answer like any other. When the
//! child is well, all that costs one process that waits.
//!
//! The child ends when the parent does, by whatever signal, and takes its own children with it.

#[cfg(unix)]
mod child;
#[cfg(unix)]
mod orphans;
#[cfg(unix)]
mod parent;
#[cfg(unix)]
mod signals;

#[cfg(unix)]
pub use child::settle;
#[cfg(unix)]
pub use orphans::end as end_children;
#[cfg(unix)]
pub use parent::run;

/// How the run ended.
pub enum Ended {
    /// With this exit status.
    Status(u8),
    /// It was asked to, and did not in time.
    Stopped,
    /// The second child died as well: in words.
    Crashed(String),
}

/// How the first child ended, in words, for the second.
#[cfg(unix)]
const AFTER: &str = "LAYERDIFF_AFTER";

/// Where there are no signals there is one process, and its crash is its end.
#[cfg(not(unix))]
pub fn settle(_: fn()) -> Option<String> {
    None
}

/// Nothing is supervised on this system.
#[cfg(not(unix))]
pub fn end_children() {}

/// Nothing is supervised on this system.
#[cfg(not(unix))]
pub fn run() -> Option<Ended> {
    None
}
