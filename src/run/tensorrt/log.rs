//! What TensorRT says: the last warnings and errors of this process, kept for messages. Prints nothing.
//!
//! TensorRT knows one logger a process: a second one is ignored while a builder of the first lives. So this is global, as is its.

use std::collections::VecDeque;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use regex::Regex;

use super::loaded::Library;
use crate::run::RunError;

/// How many messages are kept.
const KEPT: usize = 500;

/// The numbers are TensorRT's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Of the library: it cannot go on.
    Internal = 0,
    /// What was asked for failed.
    Error = 1,
    /// What was asked for went on all the same.
    Warning = 2,
}

/// One thing that TensorRT said.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// As TensorRT ranks it.
    pub severity: Severity,
    /// Its own words.
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

static LOG: Mutex<Log> = Mutex::new(Log::EMPTY);

/// The end of the log as it is now.
pub fn mark() -> Mark {
    log().mark()
}

/// The warnings and errors that came after the mark, the oldest first. What every machine without a driver says is not among them.
pub fn since(mark: Mark) -> Vec<Message> {
    log().after(mark).into_iter().filter(|message| !is_about_the_driver(&message.text)).collect()
}

/// The errors since the mark in one line, without places in NVIDIA's sources.
pub fn errors(mark: Mark) -> Option<String> {
    one_line(log().after(mark))
}

/// Takes a message of TensorRT; information and chatter is not kept.
pub fn add(severity: i32, text: &str) {
    log().add(severity, text);
}

/// Takes an error that TensorRT recorded. It may have logged the same; that is sorted out where messages are made.
pub fn report(code: i32, text: &str) {
    let known = text.contains("Error Code");
    log().add(Severity::Error as i32, &if known { text.to_string() } else { format!("Error Code {code}: {text}") });
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Log {
    const EMPTY: Log = Log { dropped: 0, messages: VecDeque::new() };

    fn mark(&self) -> Mark {
        Mark(self.dropped + self.messages.len())
    }

    fn after(&self, mark: Mark) -> Vec<Message> {
        self.messages.iter().skip(mark.0.saturating_sub(self.dropped)).cloned().collect()
    }

    fn add(&mut self, severity: i32, text: &str) {
        let severity = match severity {
            0 => Severity::Internal,
            1 => Severity::Error,
            2 => Severity::Warning,
            _ => return,
        };
        self.messages.push_back(Message { severity, text: text.trim().to_string() });
        if self.messages.len() > KEPT {
            self.messages.pop_front();
            self.dropped += 1;
        }
    }
}

fn one_line(messages: Vec<Message>) -> Option<String> {
    let errors = messages.into_iter().filter(|message| message.severity <= Severity::Error);
    let (driver, others): (Vec<_>, Vec<_>) = errors.partition(|message| is_about_the_driver(&message.text));
    let mut texts: Vec<String> = Vec::new();
    for text in others.iter().map(|message| tidy(&message.text)) {
        if !texts.iter().any(|told| told.contains(&text)) {
            texts.retain(|told| !text.contains(told));
            texts.push(text);
        }
    }
    texts.truncate(3);
    match (texts.is_empty(), driver.is_empty()) {
        (false, _) => Some(texts.join("; ")),
        (true, false) => Some("there is no NVIDIA driver, or it is too old for this TensorRT".to_string()),
        (true, true) => None,
    }
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

/// What a library says over several lines, without places in its sources.
pub fn told(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_about_the_driver(line));
    lines.map(tidy).collect::<Vec<_>>().join("; ")
}

/// CUDA's error 35, which TensorRT repeats beside every other error when there is no driver.
fn is_about_the_driver(text: &str) -> bool {
    ["cudaError 35:", "CUDA initialization failure with error: 35"].iter().any(|what| text.contains(what))
}

/// `[a.cpp::f::7] Error Code 4: x (y. In g at /_src/a.cpp:12)` becomes `Error Code 4: x (y.)`.
fn tidy(text: &str) -> String {
    static PLACE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^\[[^\]]*::[^\]]*\] |\s+In \S+ at [^\s()]+:\d+").ok());
    PLACE.as_ref().map_or_else(|| text.to_string(), |place| place.replace_all(text, "").into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_without_places_in_sources() {
        let check = |text: &str, expected: &str| assert_eq!(tidy(text), expected);
        check(
            "[runtime.cpp::readHeader::765] Error Code 2: Internal Error (Assertion a >= b failed.  In readHeader at /_src/runtime/dispatch/runtime.cpp:765)",
            "Error Code 2: Internal Error (Assertion a >= b failed.)",
        );
        check(
            "IBuilder::build: Error Code 4: API Usage Error (In f at optimizer/api/a.cpp:1)",
            "IBuilder::build: Error Code 4: API Usage Error (In f at optimizer/api/a.cpp:1)",
        );
        check("Unexpected exception bad optional access", "Unexpected exception bad optional access");
    }

    #[test]
    fn only_the_last_messages_are_kept_and_marks_stay_right() {
        let mut log = Log::EMPTY;
        let start = log.mark();
        (0..KEPT + 10).for_each(|i| log.add(1, &format!("error {i}")));
        assert_eq!(log.after(start).len(), KEPT);
        let end = log.mark();
        log.add(3, "information");
        log.add(2, " a warning\n");
        assert_eq!(log.after(end), [Message { severity: Severity::Warning, text: "a warning".into() }]);
    }

    #[test]
    fn a_missing_driver_is_told_only_when_nothing_else_is() {
        let error = |text: &str| Message { severity: Severity::Error, text: text.to_string() };
        let driver =
            error("Error Code 1: Cuda Runtime (In f at /a.cpp:1 (cudaError 35: CUDA driver version is insufficient))");
        let warning = Message { severity: Severity::Warning, text: "a warning".into() };
        assert_eq!(one_line(vec![warning.clone()]), None);
        assert!(one_line(vec![warning, driver.clone()]).unwrap().contains("no NVIDIA driver"));
        let cause = error("the cause");
        assert_eq!(one_line(vec![driver, cause.clone(), cause]).as_deref(), Some("the cause"));
        let (logged, recorded) = (error("[a.cpp::f::7] IBuilder::build: Error Code 4: x"), error("Error Code 4: x"));
        let told = Some("IBuilder::build: Error Code 4: x");
        assert_eq!(one_line(vec![logged.clone(), recorded.clone()]).as_deref(), told);
        assert_eq!(one_line(vec![recorded, logged]).as_deref(), told);
    }
}
