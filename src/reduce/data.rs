//! Less data: the failing sample of a batch, the failing part of every axis, of feeds and weights alike; never of a
//! parameter of a node. Which axes must shrink together is guessed from their sizes; a guess that the shapes contradict
//! is no question (`sound`), and what a backend refuses is never a failure.

mod cut;
mod groups;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::trim::ask;
use super::{Attempt, Case};
use crate::onnx::TensorProto;
use crate::search::Answer;
use crate::tensor::Tensor;
use cut::{Axis, Cuts, Whole};

/// Questions in one reduction at most.
const QUESTIONS: usize = 64;

/// Nodes whose shapes are looked at in one reduction at most: a second or so.
const LOOKS: usize = 2_000_000;

/// Where halves of a batch pass, so many samples are tried alone.
const SINGLE_SAMPLES: usize = 4;

/// A case with less data.
pub struct Shrunk {
    /// It fails as the larger one did.
    pub case: Case,
    /// What was kept, for people: "kept sample 3 (counted from 0) of 8: input x".
    pub notes: Vec<String>,
}

/// `case` with as little data as its failure needs; stops when feeds and weights are below `enough` bytes (0: never).
///
/// `payload` gives the value of an initializer that is not inline. `hint` is the index of the worst element of the
/// first output. Where anything was cut, `expected` is `None`, and declared types of computed values keep their rank alone.
pub fn shrink<E>(
    case: Case,
    payload: &dyn Fn(&TensorProto) -> Option<Tensor>,
    hint: Option<&[usize]>,
    enough: u64,
    test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Shrunk, E> {
    let output = cut::output_shape(&case);
    let whole = Whole::new(case, payload);
    let (answers, looks) = (HashMap::new(), Cell::new(0));
    let mut search = Search { cuts: Cuts::new(), answers, looks, whole: &whole, enough, test };
    let batch = groups::batch(&whole, output.as_deref());
    let sample = hint.and_then(|h| h.first()).copied();
    search.descend(&batch, sample)?;
    search.single_samples(&batch)?;
    let axes = groups::axes(&whole);
    let mut before = None;
    while before.as_ref() != Some(&search.cuts) {
        before = Some(search.cuts.clone());
        for &axis in &axes {
            let focus = groups::focus(&whole, axis, output.as_deref(), hint);
            let mut tried = HashSet::new();
            for choice in 0..groups::CHOICES {
                // The sizes change on the way, and with them what shrinks together.
                let group = groups::group(&whole, &search.cuts, axis, choice);
                if tried.insert((group.clone(), whole.range(&search.cuts, axis))) {
                    search.descend(&group, focus)?;
                }
            }
        }
    }
    let cuts = search.cuts;
    Ok(Shrunk { notes: whole.notes(&cuts, &batch), case: whole.cut(&cuts) })
}

struct Search<'a, T> {
    whole: &'a Whole,
    cuts: Cuts,
    /// By the words of the question: no cut is asked about twice.
    answers: HashMap<String, Answer>,
    /// Nodes whose shapes were looked at.
    looks: Cell<usize>,
    enough: u64,
    test: T,
}

