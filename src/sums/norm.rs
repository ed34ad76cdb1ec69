//! Normalisations, written out as a device computes them that has nothing but FP16: each step is rounded.

use rayon::prelude::*;

use super::fold::{each, squares, total};
use super::half::{Partial, to_half};
use super::{Call, Values, broadcast};

/// What is taken off before, and what is divided by.
struct Statistics {
    mean: f32,
    root: f32,
}

/// A row, normalised; and by what.
fn normalised<P: Partial>(row: &[f32], centred: bool, epsilon: f32, partial: &P) -> (Vec<f32>, Statistics) {
    let n = row.len() as f32;
    let mean = if centred { to_half(total(row, partial) / n) } else { 0.0 };
    let apart = if centred { each(row, |x| to_half(x - mean)) } else { row.to_vec() };
    let variance = to_half(total(&squares(&apart, partial), partial) / n);
    let root = to_half(to_half(variance + epsilon).sqrt());
    (each(&apart, |x| to_half(x / root)), Statistics { mean, root })
}

/// A scale, and what is added, for each value of a row.
struct Affine {
    scale: Vec<f32>,
    shift: Option<Vec<f32>>,
}

impl Affine {
    /// Both as long as a row of these sizes.
    fn of(call: &Call, sizes: &[usize], slots: (usize, Option<usize>)) -> Result<Affine, String> {
        let whole = |v: &Values| broadcast(v, sizes).ok_or_else(|| call.misfit());
        let shift = slots.1.and_then(|slot| call.given(slot)).map(whole).transpose()?;
        Ok(Affine { scale: whole(call.input(slots.0)?)?, shift })
    }

    fn on(&self, row: Vec<f32>) -> Vec<f32> {
        match &self.shift {
            None => row.iter().zip(&self.scale).map(|(x, scale)| x * scale).collect(),
            Some(shift) => {
                row.iter().zip(&self.scale).zip(shift).map(|((x, scale), shift)| to_half(x * scale) + shift).collect()
            }
        }
    }
}

/// LayerNormalization, RMSNormalization, SimplifiedLayerNormalization.
pub(super) fn layer<P: Partial>(call: &Call, partial: &P) -> Result<Vec<Values<'static>>, String> {
    let x = call.input(0)?;
    let axis = call.axis(call.int("axis", -1), x.rank())?;
    let centred = call.node.is("LayerNormalization");
    let affine = Affine::of(call, &x.shape[axis..], (1, centred.then_some(2)))?;
    let rows = Normal { centred, epsilon: to_half(call.float("epsilon", 1e-5)), affine }.of(&x.values, partial);
    let ones = vec![1; x.rank() - axis];
    let shape: Vec<usize> = x.shape[..axis].iter().copied().chain(ones).collect();
    let mut made = vec![Some(Values::made(x.shape.clone(), rows.values))];
    made.extend(centred.then(|| Some(Values::made(shape.clone(), rows.means))));
    made.push(Some(Values::made(shape, rows.inverses)));
    Ok(named(call, made))
}

/// The same of a sum of two tensors, and a bias.
pub(super) fn skip<P: Partial>(call: &Call, partial: &P) -> Result<Vec<Values<'static>>, String> {
    let (x, other) = (call.input(0)?, call.input(1)?);
    let centred = call.node.op_type() == "SkipLayerNormalization";
    let fit = |v: &Values| broadcast(v, &x.shape).ok_or_else(|| call.misfit());
    let mut sum: Vec<f32> = x.values.iter().zip(fit(other)?).map(|(a, b)| to_half(a + b)).collect();
    if let Some(bias) = call.given(if centred { 4 } else { 3 }) {
        sum.iter_mut().zip(fit(bias)?).for_each(|(x, bias)| *x = to_half(*x + bias));
    }
    let row = x.rank().saturating_sub(1);
    let affine = Affine::of(call, &x.shape[row..], (2, centred.then_some(3)))?;
    let rows = Normal { centred, epsilon: to_half(call.float("epsilon", 1e-12)), affine }.of(&sum, partial);
    let shape: Vec<usize> = x.shape[..row].iter().copied().chain([1]).collect();
    let made = [
        Values::made(x.shape.clone(), rows.values),
        Values::made(shape.clone(), rows.means),
        Values::made(shape, rows.inverses),
        Values::made(x.shape.clone(), sum),
    ];
    Ok(named(call, made.map(Some).into()))
}

