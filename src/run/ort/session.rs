//! A built session: one run, and what ONNX Runtime says of its outputs.

mod bound;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use ort::session::{RunOptions, SessionInputValue};
use ort::value::ValueType;

use super::reason::Words;
use super::{capi, value};
use crate::interrupt::{self, Busy};
use crate::run::{Output, PlacedNode, RunError};
use crate::tensor::Tensors;

/// A built session and what ONNX Runtime inferred about its outputs.
pub struct Session {
    session: ort::session::Session,
    /// In the model's order.
    pub outputs: Vec<Output>,
    backend: String,
    words: Words,
}

impl Session {
    /// `backend` is what errors call it; `words` tells why it failed.
    pub(super) fn new(session: ort::session::Session, backend: String, words: Words) -> Session {
        let outputs = session.outputs().iter().map(|o| output(o.name(), o.dtype())).collect();
        Session { session, outputs, backend, words }
    }

    /// One run. All outputs are asked for (a selection cannot be interrupted from another thread, and prunes nothing);
    /// those named in `outputs` are kept.
    pub fn run(&mut self, feed: &Tensors, outputs: &[String]) -> Result<Tensors, RunError> {
        let failed = self.failed();
        let mut inputs: Vec<(&str, SessionInputValue)> = Vec::with_capacity(feed.len());
        for (name, tensor) in feed {
            inputs.push((name, value::to_ort(tensor).map_err(&failed)?.into()));
        }
        let (options, busy) = stoppable().map_err(&failed)?;
        let results = self.session.run_with_options(inputs, &*options).map_err(&failed)?;
        drop(busy);
        let wanted: HashSet<&str> = outputs.iter().map(String::as_str).collect();
        let mut kept = Tensors::with_capacity(outputs.len());
        for (name, result) in results {
            if wanted.contains(name)
                && let Some(tensor) = value::from_ort(result)
            {
                kept.insert(name.to_string(), tensor);
            }
        }
        Ok(kept)
    }

    /// Closes its profile, where it writes one; the path of the file.
    pub(super) fn end_profiling(&mut self) -> Result<String, RunError> {
        let failed = self.failed();
        self.session.end_profiling().map_err(failed)
    }

    /// Which provider each node was given to, where it was built to record that and the library at this path can tell.
    pub(super) fn assigned(&self, library: &Path) -> Vec<PlacedNode> {
        capi::nodes(library, &self.session)
    }

    /// What becomes of an error of a run.
    fn failed(&self) -> impl Fn(ort::Error) -> RunError + use<> {
        let (backend, words) = (self.backend.clone(), self.words.clone());
        move |e| match interrupt::requested() {
            true => RunError::Interrupted,
            false => RunError::Run { backend: backend.clone(), reason: words.of(&e) },
        }
    }
}

/// Options of a run that an interruption ends while the guard lives.
fn stoppable() -> ort::Result<(Arc<RunOptions>, Busy)> {
    let options = Arc::new(RunOptions::new()?);
    let stop = options.clone();
    Ok((options, interrupt::busy(move || drop(stop.terminate()))))
}

/// An output as ONNX Runtime describes it.
fn output(name: &str, of: &ValueType) -> Output {
    let dtype = of.tensor_type().and_then(value::dtype);
    let shape = of.tensor_shape().map(|s| s.iter().map(|d| usize::try_from(*d).ok()).collect()).unwrap_or_default();
    Output { name: name.to_string(), dtype, shape }
}
