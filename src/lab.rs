//! One experiment after another: mark -> run both sides -> compare -> answers. Remembers what it has measured, keeps the
//! journal and counts what it cost. Decides nothing about where to look next: that is `search`.

mod ahead;
pub mod capture;
mod compared;
mod feeding;
pub mod first;
mod fixed;
pub mod journal;
mod marked;
mod pairs;
mod recall;
mod relation;
mod results;
mod side;
mod sight;
mod survey;
mod values;
mod work;
mod worst;

pub use feeding::Feed;
pub use relation::Relation;
pub use side::{Lowering, Side};
pub use sight::Sight;
pub use survey::Survey;
pub use work::Work;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crate::compare::Comparison;
use crate::found::{Status, TensorResult};
use crate::judge::Rules;
use crate::run::{Built, RunError};
use crate::search::Answer;
use crate::tensor::{Tensor, Tensors};
use ahead::Ahead;
use first::First;
use journal::{Journal, Look};
use pairs::Pair;
use recall::Earlier;
use sight::numbers;
use values::{Values, by_tensor};
use worst::worst;

/// What the two runs are compared on, and everything learnt so far. Tensors are numbers in the reference's graph.
pub struct Probe<'a> {
    pub reference: &'a Side,
    pub candidate: &'a Side,
    pub feeds: &'a [Tensors],
    pub rules: &'a Rules,
    pub survey: Survey,
    /// Bytes of tensors that may be held, both sides together.
    pub memory: u64,
    /// By tensor: what stands for it in the reference and in the candidate, or why it cannot be compared.
    pairs: Vec<Result<Pair, String>>,
    pub results: Vec<Option<TensorResult>>,
    /// Tensors in branches that did not run.
    absent: HashSet<usize>,
    /// From the journal of a run that was cut short.
    earlier: Earlier,
    /// The final outputs of the reference, by sample.
    right: Vec<Tensors>,
    /// The final outputs of the unmarked candidate run, by sample.
    unmarked: Vec<Tensors>,
    /// The candidate's first answers, until they are asked for.
    first: Option<Result<Vec<Tensors>, RunError>>,
    everything: Option<Result<Vec<Tensors>, RunError>>,
    ahead: Ahead,
    values: Values,
    /// By tensor of the candidate's graph, and sample: what it compared itself, where its values lay.
    judged: HashMap<usize, Vec<Option<Comparison>>>,
    /// Why the candidate compared nothing itself although it could.
    pub unjudged: Option<String>,
    /// Values that depend on no input: the reference's, the candidate's.
    fixed: HashMap<usize, (Tensor, Tensor)>,
    pub journal: Journal,
    pub counts: Counts,
    pub sight: Sight,
    /// What the candidate's unmarked build was made of.
    pub built: Option<Built>,
    /// Kept for `--save-tensors`, under `reference/NAME` and `candidate/NAME`.
    pub saved: Option<Tensors>,
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub candidate_builds: usize,
    pub candidate_runs: usize,
    /// Those of an earlier run, whose answers were taken over.
    pub recalled_runs: usize,
    pub reference_runs: usize,
    /// Of the candidate, before the search: does it answer the same twice?
    pub trust_builds: usize,
    /// Of parts of the candidate's model, after the search.
    pub proof_builds: usize,
    pub perturbed: bool,
}

