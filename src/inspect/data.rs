//! Somebody's data, array by array. Arrays in, facts out.

use std::path::Path;

use anyhow::{bail, ensure};

use super::facts::DataFacts;
use super::tensors::array;
use crate::names::did_you_mean;
use crate::tensor::{Tensor, Tensors};

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
