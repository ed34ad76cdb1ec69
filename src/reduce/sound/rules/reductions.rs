//! One number in the place of an axis.

use super::super::call::{Absurd, Call, Made, Setting, axis, one, unknown};

/// `ReduceSum` and its like: the named axes, all by default.
pub fn reduce(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let axes: Vec<usize> = match call.setting("axes", 1) {
        Setting::Is(axes) => axes.iter().map(|a| axis(*a, x.len())).collect::<Result<_, Absurd>>()?,
        Setting::Absent if call.int("noop_with_empty_axes", 0) != 0 => Vec::new(),
        Setting::Absent => (0..x.len()).collect(),
        Setting::Unknown => return unknown(),
    };
    one(without(x, &axes, call.int("keepdims", 1) != 0))
}

/// `ArgMax` and `ArgMin`: one axis.
pub fn argument(call: &Call) -> Made {
    let Some(x) = call.shape(0)? else { return unknown() };
    let at = axis(call.int("axis", 0), x.len())?;
    one(without(x, &[at], call.int("keepdims", 1) != 0))
}

fn without(x: &[Option<usize>], axes: &[usize], keep: bool) -> Vec<Option<usize>> {
    let left = x.iter().enumerate().filter(|(a, _)| keep || !axes.contains(a));
    left.map(|(a, d)| if axes.contains(&a) { Some(1) } else { *d }).collect()
}
