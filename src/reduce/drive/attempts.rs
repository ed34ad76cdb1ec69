//! Smaller models are tried, and what they answered is remembered: in the journal, for `--resume`, and as a number.

use std::collections::HashMap;
use std::time::Instant;

use crate::lab::journal::Journal;
use crate::progress::Progress;
use crate::reduce::Attempt;
use crate::run::{RunError, join};
use crate::search::Answer;

/// Everything that was asked of smaller models.
pub struct Attempts<'a> {
    /// Where every attempt and its answer are written as they come.
    pub journal: Journal,
    /// From the journal of a run that was cut short.
    known: HashMap<String, Answer>,
    /// Models that were tried, those of the earlier run too.
    pub count: usize,
    /// In front of every name, so that one reduction never answers another's question.
    pub label: String,
    progress: &'a Progress,
}

impl<'a> Attempts<'a> {
    /// `known` holds the answers of an earlier run by the names of its attempts; counting begins at 0.
    pub fn new(journal: Journal, known: HashMap<String, Answer>, progress: &'a Progress) -> Attempts<'a> {
        Attempts { journal, known, count: 0, label: String::new(), progress }
    }

    /// Says what is being done.
    pub fn step(&self, what: &str) {
        self.progress.step(what);
    }

    /// The answers to `attempts`; those that nobody knows yet are `tried`, at the same time where there are several.
    pub fn ask(
        &mut self,
        attempts: &[Attempt],
        tried: impl Fn(&Attempt) -> Result<Answer, RunError> + Sync,
    ) -> Result<Vec<Answer>, RunError> {
        self.count += attempts.len();
        if let Some(first) = attempts.first() {
            self.progress.step(format!("smaller models, attempt {}: {}", self.count, first.what));
        }
        let name = |attempt: &Attempt| format!("{}{}", self.label, attempt.what);
        let names: Vec<String> = attempts.iter().map(name).collect();
        let open = attempts.iter().zip(&names).filter(|(_, name)| !self.known.contains_key(*name));
        let (open, open_names): (Vec<&Attempt>, Vec<&String>) = open.unzip();
        let timed = |attempt: &Attempt| {
            let started = Instant::now();
            tried(attempt).map(|answer| (answer, started.elapsed()))
        };
        let answers = match open.as_slice() {
            [] => Vec::new(),
            [only] => vec![timed(only)],
            several => std::thread::scope(|scope| {
                let threads: Vec<_> = several.iter().map(|a| scope.spawn(|| timed(a))).collect();
                threads.into_iter().map(|thread| join(thread, "the attempt")).collect()
            }),
        };
        for (name, answer) in open_names.into_iter().zip(answers) {
            let (answer, took) = answer?;
            self.journal.attempt(name, answer, took);
            self.known.insert(name.clone(), answer);
        }
        Ok(names.iter().map(|name| self.known.get(name).copied().unwrap_or(Answer::Unknown)).collect())
    }
}
