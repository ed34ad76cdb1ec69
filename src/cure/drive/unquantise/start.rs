//! The search where scales do not fit their values. Errors of quantisation cancel by accident, so many sets make the
//! outputs agree; an engineer wants the one with the tensors that are wrong in themselves, and to be told of those that
//! are left. Runs nothing itself.

use std::collections::BTreeMap;

use super::Unquantised;
use super::misfits::{leaves, readers};
use crate::cure::drive::trials::{Trials, sorted};
use crate::cure::{Smallest, Trial, Units};
use crate::found::{CureKind, Overrides, Real};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::Answer;

/// Builds without which a search is not worth while.
const ENOUGH: usize = 4;

/// As [`Trials::search`], and where the set found leaves misfits in place, a set with their readers in it if there is one.
/// When these alone cure the outputs, nothing else is tried.
pub fn search(
    remedy: &Unquantised,
    trials: &Trials,
    builds: u64,
    progress: &Progress,
) -> Result<(Smallest, Overrides), RunError> {
    let Unquantised { units, quantised, misfits, .. } = remedy;
    let first = readers(units, quantised, misfits, false);
    let masked = readers(units, quantised, misfits, true);
    let mut from = From { trials, units, progress, left: builds as usize, curve: BTreeMap::new() };
    if !masked.is_empty() && masked.len() < units.nodes.len() && from.left >= ENOUGH {
        let [before, alone] = from.ask(&[Vec::new(), sorted(masked.clone())])?[..] else {
            return from.search(&[], units.nodes.clone());
        };
        let best = match (before.answer, alone.answer) {
            (Answer::Bad, Answer::Good) => from.whole(masked)?,
            // Whatever else is needed, these are: nothing is left of their values.
            (Answer::Bad, _) => from.shrink(first, &masked)?,
            _ => from.search(&[], units.nodes.clone())?,
        };
        return Ok(from.done(best, before.error, builds));
    }
    if first.is_empty() || first.len() == units.nodes.len() || from.left < ENOUGH {
        return from.search(&[], units.nodes.clone());
    }
    let alone = from.ask(&[Vec::new(), sorted(first.clone())])?;
    let [before, alone] = alone.as_slice() else { return from.search(&[], units.nodes.clone()) };
    let cures = (before.answer, alone.answer) == (Answer::Bad, Answer::Good);
    let mut best = if cures { from.shrink(first.clone(), &[])? } else { from.search(&[], units.nodes.clone())? };
    if !cures && best.0.verified && from.left >= ENOUGH && leaves(quantised, misfits, &best.0.nodes) {
        let other = from.shrink(first, &[])?;
        if other.1.verified && other.0.minimal {
            best = other;
        }
    }
    Ok(from.done(best, before.error, builds))
}

/// A search that starts with some nodes unquantised.
struct From<'a> {
    trials: &'a Trials<'a>,
    units: &'a Units,
    progress: &'a Progress,
    /// Builds.
    left: usize,
    /// Number of nodes left unquantised, and the smallest error.
    curve: BTreeMap<usize, f64>,
}

