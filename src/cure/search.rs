//! The search for the smallest set: grow along the ranking until a trial is good, then shrink with [`ddmin`]. Trials come
//! from a closure. Nothing untried is ever called good, and an inconclusive trial is not good.

mod log;

use super::limit::{is_too_many, most};
use super::trial::Trial;
use super::units::{Set, Units, set};
use crate::search::{Answer, ddmin};
use log::{Log, Stop};

/// A list of more nodes that is far from a cure is not made shorter node by node: the proof takes a trial for each of them.
const LONG: usize = 64;

/// What [`search()`] found: a smallest set, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Smallest {
    /// The nodes to keep in FP32, ascending; empty if there is no cure or none is needed.
    pub nodes: Vec<usize>,
    /// The same as an engineer reads it: groups and lone nodes.
    pub groups: Vec<String>,
    /// A trial of exactly this set was good.
    pub verified: bool,
    /// The set without any single one of its nodes was tried as well, and none of these trials was good.
    pub minimal: bool,
    /// Nodes that stay only because the trial without them was inconclusive.
    pub unknown: usize,
    /// With nothing kept; infinite if that was not measured.
    pub error_before: f64,
    /// With the cure, or with nothing kept if there is no cure.
    pub error_after: f64,
    /// Sets that were tried.
    pub trials: usize,
    /// Number of nodes kept, and the smallest error measured with that many.
    pub curve: Vec<(usize, f64)>,
    /// A trial was wanted that the budget did not allow.
    pub budget_spent: bool,
    /// Why nothing is verified: one sentence.
    pub why: Option<String>,
}

/// A smallest set of nodes that cures the model: none of them can be given back. `test` gets at most `jobs` sets at a
/// time, none twice, and no more than `budget` in all. It answers the first; of the others, which only save time, the
/// last may stay unanswered. The cure is the same for every number of `jobs`, unless the budget is spent before its end: then
/// the smallest set that was good so far is the cure.
///
/// The first two trials keep nothing and everything: a model that agrees needs no cure, and one that disagrees in FP32
/// has none. With `n` units of which the `k` highest ranked are needed, growing takes 2 log2 k trials. Shrinking to `m`
/// nodes takes `m` trials for the proof, and some for each needed node, see [`ddmin`]. Where half of a large model must be
/// kept the search ends before that: such a set is no cure.
pub fn search<E>(
    units: &Units,
    budget: usize,
    jobs: usize,
    test: impl FnMut(&[Vec<usize>]) -> Result<Vec<Trial>, E>,
) -> Result<Smallest, E> {
    let mut log = Log::new(budget, jobs.max(1), test);
    let spent = match find(units, &mut log) {
        Ok(()) => false,
        Err(Stop::Spent) => true,
        Err(Stop::Failed(e)) => return Err(e),
    };
    Ok(conclude(units, &log, spent))
}

/// Tries sets until the smallest good one in the log is minimal, or until there can be none.
fn find<E, T>(units: &Units, log: &mut Log<T>) -> Result<(), Stop<E>>
where
    T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
{
    if log.is_good(&[])? || !log.is_good(&units.nodes)? {
        return Ok(());
    }
    let grown = grow(units, log)?;
    let mut kept = shrink(log, &units.parts(&grown))?;
    let roles = units.roles(&kept);
    if roles.len() * 2 <= kept.len() {
        kept = shrink(log, &roles)?;
    }
    if is_too_many(kept.len(), units.nodes.len()) {
        log.ask(&[prefix(units, most(units.nodes.len()))])?;
    }
    if kept.len() > LONG && kept.len() * 2 > units.nodes.len() {
        return Ok(());
    }
    shrink(log, &singles(&kept))?;
    // A trial on the way may have met a smaller good set by chance.
    while let Some(best) = log.best().filter(|best| !log.is_minimal(best)) {
        shrink(log, &singles(&best))?;
    }
    Ok(())
}

/// The highest ranked units, as many as make `most` nodes.
fn prefix(units: &Units, most: usize) -> Set {
    let mut kept: Set = Vec::new();
    for step in units.steps() {
        if kept.len() + step.len() > most {
            break;
        }
        kept.extend(step);
    }
    set(kept)
}

