//! The same data goes into both models: they must take the same inputs, and where one declares another element type, every
//! value must be one of that type too. What is done for it stands in `lab::work`; here it is checked and told.

use anyhow::{bail, ensure};
use indexmap::IndexMap;

use crate::found::fitted::Fitted;
use crate::lab::Side;
use crate::precision::{Unfit, retyped};
use crate::tensor::moved::Moved;
use crate::tensor::{DType, Tensors, shape_text};

/// Both models must take the same inputs, laid out alike.
pub fn check_inputs(reference: &Side, candidate: &Side) -> anyhow::Result<()> {
    if let Some((name, theirs, own, ours)) = laid_otherwise(reference, candidate) {
        bail!(
            "{} takes the input '{name}' as {}, and {} takes '{own}' as {}: the axes of a file's inputs are not moved; put a Transpose, Squeeze or Unsqueeze in front of one of them, or run the candidate as exec:",
            candidate.model.path.display(),
            shape_text(&theirs),
            reference.model.path.display(),
            shape_text(&ours)
        );
    }
    for name in &candidate.graph.inputs {
        ensure!(
            reference.graph.inputs.contains(name),
            "{} needs the input '{name}', which {} does not have; compare models with the same inputs",
            candidate.model.path.display(),
            reference.model.path.display()
        );
    }
    Ok(())
}

/// The first input of the candidate that is one of the reference's with its axes elsewhere: its name and shape, and those of the
/// reference's, of the same name or else at the same place.
fn laid_otherwise(reference: &Side, candidate: &Side) -> Option<(String, Vec<usize>, String, Vec<usize>)> {
    let (own, theirs) = (fixed(reference), fixed(candidate));
    let mut pairs = theirs.iter().enumerate().filter_map(|(at, (name, shape))| {
        let same = own.iter().find(|(own, _)| own == name);
        let (own, ours) = same.or_else(|| own.get(at).filter(|_| own.len() == theirs.len()))?;
        Some((name.clone(), shape.clone()?, own.clone(), ours.clone()?))
    });
    pairs.find(|(_, theirs, _, ours)| theirs != ours && !Moved::ways(theirs, ours).is_empty())
}

/// What is fed, with the shapes that the file declares where no size is open.
fn fixed(side: &Side) -> Vec<(String, Option<Vec<usize>>)> {
    let file = side.deployed.as_ref().unwrap_or(&side.model.proto);
    let declared =
        |name: &String| file.graph.as_ref()?.input.iter().find(|input| input.name() == name)?.concrete_shape();
    side.graph.inputs.iter().map(|name| (name.clone(), declared(name))).collect()
}

/// Every value of the data is one that the candidate's inputs can hold. Gives what is to be said of inputs of another element
/// type; an error names the first value that does not fit.
pub fn check_types(candidate: &Side, feeds: &[Tensors]) -> anyhow::Result<Vec<Fitted>> {
    let path = candidate.model.path.display();
    let mut other: IndexMap<(DType, DType), Vec<String>> = IndexMap::new();
    let mut notes = Vec::new();
    for (name, to) in declared(candidate) {
        for (sample, value) in feeds.iter().enumerate().filter_map(|(n, feed)| Some((n, feed.get(&name)?))) {
            let of = if feeds.len() > 1 { format!(" of sample {sample}") } else { String::new() };
            match retyped(value, to) {
                _ if value.dtype == to => {}
                Ok(_) => {
                    let names = other.entry((value.dtype, to)).or_default();
                    names.extend((!names.contains(&name)).then(|| name.clone()));
                }
                // A float that is too large becomes infinite, as the cast in front of such a model makes it.
                Err(unfit) if value.dtype.is_float() && to.is_float() => {
                    let why = format!("input '{name}'{of} is {to} in {path}: {unfit}");
                    notes.push(Fitted::Infinite(why));
                    break;
                }
                Err(unfit @ Unfit::Value { .. }) => bail!(
                    "{path} takes the input '{name}' as {to}, and in the data{of} {unfit}; give data that fit, or a file that takes {}",
                    value.dtype
                ),
                Err(Unfit::Kind(from, to)) => bail!(
                    "{path} takes the input '{name}' as {to}, and the data are {from}; compare models with inputs of one kind"
                ),
            }
        }
    }
    let told = other.into_iter().filter(|((from, _), _)| !from.is_float());
    notes.extend(told.map(|((from, to), inputs)| Fitted::Retyped { inputs, from, to }));
    Ok(notes)
}

/// The inputs of a file of the candidate's own, with the element types that it declares.
fn declared(candidate: &Side) -> Vec<(String, DType)> {
    let file = candidate.deployed.as_ref().unwrap_or(&candidate.model.proto);
    let inputs = file.graph.iter().flat_map(|graph| &graph.input);
    let fed = inputs.filter(|input| candidate.graph.inputs.iter().any(|name| name == input.name()));
    let typed = fed.filter_map(|input| Some((input.name().to_string(), input.dtype()?)));
    if candidate.spec.model.is_some() { typed.collect() } else { Vec::new() }
}
