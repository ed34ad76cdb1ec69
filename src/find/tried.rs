//! Trials of precision causes: each is undone alone, and what then agrees is looked at. The node alone is cheap (`isolate`'s
//! bench); what is made above it takes a run of the whole candidate with a few nodes in FP32, of which there are few.

mod accumulated;
mod advice;
mod whole;

use std::time::{Duration, Instant};

use super::explain::{above, stepped};
use super::isolate::undone::{Bench, Undo};
use crate::found::{Culprit, Diagnosis, Kind, Status, Sure};
use crate::graph::Graph;
use crate::lab::Probe;
use crate::names::few;
use crate::run::RunError;
use crate::tensor::DType;
use whole::Whole;

/// Culprits whose causes are tried: the first.
const CULPRITS: usize = 6;

/// Runs of the whole candidate at most, and the time after which no other is begun.
const RUNS: usize = 12;
const TIME: Duration = Duration::from_secs(20);

/// What a trial came to.
enum Outcome {
    /// It agrees with the cause undone: how that was done, in words.
    Agrees(String),
    /// The same in an emulation, where the candidate is something else: that shows what the precision does, not what it did.
    Emulated(String),
    /// It does not.
    Differs(String),
    /// Nothing could be tried.
    Open,
}

/// What may still be spent.
pub struct Budget {
    left: usize,
    begun: Instant,
    /// What sentences call the outputs of the model that runs.
    outputs: &'static str,
}

impl Budget {
    /// Takes a run, if there is one left.
    fn take(&mut self) -> bool {
        let may = self.left > 0 && self.begun.elapsed() < TIME;
        self.left -= usize::from(may);
        may
    }
}

/// Tries the causes of the first culprits; `outputs` is what sentences call those of the model that runs. A cause that was undone in vain goes, where another is shown. Gives back what may
/// be spent on advice.
pub fn try_causes(probe: &mut Probe, culprits: &mut [Culprit], outputs: &'static str) -> Result<Budget, RunError> {
    let candidate = &probe.lab.candidate;
    // Of a file of its own, only single nodes are tried, and in an emulation.
    let whole = !candidate.is_engine() && !probe.lab.relation.is_own_model();
    let mut budget = Budget { left: if whole { RUNS } else { 0 }, begun: Instant::now(), outputs };
    for culprit in culprits.iter_mut().take(CULPRITS) {
        let Some(low) = low(probe).or_else(|| stored(probe, culprit)) else { continue };
        try_each(probe, culprit, low, &mut budget)?;
    }
    Ok(budget)
}

/// Adds the advice that can be tried, and was.
pub fn advise(probe: &mut Probe, culprits: &mut [Culprit], mut budget: Budget) -> Result<(), RunError> {
    match low(probe) {
        Some(low) => advice::add(probe, culprits, low, &mut budget),
        None => Ok(()),
    }
}

/// The type whose rounding can be undone; `None` where nothing can be tried.
fn low(probe: &Probe) -> Option<DType> {
    let candidate = &probe.lab.candidate;
    let tries = candidate.runs() && !probe.lab.relation.is_own_model();
    candidate.lowering.low().filter(|_| tries)?.storage()
}

fn try_each(probe: &mut Probe, culprit: &mut Culprit, low: DType, budget: &mut Budget) -> Result<(), RunError> {
    let graph = &probe.lab.reference.graph;
    // What is told of another tensor than that of the node was not measured at it.
    let Some(tensor) = graph.tensor(&culprit.tensor).filter(|t| graph.producer(*t).name == culprit.node.name) else {
        return Ok(());
    };
    // What is told of a node inside was tried there.
    if stepped::is_holder(probe, tensor) {
        return Ok(());
    }
    let exact = probe.lab.candidate.only_rounds();
    let bench = Bench::new(probe, tensor, culprit.accumulated.sample, low);
    let mut causes = std::mem::take(&mut culprit.diagnosis);
    let mut vain = Vec::new();
    for cause in &mut causes {
        let trial = Trial { tensor, culprit, bench: bench.as_ref(), name: name(low), exact };
        match trial.of(probe, &cause.code, budget)? {
            Outcome::Agrees(how) => {
                cause.sure = Sure::Shown;
                cause.evidence += &format!("; tried: {how}");
            }
            Outcome::Emulated(how) => cause.evidence += &format!("; tried: {how}"),
            Outcome::Differs(how) => {
                cause.evidence += &format!("; tried: {how}");
                vain.push(cause.code.clone());
            }
            Outcome::Open => {}
        }
    }
    causes.extend(accumulated::shown(probe, culprit, tensor, bench.as_ref()));
    if causes.iter().any(|d| d.sure == Sure::Shown) {
        causes.retain(|d: &Diagnosis| d.sure == Sure::Shown && !vain.contains(&d.code));
    }
    causes.sort_by_key(|d| d.sure != Sure::Shown);
    culprit.diagnosis = causes;
    Ok(())
}

