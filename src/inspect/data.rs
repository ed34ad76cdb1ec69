//! Somebody's data, array by array. Reads what every other command reads as inputs.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::facts::DataFacts;
use super::tensors::array;
use crate::load::{map, npy, samples};
use crate::names::did_you_mean;
use crate::tensor::{Tensor, Tensors};

/// Bytes that an archive's arrays may take unpacked.
const MOST: u64 = 16 << 30;

/// Is it data, by its name, by its first bytes, or because it is a folder?
pub fn is_data(path: &Path, start: &[u8]) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    let called = matches!(ending.as_str(), "npz" | "npy" | "json" | "pb");
    called || start.starts_with(b"\x93NUMPY") || start.starts_with(b"PK\x03\x04")
}

/// The samples of the file; an array without a name is called as the file is.
pub fn read(path: &Path) -> anyhow::Result<Vec<Tensors>> {
    let name = path.file_stem().map_or_else(|| "array".into(), |stem| stem.to_string_lossy().into_owned());
    if !path.is_dir() && map(path)?.starts_with(b"\x93NUMPY") {
        let tensor = npy::parse(map(path)?).with_context(|| path.display().to_string())?;
        return Ok(vec![Tensors::from([(name, tensor)])]);
    }
    samples::read(path, &[name], MOST)
}

/// The numbers of every array, or of those of these names.
pub fn facts(path: &Path, samples: &[Tensors], names: &[String]) -> anyhow::Result<DataFacts> {
    let several = samples.len() > 1;
    let mut facts = DataFacts { path: path.display().to_string(), samples: samples.len(), ..DataFacts::default() };
    for (number, sample) in samples.iter().enumerate() {
        for (name, tensor) in chosen(path, sample, names)? {
            let array = array(name, tensor);
            facts.bytes += array.bytes;
            facts.arrays.push(super::facts::TensorFacts { sample: several.then_some(number), ..array });
        }
    }
    Ok(facts)
}

/// All arrays, or those of these names, in the order of the names.
pub fn chosen<'a>(path: &Path, sample: &'a Tensors, names: &[String]) -> anyhow::Result<Vec<(&'a String, &'a Tensor)>> {
    ensure!(!sample.is_empty(), "{} holds no array", path.display());
    if names.is_empty() {
        return Ok(sample.iter().collect());
    }
    let one = |name: &String| match sample.get_key_value(name) {
        Some(found) => Ok(found),
        None => {
            let near = did_you_mean(name, sample.keys().map(String::as_str));
            bail!("--tensor: {} has no array '{name}'{near}", path.display())
        }
    };
    names.iter().map(one).collect()
}
