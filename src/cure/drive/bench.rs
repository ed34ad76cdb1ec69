//! What trials run on: the candidate's model with its outputs visible, the samples, and what is right for them. How a set is
//! run is the caller's.

use std::ops::Range;
use std::slice;

use super::trials::Trials;
use crate::cure::{Trial, margin};
use crate::lab::first::inner;
use crate::lab::{Lab, Probe};
use crate::mark;
use crate::onnx::ModelProto;
use crate::run::RunError;
use crate::tensor::Tensors;

/// Trials at a time, at least: while one builds its session, which is single-threaded, another can run.
const JOBS: usize = 2;

/// The data of all trials of a cure.
pub struct Bench<'a> {
    lab: &'a Lab,
    /// The candidate's model with every judged tensor as an output.
    pub model: ModelProto,
    /// The names of the judged tensors.
    pub outputs: Vec<String>,
    feeds: &'a [Tensors],
    /// The reference's outputs, by sample.
    right: Vec<Tensors>,
    jobs: usize,
}

impl<'a> Bench<'a> {
    /// The probe's samples; `outputs` are judged, and the probe has seen them unmarked.
    pub fn new(probe: &Probe<'a>, outputs: &[String]) -> Bench<'a> {
        let candidate = &probe.lab.candidate;
        let marks = inner(candidate, outputs);
        Bench {
            lab: probe.lab,
            model: mark::mark(&candidate.model.proto, &candidate.graph, &marks, &candidate.types),
            outputs: outputs.to_vec(),
            feeds: &probe.lab.feeds,
            right: probe.finals.right.clone(),
            jobs: candidate.width().max(JOBS),
        }
    }

    /// All samples; one at least.
    pub fn feeds(&self) -> &'a [Tensors] {
        self.feeds
    }

    /// Trials of which `run` makes the outputs: it runs the candidate on some samples with the nodes of a set cured. The
    /// last `holdout` samples confirm.
    pub fn trials<'b>(
        &'b self,
        holdout: u64,
        run: impl Fn(&[usize], &[Tensors]) -> Result<Vec<Tensors>, RunError> + Sync + Copy + 'b,
    ) -> Trials<'b> {
        let trials = Trials::new(self.feeds.len(), holdout, self.jobs, move |set, samples| {
            let values = run(set, &self.feeds[samples.clone()]);
            self.judged(samples, values)
        });
        trials.with_margin(move |set| self.margin(|feeds| run(set, feeds)))
    }

    /// The first sample a little changed, in both sides; `None` where that cannot be seen, or would take one more build of an
    /// engine.
    fn margin(&self, run: impl Fn(&[Tensors]) -> Result<Vec<Tensors>, RunError>) -> Result<Option<Trial>, RunError> {
        let reference = &self.lab.reference;
        if !reference.runs() || self.lab.candidate.is_engine() {
            return Ok(None);
        }
        let Some(feed) = self.feeds.first().and_then(margin::changed) else { return Ok(None) };
        let feeds = slice::from_ref(&feed);
        let right = match reference.run(&inner(reference, &self.outputs), feeds, &self.outputs) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => return Ok(None),
            Ok(right) => right,
        };
        match run(feeds) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(None),
            Ok(values) => self.lab.tried(&self.outputs, &right, &values, 0).map(Some),
        }
    }

    /// A model that does not run is no answer.
    fn judged(&self, samples: Range<usize>, values: Result<Vec<Tensors>, RunError>) -> Result<Trial, RunError> {
        match values {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(Trial::FAILED),
            Ok(values) => self.lab.tried(&self.outputs, &self.right[samples.clone()], &values, samples.start),
        }
    }
}
