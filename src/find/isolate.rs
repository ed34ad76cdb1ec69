//! The local error: the culprit alone, fed with reference inputs, in the candidate. Together with the accumulated error it
//! tells whether a node introduces the divergence, amplifies what came in, or is wrong only inside a larger whole.

mod everywhere;
mod together;
pub mod undone;

pub use everywhere::{everywhere, everywhere_emulated};
pub use together::together;

use crate::compare::Comparison;
use crate::found::{Kind, Metrics, Status};
use crate::graph::{Outputs, Source, extract};
use crate::lab::{Feed, Probe, Side};
use crate::mark::Types;
use crate::onnx::{ModelProto, NodeProto};
use crate::run::RunError;
use crate::spec::Low;
use crate::tensor::{Tensor, Tensors};
use crate::types;

/// What the node does on its own.
pub struct Local {
    /// Introduces, amplifies, or a region.
    pub kind: Kind,
    /// `None` where it could not be run alone.
    pub metrics: Option<Metrics>,
    /// What decided, in one sentence.
    pub why: String,
}

/// Runs the maker of `tensor` alone, unless it is `known` what that gives. `region` says that tensors above it could not be
/// compared; `sample` is the one that fails worst.
pub fn isolate(
    probe: &mut Probe,
    tensor: usize,
    region: bool,
    sample: usize,
    known: Option<Comparison>,
) -> Result<Local, RunError> {
    let unknown = |why: &str| {
        let kind = if region { Kind::Region } else { Kind::Introduces };
        let word = if region { "tensors inside the region could not be compared; " } else { "" };
        Ok(Local { kind, metrics: None, why: format!("{word}{why}") })
    };
    if !probe.lab.candidate.runs() {
        return unknown("stored tensors cannot be run again, so the node was not run alone");
    }
    let Some(nodes) = suspects(probe, tensor) else {
        return unknown("what it reads in the candidate has no counterpart in the reference, so it was not run alone");
    };
    let needed = boundary(probe, tensor, &nodes);
    probe.values_of(&needed)?;
    // What a constant is stored as shows in no model that hands it out: outputs of a converted model are float32.
    let known = known.or_else(|| stored(probe, tensor));
    probe.ledger.counts.proof_builds += usize::from(known.is_none());
    let alone = match known.map_or_else(|| run_alone(probe, tensor, &nodes, sample), |known| Ok(Some(known))) {
        Ok(Some(verdict)) => verdict,
        Ok(None) => return unknown("the node could not be cut out with the values at hand, so it was not run alone"),
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(e) => return unknown(&format!("the node could not be run alone: {e}")),
    };
    let metrics = alone.metrics.clone();
    if alone.status == Status::Diverges {
        // Shapes that differ leave nothing to measure, and it was run all the same.
        let metrics = metrics.or_else(|| Some(Metrics::apart(sample)));
        let why = "alone, with reference inputs, it diverges too".to_string();
        return Ok(Local { kind: Kind::Introduces, metrics, why });
    }
    if region {
        let why =
            "alone, with reference inputs, it agrees; tensors inside the region could not be compared".to_string();
        return Ok(Local { kind: Kind::Region, metrics, why });
    }
    // Right on its own. Do the candidate's inputs, which agree within the tolerance, explain the rest?
    match reference_on_candidate_inputs(probe, tensor, sample) {
        Ok(Some(Comparison { status: Status::Diverges, .. })) => {
            let why =
                "alone it agrees, and the reference diverges as well when fed with the candidate's inputs".to_string();
            Ok(Local { kind: Kind::Amplifies, metrics, why })
        }
        Ok(Some(_)) => {
            let why = "alone it agrees, and the reference agrees on the candidate's inputs: the fault shows only inside the whole model (a fusion, or another kernel)".to_string();
            Ok(Local { kind: Kind::Region, metrics, why })
        }
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Ok(None) | Err(_) => {
            let why = "alone, with reference inputs, it agrees".to_string();
            Ok(Local { kind: Kind::Amplifies, metrics, why })
        }
    }
}

/// The constant `tensor` as the candidate stores it, compared with what it is.
fn stored(probe: &Probe, tensor: usize) -> Option<Comparison> {
    let constant = probe.lab.candidate.graph.is_constant(probe.lab.counterpart(tensor)?);
    let value = probe.candidate_value(tensor, 0).filter(|_| constant)?;
    judge(probe, tensor, 0, Some(value))
}

