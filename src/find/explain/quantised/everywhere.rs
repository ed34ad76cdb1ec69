//! Where else the causes of culprits are: whoever stands behind a culprit is given what is wrong already, and is none itself,
//! though the same may be wrong with it; and something else may be. All pairs of the file are laid over the reference's values,
//! and what looks wrong is undone in the file by families: the same of tensors that are named alike.

use super::seen::{Seen, lay, suspects};
use super::trial::{edited, outputs};
use crate::diagnose::laid::{Suspicion, Undo};
use crate::found::{Culprit, Diagnosis, Effect, Group, Sure, pattern};
use crate::graph::Node;
use crate::lab::quantised::{keys, operands, pairs};
use crate::lab::{Probe, Side};
use crate::qdq::Pair;
use crate::run::RunError;

/// Families that are tried besides those of culprits.
const MOST: usize = 6;
/// What loses less than this share of its size is not to blame.
const HARMLESS: f64 = 0.02;
/// Of a suspicion that is no matter of the whole tensor.
const PARTS: &str = "part-ranges";
/// A finding of its own leaves at most so much of the error.
const HELPED: f64 = 0.75;

/// The same suspicion of tensors that are named alike.
struct Family<'x> {
    members: Vec<(&'x Pair, Suspicion)>,
    /// The most that a member loses of its size.
    lost: f64,
}

/// What was undone so far, and what the outputs are then.
struct SoFar<'f> {
    undone: Vec<(&'f Pair, &'f Undo)>,
    effect: Effect,
    /// Findings that were undone.
    findings: usize,
}

/// Adds to each group the nodes in which the same cause is, and groups of what is wrong besides.
pub fn everywhere(probe: &mut Probe, culprits: &[Culprit], groups: &mut Vec<Group>) -> Result<(), RunError> {
    let lab = probe.lab;
    let can = lab.relation.is_own_model() && lab.candidate.runs() && !lab.candidate.is_engine();
    let Some(first) = culprits.first().filter(|_| can) else { return Ok(()) };
    let mut all = pairs(&lab.reference, &lab.candidate);
    if all.is_empty() {
        return Ok(());
    }
    all.extend(operands(&lab.reference, &lab.candidate));
    let families = families(probe, first, &all)?;
    let before = Effect::of_samples(&probe.outputs_of(&probe.finals.unmarked));
    let mut so_far = SoFar { undone: Vec::new(), effect: before.clone(), findings: 0 };
    let mut other: Vec<&Family> = Vec::new();
    for family in &families {
        match groups.iter().position(|group| family.is_of(probe, culprits, group)) {
            Some(at) => family.join(probe, &mut groups[at], &mut so_far)?,
            None => other.push(family),
        }
    }
    // What a small part loses is nothing beside the large ones, and all that it has.
    let is_part = |family: &&Family| family.members.iter().any(|(_, suspicion)| suspicion.code == PARTS);
    let (parts, others): (Vec<&Family>, Vec<&Family>) = other.into_iter().partition(is_part);
    let others = others.into_iter().filter(|family| family.lost >= HARMLESS);
    for family in parts.into_iter().chain(others).take(MOST) {
        groups.extend(family.alone(probe, &before, &mut so_far)?);
    }
    Ok(())
}

/// What looks wrong of the file's pairs, the worst first.
fn families<'x>(probe: &mut Probe, culprit: &Culprit, all: &'x [Pair]) -> Result<Vec<Family<'x>>, RunError> {
    let candidate = &probe.lab.candidate;
    let wanted: Vec<String> = all.iter().filter(|p| !p.weight).flat_map(|p| keys(candidate, p)).collect();
    probe.fetch(candidate, &wanted)?;
    let each: Vec<&Pair> = all.iter().collect();
    let seen: Vec<Seen> = lay(probe, &each, culprit.accumulated.sample);
    let mut families: Vec<Family> = Vec::new();
    let mut known: Vec<usize> = Vec::new();
    for (pair, suspicion) in suspects(probe, culprit, all, &seen) {
        // Of two that are suspected of one tensor, the more telling one.
        if known.contains(&pair.dequantize) || (matches!(suspicion.undo, Undo::Unquantised) && !pair.is_pair()) {
            continue;
        }
        known.push(pair.dequantize);
        let lost = seen.iter().find(|s| s.pair.dequantize == pair.dequantize).map_or(0.0, |s| s.lost);
        match families.iter_mut().find(|family| family.is_alike(pair, &suspicion)) {
            Some(family) => {
                family.lost = family.lost.max(lost);
                family.members.push((pair, suspicion));
            }
            None => families.push(Family { members: vec![(pair, suspicion)], lost }),
        }
    }
    for family in &mut families {
        family.members.sort_by_key(|(pair, _)| pair.dequantize);
    }
    Ok(families)
}

impl<'x> Family<'x> {
    fn is_alike(&self, pair: &Pair, suspicion: &Suspicion) -> bool {
        self.members.first().is_some_and(|(mine, of)| {
            of.code == suspicion.code
                && mine.weight == pair.weight
                && pattern(&mine.tensor) == pattern(&pair.tensor)
                // What undoes one of them undoes the others.
                && std::mem::discriminant(&of.undo) == std::mem::discriminant(&suspicion.undo)
        })
    }

    /// Is the cause of the group's culprits one of these?
    fn is_of(&self, probe: &Probe, culprits: &[Culprit], group: &Group) -> bool {
        let culprits = || culprits.iter().filter(|c| group.tensors.contains(&c.tensor));
        self.members.iter().any(|(pair, suspicion)| {
            suspicion.code == group.code && culprits().any(|culprit| is_at(probe, pair, culprit))
        })
    }

