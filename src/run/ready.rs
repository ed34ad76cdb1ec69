//! A ready engine: it was built from a model elsewhere, so it gives the model's outputs and cannot be cut or marked.

use super::{About, Answer, Backend, Gives, Job, Question, RunError, Told};

/// A backend that holds an engine and nothing else.
pub struct Ready<B> {
    engine: B,
    about: About,
}

impl<B: Backend> Ready<B> {
    /// `outputs` are those of the model that it is compared with.
    pub fn new(engine: B, outputs: Vec<String>) -> Ready<B> {
        let about = engine.about().clone();
        let about = About {
            gives: Gives::Only(outputs.into_iter().collect()),
            builder: Some(about.builder.unwrap_or_default()),
            observes: Vec::new(),
            ..about
        };
        Ready { engine, about }
    }
}

impl<B: Backend> Backend for Ready<B> {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        self.engine.run(job)
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.engine.ask(question)
    }
}
