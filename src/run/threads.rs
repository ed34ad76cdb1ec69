//! Runs at the same time: threads whose panics are failures of their own.

use std::thread::{self, ScopedJoinHandle};

use super::RunError;

/// Waits for a thread of `who`. Its panic is a failure of its own, not ours.
pub fn join<T>(thread: ScopedJoinHandle<'_, Result<T, RunError>>, who: &str) -> Result<T, RunError> {
    let panicked = || RunError::Crash { backend: who.to_string(), reason: "its thread panicked".to_string() };
    thread.join().unwrap_or_else(|_| Err(panicked()))
}

/// Each in a thread of its own; the results in order, or the first error.
pub fn at_the_same_time<T: Send>(
    who: &str,
    work: impl Iterator<Item = impl FnOnce() -> Result<T, RunError> + Send>,
) -> Result<Vec<T>, RunError> {
    thread::scope(|scope| {
        let threads: Vec<_> = work.map(|work| scope.spawn(work)).collect();
        let joined: Vec<_> = threads.into_iter().map(|thread| join(thread, who)).collect();
        joined.into_iter().collect()
    })
}
