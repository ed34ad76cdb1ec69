//! Causes in a quantised candidate, tried: the pairs at a culprit are laid over the reference's values, what looks wrong is undone
//! alone in the candidate's file, and the candidate runs again. What then agrees was the cause. Bounded, and of one sample.

mod trial;

use super::isolate;
use crate::diagnose::laid::{Laid, Suspicion, Undo, suspicions};
use crate::found::{Culprit, Diagnosis, Kind, Sure};
use crate::graph::Source;
use crate::lab::quantised::{keys, pairs, written};
use crate::lab::{Feed, Probe};
use crate::load::testset::tensor_from_proto;
use crate::qdq::{self, Pair, loss, wrong_bias_scale};
use crate::run::RunError;
use crate::tensor::Tensor;
use trial::{Effect, Trial};

/// Suspicions of one culprit that are tried alone.
const MOST: usize = 8;
/// Pairs that are left out, one alone, where no parameters look wrong.
const PAIRS: usize = 4;
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
    let all = pairs(&lab.reference, &lab.candidate);
    if all.is_empty() {
        return Ok(known);
    }
    let nodes = isolate::suspects(probe, tensor).unwrap_or_default();
    let at = |p: &Pair| nodes.contains(&p.dequantize) || p.quantize.is_some_and(|q| nodes.contains(&q));
    let mut here: Vec<&Pair> = all.iter().filter(|p| at(p)).collect();
    // Several halves behind one QuantizeLinear are one tensor.
    let mut seen = Vec::new();
    here.retain(|p| {
        p.quantize.is_none_or(|q| {
            !seen.contains(&q) && {
                seen.push(q);
                true
            }
        })
    });
    let sample = culprit.accumulated.sample;
    let wanted: Vec<String> = here.iter().filter(|p| !p.weight).flat_map(|p| keys(&lab.candidate, p)).collect();
    probe.fetch(&lab.candidate, &wanted)?;
    let trial = Trial::new(probe, tensor, own, sample);
    let mut cause =
        Cause { probe, culprit, trial, all: &all, here: Vec::new(), found: Vec::new(), clean: !here.is_empty() };
    cause.lay(here, sample);
    cause.parameters()?;
    if cause.found.iter().all(|d| d.sure != Sure::Shown) {
        cause.rounding()?;
    }
    Ok(cause.told(known))
}

/// A quantised tensor at the culprit, with its value.
struct Here<'a> {
    pair: &'a Pair,
    value: Tensor,
    /// Relative RMS of its quantisation alone.
    lost: f64,
}

struct Cause<'p, 'a> {
    probe: &'p Probe<'a>,
    culprit: &'p Culprit,
    trial: Trial<'p, 'a>,
    all: &'p [Pair],
    here: Vec<Here<'p>>,
    found: Vec<Diagnosis>,
    /// The values of every pair at the culprit were at hand.
    clean: bool,
}