/// A good set: the shortest start of the ranking, by exponential, then binary search.
fn grow<E, T>(units: &Units, log: &mut Log<T>) -> Result<Set, Stop<E>>
where
    T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
{
    /// When more units than this are not enough, the ranking misleads.
    const TRUSTED: usize = 8;
    let steps = units.steps();
    let start = |len: usize| set(steps[..len].concat());
    let mut lens: Vec<usize> = (0..).map(|i| 1 << i).take_while(|len| *len < steps.len()).collect();
    lens.push(steps.len());
    let Some(first) = first_good(log, lens.len(), |i| start(lens[i]))? else { return Ok(units.nodes.clone()) };
    let mut good = lens[first];
    let mut bad = if first == 0 { 0 } else { lens[first - 1] };
    if good > TRUSTED {
        let guesses = neighbourhoods(units, &steps[..TRUSTED], start(good).len());
        if let Some(found) = first_good(log, guesses.len(), |i| guesses[i].clone())? {
            return Ok(guesses[found].clone());
        }
    }
    while good - bad > 1 {
        let mids = mids(bad, good, log.jobs());
        let sets: Vec<Set> = mids.iter().map(|len| start(*len)).collect();
        match log.ask(&sets)? {
            Answer::Good => good = mids[0],
            Answer::Bad | Answer::Unknown => bad = mids[0],
        }
    }
    Ok(start(good))
}

/// The first of `count` sets that is good, asked for in order; the next ones are tried along with it.
fn first_good<E, T>(log: &mut Log<T>, count: usize, nth: impl Fn(usize) -> Set) -> Result<Option<usize>, Stop<E>>
where
    T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
{
    for i in 0..count {
        let sets: Vec<Set> = (i..count).take(log.jobs()).map(&nth).collect();
        if log.ask(&sets)? == Answer::Good {
            return Ok(Some(i));
        }
    }
    Ok(None)
}

/// For a ranking that misleads: the highest ranked units may matter only with what is around them. Sets of less than
/// half of `most` nodes, the smallest first.
fn neighbourhoods(units: &Units, steps: &[Set], most: usize) -> Vec<Set> {
    let mut guesses: Vec<Set> = Vec::new();
    let mut len = 1;
    while len <= steps.len() {
        let start = set(steps[..len].concat());
        guesses.extend([units.with_neighbours(&start), units.with_between(&start)]);
        len *= 2;
    }
    guesses.retain(|guess| guess.len() * 2 < most);
    guesses.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
    guesses.dedup();
    guesses
}

/// The middle of the range, then the middles of its halves, and so on: what a binary search will ask for next.
fn mids(bad: usize, good: usize, count: usize) -> Vec<usize> {
    let (mut ranges, mut mids, mut at) = (vec![(bad, good)], Vec::new(), 0);
    while at < ranges.len() && mids.len() < count {
        let (bad, good) = ranges[at];
        at += 1;
        if good - bad > 1 {
            let mid = bad + (good - bad) / 2;
            mids.push(mid);
            ranges.extend([(bad, mid), (mid, good)]);
        }
    }
    mids
}

/// Parts that are good together, and not without any single one.
fn shrink<E, T>(log: &mut Log<T>, parts: &[Set]) -> Result<Set, Stop<E>>
where
    T: FnMut(&[Set]) -> Result<Vec<Trial>, E>,
{
    let union = |numbers: &[usize]| set(numbers.iter().flat_map(|n| parts[*n].iter().copied()).collect());
    let all: Vec<usize> = (0..parts.len()).collect();
    let minimal = ddmin(&all, &[], log.jobs(), |asked| {
        let sets: Vec<Set> = asked.iter().map(|numbers| union(numbers)).collect();
        log.ask(&sets)?;
        let answers = sets.iter().map_while(|set| log.known(set));
        // To ddmin a set is bad when it has the property: here, when the outputs agree.
        Ok(answers.map(Answer::swapped).collect())
    })?;
    log.add_asked(minimal.asked.iter().map(|numbers| union(numbers)));
    Ok(union(&minimal.items))
}

fn singles(nodes: &[usize]) -> Vec<Set> {
    nodes.iter().map(|n| vec![*n]).collect()
}

fn conclude<T>(units: &Units, log: &Log<T>, budget_spent: bool) -> Smallest {
    let best = log.best();
    let why = match (&best, log.known(&units.nodes)) {
        (Some(_), _) => None,
        (None, _) if units.nodes.is_empty() => Some("the model has no node that could be kept in FP32".to_string()),
        (None, Some(Answer::Bad)) => Some(
            "the outputs diverge even with every node in FP32: precision is not the cause, look at the culprits"
                .to_string(),
        ),
        (None, Some(_)) => Some(
            "the trial with every node in FP32 was inconclusive, so nothing shows that precision is the cause"
                .to_string(),
        ),
        (None, None) => Some(format!("{} trials are too few to find out; allow more of them", log.trials())),
    };
    let error_before = log.error(&[]);
    let nodes = best.clone().unwrap_or_default();
    Smallest {
        groups: units.describe(&nodes),
        verified: best.is_some(),
        minimal: best.as_ref().is_some_and(|best| log.is_minimal(best)),
        unknown: log.removals(&nodes).filter(|answer| *answer == Some(Answer::Unknown)).count(),
        error_before,
        error_after: log.error(&nodes),
        trials: log.trials(),
        curve: log.curve(),
        budget_spent,
        why,
        nodes,
    }
}

#[cfg(test)]
mod tests;
