//! The smallest set that still fails, with few tests: delta debugging over ordered items. No DAG, no test runner and no
//! parallel work is known here. [`minimise`] is a plain sequential search that asks for one answer at a time.
//! Speculation runs it again on assumed answers, to see what it would ask; so it cannot change the result.

use std::collections::{BTreeSet, HashMap};

use super::Answer;

/// What [`ddmin`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minimal {
    /// Ascending.
    pub items: Vec<usize>,
    /// Sets tested; with more `jobs`, more sets in less time.
    pub probes: usize,
    /// Items that stay only because the test without them was inconclusive.
    pub unknown: usize,
    /// The sets whose answers led here: the same for every number of `jobs`. What else was tested only saved time.
    pub asked: BTreeSet<Vec<usize>>,
}

/// A bad subset of `items` (numbers in topological order) that is no longer bad without any single one of them. The
/// caller knows that all `items` together are bad and that the empty set is not; neither is tested again. `guesses` are
/// growing sets that may be bad already: the search starts from the first that is.
///
/// `test` gets at most `jobs` sets, and none that it has answered. It answers the first; the others are what will
/// probably be asked next, and the last of them may stay unanswered. The result is the same for every number of `jobs`.
///
/// The number of tests, for n items, one job, no guesses, and supersets of bad sets being bad: ceil(log2 n) + 1 for a
/// single necessary item. Each further one takes one test if it is next to the one before, three if it is as far away
/// as the last one that was not, else 2 log2 n + 3 at most; the proof takes one test for each item at most. With any
/// other predicate the result is just as minimal, but every item that only the proof finds superfluous starts the
/// search and the proof again: in the worst case n times.
pub fn ddmin<E>(
    items: &[usize],
    guesses: &[Vec<usize>],
    jobs: usize,
    mut test: impl FnMut(&[Vec<usize>]) -> Result<Vec<Answer>, E>,
) -> Result<Minimal, E> {
    let mut all = items.to_vec();
    all.sort_unstable();
    all.dedup();
    let mut answers = HashMap::from([(all.clone(), Answer::Bad), (Set::new(), Answer::Good)]);
    let mut probes = 0;
    let mut asked = BTreeSet::new();
    let items = minimise(&all, guesses, &mut |set, odds| {
        asked.insert(set.to_vec());
        if let Some(answer) = answers.get(set) {
            return Ok(*answer);
        }
        let question = Question { set: set.to_vec(), odds };
        let batch = foresee(question, jobs, |assumed| {
            minimise(&all, guesses, &mut |set, odds| recall(&answers, assumed, set, odds)).err()
        });
        let given = test(&batch)?;
        probes += given.len().min(batch.len());
        // Without an answer, asking again would not end.
        let answer = given.first().copied().unwrap_or(Answer::Unknown);
        answers.insert(set.to_vec(), answer);
        answers.extend(batch.into_iter().zip(given));
        Ok(answer)
    })?;
    let is_unknown = |&&i: &&usize| answers.get(&without(&items, &[i])) == Some(&Answer::Unknown);
    let unknown = items.iter().filter(is_unknown).count();
    Ok(Minimal { items, probes, unknown, asked })
}

/// [`ddmin`] of what cures: a good subset of `items` that is no longer good without any single one of them, where all together are
/// good and none of them is not. One set is tested at a time.
pub fn smallest_cure<E>(items: &[usize], mut test: impl FnMut(&[usize]) -> Result<Answer, E>) -> Result<Minimal, E> {
    ddmin(items, &[], 1, |sets| sets.iter().map(|set| Ok(test(set)?.swapped())).collect())
}

/// Ascending, without repetition.
type Set = Vec<usize>;

/// Answers for a set; told how likely the set is bad, which only serves speculation.
type Ask<'a, E> = dyn FnMut(&[usize], f64) -> Result<Answer, E> + 'a;

