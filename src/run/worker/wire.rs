//! The language of a parent and its worker: one order for a run, one for a question, and the replies. A job goes packed:
//! its model and tensors lie in files, of which the order tells the names.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Task;
use super::parcel::{Parcel, store, take};
use super::steps::Step;
use crate::compare::Tolerance;
use crate::failure::RunError;
use crate::load::Lean;
use crate::load::decode::Decode;
use crate::run::{About, Against, Answer, Built, How, Job, Judged, Question, Told};
use crate::tensor::Tensors;

/// From the parent.
#[derive(Serialize, Deserialize)]
pub enum Order {
    /// The first one. Results go into the first of `rooms` with space for them.
    Start {
        task: Task,
        rooms: Vec<PathBuf>,
    },
    Run(Packed),
    Ask(Question<Packed>),
}

/// From the worker: one for each order, and any number of [`Reply::Progress`] before it.
#[derive(Serialize, Deserialize)]
pub enum Reply {
    Progress(Step),
    Ready(About),
    Done(Results),
    Told(Told),
    Failed(RunError),
}

/// A [`Job`] on its way.
#[derive(Serialize, Deserialize)]
pub struct Packed {
    /// A file with the model's bytes; the reader removes it.
    model: PathBuf,
    folder: PathBuf,
    feeds: Vec<Parcel>,
    outputs: Vec<String>,
    how: How,
    against: Option<Sealed>,
    decode: Option<Decode>,
}

/// An [`Against`] on its way.
#[derive(Serialize, Deserialize)]
struct Sealed {
    reference: Vec<Parcel>,
    tolerance: Vec<HashMap<String, Tolerance>>,
}

/// An [`Answer`] on its way.
#[derive(Serialize, Deserialize)]
pub struct Results {
    values: Vec<Parcel>,
    built: Option<Built>,
    judged: Vec<Judged>,
    unjudged: Option<String>,
    seconds: Vec<f64>,
}

impl Packed {
    /// Into the first of `rooms` with space.
    pub fn pack(job: &Job, rooms: &[PathBuf]) -> io::Result<Packed> {
        Ok(Packed {
            feeds: pack(&job.feeds, rooms)?,
            model: store(rooms, &[&job.model.bytes])?,
            folder: job.model.folder.clone(),
            outputs: job.outputs.clone(),
            how: job.how.clone(),
            against: job.against.as_ref().map(|against| Sealed::seal(against, rooms)).transpose()?,
            decode: job.decode.as_deref().cloned(),
        })
    }

    /// What was packed; its files are gone then.
    pub fn open(self) -> anyhow::Result<Job> {
        let lean = Lean { bytes: take(&self.model)?.to_vec(), folder: self.folder };
        let against = self.against.map(Sealed::open).transpose()?;
        let decode = self.decode.map(Arc::new);
        Ok(Job { model: lean.into(), feeds: open(self.feeds)?, outputs: self.outputs, how: self.how, against, decode })
    }
}

impl Sealed {
    fn seal(against: &Against, rooms: &[PathBuf]) -> io::Result<Sealed> {
        Ok(Sealed { reference: pack(&against.reference, rooms)?, tolerance: against.tolerance.clone() })
    }

    fn open(self) -> anyhow::Result<Against> {
        Ok(Against { reference: open(self.reference)?, tolerance: self.tolerance })
    }
}

impl Results {
    /// Into the first of `rooms` with space.
    pub fn pack(answer: Answer, rooms: &[PathBuf]) -> io::Result<Results> {
        let Answer { values, built, judged, unjudged, seconds } = answer;
        Ok(Results { values: pack(&values, rooms)?, built, judged, unjudged, seconds })
    }

    /// What was packed; its files are gone then.
    pub fn open(self) -> anyhow::Result<Answer> {
        let Results { values, built, judged, unjudged, seconds } = self;
        Ok(Answer { values: open(values)?, built, judged, unjudged, seconds })
    }
}

fn pack(samples: &[Tensors], rooms: &[PathBuf]) -> io::Result<Vec<Parcel>> {
    samples.iter().map(|tensors| Parcel::pack(tensors, rooms)).collect()
}

fn open(parcels: Vec<Parcel>) -> anyhow::Result<Vec<Tensors>> {
    parcels.into_iter().map(Parcel::open).collect()
}