/// Those of the values whose outputs have names.
fn named(call: &Call, made: Vec<Option<Values<'static>>>) -> Vec<Values<'static>> {
    call.node.output.iter().zip(made).filter(|(name, _)| !name.is_empty()).filter_map(|(_, made)| made).collect()
}

/// How rows are normalised.
struct Normal {
    centred: bool,
    epsilon: f32,
    affine: Affine,
}

/// All rows.
#[derive(Default)]
struct Made {
    values: Vec<f32>,
    means: Vec<f32>,
    inverses: Vec<f32>,
}

impl Normal {
    fn of<P: Partial>(&self, values: &[f32], partial: &P) -> Made {
        let of_row = |row: &[f32]| {
            let (row, statistics) = normalised(row, self.centred, self.epsilon, partial);
            (self.affine.on(row), statistics)
        };
        let rows: Vec<(Vec<f32>, Statistics)> = values.par_chunks(self.affine.scale.len().max(1)).map(of_row).collect();
        let mut made = Made::default();
        for (row, Statistics { mean, root }) in rows {
            made.values.extend(row);
            made.means.push(mean);
            made.inverses.push(1.0 / root);
        }
        made
    }
}

/// The opset from which on each channel has a scale of its own, not each group.
const BY_CHANNEL: i64 = 21;

/// InstanceNormalization and GroupNormalization: channels, or groups of those.
pub(super) fn groups<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let x = call.input(0)?;
    let [batch, channels, ..] = x.shape[..] else { return Err(call.misfit()) };
    let plane = x.behind(2);
    let each_alone = call.node.is("InstanceNormalization");
    let groups = if each_alone { channels } else { usize::try_from(call.int("num_groups", 1)).unwrap_or(0) };
    let wide = channels.checked_div(groups).ok_or_else(|| call.misfit())?;
    let by_group = !each_alone && call.since() < BY_CHANNEL;
    let (scale, shift) = (call.input(1)?, call.input(2)?);
    let parts = if by_group { groups } else { channels };
    if wide * groups != channels || scale.values.len() != parts || shift.values.len() != parts {
        return Err(call.misfit());
    }
    let epsilon = to_half(call.float("epsilon", 1e-5));
    let length = (wide * plane).max(1);
    let of_group = |(group, row): (usize, &[f32])| {
        let (row, _) = normalised(row, true, epsilon, partial);
        let group = group % groups;
        let part = move |i: usize| if by_group { group } else { group * wide + i / plane };
        row.into_iter().enumerate().map(move |(i, x)| to_half(x * scale.values[part(i)]) + shift.values[part(i)])
    };
    let made: Vec<f32> = match batch * channels * plane {
        0 => Vec::new(),
        _ => x.values.par_chunks(length).enumerate().flat_map_iter(of_group).collect(),
    };
    Ok(Values::made(x.shape.clone(), made))
}

/// LpNormalization: along one axis, by the sum of its sizes or the root of that of its squares.
pub(super) fn lp<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let x = call.input(0)?;
    let axis = call.axis(call.int("axis", -1), x.rank())?;
    let size = *x.shape.get(axis).ok_or_else(|| call.misfit())?;
    let (inner, squared) = (x.behind(axis + 1), call.int("p", 2) == 2);
    let mut made = x.values.to_vec();
    for block in made.chunks_mut((size * inner).max(1)) {
        for at in 0..inner {
            let row: Vec<f32> = block[at..].iter().step_by(inner).copied().collect();
            let norm = match squared {
                true => to_half(total(&squares(&row, partial), partial).sqrt()),
                false => total(&each(&row, f32::abs), partial),
            };
            // As ONNX Runtime has it: nothing over nothing is nothing.
            block[at..].iter_mut().step_by(inner).for_each(|x| *x = if norm == 0.0 { 0.0 } else { *x / norm });
        }
    }
    Ok(Values::made(x.shape.clone(), made))
}
