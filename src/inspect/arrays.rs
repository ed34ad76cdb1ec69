//! Files of arrays: which are some, and what is in them. Reads what every other command reads as inputs.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Context;

use crate::load::{map, npy, raw, safetensors, samples};
use crate::tensor::Tensors;

/// Bytes that an archive's arrays may take unpacked.
const MOST: u64 = 16 << 30;

/// Is it data, by its name, by its first bytes, or because it is a folder?
pub fn is_data(path: &Path, start: &[u8]) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let called = matches!(ending.as_str(), "npz" | "npy" | "json" | "pb");
    let begins = start.starts_with(b"\x93NUMPY") || start.starts_with(b"PK\x03\x04");
    called || begins || safetensors::begins(start) || raw::is_list(start)
}

/// The samples of the file; an array without a name is called as the file is.
pub fn read(path: &Path) -> anyhow::Result<Vec<Tensors>> {
    let name = path.file_stem().map_or_else(|| "array".into(), |stem| stem.to_string_lossy().into_owned());
    if path.is_file() && map(path)?.starts_with(b"\x93NUMPY") {
        let tensor = npy::parse(map(path)?).with_context(|| path.display().to_string())?;
        return Ok(vec![Tensors::from([(name, tensor)])]);
    }
    samples::read_outputs(path, &[name], MOST)
}
