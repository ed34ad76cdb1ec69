//! To the culprits: can the answers be built on, where does the first wrong value come from, what did its node do.

pub mod explain;
pub mod isolate;
pub mod narrow;
pub mod rank;
pub mod route;
pub mod scan;
pub mod trust;
pub mod verdict;
