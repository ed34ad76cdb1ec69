//! TensorRT as a backend.
use super::Options;
use crate::load::Lean;
use crate::report::BackendInfo;
use crate::run::{Backend, RunError};
use crate::tensor::Tensors;

pub struct TensorRt {}

impl TensorRt {
    pub fn start(_options: Options) -> Result<TensorRt, RunError> {
        Err(RunError::Missing("to come".to_string()))
    }
}
impl Backend for TensorRt {
    fn info(&self) -> BackendInfo {
        BackendInfo::default()
    }
    fn run(&self, _model: &Lean, _feeds: &[Tensors], _outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        Err(RunError::Missing("to come".to_string()))
    }
}
