//! The search where scales do not fit their values. Errors of quantisation cancel by accident, so many sets make the
//! outputs agree; an engineer wants the one with the tensors that are wrong in themselves, and to be told of those that
//! are left. Runs nothing itself.

use std::collections::BTreeMap;

use super::Quantised;
use super::losses::Loss;
use crate::cure::drive::trials::{Run, Trials};
use crate::cure::{Cure, Trial, Units};
use crate::found::{Overrides, Real};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensors;

/// A pair whose parameters do not fit the values.
pub struct Misfit {
    /// Number in [`Quantised::pairs`].
    pub pair: usize,
    /// `'relu1_out' has a scale 10 times too large for its values`
    pub what: String,
}

/// Misfits that the search starts from: with more of them it is the calibration as a whole.
const MOST: usize = 8;
/// Misfits that are told of in a sentence.
const TOLD: usize = 2;
/// Builds without which a search is not worth while.
const ENOUGH: usize = 4;
/// What becomes of the nodes of a set, for the progress line.
const KEPT: &str = "unquantised";

/// The largest loss first.
pub fn misfits(quantised: &Quantised, losses: &[Option<Loss>]) -> Vec<Misfit> {
    let mut found: Vec<(f64, Misfit)> = Vec::new();
    for (number, (pair, loss)) in quantised.pairs.iter().zip(losses).enumerate() {
        let Some(loss) = loss else { continue };
        let folded = quantised.activations.contains_key(&pair.dequantize);
        if let Some(what) = loss.losses.mismatch(pair, loss.relative, folded) {
            found.push((loss.relative, Misfit { pair: number, what: format!("'{}' {what}", pair.tensor) }));
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    found.into_iter().map(|(_, misfit)| misfit).collect()
}

/// As [`Trials::search`], and where the set found leaves misfits in place, a set with their readers in it if there is one.
/// When these alone cure the outputs, nothing else is tried.
pub fn search(
    trials: &Trials,
    units: &Units,
    quantised: &Quantised,
    misfits: &[Misfit],
    builds: u64,
    progress: &Progress,
    run: &Run,
) -> Result<(Cure, Overrides), RunError> {
    let first = readers(units, quantised, misfits);
    let mut from = From { trials, units, run, progress, left: builds as usize, curve: BTreeMap::new() };
    if first.is_empty() || first.len() == units.nodes.len() || from.left < ENOUGH {
        return from.search(&[], units.nodes.clone());
    }
    let alone = from.ask(&[Vec::new(), sorted(first.clone())])?;
    let [before, alone] = alone.as_slice() else { return from.search(&[], units.nodes.clone()) };
    let cures = (before.answer, alone.answer) == (Answer::Bad, Answer::Good);
    let mut best = if cures { from.shrink(first.clone())? } else { from.search(&[], units.nodes.clone())? };
    if !cures && best.0.verified && from.left >= ENOUGH && leaves(quantised, misfits, &best.0.nodes) {
        let other = from.shrink(first)?;
        if other.1.verified && other.0.minimal {
            best = other;
        }
    }
    let (cure, mut found) = best;
    found.builds = builds as usize - from.left;
    found.error_before = Real(before.error);
    found.curve = from.curve.into_iter().map(|(kept, error)| (kept, Real(error))).collect();
    if cure.nodes.is_empty() {
        found.error_after = found.error_before;
    }
    Ok((Cure { error_before: before.error, ..cure }, found))
}

/// Of the first misfits, the nodes that must be left unquantised for them to go; those of the largest loss first.
fn readers(units: &Units, quantised: &Quantised, misfits: &[Misfit]) -> Vec<usize> {
    let mut first: Vec<usize> = Vec::new();
    for node in misfits.iter().take(MOST).flat_map(|m| &quantised.owners[m.pair]) {
        if units.nodes.binary_search(node).is_ok() && !first.contains(node) {
            first.push(*node);
        }
    }
    first
}

/// Are there misfits that stay quantised?
fn leaves(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> bool {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    misfits.iter().take(MOST).any(|m| !removed.contains(&quantised.pairs[m.pair].dequantize))
}

/// What the misfits are to somebody who reads of the cure: what to calibrate again, and what is still wrong.
pub fn told(quantised: &Quantised, misfits: &[Misfit], nodes: &[usize]) -> Option<String> {
    let removed: Vec<usize> = quantised.removed(nodes).iter().map(|p| p.dequantize).collect();
    let (gone, stay): (Vec<&Misfit>, Vec<&Misfit>) =
        misfits.iter().partition(|m| removed.contains(&quantised.pairs[m.pair].dequantize));
    let gone = list(&gone).map(|what| format!("{what}: calibrate again, and the nodes may stay quantised"));
    let stay = list(&stay).map(|what| {
        format!("{what} and stays quantised: here the outputs agree all the same, with other inputs perhaps not; calibrate again")
    });
    let sentences: Vec<String> = gone.into_iter().chain(stay).collect();
    (!sentences.is_empty() && !nodes.is_empty()).then(|| sentences.join("; "))
}

fn list(misfits: &[&Misfit]) -> Option<String> {
    let mut named: Vec<String> = misfits.iter().take(TOLD).map(|m| m.what.clone()).collect();
    if misfits.len() > TOLD {
        named.push(format!("{} more like it (see qdq_loss.json)", misfits.len() - TOLD));
    }
    (!named.is_empty()).then(|| named.join(", "))
}

/// A search that starts with some nodes unquantised.
struct From<'a> {
    trials: &'a Trials<'a>,
    units: &'a Units,
    run: &'a Run<'a>,
    progress: &'a Progress,
    /// Builds.
    left: usize,
    /// Number of nodes left unquantised, and the smallest error.
    curve: BTreeMap<usize, f64>,
}

impl From<'_> {
    /// A minimal set with as many of `first` in it as it may have: the others are searched for with these unquantised, then
    /// each of these is given back if the outputs agree without.
    fn shrink(&mut self, mut first: Vec<usize>) -> Result<(Cure, Overrides), RunError> {
        let mut others: Vec<usize> = without(&self.units.nodes, &first);
        loop {
            let (mut cure, mut found) = self.search(&first, others)?;
            if !cure.verified {
                return Ok((cure, found));
            }
            others = std::mem::take(&mut cure.nodes);
            let needed = self.needed(&first, &others)?;
            match needed {
                Needed::Not(node) => first.retain(|n| *n != node),
                Needed::All | Needed::Unknown => {
                    cure.nodes = sorted([first, others].concat());
                    cure.groups = self.units.describe(&cure.nodes);
                    cure.minimal &= matches!(needed, Needed::All);
                    found.of = self.units.nodes.len();
                    found.minimal = cure.minimal;
                    found.groups = cure.groups.clone();
                    found.nodes = cure.nodes.iter().map(|n| self.units.names[*n].0.clone()).collect();
                    if found.verified && !found.minimal {
                        let spent = "the builds that --builds allows were spent before every node was tried";
                        found.why = found.why.or_else(|| Some(spent.to_string()));
                    }
                    return Ok((cure, found));
                }
            }
        }
    }

    /// What is needed of `others` besides `first`.
    fn search(&mut self, first: &[usize], others: Vec<usize>) -> Result<(Cure, Overrides), RunError> {
        let run = self.run;
        let with_first = |set: &[usize], feeds: &[Tensors]| run(&sorted([set, first].concat()), feeds);
        let units = Units {
            nodes: others,
            groups: self.units.groups.clone(),
            rank: self.units.rank.clone(),
            readers: self.units.readers.clone(),
            names: self.units.names.clone(),
        };
        let (cure, mut found) = self.trials.search(&units, self.left as u64, KEPT, self.progress, &with_first)?;
        self.left -= cure.trials.min(self.left);
        cure.curve.iter().for_each(|(kept, error)| self.note(kept + first.len(), *error));
        if cure.verified && cure.nodes.is_empty() && !found.verified && !first.is_empty() {
            // To the search this is a set of nothing, which is told of in other words.
            found.why = Some("the held-back samples do not agree; search with more of them".to_string());
        }
        Ok((cure, found))
    }

    /// Tries to give back each node of `first`, the last one first: it has the smallest loss.
    fn needed(&mut self, first: &[usize], others: &[usize]) -> Result<Needed, RunError> {
        let mut all = Needed::All;
        let candidates: Vec<usize> = first.iter().rev().copied().collect();
        for some in candidates.chunks(self.trials.jobs) {
            if self.left < some.len() {
                return Ok(Needed::Unknown);
            }
            let kept = |node: &usize| without(&sorted([first, others].concat()), &[*node]);
            let sets: Vec<Vec<usize>> = some.iter().map(kept).collect();
            for ((node, set), trial) in some.iter().zip(&sets).zip(self.tried(&sets)?) {
                self.note(set.len(), trial.error);
                match trial.answer {
                    Answer::Good => return Ok(Needed::Not(*node)),
                    Answer::Unknown => all = Needed::Unknown,
                    Answer::Bad => {}
                }
            }
        }
        Ok(all)
    }

    fn ask(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let tried = self.tried(sets)?;
        sets.iter().zip(&tried).for_each(|(set, trial)| self.note(set.len(), trial.error));
        Ok(tried)
    }

    fn tried(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let tried = self.trials.ask(sets, self.run)?;
        self.left -= sets.len().min(self.left);
        Ok(tried)
    }

    fn note(&mut self, kept: usize, error: f64) {
        let least = self.curve.entry(kept).or_insert(f64::INFINITY);
        *least = least.min(error);
    }
}

enum Needed {
    All,
    /// The outputs agree without this one.
    Not(usize),
    /// Not every one could be tried.
    Unknown,
}

fn sorted(mut nodes: Vec<usize>) -> Vec<usize> {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn without(nodes: &[usize], some: &[usize]) -> Vec<usize> {
    nodes.iter().copied().filter(|n| !some.contains(n)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::onnx::{GraphProto, ModelProto};
    use crate::qdq::Pair;

    /// A pair for each name; the one of number n is read by node n alone.
    fn quantised(names: &[&str]) -> Quantised {
        let pair = |(n, name): (usize, &&str)| Pair {
            tensor: name.to_string(),
            quantize: None,
            dequantize: 10 + n,
            scale: None,
            zero_point: None,
            quantizer: None,
            axis: None,
            block: 0,
            dtype: crate::tensor::DType::Int8,
            channels: None,
            stored: None,
            weight: false,
            consumers: vec![n],
        };
        let empty = ModelProto { graph: Some(GraphProto::default()), ..Default::default() };
        Quantised {
            pairs: names.iter().enumerate().map(pair).collect(),
            owners: (0..names.len()).map(|n| vec![n]).collect(),
            float: Graph::new(&empty).unwrap(),
            weights: Default::default(),
            activations: Default::default(),
        }
    }

    #[track_caller]
    fn check(pairs: &[usize], nodes: &[usize], want: Option<&str>) {
        let quantised = quantised(&["a", "b", "c", "d", "e"]);
        let what = |pair: &usize| format!("'{}' is wrong", quantised.pairs[*pair].tensor);
        let misfits: Vec<Misfit> = pairs.iter().map(|pair| Misfit { pair: *pair, what: what(pair) }).collect();
        assert_eq!(told(&quantised, &misfits, nodes).as_deref(), want);
        let stays = pairs.iter().any(|pair| !nodes.contains(pair));
        assert_eq!(leaves(&quantised, &misfits, nodes), stays);
    }

    #[test]
    fn what_goes_and_what_stays() {
        check(&[], &[1], None);
        // Without a cure there is nothing to add to why there is none.
        check(&[1], &[], None);
        check(&[1], &[1, 2], Some("'b' is wrong: calibrate again, and the nodes may stay quantised"));
        let stays =
            "and stays quantised: here the outputs agree all the same, with other inputs perhaps not; calibrate again";
        check(&[1], &[2], Some(&format!("'b' is wrong {stays}")));
        let both = format!("'a' is wrong: calibrate again, and the nodes may stay quantised; 'b' is wrong {stays}");
        check(&[0, 1], &[0], Some(&both));
        let many = "'a' is wrong, 'b' is wrong, 2 more like it (see qdq_loss.json): calibrate again, and the nodes may stay quantised";
        check(&[0, 1, 2, 3], &[0, 1, 2, 3], Some(many));
    }
}
