//! What is told of somebody's data: arrays by name.

use serde::Serialize;

use super::TensorFacts;

/// A file of arrays, or a folder of them.
#[derive(Debug, Default, Serialize)]
pub struct DataFacts {
    /// As the user named it.
    pub path: String,
    /// Of all values; strings by their texts.
    pub bytes: u64,
    /// How many samples it holds.
    pub samples: usize,
    /// Those of the first sample first; with `--tensor` those only.
    pub arrays: Vec<TensorFacts>,
}
