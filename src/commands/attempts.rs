//! Smaller models are tried, and what they answered is remembered: in the journal, for `--resume`, and as a number.

use std::collections::HashMap;
use std::time::Instant;

use super::progress::Progress;
use crate::probe::journal::Journal;
use crate::reduce::Attempt;
use crate::run::RunError;
use crate::search::Answer;

/// Everything that was asked of smaller models.
pub struct Attempts<'a> {
    pub journal: Journal,
    /// From the journal of a run that was cut short.
    known: HashMap<String, Answer>,
    /// Models that were tried, those of the earlier run too.
    pub count: usize,
    progress: &'a Progress,
}

impl<'a> Attempts<'a> {
    pub fn new(journal: Journal, known: HashMap<String, Answer>, progress: &'a Progress) -> Attempts<'a> {
        Attempts { journal, known, count: 0, progress }
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
        let open: Vec<&Attempt> = attempts.iter().filter(|a| !self.known.contains_key(&a.what)).collect();
        let timed = |attempt: &Attempt| {
            let started = Instant::now();
            tried(attempt).map(|answer| (answer, started.elapsed()))
        };
        let answers = match open.as_slice() {
            [] => Vec::new(),
            [only] => vec![timed(only)],
            several => std::thread::scope(|scope| {
                let threads: Vec<_> = several.iter().map(|a| scope.spawn(|| timed(a))).collect();
                threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(panicked()))).collect()
            }),
        };
        for (attempt, answer) in open.into_iter().zip(answers) {
            let (answer, took) = answer?;
            self.journal.attempt(&attempt.what, answer, took);
            self.known.insert(attempt.what.clone(), answer);
        }
        Ok(attempts.iter().map(|a| self.known.get(&a.what).copied().unwrap_or(Answer::Unknown)).collect())
    }
}

fn panicked() -> RunError {
    RunError::Crash { backend: "the attempt".to_string(), reason: "its thread panicked".to_string() }
}