/// What the candidate's own file has the culprit's tensor in, where that is a half.
fn stored(probe: &Probe, culprit: &Culprit) -> Option<DType> {
    let own = probe.lab.relation.is_own_model() && probe.lab.candidate.runs();
    let tensor = probe.lab.reference.graph.tensor(&culprit.tensor).filter(|_| own)?;
    let dtype = probe.candidate_value(tensor, culprit.accumulated.sample)?.dtype;
    matches!(dtype, DType::Float16 | DType::Bfloat16).then_some(dtype)
}

/// As users call it.
fn name(low: DType) -> &'static str {
    if low == DType::Bfloat16 { "BF16" } else { "FP16" }
}

/// One culprit, to be tried.
struct Trial<'a> {
    tensor: usize,
    culprit: &'a Culprit,
    bench: Option<&'a Bench>,
    name: &'static str,
    /// The candidate is the emulation: what the bench shows is what it does.
    exact: bool,
}

impl Trial<'_> {
    /// The cause of this code undone, in the cheapest way that says something.
    fn of(&self, probe: &mut Probe, code: &str, budget: &mut Budget) -> Result<Outcome, RunError> {
        match code {
            "eps-vanishes" => self.guard_kept(probe, budget),
            "integer-rounding" => self.numbers_kept(probe, budget),
            _ => match self.alone(probe, code) {
                Outcome::Open if self.culprit.kind == Kind::Amplifies => self.above_kept(probe, code, budget),
                outcome => Ok(outcome),
            },
        }
    }

    /// The node alone on reference inputs, rounded as the precision rounds but for one thing.
    fn alone(&self, probe: &Probe, code: &str) -> Outcome {
        let Some(bench) = self.bench else { return Outcome::Open };
        let ways = self.ways(code, bench);
        let diverges = || bench.without(probe, Undo::Nothing).is_some_and(|c| c.status == Status::Diverges);
        if ways.is_empty() || !diverges() {
            return Outcome::Open;
        }
        let whose = if self.exact { String::new() } else { format!("in an exact emulation of {} ", self.name) };
        for (undo, words) in &ways {
            if bench.without(probe, *undo).is_some_and(|c| c.status == Status::Agrees) {
                let how = format!("{whose}{words}, and all else as it is, the node alone agrees");
                return if self.exact { Outcome::Agrees(how) } else { Outcome::Emulated(how) };
            }
        }
        Outcome::Differs(format!("{whose}{}, the node alone does not agree yet", ways[0].1))
    }

    /// What to undo alone, the most special first.
    fn ways(&self, code: &str, bench: &Bench) -> Vec<(Undo, String)> {
        let name = self.name;
        let range = (Undo::Range, format!("with {name}'s largest value out of the way"));
        let small = (Undo::Small, format!("with exponents below {name}'s smallest kept"));
        let reads = (Undo::Reads, "with what it reads unrounded".to_string());
        match code {
            "fp16-overflow" | "bf16-overflow" if bench.has_infinite_constant() => {
                vec![(Undo::Constants, "with its constants in FP32".to_string()), range]
            }
            "fp16-overflow" | "bf16-overflow" | "mask-sentinel" => vec![range],
            "large-reduction" if self.culprit.accumulated.breaks() => vec![range],
            "fp16-subnormal" => vec![small],
            "normalization-statistics" => vec![range, small, reads],
            "large-angle" | "cancellation" | "near-tie" | "topk-tie" | "nan-source" | "gain" => vec![reads],
            _ => Vec::new(),
        }
    }

    /// What the culprit reads, made in FP32: the culprit itself reads it rounded as before, unless it only chooses.
    fn above_kept(&self, probe: &mut Probe, code: &str, budget: &mut Budget) -> Result<Outcome, RunError> {
        if !["large-angle", "cancellation", "near-tie", "topk-tie", "nan-source"].contains(&code) {
            return Ok(Outcome::Open);
        }
        let chooses = code.ends_with("-tie");
        let graph = &probe.lab.reference.graph;
        let mut last = Outcome::Open;
        for steps in [1, 3] {
            let mut kept = around(graph, &[self.tensor], steps, Graph::parents);
            if kept.is_empty() {
                break;
            }
            let who = named(graph, &kept);
            kept.extend(chooses.then_some(self.tensor));
            let Some(seen) = self.run(probe, &kept, budget)? else { break };
            last = match seen.tensor == Some(Status::Agrees) {
                true => return Ok(Outcome::Agrees(format!("with {who} in FP32, '{}' agrees", self.culprit.tensor))),
                false => Outcome::Differs(format!("with {who} in FP32, '{}' does not agree yet", self.culprit.tensor)),
            };
        }
        Ok(last)
    }

    /// The nodes from the epsilon to the culprit in FP32, the culprit not; where it adds the epsilon itself, those behind it.
    fn guard_kept(&self, probe: &mut Probe, budget: &mut Budget) -> Result<Outcome, RunError> {
        let found = above::guards(probe, self.tensor, self.culprit.accumulated.sample);
        let graph = &probe.lab.reference.graph;
        for way in found.iter().map(|f| &f.way).take(2) {
            // Where nothing is between, what the culprit reads is rounded to nothing again unless it reads in FP32.
            let with_it: Vec<usize> = way.iter().copied().chain([self.tensor]).collect();
            let ways = if way.len() > 1 { vec![way.clone(), with_it] } else { vec![with_it] };
            for kept in ways {
                let Some(seen) = self.run(probe, &kept, budget)? else { return Ok(Outcome::Open) };
                if seen.tensor == Some(Status::Agrees) {
                    let who = named(graph, &kept);
                    return Ok(Outcome::Agrees(format!("with {who} in FP32, '{}' agrees", self.culprit.tensor)));
                }
            }
        }
        if !found.is_empty() {
            return Ok(Outcome::Differs("with the epsilon and what is between in FP32, it does not agree yet".into()));
        }
        let root = |t: &usize| ROOTS.contains(&graph.producer(*t).op_type.as_str());
        let mut kept: Vec<usize> = around(graph, &[self.tensor], 3, Graph::children).into_iter().filter(root).collect();
        kept.push(self.tensor);
        self.outputs_agree(probe, &kept, budget)
    }

    /// The whole numbers around the culprit in FP32.
    fn numbers_kept(&self, probe: &mut Probe, budget: &mut Budget) -> Result<Outcome, RunError> {
        let graph = &probe.lab.reference.graph;
        let mut kept = around(graph, &[self.tensor], 3, Graph::parents);
        kept.extend(around(graph, &[self.tensor], 3, Graph::children));
        kept.push(self.tensor);
        self.outputs_agree(probe, &kept, budget)
    }

    fn outputs_agree(&self, probe: &mut Probe, kept: &[usize], budget: &mut Budget) -> Result<Outcome, RunError> {
        let who = named(&probe.lab.reference.graph, kept);
        Ok(match self.run(probe, kept, budget)? {
            None => Outcome::Open,
            Some(Whole { outputs: true, .. }) => {
                Outcome::Agrees(format!("with {who} in FP32, {} agree", budget.outputs))
            }
            Some(_) => Outcome::Differs(format!("with {who} in FP32, {} do not agree yet", budget.outputs)),
        })
    }

    fn run(&self, probe: &mut Probe, kept: &[usize], budget: &mut Budget) -> Result<Option<Whole>, RunError> {
        if !budget.take() {
            return Ok(None);
        }
        whole::keeping(probe, kept, self.tensor, self.culprit.accumulated.sample)
    }
}

/// Operators between an epsilon and the quotient that it is for.
const ROOTS: [&str; 7] = ["Sqrt", "Rsqrt", "Reciprocal", "Pow", "Log", "Div", "Mul"];

/// The tensors up to so many steps above or below these; constants left out.
fn around(graph: &Graph, from: &[usize], steps: usize, next: fn(&Graph, usize) -> Vec<usize>) -> Vec<usize> {
    let (mut all, mut front) = (Vec::new(), from.to_vec());
    for _ in 0..steps {
        front = front.iter().flat_map(|t| next(graph, *t)).collect();
        front.retain(|t| !all.contains(t) && !graph.is_constant(*t));
        front.sort_unstable();
        front.dedup();
        all.extend(&front);
    }
    all
}

/// Names in one sentence.
const NAMED: usize = 4;

/// `'a', 'b' and 3 more`: the makers of these tensors.
fn named(graph: &Graph, tensors: &[usize]) -> String {
    let mut tensors = tensors.to_vec();
    tensors.sort_unstable();
    let mut names: Vec<String> = tensors.iter().map(|t| format!("'{}'", graph.producer(*t).name)).collect();
    names.dedup();
    few(names, NAMED)
}

#[cfg(test)]
mod tests;