    fn undone(&self) -> impl Iterator<Item = (&'x Pair, &Undo)> {
        self.members.iter().map(|(pair, suspicion)| (*pair, &suspicion.undo))
    }

    /// The group's own cause, wherever it is.
    fn join<'f>(&'f self, probe: &mut Probe, group: &mut Group, so_far: &mut SoFar<'f>) -> Result<(), RunError> {
        for (tensor, node) in self.members.iter().filter_map(|(pair, _)| place(probe, pair)) {
            if !group.tensors.contains(&tensor) && !group.nodes.contains(&node) {
                group.tensors.push(tensor);
                group.nodes.push(node);
            }
        }
        let alone: Vec<_> = self.undone().collect();
        group.undone = effect(probe, &alone)?;
        so_far.undone.extend(alone);
        so_far.findings += 1;
        if so_far.findings == 1 {
            so_far.effect = group.undone.clone().unwrap_or_else(|| so_far.effect.clone());
        } else if let Some(effect) = effect(probe, &so_far.undone)? {
            so_far.effect = effect;
        }
        Ok(())
    }

    /// A finding of its own, where undoing it helps: alone, or when what was found before is undone.
    fn alone<'f>(
        &'f self,
        probe: &mut Probe,
        before: &Effect,
        so_far: &mut SoFar<'f>,
    ) -> Result<Option<Group>, RunError> {
        let own: Vec<_> = self.undone().collect();
        let with: Vec<_> = so_far.undone.iter().copied().chain(own.iter().copied()).collect();
        let (Some(alone), Some(with)) = (effect(probe, &own)?, effect(probe, &with)?) else { return Ok(None) };
        let besides = helps(&with, &so_far.effect);
        if !besides && !helps(&alone, before) {
            return Ok(None);
        }
        let Some((_, suspicion)) = self.members.first() else { return Ok(None) };
        let cured = (alone.agree && !before.agree) || (with.agree && !so_far.effect.agree);
        let them = match self.members.len() {
            1 => "undone".to_string(),
            more => format!("the same of {more} tensors; undone in all of them,"),
        };
        let (together, from, to) = match so_far.findings {
            0 => ("alone, it takes", before, &alone),
            _ => ("together with what was found before, it takes", &so_far.effect, &with),
        };
        let change = format!(
            "{them} {together} the relative error of the outputs from {} to {}",
            number(from.error.0),
            number(to.error.0)
        );
        let places: Vec<(String, String)> = self.members.iter().filter_map(|(pair, _)| place(probe, pair)).collect();
        let Some(op_type) = places.first().map(|(tensor, _)| op_type(probe, tensor)) else { return Ok(None) };
        let (tensors, nodes) = places.into_iter().unzip();
        if besides {
            so_far.undone.extend(own);
            so_far.effect = with;
            so_far.findings += 1;
        }
        Ok(Some(Group {
            tensors,
            nodes,
            op_type,
            code: suspicion.code.to_string(),
            undone: Some(alone),
            cause: Some(Diagnosis {
                code: suspicion.code.to_string(),
                sure: if cured { Sure::Shown } else { Sure::Likely },
                evidence: format!("{}; {change}", suspicion.evidence),
                advice: suspicion.advice.clone(),
            }),
            ..Group::default()
        }))
    }
}

fn helps(now: &Effect, before: &Effect) -> bool {
    (now.agree && !before.agree)
        || (now.error.0 < HELPED * before.error.0)
        || (now.error.0.is_finite() && !before.error.0.is_finite())
}

fn number(x: f64) -> String {
    crate::found::words::number(x)
}

fn effect(probe: &mut Probe, undone: &[(&Pair, &Undo)]) -> Result<Option<Effect>, RunError> {
    probe.ledger.counts.proof_builds += 1;
    let candidate = &probe.lab.candidate;
    let marks = crate::lab::first::inner(candidate, &probe.lab.outputs);
    let model = crate::mark::mark(&candidate.model.proto, &candidate.graph, &marks, &candidate.types);
    outputs(probe, &edited(probe, &model, undone))
}

/// Is the pair at the culprit: what it makes, or what its node reads?
fn is_at(probe: &Probe, pair: &Pair, culprit: &Culprit) -> bool {
    let graph = &probe.lab.candidate.graph;
    let names = |n: &usize| {
        let name = &graph.nodes[*n].name;
        *name == culprit.node.name || culprit.region.contains(name)
    };
    match pair.weight {
        true => pair.consumers.iter().any(names),
        false => keys(&probe.lab.candidate, pair).contains(&culprit.tensor),
    }
}

/// The tensor of the reference's that the pair spoils, and the node that makes it: of a weight, what is computed with it.
fn place(probe: &Probe, pair: &Pair) -> Option<(String, String)> {
    let (mine, theirs): (&Side, &Side) = (&probe.lab.reference, &probe.lab.candidate);
    let names: Vec<String> = match pair.weight {
        false => keys(theirs, pair),
        true => {
            let readers = pair.consumers.iter().flat_map(|n| theirs.graph.nodes[*n].writes.iter());
            readers.map(|t| theirs.graph.tensors[*t].key.clone()).collect()
        }
    };
    let tensor = names.iter().find_map(|name| mine.graph.tensor(name))?;
    let told = |node: &Node| if node.name.is_empty() { names[0].clone() } else { node.name.clone() };
    Some((mine.graph.tensors[tensor].key.clone(), told(mine.graph.producer(tensor))))
}

fn op_type(probe: &Probe, tensor: &str) -> String {
    let graph = &probe.lab.reference.graph;
    graph.tensor(tensor).map_or(String::new(), |t| graph.producer(t).op_type.clone())
}