impl<'a> Probe<'a> {
    pub fn new(
        reference: &'a Side,
        candidate: &'a Side,
        feeds: &'a [Tensors],
        rules: &'a Rules,
        first: First,
        journal: Journal,
    ) -> Probe<'a> {
        let tensors = reference.graph.tensors.len();
        let mut probe = Probe {
            reference,
            candidate,
            feeds,
            rules,
            survey: first.survey,
            memory: first.memory,
            pairs: Vec::with_capacity(tensors),
            results: vec![None; tensors],
            absent: HashSet::new(),
            earlier: Earlier::default(),
            right: Vec::new(),
            unmarked: Vec::new(),
            first: Some(first.unmarked),
            everything: first.marked,
            ahead: Ahead::new(),
            values: Values::default(),
            judged: HashMap::new(),
            unjudged: None,
            fixed: HashMap::new(),
            journal,
            counts: Counts::default(),
            sight: Sight::default(),
            built: first.built,
            saved: None,
        };
        for tensor in 0..tensors {
            let pair = probe.pair(tensor);
            probe.pairs.push(pair);
        }
        if let Some(values) = first.reference {
            probe.counts.reference_runs += 1;
            probe.values.reference = by_tensor(&reference.graph, values);
            probe.note_absent(0..tensors);
        }
        probe
    }

    /// The model's own outputs from unmarked runs: the verdict, before anything is marked.
    pub fn unmarked(&mut self, outputs: &[String]) -> Result<Vec<TensorResult>, RunError> {
        if let Some(Err(_)) = &self.first {
            // A model that cannot be run has no outputs, whatever the other side's are.
            self.first.take().transpose()?;
        }
        self.right = self.reference_outputs(outputs)?;
        self.counts.candidate_builds += 1;
        self.unmarked = match self.first.take() {
            Some(answer) => answer?,
            None => self.candidate.run(&first::inner(self.candidate, outputs), self.feeds, outputs)?,
        };
        self.counts.candidate_runs += 1;
        let mut results = Vec::new();
        for name in outputs {
            let pairs = self.right.iter().zip(&self.unmarked).map(|(r, c)| (r.get(name), c.get(name)));
            let pairs: Vec<_> = pairs.collect();
            if let (Some(saved), Some((Some(r), Some(c)))) = (self.saved.as_mut(), pairs.first()) {
                saved.insert(format!("reference/{name}"), (*r).clone());
                saved.insert(format!("candidate/{name}"), (*c).clone());
            }
            let tensor = self.reference.graph.tensor(name);
            let node = tensor.map(|t| self.reference.graph.producer(t).name.clone()).unwrap_or_default();
            let references: Vec<_> = pairs.iter().map(|(r, _)| *r).collect();
            let result = worst(name, node, &references, |s, r| pairs[s].1.map(|c| self.rules.judge_output(name, r, c)));
            // What is measured unmarked is a fact about the tensor; only a missing value is worth another look.
            if let (Some(tensor), true) = (tensor, result.status != Status::NotCompared) {
                self.results[tensor] = Some(result.clone());
            }
            results.push(result);
        }
        Ok(results)
    }

    /// The reference's final outputs, by sample.
    pub fn right_outputs(&self) -> &[Tensors] {
        &self.right
    }

    /// The candidate's final outputs of the unmarked run, by sample.
    pub fn unmarked_outputs(&self) -> &[Tensors] {
        &self.unmarked
    }

    /// From the survey's run where that was one of the reference, else from a run of its own.
    fn reference_outputs(&mut self, outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        let graph = &self.reference.graph;
        let known =
            |name: &String| self.values.reference.get(&graph.tensor(name)?).filter(|v| v.iter().all(Option::is_some));
        if !self.values.reference.is_empty() && outputs.iter().all(|o| known(o).is_some()) {
            let samples = (0..self.feeds.len()).map(|sample| {
                outputs.iter().filter_map(|o| Some((o.clone(), known(o)?.get(sample)?.clone()?))).collect()
            });
            return Ok(samples.collect());
        }
        let values = self.reference.run(&first::inner(self.reference, outputs), self.feeds, outputs)?;
        self.counts.reference_runs += 1;
        Ok(values)
    }

    /// Did the branch that holds the tensor run, as far as the reference's values told?
    pub fn ran(&self, tensor: usize) -> bool {
        !self.absent.contains(&tensor)
    }

    /// Notes those of `tensors` whose branches did not run, while their values are at hand.
    fn note_absent(&mut self, tensors: impl Iterator<Item = usize>) -> Vec<usize> {
        let nothing = |v: &Option<Tensor>| v.as_ref().is_some_and(|t| t.elements() == 0);
        let absent = tensors.filter(|tensor| {
            let inside = !self.reference.graph.producer(*tensor).scope.is_empty();
            let values = self.pairs[*tensor].as_ref().ok().and_then(|p| self.values.reference.get(&p.reference));
            inside && values.is_some_and(|values| values.iter().all(nothing))
        });
        let absent: Vec<usize> = absent.collect();
        self.absent.extend(&absent);
        absent
    }

    /// What needs no run of the model: tensors that cannot be compared or were not computed, and those that depend on no
    /// input. `None` is to be measured.
    pub fn known(&mut self) -> Vec<Option<Answer>> {
        // Where every value is at hand already, nothing is gained by computing some of them apart.
        let (mine, theirs) = match self.everything {
            Some(_) => Default::default(),
            None => (fixed::values(self.reference), fixed::values(self.candidate)),
        };
        for tensor in 0..self.pairs.len() {
            if self.results[tensor].is_some() {
                continue;
            }
            if !self.ran(tensor) {
                self.results[tensor] = Some(self.not_compared(tensor, "its branch did not run"));
                continue;
            }
            match &self.pairs[tensor] {
                Err(why) => self.results[tensor] = Some(self.not_compared(tensor, why)),
                Ok(pair) => {
                    if let (Some(r), Some(c)) = (mine.get(&pair.reference), theirs.get(&pair.candidate)) {
                        let name = &self.reference.graph.tensors[tensor].key;
                        let verdict = |_, r: &Tensor| Some(self.rules.judge(name, r, c));
                        self.results[tensor] = Some(self.result(tensor, &[Some(r)], &[Some(c)], verdict));
                        self.fixed.insert(tensor, (r.clone(), c.clone()));
                    }
                }
            }
        }
        self.answers()
    }

    /// Runs both sides with these tensors marked, compares them, and answers in the same order.
    pub fn measure(&mut self, tensors: &[usize]) -> Result<Vec<Answer>, RunError> {
        let asked = self.open(tensors);
        if !asked.is_empty() {
            match self.earlier.take(&numbers(&asked)) {
                // Every value is at hand already: nothing is gained by doing without.
                Some(_) if self.everything.is_some() => drop(self.measure_now(&asked)?),
                Some(look) => self.take_over(look),
                None => self.measure_rest(tensors)?,
            }
        }
        Ok(tensors.iter().map(|t| self.answer(*t).unwrap_or(Answer::Unknown)).collect())
    }

    /// What no earlier run measured, into the journal.
    fn measure_rest(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        if self.everything.is_none() {
            self.take_over_parts(&self.open(tensors));
        }
        let asked = self.open(tensors);
        if asked.is_empty() {
            return Ok(());
        }
        let look = self.measure_now(&asked)?;
        self.journal.look(look);
        Ok(())
    }

    fn measure_now(&mut self, asked: &[(usize, Pair)]) -> Result<Look, RunError> {
        let (started, before) = (Instant::now(), self.counts.candidate_runs);
        let open: Vec<usize> = (0..self.results.len()).filter(|t| self.results[*t].is_none()).collect();
        self.look(asked)?;
        self.save(asked);
        let measured: Vec<usize> = open.into_iter().filter(|t| self.results[*t].is_some()).collect();
        let absent = self.note_absent(measured.iter().copied());
        let asked = numbers(asked);
        let learnt = self.learnt(&asked, before);
        let tensors = match self.journal.is_kept() {
            true => measured.iter().filter_map(|t| self.results[*t].clone()).collect(),
            false => Vec::new(),
        };
        Ok(Look { asked, seconds: started.elapsed().as_secs_f64(), tensors, absent, learnt })
    }

    /// Those that were not measured yet and can be.
    fn open(&self, tensors: &[usize]) -> Vec<(usize, Pair)> {
        let open = tensors.iter().filter(|t| self.results[**t].is_none());
        open.filter_map(|t| Some((*t, *self.pairs[*t].as_ref().ok()?))).collect()
    }

    /// A measured value of the reference for `sample`.
    pub fn reference_value(&self, tensor: usize, sample: usize) -> Option<&Tensor> {
        if let Some((reference, _)) = self.fixed.get(&tensor) {
            return Some(reference);
        }
        let pair = self.pairs[tensor].as_ref().ok()?;
        self.values.reference.get(&pair.reference)?.get(sample)?.as_ref()
    }

    /// A measured value of the candidate for `sample`.
    pub fn candidate_value(&self, tensor: usize, sample: usize) -> Option<&Tensor> {
        if let Some((_, candidate)) = self.fixed.get(&tensor) {
            return Some(candidate);
        }
        let pair = self.pairs[tensor].as_ref().ok()?;
        self.values.candidate.get(&pair.candidate)?.get(sample)?.as_ref()
    }

    pub fn answer(&self, tensor: usize) -> Option<Answer> {
        self.results[tensor].as_ref().map(|r| match r.status {
            Status::Agrees => Answer::Good,
            Status::Diverges => Answer::Bad,
            Status::NotCompared => Answer::Unknown,
        })
    }

    pub fn answers(&self) -> Vec<Option<Answer>> {
        (0..self.results.len()).map(|t| self.answer(t)).collect()
    }
}
