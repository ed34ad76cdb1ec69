//! Settings of the quantiser that make the outputs of a QDQ model agree, each tried on the file itself: the cheapest alone first,
//! then as few together as will do. Runs nothing itself.

use std::collections::HashMap;

use super::Quantised;
use super::losses::Loss;
use crate::cure::Trial;
use crate::cure::drive::trials::Trials;
use crate::found::QuantiserSetting;
use crate::found::words::plural;
use crate::graph::Graph;
use crate::lab::Side;
use crate::names::few;
use crate::onnx::ModelProto;
use crate::progress::Progress;
use crate::qdq::{self, Base, Pair, Setting};
use crate::run::RunError;
use crate::search::Answer;

/// Trials at most.
const TRIALS: u64 = 48;
/// The same, where every trial builds an engine.
const DEAR: u64 = 8;
/// Settings together at most.
const TOGETHER: usize = 3;
/// So many activations are given 16 bits, those that lose most, before all of them are.
const WIDE: [usize; 4] = [1, 2, 4, 8];
/// Operators that are left out, each alone: those of fewest nodes.
const OPS: usize = 8;
/// Settings that leave more than this share of the error are no start of a set.
const HELPED: f64 = 0.9;

/// What was found.
#[derive(Default)]
pub struct Settings {
    /// Together they cure the outputs; empty where none was seen to.
    pub chosen: Vec<Setting>,
    /// They were seen to agree on the samples that were held back too.
    pub verified: bool,
    /// Settings and sets of them that were tried.
    pub tried: usize,
}

impl Settings {
    /// As the report has them.
    pub fn told(&self, quantised: &Quantised, names: &dyn Fn(&Pair) -> String) -> Vec<QuantiserSetting> {
        let one = |setting: &Setting| {
            let (name, detail) = told(setting, quantised, names);
            QuantiserSetting { setting: name.to_string(), detail, verified: self.verified }
        };
        self.chosen.iter().map(one).collect()
    }
}

/// All that may be tried, the cheapest first. `sentinels` are pairs that no setting gives a better range.
pub fn candidates(
    graph: &Graph,
    quantised: &Quantised,
    losses: &[Option<Loss>],
    sentinels: Vec<usize>,
) -> Vec<Setting> {
    let pairs = &quantised.pairs;
    let base = Base::of(graph, pairs);
    let weights = pairs.iter().any(qdq::is_weight);
    let mut all = Vec::new();
    all.extend((!sentinels.is_empty()).then_some(Setting::WithoutPairs(sentinels)));
    all.extend(pairs.iter().any(|p| qdq::channel_axis(p).is_some()).then_some(Setting::PerChannel));
    all.extend((weights && !base.per_channel).then_some(Setting::WeightSymmetric(!base.weights_symmetric)));
    all.extend(base.bias.then_some(Setting::FloatBias));
    all.extend((weights && !base.reduced).then_some(Setting::ReduceRange));
    let activations = activations(pairs, losses);
    all.extend((!base.activations_symmetric && !activations.is_empty()).then_some(Setting::ActivationSymmetric));
    let some = WIDE.into_iter().filter(|n| *n < activations.len());
    let wide = some.chain([activations.len()]).filter(|n| *n > 0);
    all.extend(wide.map(|n| Setting::Wide(activations[..n].to_vec())));
    all.extend(ops(graph, &base).into_iter().map(Setting::WithoutOp));
    all
}

/// Numbers of activations that can have 16 bits, once each; what loses most comes first.
fn activations(pairs: &[Pair], losses: &[Option<Loss>]) -> Vec<usize> {
    let lost = |n: &usize| losses[*n].as_ref().map_or(0.0, |loss| loss.relative);
    let mut seen = Vec::new();
    let mut found: Vec<usize> = (0..pairs.len())
        .filter(|n| qdq::is_activation(&pairs[*n]))
        .filter(|n| {
            let new = !seen.contains(&pairs[*n].quantize);
            seen.push(pairs[*n].quantize);
            new
        })
        .collect();
    found.sort_by(|a, b| lost(b).total_cmp(&lost(a)));
    found
}

