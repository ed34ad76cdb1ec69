//! Which array of a dump is which tensor of the model where no name tells: by values that agree with one tensor only, and between
//! those by shape and order. Pure: tensors in, pairs out.

use super::layouts::error;
use crate::tensor::Tensor;
use crate::tensor::moved::Moved;

/// Values this close are the same tensor: see [`error`].
const SAME: f64 = 0.05;
/// Fewer elements agree by chance.
const ENOUGH: usize = 4;

/// One of many, in their order: arrays of a file, or tensors of the reference from the inputs to the outputs.
pub struct Placed<'a> {
    /// Of one sample.
    pub value: &'a Tensor,
    /// What is known of it.
    pub known: Known,
}

/// What is known of an array or a tensor beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// It is one with the other at this place.
    Pair(usize),
    /// It is something else.
    Other,
}

/// Pairs of places, an array's and a tensor's.
#[derive(Debug, Default, PartialEq)]
pub struct Pairs {
    /// Their values agree, and with nothing else.
    pub by_values: Vec<(usize, usize)>,
    /// As many arrays of a shape as tensors, between two pairs: in their order.
    pub by_order: Vec<(usize, usize)>,
}

/// Of what is not known.
pub fn pairs(arrays: &[Placed], tensors: &[Placed]) -> Pairs {
    let mut pairs = Pairs { by_values: by_values(arrays, tensors), ..Pairs::default() };
    let known = arrays.iter().enumerate().filter_map(|(a, array)| match array.known {
        Known::Pair(t) => Some((a, t)),
        Known::Nothing | Known::Other => None,
    });
    let mut anchors: Vec<(usize, usize)> = known.chain(pairs.by_values.iter().copied()).collect();
    anchors.sort_unstable();
    let ordered = anchors.windows(2).all(|two| two[0].1 < two[1].1);
    // A file in an order of its own tells nothing by its order.
    if ordered {
        let ends = anchors.iter().copied().chain([(arrays.len(), tensors.len())]);
        let mut from = (0, 0);
        for to in ends {
            pairs.by_order.extend(between(arrays, tensors, (from.0, to.0), (from.1, to.1)));
            from = (to.0 + 1, to.1 + 1);
        }
    }
    pairs
}

/// Rounds of what is plain when the pairs of the rounds before are known.
fn by_values(arrays: &[Placed], tensors: &[Placed]) -> Vec<(usize, usize)> {
    let free: Vec<usize> = (0..tensors.len()).filter(|t| tensors[*t].known == Known::Nothing).collect();
    let mut likes: Vec<Vec<usize>> = arrays.iter().map(|array| alike(array, &free, tensors)).collect();
    let mut made = Vec::new();
    loop {
        let exact = |a: usize, t: usize| arrays[a].value.shape == tensors[t].value.shape;
        // Of tensors that are the same values in other shapes, the one of the array's own shape.
        let choice = |(a, like): (usize, &Vec<usize>)| {
            let shaped: Vec<usize> = like.iter().copied().filter(|t| exact(a, *t)).collect();
            match (&shaped[..], &like[..]) {
                ([t], _) | ([], [t]) => Some((a, *t)),
                _ => None,
            }
        };
        let chosen: Vec<(usize, usize)> = likes.iter().enumerate().filter_map(choice).collect();
        let rivals = |t: usize, shaped: bool| {
            chosen.iter().filter(|(a, other)| *other == t && (!shaped || exact(*a, t))).count()
        };
        let plain = |(a, t): &&(usize, usize)| rivals(*t, exact(*a, *t)) == 1;
        let accepted: Vec<(usize, usize)> = chosen.iter().filter(plain).copied().collect();
        if accepted.is_empty() {
            made.sort_unstable();
            return made;
        }
        for (a, t) in &accepted {
            likes[*a].clear();
            likes.iter_mut().for_each(|like| like.retain(|other| other != t));
        }
        made.extend(accepted);
    }
}

/// Tensors of these whose values the array has.
fn alike(array: &Placed, free: &[usize], tensors: &[Placed]) -> Vec<usize> {
    if array.known != Known::Nothing || array.value.elements() < ENOUGH {
        return Vec::new();
    }
    let same = |t: &&usize| {
        let reference = tensors[**t].value;
        reference.elements() == array.value.elements()
            && Moved::ways(&array.value.shape, &reference.shape)
                .iter()
                .any(|way| error(reference, array.value, way) < SAME)
    };
    free.iter().filter(same).copied().collect()
}

