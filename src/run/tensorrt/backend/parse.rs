//! What the parser says to a model, without an engine: needs no GPU.

use super::precision::typing;
use super::prepare::{Prepared, prepare};
use crate::run::tensorrt::{Builder, Library, Options, ParseError, log};
use crate::run::{Complaint, Job, RunError, Told};

/// Its complaints; a library that only runs engines has no parser.
pub fn told(library: &Library, options: &Options, job: &Job) -> Result<Told, RunError> {
    if !library.builds() {
        return Ok(Told::Nothing);
    }
    let builder = Builder::new(library)?;
    let mut network = builder.network(typing(library, options))?;
    let Prepared { bytes, .. } = prepare(&job.model, &job.feeds, &options.profiles);
    let path = job.model.folder.join("model.onnx");
    let errors = network.parse(&bytes, Some(&path)).err().unwrap_or_default();
    Ok(Told::Parsed(errors.into_iter().map(complaint).collect()))
}

fn complaint(error: ParseError) -> Complaint {
    let node = Some(error.name.clone()).filter(|name| !name.is_empty());
    Complaint { node, words: log::told(error.own_words()) }
}