/// Operators that are quantised; those of fewest nodes first.
fn ops(graph: &Graph, base: &Base) -> Vec<String> {
    let mut count: HashMap<&str, usize> = HashMap::new();
    graph.nodes.iter().for_each(|n| *count.entry(n.op_type.as_str()).or_default() += 1);
    let mut ops: Vec<String> = base.ops.iter().cloned().collect();
    ops.sort_by_key(|op| count.get(op.as_str()).copied().unwrap_or(0));
    ops.truncate(OPS);
    ops
}

/// Trials that the settings may cost of `builds`, so that the search for nodes does not spend them all.
pub fn reserve(all: &[Setting], builds: u64, dear: bool) -> u64 {
    let rounds = (TOGETHER * (all.len() + 1)) as u64;
    rounds.min(builds / 4).min(if dear { DEAR } else { TRIALS })
}

/// What a quantiser may be told otherwise.
pub struct Quantiser<'a> {
    /// The cheapest first.
    pub all: &'a [Setting],
    /// A set is numbers of these.
    pub trials: &'a Trials<'a>,
    /// Every trial builds an engine.
    pub dear: bool,
}

impl Quantiser<'_> {
    /// The fewest settings that cure the outputs, in `builds` trials at most.
    ///
    /// `nodes` says that the same pairs are known to be a cure by themselves: then settings are sought that do without.
    pub fn search(&self, builds: u64, nodes: bool, progress: &Progress) -> Result<Settings, RunError> {
        let left = builds.min(if self.dear { DEAR } else { TRIALS }) as usize;
        let Quantiser { all, trials, .. } = self;
        let wanted = |n: &usize| !nodes || !matches!(all[*n], Setting::WithoutPairs(_));
        let every = (0..all.len()).filter(wanted).collect();
        let mut search = Search { all, every, trials, left, tried: 0, progress };
        let chosen = search.fewest()?;
        let tried = search.tried;
        let verified = !chosen.is_empty() && trials.held_back(&chosen)?.is_none();
        // The order of the page is that of the list.
        let chosen = (0..all.len()).filter(|n| chosen.contains(n)).map(|n| all[n].clone()).collect();
        Ok(Settings { chosen, verified, tried })
    }
}

struct Search<'a> {
    all: &'a [Setting],
    /// Those that may be tried.
    every: Vec<usize>,
    trials: &'a Trials<'a>,
    left: usize,
    tried: usize,
    progress: &'a Progress,
}

impl Search<'_> {
    /// Empty where nothing is needed, or nothing was seen to be enough.
    fn fewest(&mut self) -> Result<Vec<usize>, RunError> {
        let sets =
            |set: &[usize], more: &[usize]| -> Vec<Vec<usize>> { more.iter().map(|n| [set, &[*n]].concat()).collect() };
        let every = self.every.clone();
        let Some(before) = self.ask(&[Vec::new()])?.pop().filter(|t| t.answer == Answer::Bad) else {
            return Ok(Vec::new());
        };
        let (mut set, mut least) = (Vec::new(), before.error);
        while set.len() < TOGETHER {
            let more: Vec<usize> = every.iter().copied().filter(|n| self.goes_with(&set, *n)).collect();
            let sets = sets(&set, &more);
            let (best, error, cures) = match self.round(&sets)? {
                Round::Cures(set) => (set, 0.0, true),
                Round::Best(set, error) => (set, error, false),
                Round::Nothing => return Ok(Vec::new()),
            };
            if cures {
                return self.needed(best);
            }
            // A first setting must help by itself, and what is added must help further.
            if !matches!(error.partial_cmp(&(least * HELPED)), Some(std::cmp::Ordering::Less)) {
                return Ok(Vec::new());
            }
            (set, least) = (best, error);
        }
        Ok(Vec::new())
    }

    /// One setting has one value.
    fn goes_with(&self, set: &[usize], other: usize) -> bool {
        let kind = |n: usize| std::mem::discriminant(&self.all[n]);
        let again = matches!(self.all[other], Setting::WithoutOp(_));
        !set.contains(&other) && (again || set.iter().all(|n| kind(*n) != kind(other)))
    }

    /// The first set that cures, else the one with the smallest error.
    fn round(&mut self, sets: &[Vec<usize>]) -> Result<Round, RunError> {
        let mut best: Option<(usize, f64)> = None;
        let width = self.trials.jobs().max(1);
        for (first, some) in sets.chunks(width).enumerate() {
            for (i, trial) in self.ask(some)?.iter().enumerate() {
                let number = first * width + i;
                if trial.answer == Answer::Good {
                    return Ok(Round::Cures(sets[number].clone()));
                }
                if trial.answer == Answer::Bad && best.is_none_or(|(_, error)| trial.error < error) {
                    best = Some((number, trial.error));
                }
            }
        }
        Ok(best.map_or(Round::Nothing, |(n, error)| Round::Best(sets[n].clone(), error)))
    }

    /// Of a set that cures, those without which it does not.
    fn needed(&mut self, mut set: Vec<usize>) -> Result<Vec<usize>, RunError> {
        // Every set of one was tried, and the last one in was needed.
        while set.len() > 2 {
            let less: Vec<Vec<usize>> = (0..set.len() - 1)
                .map(|out| set.iter().enumerate().filter(|(i, _)| *i != out).map(|(_, n)| *n).collect())
                .collect();
            match self.round(&less)? {
                Round::Cures(fewer) => set = fewer,
                _ => break,
            }
        }
        Ok(set)
    }

    /// No answers where the trials are spent.
    fn ask(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Trial>, RunError> {
        let sets = &sets[..sets.len().min(self.left)];
        self.left -= sets.len();
        self.tried += sets.len();
        self.progress.step(format!("settings of the quantiser, trial {}", self.tried));
        self.trials.ask(sets)
    }
}

