//! Causes in a quantised candidate, tried: pairs are laid over the reference's values, what looks wrong is undone alone in the
//! candidate's file, and the candidate runs again. What then agrees was the cause. Those at the culprit come first, then those
//! above it, whose error may stay below the tolerance until here. Bounded, and of one sample.

mod everywhere;
mod operators;
mod rounding;
mod saturated;
mod seen;
mod trial;

use super::isolate;
use crate::diagnose::laid::Suspicion;
use crate::found::{Culprit, Diagnosis, Sure};
use crate::graph::Source;
use crate::lab::Probe;
use crate::lab::quantised::{keys, operands, pairs};
use crate::qdq::{self, Pair};
use crate::run::RunError;
pub use everywhere::everywhere;
pub use saturated::saturated;
use seen::{Seen, lay, suspects};
use trial::{Effect, Trial};

/// Suspicions that are tried alone, at the culprit and again above it.
const MOST: usize = 8;
/// Causes told at most.
const TOLD: usize = 3;
/// Codes of causes that are told of quantised tensors alone, and guessed where nothing was tried.
const GUESSED: [&str; 2] = ["int8-saturation", "scale-mismatch"];

/// Is something at the maker of `tensor` quantised in the candidate's file: what it reads, what it makes, or the operator itself?
pub fn is_quantised(probe: &Probe, tensor: usize) -> bool {
    let graph = &probe.lab.candidate.graph;
    let Some(own) = probe.lab.counterpart(tensor) else { return false };
    let nodes = isolate::suspects(probe, tensor).unwrap_or_else(|| vec![graph.tensors[own].node]);
    let around = nodes.iter().flat_map(|n| {
        let node = &graph.nodes[*n];
        let above = node.reads.iter().filter_map(|r| match r.source {
            Source::Tensor(t) => Some(graph.tensors[t].node),
            _ => None,
        });
        let below = node.writes.iter().flat_map(|t| graph.children(*t)).map(|t| graph.tensors[t].node);
        above.chain(below).chain([*n]).collect::<Vec<usize>>()
    });
    around.into_iter().any(|n| qdq::quantises(&graph.nodes[n]))
}

/// `known`, with what trials have shown in front, and without what they have refuted.
pub fn tried(
    probe: &mut Probe,
    culprit: &Culprit,
    tensor: usize,
    known: Vec<Diagnosis>,
) -> Result<Vec<Diagnosis>, RunError> {
    let lab = probe.lab;
    let can = lab.relation.is_own_model() && lab.candidate.runs() && !lab.candidate.is_engine();
    let Some(own) = lab.counterpart(tensor).filter(|_| can) else { return Ok(known) };
    let mut all = pairs(&lab.reference, &lab.candidate);
    all.extend(operands(&lab.reference, &lab.candidate));
    let (here, above) = around(probe, tensor, own, &all);
    let causes = Causes { culprit, tensor, own, all: &all };
    if above.is_empty() {
        return causes.operators(probe, Vec::new(), known);
    }
    let (mut tried, here) = causes.each(probe, &here, Vec::new())?;
    if !tried.iter().any(Tried::agrees) {
        tried = causes.each(probe, &above, tried)?.0;
    }
    let trial = causes.trial(probe);
    let mut found = match tried.iter().any(Tried::agrees) {
        true => tried.iter().filter(|t| t.agrees()).map(|t| causes.alone(t)).collect(),
        false => causes.together(&trial, &tried)?,
    };
    if found.is_empty() {
        found.extend(rounding::rounding(probe, &trial, culprit, (&here, &above), tried.len())?);
        found.extend(tried.iter().filter(|t| t.helps()).map(|t| causes.alone(t)));
    }
    let builds = trial.builds();
    probe.ledger.counts.proof_builds += builds;
    causes.operators(probe, found, known)
}

/// The pairs at the maker of `tensor`, and all that it is computed from, those included; several halves behind one
/// QuantizeLinear are one.
fn around<'x>(probe: &Probe, tensor: usize, own: usize, all: &'x [Pair]) -> (Vec<&'x Pair>, Vec<&'x Pair>) {
    let graph = &probe.lab.candidate.graph;
    let ancestors = graph.ancestors(&[own]);
    let mut seen = Vec::new();
    let above: Vec<&Pair> = all
        .iter()
        .filter(|p| graph.nodes[p.dequantize].writes.iter().any(|t| ancestors[*t]))
        .filter(|p| {
            let new = p.quantize.is_none_or(|q| !seen.contains(&q));
            seen.extend(p.quantize);
            new
        })
        .collect();
    let nodes = isolate::suspects(probe, tensor).unwrap_or_default();
    let at = |p: &&&Pair| nodes.contains(&p.dequantize) || p.quantize.is_some_and(|q| nodes.contains(&q));
    (above.iter().filter(at).copied().collect(), above)
}

/// A suspicion, and what undoing it alone did.
struct Tried<'x> {
    pair: &'x Pair,
    suspicion: Suspicion,
    effect: Effect,
}

impl Tried<'_> {
    fn agrees(&self) -> bool {
        self.effect.agrees()
    }

    fn helps(&self) -> bool {
        matches!(self.effect, Effect::Helps { .. })
    }
}

/// The culprit whose causes are sought, and every pair of the file.
struct Causes<'c, 'x> {
    culprit: &'c Culprit,
    /// The culprit's tensor in the reference's graph.
    tensor: usize,
    /// And in the candidate's.
    own: usize,
    all: &'x [Pair],
}

