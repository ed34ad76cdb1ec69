//! A weight whose channels differ in size and share one scale: the small ones are left with a few codes.

use super::fitted::anew;
use super::{Seen, Suspicion, Undo};
use crate::compare::to_f64;
use crate::diagnose::words::{num, share};
use crate::qdq::Grid;
use crate::tensor::Tensor;

/// Channels this much smaller than the largest are hurt by its scale: three bits are left of eight.
const RATIO: f64 = 16.0;

/// Undone by a scale for each output channel.
pub fn one_scale(seen: &Seen, codes: &Tensor) -> Option<Suspicion> {
    let (pair, weight) = (seen.laid.pair, seen.laid.value);
    let (_, axis) = pair.channels.as_ref().filter(|_| pair.axis.is_none() && pair.block == 0)?;
    let axis = if pair.channels.as_ref().is_some_and(|(op, _)| op == "MatMul") {
        weight.shape.len().checked_sub(1)?
    } else {
        *axis
    };
    let grid = Grid::dequantizer(pair, &weight.shape)?;
    let channels = *weight.shape.get(axis).filter(|c| **c > 1)?;
    let inner: usize = weight.shape[axis + 1..].iter().product::<usize>().max(1);
    let (mut reach, mut steps) = (vec![0f64; channels], vec![0f64; channels]);
    for (i, (x, code)) in to_f64(weight).into_iter().zip(to_f64(codes)).enumerate() {
        let channel = i / inner % channels;
        reach[channel] = reach[channel].max(x.abs());
        steps[channel] = steps[channel].max((code - grid.zero(0)).abs());
    }
    let largest = reach.iter().copied().fold(0.0, f64::max);
    let smallest = reach.iter().copied().filter(|r| *r > 0.0).fold(f64::INFINITY, f64::min);
    let hurt = reach.iter().filter(|r| **r > 0.0 && **r * RATIO < largest).count();
    if hurt == 0 {
        return None;
    }
    // Of -1, 0 and 1.
    let few = reach.iter().zip(&steps).filter(|(r, s)| **r > 0.0 && **s < 2.0).count();
    Some(Suspicion {
        code: "channel-ranges",
        evidence: format!(
            "one scale for the {channels} channels of {}, of which the largest reaches {} and the smallest {}: {} times less; {} have fewer than 4 codes",
            seen.laid.place,
            num(largest),
            num(smallest),
            num(largest / smallest),
            share(few as u64, channels as u64, "channels"),
        ),
        advice: format!("quantise weights per channel (per_channel=True), at least '{}'", pair.tensor),
        undo: anew(pair, weight, Some(axis)).map_or(Undo::Unquantised, |p| Undo::Parameters(Box::new(p))),
    })
}
