//! One experiment after another: mark -> run both sides -> compare -> answers. Remembers what it has measured, keeps the
//! journal and counts what it cost. Decides nothing about where to look next: that is `search`.

mod ahead;
pub mod capture;
mod compared;
mod feeding;
pub mod first;
mod fixed;
pub mod journal;
mod side;
mod sight;
mod survey;
mod values;
mod worst;

pub use feeding::Feed;
pub use side::{Lowering, Side};
pub use sight::Sight;
pub use survey::Survey;

use std::collections::HashMap;
use std::time::Instant;

use rayon::prelude::*;

use crate::compare::Comparison;
use crate::mark;
use crate::report::{Status, TensorResult};
use crate::run::{Built, Observe, RunError};
use crate::search::Answer;
use crate::tensor::{DType, Tensor, Tensors};
use crate::tolerance::Rules;
use ahead::Ahead;
use first::First;
use journal::Journal;
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

#[derive(Clone, Copy, Debug)]
struct Pair {
    reference: usize,
    candidate: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Counts {
    pub candidate_builds: usize,
    pub candidate_runs: usize,
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
        }
        probe
    }

    /// Takes over what an earlier run with the same question measured.
    pub fn recall(&mut self, known: Vec<TensorResult>) {
        for result in known {
            if let Some(tensor) = self.reference.graph.tensor(&result.name) {
                self.results[tensor] = Some(result);
            }
        }
    }

    fn pair(&self, tensor: usize) -> Result<Pair, String> {
        let (mine, theirs) = (&self.reference.graph, &self.candidate.graph);
        let key = &mine.tensors[tensor].key;
        if !self.reference.backend.stores(key) {
            return Err("the reference has no value for it".to_string());
        }
        let Some(candidate) = mark::counterpart(theirs, key) else {
            return Err("it exists in the reference model only".to_string());
        };
        // A quantised candidate of a model that is quantised itself: both are seen behind the quantizer.
        let quantised = theirs.tensor(key) != Some(candidate);
        let reference = mark::behind_quantizer(mine, tensor).filter(|_| quantised).unwrap_or(tensor);
        if !self.survey.types.contains_key(&mine.tensors[reference].key) {
            return Err("it is not a tensor, or its element type is unknown".to_string());
        }
        if self.candidate.backend.is_engine() && self.survey.types.get(key) == Some(&DType::Bool) {
            return Err("an engine has no bool among its outputs".to_string());
        }
        if !self.candidate.backend.stores(&theirs.tensors[candidate].key) {
            return Err("the candidate has no value for it".to_string());
        }
        Ok(Pair { reference, candidate })
    }

    /// The model's own outputs from unmarked runs: the verdict, before anything is marked.
    pub fn unmarked(&mut self, outputs: &[String]) -> Result<Vec<TensorResult>, RunError> {
        let (reference, ran) = self.reference_outputs(outputs)?;
        self.counts.reference_runs += usize::from(ran);
        self.counts.candidate_builds += 1;
        self.unmarked = match self.first.take() {
            Some(answer) => answer?,
            None => self.candidate.run(&first::inner(self.candidate, outputs), self.feeds, outputs)?,
        };
        self.counts.candidate_runs += 1;
        let mut results = Vec::new();
        for name in outputs {
            let pairs = reference.iter().zip(&self.unmarked).map(|(r, c)| (r.get(name), c.get(name)));
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

    /// The candidate's final outputs of the unmarked run, by sample.
    pub fn unmarked_outputs(&self) -> &[Tensors] {
        &self.unmarked
    }

    /// The reference's outputs: from the survey's run where that was one, else from a run (and then `true`).
    pub fn reference_outputs(&self, outputs: &[String]) -> Result<(Vec<Tensors>, bool), RunError> {
        let graph = &self.reference.graph;
        let known =
            |name: &String| self.values.reference.get(&graph.tensor(name)?).filter(|v| v.iter().all(Option::is_some));
        if !self.values.reference.is_empty() && outputs.iter().all(|o| known(o).is_some()) {
            let samples = (0..self.feeds.len()).map(|sample| {
                outputs.iter().filter_map(|o| Some((o.clone(), known(o)?.get(sample)?.clone()?))).collect()
            });
            return Ok((samples.collect(), false));
        }
        Ok((self.reference.run(&first::inner(self.reference, outputs), self.feeds, outputs)?, true))
    }

    /// Did the branch that holds the tensor run, as far as the reference's values tell?
    pub fn ran(&self, tensor: usize) -> bool {
        let absent = |v: &Option<Tensor>| v.as_ref().is_some_and(|t| t.elements() == 0);
        let inside = !self.reference.graph.producer(tensor).scope.is_empty();
        let values = self.pairs[tensor].as_ref().ok().and_then(|p| self.values.reference.get(&p.reference));
        !(inside && values.is_some_and(|values| values.iter().all(absent)))
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
        let started = Instant::now();
        let asked = self.open(tensors);
        let answers = |probe: &Self| -> Vec<Answer> {
            tensors.iter().map(|t| probe.answer(*t).unwrap_or(Answer::Unknown)).collect()
        };
        if asked.is_empty() {
            return Ok(answers(self));
        }
        self.look(&asked)?;
        self.save(&asked);
        self.journal.probe(tensors.iter().filter_map(|t| self.results[*t].as_ref()), started.elapsed());
        Ok(answers(self))
    }

    /// Those that were not measured yet and can be.
    fn open(&self, tensors: &[usize]) -> Vec<(usize, Pair)> {
        let open = tensors.iter().filter(|t| self.results[**t].is_none());
        open.filter_map(|t| Some((*t, *self.pairs[*t].as_ref().ok()?))).collect()
    }

    /// What the candidate is asked for with these tensors of its own marked: the final outputs tell whether that changed it.
    fn wanted(&self, theirs: &[usize]) -> Vec<String> {
        let mut wanted: Vec<String> = theirs.iter().map(|t| self.candidate.graph.tensors[*t].key.clone()).collect();
        let finals = self.unmarked.first().into_iter().flat_map(|outputs| outputs.keys());
        let more: Vec<String> = finals.filter(|f| !wanted.contains(f)).cloned().collect();
        wanted.extend(more);
        wanted
    }

    /// Compares the values at hand of these tensors.
    fn judge_all(&mut self, tensors: &[(usize, Pair)]) {
        let judged: Vec<(usize, TensorResult)> = tensors
            .par_iter()
            .map(|(tensor, pair)| {
                let nothing = Vec::new();
                let r = self.values.reference.get(&pair.reference).unwrap_or(&nothing);
                let c = self.values.candidate.get(&pair.candidate).unwrap_or(&nothing);
                let samples = 0..self.feeds.len();
                let references: Vec<_> = samples.clone().map(|s| r.get(s).and_then(Option::as_ref)).collect();
                let candidates: Vec<_> = samples.map(|s| c.get(s).and_then(Option::as_ref)).collect();
                let name = &self.reference.graph.tensors[*tensor].key;
                let judged = self.judged.get(&pair.candidate);
                let verdict = |s: usize, right: &Tensor| match judged.and_then(|j| j.get(s)?.clone()) {
                    Some(verdict) => Some(self.rules.settled(name, right, verdict)),
                    None => Some(self.rules.judge(name, right, candidates.get(s).copied().flatten()?)),
                };
                (*tensor, self.result(*tensor, &references, &candidates, verdict))
            })
            .collect();
        for (tensor, result) in judged {
            self.results[tensor] = Some(result);
        }
    }

    /// Fills `values` for these tensors: the reference where it is not known yet, the candidate always. Gives back why the
    /// candidate's values say nothing about its unmarked self, if they do not.
    fn run_marked(&mut self, asked: &[(usize, Pair)], way: Observe) -> Result<Option<String>, RunError> {
        let mine: Vec<usize> = asked.iter().map(|(_, p)| p.reference).collect();
        let theirs: &[usize] = &asked.iter().map(|(_, p)| p.candidate).collect::<Vec<_>>();
        let missing: Vec<usize> = mine.iter().copied().filter(|t| !self.values.reference.contains_key(t)).collect();
        let names = |side: &Side, tensors: &[usize]| -> Vec<String> {
            tensors.iter().map(|t| side.graph.tensors[*t].key.clone()).collect()
        };
        let wanted = self.wanted(theirs);
        let ran = self.everything.take().or_else(|| self.take_ahead(theirs, way));
        let (reference, candidate) = std::thread::scope(|scope| {
            let other = scope.spawn(|| match ran {
                Some(answer) => answer,
                None => self.candidate.see(theirs, self.feeds, &wanted, way).map(|answer| answer.values),
            });
            let own = (!missing.is_empty())
                .then(|| self.reference.run(&missing, self.feeds, &names(self.reference, &missing)));
            (own.transpose(), join(other))
        });
        let reference = reference?.map(|values| {
            self.counts.reference_runs += 1;
            by_tensor(&self.reference.graph, values)
        });
        self.counts.candidate_builds += 1;
        self.counts.candidate_runs += 1;
        let (candidate, disturbance) = match candidate {
            Ok(values) => {
                let disturbance = self.disturbance(&values);
                (values, disturbance)
            }
            // The unmarked engine was built and ran: it is the marks that this one cannot bear.
            Err(e) if self.candidate.backend.is_engine() && e != RunError::Interrupted => {
                (Vec::new(), Some(format!("with it marked, {e}")))
            }
            Err(e) => return Err(e),
        };
        self.values.keep(reference, by_tensor(&self.candidate.graph, candidate), self.memory);
        Ok(disturbance)
    }

    /// Runs the reference for these tensors, however many of them are known: what is kept fits into memory together.
    fn run_reference(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        let names: Vec<String> = tensors.iter().map(|t| self.reference.graph.tensors[*t].key.clone()).collect();
        let values = self.reference.run(tensors, self.feeds, &names)?;
        self.counts.reference_runs += 1;
        self.values.keep(Some(by_tensor(&self.reference.graph, values)), HashMap::new(), self.memory);
        Ok(())
    }

    /// Reference and candidate values of these tensors, by sample, measured again where they were forgotten.
    pub fn values_of(&mut self, tensors: &[usize]) -> Result<(), RunError> {
        let run = tensors.iter().filter(|t| !self.fixed.contains_key(t));
        let pairs: Vec<(usize, Pair)> = run.filter_map(|t| Some((*t, *self.pairs[*t].as_ref().ok()?))).collect();
        // An engine is not built once more for what may be forgotten or was never seen.
        let engine = self.candidate.backend.is_engine();
        let known = |(_, p): &(usize, Pair)| {
            let candidate = engine || self.values.candidate.contains_key(&p.candidate);
            self.values.reference.contains_key(&p.reference) && candidate
        };
        if pairs.iter().all(known) {
            return Ok(());
        }
        match engine {
            true => self.run_reference(&pairs.iter().map(|(_, p)| p.reference).collect::<Vec<_>>()),
            false => self.run_marked(&pairs, Observe::Outputs).map(drop),
        }
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

    /// What stands for `tensor` in the candidate's graph.
    pub fn counterpart(&self, tensor: usize) -> Option<usize> {
        self.pairs[tensor].as_ref().ok().map(|p| p.candidate)
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

    fn save(&mut self, asked: &[(usize, Pair)]) {
        let Some(saved) = self.saved.as_mut() else { return };
        let first = |values: &HashMap<usize, Vec<Option<Tensor>>>, t: usize| values.get(&t)?.first()?.clone();
        for (tensor, pair) in asked {
            let name = &self.reference.graph.tensors[*tensor].key;
            if let Some(value) = first(&self.values.reference, pair.reference) {
                saved.insert(format!("reference/{name}"), value);
            }
            if let Some(value) = first(&self.values.candidate, pair.candidate) {
                saved.insert(format!("candidate/{name}"), value);
            }
        }
    }

    fn not_compared(&self, tensor: usize, why: &str) -> TensorResult {
        let graph = &self.reference.graph;
        let (name, node) = (graph.tensors[tensor].key.clone(), graph.producer(tensor).name.clone());
        let dtype = self.survey.types.get(&name).map_or(String::new(), |d| d.to_string());
        let why = Some(why.to_string());
        TensorResult { name, node, dtype, shape: Vec::new(), status: Status::NotCompared, why, metrics: None }
    }

    fn result(
        &self,
        tensor: usize,
        references: &[Option<&Tensor>],
        candidates: &[Option<&Tensor>],
        verdict: impl Fn(usize, &Tensor) -> Option<Comparison>,
    ) -> TensorResult {
        let graph = &self.reference.graph;
        let node = graph.producer(tensor);
        let absent = |t: &Option<&Tensor>| t.is_some_and(|t| t.elements() == 0);
        if !node.scope.is_empty() && references.iter().chain(candidates).all(absent) {
            return self.not_compared(tensor, "its branch did not run");
        }
        worst(&graph.tensors[tensor].key, node.name.clone(), references, verdict)
    }
}

/// A panic in a backend's thread is that backend's failure, not ours.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, Result<T, RunError>>) -> Result<T, RunError> {
    thread.join().unwrap_or_else(|_| {
        Err(RunError::Crash { backend: "the candidate".to_string(), reason: "its thread panicked".to_string() })
    })
}
