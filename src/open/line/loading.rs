//! The stages of a pipeline before they run: what cannot be loaded or fed has a reason in its place, and ends nothing else.

use std::error::Error;
use std::io;

use anyhow::ensure;

use crate::cli::{GlobalArgs, SetArgs, StageArg};
use crate::found::Note;
use crate::found::fitted::Fitted;
use crate::lab::Side;
use crate::load::Model;
use crate::open::{data, fit, named, part, same, sides};
use crate::run::RunError;
use crate::tensor::Tensors;

/// What every stage is loaded with.
pub struct Loading<'a> {
    /// The model under debugging.
    pub model: &'a Model,
    /// The flags of every command.
    pub global: &'a GlobalArgs,
    /// Those of every comparison.
    pub set: &'a SetArgs,
    /// The run that is believed.
    pub reference: &'a Side,
    /// The data, one set of inputs a sample.
    pub feeds: &'a [Tensors],
    /// What each sample was read from, of all shards.
    pub files: &'a [String],
    /// Names of the tensors that decide.
    pub outputs: &'a [String],
}

impl Loading<'_> {
    /// The stage, or why it cannot be loaded or fed; only Ctrl-C ends the pipeline here.
    pub fn stage(&self, stage: &StageArg) -> anyhow::Result<Result<(Side, Vec<Note>), String>> {
        let side = self.side(stage);
        let absent = |cause: &(dyn Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
        };
        let absent = side.as_ref().is_err_and(|e| e.chain().any(absent));
        let advice = if absent { "; make that file, or correct its path in --stage" } else { "" };
        Ok(told(side)?.map_err(|why| why + advice))
    }

    /// The side, and what was done about its inputs and its names.
    fn side(&self, stage: &StageArg) -> anyhow::Result<(Side, Vec<Note>)> {
        let spec = &stage.spec;
        part::stored(self.set, spec, self.files, self.feeds.len())?;
        let mut side = sides::candidate(spec, self.model, self.global, self.set)?;
        let renamed = sides::show_renamed(self.reference, &mut side)?;
        same::check_inputs(self.reference, &side)?;
        let mut told = same::check_types(&side, self.feeds)?;
        told.extend(fit::names(&self.set.fit, &mut side)?.told());
        named::check(self.set, self.reference, &side)?;
        data::outputs(self.set, self.reference, &side)?;
        ensure!(
            side.runs() || self.outputs.iter().any(|name| side.stores(name)),
            "'{spec}' holds none of {}; store the tensors under the names of the model's outputs",
            self.outputs.join(", ")
        );
        let of_stage = |told| Note::Fitted(Fitted::Stage(stage.name.clone(), Box::new(told)));
        Ok((side, told.into_iter().map(of_stage).chain(renamed).collect()))
    }
}

/// A failure as the reason that is told; Ctrl-C is none.
pub fn told<T>(answer: anyhow::Result<T>) -> anyhow::Result<Result<T, String>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(e) if e.chain().any(|cause| matches!(cause.downcast_ref(), Some(RunError::Interrupted))) => Err(e),
        Err(e) => Ok(Err(format!("{e:#}"))),
    }
}