impl<'x> Causes<'_, 'x> {
    fn trial<'p, 'a>(&self, probe: &'p Probe<'a>) -> Trial<'p, 'a> {
        Trial::new(probe, self.tensor, self.own, self.culprit.accumulated.sample)
    }

    /// What looks wrong of these pairs, each undone alone; what was tried before is not tried again.
    fn each(
        &self,
        probe: &mut Probe,
        pairs: &[&'x Pair],
        mut tried: Vec<Tried<'x>>,
    ) -> Result<(Vec<Tried<'x>>, Vec<Seen<'x>>), RunError> {
        let candidate = &probe.lab.candidate;
        let wanted: Vec<String> = pairs.iter().filter(|p| !p.weight).flat_map(|p| keys(candidate, p)).collect();
        probe.fetch(candidate, &wanted)?;
        let seen = lay(probe, pairs, self.culprit.accumulated.sample);
        let trial = self.trial(probe);
        let before = tried.len();
        for (pair, suspicion) in suspects(probe, self.culprit, self.all, &seen) {
            // What was shown of a tensor is undone by anything that quantises it anew.
            let same =
                |t: &Tried| t.pair.dequantize == pair.dequantize && (t.agrees() || t.suspicion.code == suspicion.code);
            let again = tried.iter().any(same);
            if !again && tried.len() < before + MOST {
                let effect = trial.run(&[(pair, &suspicion.undo)])?;
                tried.push(Tried { pair, suspicion, effect });
            }
        }
        let builds = trial.builds();
        probe.ledger.counts.proof_builds += builds;
        Ok((tried, seen))
    }

    /// What was found, and where none of it is shown, what operators that quantise have to do with it.
    fn operators(
        &self,
        probe: &mut Probe,
        mut found: Vec<Diagnosis>,
        known: Vec<Diagnosis>,
    ) -> Result<Vec<Diagnosis>, RunError> {
        if found.iter().all(|d| d.sure != Sure::Shown) {
            let trial = self.trial(probe);
            let operators = operators::left_out(probe, &trial, self.culprit, (self.tensor, self.own))?;
            let builds = trial.builds();
            probe.ledger.counts.proof_builds += builds;
            found.splice(0..0, operators);
        }
        Ok(told(found, known))
    }

    /// Where no suspicion alone is enough: all of them, and of these as few as will do.
    fn together(&self, trial: &Trial, tried: &[Tried]) -> Result<Vec<Diagnosis>, RunError> {
        // Of two that are suspected of one tensor, the more telling one.
        let first = |i: usize| tried[..i].iter().all(|t| t.pair.dequantize != tried[i].pair.dequantize);
        let tried: Vec<&Tried> = (0..tried.len()).filter(|i| first(*i)).map(|i| &tried[i]).collect();
        let all: Vec<_> = tried.iter().map(|t| (t.pair, &t.suspicion.undo)).collect();
        if all.len() < 2 || !trial.run(&all)?.agrees() {
            return Ok(Vec::new());
        }
        let mut needed: Vec<usize> = (0..tried.len()).collect();
        // What comes last lost least, or is furthest away.
        for i in (0..tried.len()).rev() {
            let without: Vec<_> = needed.iter().filter(|n| **n != i).map(|n| all[*n]).collect();
            if !without.is_empty() && trial.run(&without)?.agrees() {
                needed.retain(|n| *n != i);
            }
        }
        let others = needed.len() - 1;
        let clause = match others {
            1 => format!("undone together with one other, '{}' agrees, and with neither alone", self.culprit.tensor),
            _ => format!(
                "undone together with {others} others, '{}' agrees, and with none left out",
                self.culprit.tensor
            ),
        };
        Ok(needed.iter().map(|n| diagnosis(&tried[*n].suspicion, Sure::Shown, &clause)).collect())
    }

    fn alone(&self, tried: &Tried) -> Diagnosis {
        let suspicion = &tried.suspicion;
        let did = tried.effect.told(&self.culprit.tensor);
        let sure = if tried.agrees() { Sure::Shown } else { Sure::Likely };
        diagnosis(suspicion, sure, &format!("undone alone ({}), {did}", suspicion.undo.told()))
    }
}

fn diagnosis(suspicion: &Suspicion, sure: Sure, clause: &str) -> Diagnosis {
    Diagnosis {
        code: suspicion.code.to_string(),
        sure,
        evidence: format!("{}; {clause}", suspicion.evidence),
        advice: suspicion.advice.clone(),
    }
}

/// With a cause that was shown, what nobody has tried is not told beside it; without one, guesses of scales that the trials have
/// answered go, and that nothing explains the error.
fn told(found: Vec<Diagnosis>, known: Vec<Diagnosis>) -> Vec<Diagnosis> {
    let shown = found.iter().any(|d| d.sure == Sure::Shown);
    let stays = |d: &Diagnosis| {
        let unexplained = d.code == "kernel-or-fusion" && d.sure == Sure::Unknown && !found.is_empty();
        d.sure == Sure::Shown || !(shown || unexplained || GUESSED.contains(&d.code.as_str()))
    };
    let mut all = found.clone();
    all.extend(known.into_iter().filter(stays));
    all.truncate(TOLD);
    all
}
