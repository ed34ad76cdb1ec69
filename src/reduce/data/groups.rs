//! Which axes to cut together, and where the failing element is along each: guesses from sizes and places. Asks nobody.

use std::cmp::Reverse;

use super::cut::{Axis, Cuts, Whole};

/// So many guesses there are for one axis.
pub const CHOICES: usize = 5;

/// The first axes of the inputs that hold the samples: as many as the output has, or, where that is unknown, as many as
/// the first input that has several.
pub fn batch(whole: &Whole, output: Option<&[usize]>) -> Vec<Axis> {
    let inputs = || (0..whole.tensors.len()).filter(|t| whole.tensors[*t].is_input);
    let first = |t: usize| whole.tensors[t].shape.first().copied().filter(|n| *n > 1);
    let samples = match output {
        Some(shape) => shape.first().copied(),
        None => inputs().find_map(first),
    };
    inputs().filter(|t| first(*t).is_some() && first(*t) == samples).map(|t| (t, 0)).collect()
}

/// All axes that could be cut: those first that may save 16 times as much as others; of these, those of inputs, with which
/// most others shrink, the long ones first.
pub fn axes(whole: &Whole) -> Vec<Axis> {
    let of = |t: usize| (0..whole.tensors[t].shape.len()).map(move |a| (t, a));
    let mut axes: Vec<Axis> = (0..whole.tensors.len()).flat_map(of).filter(|a| whole.size(*a) > 1).collect();
    let magnitude = |a: Axis| whole.saves(a).checked_ilog(16);
    axes.sort_by_key(|a| (Reverse(magnitude(*a)), !whole.tensors[a.0].is_input, Reverse(whole.size(*a))));
    axes
}

/// The axes that shrink with `axis` by guess number `choice`; all of them are equally long after `cuts`.
///
/// 0: alone (space in front of a convolution). 1: the same place of all inputs, or of all weights, from the back
/// (element-wise operators; columns of a matrix and a bias). 2: of inputs and weights, from the back (normalisation). 3: of weights, from the front (a convolution's kernel and
/// bias). 4: every axis of this size (what a matrix product sums over).
pub fn group(whole: &Whole, cuts: &Cuts, axis: Axis, choice: usize) -> Vec<Axis> {
    let size = whole.range(cuts, axis).len();
    let rank = |a: Axis| whole.tensors[a.0].shape.len();
    let is_input = |a: Axis| whole.tensors[a.0].is_input;
    let same_back = |a: Axis| rank(a) - a.1 == rank(axis) - axis.1;
    let belongs = |a: Axis| match choice {
        0 => false,
        1 => is_input(a) == is_input(axis) && same_back(a),
        2 => same_back(a),
        3 => !is_input(a) && !is_input(axis) && a.1 == axis.1,
        _ => true,
    };
    let all = (0..whole.tensors.len()).flat_map(|t| (0..whole.tensors[t].shape.len()).map(move |a| (t, a)));
    all.filter(|a| *a == axis || (belongs(*a) && whole.range(cuts, *a).len() == size)).collect()
}

/// Where along `axis` the element at `hint` of the output comes from, if it can be guessed.
pub fn focus(whole: &Whole, axis: Axis, output: Option<&[usize]>, hint: Option<&[usize]>) -> Option<usize> {
    let (output, hint) = (output?, hint?);
    if output.len() != hint.len() {
        return None;
    }
    let size = whole.size(axis);
    let from_back = whole.tensors[axis.0].shape.len() - axis.1;
    let back = output.len().checked_sub(from_back);
    let same = |place: &usize| output.get(*place) == Some(&size);
    let place = back.filter(same).or(Some(axis.1).filter(same)).or_else(|| output.iter().position(|n| *n == size));
    match place {
        Some(place) => Some(hint[place]),
        // A stride or a window lies between: the middle of the element, the same fraction of the way.
        None => back.filter(|b| output[*b] > 0).map(|b| (2 * hint[b] + 1) * size / (2 * output[b])),
    }
    .map(|f| f.min(size.saturating_sub(1)))
}
