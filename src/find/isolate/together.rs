//! Every suspect alone, all in one model: disconnected islands, each fed with captured reference inputs. One build where one
//! for each would take minutes.

use std::collections::{HashMap, HashSet};

use super::{Alone, cut, judge, suspects};
use crate::compare::Comparison;
use crate::lab::{Feed, Probe};
use crate::mark::Types;
use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::run::RunError;
use crate::tensor::Tensors;

/// A suspect: the tensor, and the sample that fails worst.
pub type Wanted = (usize, usize);

/// What the nodes behind each tensor make of reference inputs, by tensor; what could not be put on an island is missing.
/// Islands whose tensors take more than the probe's memory together are spread over several models.
pub fn together(probe: &mut Probe, wanted: &[Wanted]) -> Result<HashMap<usize, Comparison>, RunError> {
    let mut known = HashMap::new();
    let mut islands: Vec<(Wanted, Alone)> = Vec::new();
    let mut room = probe.lab.memory;
    for (tensor, sample) in wanted {
        let Some(nodes) = suspects(probe, *tensor) else { continue };
        probe.values_of(&super::boundary(probe, *tensor, &nodes))?;
        let Some(theirs) = probe.lab.counterpart(*tensor) else { continue };
        let Some(alone) = cut(probe, &probe.lab.candidate, &nodes, theirs, *sample, Feed::Reference) else { continue };
        if !is_flat(&alone.model) {
            continue;
        }
        let bytes = alone.feeds.values().map(|t| 2 * t.bytes().len() as u64).sum();
        if bytes > room && !islands.is_empty() {
            run(probe, std::mem::take(&mut islands), &mut known)?;
            room = probe.lab.memory;
        }
        room = room.saturating_sub(bytes);
        islands.push(((*tensor, *sample), alone));
    }
    run(probe, islands, &mut known)?;
    Ok(known)
}

fn run(
    probe: &mut Probe,
    islands: Vec<(Wanted, Alone)>,
    known: &mut HashMap<usize, Comparison>,
) -> Result<(), RunError> {
    if islands.is_empty() {
        return Ok(());
    }
    let (mut model, mut types, mut feeds) = (islands[0].1.model.clone_without_graph(), Types::new(), Tensors::new());
    let mut archipelago = GraphProto { name: Some("islands".to_string()), ..Default::default() };
    let mut outputs = Vec::new();
    for (number, (_, alone)) in islands.iter().enumerate() {
        let rename = |name: &str| format!("island_{number}/{name}");
        if let Some(graph) = &alone.model.graph {
            add(&mut archipelago, graph, &rename);
        }
        types.extend(alone.types.iter().map(|(name, dtype)| (rename(name), *dtype)));
        feeds.extend(alone.feeds.iter().map(|(name, value)| (rename(name), value.clone())));
        outputs.push(rename(&alone.output));
    }
    model.graph = Some(archipelago);
    probe.ledger.counts.proof_builds += 1;
    let values = match probe.lab.candidate.run_model(&model, &types, &[feeds], &outputs) {
        Ok(values) => values.into_iter().next().unwrap_or_default(),
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        // One island may sink all: then each is run by itself.
        Err(_) => return Ok(()),
    };
    for (((tensor, sample), _), output) in islands.iter().zip(&outputs) {
        known.extend(judge(probe, *tensor, *sample, values.get(output)).map(|verdict| (*tensor, verdict)));
    }
    Ok(())
}

/// Names in bodies are not renamed.
fn is_flat(model: &ModelProto) -> bool {
    model.functions.is_empty() && model.graph.iter().flat_map(|g| &g.node).all(|node| node.subgraphs().next().is_none())
}

/// Adds `graph` under other names.
fn add(to: &mut GraphProto, graph: &GraphProto, rename: &dyn Fn(&str) -> String) {
    let all = |names: &[String]| -> Vec<String> {
        names.iter().map(|name| if name.is_empty() { String::new() } else { rename(name) }).collect()
    };
    // An engine is told of its nodes by their names: the same here as in the whole model, where that is clear.
    let taken: HashSet<String> = to.node.iter().filter_map(|node| node.name.clone()).collect();
    to.node.extend(graph.node.iter().map(|node| NodeProto {
        input: all(&node.input),
        output: all(&node.output),
        name: node.name.as_ref().map(|name| if taken.contains(name) { rename(name) } else { name.clone() }),
        ..node.clone()
    }));
    for (values, given) in [(&mut to.input, &graph.input), (&mut to.output, &graph.output)] {
        values.extend(given.iter().map(|v| {
            let mut value = v.clone();
            value.name = Some(rename(v.name()));
            value
        }));
    }
    to.initializer.extend(graph.initializer.iter().map(|t| {
        let mut weight = t.clone();
        weight.name = Some(rename(t.name()));
        weight
    }));
}
