//! How the candidate's tensors are made visible where that changes what it computes. An engine is built anew around whatever
//! is marked: what a marked build tells counts only if its final outputs are those of the unmarked one.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::Probe;
use super::pairs::{Asked, numbers};
use super::results::Judged;
use crate::found::Status;
use crate::run::{Observe, RunError};
use crate::tensor::{Tensor, Tensors};

/// What is wished for, and what has been learnt about it.
#[derive(Debug, Default)]
pub struct Sight {
    /// `None`: marked outputs, and where they disturb, what survives fusion.
    pub wish: Option<Observe>,
    /// Builds that were thrown away because marking had changed their outputs.
    pub disturbed: usize,
    /// All that survives fusion was asked for.
    unfused: bool,
    /// Tensors were measured that nobody had asked for yet.
    news: bool,
    /// What was tried, in order.
    pub ways: Vec<Observe>,
    /// Sets of tensors that disturbed when they were marked together.
    disturbing: HashMap<Vec<usize>, String>,
    /// The last build was thrown away because marking had changed the reference alone.
    pub(super) reference_moved: bool,
    /// Why the candidate compared nothing itself although it could.
    pub unjudged: Option<String>,
}

/// What a look at tensors taught besides their values, for a run that goes on without having looked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learnt {
    /// How they were seen last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    way: Option<Observe>,
    /// Why marking them together disturbs, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disturbs: Option<String>,
    /// As in [`Sight`], after the look.
    #[serde(default, skip_serializing_if = "is_none")]
    disturbed: usize,
    #[serde(default, skip_serializing_if = "is_not")]
    unfused: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    news: bool,
    #[serde(default, skip_serializing_if = "is_not")]
    perturbed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unjudged: Option<String>,
    /// Runs of the candidate that it took.
    runs: usize,
}

impl Learnt {
    /// Nothing but what it cost.
    pub(super) fn of_runs(runs: usize) -> Learnt {
        Learnt { runs, ..Learnt::default() }
    }

    /// Runs of the candidate that it took.
    pub(super) fn runs(&self) -> usize {
        self.runs
    }
}

