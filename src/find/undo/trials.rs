//! Runs of the candidate's file with sets of differences undone: what each gave, and the smallest set that reaches a goal.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::differ::{self, Difference, Two, What};
use crate::lab::{Edited, Probe};
use crate::onnx::ModelProto;
use crate::run::RunError;
use crate::search::{Answer, ddmin};

/// Up to so many differences are undone one at a time before they are undone together.
const SINGLY: usize = 12;
/// Runs of an engine that must be built for each.
const BUILDS: usize = 8;
/// Runs of whatever is loaded quickly.
const RUNS: usize = 256;
/// And no new one after this.
const LONGEST: Duration = Duration::from_secs(300);

/// What is to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// All outputs that decide.
    Outputs,
    /// What this culprit makes.
    Tensor(usize),
}

/// Differences, and what undoing them gave so far.
pub struct Trials<'p, 'l, 'a> {
    /// Runs them.
    pub probe: &'p mut Probe<'l>,
    /// The two files.
    pub two: &'a Two<'a>,
    /// All differences that are known, those at culprits first.
    pub items: Vec<Difference>,
    /// All differences of the files are among the items.
    pub wide: bool,
    /// By culprit: which items are at it.
    near: Vec<Vec<usize>>,
    /// The culprits' tensors.
    marks: Vec<usize>,
    answers: HashMap<Vec<usize>, Option<Edited>>,
    started: Instant,
}

impl<'p, 'l, 'a> Trials<'p, 'l, 'a> {
    /// Of differences by culprit; `marks` are the culprits' tensors.
    pub fn of(probe: &'p mut Probe<'l>, two: &'a Two<'a>, near: Vec<Vec<Difference>>, marks: Vec<usize>) -> Self {
        let (answers, started) = (HashMap::new(), Instant::now());
        let mut trials =
            Trials { probe, two, items: Vec::new(), wide: false, near: Vec::new(), marks, answers, started };
        for differences in near {
            let at = differences.into_iter().map(|d| trials.number(d)).collect();
            trials.near.push(at);
        }
        trials
    }

    /// With all differences of the files.
    pub fn widen(&mut self, all: Vec<Difference>) {
        self.wide = true;
        all.into_iter().for_each(|d| {
            self.number(d);
        });
    }

    /// The number of a difference; the same one has one number.
    fn number(&mut self, d: Difference) -> usize {
        let known = self.items.iter().position(|own| own.is_same(&d));
        known.unwrap_or_else(|| {
            self.items.push(d);
            self.items.len() - 1
        })
    }

    /// Those at any culprit.
    pub fn near(&self) -> Vec<usize> {
        let mut all: Vec<usize> = self.near.iter().flatten().copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Those at this culprit.
    pub fn near_to(&self, culprit: usize) -> Vec<usize> {
        self.near.get(culprit).cloned().unwrap_or_default()
    }

    /// All that are known.
    pub fn everything(&self) -> Vec<usize> {
        (0..self.items.len()).collect()
    }

    /// The candidate's file without these differences.
    pub fn model(&self, set: &[usize]) -> Option<ModelProto> {
        let undone: Vec<&Difference> = set.iter().filter_map(|i| self.items.get(*i)).collect();
        differ::undone(self.two, &undone).ok()
    }

    /// What undoing this set alone gave, if it was tried and ran.
    pub fn seen(&self, set: &[usize]) -> Option<&Edited> {
        self.answers.get(set)?.as_ref()
    }

    /// The smallest set among `items` whose undoing reaches the goal. `None` where none was found that does.
    pub fn smallest(&mut self, items: &[usize], goal: Goal) -> Result<Option<Vec<usize>>, RunError> {
        // A difference of one node is a better answer than one of the whole file.
        let mut order = items.to_vec();
        order.sort_by_key(|i| matches!(self.items[*i].what, What::Opset { .. }));
        let usable: Vec<usize> = order.into_iter().filter(|i| self.model(&[*i]).is_some()).collect();
        if usable.len() <= SINGLY {
            for item in &usable {
                if self.answer(&[*item], goal)? == Answer::Bad {
                    return Ok(Some(vec![*item]));
                }
            }
        }
        let node_by_node: Vec<usize> =
            usable.iter().copied().filter(|i| !matches!(self.items[*i].what, What::Opset { .. })).collect();
        for set in [node_by_node, usable] {
            if set.len() > 1 && self.answer(&set, goal)? == Answer::Bad {
                return self.minimal(&set, goal).map(Some);
            }
        }
        Ok(None)
    }

    fn minimal(&mut self, set: &[usize], goal: Goal) -> Result<Vec<usize>, RunError> {
        let found = ddmin(set, &[], 1, |sets: &[Vec<usize>]| {
            sets.iter().take(1).map(|set| self.answer(set, goal)).collect::<Result<Vec<Answer>, RunError>>()
        })?;
        Ok(found.items)
    }

    /// `Bad`: the goal is reached, as the search for a smallest set calls it.
    fn answer(&mut self, set: &[usize], goal: Goal) -> Result<Answer, RunError> {
        let mut set = set.to_vec();
        set.sort_unstable();
        if !self.answers.contains_key(&set) {
            let most = if self.probe.lab.candidate.is_engine() { BUILDS } else { RUNS };
            if self.answers.len() >= most || self.started.elapsed() > LONGEST {
                return Ok(Answer::Unknown);
            }
            let seen = match self.model(&set) {
                Some(model) => self.probe.look_edited(&model, &self.marks)?,
                None => None,
            };
            self.answers.insert(set.clone(), seen);
        }
        let reached = |seen: &Edited| match goal {
            Goal::Outputs => seen.outputs,
            Goal::Tensor(number) => seen.tensors.get(number).copied().unwrap_or(false),
        };
        Ok(match self.answers.get(&set).and_then(Option::as_ref) {
            None => Answer::Unknown,
            Some(seen) if reached(seen) => Answer::Bad,
            Some(_) => Answer::Good,
        })
    }
}
