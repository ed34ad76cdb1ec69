//! Libraries of custom operators, which every session of the process gets: the reference's and the candidate's. Chosen once, when
//! the program starts, and handed on to workers.

use std::path::PathBuf;
use std::sync::OnceLock;

/// As they were given.
static LIBRARIES: OnceLock<Vec<PathBuf>> = OnceLock::new();

/// From now on sessions know the operators of these libraries. The first call counts.
pub fn register(libraries: Vec<PathBuf>) {
    drop(LIBRARIES.set(libraries));
}

/// The libraries of this process.
pub fn libraries() -> &'static [PathBuf] {
    LIBRARIES.get().map_or(&[], Vec::as_slice)
}
