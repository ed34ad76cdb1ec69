//! The candidate with the suspects put right: their outputs are the reference's values there. If the final outputs agree, all of
//! them are explained; if they do not, what else is wrong stands out where the errors of the found ones had covered it. What is
//! found so is a guess: it is measured in the candidate as it is, and suspected if it diverges there from inputs that agree.

use super::consequences::{is_measured, open};
use super::{Halt, Hunt};
use crate::find::scan::parents;
use crate::found::Status;
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{self, Answer, Dag, Suspect};

/// Searches in a row that may add nothing before it is left at that.
const FRUITLESS: usize = 2;
/// Runs, as a multiple of what a single fault takes, that all of it may cost; and where each is a build of minutes.
const PATIENCE: usize = 40;
const ENGINE_PATIENCE: usize = 4;

/// What was learnt by putting suspects right.
#[derive(Default)]
pub struct Worlds {
    /// The candidate ran with all of them put right, and its outputs agreed or not.
    tried: bool,
    /// What is put right with the suspects, though it is none: it diverges once they do not.
    besides: Vec<Suspect>,
    /// Runs before any of it.
    before: Option<usize>,
    /// At last, outputs still diverged.
    left: bool,
}

impl Worlds {
    /// Puts the suspects right and searches for more, until the outputs agree or nothing more is found.
    pub fn search(&mut self, hunt: &mut Hunt, probe: &mut Probe, suspects: &mut Vec<Suspect>) -> Result<(), RunError> {
        let mut fruitless = 0;
        if hunt.knows_all(probe) {
            return Ok(());
        }
        self.before.get_or_insert(hunt.spent(probe));
        while fruitless < FRUITLESS && suspects.len() < hunt.limits.max_suspects && !self.is_tired(hunt, probe) {
            let items: Vec<usize> = suspects.iter().chain(&self.besides).map(|s| s.item).collect();
            let Some(explained) = explaining(probe, &items).filter(|e| !e.is_empty()) else { return Ok(()) };
            let Some(bad) = self.diverging(hunt, probe, &explained)? else { return Ok(()) };
            self.left = !bad.is_empty();
            if bad.is_empty() {
                return Ok(());
            }
            let more = self.more(hunt, probe, &explained, &bad)?;
            let new: Vec<Suspect> = more.into_iter().filter(|s| !items.contains(&s.item)).collect();
            if new.is_empty() {
                return Ok(());
            }
            let asked: Vec<usize> = new.iter().flat_map(|s| s.inputs.iter().copied().chain([s.item])).collect();
            hunt.measure(probe, &open(probe, asked))?;
            let (real, guesses) = (hunt.search(probe)?, new);
            let before = suspects.len();
            let known = |suspects: &[Suspect], item: usize| suspects.iter().any(|s| s.item == item);
            let added: Vec<Suspect> =
                guesses.iter().filter(|guess| is_measured(probe, guess)).cloned().chain(real.suspects).collect();
            added.into_iter().for_each(|s| {
                if !known(suspects, s.item) {
                    suspects.push(s)
                }
            });
            let rest = guesses.into_iter().filter(|guess| !known(suspects, guess.item));
            self.besides.extend(rest);
            fruitless = if suspects.len() > before { 0 } else { fruitless + 1 };
        }
        Ok(())
    }

    /// Nodes that diverge from agreeing inputs only where the suspects are put right, by their tensors.
    pub fn besides(&self) -> Vec<usize> {
        self.besides.iter().map(|s| s.item).collect()
    }

    /// How many were put right in vain, if the outputs diverge all the same.
    pub fn rest(&self, suspects: usize) -> Option<usize> {
        self.left.then_some(suspects)
    }

