//! Resize and Upsample: scales and sizes have a number for each axis, and something is left of every axis.

use super::super::call::{Absurd, Call, Made, axis, one, unknown};
use super::super::fact::{Dim, Fact};

/// `Resize`: scales or sizes, one an axis (or one for each of `axes`).
pub fn resize(call: &Call) -> Made {
    // Opset 10 has the scales where later ones have the region.
    let (scales, sizes) = if call.opset < 11 { (1, None) } else { (2, Some(3)) };
    let given = |slot: usize| call.input(slot).filter(|f| !f.is_empty());
    let sizes = sizes.and_then(given);
    let Some(x) = call.shape(0)? else { return unknown() };
    let axes = axes(call, x.len())?;
    match (given(scales), sizes) {
        (None, None) => Err("neither scales nor sizes are given".to_string()),
        (_, Some(sizes)) => sized(call, x, &axes, sizes),
        (Some(scales), None) => scaled(x, &axes, scales, scales.as_floats()),
    }
}

/// `Upsample`, the older Resize: scales alone, one an axis.
pub fn upsample(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let axes: Vec<usize> = (0..x.len()).collect();
    match (call.opset < 9, call.node.attr("scales")) {
        (true, Some(scales)) => scaled(x, &axes, &Fact::sized(&[scales.floats.len()]), Some(&scales.floats)),
        (true, None) => unknown(),
        (false, _) => {
            let scales = call.need(1)?;
            scaled(x, &axes, scales, scales.as_floats())
        }
    }
}

/// The axes that the parameters are about: all, unless an attribute names some.
fn axes(call: &Call, rank: usize) -> Result<Vec<usize>, Absurd> {
    match call.ints("axes") {
        Some(axes) if !axes.is_empty() => axes.iter().map(|a| axis(*a, rank)).collect(),
        _ => Ok((0..rank).collect()),
    }
}

fn scaled(x: &[Dim], axes: &[usize], scales: &Fact, values: Option<&[f32]>) -> Made {
    each("scales", scales, axes)?;
    let Some(values) = values.filter(|v| v.len() == axes.len()) else { return one(vec![None; x.len()]) };
    let mut shape = x.to_vec();
    for (axis, scale) in axes.iter().zip(values) {
        let Some(size) = x[*axis] else { continue };
        let made = size as f64 * f64::from(*scale);
        if !(made >= 1.0 || size == 0) {
            return Err(format!("nothing is left of {size} elements, scaled by {scale}"));
        }
        // At a whole number, rounding decides.
        let near = (made - made.round()).abs() < 1e-3 && made != made.round();
        shape[*axis] = Some(made as usize).filter(|_| !near);
    }
    one(shape)
}

fn sized(call: &Call, x: &[Dim], axes: &[usize], sizes: &Fact) -> Made {
    each("sizes", sizes, axes)?;
    let stretched = call.text("keep_aspect_ratio_policy", "stretch") == "stretch";
    let Some(values) = sizes.as_ints().filter(|v| v.len() == axes.len() && stretched) else {
        return one(vec![None; x.len()]);
    };
    let mut shape = x.to_vec();
    for (axis, size) in axes.iter().zip(values) {
        shape[*axis] = Some(usize::try_from(*size).map_err(|_| format!("a size of {size}"))?);
    }
    one(shape)
}

/// The list has a number for each of `axes`.
fn each(what: &str, list: &Fact, axes: &[usize]) -> Result<(), Absurd> {
    match list.shape.as_deref() {
        Some([Some(n)]) if *n != axes.len() => Err(format!("{n} {what} for {} axes", axes.len())),
        Some(shape) if shape.len() != 1 => Err(format!("{what} are a list, and have {} axes", shape.len())),
        _ => Ok(()),
    }
}
