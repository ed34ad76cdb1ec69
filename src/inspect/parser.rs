//! The TensorRT of this machine, or the one that the user names, is asked what it refuses of a model, in a process of its own: a
//! parser that dies is an answer. Needs no GPU.

use std::path::Path;

use anyhow::anyhow;

use super::engine::version;
use super::facts::ParserFacts;
use super::file::Source;
use super::refused::refusals;
use super::types::Typing;
use crate::load::Model;
use crate::onnx::ModelProto;
use crate::run::ort::library::Env;
use crate::run::tensorrt::Options;
use crate::run::tensorrt::library::{self, Found, Places, VARIABLE};
use crate::run::worker::{Task, Worker};
use crate::run::{Backend, Complaint, Job, RunError, question};

/// An error where the user names a library that is not there.
pub fn ask(source: &Source, typing: &Typing, flag: Option<&Path>) -> anyhow::Result<ParserFacts> {
    let places = Places::of(&Env::process());
    let named = flag.is_some() || places.named.is_some();
    let Some(found) = best(flag, &places)? else {
        return Ok(ParserFacts::none(format!("no TensorRT was found; name one with --trt-library or {VARIABLE}")));
    };
    let model = match &source.model {
        Ok(model) => model,
        Err(why) => return Ok(ParserFacts::none(format!("the model cannot be loaded: {why}"))),
    };
    match refused(source, model, typing, &found) {
        Ok(facts) => Ok(ParserFacts { named, ..facts }),
        Err(RunError::Interrupted) => Err(RunError::Interrupted.into()),
        Err(e) if named => Err(anyhow!("{e}")),
        Err(e) => Ok(ParserFacts::none(e.to_string())),
    }
}

/// What the user named, else the best that has a parser.
fn best(flag: Option<&Path>, places: &Places) -> anyhow::Result<Option<Found>> {
    if flag.is_some() || places.named.is_some() {
        // A library that is not there is no failure of a backend: `{e}` makes it an error of usage.
        return library::find_in(flag, places).map_err(|e| anyhow!("{e}"));
    }
    Ok(library::all(places).into_iter().filter(|found| found.parser.is_some()).min_by_key(|found| found.kind))
}

fn refused(source: &Source, model: &Model, typing: &Typing, found: &Found) -> Result<ParserFacts, RunError> {
    let start = || Worker::start(&Task::tensorrt(Options::new(found)));
    let mut worker = start()?;
    let name = Some(version(worker.about()));
    let mut ask = |cut: &ModelProto| match complaints(&worker, model, cut, found) {
        // It says nothing of a node: which one it is, others tell that are asked about alone.
        Err(RunError::Crash { reason, .. }) => {
            worker = start()?;
            Ok(vec![Complaint { node: None, words: format!("the parser dies of it: {reason}") }])
        }
        answer => answer,
    };
    let facts = refusals(source, &model.proto, typing, &mut ask)?;
    Ok(ParserFacts { name, library: Some(found.library.display().to_string()), ..facts })
}

/// What it says to one model.
fn complaints(worker: &Worker, model: &Model, cut: &ModelProto, found: &Found) -> Result<Vec<Complaint>, RunError> {
    let job = Job::new(model.lean(cut), &[], &[]);
    question::parse(worker, job)?.ok_or_else(|| {
        let library = found.library.display();
        RunError::Missing(format!("{library} has no ONNX parser to be asked; name another with --trt-library"))
    })
}
