//! A part of a tensor along one axis. Values only.

use std::ops::Range;

use crate::tensor::{DType, Tensor};

/// The part of `tensor` with the indices `range` of `axis`. `None` for elements below a byte, and where the axis or the
/// range is not in the tensor. The first axis is cut without a copy.
pub fn slice(tensor: &Tensor, axis: usize, range: Range<usize>) -> Option<Tensor> {
    let size = *tensor.shape.get(axis)?;
    if range.start > range.end || range.end > size {
        return None;
    }
    let mut shape = tensor.shape.clone();
    shape[axis] = range.len();
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    if let Some(strings) = tensor.as_strings() {
        return Tensor::strings(shape, pick(strings, size * inner, range.start * inner..range.end * inner)).ok();
    }
    if !whole_bytes(tensor.dtype) {
        return None;
    }
    let run = inner * tensor.dtype.bits() / 8;
    let part = range.start * run..range.end * run;
    let outer: usize = tensor.shape[..axis].iter().product();
    let bytes = match tensor.shared() {
        Some(shared) if outer == 1 => shared.slice(part),
        _ => pick(tensor.bytes(), size * run, part).into(),
    };
    Tensor::new(tensor.dtype, shape, bytes).ok()
}

/// Can [`slice`] cut tensors of this type?
pub fn whole_bytes(dtype: DType) -> bool {
    dtype == DType::String || dtype.bits() >= 8
}

/// `part` of every block of this length.
fn pick<T: Clone>(values: &[T], block: usize, part: Range<usize>) -> Vec<T> {
    match block {
        0 => Vec::new(),
        _ => values.chunks_exact(block).flat_map(|b| &b[part.clone()]).cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Element by element, by its index along every axis.
    fn by_index(shape: &[usize], axis: usize, range: &Range<usize>) -> Vec<usize> {
        let elements: usize = shape.iter().product();
        let along = |element: usize| element / shape[axis + 1..].iter().product::<usize>() % shape[axis];
        (0..elements).filter(|e| range.contains(&along(*e))).collect()
    }

    proptest! {
        #[test]
        fn every_element_of_the_part_and_no_other(
            shape in prop::collection::vec(0usize..5, 1..5),
            (axis, start, end) in (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            dtype in prop::sample::select(DType::ALL.to_vec()),
        ) {
            let axis = axis.index(shape.len());
            let end = end.index(shape[axis] + 1);
            let range = start.index(end + 1)..end;
            let elements: usize = shape.iter().product();
            let wanted = by_index(&shape, axis, &range);
            let mut short = shape.clone();
            short[axis] = range.len();
            if dtype == DType::String {
                let text = |e: &usize| format!("s{e}");
                let tensor = Tensor::strings(shape, (0..elements).map(|e| text(&e)).collect()).unwrap();
                let part = slice(&tensor, axis, range).unwrap();
                prop_assert_eq!(&part.shape, &short);
                prop_assert_eq!(part.as_strings().unwrap(), wanted.iter().map(text).collect::<Vec<_>>());
                return Ok(());
            }
            let width = dtype.bits() / 8;
            let code = |e: usize| (0..width).map(move |b| (e * 3 + b) as u8);
            let bytes: Vec<u8> = match width {
                0 => vec![0; dtype.byte_len(elements).unwrap()],
                _ => (0..elements).flat_map(code).collect(),
            };
            let part = slice(&Tensor::new(dtype, shape, bytes).unwrap(), axis, range);
            prop_assert_eq!(part.is_some(), width > 0);
            if let Some(part) = part {
                prop_assert_eq!((part.dtype, &part.shape), (dtype, &short));
                prop_assert_eq!(part.bytes(), wanted.into_iter().flat_map(code).collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn what_is_not_there_cannot_be_cut() {
        let tensor = Tensor::f32(&[2, 3], &[0.0; 6]);
        let backwards = Range { start: 2, end: 1 };
        for (axis, range) in [(2, 0..1), (1, 0..4), (1, backwards)] {
            assert!(slice(&tensor, axis, range).is_none());
        }
        assert!(slice(&Tensor::f32(&[], &[1.0]), 0, 0..1).is_none());
    }
}
