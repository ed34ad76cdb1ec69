//! The smallest set of quantised operators to leave in float so that the outputs agree, where a file quantises without QDQ pairs:
//! dynamic quantisation, QOperator, n-bit weights. The counterpart of `unquantise`; the way to the files is
//! [`frame`](super::frame)'s.

mod effects;
mod export;
mod search;

use std::collections::BTreeMap;
use std::path::Path;

use super::bench::Bench;
use super::frame::{Frame, Goal, Remedy};
use super::price;
use super::trials::Trials;
use crate::cure::export::MIXED;
use crate::cure::{Smallest, Units};
use crate::failure::Ended;
use crate::found::{Cure, CureKind, CureNote, Overrides};
use crate::graph::Graph;
use crate::lab::first::inner;
use crate::lab::{Probe, Side, quantised};
use crate::load::Model;
use crate::mark::Types;
use crate::onnx::ModelProto;
use crate::progress::Progress;
use crate::qdq::dynamic::{self, Partners, Restored, Unit};
use crate::run::RunError;
use crate::tensor::Tensors;
use effects::Effect;

/// The overrides and the sensitivity of nodes, where the candidate is a file whose operators quantise, and more of them than there
/// are pairs; `None` elsewhere. What was found before an error is there beside it.
pub fn undynamic(probe: &mut Probe, outputs: &[String], frame: &Frame, goal: Goal) -> Option<Ended<Cure>> {
    let lab = probe.lab;
    let file = File::of(&lab.reference, &lab.candidate, outputs)?;
    frame.progress.step("every quantised operator alone");
    let effects = match effects::effects(probe, &file, outputs) {
        Ok(effects) => effects,
        Err(e) => return Some(Ended { value: Cure::default(), halted: Some(e) }),
    };
    let bench = Bench::new(probe, outputs);
    let remedy = Undynamic::new((&lab.reference, &lab.candidate, &lab.feeds[..1]), &file, effects);
    let trials = bench
        .trials(frame.holdout, |set, feeds| lab.candidate.run_model(&file.without(set), &file.types, feeds, outputs));
    let mut reached = frame.reach(goal, &remedy, &trials);
    drop(trials);
    if let Err(e) = from_disk(probe, &mut reached.value) {
        reached.halted.get_or_insert(e);
    }
    Some(reached)
}

/// The written file is read again and run: what does not agree then is not verified.
fn from_disk(probe: &mut Probe, cure: &mut Cure) -> Result<(), RunError> {
    let Some(found) = cure.overrides.as_mut().filter(|found| found.verified) else { return Ok(()) };
    let Some(path) = found.files.get("onnx") else { return Ok(()) };
    let agrees = match Model::load(Path::new(path)) {
        Ok(model) => probe.agrees_from_disk(&model)?,
        Err(_) => false,
    };
    if !agrees {
        found.verified = false;
        let why = format!("{MIXED} was written, and does not agree when it is read from the disk");
        found.why = Some(found.why.take().map_or(why.clone(), |said| format!("{why}; {said}")));
    }
    Ok(())
}

/// The candidate's file, what of it can be left unquantised, and what it is then.
struct File {
    /// As it is deployed, unless a tensor inside it is judged.
    model: Model,
    graph: Graph,
    units: Vec<Unit>,
    /// By unit.
    restored: Vec<Restored>,
    /// Without any unit: its nodes are next to each other as they are in the float model.
    float: Graph,
    /// By unit: the node of `float` that it is.
    nodes: Vec<usize>,
    /// Element types, those of `float` included.
    types: Types,
}

impl File {
    /// `None` where there are more pairs than units.
    fn of(reference: &Side, candidate: &Side, outputs: &[String]) -> Option<File> {
        let marks = inner(candidate, outputs);
        let model = candidate.model.edited(candidate.marked(&marks));
        let graph = Graph::new(&model.proto).ok()?;
        let found = dynamic::units(&model, &graph);
        if found.len() <= quantised::pairs(reference, candidate).len() {
            return None;
        }
        let partners = Partners::new(&reference.model, &reference.graph);
        let restored = partners.restored(&found, (&model, &graph));
        let known = found.into_iter().zip(restored).filter_map(|(unit, restored)| Some((unit, restored?)));
        let (units, restored): (Vec<Unit>, Vec<Restored>) = known.unzip();
        let all: Vec<(&Unit, &Restored)> = units.iter().zip(&restored).collect();
        let float = Graph::new(&dynamic::without_units(&model.proto, &graph, &all)).ok()?;
        let key = |(unit, restored): &(&Unit, &Restored)| dynamic::float_key(&graph, unit, restored);
        let node = |one: &(&Unit, &Restored)| Some(float.tensors[float.tensor(&key(one))?].node);
        let nodes: Option<Vec<usize>> = all.iter().map(node).collect();
        let mut types = candidate.types.clone();
        types.extend(all.iter().filter_map(|one| Some((key(one), one.0.weights().next()?.1.dtype))));
        Some(File { nodes: nodes?, float, types, model, graph, units, restored })
    }

