//! Normalisations and quantisation: their parameters have the length of an axis of the data.

use super::super::call::{Absurd, Call, Made, axis, broadcast, one, same_shape, unknown};
use super::super::fact::{Dim, Fact};

/// `BatchNormalization`: four parameters, one number a channel (axis 1).
pub fn batch(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let channels = x.get(1).copied().unwrap_or(Some(1));
    for slot in 1..5 {
        call.need(slot)?;
        // Up to opset 8, parameters may be there for every place.
        if call.opset >= 9 {
            call.list(slot, channels)?;
        }
    }
    let running = || Fact::dims(vec![channels]);
    Ok([Fact::dims(x.to_vec())].into_iter().chain((0..4).map(|_| running())).collect())
}

/// `InstanceNormalization`: scale and bias, one number a channel (axis 1).
pub fn instance(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let [_, channels, ..] = x else { return Err("there are no channels".to_string()) };
    for slot in 1..3 {
        call.need(slot)?;
        call.list(slot, *channels)?;
    }
    one(x.to_vec())
}

/// `GroupNormalization`: the channels are a multiple of the groups.
pub fn group(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let [_, channels, ..] = x else { return Err("there are no channels".to_string()) };
    let groups = usize::try_from(call.int("num_groups", 1)).unwrap_or(0);
    if groups == 0 || channels.is_some_and(|c| c % groups != 0) {
        return Err(format!("{channels:?} channels are not {groups} groups"));
    }
    let length = if call.opset < 21 { Some(groups) } else { *channels };
    for slot in 1..3 {
        call.need(slot)?;
        call.list(slot, length)?;
    }
    one(x.to_vec())
}

/// `LayerNormalization`: scale and bias are broadcast to the input.
pub fn layer(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let at = axis(call.int("axis", -1), x.len())?;
    call.need(1)?;
    for slot in 1..3 {
        if let Some(parameter) = call.optional(slot) {
            same_shape(x, &broadcast(x, parameter)?)?;
            if parameter.len() == x.len() - at {
                same_shape(&x[at..], parameter)?;
            }
        }
    }
    let statistics = || Fact::dims(x.iter().enumerate().map(|(i, d)| if i < at { *d } else { Some(1) }).collect());
    Ok(vec![Fact::dims(x.to_vec()), statistics(), statistics()])
}

/// Adds two tensors and normalises over the last axis.
pub fn skipping(call: &Call) -> Made {
    let (Some(x), Some(skip)) = (call.shape(0)?, call.shape(1)?) else { return unknown() };
    same_shape(x, &broadcast(x, skip)?)?;
    for slot in 2..call.inputs.len() {
        call.list(slot, x.last().copied().flatten())?;
    }
    Ok(vec![Fact::dims(x.to_vec())])
}

/// `QuantizeLinear` and `DequantizeLinear`: one scale, one an index of `axis`, or one a block.
pub fn quantised(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let scale = call.need(1)?;
    if let (Some(scale), Some(zero)) = (&scale.shape, call.optional(2)) {
        same_shape(scale, zero).or_else(|why| if single(scale) && single(zero) { Ok(vec![]) } else { Err(why) })?;
    }
    match scale.shape.as_deref() {
        Some([length]) if *length != Some(1) && call.int("block_size", 0) == 0 => {
            let at = axis(call.int("axis", 1), x.len())?;
            same_shape(&[x[at]], &[*length])?;
        }
        Some(blocks) if blocks.len() > 1 => blocked(call, x, blocks)?,
        _ => {}
    }
    one(x.to_vec())
}

/// Along one axis, a scale for each block of elements.
fn blocked(call: &Call, x: &[Dim], blocks: &[Dim]) -> Result<(), Absurd> {
    let (Ok(size), Ok(at)) = (usize::try_from(call.int("block_size", 0)), axis(call.int("axis", 1), x.len())) else {
        return Ok(());
    };
    let of = |(i, d): (usize, &Dim)| if i == at { d.filter(|_| size > 0).map(|n| n.div_ceil(size)) } else { *d };
    same_shape(&x.iter().enumerate().map(of).collect::<Vec<_>>(), blocks).map(|_| ())
}

/// `DynamicQuantizeLinear`: the tensor, its scale, its zero point.
pub fn dynamically_quantised(call: &Call) -> Made {
    let shape = call.need(0)?.shape.clone();
    Ok(vec![Fact { shape, value: None }, Fact::dims(vec![]), Fact::dims(vec![])])
}

fn single(shape: &[Dim]) -> bool {
    shape.iter().all(|d| *d == Some(1))
}