    /// Do the outputs diverge with all the others put right, so that this one alone spoils them? `None` where that is unknown.
    pub fn spoils_alone(
        &mut self,
        hunt: &mut Hunt,
        probe: &mut Probe,
        suspects: &[Suspect],
        item: usize,
    ) -> Result<Option<bool>, RunError> {
        // It must be shown that nothing besides does.
        if self.left || !self.tried {
            return Ok(None);
        }
        let others = suspects.iter().chain(&self.besides).map(|s| s.item).filter(|other| *other != item);
        let others: Vec<usize> = others.collect();
        // Alone from the start: the outputs diverge, and agree without it.
        if others.is_empty() {
            return Ok(Some(true));
        }
        let Some(explained) = explaining(probe, &others) else { return Ok(None) };
        Ok(self.diverging(hunt, probe, &explained)?.map(|bad| !bad.is_empty()))
    }

    fn is_tired(&self, hunt: &Hunt, probe: &Probe) -> bool {
        let patience = if probe.lab.candidate.is_engine() { ENGINE_PATIENCE } else { PATIENCE };
        hunt.spent(probe) - self.before.unwrap_or_default() > patience * hunt.enough
    }

    /// The outputs that diverge with these explained; `None` where nobody can say.
    fn diverging(
        &mut self,
        hunt: &mut Hunt,
        probe: &mut Probe,
        explained: &[usize],
    ) -> Result<Option<Vec<usize>>, RunError> {
        hunt.tell(0, 1);
        let Some(seen) = probe.look_explained(explained, &[])? else { return Ok(None) };
        if seen.outputs.iter().any(|output| output.status == Status::NotCompared) {
            return Ok(None);
        }
        let graph = &probe.lab.reference.graph;
        let bad = seen.outputs.iter().filter(|output| output.status == Status::Diverges);
        let bad: Vec<usize> = bad.filter_map(|output| graph.tensor(&output.name)).collect();
        self.tried = true;
        Ok(Some(bad))
    }

    /// The suspects behind the outputs that diverge with these explained.
    fn more(
        &self,
        hunt: &mut Hunt,
        probe: &mut Probe,
        explained: &[usize],
        bad: &[usize],
    ) -> Result<Vec<Suspect>, RunError> {
        let dag = super::shapes::value_dag(probe);
        let mut known = known(probe, explained);
        bad.iter().for_each(|&t| known[t] = Some(Answer::Bad));
        let limits = search::Limits { builds: 1, ..hunt.limits };
        let found = search::bisect(&dag, known, bad, limits, |round| {
            let tensors: Vec<usize> = round.iter().copied().flatten().copied().collect();
            hunt.tell(tensors.len(), 1);
            let seen = probe.look_explained(explained, &tensors).map_err(Halt::Failed)?.unwrap_or_default();
            let undisturbed = seen.outputs.iter().filter(|o| o.status == Status::Diverges).count() == bad.len();
            let believed = undisturbed || !probe.lab.candidate.fuses();
            let answer = |tensor: &usize| {
                let key = probe.lab.key(*tensor);
                let result = seen.tensors.iter().find(|r| believed && r.name == key);
                result.map_or(Answer::Unknown, |r| r.status.into())
            };
            Ok(tensors.iter().map(answer).collect())
        });
        match found {
            Ok(found) => Ok(found.suspects),
            Err(Halt::Failed(e)) => Err(e),
            Err(Halt::News) => Ok(Vec::new()),
        }
    }
}

/// What is known with these explained: they agree, and what is not computed from them is as it was.
fn known(probe: &Probe, explained: &[usize]) -> Vec<Option<Answer>> {
    let dag = Dag::new((0..probe.lab.tensors()).map(|t| parents(probe, t)).collect());
    let below = dag.descendants(explained);
    let moved = |(tensor, answer): (usize, Option<Answer>)| {
        answer.filter(|answer| !below[tensor] || *answer == Answer::Unknown)
    };
    let mut known: Vec<_> = probe.results.answers().into_iter().enumerate().map(moved).collect();
    explained.iter().for_each(|&t| known[t] = Some(Answer::Good));
    known
}

/// What must be replaced so that these are right; `None` where one of them cannot be.
fn explaining(probe: &Probe, items: &[usize]) -> Option<Vec<usize>> {
    let each: Option<Vec<Vec<usize>>> = items.iter().map(|t| probe.lab.explaining(*t)).collect();
    let mut all = each?.concat();
    all.sort_unstable();
    all.dedup();
    Some(all)
}
