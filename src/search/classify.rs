//! Suspects read off answers that are already there. No measuring.

use super::way::{alive, lost_in};
use super::{Answer, Dag, Masked, Suspect};

/// What a complete set of answers says of the bad items that have no bad one above them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classified {
    /// Those whose error reaches a bad target along items that are not good. In topological order.
    pub suspects: Vec<Suspect>,
    /// The others, as far as it was seen where their error is lost. In topological order.
    pub masked: Vec<Masked>,
}

/// Every item that is bad with no bad input, looking through unknown items: a suspect where an unbroken way of bad or unknown
/// items leads from it to a bad target, and masked where good ones cut every way. `answers` holds one answer an item.
pub fn classify(dag: &Dag, answers: &[Answer], targets: &[usize]) -> Classified {
    let bad = |i: usize| answers[i] == Answer::Bad;
    let mut bad_above = vec![false; dag.len()];
    for item in 0..dag.len() {
        bad_above[item] = dag.parents(item).iter().any(|&p| match answers[p] {
            Answer::Good => false,
            Answer::Bad => true,
            Answer::Unknown => bad_above[p],
        });
    }
    let answers: Vec<Option<Answer>> = answers.iter().copied().map(Some).collect();
    let alive = alive(dag, &answers, targets);
    let mut classified = Classified::default();
    for item in (0..dag.len()).filter(|&i| bad(i) && !bad_above[i]) {
        match alive[item] {
            true => classified.suspects.push(suspect(dag, &answers, item)),
            false => classified.masked.extend(masked(dag, &answers, item)),
        }
    }
    classified
}

/// The bad items with good inputs whose every way to a bad target is cut, by answers that need not be complete. In topological
/// order.
pub fn all_masked(dag: &Dag, answers: &[Option<Answer>], targets: &[usize]) -> Vec<Masked> {
    let alive = alive(dag, answers, targets);
    let dead = (0..dag.len()).filter(|&i| answers[i] == Some(Answer::Bad) && !alive[i]);
    let of = dead.filter_map(|i| masked(dag, answers, i));
    of.filter(|m| m.suspect.inputs.iter().all(|&i| answers[i] == Some(Answer::Good))).collect()
}

/// `None` where no good item was seen below it: it may be lost where nobody can look, or in nothing that is read.
fn masked(dag: &Dag, answers: &[Option<Answer>], item: usize) -> Option<Masked> {
    let by = lost_in(dag, answers, item);
    (!by.is_empty()).then(|| Masked { suspect: suspect(dag, answers, item), by })
}

/// `item` as a suspect: what it is computed from, looking through unknown items.
pub(super) fn suspect(dag: &Dag, answers: &[Option<Answer>], item: usize) -> Suspect {
    let mut seen = std::collections::HashSet::new();
    let (mut inputs, mut region) = (Vec::new(), vec![item]);
    let mut next = 0;
    // The region doubles as the queue of items whose parents are still to be looked at.
    while let Some(&through) = region.get(next) {
        next += 1;
        for &parent in dag.parents(through) {
            match answers[parent] {
                _ if !seen.insert(parent) => {}
                Some(Answer::Unknown) => region.push(parent),
                _ => inputs.push(parent),
            }
        }
    }
    inputs.sort_unstable();
    region.sort_unstable();
    Suspect { item, inputs, region }
}
