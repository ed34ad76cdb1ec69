//! What the answers so far mean for the search. It measures nothing and changes nothing.

use super::classify::suspect;
use super::{Answer, Dag};

/// One state of the search.
pub(super) struct Evidence<'a> {
    /// What is searched.
    pub dag: &'a Dag,
    /// What is known of each item.
    pub answers: &'a [Option<Answer>],
    /// Leads to a bad target along items that are not good: the rest is nobody's fault.
    relevant: &'a [bool],
    /// Good, or above a good item.
    covered: Vec<bool>,
    /// Good, or above a good item that has no bad one above it: where a bad item's fault is not looked for.
    acquitted: Vec<bool>,
    /// A suspect that was found, or below one along items that are not good.
    explained: Vec<bool>,
}

impl<'a> Evidence<'a> {
    /// `relevant` says of each item whether it leads to a bad target; `found` are the suspects by now.
    pub fn new(dag: &'a Dag, answers: &'a [Option<Answer>], relevant: &'a [bool], found: &[usize]) -> Evidence<'a> {
        let good: Vec<usize> = (0..dag.len()).filter(|&i| answers[i] == Some(Answer::Good)).collect();
        let bad: Vec<usize> = (0..dag.len()).filter(|&i| answers[i] == Some(Answer::Bad)).collect();
        let covered = dag.ancestors(&good);
        // A good item below a bad one has shown that it hides faults.
        let below_bad = dag.descendants(&bad);
        let mut acquitted = dag.ancestors(&good.iter().copied().filter(|&i| !below_bad[i]).collect::<Vec<_>>());
        good.iter().for_each(|&i| acquitted[i] = true);
        let mut explained = vec![false; dag.len()];
        found.iter().for_each(|&i| explained[i] = true);
        for item in 0..dag.len() {
            let below = dag.parents(item).iter().any(|&p| explained[p]);
            explained[item] |= below && answers[item] != Some(Answer::Good);
        }
        Evidence { dag, answers, relevant, covered, acquitted, explained }
    }

    /// Was it never asked for?
    pub fn is_open(&self, item: usize) -> bool {
        self.answers[item].is_none()
    }

    /// The bad item to explain next: the one with the fewest suspects, the first of these. No bad item stands above it,
    /// since that one would come first, with no more suspects. `None`: every bad item is explained.
    pub fn next_bad(&self) -> Option<usize> {
        let unexplained = |&i: &usize| self.relevant[i] && self.answers[i] == Some(Answer::Bad) && !self.explained[i];
        (0..self.dag.len()).filter(unexplained).min_by_key(|&i| self.suspects(i).len())
    }

    /// Where the fault behind `bad` may be: itself and its ancestors, those above good items left out. Sorted.
    pub fn suspects(&self, bad: usize) -> Vec<usize> {
        let mut inside = vec![false; bad + 1];
        inside[bad] = true;
        for item in (0..=bad).rev().filter(|&i| self.relevant[i]) {
            if inside[item] {
                self.dag.parents(item).iter().filter(|&&p| !self.acquitted[p]).for_each(|&p| inside[p] = true);
            }
        }
        (0..=bad).filter(|&i| inside[i]).collect()
    }

    /// The inputs of `item` that must be measured before it can be called a suspect.
    pub fn open_inputs(&self, item: usize) -> Vec<usize> {
        suspect(self.dag, self.answers, item).inputs.into_iter().filter(|&i| self.is_open(i)).collect()
    }

    /// The last open items among the unchecked ones: when these are good, they cover all the others. Sorted.
    pub fn frontier(&self) -> Vec<usize> {
        let mut open_below = vec![false; self.dag.len()];
        for item in (0..self.dag.len()).rev() {
            let mut below = self.dag.children(item).iter().filter(|&&c| self.is_unchecked(c));
            open_below[item] = below.any(|&c| self.is_open(c) || open_below[c]);
        }
        (0..self.dag.len()).filter(|&i| self.is_unchecked(i) && self.is_open(i) && !open_below[i]).collect()
    }

    /// Could it hold a fault of its own? It leads to a bad target, and neither a suspect nor a good item speaks for it.
    fn is_unchecked(&self, item: usize) -> bool {
        self.relevant[item] && !self.covered[item] && !self.explained[item]
    }

    /// The items that would still have to be measured, had `culprit` been found alone and `marks` answered accordingly.
    pub fn still_needed_if(&self, culprit: usize, marks: &[usize]) -> Vec<usize> {
        let spoiled = self.dag.descendants(&[culprit]);
        let mut answers = self.answers.to_vec();
        for &mark in marks {
            answers[mark] = Some(if spoiled[mark] { Answer::Bad } else { Answer::Good });
        }
        let mut found = vec![culprit];
        found.extend((0..self.dag.len()).filter(|&i| self.explained[i]));
        let then = Evidence::new(self.dag, &answers, self.relevant, &found);
        let mut needed = then.open_inputs(culprit);
        // The inputs will be good, so what is above them needs no further mark.
        needed.iter().for_each(|&i| answers[i] = Some(Answer::Good));
        needed.extend(Evidence::new(self.dag, &answers, self.relevant, &found).frontier());
        needed
    }
}
