//! What a TensorRT backend is started with: which libraries, which precision, which shapes. Values only.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::library::Found;
use crate::tensor::DType;

/// What the worker process of a TensorRT backend is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// The file to load.
    pub library: PathBuf,
    /// Beside the library; a runtime has none.
    pub parser: Option<PathBuf>,
    /// Let the builder lower float32 models to this type where it likes: TensorRT 10 and older. `None`: the model's own types hold.
    pub weak: Option<DType>,
    /// 10-bit mantissas in matrix products and convolutions of float32.
    pub tf32: bool,
    /// A ready engine in place of the model.
    pub plan: Option<PathBuf>,
    /// For inputs of dynamic shape; what is not named here gets its shapes from the data.
    pub profiles: Vec<Range>,
    /// Timings of earlier builds.
    pub timing_cache: Option<PathBuf>,
    /// Bytes.
    pub workspace: Option<u64>,
    /// 0 to 5; TensorRT's own default where nothing is said.
    pub level: Option<i32>,
    /// Number of the GPU.
    pub device: usize,
}

/// Shapes of one input: the smallest, the usual one, the largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// As the model calls it.
    pub input: String,
    /// The smallest.
    pub min: Vec<i64>,
    /// The one that kernels are chosen for.
    pub opt: Vec<i64>,
    /// The largest.
    pub max: Vec<i64>,
}

impl Options {
    /// The model as it is, TF32 off.
    pub fn new(found: &Found) -> Options {
        Options {
            library: found.library.clone(),
            parser: found.parser.clone(),
            weak: None,
            tf32: false,
            plan: None,
            profiles: Vec::new(),
            timing_cache: None,
            workspace: None,
            level: None,
            device: 0,
        }
    }
}
