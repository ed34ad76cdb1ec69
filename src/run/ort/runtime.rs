//! ONNX Runtime on the CPU, wherever it may run: in this process, where sessions share its memory; or, after it ended a
//! process of ours, in one of its own, so that it can do so again. Who asks sees no difference but the time it takes.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::{Loads, Ort, Provider, Session};
use crate::load::Lean;
use crate::run::question;
use crate::run::worker::{Task, Worker};
use crate::run::{About, Answer, Backend, Job, Output, Question, RunError, Told};
use crate::tensor::Tensors;

/// How a process of ours died of it, in words, if one did.
static AFTER: OnceLock<String> = OnceLock::new();

/// From now on it runs in processes of its own, because one died `after` all.
pub fn keep_apart(after: String) {
    drop(AFTER.set(after));
}

/// How the process died that this one takes the place of.
pub fn died() -> Option<&'static str> {
    AFTER.get().map(String::as_str)
}

/// ONNX Runtime on the CPU.
pub enum Runtime {
    /// In this process.
    Here(Box<Ort>),
    /// In a process of its own.
    Apart(Arc<Worker>),
}

/// A session, and what is known of its outputs.
pub enum Opened {
    /// In this process.
    Here(Session),
    /// In a process of its own, which is told the model with every run.
    Apart {
        /// That process.
        worker: Arc<Worker>,
        /// What it builds.
        model: Arc<Lean>,
        /// As they were told when it was built first.
        outputs: Vec<Output>,
    },
}

impl Runtime {
    /// Here, unless a process of ours died of it before: then apart. An error where the library cannot be loaded.
    pub fn start(library: &Path) -> Result<Runtime, RunError> {
        Ok(match died() {
            None => Runtime::Here(Box::new(Ort::new(library, Provider::Cpu)?)),
            Some(_) => Runtime::Apart(Arc::new(Worker::start(&Task::new(library.to_path_buf(), Provider::Cpu))?)),
        })
    }

    /// Builds a session; its weights stay in their files.
    pub fn open(&self, model: &Lean) -> Result<Opened, RunError> {
        Ok(match self {
            Runtime::Here(ort) => Opened::Here(ort.open(model)?),
            Runtime::Apart(worker) => {
                let model = Arc::new(model.clone());
                let outputs = outputs(worker, &model)?;
                Opened::Apart { worker: worker.clone(), model, outputs }
            }
        })
    }

    /// Is a model one that it can load? Nothing is run. A worker does not tell a missing kernel from another refusal.
    pub fn loads(&self, model: &Lean) -> Result<Loads, RunError> {
        match self {
            Runtime::Here(ort) => ort.loads(model),
            Runtime::Apart(worker) => match outputs(worker, &Arc::new(model.clone())) {
                Ok(_) => Ok(Loads::Yes),
                Err(RunError::Build { reason, .. }) => Ok(Loads::Refused(reason)),
                Err(e) => Err(e),
            },
        }
    }

    /// Of the library: `1.23.0`.
    pub fn version(&self) -> String {
        self.about().info.version.clone()
    }

    fn backend(&self) -> &dyn Backend {
        match self {
            Runtime::Here(ort) => &**ort,
            Runtime::Apart(worker) => &**worker,
        }
    }
}

fn outputs(worker: &Worker, model: &Arc<Lean>) -> Result<Vec<Output>, RunError> {
    question::outputs(worker, Job::new(model.clone(), &[], &[]))
}

impl Opened {
    /// In the model's order.
    pub fn outputs(&self) -> &[Output] {
        match self {
            Opened::Here(session) => &session.outputs,
            Opened::Apart { outputs, .. } => outputs,
        }
    }

    /// One run for each feed; the outputs of these names are kept.
    pub fn run(&mut self, feeds: &[Tensors], names: &[String]) -> Result<Vec<Tensors>, RunError> {
        match self {
            Opened::Here(session) => feeds.iter().map(|feed| session.run(feed, names)).collect(),
            Opened::Apart { worker, model, .. } => Ok(worker.run(&Job::new(model.clone(), feeds, names))?.values),
        }
    }
}

impl Backend for Runtime {
    fn about(&self) -> &About {
        self.backend().about()
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        self.backend().run(job)
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.backend().ask(question)
    }
}