/// Nothing speaks for either answer.
const EVEN: f64 = 0.5;
/// Most causes are one item, or a run of neighbours.
const LIKELY: f64 = 0.75;
const UNLIKELY: f64 = 0.25;
/// What the search kept is nearly always necessary.
const RARELY: f64 = 0.05;

fn minimise<E>(all: &[usize], guesses: &[Vec<usize>], ask: &mut Ask<E>) -> Result<Set, E> {
    let mut bad = all.to_vec();
    for guess in guesses {
        let set: Set = all.iter().copied().filter(|i| guess.contains(i)).collect();
        if is_bad(ask, &set, EVEN)? {
            bad = set;
            break;
        }
    }
    loop {
        bad = shrink(&bad, ask)?;
        match smaller(&bad, ask)? {
            Some(set) => bad = set,
            None => return Ok(bad),
        }
    }
}

fn is_bad<E>(ask: &mut Ask<E>, set: &[usize], odds: f64) -> Result<bool, E> {
    Ok(ask(set, odds)? == Answer::Bad)
}

/// The necessary items of a bad set, if supersets of bad sets are bad; a bad set in any case. Cuts what comes after the
/// last necessary item, then what comes before the first one, then looks between them.
fn shrink<E>(bad: &[usize], ask: &mut Ask<E>) -> Result<Set, E> {
    let len = least(0, bad.len(), Start::Middle, |len| is_bad(ask, &bad[..len], EVEN))?;
    let bad = &bad[..len];
    let end = |len| &bad[bad.len() - len..];
    if is_bad(ask, end(1), LIKELY)? {
        return Ok(end(1).to_vec());
    }
    let len = least(1, bad.len(), Start::Small(1), |len| is_bad(ask, end(len), EVEN))?;
    match end(len) {
        [first, between @ .., last] => shrink_between(*first, between, *last, ask),
        one_item => Ok(one_item.to_vec()),
    }
}

/// Goes backwards from `last`. Necessary items are next to each other as a rule; if not, they are often equally far
/// from each other, as in a network of equal layers.
fn shrink_between<E>(first: usize, between: &[usize], last: usize, ask: &mut Ask<E>) -> Result<Set, E> {
    let mut kept = vec![first, last];
    let (mut open, mut gap, mut odds) = (between, 2, UNLIKELY);
    if is_bad(ask, &kept, EVEN)? {
        return Ok(kept);
    }
    while let [rest @ .., item] = open {
        if !is_bad(ask, &union(&kept, rest), odds)? {
            kept = union(&kept, &[*item]);
            open = rest;
            odds = UNLIKELY;
            continue;
        }
        let mut is_bad = |len: usize| is_bad(ask, &union(&kept, &open[..len]), EVEN);
        let near = open.len().saturating_sub(gap);
        let len = if !is_bad(near)? {
            // At `near + 1`, if the distance is the same again; else anywhere.
            if is_bad(near + 1)? { near + 1 } else { least(near + 1, rest.len(), Start::Middle, is_bad)? }
        } else if !is_bad(0)? {
            least(0, near, Start::Large(gap), is_bad)?
        } else {
            return Ok(kept);
        };
        gap = open.len() - len + 1;
        kept = union(&kept, &open[len - 1..len]);
        open = &open[..len - 1];
        odds = EVEN;
    }
    Ok(kept)
}

/// Where the length that [`least`] looks for probably is. Growing steps lead away from there, of this size at first.
enum Start {
    Small(usize),
    Middle,
    Large(usize),
}

