//! The smallest set of nodes to leave unquantised so that the outputs of a QDQ model agree: the counterpart of `precision`,
//! for candidates that say themselves what is quantised. The way to the files is [`frame`](super::frame)'s.

mod export;
mod losses;
mod misfits;
mod settings;
mod start;

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::bench::Bench;
use super::frame::{Frame, Goal, Remedy};
use super::price;
use super::trials::{Trials, sorted};
use crate::cure::{self, Smallest, Units};
use crate::failure::Ended;
use crate::found::{Cure, CureKind, CureNote, Overrides, TensorResult};
use crate::graph::Graph;
use crate::lab::quantised::{self, lost};
use crate::lab::{Probe, Side};
use crate::onnx::{ModelProto, TensorProto};
use crate::progress::Progress;
use crate::qdq::{self, Activation, Float, Pair};
use crate::run::RunError;
use crate::tensor::Tensors;
use losses::Loss;
use misfits::{Misfit, readers};
use settings::{Quantiser, Settings};

/// The overrides and the sensitivity of nodes, where the candidate is a model with Q/DQ pairs; nothing elsewhere.
/// `accumulated` is what was measured of tensors in both models, for the table of losses. What was found before an error is
/// there beside it.
pub fn unquantise(
    probe: &mut Probe,
    outputs: &[String],
    accumulated: &[TensorResult],
    frame: &Frame,
    goal: Goal,
) -> Ended<Cure> {
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    let Some(quantised) = Quantised::of(reference, candidate) else { return Ended::default() };
    frame.progress.step("every quantised tensor alone");
    let losses = match losses::losses(probe, &quantised) {
        Ok(losses) => losses,
        Err(e) => return Ended { value: Cure::default(), halted: Some(e) },
    };
    let bench = Bench::new(probe, outputs);
    let quantised = &quantised;
    let sentinels = misfits::sentinels(&misfits::misfits(quantised, &losses));
    let all = settings::candidates(&candidate.graph, quantised, &losses, sentinels);
    let other_settings = bench.trials(frame.holdout, |set, feeds| {
        let some: Vec<&qdq::Setting> = set.iter().map(|n| &all[*n]).collect();
        let model = settings::edited(&bench.model, candidate, quantised, &some);
        candidate.run_model(&model, &candidate.types, feeds, &bench.outputs)
    });
    let quantiser = Quantiser { all: &all, trials: &other_settings, dear: candidate.is_engine() };
    let feeds = &bench.feeds()[..1];
    let remedy = Unquantised::new((reference, candidate, feeds), quantised, losses, accumulated, quantiser);
    let trials = bench.trials(frame.holdout, |set, feeds| {
        let model = quantised.without(&bench.model, candidate, set);
        candidate.run_model(&model, &candidate.types, feeds, &bench.outputs)
    });
    frame.reach(goal, &remedy, &trials)
}

/// Nodes left unquantised while the others stay as they are.
struct Unquantised<'a> {
    reference: &'a Side,
    candidate: &'a Side,
    /// The first sample.
    feeds: &'a [Tensors],
    quantised: &'a Quantised,
    /// By pair.
    losses: Vec<Option<Loss>>,
    /// By node: the pair in front of it that loses most.
    worst: HashMap<usize, usize>,
    /// The largest loss first.
    misfits: Vec<Misfit>,
    units: Units,
    accumulated: &'a [TensorResult],
    quantiser: Quantiser<'a>,
    /// What was found of its settings, once they were searched.
    settings: OnceCell<Settings>,
}

impl<'a> Unquantised<'a> {
    fn new(
        (reference, candidate, feeds): (&'a Side, &'a Side, &'a [Tensors]),
        quantised: &'a Quantised,
        losses: Vec<Option<Loss>>,
        accumulated: &'a [TensorResult],
        quantiser: Quantiser<'a>,
    ) -> Unquantised<'a> {
        let misfits = misfits::misfits(quantised, &losses);
        let worst = worst(quantised, &losses);
        let lost = |node: usize| losses[*worst.get(&node)?].as_ref().map(|loss| loss.relative);
        let units = units(quantised, &lost, &misfits);
        let settings = OnceCell::new();
        Unquantised {
            reference,
            candidate,
            feeds,
            quantised,
            losses,
            worst,
            misfits,
            units,
            accumulated,
            quantiser,
            settings,
        }
    }
}