enum Round {
    Cures(Vec<usize>),
    Best(Vec<usize>, f64),
    Nothing,
}

/// What the quantiser calls it, and what it is to be.
fn told(setting: &Setting, quantised: &Quantised, names: &dyn Fn(&Pair) -> String) -> (&'static str, String) {
    let pairs = &quantised.pairs;
    let weights = |n: usize| plural(n, "weight");
    let stored = pairs.iter().filter(|p| qdq::is_weight(p)).count();
    match setting {
        Setting::PerChannel => {
            let count = pairs.iter().filter(|p| qdq::channel_axis(p).is_some()).count();
            ("per_channel", format!("True: one scale for each output channel of {}", weights(count)))
        }
        Setting::WeightSymmetric(true) => {
            ("WeightSymmetric", format!("True: {} with zero in the middle", weights(stored)))
        }
        Setting::WeightSymmetric(false) => {
            ("WeightSymmetric", format!("False: {} with a range of their own on both sides", weights(stored)))
        }
        Setting::FloatBias => ("QuantizeBias", "False: biases stay float".to_string()),
        Setting::ActivationSymmetric => {
            ("ActivationSymmetric", "True: activations with zero in the middle".to_string())
        }
        Setting::ReduceRange => ("reduce_range", format!("True: {} of 7 bits", weights(stored))),
        Setting::Wide(wide) => {
            let named = few(wide.iter().map(|n| format!("'{}'", names(&pairs[*n]))), 4);
            ("TensorQuantOverrides", format!("16 bits for {named}"))
        }
        Setting::WithoutOp(op) => ("op_types_to_quantize", format!("without {op}")),
        Setting::WithoutPairs(gone) => {
            let named = few(gone.iter().map(|n| format!("'{}'", names(&pairs[*n]))), 2);
            ("nodes_to_exclude", format!("those that read {named}, whose range a sentinel sets"))
        }
    }
}

/// The candidate's model, with its judged outputs, as the quantiser would have made it with these.
pub fn edited(model: &ModelProto, candidate: &Side, quantised: &Quantised, settings: &[&Setting]) -> ModelProto {
    let weight = |name: &str| quantised.weights.get(name).cloned();
    let activations = |pair: &Pair| quantised.activations.get(&pair.dequantize).cloned().unwrap_or_default();
    let float = qdq::Float { weight: &weight, activations: &activations };
    qdq::with_settings(model, (&candidate.model, &candidate.graph), &quantised.pairs, settings, &float)
}