/// Measures in one run what running the makers of these tensors alone will need, if all of it fits into memory.
pub fn gather(probe: &mut Probe, tensors: &[usize]) -> Result<(), RunError> {
    let of = |t: &usize| suspects(probe, *t).map_or(vec![*t], |nodes| boundary(probe, *t, &nodes));
    let mut needed: Vec<usize> = tensors.iter().flat_map(of).collect();
    needed.sort_unstable();
    needed.dedup();
    let bytes = needed.iter().map(|t| probe.lab.survey.size(probe.lab.key(*t)) as u64).sum::<u64>();
    if 2 * bytes * probe.lab.feeds.len() as u64 > probe.lab.memory {
        return Ok(());
    }
    let before = probe.ledger.counts.candidate_runs;
    probe.values_of(&needed)?;
    // A run for proofs, not of the search.
    let more = probe.ledger.counts.candidate_runs - before;
    probe.ledger.counts.candidate_runs -= more;
    probe.ledger.counts.candidate_builds -= more;
    probe.ledger.counts.proof_builds += more;
    Ok(())
}

/// Most nodes of the candidate that may stand for one of the reference.
const MOST: usize = 64;

/// The nodes of the candidate that stand for the maker of `tensor`: its own maker, and, as far up as the reference has no
/// value to feed, the makers of what that reads (a fused or split node, a Q/DQ pair, unpacked weights).
pub fn suspects(probe: &Probe, tensor: usize) -> Option<Vec<usize>> {
    let graph = &probe.lab.candidate.graph;
    let mut nodes = vec![graph.tensors[probe.lab.counterpart(tensor)?].node];
    let mut at = 0;
    while at < nodes.len() {
        for read in &graph.nodes[nodes[at]].reads {
            let Source::Tensor(t) = read.source else { continue };
            let maker = graph.tensors[t].node;
            let fed = probe.lab.stands_for(&probe.lab.candidate, &graph.tensors[t].key).is_some_and(|r| r != tensor);
            if !fed && !nodes.contains(&maker) {
                nodes.push(maker);
            }
        }
        at += 1;
        if nodes.len() > MOST {
            return None;
        }
    }
    Some(nodes)
}

