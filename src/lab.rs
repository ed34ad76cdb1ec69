//! The lab: two sides on the same data, and what is measured between them. [`Lab`] is what was set up, and never changes;
//! [`Probe`] measures in it: mark -> run both sides -> compare -> answers. What it holds stands apart: [`Values`] (tensors, with
//! their budget), [`Results`] (verdicts on tensors), [`Ledger`] (what it cost, and the journal), [`Sight`] (how an engine lets
//! itself be looked into). Decides nothing about where to look next: that is `search`.

pub mod again;
mod ahead;
pub mod capture;
mod compared;
mod edited;
mod explained;
mod feeding;
mod finals;
pub mod first;
mod fixed;
mod folded;
mod forecast;
pub mod journal;
mod ledger;
mod marked;
mod measure;
mod opinion;
mod pairs;
mod placed;
pub mod quantised;
mod recall;
mod relation;
mod results;
mod side;
mod sight;
mod survey;
pub mod times;
mod values;
mod work;
mod worst;

pub use edited::Edited;
pub use explained::Explained;
pub use feeding::Feed;
pub use finals::Finals;
pub use ledger::Ledger;
pub use relation::Relation;
pub use results::Results;
pub use side::{Lowering, Side};
pub use sight::Sight;
pub use survey::{Survey, Surveyed};
pub use values::Values;
pub use work::Work;

use crate::found::Counts;
use crate::judge::Rules;
use crate::run::metric::MetricCommand;
use crate::run::{Observe, RunError};
use crate::tensor::{Tensor, Tensors};
use again::Again;
use first::First;
use pairs::{Pair, pair};

/// What two runs are compared on. Tensors are numbers in the reference's graph.
pub struct Lab {
    /// The run that is believed.
    pub reference: Side,
    /// The run under suspicion.
    pub candidate: Side,
    /// By sample: a value for every input.
    pub feeds: Vec<Tensors>,
    /// How they stand to each other.
    pub relation: Relation,
    /// How far apart is too far.
    pub rules: Rules,
    /// Names of the tensors that decide the verdict.
    pub outputs: Vec<String>,
    /// What the reference's library says of its model.
    pub survey: Survey,
    /// Bytes of tensors that may be held, both sides together.
    pub memory: u64,
    /// What judges all outputs together in place of the rules.
    command: Option<MetricCommand>,
    /// By tensor: what stands for it in the reference and in the candidate, or why it cannot be compared.
    pairs: Vec<Result<Pair, String>>,
}

impl Lab {
    /// Of two sides whose element types are known as far as they need them.
    pub fn new(
        (reference, candidate): (Side, Side),
        (feeds, outputs): (Vec<Tensors>, Vec<String>),
        rules: Rules,
        survey: Survey,
        memory: u64,
    ) -> Lab {
        let pairs = (0..reference.graph.tensors.len()).map(|t| pair(&reference, &candidate, &survey, t)).collect();
        let relation = Relation::of(&reference, &candidate);
        let mut lab =
            Lab { reference, candidate, relation, feeds, rules, outputs, survey, memory, command: None, pairs };
        lab.pair_folded();
        lab
    }

    /// Tensors of the reference's graph.
    pub fn tensors(&self) -> usize {
        self.pairs.len()
    }

    /// What a tensor is called.
    pub fn key(&self, tensor: usize) -> &str {
        &self.reference.graph.tensors[tensor].key
    }

    /// What stands for `tensor` in the candidate's graph.
    pub fn counterpart(&self, tensor: usize) -> Option<usize> {
        self.pairs[tensor].as_ref().ok().map(|p| p.candidate)
    }

    /// Those of `tensors` that can be compared, with what stands for them.
    fn comparable(&self, tensors: impl IntoIterator<Item = usize>) -> Vec<(usize, Pair)> {
        tensors.into_iter().filter_map(|t| Some((t, *self.pairs[t].as_ref().ok()?))).collect()
    }
}

/// What is wished of a probe.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// How tensors of an engine are made visible. `None`: as outputs, and where that disturbs, what survives fusion.
    pub observe: Option<Observe>,
    /// Every value that is compared is kept, of the first sample.
    pub save: bool,
}

