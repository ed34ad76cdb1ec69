//! The search where it is known what each unit does to the outputs. Where the worst third of all units left unquantised is not
//! enough, and by what the others do no other third can be, the answer is the limit of the quantisation. It takes a few trials
//! then, and else goes on as any search. Runs nothing itself.

use super::Undynamic;
use crate::cure::drive::trials::{Trials, sorted, told};
use crate::cure::{Smallest, Trial, most};
use crate::found::{CureKind, Overrides};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::Answer;

/// Trials without which it is not worth while.
const ENOUGH: u64 = 12;
/// The error is another one than what the units do alone where it is so many times as large: then their order misleads.
const FAR: f64 = 2.0;

/// As [`Trials::search`], and shorter where no part of the units is a cure.
pub fn search(
    remedy: &Undynamic,
    trials: &Trials,
    builds: u64,
    progress: &Progress,
) -> Result<(Smallest, Overrides), RunError> {
    let nodes = &remedy.units.nodes;
    let most = most(nodes.len());
    let mut tried = Tried { trials, ranked: remedy.ranked(), known: Vec::new() };
    if builds < ENOUGH || most >= nodes.len() || remedy.effects.iter().any(|effect| effect.outputs.is_none()) {
        return trials.search(&remedy.units, CureKind::Unquantised, builds, progress);
    }
    progress.step("overrides: is a part of the units enough?");
    tried.ask(&[0, nodes.len(), most])?;
    let bad = tried.is(0, Answer::Bad) && tried.is(nodes.len(), Answer::Good) && tried.is(most, Answer::Bad);
    if !(bad && tried.error(most) <= FAR * remedy.left(most)) {
        let spent = tried.known.len() as u64;
        let (set, mut found) = trials.search(&remedy.units, CureKind::Unquantised, builds - spent, progress)?;
        found.builds += spent as usize;
        return Ok((set, found));
    }
    progress.step("overrides: how many units are enough?");
    let mut range = (most, nodes.len());
    while range.1 - range.0 > 1 && (tried.known.len() as u64) < builds {
        // Two run at the same time.
        let (low, width) = (range.0, range.1 - range.0);
        let middles = sorted([width / 3, width * 2 / 3].map(|part| low + part.max(1)).to_vec());
        tried.ask(&middles)?;
        let first = middles.iter().copied().find(|m| tried.is(*m, Answer::Good));
        let last = middles.iter().copied().rfind(|m| !tried.is(*m, Answer::Good) && first.is_none_or(|f| *m < f));
        range = (last.unwrap_or(range.0), first.unwrap_or(range.1));
    }
    // What a few of them buy.
    tried.ask(&[1, most / 4, most / 2].map(|n| n.max(1)))?;
    let (set, mut found) = tried.limited(remedy, range.1);
    if let Some(why) = trials.held_back(&set.nodes)? {
        (found.verified, found.why) = (false, Some(why));
    }
    Ok((set, found))
}

/// Trials of the units that do most, by their number.
struct Tried<'a> {
    trials: &'a Trials<'a>,
    /// What does most first.
    ranked: Vec<usize>,
    known: Vec<(usize, Trial)>,
}

impl Tried<'_> {
    fn first(&self, count: usize) -> Vec<usize> {
        sorted(self.ranked[..count].to_vec())
    }

    fn ask(&mut self, counts: &[usize]) -> Result<(), RunError> {
        let mut new: Vec<usize> = counts.iter().copied().filter(|n| self.of(*n).is_none()).collect();
        new.dedup();
        let sets: Vec<Vec<usize>> = new.iter().map(|n| self.first(*n)).collect();
        let answers = self.trials.ask_all(&sets)?;
        self.known.extend(new.into_iter().zip(answers));
        Ok(())
    }

    fn of(&self, count: usize) -> Option<&Trial> {
        self.known.iter().find(|(n, _)| *n == count).map(|(_, trial)| trial)
    }

    fn is(&self, count: usize, answer: Answer) -> bool {
        self.of(count).is_some_and(|trial| trial.answer == answer)
    }

    fn error(&self, count: usize) -> f64 {
        self.of(count).map_or(f64::INFINITY, |trial| trial.error)
    }

    /// The first `good` units are enough, and no cure.
    fn limited(self, remedy: &Undynamic, good: usize) -> (Smallest, Overrides) {
        let nodes = self.first(good);
        let mut curve: Vec<(usize, f64)> = self.known.iter().map(|(n, trial)| (*n, trial.error)).collect();
        curve.sort_by_key(|(n, _)| *n);
        let set = Smallest {
            groups: remedy.units.describe(&nodes),
            verified: true,
            minimal: false,
            unknown: 0,
            error_before: self.error(0),
            error_after: self.error(good),
            trials: self.known.len(),
            curve,
            budget_spent: false,
            why: None,
            nodes,
        };
        let found = told(&set, &remedy.units, CureKind::Unquantised);
        (set, found)
    }
}