impl Remedy for Unquantised<'_> {
    fn kind(&self) -> CureKind {
        CureKind::Unquantised
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn low(&self) -> String {
        "This quantisation".to_string()
    }

    fn local(&self, node: usize) -> Option<(&str, f64)> {
        let loss = self.losses[*self.worst.get(&node)?].as_ref()?;
        Some((&loss.losses.tensor, loss.relative))
    }

    fn search(&self, trials: &Trials, builds: u64, progress: &Progress) -> Result<(Smallest, Overrides), RunError> {
        let reserved = settings::reserve(self.quantiser.all, builds, self.quantiser.dear);
        let (set, mut found) = start::search(self, trials, builds - reserved, progress)?;
        let left = builds.saturating_sub(found.builds as u64);
        let sentinels = readers(&self.units, self.quantised, &self.misfits, true);
        let known = found.verified && !sentinels.is_empty() && sorted(sentinels) == set.nodes;
        let settings = self.quantiser.search(left, known, progress)?;
        let settings = self.settings.get_or_init(|| settings);
        found.settings = settings.told(self.quantised, &|pair| export::tensor_name(self, pair));
        found.settings_tried = settings.tried;
        Ok((set, found))
    }

    fn remark(&self, nodes: &[usize]) -> Option<String> {
        misfits::told(self.quantised, &self.misfits, nodes)
    }

    fn price(&self, nodes: &[usize], found: &mut Overrides, progress: &Progress) -> Result<Vec<CureNote>, RunError> {
        progress.step("the price of the overrides");
        let (side, whole) = (self.candidate, &self.candidate.model.proto);
        let cured = self.quantised.without(whole, side, nodes);
        let on = |model| side.work(self.feeds, &[]).on(model, &side.types);
        price::latency((side, self.reference), (&on(whole), &on(&cured)), found)?;
        Ok(Vec::new())
    }

    /// Where there is no cure, the losses alone are worth a look.
    fn export(&self, dir: &Path, set: &Smallest, found: &Overrides) -> anyhow::Result<BTreeMap<String, String>> {
        export::write(dir, &export::Told::new(self, &set.nodes, found))
    }
}

/// What a QDQ model quantises, and the model that it is without.
struct Quantised {
    pairs: Vec<Pair>,
    /// By pair: nodes of `float` that must all be left unquantised for it to go.
    owners: Vec<Vec<usize>>,
    /// The candidate without any pair. Its nodes are next to each other, as they are in the float model.
    float: Graph,
    /// Float values of the weights by the names of their pairs: the reference's, else what is stored.
    weights: HashMap<String, TensorProto>,
    /// By DequantizeLinear: what the quantiser left out in front of it.
    activations: HashMap<usize, Vec<Activation>>,
}

impl Quantised {
    fn of(reference: &Side, candidate: &Side) -> Option<Quantised> {
        let graph = &candidate.graph;
        let pairs = quantised::pairs(reference, candidate);
        if pairs.is_empty() {
            return None;
        }
        let mut weights = HashMap::new();
        for pair in pairs.iter().filter(|p| p.stored.is_some()) {
            let value = quantised::float_weight(reference, pair);
            weights.extend(value.map(|value| (pair.tensor.clone(), value)));
        }
        let all: Vec<&Pair> = pairs.iter().collect();
        let activations = lost(reference, candidate, &pairs);
        let bare = qdq::without(
            &candidate.model.proto,
            graph,
            &all,
            &Float {
                weight: &|name| weights.get(name).cloned(),
                activations: &|pair| activations.get(&pair.dequantize).cloned().unwrap_or_default(),
            },
        );
        let float = Graph::new(&bare).ok()?;
        let same = |n: usize| {
            let made = graph.nodes[n].writes.iter().find_map(|t| float.tensor(&graph.tensors[*t].key));
            made.map(|t| float.tensors[t].node)
        };
        let owners = qdq::owners(graph, &pairs);
        let owners = owners.into_iter().map(|nodes| nodes.into_iter().filter_map(same).collect()).collect();
        Some(Quantised { pairs, owners, float, weights, activations })
    }

    /// The pairs that go when these nodes are left unquantised.
    fn removed(&self, nodes: &[usize]) -> Vec<&Pair> {
        let goes = |owners: &[usize]| !owners.is_empty() && owners.iter().all(|n| nodes.contains(n));
        self.pairs.iter().zip(&self.owners).filter(|(_, owners)| goes(owners)).map(|(pair, _)| pair).collect()
    }

    /// `model`, which has the candidate's nodes, with these left unquantised.
    fn without(&self, model: &ModelProto, candidate: &Side, nodes: &[usize]) -> ModelProto {
        let weight = |name: &str| self.weights.get(name).cloned();
        let activations = |pair: &Pair| self.activations.get(&pair.dequantize).cloned().unwrap_or_default();
        let float = Float { weight: &weight, activations: &activations };
        qdq::without(model, &candidate.graph, &self.removed(nodes), &float)
    }
}

/// By node: the pair in front of it that loses most.
fn worst(quantised: &Quantised, losses: &[Option<Loss>]) -> HashMap<usize, usize> {
    let lost = |pair: usize| losses[pair].as_ref().map_or(f64::NEG_INFINITY, |loss| loss.relative);
    let mut worst = HashMap::new();
    for (pair, (_, owners)) in losses.iter().zip(&quantised.owners).enumerate().filter(|(_, (loss, _))| loss.is_some())
    {
        for node in owners {
            let entry = worst.entry(*node).or_insert(pair);
            if lost(pair) > lost(*entry) {
                *entry = pair;
            }
        }
    }
    worst
}

/// `lost` is what a node loses most; the readers of misfits go first.
fn units(quantised: &Quantised, lost: &dyn Fn(usize) -> Option<f64>, misfits: &[Misfit]) -> Units {
    let graph = &quantised.float;
    // Finite: what a pair loses, its reader does not lose again.
    let rank = |n: usize| lost(n).map_or(0.0, |error| error.min(f64::MAX));
    let mut ranks: Vec<f64> = (0..graph.nodes.len()).map(rank).collect();
    misfits.iter().flat_map(|m| &quantised.owners[m.pair]).for_each(|n| ranks[*n] = f64::MAX);
    Units::new(graph, cure::groups(graph), quantised.owners.concat(), ranks)
}
