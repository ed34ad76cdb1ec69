//! Do feeds fit the model's inputs? Names, element types, shapes, and one value for each named dimension. No file here.

use std::collections::HashMap;

use anyhow::{Context, anyhow, bail, ensure};

use crate::load::npy::widen;
use crate::names;
use crate::onnx::{DimValue, Dimension, ValueInfoProto};
use crate::precision::{Unfit, retyped};
use crate::tensor::{DType, Tensor, Tensors};

/// An input that the user has to feed, as the model declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct InputSpec {
    /// As the model calls it.
    pub name: String,
    /// The only element type that the model takes.
    pub dtype: DType,
    /// What a feed's shape must be, axis by axis.
    pub dims: Vec<Dim>,
}

/// One declared dimension.
#[derive(Clone, Debug, PartialEq)]
pub enum Dim {
    /// Exactly this size.
    Fixed(usize),
    /// Any size, but the same one wherever a sample's inputs have this name.
    Named(String),
    /// Any size.
    Unknown,
    /// Any number of dimensions: the model declares no shape, and this stands alone.
    Rest,
}

impl InputSpec {
    /// What `value` declares; `None` if it is no tensor.
    pub fn of(value: &ValueInfoProto) -> Option<InputSpec> {
        let dim = |d: &Dimension| match &d.value {
            Some(DimValue::DimValue(n)) => usize::try_from(*n).map_or(Dim::Unknown, Dim::Fixed),
            // Paddle writes "?" for every dimension it does not know: that is no name.
            Some(DimValue::DimParam(name)) if !matches!(name.as_str(), "" | "?") => Dim::Named(name.clone()),
            _ => Dim::Unknown,
        };
        let shape = value.as_tensor()?.shape.as_ref();
        let dims = shape.map_or_else(|| vec![Dim::Rest], |s| s.dim.iter().map(dim).collect());
        Some(InputSpec { name: value.name().to_string(), dtype: value.dtype()?, dims })
    }
}

/// Named dimensions with the value they have, and the input that gave it.
pub type Bound = HashMap<String, (usize, String)>;

/// Every feed has every input and nothing else, each of the declared element type and shape; it gets the model's order.
///
/// Only what NumPy cannot hold is converted, and only without loss: a float32 array for a bfloat16 input, say.
pub fn check(feeds: &mut [Tensors], inputs: &[InputSpec]) -> anyhow::Result<()> {
    let samples = feeds.len();
    for (i, feed) in feeds.iter_mut().enumerate() {
        match check_one(feed, inputs) {
            Err(e) if samples > 1 => return Err(e.context(format!("sample {i}"))),
            result => result?,
        }
    }
    Ok(())
}

/// Does `shape` fit what `spec` declares, and the named dimensions `bound` so far? Its own are added to them.
pub fn fit(spec: &InputSpec, shape: &[usize], bound: &mut Bound) -> anyhow::Result<()> {
    let (name, dims) = (&spec.name, &spec.dims);
    if dims.contains(&Dim::Rest) {
        return Ok(());
    }
    let wanted = || format!("input '{name}' has the shape {shape:?}, but the model wants {}", declared(dims));
    ensure!(dims.len() == shape.len(), "{}; give it {} dimensions", wanted(), dims.len());
    for (axis, (dim, have)) in dims.iter().zip(shape).enumerate() {
        match dim {
            Dim::Fixed(want) => ensure!(want == have, "{}; dimension {axis} must be {want}, not {have}", wanted()),
            Dim::Named(dim) => {
                let (value, by) = bound.entry(dim.clone()).or_insert_with(|| (*have, name.clone()));
                ensure!(
                    value == have,
                    "the dimension '{dim}' is {value} in input '{by}', but {have} in input '{name}'; make them equal"
                );
            }
            Dim::Unknown | Dim::Rest => {}
        }
    }
    Ok(())
}

/// "the model has no input 'X'", with what the user may have meant.
pub fn no_such_input(name: &str, inputs: &[InputSpec]) -> anyhow::Error {
    let known = || inputs.iter().map(|i| i.name.as_str());
    match names::did_you_mean(name, known()) {
        _ if inputs.is_empty() => anyhow!("the model has no input '{name}': it has no inputs; leave it out"),
        near if near.is_empty() => anyhow!("the model has no input '{name}'; its inputs: {}", list(known())),
        near => anyhow!("the model has no input '{name}'{near} Its inputs: {}", list(known())),
    }
}

/// Names in quotes; a long list is cut.
pub fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    names::few(names.map(|n| format!("'{n}'")), MOST)
}

fn check_one(feed: &mut Tensors, inputs: &[InputSpec]) -> anyhow::Result<()> {
    if let Some(stranger) = feed.keys().find(|name| inputs.iter().all(|i| i.name != **name)) {
        return Err(no_such_input(stranger, inputs));
    }
    let mut bound = Bound::new();
    let mut ordered = Tensors::new();
    for spec in inputs {
        let tensor = feed.get(&spec.name).with_context(|| {
            let given = if feed.is_empty() { "nothing".to_string() } else { list(feed.keys().map(String::as_str)) };
            format!("no data for the input '{}' of the model ({given} given); add an array of this name", spec.name)
        })?;
        let tensor = typed(spec, tensor)?;
        fit(spec, &tensor.shape, &mut bound)?;
        ordered.insert(spec.name.clone(), tensor);
    }
    *feed = ordered;
    Ok(())
}

/// `tensor`, which must be of the declared element type, or a lossless stand-in where NumPy lacks that type.
fn typed(spec: &InputSpec, tensor: &Tensor) -> anyhow::Result<Tensor> {
    let (name, have, want) = (&spec.name, tensor.dtype, spec.dtype);
    let wide = widen::wide(want);
    if have == want {
        return Ok(tensor.clone());
    }
    if let Some(tensor) = widen::narrowed(tensor, want) {
        return Ok(tensor);
    }
    // Engines without int64 are fed with int32, and what was dumped there is data for the model all the same.
    match retyped(tensor, want) {
        Ok(whole) if !have.is_float() => return Ok(whole),
        Err(unfit @ Unfit::Value { .. }) if !have.is_float() => {
            bail!("input '{name}' is {have}, but the model wants {want}, and {unfit}; give data that fit")
        }
        _ => {}
    }
    if have == wide {
        bail!(
            "input '{name}' has values that are not exact in {want}, which the model wants; round them to {want} first"
        );
    }
    let word = if wide == DType::String { "str" } else { wide.name() };
    bail!("input '{name}' is {have}, but the model wants {want}; convert it first, as array.astype('{word}')")
}

/// `[batch, 3, ?, 224]`
fn declared(dims: &[Dim]) -> String {
    let words = dims.iter().map(|d| match d {
        Dim::Fixed(n) => n.to_string(),
        Dim::Named(name) => name.clone(),
        Dim::Unknown => "?".to_string(),
        Dim::Rest => "...".to_string(),
    });
    format!("[{}]", words.collect::<Vec<_>>().join(", "))
}
