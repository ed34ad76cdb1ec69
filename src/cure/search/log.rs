//! Every trial, remembered; the one place that asks for trials and counts them. What was only tried along with something else
//! saves time and changes no answer: with any number of jobs the search sees what it would see with one.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::super::trial::Trial;
use super::super::units::Set;
use crate::search::Answer;

/// Why a search ends early.
pub enum Stop<E> {
    /// No trial is left.
    Spent,
    /// The trial's own failure.
    Failed(E),
}

/// The trials of one search, and the closure `test` that makes them.
pub struct Log<T> {
    trials: HashMap<Set, Trial>,
    /// The sets that one job would have tried.
    asked: HashSet<Set>,
    /// No trial is left: the answer is the best of all that was tried.
    spent: bool,
    budget: usize,
    jobs: usize,
    test: T,
}

impl<T> Log<T> {
    /// Nothing is tried yet; `budget` trials may be.
    pub fn new(budget: usize, jobs: usize, test: T) -> Log<T> {
        Log { trials: HashMap::new(), asked: HashSet::new(), spent: false, budget, jobs, test }
    }

    /// The answer for the first set. The others are tried along with it, as far as the jobs and the budget allow; nothing
    /// is tried when the first is known.
    pub fn ask<E>(&mut self, sets: &[Set]) -> Result<Answer, Stop<E>>
    where
        T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
    {
        let Some(first) = sets.first() else { return Ok(Answer::Unknown) };
        self.asked.insert(first.clone());
        if let Some(answer) = self.known(first) {
            return Ok(answer);
        }
        let left = self.budget - self.trials.len();
        if left == 0 {
            self.spent = true;
            return Err(Stop::Spent);
        }
        let mut asked: Vec<Set> = Vec::new();
        for set in sets {
            if asked.len() < left.min(self.jobs) && self.known(set).is_none() && !asked.contains(set) {
                asked.push(set.clone());
            }
        }
        let given = (self.test)(&asked).map_err(Stop::Failed)?;
        // Without an answer, asking again would not end.
        let answer = given.first().map_or(Answer::Unknown, |trial| trial.answer);
        self.trials.insert(first.clone(), Trial { answer, error: f64::INFINITY });
        for (set, Trial { answer, error }) in asked.into_iter().zip(given) {
            let error = if error.is_nan() { f64::INFINITY } else { error };
            self.trials.insert(set, Trial { answer, error });
        }
        Ok(answer)
    }

    /// Does exactly this set make the outputs agree?
    pub fn is_good<E>(&mut self, set: &[usize]) -> Result<bool, Stop<E>>
    where
        T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
    {
        Ok(self.ask(&[set.to_vec()])? == Answer::Good)
    }

    /// These were asked for too, and their answers are known.
    pub fn add_asked(&mut self, sets: impl IntoIterator<Item = Set>) {
        self.asked.extend(sets);
    }

    /// The answer for this set, if it was tried.
    pub fn known(&self, set: &[usize]) -> Option<Answer> {
        self.trials.get(set).map(|trial| trial.answer)
    }

    /// Sets at a time.
    pub fn jobs(&self) -> usize {
        self.jobs
    }

    /// How many sets were tried.
    pub fn trials(&self) -> usize {
        self.trials.len()
    }

    /// The error measured with this set; infinite if it was not tried.
    pub fn error(&self, set: &[usize]) -> f64 {
        self.trials.get(set).map_or(f64::INFINITY, |trial| trial.error)
    }

    /// What the search may know of: see the top of this file.
    fn seen(&self) -> impl Iterator<Item = (&Set, &Trial)> {
        self.trials.iter().filter(|(set, _)| self.spent || self.asked.contains(*set))
    }

    /// The smallest good set; of several, one that is known to be minimal, then the one with the smallest error.
    pub fn best(&self) -> Option<Set> {
        let good = || self.seen().filter(|(_, trial)| trial.answer == Answer::Good);
        let least = good().map(|(set, _)| set.len()).min()?;
        let smallest = good().filter(|(set, _)| set.len() == least);
        let best = smallest.min_by(|(a, ta), (b, tb)| {
            let minimal = self.is_minimal(b).cmp(&self.is_minimal(a));
            minimal.then(ta.error.total_cmp(&tb.error)).then_with(|| a.cmp(b))
        });
        best.map(|(set, _)| set.clone())
    }

    /// What is known of the set without each one of its nodes.
    pub fn removals(&self, set: &[usize]) -> impl Iterator<Item = Option<Answer>> {
        let without = |i: usize| [&set[..i], &set[i + 1..]].concat();
        let seen = |set: Set| self.known(&set).filter(|_| self.spent || self.asked.contains(&set));
        (0..set.len()).map(move |i| seen(without(i)))
    }

    /// Was every single removal tried, and none of them good?
    pub fn is_minimal(&self, set: &[usize]) -> bool {
        self.removals(set).all(|answer| answer.is_some_and(|a| a != Answer::Good))
    }

    /// By number of nodes kept, the smallest error.
    pub fn curve(&self) -> Vec<(usize, f64)> {
        let mut curve: BTreeMap<usize, f64> = BTreeMap::new();
        for (set, trial) in self.seen() {
            let least = curve.entry(set.len()).or_insert(f64::INFINITY);
            *least = least.min(trial.error);
        }
        curve.into_iter().collect()
    }
}
