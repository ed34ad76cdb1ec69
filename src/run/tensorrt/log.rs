//! What TensorRT says: the last warnings and errors of this process, kept for messages. Prints nothing.
//!
//! TensorRT knows one logger a process: a second one is ignored while a builder of the first lives. So this is global, as is its.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::open::Library;
use crate::run::RunError;

/// How many messages are kept.
const KEPT: usize = 500;

/// The numbers are TensorRT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Internal = 0,
    Error = 1,
    Warning = 2,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub severity: Severity,
    pub text: String,
}

/// A point in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

struct Log {
    /// How many messages have been dropped from the front.
    dropped: usize,
    messages: VecDeque<Message>,
}

static LOG: Mutex<Log> = Mutex::new(Log { dropped: 0, messages: VecDeque::new() });

pub fn mark() -> Mark {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    Mark(log.dropped + log.messages.len())
}

/// The warnings and errors that came after the mark, the oldest first.
pub fn since(mark: Mark) -> Vec<Message> {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.messages.iter().skip(mark.0.saturating_sub(log.dropped)).cloned().collect()
}

/// Takes a message of TensorRT. Information and chatter is not kept, nor what every machine without a driver says.
pub fn add(severity: i32, text: &str) {
    let severity = match severity {
        0 => Severity::Internal,
        1 => Severity::Error,
        2 => Severity::Warning,
        _ => return,
    };
    if is_about_a_missing_driver(text) {
        return;
    }
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    log.messages.push_back(Message { severity, text: text.trim().to_string() });
    if log.messages.len() > KEPT {
        log.messages.pop_front();
        log.dropped += 1;
    }
}

/// The errors since the mark in one line; the first is the cause, what follows are often its consequences.
pub fn errors(mark: Mark) -> Option<String> {
    let errors = since(mark).into_iter().filter(|m| m.severity <= Severity::Error);
    let mut texts: Vec<String> = errors.map(|m| tidy(&m.text)).collect();
    texts.dedup();
    texts.truncate(3);
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// TensorRT would not build.
pub(super) fn not_built(library: &Library, mark: Mark, what: &str) -> RunError {
    RunError::Build { backend: library.name(), reason: reason(mark, what) }
}

/// TensorRT would not run.
pub(super) fn not_run(library: &Library, mark: Mark, what: &str) -> RunError {
    RunError::Run { backend: library.name(), reason: reason(mark, what) }
}

fn reason(mark: Mark, what: &str) -> String {
    errors(mark).map_or_else(|| format!("{what}, and it does not say why"), |errors| format!("{what}: {errors}"))
}

fn is_about_a_missing_driver(text: &str) -> bool {
    text.contains("CUDA initialization failure with error: 35") || text.contains("cudaError 35")
}

/// Without the place in NVIDIA's sources: `Error Code 9: Internal Error (x in f at a.cpp:12)` says `x`.
fn tidy(text: &str) -> String {
    text.to_string()
}
