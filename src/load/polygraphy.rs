//! Tensors as NVIDIA Polygraphy's JSON: the inputs of `--save-inputs`, the results of `--save-outputs`. Each array is a
//! complete `.npy` in base64. Knows no model.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use base64::engine::general_purpose::STANDARD;
use base64::{Engine, write::EncoderWriter};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::npz::atomically;
use super::{map, npy, too_deep};
use crate::tensor::{Tensor, Tensors};

/// One `Tensors` per sample of a file of inputs (a list of feed dictionaries).
pub fn read_inputs(path: &Path) -> anyhow::Result<Vec<Tensors>> {
    parse_inputs(&map(path)?).with_context(|| path.display().to_string())
}

/// One `Tensors` per iteration of a file of results; a list of dictionaries, as for inputs, is taken too.
pub fn read_outputs(path: &Path) -> anyhow::Result<Vec<Tensors>> {
    parse_outputs(&map(path)?).with_context(|| path.display().to_string())
}

/// Writes a file for Polygraphy's `--load-outputs`.
pub fn write_outputs(path: &Path, runner: &str, iterations: &[Tensors]) -> anyhow::Result<()> {
    let runner = serde_json::to_string(runner)?;
    atomically(path, |out| {
        write!(out, r#"{{"lst": [[{runner}, ["#)?;
        for (i, outputs) in iterations.iter().enumerate() {
            write!(out, r#"{}{{"outputs": "#, if i == 0 { "" } else { ", " })?;
            dictionary(out, outputs, r#"{"values": "#, r#", "polygraphy_class": "LazyArray"}"#)?;
            write!(out, r#", "runtime": null, "runner_name": {runner}, "polygraphy_class": "IterationResult"}}"#)?;
        }
        write!(out, r#"]]], "polygraphy_class": "RunResults"}}"#)?;
        Ok(())
    })
}

/// Writes a file for Polygraphy's `--load-inputs`.
pub fn write_inputs(path: &Path, samples: &[Tensors]) -> anyhow::Result<()> {
    atomically(path, |out| {
        write!(out, "[")?;
        for (i, inputs) in samples.iter().enumerate() {
            write!(out, "{}", if i == 0 { "" } else { ", " })?;
            dictionary(out, inputs, "", "")?;
        }
        write!(out, "]")?;
        Ok(())
    })
}

/// An array, or the `LazyArray` around one. A missing string is empty: only so does serde borrow it from the file.
#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow, default)]
    polygraphy_class: Cow<'a, str>,
    #[serde(borrow, default)]
    array: Cow<'a, str>,
    #[serde(borrow, default)]
    values: Option<Box<Value<'a>>>,
}

/// Values by name, in the file's order.
struct Dictionary<'a>(Vec<(String, Value<'a>)>);

impl<'de: 'a, 'a> Deserialize<'de> for Dictionary<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vec<(String, Value<'de>)>;

            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("arrays by name")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(entries)
            }
        }
        json.deserialize_map(Entries).map(Dictionary)
    }
}

#[derive(Deserialize)]
struct Results<'a> {
    #[serde(borrow)]
    lst: Vec<(String, Vec<Iteration<'a>>)>,
}

#[derive(Deserialize)]
struct Iteration<'a> {
    #[serde(borrow)]
    outputs: Dictionary<'a>,
}

fn parse_inputs(json: &[u8]) -> anyhow::Result<Vec<Tensors>> {
    if first(json)? == b'{' {
        bail!("it is no file of inputs (a list of feeds); save one with 'polygraphy run --save-inputs'");
    }
    let feeds: Vec<Dictionary> = parse(json)?;
    ensure!(!feeds.is_empty(), "the list of feeds is empty; save it again with at least one iteration");
    feeds.iter().map(decode).collect()
}

fn parse_outputs(json: &[u8]) -> anyhow::Result<Vec<Tensors>> {
    if first(json)? == b'[' {
        return parse_inputs(json);
    }
    let results: Results = parse(json)?;
    match results.lst.as_slice() {
        [(_, iterations)] if !iterations.is_empty() => iterations.iter().map(|i| decode(&i.outputs)).collect(),
        [] | [_] => bail!("it holds no results; save it again with 'polygraphy run --save-outputs'"),
        many => {
            let names: Vec<&str> = many.iter().map(|(name, _)| name.as_str()).collect();
            bail!("it holds the results of several runners ({}); save those of one runner only", names.join(", "))
        }
    }
}

fn first(json: &[u8]) -> anyhow::Result<u8> {
    let first = json.iter().find(|c| !c.is_ascii_whitespace()).copied();
    first.context("the file is empty; Polygraphy's JSON was expected")
}

fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> anyhow::Result<T> {
    serde_json::from_slice(json).map_err(|e| match too_deep(&e) {
        true => anyhow::anyhow!("its JSON is nested deeper than 128 levels, so it is not Polygraphy's; save it again"),
        false => anyhow::anyhow!("not Polygraphy's JSON, or truncated ({e}); save it again"),
    })
}

fn decode(values: &Dictionary) -> anyhow::Result<Tensors> {
    let named = values.0.iter().map(|(name, value)| {
        let tensor = array(value).with_context(|| format!("array '{name}'"))?;
        Ok((name.clone(), tensor))
    });
    named.collect()
}

fn array(value: &Value) -> anyhow::Result<Tensor> {
    match (&value.values, value.polygraphy_class.as_ref()) {
        (Some(inner), _) => array(inner),
        (None, "Tensor") => bail!("it is a pickled PyTorch tensor; save NumPy arrays (tensor.numpy()) instead"),
        (None, _) => {
            ensure!(!value.array.is_empty(), "it has no 'array'; save it again with a current Polygraphy");
            let Ok(bytes) = STANDARD.decode(value.array.as_bytes()) else {
                bail!("its base64 is damaged; save it again");
            };
            npy::parse(Bytes::from(bytes))
        }
    }
}

/// A JSON object of arrays, each between `open` and `close`.
fn dictionary(out: &mut impl Write, tensors: &Tensors, open: &str, close: &str) -> anyhow::Result<()> {
    write!(out, "{{")?;
    for (i, (name, tensor)) in tensors.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(out, r#"{comma}{}: {open}{{"array": ""#, serde_json::to_string(name)?)?;
        let mut encoder = EncoderWriter::new(&mut *out, &STANDARD);
        npy::write(tensor).write_to(&mut encoder)?;
        encoder.finish()?;
        drop(encoder);
        write!(out, r#"", "polygraphy_class": "ndarray"}}{close}"#)?;
    }
    write!(out, "}}")?;
    Ok(())
}

#[cfg(test)]
mod tests;
