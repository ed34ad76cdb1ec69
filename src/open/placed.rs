//! Who ran the candidate's nodes, asked once a run, of a candidate that answered. What cannot be told takes nothing from the
//! answer.

use crate::found::{Note, Placement};
use crate::lab::Side;
use crate::run::RunError;
use crate::tensor::Tensors;

/// What is told of the candidate's execution provider, and what the user should know of it.
pub fn ask(candidate: &Side, feeds: &[Tensors]) -> Result<(Option<Placement>, Option<Note>), RunError> {
    match candidate.placement(feeds) {
        Ok(placement) => {
            let note = placement.as_ref().and_then(note);
            Ok((placement, note))
        }
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(e) => Ok((None, Some(Note::NotPlaced(e.to_string())))),
    }
}

fn note(placement: &Placement) -> Option<Note> {
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