fn is_not(yes: &bool) -> bool {
    !yes
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Builds of marked halves, where a marked build disturbed and nothing else can be tried.
const HALVES: usize = 2;

impl Sight {
    /// Before any tensor was looked at; `wish` is the user's.
    pub(super) fn new(wish: Option<Observe>) -> Sight {
        Sight { wish, ..Sight::default() }
    }

    /// How tensors are marked, if they are.
    pub(super) fn way_of_marks(&self) -> Option<Observe> {
        Some(self.wish.unwrap_or(Observe::Outputs)).filter(|way| *way != Observe::Unfused)
    }

    fn way(&mut self, way: Observe) {
        if !self.ways.contains(&way) {
            self.ways.push(way);
        }
    }
}

impl Probe<'_> {
    /// Were tensors measured that nobody had asked for? A search may start afresh with them. Answers once.
    pub fn news(&mut self) -> bool {
        std::mem::take(&mut self.sight.news)
    }

    /// What the look at these taught, which began when the candidate had run `before` times.
    pub(super) fn learnt(&self, asked: &[usize], before: usize) -> Learnt {
        Learnt {
            way: self.sight.ways.last().copied(),
            disturbs: self.sight.disturbing.get(asked).cloned(),
            disturbed: self.sight.disturbed,
            unfused: self.sight.unfused,
            news: self.sight.news,
            perturbed: self.ledger.counts.perturbed,
            unjudged: self.sight.unjudged.clone(),
            runs: self.ledger.counts.candidate_runs - before,
        }
    }

    /// As if it had been learnt now. Gives back how the values of `asked` can be seen again, if they can.
    pub(super) fn relearn(&mut self, asked: &[usize], learnt: Learnt) -> Option<Observe> {
        let disturbs = learnt.disturbs.is_some();
        learnt.way.into_iter().for_each(|way| self.sight.way(way));
        self.sight.disturbing.extend(learnt.disturbs.map(|why| (asked.to_vec(), why)));
        self.sight.disturbed = self.sight.disturbed.max(learnt.disturbed);
        self.sight.unfused |= learnt.unfused;
        self.sight.news |= learnt.news;
        self.ledger.counts.perturbed |= learnt.perturbed;
        self.ledger.counts.recalled_runs += learnt.runs;
        self.sight.unjudged = self.sight.unjudged.take().or(learnt.unjudged);
        learnt.way.filter(|way| !disturbs || *way == Observe::Unfused)
    }

    /// Measures what can be seen of `asked`; the rest is told to be not comparable, or stays open for another look.
    pub(super) fn look(&mut self, asked: &[Asked]) -> Result<(), RunError> {
        let Some(first) = self.sight.way_of_marks() else { return self.look_unfused(asked) };
        let set = numbers(asked);
        if let Some(why) = self.sight.disturbing.get(&set).cloned() {
            self.give_up(asked, &why);
            return Ok(());
        }
        let Some(why) = self.look_marked(asked, first)? else { return Ok(()) };
        self.sight.disturbing.insert(set, why.clone());
        let auto = self.sight.wish.is_none() && self.lab.candidate.observes(Observe::Unfused);
        if auto && !self.sight.unfused {
            return self.look_unfused(asked);
        }
        if auto || asked.len() == 1 {
            self.give_up(asked, &why);
            return Ok(());
        }
        // Builds of an engine are dear; of a session that optimises, whatever can be seen is looked for.
        let depth = if self.lab.candidate.is_engine() { 1 } else { usize::MAX };
        self.look_in_halves(asked, first, depth)
    }

    /// What disturbed when it was marked together, in halves, and halves of those, as deep as it goes.
    fn look_in_halves(&mut self, asked: &[Asked], way: Observe, depth: usize) -> Result<(), RunError> {
        for half in asked.chunks(asked.len().div_ceil(HALVES)) {
            match self.look_marked(half, way)? {
                None => {}
                Some(why) if depth <= 1 || half.len() == 1 => self.give_up(half, &why),
                Some(_) => self.look_in_halves(half, way, depth - 1)?,
            }
        }
        Ok(())
    }

    /// One build with all of them marked; why it does not count, if it does not.
    pub(super) fn look_marked(&mut self, asked: &[Asked], way: Observe) -> Result<Option<String>, RunError> {
        self.sight.way(way);
        let (disturbance, judged) = match way == Observe::Outputs && self.is_compared() {
            true => self.run_compared(asked)?,
            false => (self.run_marked(asked, way)?, Judged::new()),
        };
        if disturbance.is_some() {
            self.count_disturbed();
            let candidates: HashSet<usize> = asked.iter().map(|(_, pair)| pair.candidate).collect();
            self.values.candidate.retain(|tensor, _| !candidates.contains(tensor));
        } else {
            self.judge_all(asked, &judged);
        }
        Ok(disturbance)
    }

    /// What is told of the candidate is not the reference's doing.
    fn count_disturbed(&mut self) {
        if !std::mem::take(&mut self.sight.reference_moved) {
            self.sight.disturbed += 1;
            self.ledger.counts.perturbed = true;
        }
    }

    /// One build without marks, in which everything that survives fusion is reported: nothing more can be learnt this way.
    fn look_unfused(&mut self, asked: &[Asked]) -> Result<(), RunError> {
        if std::mem::replace(&mut self.sight.unfused, true) {
            self.give_up(asked, "it is fused away, so it has no value of its own");
            return Ok(());
        }
        self.sight.way(Observe::Unfused);
        let lab = self.lab;
        let fits = lab.survey.total(lab.feeds.len()) <= lab.memory;
        let all: Vec<Asked> = match fits {
            true => lab.comparable((0..lab.tensors()).filter(|t| self.results.is_open(*t))),
            false => asked.to_vec(),
        };
        if let Some(why) = self.run_marked(&all, Observe::Unfused)? {
            self.sight.disturbed += usize::from(!std::mem::take(&mut self.sight.reference_moved));
            self.give_up(asked, &why);
            return Ok(());
        }
        let seen: Vec<Asked> =
            all.into_iter().filter(|(_, pair)| self.values.candidate.contains_key(&pair.candidate)).collect();
        self.judge_all(&seen, &Judged::new());
        self.sight.news = true;
        if self.sight.wish == Some(Observe::Unfused) {
            let rest: Vec<Asked> = asked.iter().filter(|(t, _)| self.results.is_open(*t)).copied().collect();
            self.give_up(&rest, "it is fused away, so it has no value of its own");
        }
        Ok(())
    }

    /// Is it known that marking these together changes what the candidate computes?
    pub(super) fn disturbs(&self, asked: &[Asked]) -> bool {
        self.sight.disturbing.contains_key(&numbers(asked))
    }

    fn give_up(&mut self, asked: &[Asked], why: &str) {
        for (tensor, _) in asked {
            if self.results.is_open(*tensor) {
                self.results.set(*tensor, self.lab.not_compared(*tensor, why));
            }
        }
    }

    /// The same of the reference, where marking may change it: an engine that is believed is one as it is deployed.
    pub(super) fn reference_disturbance(&self, marked: &[Tensors]) -> Option<String> {
        let fuses = self.lab.reference.fuses();
        let name = fuses.then(|| self.moved(marked, &self.finals.right)).flatten()?;
        Some(format!("marking it changes what the reference computes (output '{name}' moved)"))
    }

    /// An output that is another one beyond the tolerance, now that tensors are marked.
    fn moved(&self, marked: &[Tensors], unmarked: &[Tensors]) -> Option<String> {
        let mut common = both(marked, unmarked);
        let diverges = |name: &str, value: &Tensor, now: &Tensor| {
            self.lab.rules.judge_output(name, value, now).status == Status::Diverges
        };
        common.find(|(name, value, now)| diverges(name, value, now)).map(|(name, ..)| name.clone())
    }

    /// What a marked run says against itself: its final outputs are not those of the unmarked run.
    pub(super) fn disturbance(&mut self, marked: &[Tensors]) -> Option<String> {
        let unmarked = self.undisturbed.as_deref().unwrap_or_default();
        if !self.lab.candidate.fuses() {
            // Elsewhere marking should change nothing at all; that it did is told, and nothing else could be looked at.
            let changed =
                both(marked, unmarked).fold(false, |changed, (_, value, now)| changed | !value.identical(now));
            self.ledger.counts.perturbed |= changed;
            return None;
        }
        let name = self.moved(marked, unmarked)?;
        Some(format!("marking it changes what {} computes (output '{name}' moved)", self.lab.candidate.built()))
    }
}

/// The outputs of two runs that have the same names: the unmarked and the marked value, sample by sample.
fn both<'a>(
    marked: &'a [Tensors],
    unmarked: &'a [Tensors],
) -> impl Iterator<Item = (&'a String, &'a Tensor, &'a Tensor)> {
    let pairs = marked.iter().zip(unmarked);
    pairs.flat_map(|(m, u)| u.iter().filter_map(|(name, value)| Some((name, value, m.get(name)?))))
}