/// Of what stands between two pairs: arrays and tensors of a shape, where there are as many of the one as of the other.
fn between(arrays: &[Placed], tensors: &[Placed], a: (usize, usize), t: (usize, usize)) -> Vec<(usize, usize)> {
    let mut made = Vec::new();
    let free = |of: &[Placed], (from, to): (usize, usize)| -> Vec<usize> {
        (from..to).filter(|i| of[*i].known == Known::Nothing).collect()
    };
    let (mut arrays_left, mut tensors_left) = (free(arrays, a), free(tensors, t));
    // Equal shapes first, then those that become equal.
    let equal = |from: &[usize], to: &[usize]| from == to;
    let fits = |from: &[usize], to: &[usize]| !Moved::ways(from, to).is_empty();
    for suits in [&equal as &dyn Fn(&[usize], &[usize]) -> bool, &fits] {
        let mut round = Vec::new();
        let mut open = arrays_left.clone();
        while let Some(first) = open.first() {
            let shape = arrays[*first].value.shape.clone();
            let (like, rest): (Vec<usize>, Vec<usize>) =
                open.iter().copied().partition(|a| arrays[*a].value.shape == shape);
            let fitting: Vec<usize> =
                tensors_left.iter().filter(|t| suits(&shape, &tensors[**t].value.shape)).copied().collect();
            if like.len() == fitting.len() {
                round.extend(like.into_iter().zip(fitting));
            }
            open = rest;
        }
        // A tensor that fits arrays of two shapes is nobody's.
        let once = |t: usize| round.iter().filter(|(_, other)| *other == t).count() == 1;
        made.extend(round.iter().copied().filter(|(_, t)| once(*t)));
        arrays_left.retain(|a| made.iter().all(|(other, _)| other != a));
        tensors_left.retain(|t| made.iter().all(|(_, other)| other != t));
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(shape: &[usize], by: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * by).sin()).collect();
        Tensor::f32(shape, &values)
    }

    fn placed<'a>(values: &'a [Tensor], known: &[(usize, usize)]) -> Vec<Placed<'a>> {
        let one = |(i, value)| {
            let known = known.iter().find(|(a, _)| *a == i).map_or(Known::Nothing, |(_, b)| Known::Pair(*b));
            Placed { value, known }
        };
        values.iter().enumerate().map(one).collect()
    }

    #[test]
    fn values_then_order() {
        let tensors = [1.1, 0.9, 0.7, 0.5, 0.3].map(|by| wave(&[1, 2, 3, 4], by));
        let last = tensors[3].permuted(&[0, 2, 3, 1]).unwrap();
        // The second and the third have their channels elsewhere or other values.
        let arrays = [tensors[0].clone(), wave(&[1, 2, 3, 4], 0.01), wave(&[1, 2, 3, 4], 0.02), last];
        let got = pairs(&placed(&arrays, &[]), &placed(&tensors, &[]));
        assert_eq!(got, Pairs { by_values: vec![(0, 0), (3, 3)], by_order: vec![(1, 1), (2, 2)] });
        // Fewer arrays than tensors of a shape: nobody knows which.
        let got = pairs(&placed(&[arrays[0].clone(), arrays[1].clone()], &[]), &placed(&tensors, &[]));
        assert_eq!(got, Pairs { by_values: vec![(0, 0)], by_order: Vec::new() });
        // What is known is left alone.
        let (a, t) = (placed(&arrays[..2], &[(1, 1)]), placed(&tensors, &[(1, 1)]));
        assert_eq!(pairs(&a, &t), Pairs { by_values: vec![(0, 0)], by_order: Vec::new() });
    }

    #[test]
    fn equal_tensors_are_not_told_apart() {
        let (x, y) = (wave(&[8], 1.0), wave(&[8], 0.2));
        let got = pairs(&placed(std::slice::from_ref(&x), &[]), &placed(&[x.clone(), x.clone(), y], &[]));
        assert_eq!(got, Pairs::default());
        // But by their shapes they are.
        let (long, tall) = (wave(&[1, 8], 1.0), wave(&[1, 1, 8], 1.0));
        let got = pairs(&placed(&[tall, long], &[]), &placed(&[wave(&[8, 1], 1.0), wave(&[1, 8], 1.0)], &[]));
        assert_eq!(got.by_values, [(0, 0), (1, 1)]);
    }
}