impl From<'_> {
    /// What was found, and what all of it cost.
    fn done(self, (cure, mut found): (Smallest, Overrides), before: f64, builds: u64) -> (Smallest, Overrides) {
        found.builds = builds as usize - self.left;
        found.error_before = Real(before);
        found.curve = self.curve.into_iter().map(|(kept, error)| (kept, Real(error))).collect();
        if cure.nodes.is_empty() {
            found.error_after = found.error_before;
        }
        (Smallest { error_before: before, ..cure }, found)
    }

    /// These and no others, which are known to cure the outputs, as one: with some of them given back the outputs may agree,
    /// and what is wrong with those is as wrong as before.
    fn whole(&mut self, nodes: Vec<usize>) -> Result<(Smallest, Overrides), RunError> {
        let (mut cure, mut found) = self.search(&nodes, Vec::new())?;
        let needed = self.needed_of(&nodes, &sorted(nodes.clone()))?;
        cure.nodes = sorted(nodes);
        cure.minimal = matches!(needed, Needed::All);
        self.tell(&mut cure, &mut found);
        Ok((cure, found))
    }

    /// The set's nodes, as the report has them.
    fn tell(&self, cure: &mut Smallest, found: &mut Overrides) {
        cure.groups = self.units.describe(&cure.nodes);
        found.of = self.units.nodes.len();
        found.minimal = cure.minimal;
        found.groups = cure.groups.clone();
        found.nodes = cure.nodes.iter().map(|n| self.units.names[*n].0.clone()).collect();
    }

    /// A minimal set with as many of `first` in it as it may have: the others are searched for with these unquantised, then
    /// each of these is given back if the outputs agree without, but for those in `kept`.
    fn shrink(&mut self, mut first: Vec<usize>, kept: &[usize]) -> Result<(Smallest, Overrides), RunError> {
        let mut others: Vec<usize> = without(&self.units.nodes, &first);
        loop {
            let (mut cure, mut found) = self.search(&first, others)?;
            if !cure.verified {
                return Ok((cure, found));
            }
            others = std::mem::take(&mut cure.nodes);
            let returned: Vec<usize> = without(&first, kept);
            let needed = self.needed_of(&returned, &sorted([first.clone(), others.clone()].concat()))?;
            match needed {
                Needed::Not(node) => first.retain(|n| *n != node),
                Needed::All | Needed::Unknown => {
                    cure.nodes = sorted([first, others].concat());
                    cure.minimal &= matches!(needed, Needed::All) && kept.is_empty();
                    self.tell(&mut cure, &mut found);
                    if found.verified && !found.minimal && kept.is_empty() {
                        let spent = "the builds that --builds allows were spent before every node was tried";
                        found.why = found.why.or_else(|| Some(spent.to_string()));
                    }
                    return Ok((cure, found));
                }
            }
        }
    }

    /// What is needed of `others` besides `first`.
    fn search(&mut self, first: &[usize], others: Vec<usize>) -> Result<(Smallest, Overrides), RunError> {
        let units = Units {
            nodes: others,
            groups: self.units.groups.clone(),
            rank: self.units.rank.clone(),
            readers: self.units.readers.clone(),
            names: self.units.names.clone(),
        };
        let trials = self.trials.besides(first);
        let (cure, mut found) = trials.search(&units, CureKind::Unquantised, self.left as u64, self.progress)?;
        self.left -= cure.trials.min(self.left);
        cure.curve.iter().for_each(|(kept, error)| self.note(kept + first.len(), *error));
        if cure.verified && cure.nodes.is_empty() && !found.verified && !first.is_empty() {
            // To the search this is a set of nothing, which is told of in other words.
            found.why = Some("the held-back samples do not agree; search with more of them".to_string());
        }
        Ok((cure, found))
    }

    /// Tries to give back each node of `some`, which are among `all_nodes`, the last one first: it has the smallest loss.
    fn needed_of(&mut self, some: &[usize], all_nodes: &[usize]) -> Result<Needed, RunError> {
        let mut all = Needed::All;
        let candidates: Vec<usize> = some.iter().rev().copied().collect();
        for some in candidates.chunks(self.trials.jobs()) {
            if self.left < some.len() {
                return Ok(Needed::Unknown);
            }
            let kept = |node: &usize| without(all_nodes, &[*node]);
            let sets: Vec<Vec<usize>> = some.iter().map(kept).collect();
            for ((node, set), trial) in some.iter().zip(&sets).zip(self.tried(&sets)?) {
                self.note(set.len(), trial.error);
                match trial.answer {
                    Answer::Good => return Ok(Needed::Not(*node)),
                    Answer::Unknown => all = Needed::Unknown,
                    Answer::Bad => {}
                }
            }
        }
        Ok(all)
    }

    fn ask(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let tried = self.tried(sets)?;
        sets.iter().zip(&tried).for_each(|(set, trial)| self.note(set.len(), trial.error));
        Ok(tried)
    }

    fn tried(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let tried = self.trials.ask(sets)?;
        self.left -= sets.len().min(self.left);
        Ok(tried)
    }

    fn note(&mut self, kept: usize, error: f64) {
        let least = self.curve.entry(kept).or_insert(f64::INFINITY);
        *least = least.min(error);
    }
}

enum Needed {
    All,
    /// The outputs agree without this one.
    Not(usize),
    /// Not every one could be tried.
    Unknown,
}

fn without(nodes: &[usize], some: &[usize]) -> Vec<usize> {
    nodes.iter().copied().filter(|n| !some.contains(n)).collect()
}
