//! From suspects to culprits: each one's node is run alone, and the two errors together say what it did.

use std::collections::{HashMap, HashSet};

use super::explain::{explain, stepped};
use super::isolate;
use super::narrow::Narrowed;
use super::{raise, tried};
use crate::compare::Comparison;
use crate::failure::Ended;
use crate::found::{Culprit, Kind, Masked, Metrics, NodeRef, Realised, Status, Sure};
use crate::graph::{Graph, Node, Source};
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::Suspect;

/// The culprits, in topological order.
#[derive(Default)]
pub struct Accused {
    /// At most as many as were asked for.
    pub culprits: Vec<Culprit>,
    /// There are others.
    pub more: bool,
}

/// Proves each of `suspects`, at most `most` of them. Those that were proved before a failure stay proved.
pub fn accuse(probe: &mut Probe, suspects: &[Suspect], most: usize) -> Ended<Accused> {
    let mut accused = Accused::default();
    let halted = prove(probe, suspects, most, &mut accused).err();
    Ended { value: accused, halted }
}

fn prove(probe: &mut Probe, suspects: &[Suspect], most: usize, accused: &mut Accused) -> Result<(), RunError> {
    let firsts = one_a_node(probe, suspects);
    let chosen = &firsts[..most.min(firsts.len())];
    let mut alone = at_once(probe, chosen)?;
    for suspect in chosen {
        let found = culprit(probe, suspect, alone.remove(&suspect.item))?;
        let local = found.local.as_ref().map(|m| m.max_abs.0);
        let found = match raise::above(probe, suspect, found.kind, local) {
            Some(above) => raise::told(culprit(probe, &above, None)?, found),
            None => found,
        };
        accused.culprits.push(found);
    }
    accused.more = firsts.len() > most;
    let budget = tried::try_causes(probe, &mut accused.culprits, "the outputs")?;
    tried::advise(probe, &mut accused.culprits, budget)
}

/// The first of them, its causes tried; `None` where there is none. Advice for a whole model is left to who has it.
fn first(probe: &mut Probe, suspects: &[Suspect]) -> Result<Option<Culprit>, RunError> {
    let Some(suspect) = suspects.first() else { return Ok(None) };
    let mut found = [culprit(probe, suspect, None)?];
    tried::try_causes(probe, &mut found, "the outputs of this part")?;
    Ok(found.into_iter().next())
}

/// What can be asked of all at once: values that the candidate kept, and, where a build is dear, all nodes alone in one.
fn at_once(probe: &mut Probe, chosen: &[&Suspect]) -> Result<HashMap<usize, Comparison>, RunError> {
    let candidate = &probe.lab.candidate;
    // Of what it compared itself, the candidate kept what agrees; what an earlier run saw is nowhere.
    let recalled = probe.ledger.counts.recalled_runs > 0 && !candidate.is_engine();
    if candidate.compares() || recalled {
        isolate::gather(probe, &chosen.iter().map(|s| s.item).collect::<Vec<_>>())?;
    }
    match candidate.is_engine() && candidate.runs() {
        true => {
            // With the sample that fails worst.
            let sample = |s: &&Suspect| probe.results.metrics(s.item).map_or(0, |m| m.sample);
            let worst: Vec<(usize, usize)> = chosen.iter().map(|s| (s.item, sample(s))).collect();
            isolate::together(probe, &worst)
        }
        false => Ok(HashMap::new()),
    }
}

/// `alone` is what its node gave by itself, where that is known already.
fn culprit(probe: &mut Probe, suspect: &Suspect, alone: Option<Comparison>) -> Result<Culprit, RunError> {
    let (model, graph) = (&probe.lab.reference.model.proto, &probe.lab.reference.graph);
    let node = graph.producer(suspect.item);
    let region = region(graph, suspect);
    let accumulated = measured(probe, suspect.item);
    let local = isolate::isolate(probe, suspect.item, region.len() > 1, accumulated.sample, alone)?;
    let agrees = |t: &usize| probe.results.get(*t).is_some_and(|r| r.status == Status::Agrees);
    let mut culprit = Culprit {
        node: NodeRef::of(model, graph, node),
        tensor: probe.lab.key(suspect.item).to_string(),
        accumulated,
        local: local.metrics,
        inputs_agree: suspect.inputs.iter().all(agrees),
        given: given(node),
        kind: if region.len() > 1 { Kind::Region } else { local.kind },
        engine: realised(probe, node),
        region,
        diagnosis: Vec::new(),
        why: Some(local.why),
    };
    culprit.diagnosis = explain(probe, &culprit)?;
    if culprit.diagnosis.iter().all(|d| d.sure != Sure::Shown) {
        let inner = stepped::inner(probe, &culprit, suspect.item, first)?;
        culprit.diagnosis = if inner.is_empty() { culprit.diagnosis } else { inner };
    }
    Ok(culprit)
}

/// What was measured of a tensor that diverges.
fn measured(probe: &Probe, tensor: usize) -> Metrics {
    probe.results.metrics(tensor).cloned().unwrap_or_else(|| Metrics::apart(0))
}

/// Those whose error is lost, one a node. A node that is accused for another of its outputs is not among them.
pub fn masked(probe: &Probe, narrowed: &Narrowed) -> Vec<Masked> {
    let (model, graph) = (&probe.lab.reference.model.proto, &probe.lab.reference.graph);
    let node_of = |tensor: usize| graph.tensors[tensor].node;
    let mut seen: HashSet<usize> = narrowed.suspects.iter().map(|s| node_of(s.item)).collect();
    let firsts = narrowed.masked.iter().filter(|m| seen.insert(node_of(m.suspect.item)));
    firsts
        .map(|m| Masked {
            node: NodeRef::of(model, graph, graph.producer(m.suspect.item)),
            tensor: probe.lab.key(m.suspect.item).to_string(),
            accumulated: measured(probe, m.suspect.item),
            masked_by: graph.keys(&m.by),
        })
        .collect()
}

/// The makers of these tensors by name, each once.
pub fn names(probe: &Probe, tensors: &[usize]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in tensors.iter().map(|t| &probe.lab.reference.graph.producer(*t).name) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Several outputs of one node are one culprit, named by its first.
fn one_a_node<'s>(probe: &Probe, suspects: &'s [Suspect]) -> Vec<&'s Suspect> {
    let mut seen = HashSet::new();
    suspects.iter().filter(|s| seen.insert(probe.lab.reference.graph.tensors[s.item].node)).collect()
}

/// The layer of the unmarked engine that the node went into.
fn realised(probe: &Probe, node: &Node) -> Option<Realised> {
    let layer = probe.finals.built.as_ref()?.layers.iter().find(|layer| layer.nodes.contains(&node.name))?;
    Some(Realised { layer: layer.name.clone(), types: layer.types.clone(), nodes: layer.nodes.clone() })
}

/// The nodes of a suspect's region by name, constants left out: they are compared as files.
fn region(graph: &Graph, suspect: &Suspect) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let makers = suspect.region.iter().filter(|t| **t == suspect.item || !graph.is_constant(**t));
    for node in makers.map(|t| graph.producer(*t)) {
        if !names.contains(&node.name) {
            names.push(node.name.clone());
        }
    }
    names
}

/// What the node reads that no node makes.
fn given(node: &Node) -> Vec<String> {
    let made = |source: &Source| matches!(source, Source::Tensor(_));
    node.reads.iter().filter(|r| !made(&r.source)).map(|r| r.name.clone()).collect()
}
