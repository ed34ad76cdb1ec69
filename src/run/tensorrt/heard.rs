//! What TensorRT tells us in the middle of a build or a run. Data only: who calls is `callback`, who listens is above.

use crate::tensor::DType;

/// How far a phase of a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// As TensorRT calls it.
    pub phase: &'a str,
    /// The phase that it is a part of.
    pub parent: Option<&'a str>,
    /// Steps that are done.
    pub step: usize,
    /// Steps that there are.
    pub of: usize,
}

/// A tensor inside the engine, during the call of a listener only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DebugTensor<'a> {
    /// As the engine calls it.
    pub name: &'a str,
    /// Of its first element.
    pub address: u64,
    /// The address is the host's, not the device's.
    pub host: bool,
    /// `None` for a type that layerdiff does not know.
    pub dtype: Option<DType>,
    /// Row-major.
    pub shape: &'a [i64],
    /// The CUstream that the tensor's value is made on: a copy belongs on it, or behind its synchronisation.
    pub stream: u64,
}
