//! Inputs become constants of the model, for a reproducer of one file.

use super::{Attempt, Case, Outside, Smaller};
use crate::load::testset::tensor_to_proto;
use crate::search::Answer;
use crate::tensor::Tensors;

/// The inputs become constants, where it fails all the same.
pub fn freeze<E>(result: &mut Smaller, outside: &mut Outside<E>) -> Result<(), E> {
    let mut case = result.last();
    if case.feeds.is_empty() {
        return Ok(());
    }
    case.expected = (outside.expected)(&case)?;
    let attempt = Attempt { what: "frozen".to_string(), case: frozen(&case) };
    match (outside.test)(std::slice::from_ref(&attempt))?.first() {
        Some(Answer::Bad) => result.accept(attempt.case, Vec::new()),
        _ => {
            if let Some(step) = result.steps.last_mut() {
                step.notes.push("with its inputs frozen it does not fail, so they are inputs".to_string());
            }
        }
    }
    Ok(())
}

/// The inputs become initializers.
fn frozen(case: &Case) -> Case {
    let mut frozen = Case { feeds: Tensors::new(), ..case.clone() };
    if let Some(graph) = frozen.model.graph.as_mut() {
        graph.initializer.extend(case.feeds.iter().map(|(name, value)| tensor_to_proto(name, value)));
        graph.input.retain(|input| !case.feeds.contains_key(input.name()));
    }
    frozen
}