impl<E, T: FnMut(&[Attempt]) -> Result<Vec<Answer>, E>> Search<'_, T> {
    /// Cuts the axes of `group` together, as far as the failure and the shapes allow: to the least around `focus` (one
    /// element, or a whole window), else to a half.
    fn descend(&mut self, group: &[Axis], focus: Option<usize>) -> Result<(), E> {
        let Some(&first) = group.first() else { return Ok(()) };
        loop {
            let range = self.whole.range(&self.cuts, first);
            let Some(least) = self.least(group, range.len()) else { return Ok(()) };
            let mut refused = 0;
            let mut smaller = false;
            let within = |part: Range<usize>| part.start - range.start..part.end - range.start;
            for part in parts(&range, focus, least).into_iter().map(within) {
                let cuts = self.with(group, &part);
                if !self.fits(&cuts) {
                    continue;
                }
                match self.keep(cuts)? {
                    Answer::Bad => {
                        smaller = true;
                        break;
                    }
                    Answer::Good => {}
                    Answer::Unknown => refused += 1,
                }
                // Axes that do not belong together: the other parts would be refused as well.
                if refused == 2 {
                    return Ok(());
                }
            }
            if !smaller {
                return Ok(());
            }
        }
    }

    /// Halves lose a failure that one sample alone may still show.
    fn single_samples(&mut self, batch: &[Axis]) -> Result<(), E> {
        let Some(&first) = batch.first() else { return Ok(()) };
        let samples = self.whole.range(&self.cuts, first).len();
        if samples < 2 {
            return Ok(());
        }
        for sample in 0..samples.min(SINGLE_SAMPLES) {
            let cuts = self.with(batch, &(sample..sample + 1));
            if self.fits(&cuts) && self.keep(cuts)? == Answer::Bad {
                break;
            }
        }
        Ok(())
    }

    /// The cuts with `part` (counted within what is left) of the axes of `group`.
    fn with(&self, group: &[Axis], part: &Range<usize>) -> Cuts {
        let mut cuts = self.cuts.clone();
        for &axis in group {
            let start = self.whole.range(&self.cuts, axis).start;
            cuts.insert(axis, start + part.start..start + part.end);
        }
        cuts
    }

    /// The fewest elements of the axes of `group` that every node can work with, if they are fewer than `length`.
    fn least(&self, group: &[Axis], length: usize) -> Option<usize> {
        let fits = |width: &usize| self.fits(&self.with(group, &(0..*width)));
        let doubled = std::iter::successors(Some(1usize), |width| width.checked_mul(2));
        let mut fitting = doubled.take_while(|width| *width < length).chain(length.checked_sub(1)).find(fits)?;
        let mut misfit = fitting / 2;
        while misfit + 1 < fitting {
            let middle = misfit + (fitting - misfit) / 2;
            if fits(&middle) { fitting = middle } else { misfit = middle }
        }
        (fitting > 0).then_some(fitting)
    }

    fn fits(&self, cuts: &Cuts) -> bool {
        self.looks.set(self.looks.get() + self.whole.nodes());
        self.looks.get() < LOOKS && self.whole.fits(cuts)
    }

    /// Asks about `cuts`, and keeps them where the failure survives.
    fn keep(&mut self, cuts: Cuts) -> Result<Answer, E> {
        let what = self.whole.words(&cuts);
        if let Some(answer) = self.answers.get(&what) {
            return Ok(*answer);
        }
        if self.answers.len() >= QUESTIONS || self.whole.bytes(&self.cuts) < self.enough {
            return Ok(Answer::Unknown);
        }
        let (answer, _) = ask(what.clone(), self.whole.cut(&cuts), &mut self.test)?;
        self.answers.insert(what, answer);
        if answer == Answer::Bad {
            self.cuts = cuts;
        }
        Ok(answer)
    }
}

/// What to try of a range, in this order: the `least` around the focus, the half around it, the other half, the middle.
fn parts(range: &Range<usize>, focus: Option<usize>, least: usize) -> Vec<Range<usize>> {
    let (start, end) = (range.start, range.end);
    let middle = start + range.len() / 2;
    let halves = [start..middle.max(start + least), middle.min(end - least)..end];
    let width = range.len().div_ceil(2).max(least);
    let around = |place: usize, width: usize| {
        let left = place.saturating_sub(width / 2).clamp(start, end - width);
        left..left + width
    };
    let mut parts = match focus.filter(|f| range.contains(f)) {
        Some(focus) => {
            let [first, second] = halves;
            let [near, far] = if focus < middle { [first, second] } else { [second, first] };
            vec![around(focus, least), near, far, around(focus, width)]
        }
        None => {
            let left = start + (range.len() - width) / 2;
            let [first, second] = halves;
            vec![first, second, left..left + width]
        }
    };
    let mut seen = HashSet::new();
    parts.retain(|part| seen.insert(part.clone()));
    parts
}

#[cfg(test)]
mod tests;