/// Measures in a lab, and remembers.
pub struct Probe<'a> {
    /// What is measured.
    pub lab: &'a Lab,
    /// The final outputs of both unmarked runs.
    pub finals: Finals,
    /// Values that are held.
    pub values: Values,
    /// What is known of tensors.
    pub results: Results,
    /// What it cost, and where that is written.
    pub ledger: Ledger,
    /// How tensors are made visible.
    pub sight: Sight,
    /// What the candidate gave when it was asked once more.
    pub again: Again,
    /// What the candidate puts out in the session that its tensors are looked at in, by sample; `None` where that was not run.
    undisturbed: Option<Vec<Tensors>>,
}

/// There are no two runs to measure between.
pub struct Unstarted {
    /// What became of the unmarked runs.
    pub why: RunError,
    /// What they cost.
    pub counts: Counts,
}

impl<'a> Probe<'a> {
    /// From the first runs. Fails where a side has no outputs.
    pub fn start(lab: &'a Lab, first: First, wish: Wish, mut ledger: Ledger) -> Result<Probe<'a>, Unstarted> {
        let mut values = Values::of(lab, wish.save);
        if let Some(reference) = first.reference {
            ledger.counts.reference_runs += 1;
            values.hold_reference(&lab.reference.graph, reference);
        }
        let finals = match Finals::of(lab, first.unmarked, first.built, &values, &mut ledger.counts) {
            Ok(finals) => finals,
            Err(why) => return Err(Unstarted { why, counts: ledger.counts }),
        };
        if let (Some(right), Some(unmarked)) = (finals.right.first(), finals.unmarked.first()) {
            values.save_outputs(right, unmarked, &lab.outputs);
        }
        values.ahead.everything = first.marked;
        let (results, sight) = (Results::of(lab, &finals), Sight::new(wish.observe));
        let undisturbed = match lab.candidate.deploys {
            Some(_) => first.plain,
            None => Some(finals.unmarked.clone()),
        };
        let again = first.again;
        let mut probe = Probe { lab, finals, values, results, ledger, sight, again, undisturbed };
        if !probe.values.reference.is_empty() {
            probe.note_absent(0..lab.tensors());
        }
        Ok(probe)
    }

    /// Notes those of `tensors` whose branches did not run on both sides, while their values are at hand.
    fn note_absent(&mut self, tensors: impl Iterator<Item = usize>) -> Vec<usize> {
        let lab = self.lab;
        let nothing = |v: &Option<Tensor>| v.as_ref().is_some_and(|t| t.elements() == 0);
        let absent = tensors.filter(|tensor| {
            let inside = !lab.reference.graph.producer(*tensor).scope.is_empty();
            let Ok(pair) = lab.pairs[*tensor].as_ref() else { return false };
            let sides = [self.values.reference.get(&pair.reference), self.values.candidate.get(&pair.candidate)];
            inside && sides.into_iter().flatten().any(|values| values.iter().all(nothing))
        });
        let absent: Vec<usize> = absent.collect();
        self.results.note_absent(&absent);
        absent
    }

    /// A measured value of the reference for `sample`.
    pub fn reference_value(&self, tensor: usize, sample: usize) -> Option<&Tensor> {
        if let Some((reference, _)) = self.values.fixed.get(&tensor) {
            return Some(reference);
        }
        let pair = self.lab.pairs[tensor].as_ref().ok()?;
        self.values.reference.get(&pair.reference)?.get(sample)?.as_ref()
    }

    /// A measured value of the candidate for `sample`.
    pub fn candidate_value(&self, tensor: usize, sample: usize) -> Option<&Tensor> {
        if let Some((_, candidate)) = self.values.fixed.get(&tensor) {
            return Some(candidate);
        }
        let pair = self.lab.pairs[tensor].as_ref().ok()?;
        self.values.candidate.get(&pair.candidate)?.get(sample)?.as_ref()
    }
}

#[cfg(test)]
pub mod fake;
#[cfg(test)]
mod tests;
