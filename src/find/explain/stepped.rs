//! Into a loop, a scan or a function: what is one node to the search is a model of its own here, fed with what the reference
//! has there, and the first node in it that goes wrong gives the causes. Of a loop only the first iteration is looked at.
//! For emulations on the CPU, and for files of half precision in one: other candidates do not compute the parts as they
//! compute the whole.

use std::collections::HashMap;

use crate::find::{isolate, scan};
use crate::found::{Culprit, Diagnosis, Sure};
use crate::graph::inline::inline;
use crate::graph::{call, initializer};
use crate::judge::Rules;
use crate::lab::first::First;
use crate::lab::{Feed, Lab, Ledger, Lowering, Probe, Survey, Wish};
use crate::load::testset::tensor_from_proto;
use crate::mark::Types;
use crate::onnx::{GraphProto, ModelProto};
use crate::progress::Progress;
use crate::reduce::descend::descend;
use crate::run::{Observe, RunError};
use crate::search::Suspect;
use crate::spec::Low;
use crate::tensor::{Tensor, Tensors};

/// Is the maker of `tensor` a node whose inside the search does not see?
pub fn is_holder(probe: &Probe, tensor: usize) -> bool {
    let side = &probe.lab.reference;
    let Some(node) = side.graph.producer(tensor).proto(&side.model.proto) else { return false };
    node.is("Loop") || node.is("Scan") || call::function(&side.model.proto, node).is_some()
}

/// The causes of the first node inside that goes wrong; none where the maker of `tensor` has no inside, or is right there.
pub fn inner(probe: &mut Probe, culprit: &Culprit, tensor: usize, prove: Prove) -> Result<Vec<Diagnosis>, RunError> {
    let own = probe.lab.relation.is_own_model();
    let lowering = match probe.lab.candidate.lowering {
        Lowering::Emulate(low) if !own => Some(low),
        _ if own => half(probe, culprit, tensor),
        _ => None,
    };
    let Some(low) = lowering.filter(|_| is_holder(probe, tensor)) else { return Ok(Vec::new()) };
    let Some(part) = Part::of(probe, tensor, culprit.accumulated.sample) else { return Ok(Vec::new()) };
    let inside = match part.culprit(probe, low, prove) {
        Ok(Some(inside)) => inside,
        Ok(None) => return Ok(Vec::new()),
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        // What does not run by itself says nothing.
        Err(_) => return Ok(Vec::new()),
    };
    let when = if part.first { ", in its first iteration" } else { "" };
    // The file computes something of its own: that shows what the precision does, not what the file did.
    let how = if own { "in an exact emulation, " } else { "" };
    let (outer, node) = (&culprit.node.name, &inside.node);
    let place = format!("{how}inside '{outer}'{when}, at '{}' ({})", node.name, node.op_type);
    let told = |cause: Diagnosis| Diagnosis {
        evidence: format!("{place}: {}", cause.evidence),
        sure: if own && cause.sure == Sure::Shown { Sure::Likely } else { cause.sure },
        ..cause
    };
    Ok(inside.diagnosis.into_iter().map(told).collect())
}

/// The half precision that the candidate's own file has the culprit's tensor in, or what the culprit reads.
fn half(probe: &Probe, culprit: &Culprit, tensor: usize) -> Option<Low> {
    let (lab, sample) = (probe.lab, culprit.accumulated.sample);
    let reads = lab.reference.graph.parents(tensor).into_iter();
    let plain = lab.reference.on_cpu() && lab.reference.is_plain() && !lab.reference.half && lab.candidate.runs();
    let stored = |t: usize| Low::stored_as(probe.candidate_value(t, sample)?.dtype);
    std::iter::once(tensor).chain(reads).filter(|_| plain).find_map(stored)
}

/// Makes a culprit of the first suspect, with its causes tried.
pub type Prove = fn(&mut Probe, &[Suspect]) -> Result<Option<Culprit>, RunError>;

/// The inside as a model.
struct Part {
    model: ModelProto,
    feeds: Tensors,
    types: Types,
    /// One iteration of many.
    first: bool,
}

impl Part {
    fn of(probe: &Probe, tensor: usize, sample: usize) -> Option<Part> {
        let side = &probe.lab.reference;
        let node = side.graph.tensors[tensor].node;
        let alone = isolate::cut(probe, side, &[node], tensor, sample, Feed::Reference)?;
        if let Some(inlined) = inline(&alone.model) {
            let known = side.types.iter().map(|(key, dtype)| (key.clone(), *dtype));
            let mut types: Types = known.chain(alone.types).collect();
            // What is not known by type is not rounded.
            if inlined.made().any(|key| !types.contains_key(key)) {
                let asked = |model: &ModelProto| side.outputs_of(model);
                crate::types::add_all(&inlined.model, &mut types, &asked).ok()?;
            }
            return Some(Part { model: inlined.model, feeds: alone.feeds, types, first: false });
        }
        let main = alone.model.graph.as_ref()?;
        let (index, holder) = main.node.iter().enumerate().find(|(_, n)| n.is("Loop") || n.is("Scan"))?;
        let inside = format!("{}/body/", crate::graph::node_name(holder));
        let case = descend(&alone.model, index, &|name| value(main, &alone.feeds, name))?;
        let own = alone.types.iter().filter_map(|(key, dtype)| Some((key.strip_prefix(&inside)?.to_string(), *dtype)));
        let mut types: Types = alone.types.clone();
        types.extend(own.collect::<Vec<_>>());
        types.extend(case.model.graph.iter().flat_map(crate::types::declared));
        Some(Part { model: case.model, feeds: case.feeds, types, first: true })
    }

    /// The first node of it that goes wrong.
    fn culprit(&self, probe: &Probe, low: Low, prove: Prove) -> Result<Option<Culprit>, RunError> {
        let outer = probe.lab;
        let side = || outer.reference.with(self.model.clone(), self.types.clone()).ok();
        let (Some(reference), Some(mut candidate)) = (side(), side()) else { return Ok(None) };
        candidate.lowering = Lowering::Emulate(low);
        candidate.spec.precision = low.precision();
        let outputs: Vec<String> = reference.graph.outputs.iter().map(|(name, _)| name.clone()).collect();
        let feeds = vec![self.feeds.clone()];
        let unmarked = candidate.see(&[], &feeds, &outputs, Observe::Outputs)?.values;
        let first = First::of(unmarked);
        let survey = Survey::new(self.types.clone(), HashMap::new());
        // The file's own precision is not the rules' where it has none by its spec.
        let rules = Rules { precision: low.precision(), ..outer.rules.clone() };
        let lab = Lab::new((reference, candidate), (feeds, outputs), rules, survey, outer.memory);
        let mut inner = Probe::start(&lab, first, Wish::default(), Ledger::default()).map_err(|e| e.why)?;
        let suspects = scan::scan(&mut inner, &Progress::new(true))?.suspects;
        prove(&mut inner, &suspects)
    }
}

/// What the body's graph is given from outside, fed or written down.
fn value(main: &GraphProto, feeds: &Tensors, name: &str) -> Option<Tensor> {
    feeds.get(name).cloned().or_else(|| tensor_from_proto(initializer(main, &[], name)?).ok())
}
