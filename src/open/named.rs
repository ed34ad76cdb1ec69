//! Flags that name tensors and inputs: each name must be one of the models'. A misspelt tolerance would be the default,
//! silently, so names are refused before anything runs.

use anyhow::bail;

use crate::cli::SetArgs;
use crate::lab::Side;
use crate::load::Model;
use crate::names::did_you_mean;

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
