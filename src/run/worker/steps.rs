//! How far a build is, from who builds to who shows it: a worker hands the steps on to its parent. Shows nothing itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// A phase of a build, and how many of its steps are done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// As the builder calls it.
    pub phase: String,
    /// Steps of the phase that are done.
    pub step: usize,
    /// 0 where nobody knows.
    pub of: usize,
}

/// Listens until it is dropped.
pub struct Hearing(u64);

type Ear = Box<dyn Fn(Option<&Step>) + Send>;

static EARS: Mutex<Vec<(u64, Ear)>> = Mutex::new(Vec::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// While the guard lives, `ear` is called with every step, and with `None` when nothing is built any more. It must be quick,
/// and tell or hear nothing itself.
pub fn hear(ear: impl Fn(Option<&Step>) + Send + 'static) -> Hearing {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    ears().push((id, Box::new(ear)));
    Hearing(id)
}

/// From any thread.
pub fn tell(step: Option<&Step>) {
    ears().iter().for_each(|(_, ear)| ear(step));
}

fn ears() -> MutexGuard<'static, Vec<(u64, Ear)>> {
    EARS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Hearing {
    fn drop(&mut self) {
        ears().retain(|(id, _)| *id != self.0);
    }
}
