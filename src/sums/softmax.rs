//! Softmax and LogSoftmax: their denominator is a sum.

use rayon::prelude::*;

use super::fold::{each, total};
use super::half::{Partial, to_half};
use super::{Call, Values, transposed};

/// The opset from which on it is of one axis; before, of all from the axis on.
const ONE_AXIS: i64 = 13;

pub(super) fn softmax<P: Partial>(call: &Call, partial: &P) -> Result<Values<'static>, String> {
    let x = call.input(0)?;
    let (rank, one) = (x.rank(), call.since() >= ONE_AXIS);
    let axis = call.axis(call.int("axis", if one { -1 } else { 1 }), rank)?;
    let last = axis + 1 >= rank;
    let order: Vec<usize> = (0..rank).filter(|at| *at != axis).chain((axis < rank).then_some(axis)).collect();
    // The axis goes to the end, and comes back.
    let moves = one && !last;
    let values = if moves { transposed(&x.values, &x.shape, &order).into() } else { x.values.clone() };
    let length = if one { x.shape.get(axis).copied().unwrap_or(1) } else { x.behind(axis) };
    let logs = call.node.is("LogSoftmax");
    let made: Vec<f32> = values.par_chunks(length.max(1)).flat_map_iter(|row| of_row(row, logs, partial)).collect();
    let made = match moves {
        true => {
            let shape: Vec<usize> = order.iter().map(|axis| x.shape[*axis]).collect();
            let back: Vec<usize> =
                (0..rank).map(|axis| order.iter().position(|at| *at == axis).unwrap_or(axis)).collect();
            transposed(&made, &shape, &back)
        }
        false => made,
    };
    Ok(Values::made(x.shape.clone(), made))
}

fn of_row<P: Partial>(row: &[f32], logs: bool, partial: &P) -> Vec<f32> {
    let most = row.iter().fold(f32::NEG_INFINITY, |most, x| if x.is_nan() { f32::NAN } else { most.max(*x) });
    let below = each(row, |x| to_half(x - most));
    let powers = each(&below, |x| to_half(x.exp()));
    let sum = total(&powers, partial);
    match logs {
        true => each(&below, |x| x - to_half(sum.ln())),
        false => each(&powers, |x| x / sum),
    }
}
