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

/// One `Tensors` per sample of a file of inputs: a list of feed dictionaries, or one alone, as a folder has one for each iteration.
pub fn read_inputs(path: &Path) -> anyhow::Result<Vec<Tensors>> {
    parse_inputs(&map(path)?).with_context(|| path.display().to_string())
}

/// One `Tensors` per iteration of a file of results; what is taken as inputs is taken too. `runner` is the name, or a part of the
/// name, of the one that is meant, where there are several.
pub fn read_outputs(path: &Path, runner: Option<&str>) -> anyhow::Result<Vec<Tensors>> {
    parse_outputs(&map(path)?, runner).with_context(|| path.display().to_string())
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
        if is_results(json) {
            bail!("it is no file of inputs (a list of feeds); save one with 'polygraphy run --save-inputs'");
        }
        return Ok(vec![decode(&parse(json)?)?]);
    }
    let feeds: Vec<Dictionary> = parse(json)?;
    ensure!(!feeds.is_empty(), "the list of feeds is empty; save it again with at least one iteration");
    feeds.iter().map(decode).collect()
}

fn parse_outputs(json: &[u8], runner: Option<&str>) -> anyhow::Result<Vec<Tensors>> {
    if first(json)? == b'[' || !is_results(json) {
        ensure!(runner.is_none(), "it holds tensors of no runner; leave '@{}' out", runner.unwrap_or_default());
        return parse_inputs(json);
    }
    let results: Results = parse(json)?;
    let iterations = &of_runner(&results.lst, runner)?.1;
    ensure!(!iterations.is_empty(), "it holds no results; save it again with 'polygraphy run --save-outputs'");
    iterations.iter().map(|i| decode(&i.outputs)).collect()
}

/// Results have a list of runners; a feed has an array in such a place.
fn is_results(json: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&json[..json.len().min(4096)]).into_owned();
    let key = start.trim_start().strip_prefix('{').unwrap_or_default().trim_start();
    let list = key.strip_prefix("\"lst\"").and_then(|rest| rest.trim_start().strip_prefix(':'));
    list.is_some_and(|rest| rest.trim_start().starts_with('[')) || key.starts_with("\"polygraphy_class\"")
}

type Run<'a> = (String, Vec<Iteration<'a>>);

/// The only one, or the one that is meant.
fn of_runner<'r, 'a>(runs: &'r [Run<'a>], runner: Option<&str>) -> anyhow::Result<&'r Run<'a>> {
    let exact = runs.iter().find(|(name, _)| Some(name.as_str()) == runner);
    let fits = |(name, _): &&Run| runner.is_none_or(|part| name.contains(part));
    let fitting: Vec<&Run> = exact.map_or_else(|| runs.iter().filter(fits).collect(), |run| vec![run]);
    match (fitting.as_slice(), runner) {
        ([run], _) => Ok(run),
        (_, None) if runs.is_empty() => {
            bail!("it holds no results; save it again with 'polygraphy run --save-outputs'")
        }
        (_, None) => bail!(
            "it holds the results of several runners ({}); say whose with FILE@RUNNER, a part of the name is enough",
            names(runs.iter())
        ),
        ([], Some(part)) => bail!("it holds no results of a runner '{part}'; there are {}", names(runs.iter())),
        (many, Some(part)) => bail!("'{part}' is in the names of several runners: {}", names(many.iter().copied())),
    }
}

fn names<'r, 'a: 'r>(runs: impl Iterator<Item = &'r Run<'a>>) -> String {
    runs.map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
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
