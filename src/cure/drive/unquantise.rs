//! The smallest set of nodes to leave unquantised so that the outputs of a QDQ model agree: rank, search, prove, export.
//! The counterpart of `cure`, for candidates that say themselves what is quantised.

mod activations;
mod export;
mod losses;
mod misfits;

use std::collections::HashMap;
use std::path::Path;

use crate::cli::CureArgs;
use crate::cure::drive::trials::Trials;
use crate::cure::{self, Trial, Units};
use crate::found::{CureKind, Real, Report, Sensitivity};
use crate::graph::Graph;
use crate::lab::{Probe, Side};
use crate::onnx::{ModelProto, TensorProto};
use crate::progress::Progress;
use crate::qdq::{self, Activation, Float, Pair};
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensors;
use losses::Loss;
use misfits::Misfit;

/// Fills in the report's overrides and the sensitivity of its nodes, where the candidate is a model with Q/DQ pairs.
pub fn unquantise(
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    args: &CureArgs,
    dir: &Path,
    progress: &Progress,
) -> Result<(), RunError> {
    let (reference, candidate) = (probe.reference, probe.candidate);
    let Some(quantised) = Quantised::of(reference, candidate) else { return Ok(()) };
    progress.step("every quantised tensor alone");
    let losses = losses::losses(probe, &quantised)?;
    let right = probe.right_outputs().to_vec();
    let trials = Trials::new(probe, outputs, &right, args.holdout);
    let run = |set: &[usize], feeds: &[Tensors]| {
        let model = quantised.without(&trials.model, candidate, set);
        candidate.run_model(&model, &candidate.types, feeds, &trials.outputs)
    };
    let worst = worst(&quantised, &losses);
    let misfits = misfits::misfits(&quantised, &losses);
    let units = units(&quantised, &worst, &misfits);
    let (cure, mut found) = misfits::search(&trials, &units, &quantised, &misfits, args.builds, progress, &run)?;
    found.kind = CureKind::Unquantised;
    let told = misfits::told(&quantised, &misfits, &cure.nodes);
    found.why = found.why.into_iter().chain(told).reduce(|a, b| format!("{a}; {b}"));
    let ask = |sets: &[Vec<usize>]| trials.ask_all(sets, &run);
    report.sensitivity = sensitivity(&units, &worst, args.sensitivity as usize, ask)?;
    let exported = export::Export {
        reference,
        candidate,
        quantised: &quantised,
        nodes: &cure.nodes,
        overrides: &found,
        losses: &losses,
        misfits: &misfits,
        accumulated: &report.tensors,
    };
    match export::write(&dir.join("overrides"), &exported) {
        Ok(files) => found.files = files,
        Err(e) => report.warnings.push(format!("the search is done, but its files could not be written: {e:#}")),
    }
    report.overrides = Some(found);
    Ok(())
}

/// What a QDQ model quantises, and the model that it is without.
pub struct Quantised {
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
        let pairs = qdq::pairs(&candidate.model, graph);
        if pairs.is_empty() {
            return None;
        }
        let mut weights = HashMap::new();
        for pair in pairs.iter().filter(|p| p.stored.is_some()) {
            let value = losses::written(reference, &pair.tensor).filter(|t| qdq::stands_for(pair, t));
            let value = value.or_else(|| qdq::stored_as_float(pair));
            weights.extend(value.map(|value| (pair.tensor.clone(), value)));
        }
        let all: Vec<&Pair> = pairs.iter().collect();
        let activations = activations::lost(reference, candidate, &pairs);
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

/// By node: what of it loses most by quantisation, and how much.
type Worst<'a> = HashMap<usize, (&'a str, f64)>;

fn worst<'a>(quantised: &Quantised, losses: &'a [Option<Loss>]) -> Worst<'a> {
    let mut worst = Worst::new();
    for (loss, owners) in losses.iter().zip(&quantised.owners) {
        let Some(loss) = loss else { continue };
        for node in owners {
            let entry = worst.entry(*node).or_insert((loss.losses.tensor.as_str(), loss.relative));
            if loss.relative > entry.1 {
                *entry = (&loss.losses.tensor, loss.relative);
            }
        }
    }
    worst
}

/// The readers of misfits go first.
fn units(quantised: &Quantised, worst: &Worst, misfits: &[Misfit]) -> Units {
    let graph = &quantised.float;
    // Finite: what a pair loses, its reader does not lose again.
    let rank = |n: usize| worst.get(&n).map_or(0.0, |(_, error)| error.min(f64::MAX));
    let mut ranks: Vec<f64> = (0..graph.nodes.len()).map(rank).collect();
    misfits.iter().flat_map(|m| &quantised.owners[m.pair]).for_each(|n| ranks[*n] = f64::MAX);
    Units::new(graph, cure::groups(graph), quantised.owners.concat(), ranks)
}

/// The nodes that lose most by quantisation: what the outputs gain when each alone is left unquantised.
fn sensitivity(
    units: &Units,
    worst: &Worst,
    most: usize,
    ask: impl Fn(&[Vec<usize>]) -> Result<Vec<Trial>, RunError>,
) -> Result<Vec<Sensitivity>, RunError> {
    let mut ranked: Vec<usize> = units.nodes.iter().copied().filter(|n| worst.contains_key(n)).collect();
    let error = |node: &usize| worst.get(node).map_or(0.0, |w| w.1);
    ranked.sort_by(|a, b| error(b).total_cmp(&error(a)));
    ranked.truncate(most);
    let sets: Vec<Vec<usize>> = ranked.iter().map(|n| vec![*n]).collect();
    let tried = ask(&sets)?;
    let row = |(node, trial): (&usize, &Trial)| Sensitivity {
        node: units.names[*node].0.clone(),
        op_type: units.names[*node].1.clone(),
        tensor: worst.get(node).map(|w| w.0.to_string()).unwrap_or_default(),
        local: Real(error(node)),
        promoted: (trial.answer != Answer::Unknown).then_some(Real(trial.error)),
        demoted: None,
    };
    Ok(ranked.iter().zip(&tried).map(row).collect())
}