    /// The file with these nodes of `float` left unquantised.
    fn without(&self, nodes: &[usize]) -> ModelProto {
        let of = (0..self.units.len()).filter(|unit| nodes.contains(&self.nodes[*unit]));
        let chosen: Vec<(&Unit, &Restored)> = of.map(|unit| (&self.units[unit], &self.restored[unit])).collect();
        dynamic::without_units(&self.model.proto, &self.graph, &chosen)
    }

    /// By node of `float`.
    fn unit(&self, node: usize) -> Option<usize> {
        self.nodes.iter().position(|n| *n == node)
    }

    /// What cannot do it, as it begins a sentence.
    fn low(&self) -> String {
        let bits = self.units.iter().filter_map(|unit| unit.bits).min();
        match (self.units.iter().any(|unit| unit.dynamic), bits) {
            (true, _) => "Dynamic INT8".to_string(),
            (false, Some(bits)) => format!("Quantisation to {bits} bits"),
            (false, None) => "This quantisation".to_string(),
        }
    }
}

/// Units left unquantised while the others stay as they are.
struct Undynamic<'a> {
    reference: &'a Side,
    candidate: &'a Side,
    /// The first sample.
    feeds: &'a [Tensors],
    file: &'a File,
    /// By unit.
    effects: Vec<Effect>,
    units: Units,
}

impl<'a> Undynamic<'a> {
    fn new(
        (reference, candidate, feeds): (&'a Side, &'a Side, &'a [Tensors]),
        file: &'a File,
        effects: Vec<Effect>,
    ) -> Undynamic<'a> {
        let mut ranks = vec![0.0; file.float.nodes.len()];
        // Finite: what a unit loses, its reader does not lose again.
        file.nodes.iter().zip(&effects).for_each(|(node, effect)| ranks[*node] = effect.rank().min(f64::MAX));
        // Each alone: what stands around a product is not quantised.
        let units = Units::new(&file.float, Vec::new(), file.nodes.clone(), ranks);
        Undynamic { reference, candidate, feeds, file, effects, units }
    }

    /// The nodes of all units, what does most first.
    fn ranked(&self) -> Vec<usize> {
        let mut ranked: Vec<usize> = (0..self.file.nodes.len()).collect();
        ranked.sort_by(|a, b| self.effects[*b].rank().total_cmp(&self.effects[*a].rank()).then(a.cmp(b)));
        ranked.into_iter().map(|unit| self.file.nodes[unit]).collect()
    }

    /// What is left of the error where the first `count` units are unquantised, if all were independent: roundings add up as
    /// squares.
    fn left(&self, count: usize) -> f64 {
        let mut effects: Vec<f64> = self.effects.iter().map(Effect::rank).collect();
        effects.sort_by(|a, b| b.total_cmp(a));
        effects.iter().skip(count).map(|e| e * e).sum::<f64>().sqrt()
    }

    /// ONNX Runtime's quantiser makes a MatMul of a Gemm before it looks for what to leave out.
    fn other_name(&self, unit: usize) -> Option<String> {
        let node = &self.reference.graph.nodes[self.file.restored[unit].reference?];
        let changed = node.op_type == "Gemm" && self.file.units[unit].float == "MatMul";
        changed.then(|| format!("{}_MatMul", node.name))
    }

    /// Has the unit a name in the float model?
    fn is_named(&self, unit: usize) -> bool {
        let node = self.file.restored[unit].reference.map(|n| &self.reference.graph.nodes[n]);
        node.and_then(|n| n.proto(&self.reference.model.proto)).is_some_and(|proto| !proto.name().is_empty())
    }
}

impl Remedy for Undynamic<'_> {
    fn kind(&self) -> CureKind {
        CureKind::Unquantised
    }

    fn units(&self) -> &Units {
        &self.units
    }

    fn low(&self) -> String {
        self.file.low()
    }

    fn local(&self, node: usize) -> Option<(&str, f64)> {
        let unit = self.file.unit(node)?;
        let tensor = &self.file.graph.tensors[self.file.units[unit].result].key;
        Some((tensor, self.effects[unit].local?))
    }

    fn search(&self, trials: &Trials, builds: u64, progress: &Progress) -> Result<(Smallest, Overrides), RunError> {
        search::search(self, trials, builds, progress)
    }

    fn remark(&self, _nodes: &[usize]) -> Option<String> {
        None
    }

    fn price(&self, nodes: &[usize], found: &mut Overrides, progress: &Progress) -> Result<Vec<CureNote>, RunError> {
        progress.step("the price of the overrides");
        let (side, file) = (self.candidate, self.file);
        let cured = file.without(nodes);
        let on = |model| side.work(self.feeds, &[]).on(model, &file.types);
        price::latency((side, self.reference), (&on(&file.model.proto), &on(&cured)), found)?;
        Ok(Vec::new())
    }

    fn export(&self, dir: &Path, set: &Smallest, found: &Overrides) -> anyhow::Result<BTreeMap<String, String>> {
        export::write(dir, &export::Told { remedy: self, nodes: &set.nodes, found })
    }
}
