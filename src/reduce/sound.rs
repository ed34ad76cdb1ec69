//! Is a smaller case a model that could run at all? Shapes are followed from the data through every operator that is
//! known; an unknown one says nothing about what it makes. What contradicts itself is never tried: a backend may end the
//! process for it (ONNX Runtime does for a Resize whose scales do not fit the rank). Asks nobody.

mod call;
mod fact;
mod parameters;
mod rules;
mod walk;

use std::collections::HashSet;

use super::Attempt;
use crate::onnx::ModelProto;
use crate::search::Answer;
use crate::tensor::Tensors;

pub use fact::{Fact, Facts, given};
pub use parameters::parameters;
pub use walk::{Misfit, Told, follow};

/// Refuses cases with contradictions that the case they are made from had not.
#[derive(Default)]
pub struct Sound {
    /// The nodes that do not fit in the model as it was given. It may be broken (that may be the failure), and the rules
    /// may not know all of it: neither is a reason against a smaller case.
    known: HashSet<String>,
}

impl Sound {
    /// Takes the misfits of `model`, fed with `feeds`, for what is normal.
    pub fn like(model: &ModelProto, feeds: &Tensors) -> Sound {
        Sound { known: follow(model, given(model, feeds)).misfits.into_iter().map(|m| m.node).collect() }
    }

    /// What is wrong with the case, in a sentence without a full stop.
    pub fn refuses(&self, model: &ModelProto, feeds: &Tensors) -> Option<String> {
        self.fresh(follow(model, given(model, feeds)))
    }

    /// What is wrong that was not before.
    pub fn fresh(&self, told: Told) -> Option<String> {
        let fresh = |m: &Misfit| !self.known.contains(&m.node);
        told.misfits.into_iter().find(fresh).map(|m| format!("'{}': {}", m.node, m.why))
    }

    /// Asks about those of `attempts` that are sound; the others are [`Answer::Unknown`].
    pub fn ask<E>(
        &self,
        attempts: &[Attempt],
        test: impl FnOnce(&[Attempt]) -> Result<Vec<Answer>, E>,
    ) -> Result<Vec<Answer>, E> {
        let sound: Vec<bool> = attempts.iter().map(|a| self.refuses(&a.case.model, &a.case.feeds).is_none()).collect();
        if sound.iter().all(|s| *s) {
            return test(attempts);
        }
        let tried: Vec<Attempt> = attempts.iter().zip(&sound).filter(|(_, s)| **s).map(|(a, _)| a.clone()).collect();
        let mut answers = if tried.is_empty() { Vec::new() } else { test(&tried)? }.into_iter();
        let answer = |sound: bool| if sound { answers.next().unwrap_or(Answer::Unknown) } else { Answer::Unknown };
        Ok(sound.into_iter().map(answer).collect())
    }
}

#[cfg(test)]
mod tests;