/// The reference's tensors that must be measured: what `nodes` of the candidate and the reference's own node read, and
/// `tensor` itself.
fn boundary(probe: &Probe, tensor: usize, nodes: &[usize]) -> Vec<usize> {
    let (mine, theirs) = (&probe.lab.reference.graph, &probe.lab.candidate.graph);
    let mut needed = vec![tensor];
    for read in &mine.producer(tensor).reads {
        if let Source::Tensor(t) = read.source {
            needed.push(t);
        }
    }
    for read in nodes.iter().flat_map(|n| &theirs.nodes[*n].reads) {
        if let Source::Tensor(t) = read.source {
            needed.extend(probe.lab.stands_for(&probe.lab.candidate, &theirs.tensors[t].key));
        }
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// The candidate's own version of the node, in the candidate, compared with the reference's value.
fn run_alone(probe: &Probe, tensor: usize, nodes: &[usize], sample: usize) -> Result<Option<Comparison>, RunError> {
    let Some(theirs) = probe.lab.counterpart(tensor) else { return Ok(None) };
    let Some((outputs, output)) = run_cut(probe, &probe.lab.candidate, nodes, theirs, sample, Feed::Reference)? else {
        return Ok(None);
    };
    Ok(judge(probe, tensor, sample, outputs.get(&output)))
}

/// The reference's node, in the reference, on what the candidate gave it.
fn reference_on_candidate_inputs(probe: &Probe, tensor: usize, sample: usize) -> Result<Option<Comparison>, RunError> {
    if !probe.lab.reference.runs() {
        return Ok(None);
    }
    let nodes = [probe.lab.reference.graph.tensors[tensor].node];
    let Some((outputs, output)) = run_cut(probe, &probe.lab.reference, &nodes, tensor, sample, Feed::Candidate)? else {
        return Ok(None);
    };
    Ok(judge(probe, tensor, sample, outputs.get(&output)))
}

/// What the emulation of `low` makes of the node alone, in the reference, on reference inputs: the error that this precision
/// explains. `None` where the node cannot be run so.
pub fn emulated(probe: &Probe, tensor: usize, sample: usize, low: Low) -> Option<Metrics> {
    let side = &probe.lab.reference;
    if !emulates(side) {
        return None;
    }
    let nodes = [side.graph.tensors[tensor].node];
    let cut = cut(probe, side, &nodes, tensor, sample, Feed::Reference)?;
    let name = std::slice::from_ref(&cut.output);
    let feeds = [cut.feeds];
    let values = side.run_as(low, &side.work(&feeds, name).on(&cut.model, &cut.types)).ok()?;
    judge(probe, tensor, sample, values.first()?.get(&cut.output))?.metrics
}

/// Can the side run models as if they were stored in a lower precision?
fn emulates(side: &Side) -> bool {
    side.on_cpu() && side.is_plain() && !side.half
}

/// The verdict on a value of the candidate's against the reference's, of one sample.
pub(super) fn judge(probe: &Probe, tensor: usize, sample: usize, value: Option<&Tensor>) -> Option<Comparison> {
    let name = &probe.lab.reference.graph.tensors[tensor].key;
    let mut verdict = probe.lab.rules.judge(name, probe.reference_value(tensor, sample)?, value?);
    if let Some(m) = verdict.metrics.as_mut() {
        m.sample = sample;
    }
    Some(verdict)
}

/// Some nodes of a side's model, ready to run.
pub struct Alone {
    /// The nodes and their weights.
    pub model: ModelProto,
    /// Element types of it, as far as they are known.
    pub types: Types,
    /// A value for every input.
    pub feeds: Tensors,
    /// What the tensor is called there.
    pub output: String,
}

/// Runs `nodes` of the side's model; gives back all outputs and the name of `tensor` among them.
fn run_cut(
    probe: &Probe,
    side: &Side,
    nodes: &[usize],
    tensor: usize,
    sample: usize,
    feed: Feed,
) -> Result<Option<(Tensors, String)>, RunError> {
    let Some(cut) = cut(probe, side, nodes, tensor, sample, feed) else { return Ok(None) };
    let outputs = side.run_model(&cut.model, &cut.types, &[cut.feeds], std::slice::from_ref(&cut.output))?;
    Ok(outputs.into_iter().next().map(|o| (o, cut.output)))
}

/// Cuts `nodes` out of the side's model and fills its inputs; `None` where a value is missing.
pub fn cut(probe: &Probe, side: &Side, nodes: &[usize], tensor: usize, sample: usize, feed: Feed) -> Option<Alone> {
    let value = |key: &str| probe.value_at(side, key, sample, feed);
    let typed = |key: &str| value(key).map(|t| (t.dtype, t.shape));
    let cut = extract(&side.model.proto, &side.graph, nodes, Outputs::All, typed)?;
    let (output, _) = cut.outputs.iter().find(|(_, t)| *t == tensor)?.clone();
    let feeds: Option<Tensors> = cut.feeds.iter().map(|(name, key)| Some((name.clone(), value(key)?))).collect();
    let mut types: Types = cut.proto.graph.as_ref().map(types::declared).unwrap_or_default();
    for (name, tensor) in &cut.outputs {
        if let Some(dtype) = side.types.get(&side.graph.tensors[*tensor].key) {
            types.insert(name.clone(), *dtype);
        }
    }
    types.extend(nodes.iter().flat_map(|n| inside(side, *n)));
    Some(Alone { model: cut.proto, types, feeds: feeds?, output })
}

/// The element types of what is inside the node's bodies, by their keys where its graph is the main one: what is not known
/// by type is not rounded.
fn inside(side: &Side, node: usize) -> Types {
    let node = &side.graph.nodes[node];
    let holds = |proto: &NodeProto| proto.subgraphs().next().is_some();
    if !node.proto(&side.model.proto).is_some_and(holds) {
        return Types::new();
    }
    let home: String = node.scope.iter().map(|step| format!("{}/{}/", step.name, step.attribute)).collect();
    let within = format!("{home}{}/", node.name);
    let known = side.types.iter().filter(|(key, _)| key.starts_with(&within));
    known.map(|(key, dtype)| (key[home.len()..].to_string(), *dtype)).collect()
}
