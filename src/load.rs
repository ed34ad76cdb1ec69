//! Files <-> memory: models, their external data, and tensors in the formats of NumPy, Polygraphy, trtexec, safetensors and ONNX's
//! test data sets. Files are mapped, not read; payloads point into the map. Knows no backend.

pub mod decode;
pub mod folder;
pub mod guest;
pub mod images;
pub mod labels;
pub mod materialise;
pub mod members;
pub mod model;
pub mod npy;
pub mod npz;
pub mod own;
pub mod places;
pub mod polygraphy;
pub mod raw;
pub mod safetensors;
pub mod samples;
pub mod sizes;
pub mod sparse;
pub mod synthetic;
pub mod testset;
mod trtexec;

pub use model::{Lean, Model};
pub use places::Links;

use std::path::Path;

use anyhow::Context;
use bytes::Bytes;

use crate::files;

/// The whole file as shared bytes that look into a memory map. An empty file gives no bytes.
pub fn map(path: &Path) -> anyhow::Result<Bytes> {
    let file = files::open(path)?;
    let meta = file.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if meta.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the map is private and read-only. Another process that truncates the file under us would raise SIGBUS:
    // the price of every tool that maps its input, paid for not copying gigabytes.
    let map = unsafe { memmap2::Mmap::map(&file) }.with_context(|| format!("cannot map {}", path.display()))?;
    Ok(Bytes::from_owner(map))
}

/// Did a parser stop at its limit of nesting? prost and serde_json say so in their messages only.
fn too_deep(error: &impl std::fmt::Display) -> bool {
    error.to_string().contains("recursion limit")
}