/// A bad length with one just below it that is not bad: the least one, if all greater ones are bad. It is known that
/// `bad` is bad and `good` is not.
fn least<E>(
    mut good: usize,
    mut bad: usize,
    mut start: Start,
    mut is_bad: impl FnMut(usize) -> Result<bool, E>,
) -> Result<usize, E> {
    /// Twice would be better nearby and worse far away.
    const GROWTH: usize = 3;
    while bad - good > 1 {
        let half = (bad - good) / 2;
        let len = match start {
            Start::Small(step) => good + half.min(step),
            Start::Middle => good + half,
            Start::Large(step) => bad - half.min(step),
        };
        let found = is_bad(len)?;
        if found {
            bad = len;
        } else {
            good = len;
        }
        start = match start {
            Start::Small(step) if !found => Start::Small(step * GROWTH),
            Start::Large(step) if found => Start::Large(step * GROWTH),
            _ => Start::Middle,
        };
    }
    Ok(bad)
}

/// A bad set with one item less, if there is any. Items held by inconclusive answers alone may need each other, so
/// groups of them are tried too, the largest first; that takes about as many tests as there are such items.
fn smaller<E>(bad: &[usize], ask: &mut Ask<E>) -> Result<Option<Set>, E> {
    let mut held = Set::new();
    for &item in bad {
        let rest = without(bad, &[item]);
        match ask(&rest, RARELY)? {
            Answer::Bad => return Ok(Some(rest)),
            Answer::Unknown => held.push(item),
            Answer::Good => {}
        }
    }
    let mut size = held.len();
    while size > 1 {
        for group in held.chunks(size) {
            let rest = without(bad, group);
            if is_bad(ask, &rest, RARELY)? {
                return Ok(Some(rest));
            }
        }
        size = size.div_ceil(2);
    }
    Ok(None)
}

/// A set whose answer is missing, and how likely it is bad.
struct Question {
    set: Set,
    odds: f64,
}

/// Answers taken for granted, and how likely they are.
struct Future {
    odds: f64,
    assumed: Vec<(Set, Answer)>,
}

/// The question, then those that will most likely follow it, `jobs` in all. `next` is what would be asked after some
/// assumed answers. With even odds this goes through the tree of decisions breadth first.
fn foresee(question: Question, jobs: usize, next: impl Fn(&[(Set, Answer)]) -> Option<Question>) -> Vec<Set> {
    /// Futures looked at for each job; several may ask the same.
    const FUTURES: usize = 4;
    let mut batch = vec![question.set.clone()];
    let mut futures = Vec::from(split(question, &Future { odds: 1.0, assumed: Vec::new() }));
    for _ in 0..jobs.saturating_mul(FUTURES) {
        let likeliest = (0..futures.len()).min_by(|&a, &b| futures[b].odds.total_cmp(&futures[a].odds));
        let Some(likeliest) = likeliest.filter(|_| batch.len() < jobs) else { break };
        let future = futures.remove(likeliest);
        if let Some(question) = next(&future.assumed) {
            if !batch.contains(&question.set) {
                batch.push(question.set.clone());
            }
            futures.extend(split(question, &future));
        }
    }
    batch
}

fn split(question: Question, before: &Future) -> [Future; 2] {
    let future = |answer, odds| {
        let assumed = [before.assumed.as_slice(), &[(question.set.clone(), answer)]].concat();
        Future { odds: before.odds * odds, assumed }
    };
    [future(Answer::Bad, question.odds), future(Answer::Good, 1.0 - question.odds)]
}

fn recall(
    answers: &HashMap<Set, Answer>,
    assumed: &[(Set, Answer)],
    set: &[usize],
    odds: f64,
) -> Result<Answer, Question> {
    let assumed = || assumed.iter().find(|(known, _)| known == set).map(|(_, answer)| answer);
    let answer = answers.get(set).or_else(assumed);
    answer.copied().ok_or_else(|| Question { set: set.to_vec(), odds })
}

fn union(a: &[usize], b: &[usize]) -> Set {
    let mut union = [a, b].concat();
    // Two runs: the stable sort merges them.
    union.sort();
    union
}

fn without(set: &[usize], removed: &[usize]) -> Set {
    set.iter().copied().filter(|i| !removed.contains(i)).collect()
}
