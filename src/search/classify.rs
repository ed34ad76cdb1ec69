//! Suspects read off answers that are already there. No measuring.

use super::{Answer, Dag, Suspect};

/// Every item that is bad with no bad input, looking through unknown items, and that leads to a bad target. In
/// topological order. `answers` holds one answer an item.
pub fn classify(dag: &Dag, answers: &[Answer], targets: &[usize]) -> Vec<Suspect> {
    let bad = |i: usize| answers[i] == Answer::Bad;
    let bad_targets: Vec<usize> = targets.iter().copied().filter(|&t| bad(t)).collect();
    let relevant = dag.ancestors(&bad_targets);

    let mut bad_above = vec![false; dag.len()];
    for item in 0..dag.len() {
        bad_above[item] = dag.parents(item).iter().any(|&p| match answers[p] {
            Answer::Good => false,
            Answer::Bad => true,
            Answer::Unknown => bad_above[p],
        });
    }
    let answers: Vec<Option<Answer>> = answers.iter().copied().map(Some).collect();
    let suspects = (0..dag.len()).filter(|&i| relevant[i] && bad(i) && !bad_above[i]);
    suspects.map(|i| suspect(dag, &answers, i)).collect()
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
