//! Ctrl-C: who is busy registers how to stop it; the signal calls them all. Knows neither what runs nor what is written.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

static REQUESTED: AtomicBool = AtomicBool::new(false);
static NEXT: AtomicU64 = AtomicU64::new(0);
/// How to stop what is running.
type Stop = Box<dyn Fn() + Send>;

static STOPS: Mutex<Vec<(u64, Stop)>> = Mutex::new(Vec::new());

/// Unregisters when dropped.
pub struct Busy(u64);

/// While the guard lives, `stop` is called when the user interrupts (at once if that has happened already).
pub fn busy(stop: impl Fn() + Send + 'static) -> Busy {
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut stops = STOPS.lock().unwrap_or_else(PoisonError::into_inner);
    if requested() {
        stop();
    }
    stops.push((id, Box::new(stop)));
    Busy(id)
}

impl Drop for Busy {
    fn drop(&mut self) {
        STOPS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(id, _)| *id != self.0);
    }
}

/// Did the user interrupt? It stays so for the rest of the process.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::SeqCst)
}

/// The user wants to stop: everything registered is told so.
pub fn request() {
    REQUESTED.store(true, Ordering::SeqCst);
    for (_, stop) in STOPS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        stop();
    }
}
