//! The local error of every node at once: one model in which each node of the main graph reads reference values, so that no
//! error reaches another node. One build and one run, whatever the size of the model. Ranks nothing.

use std::slice;

use crate::compare::Comparison;
use crate::lab::Probe;
use crate::mark::Types;
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::run::RunError;
use crate::tensor::Tensors;
use crate::types;

/// Each tensor of the main graph (by number in the reference's graph) with what its node alone makes of reference inputs, for
/// one sample. Tensors without a reference value at hand are computed on the way and not judged. For candidates that run
/// the reference's own model.
pub fn everywhere(probe: &Probe, sample: usize) -> Result<Vec<(usize, Comparison)>, RunError> {
    judged(probe, sample, |islands, names| {
        probe.lab.candidate.run_model(&islands.model, &islands.types, slice::from_ref(&islands.feeds), names)
    })
}

/// The same by the emulation of the candidate's precision, in the reference: what that precision explains. `None` where
/// there is no emulation to be had.
pub fn everywhere_emulated(probe: &Probe, sample: usize) -> Result<Option<Vec<(usize, Comparison)>>, RunError> {
    let side = &probe.lab.reference;
    let Some(low) = probe.lab.candidate.lowering.low().filter(|_| super::emulates(side)) else { return Ok(None) };
    let compared = judged(probe, sample, |islands, names| {
        let work = side.work(slice::from_ref(&islands.feeds), names);
        side.run_as(low, &work.on(&islands.model, &islands.types))
    });
    compared.map(Some)
}

/// Runs the islands somewhere, and compares what each node made.
fn judged(
    probe: &Probe,
    sample: usize,
    run: impl FnOnce(&Islands, &[String]) -> Result<Vec<Tensors>, RunError>,
) -> Result<Vec<(usize, Comparison)>, RunError> {
    let islands = islands(probe, sample);
    let names: Vec<String> = islands.tensors.iter().map(|(_, name)| name.clone()).collect();
    let mut values = run(&islands, &names)?.pop().unwrap_or_default();
    let judged = islands.tensors.into_iter().filter_map(|(tensor, name)| {
        let key = &probe.lab.reference.graph.tensors[tensor].key;
        let right = probe.reference_value(tensor, sample)?;
        Some((tensor, probe.lab.rules.judge(key, right, &values.swap_remove(&name)?)))
    });
    Ok(judged.collect())
}

struct Islands {
    model: ModelProto,
    types: Types,
    feeds: Tensors,
    /// Numbers in the reference's graph, and what the node's own result is called.
    tensors: Vec<(usize, String)>,
}

fn islands(probe: &Probe, sample: usize) -> Islands {
    let mut model = probe.lab.candidate.model.proto.clone();
    let mut feeds = probe.lab.feeds.get(sample).cloned().unwrap_or_default();
    let mut tensors = Vec::new();
    let mut types = Types::new();
    if let Some(main) = model.graph.as_mut() {
        main.output.clear();
        main.value_info.clear();
        types = types::declared(main);
        for node in &mut main.node {
            if node.is("Constant") {
                // It reads nothing, and is stored in the lower precision as a weight is.
                let typed = |name: &String| Some((name.clone(), *probe.lab.survey.types.get(name)?));
                types.extend(node.output.iter().filter_map(typed));
                continue;
            }
            for output in node.output.iter_mut().filter(|o| !o.is_empty()) {
                let known = probe.lab.reference.graph.tensor(output);
                let Some((tensor, value)) = known.and_then(|t| Some((t, probe.reference_value(t, sample)?))) else {
                    types.extend(probe.lab.survey.types.get(output).map(|dtype| (output.clone(), *dtype)));
                    continue;
                };
                let alone = format!("{output}/alone");
                main.input.push(ValueInfoProto::tensor(output, value.dtype, &value.shape));
                main.output.push(ValueInfoProto::bare(&alone));
                types.insert(output.clone(), value.dtype);
                types.insert(alone.clone(), value.dtype);
                feeds.insert(output.clone(), value.clone());
                tensors.push((tensor, alone.clone()));
                *output = alone;
            }
        }
        // What is inside bodies goes by its whole key.
        let graph = &probe.lab.reference.graph;
        let inside = graph.tensors.iter().filter(|t| !graph.nodes[t.node].scope.is_empty());
        types.extend(inside.filter_map(|t| Some((t.key.clone(), *probe.lab.survey.types.get(&t.key)?))));
    }
    Islands { model, types, feeds, tensors }
}
