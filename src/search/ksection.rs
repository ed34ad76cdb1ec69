//! The search that measures little: k-section over a DAG. It never trusts that badness spreads downwards; only measured
//! inputs make a suspect.

use super::carve::carve;
use super::classify::suspect;
use super::evidence::Evidence;
use super::way::alive;
use super::{Answer, Dag, Found, Limits};

/// Finds the suspects behind the bad `targets`. `known` holds the answers that cost nothing: final outputs, constants
/// (good), items that nobody can observe (unknown). `round` makes at most `limits.builds` probes at the same time, each of
/// at most `limits.marks` items, all distinct and not yet answered, and gives one answer for each item in the same order; it
/// is the expensive part, so it is called rarely.
///
/// A single fault in a chain of N items takes ceil(log_(K+1) N) rounds at most, with K marks in a round; in a residual or
/// inception network with 8 marks, one more at most. A wide network takes more: every branch that could hold a fault is
/// checked. More marks in a round see more, so of faults that are masked further down they may find more.
pub fn bisect<E>(
    dag: &Dag,
    known: Vec<Option<Answer>>,
    targets: &[usize],
    limits: Limits,
    round: impl FnMut(&[&[usize]]) -> Result<Vec<Answer>, E>,
) -> Result<Found, E> {
    let marks = limits.marks.max(1).saturating_mul(limits.builds.max(1));
    let mut log = Log { answers: known, probes: 0, marks: limits.marks.max(1), round };
    let mut open_targets: Vec<usize> = targets.iter().copied().filter(|&t| log.answers[t].is_none()).collect();
    open_targets.sort_unstable();
    open_targets.dedup();
    for chunk in open_targets.chunks(marks) {
        log.measure(chunk)?;
    }
    let bad_targets: Vec<usize> = targets.iter().copied().filter(|&t| log.answers[t] == Some(Answer::Bad)).collect();

    let mut found: Vec<usize> = Vec::new();
    let unexplained = loop {
        // What was measured since may have cut the way of one that was found: then something else must explain the targets.
        let relevant = alive(dag, &log.answers, &bad_targets);
        found.retain(|&i| relevant[i]);
        let evidence = Evidence::new(dag, &log.answers, &relevant, &found);
        let bad = evidence.next_bad();
        let asked = match bad {
            Some(bad) => close_in(&evidence, bad, marks),
            None => check_the_rest(&evidence, marks),
        };
        let done = bad.is_none() && asked.is_empty();
        if done || found.len() >= limits.max_suspects {
            break !done;
        }
        match bad {
            Some(bad) if asked.is_empty() => found.push(bad),
            _ => log.measure(&asked)?,
        }
    };
    found.sort_unstable();
    let suspects = found.into_iter().map(|item| suspect(dag, &log.answers, item)).collect();
    Ok(Found { suspects, answers: log.answers, probes: log.probes, unexplained })
}

/// Everything that was answered, and the one place that asks.
struct Log<P> {
    answers: Vec<Option<Answer>>,
    probes: usize,
    /// Items that one probe may observe.
    marks: usize,
    round: P,
}

impl<P> Log<P> {
    fn measure<E>(&mut self, items: &[usize]) -> Result<(), E>
    where
        P: FnMut(&[&[usize]]) -> Result<Vec<Answer>, E>,
    {
        // No more probes than are needed, and none with more items than another.
        let probes = items.len().div_ceil(self.marks).max(1);
        let parts: Vec<&[usize]> = items.chunks(items.len().div_ceil(probes).max(1)).collect();
        let answers = (self.round)(&parts)?;
        self.probes += parts.len();
        for (i, &item) in items.iter().enumerate() {
            // An item without an answer could not be observed; asking again would not end.
            self.answers[item] = Some(answers.get(i).copied().unwrap_or(Answer::Unknown));
        }
        Ok(())
    }
}

/// The marks that close in on the fault behind `bad`. None: its inputs are all good, so it is a suspect.
fn close_in(evidence: &Evidence, bad: usize, marks: usize) -> Vec<usize> {
    let suspects = evidence.suspects(bad);
    let mut asked: Vec<usize> = suspects.iter().copied().filter(|&i| evidence.is_open(i)).collect();
    if asked.len() > marks {
        return carve(evidence.dag, &suspects, |i| evidence.is_open(i), marks);
    }
    if asked.is_empty() {
        asked = evidence.open_inputs(bad);
        asked.truncate(marks);
    }
    if !asked.is_empty() {
        add_what_comes_next(evidence, &suspects, &mut asked, marks);
    }
    asked
}

/// The marks that could still find an independent fault.
fn check_the_rest(evidence: &Evidence, marks: usize) -> Vec<usize> {
    let mut asked = evidence.frontier();
    asked.truncate(marks);
    asked
}

/// Fills the room left in `asked` with what would be measured next for each suspect, had it been the culprit. A suspect
/// saves a probe only when all that it needs is there, so those that need least go first.
fn add_what_comes_next(evidence: &Evidence, suspects: &[usize], asked: &mut Vec<usize>, marks: usize) {
    /// More guesses than this are not worth their time.
    const GUESSES: usize = 64;
    if asked.len() >= marks {
        return;
    }
    let observable = |&&i: &&usize| evidence.answers[i] != Some(Answer::Unknown);
    let guesses = suspects.iter().filter(observable).rev().take(GUESSES);
    let mut needs: Vec<Vec<usize>> = guesses.map(|&i| evidence.still_needed_if(i, asked)).collect();
    loop {
        needs.iter_mut().for_each(|need| need.retain(|i| !asked.contains(i)));
        needs.retain(|need| !need.is_empty() && asked.len() + need.len() <= marks);
        let Some(least) = needs.iter().min_by_key(|need| need.len()) else { return };
        asked.extend(least);
    }
}
