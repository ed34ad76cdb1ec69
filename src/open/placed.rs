//! Who ran the candidate's nodes, asked once a run, of a candidate that answered: what cannot be told takes nothing from the
//! answer. And the same of a model without a comparison.

use std::path::Path;

use anyhow::Context;

use super::{data, same, sides};
use crate::cli::{GlobalArgs, SetArgs};
use crate::found::{Note, Placement};
use crate::lab::Side;
use crate::lab::first::{self, Plan};
use crate::load::Model;
use crate::run::RunError;
use crate::run::ort::{Runtime, library};
use crate::spec::Spec;
use crate::tensor::Tensors;

/// Who runs the nodes of a model in `spec`, on the data of `args`. An error where the provider does not run it, and where there
/// is no provider.
pub fn of_model(path: &Path, spec: &Spec, args: &SetArgs, global: &GlobalArgs) -> anyhow::Result<Placement> {
    let model = Model::open(path, global.links())?;
    let mut reference = sides::side(&args.reference, &model, global, args)?;
    let (feeds, _) = data::feeds(args, &reference)?;
    let mut side = sides::candidate(spec, &model, global, args)?;
    same::check_inputs(&reference, &side)?;
    if side.needs_types() {
        let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
        let outputs = data::outputs(args, &reference, &side)?;
        let (feeds, memory) = (&feeds[..1], args.memory());
        let plan = Plan { ort: &ort, feeds, outputs: &outputs, memory, everything: false, held: false };
        let (survey, _) = first::reference(&mut reference, side.spec.model.is_none(), &plan)?;
        first::candidate(&reference, &mut side, &survey, &plan)?;
    }
    let placement = side.placement(&feeds)?;
    placement.with_context(|| {
        format!("--placement {spec}: there is one provider only; name another of ONNX Runtime's: ort-NAME")
    })
}

/// What is told of the candidate's execution provider, and what the user should know of it.
pub fn ask(
    candidate: &Side,
    reference: &Side,
    feeds: &[Tensors],
) -> Result<(Option<Placement>, Option<Note>), RunError> {
    match candidate.placement(feeds) {
        Ok(placement) => {
            let beside = |placement| Placement { reference_on_cpu: reference.on_cpu(), ..placement };
            let placement = placement.map(beside);
            let note = placement.as_ref().and_then(note);
            Ok((placement, note))
        }
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(e) => Ok((None, Some(Note::NotPlaced(e.to_string())))),
    }
}

/// That nodes fell back, where some did.
pub fn note(placement: &Placement) -> Option<Note> {
    let nodes = placement.fell_back.len();
    (nodes > 0).then(|| Note::FellBack {
        provider: placement.asked.clone(),
        nodes,
        of: placement.nodes,
        operators: operators(placement),
    })
}

/// Of the nodes that fell back: each once, in their order.
fn operators(placement: &Placement) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for node in &placement.fell_back {
        if !names.contains(&node.op_type) {
            names.push(node.op_type.clone());
        }
    }
    names
}
