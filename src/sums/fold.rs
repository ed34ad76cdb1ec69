//! Reductions: sums of what lies along some axes, as a tree.

use rayon::prelude::*;

use super::half::{Partial, to_half};
use super::product::STEP;
use super::{Call, Values, transposed};

/// The sum: [`STEP`] values at a time, then the sums of those, until one is left.
pub(super) fn total<P: Partial>(values: &[f32], partial: &P) -> f32 {
    let level = |values: &[f32]| {
        let mut sums: Vec<f32> = values.chunks(STEP).map(|some| some.iter().sum()).collect();
        partial.settle(&mut sums);
        sums
    };
    let mut sums = level(values);
    while sums.len() > 1 {
        sums = level(&sums);
    }
    sums.first().copied().unwrap_or(0.0)
}

/// What is reduced, side by side; and the shape that is left.
struct Rows<'a> {
    values: std::borrow::Cow<'a, [f32]>,
    length: usize,
    shape: Vec<usize>,
}

/// ReduceSum and its like, GlobalAveragePool.
pub(super) fn reduce<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let Rows { values, length, shape } = rows(call)?;
    let count: usize = shape.iter().product();
    let of_row = row_of(call.node.op_type()).ok_or_else(|| call.misfit())?;
    let made = match length {
        0 => vec![of_row(&[], partial); count],
        _ => values.par_chunks(length).map(|row| of_row(row, partial)).collect(),
    };
    Ok(Values::made(shape, made))
}

fn rows<'a>(call: &Call<'a>) -> Result<Rows<'a>, String> {
    let x = call.input(0)?;
    let rank = x.rank();
    let pools = call.node.is("GlobalAveragePool");
    let axes: Vec<usize> = match call.ints("axes") {
        _ if pools => (2..rank).collect(),
        Some(axes) if !axes.is_empty() => axes.iter().map(|axis| call.axis(*axis, rank)).collect::<Result<_, _>>()?,
        _ => (0..rank).collect(),
    };
    let reduced = |axis: &usize| axes.contains(axis);
    let keeps = pools || call.int("keepdims", 1) != 0;
    let shape = (0..rank).filter(|axis| keeps || !reduced(axis));
    let shape = shape.map(|axis| if reduced(&axis) { 1 } else { x.shape[axis] }).collect();
    let length = (0..rank).filter(reduced).map(|axis| x.shape[axis]).product();
    let mut order: Vec<usize> = (0..rank).collect();
    order.sort_by_key(|axis| reduced(axis));
    let values = match order.is_sorted() {
        true => x.values.as_ref().into(),
        false => transposed(&x.values, &x.shape, &order).into(),
    };
    Ok(Rows { values, length, shape })
}

type OfRow<P> = fn(&[f32], &P) -> f32;

/// What an operator makes of a row.
fn row_of<P: Partial>(op_type: &str) -> Option<OfRow<P>> {
    Some(match op_type {
        "ReduceSum" => total,
        "ReduceMean" | "GlobalAveragePool" => |row, p| total(row, p) / row.len() as f32,
        "ReduceL1" => |row, p| total(&each(row, f32::abs), p),
        "ReduceL2" => |row, p| total(&squares(row, p), p).sqrt(),
        "ReduceSumSquare" => |row, p| total(&squares(row, p), p),
        "ReduceLogSum" => |row, p| total(row, p).ln(),
        "ReduceLogSumExp" => |row, p| {
            let most = row.iter().fold(f32::NEG_INFINITY, |most, x| most.max(*x));
            let base = if most.is_finite() { most } else { 0.0 };
            to_half(total(&each(row, |x| to_half((x - base).exp())), p).ln()) + base
        },
        _ => return None,
    })
}

pub(super) fn each(row: &[f32], f: impl Fn(f32) -> f32) -> Vec<f32> {
    row.iter().map(|x| f(*x)).collect()
}

/// Each a sum of its own.
pub(super) fn squares<P: Partial>(row: &[f32], partial: &P) -> Vec<f32> {
    let mut squares = each(row, |x| x * x);
    partial.settle(&mut squares);
    squares
}
