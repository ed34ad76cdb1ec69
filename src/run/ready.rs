//! A ready engine: it was built from a model elsewhere, so it gives the model's outputs and cannot be cut or marked.

use super::ort::Output;
use super::{Answer, Backend, Engine, How, RunError};
use crate::found::BackendInfo;
use crate::load::Lean;
use crate::tensor::Tensors;

pub struct Ready<B> {
    engine: B,
    /// Of the model that it is compared with.
    outputs: Vec<String>,
}

impl<B: Backend> Ready<B> {
    pub fn new(engine: B, outputs: Vec<String>) -> Ready<B> {
        Ready { engine, outputs }
    }
}

impl<B: Backend> Backend for Ready<B> {
    fn info(&self) -> BackendInfo {
        self.engine.info()
    }

    fn stores(&self, tensor: &str) -> bool {
        self.outputs.iter().any(|output| output == tensor)
    }

    fn runs(&self) -> bool {
        false
    }

    fn is_engine(&self) -> bool {
        true
    }

    fn run(&self, model: &Lean, feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        self.engine.run(model, feeds, outputs)
    }

    fn build(&self, model: &Lean, feeds: &[Tensors], outputs: &[String], how: &How) -> Result<Answer, RunError> {
        self.engine.build(model, feeds, outputs, how)
    }

    fn latency(&self, model: &Lean, feed: &Tensors, runs: usize) -> Result<Option<f64>, RunError> {
        self.engine.latency(model, feed, runs)
    }

    fn outputs(&self, model: &Lean) -> Result<Vec<Output>, RunError> {
        self.engine.outputs(model)
    }

    fn engine(&self) -> Result<Option<Engine>, RunError> {
        self.engine.engine()
    }
}
