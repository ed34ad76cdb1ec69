//! Flags that name tensors and inputs: each name must be one of the models'. A misspelt tolerance would be the default,
//! silently, so names are refused before anything runs.

use anyhow::bail;

use crate::cli::SetArgs;
use crate::judge::{OutputMetric, OutputMetrics};
use crate::lab::Side;
use crate::load::Model;
use crate::names::did_you_mean;
use crate::onnx::{DimValue, ValueInfoProto};
use crate::tensor::DType;

/// Every name in the flags of a comparison.
pub fn check(args: &SetArgs, reference: &Side, candidate: &Side) -> anyhow::Result<()> {
    for name in &args.outputs {
        tensor("--outputs", name, reference)?;
        tensor("--outputs", name, candidate)?;
    }
    for (flag, bounds) in [("--atol", &args.atol), ("--rtol", &args.rtol)] {
        for name in bounds.iter().filter_map(|(name, _)| name.as_ref()) {
            tensor(flag, name, reference)?;
        }
    }
    for profile in &args.engine.profile {
        input("--profile", &profile.input, &reference.graph.inputs, &reference.model)?;
    }
    Ok(())
}

/// Every metric is one of an output, and says something of it, as far as the model declares what its outputs are.
pub fn metrics(args: &SetArgs, outputs: &[String], reference: &Side) -> anyhow::Result<()> {
    let path = reference.model.path.display();
    for given in &args.metric {
        let Some(name) = &given.output else { continue };
        if !outputs.contains(name) {
            let near = did_you_mean(name, outputs.iter().map(String::as_str));
            bail!("--metric {given}: {path} has no judged output '{name}'{near}; there are {}", outputs.join(", "));
        }
        if let Some(why) = refusal(given.metric, name, reference) {
            bail!("--metric {given}: {path}: {why}; leave it out, and '{name}' is judged by the tolerance");
        }
    }
    let metrics = OutputMetrics::new(&args.metric);
    let rest: Vec<&String> = outputs.iter().filter(|name| !metrics.of.contains_key(*name)).collect();
    for metric in &metrics.all {
        let Some(first) = rest.first() else {
            bail!("--metric {metric}: every output of {path} has a metric of its own; leave this one out")
        };
        let why: Vec<String> = rest.iter().filter_map(|name| refusal(*metric, name, reference)).collect();
        if why.len() == rest.len() {
            bail!("--metric {metric} is for no output of {path}: of '{first}', {}", why[0]);
        }
    }
    Ok(())
}

/// Why a metric says nothing of an output, by what the model declares.
fn refusal(metric: OutputMetric, name: &str, side: &Side) -> Option<String> {
    let (dtype, shape) = declared(name, side);
    metric.refuses(dtype, shape.as_deref())
}

/// Element type and sizes of a tensor, as far as the model says.
fn declared(name: &str, side: &Side) -> (Option<DType>, Option<Vec<Option<usize>>>) {
    let values = side.model.proto.graph.iter().flat_map(|graph| graph.output.iter().chain(&graph.value_info));
    let Some(value) = values.into_iter().find(|value| value.name() == name) else { return (None, None) };
    (value.dtype(), sizes(value))
}

fn sizes(value: &ValueInfoProto) -> Option<Vec<Option<usize>>> {
    let shape = value.as_tensor()?.shape.as_ref()?;
    let size = |dim: &Option<DimValue>| match dim {
        Some(DimValue::DimValue(n)) => usize::try_from(*n).ok(),
        _ => None,
    };
    Some(shape.dim.iter().map(|dim| size(&dim.value)).collect())
}

/// `name` is an input of the model, as `inputs` lists them.
pub fn input(flag: &str, name: &str, inputs: &[String], model: &Model) -> anyhow::Result<()> {
    let known = || inputs.iter().map(String::as_str);
    if known().any(|input| input == name) {
        return Ok(());
    }
    let path = model.path.display();
    match did_you_mean(name, known()) {
        _ if inputs.is_empty() => bail!("{flag}: {path} has no inputs, so none called '{name}'; leave it out"),
        near if near.is_empty() => bail!("{flag}: {path} has no input '{name}'; it has {}", inputs.join(", ")),
        near => bail!("{flag}: {path} has no input '{name}'{near}"),
    }
}

/// `name` is a tensor of the side's model.
fn tensor(flag: &str, name: &str, side: &Side) -> anyhow::Result<()> {
    if !side.graph.knows(name) {
        bail!("{flag}: {} has {}", side.model.path.display(), side.graph.no_tensor(name));
    }
    Ok(())
}