impl<'p> Cause<'p, '_> {
    /// Finds the values; those that lose most come first.
    fn lay(&mut self, pairs: Vec<&'p Pair>, sample: usize) {
        for pair in pairs {
            let Some(value) = value(self.probe, pair, sample) else {
                self.clean = false;
                continue;
            };
            let lost = loss(pair, &value).map_or(0.0, |l| l.quantisation.relative());
            self.here.push(Here { pair, value, lost });
        }
        self.here.sort_by(|a, b| b.lost.total_cmp(&a.lost));
    }

    /// What looks wrong, each alone; and where none of it is enough, all of it.
    fn parameters(&mut self) -> Result<(), RunError> {
        let candidate = &self.probe.lab.candidate;
        let mut wrong: Vec<(&Pair, Suspicion)> = Vec::new();
        for here in &self.here {
            let product = wrong_bias_scale(here.pair, self.all, &candidate.model, &candidate.graph);
            let place = self.place(here.pair);
            let laid = Laid { pair: here.pair, value: &here.value, place, product };
            wrong.extend(suspicions(&laid).into_iter().map(|s| (here.pair, s)));
        }
        wrong.truncate(MOST);
        let mut helped = Vec::new();
        for (pair, suspicion) in &wrong {
            match self.trial.run(&[(pair, &suspicion.undo)])? {
                Effect::Nothing => {}
                effect => helped.push((*pair, suspicion, effect)),
            }
        }
        let shown = helped.iter().any(|(_, _, e)| e.agrees());
        let together = if !shown && helped.len() > 1 {
            let all: Vec<(&Pair, &Undo)> = helped.iter().map(|(p, s, _)| (*p, &s.undo)).collect();
            self.trial.run(&all)?.agrees()
        } else {
            false
        };
        helped.retain(|(_, _, e)| !shown || e.agrees());
        for (_, suspicion, effect) in &helped {
            let clause = match together {
                true => format!("undone together with the {} beside it, {}", others(helped.len() - 1), self.agreed()),
                false => format!("undone alone ({}), {}", suspicion.undo.told(), effect.told(&self.culprit.tensor)),
            };
            self.found.push(Diagnosis {
                code: suspicion.code.to_string(),
                sure: if effect.agrees() || together { Sure::Shown } else { Sure::Likely },
                evidence: format!("{}; {clause}", suspicion.evidence),
                advice: suspicion.advice.clone(),
            });
        }
        Ok(())
    }

    /// Parameters that fit, and still too few bits: one pair, those of the culprit, or everything above it.
    fn rounding(&mut self) -> Result<(), RunError> {
        let undo = Undo::Unquantised;
        for here in self.here.iter().filter(|h| h.lost > 0.0).take(PAIRS) {
            let effect = self.trial.run(&[(here.pair, &undo)])?;
            if effect.agrees() {
                let text = format!(
                    "{} bits are too few for {}: by its own pair it is off by {} of its size, with a scale that fits its range",
                    8 * here.pair.dtype.bits().div_ceil(8),
                    self.place(here.pair),
                    crate::found::words::number(here.lost)
                );
                return self.rounded(text, &[here.pair], &effect);
            }
        }
        let all: Vec<&Pair> = self.here.iter().map(|h| h.pair).collect();
        if all.len() > 1 {
            let effect = self.trial.run(&all.iter().map(|p| (*p, &undo)).collect::<Vec<_>>())?;
            if effect.agrees() {
                let text =
                    format!("no single scale is wrong: the rounding of the {} pairs at this node adds up", all.len());
                return self.rounded(text, &all, &effect);
            }
        }
        let above = self.above();
        if above.len() > all.len() {
            let effect = self.trial.run(&above.iter().map(|p| (*p, &undo)).collect::<Vec<_>>())?;
            if effect.agrees() {
                let text = format!(
                    "no single scale is wrong: the rounding of the {} pairs up to this node adds up to what is beyond the tolerance",
                    above.len()
                );
                return self.rounded(text, &above, &effect);
            }
        }
        Ok(())
    }

    fn rounded(&mut self, text: String, pairs: &[&Pair], effect: &Effect) -> Result<(), RunError> {
        let advice = match pairs {
            [one] => format!("leave '{}' unquantised, or give it 16 bits", one.tensor),
            _ => "leave the nodes of the cure unquantised, or give activations 16 bits".to_string(),
        };
        let how = if pairs.len() == 1 { "its pair left out" } else { "all of them left out" };
        let evidence = format!("{text}; undone ({how}), {}", effect.told(&self.culprit.tensor));
        self.found.push(Diagnosis { code: "quantisation-error".to_string(), sure: Sure::Shown, evidence, advice });
        Ok(())
    }

    /// The pairs of everything that the tensor is computed from.
    fn above(&self) -> Vec<&'p Pair> {
        let graph = &self.probe.lab.candidate.graph;
        let above = graph.ancestors(&[self.trial.own()]);
        let is = |n: usize| graph.nodes[n].writes.iter().any(|t| above[*t]);
        self.all.iter().filter(|p| is(p.dequantize)).collect()
    }

    fn agreed(&self) -> String {
        format!("'{}' agrees", self.culprit.tensor)
    }

    /// `'fc2.w', operand 1 of 'fc2'`
    fn place(&self, pair: &Pair) -> String {
        let (side, node) = (&self.probe.lab.reference, &self.culprit.node.name);
        let makes = keys(&self.probe.lab.candidate, pair).contains(&self.culprit.tensor);
        let slot = self.culprit.node.inputs.iter().position(|i| *i == pair.tensor);
        match slot {
            Some(slot) if !makes => format!("'{}', operand {slot} of '{node}'", pair.tensor),
            _ if makes => format!("'{}', the output of '{node}'", self.culprit.tensor),
            _ => match side.graph.tensor(&pair.tensor).map(|t| &side.graph.producer(t).name) {
                Some(maker) => format!("'{}', which '{maker}' makes", pair.tensor),
                None => format!("'{}'", pair.tensor),
            },
        }
    }

    /// Shown ones first; what was only guessed of quantised tensors is answered by the trials.
    fn told(self, known: Vec<Diagnosis>) -> Vec<Diagnosis> {
        let shown = self.found.iter().any(|d| d.sure == Sure::Shown);
        let quantised = !self.here.is_empty();
        let refuted = |d: &Diagnosis| {
            let guess = GUESSED.contains(&d.code.as_str()) && (self.clean || shown);
            let unexplained = d.code == "kernel-or-fusion" && d.sure == Sure::Unknown && (quantised || shown);
            let gain = d.code == "gain" && shown && self.culprit.kind != Kind::Amplifies;
            d.sure != Sure::Shown && (guess || unexplained || gain)
        };
        let mut all = self.found;
        all.sort_by_key(|d| d.sure != Sure::Shown);
        all.extend(known.into_iter().filter(|d| !refuted(d)));
        all.truncate(TOLD);
        all
    }
}

fn others(count: usize) -> String {
    if count == 1 { "other cause".to_string() } else { format!("{count} other causes") }
}

/// The reference's value of what is quantised.
fn value(probe: &Probe, pair: &Pair, sample: usize) -> Option<Tensor> {
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    if pair.weight {
        let own = || written(candidate, &pair.tensor).filter(|_| pair.stored.is_none());
        return tensor_from_proto(&written(reference, &pair.tensor).or_else(own)?).ok();
    }
    keys(candidate, pair).iter().find_map(|key| probe.value_at(candidate, key, sample, Feed::Reference))
}
