//! All outputs together: by a command of the user's where one judges, and what a trial's outputs are worth. NaN and infinities
//! come first here too: no command is asked about outputs that have others than the reference.

use super::Lab;
use crate::cure::Trial;
use crate::found::{CommandVerdict, Status};
use crate::run::RunError;
use crate::run::metric::{Both, MetricCommand};
use crate::search::Answer;
use crate::tensor::Tensors;

impl Lab {
    /// The same, with a command that judges all outputs together.
    pub fn judged_by(self, command: Option<MetricCommand>) -> Lab {
        Lab { command, ..self }
    }

    /// What came out of a trial for the samples from number `first` on, against what is right for them.
    pub fn tried(
        &self,
        outputs: &[String],
        right: &[Tensors],
        values: &[Tensors],
        first: usize,
    ) -> Result<Trial, RunError> {
        let trial = Trial::judged(&self.rules, outputs, right, values);
        if self.command.is_none() {
            return Ok(trial);
        }
        if self.broken(outputs, right, values).is_some() {
            return Ok(Trial { answer: Answer::Bad, ..trial });
        }
        let answer = match self.opinion(outputs, right, values, first)? {
            None => Answer::Unknown,
            Some(said) => match said.status {
                Status::Agrees => Answer::Good,
                Status::Diverges => Answer::Bad,
                Status::NotCompared => Answer::Unknown,
            },
        };
        Ok(Trial { answer, ..trial })
    }

    /// What the command says; `None` where there is none, or a value is missing.
    pub(super) fn opinion(
        &self,
        outputs: &[String],
        right: &[Tensors],
        values: &[Tensors],
        first: usize,
    ) -> Result<Option<CommandVerdict>, RunError> {
        let Some(command) = &self.command else { return Ok(None) };
        let whole = |values: &[Tensors]| values.iter().all(|v| outputs.iter().all(|name| v.contains_key(name)));
        if !whole(right) || !whole(values) || right.len() != values.len() {
            return Ok(None);
        }
        let both = Both { reference: right, candidate: values, outputs, first, of: self.feeds.len() };
        command.judge(&both).map(Some)
    }

    /// The first output with other NaN or infinities than the reference's.
    pub(super) fn broken<'n>(
        &self,
        outputs: &'n [String],
        right: &[Tensors],
        values: &[Tensors],
    ) -> Option<&'n String> {
        outputs.iter().find(|name| {
            let pairs = right.iter().zip(values).filter_map(|(r, v)| r.get(*name).zip(v.get(*name)));
            pairs.into_iter().any(|(r, v)| self.rules.breaks(name, r, v))
        })
    }
}
