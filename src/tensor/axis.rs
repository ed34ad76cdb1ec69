//! Parts of a tensor along one axis, in any order and as often as wanted.

use std::ops::Range;

use super::{DType, Tensor};

impl Tensor {
    /// The part with the indices `range` of `axis`. `None` for elements below a byte, and where the axis or the range is not in
    /// the tensor. The first axis is cut without a copy.
    pub fn part(&self, axis: usize, range: Range<usize>) -> Option<Tensor> {
        let size = *self.shape.get(axis)?;
        if range.start > range.end || range.end > size || !self.dtype.whole_bytes() {
            return None;
        }
        let mut shape = self.shape.clone();
        shape[axis] = range.len();
        let inner: usize = self.shape[axis + 1..].iter().product();
        if let Some(strings) = self.as_strings() {
            return Tensor::strings(shape, pick(strings, size * inner, range.start * inner..range.end * inner)).ok();
        }
        let run = inner * self.dtype.bits() / 8;
        let part = range.start * run..range.end * run;
        let outer: usize = self.shape[..axis].iter().product();
        let bytes = match self.shared() {
            Some(shared) if outer == 1 => shared.slice(part),
            _ => pick(self.bytes(), size * run, part).into(),
        };
        Tensor::new(self.dtype, shape, bytes).ok()
    }

    /// These positions along `axis`, in this order; a position may come again. `None` without such an axis or position, and for
    /// packed types, of which several elements share a byte.
    pub fn picked(&self, axis: usize, positions: &[usize]) -> Option<Tensor> {
        let size = *self.shape.get(axis)?;
        if positions.iter().any(|at| *at >= size) || !self.dtype.whole_bytes() {
            return None;
        }
        let outer: usize = self.shape[..axis].iter().product();
        let inner: usize = self.shape[axis + 1..].iter().product();
        let mut shape = self.shape.clone();
        shape[axis] = positions.len();
        let blocks = (0..outer).flat_map(|block| positions.iter().map(move |at| (block * size + at) * inner));
        if let Some(texts) = self.as_strings() {
            let picked = blocks.flat_map(|from| texts[from..from + inner].iter().cloned()).collect();
            return Tensor::strings(shape, picked).ok();
        }
        let (bytes, wide) = (self.shared()?, self.dtype.bits() / 8);
        let mut picked = Vec::with_capacity(outer * positions.len() * inner * wide);
        blocks.for_each(|from| picked.extend_from_slice(&bytes[from * wide..(from + inner) * wide]));
        Tensor::new(self.dtype, shape, picked).ok()
    }

    /// The elements in the order of the permuted axes: axis `i` is what axis `perm[i]` was. `None` where `perm` is no order of
    /// the axes, and for types that are not of whole bytes, or strings.
    pub fn permuted(&self, perm: &[usize]) -> Option<Tensor> {
        let mut sorted = perm.to_vec();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..self.shape.len()) || self.as_strings().is_some() || !self.dtype.whole_bytes() {
            return None;
        }
        let wide = self.dtype.bits() / 8;
        let mut strides = vec![1usize; self.shape.len()];
        for axis in (1..self.shape.len()).rev() {
            strides[axis - 1] = strides[axis] * self.shape[axis];
        }
        let shape: Vec<usize> = perm.iter().map(|p| self.shape[*p]).collect();
        let steps: Vec<usize> = perm.iter().map(|p| strides[*p]).collect();
        let (source, mut bytes) = (self.bytes(), Vec::with_capacity(self.bytes().len()));
        let mut index = vec![0usize; shape.len()];
        for _ in 0..self.elements() {
            let at: usize = index.iter().zip(&steps).map(|(i, step)| i * step).sum();
            bytes.extend_from_slice(source.get(at * wide..(at + 1) * wide)?);
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Tensor::new(self.dtype, shape, bytes).ok()
    }

    /// The tensor cut to `size` positions along `axis`, or repeated from its start until it has as many.
    pub fn resized(&self, axis: usize, size: usize) -> Option<Tensor> {
        let own = *self.shape.get(axis)?;
        if own == size {
            return Some(self.clone());
        }
        if own == 0 {
            return None;
        }
        self.picked(axis, &(0..size).map(|at| at % own).collect::<Vec<_>>())
    }

    /// Several tensors of one type, whose shapes differ along `axis` only, one behind the other along it.
    pub fn joined(parts: &[&Tensor], axis: usize) -> Option<Tensor> {
        let first = parts.first()?;
        let sizes = parts.iter().map(|part| part.shape.get(axis).copied()).collect::<Option<Vec<usize>>>()?;
        let but_axis = |part: &Tensor| [&part.shape[..axis], &part.shape[axis + 1..]].concat();
        let rest = but_axis(first);
        let alike = |part: &&Tensor| part.dtype == first.dtype && but_axis(part) == rest;
        if !parts.iter().all(alike) || !first.dtype.whole_bytes() {
            return None;
        }
        let outer: usize = first.shape[..axis].iter().product();
        let inner: usize = first.shape[axis + 1..].iter().product();
        let mut shape = first.shape.clone();
        shape[axis] = sizes.iter().sum();
        let blocks =
            (0..outer).flat_map(|row| parts.iter().zip(&sizes).map(move |(part, size)| (*part, row, size * inner)));
        if first.dtype == DType::String {
            let texts = |(part, row, run): (&'_ Tensor, usize, usize)| {
                part.as_strings().unwrap_or_default()[row * run..][..run].to_vec()
            };
            return Tensor::strings(shape, blocks.flat_map(texts).collect()).ok();
        }
        let wide = first.dtype.bits() / 8;
        let mut bytes = Vec::with_capacity(shape.iter().product::<usize>() * wide);
        blocks.for_each(|(part, row, run)| bytes.extend_from_slice(&part.bytes()[row * run * wide..][..run * wide]));
        Tensor::new(first.dtype, shape, bytes).ok()
    }
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

    fn values(tensor: Option<Tensor>) -> (Vec<usize>, Vec<f32>) {
        let tensor = tensor.unwrap();
        (tensor.shape.clone(), tensor.view::<f32>().to_vec())
    }

    #[test]
    fn positions_along_any_axis() {
        let tensor = Tensor::f32(&[2, 3], &[0., 1., 2., 10., 11., 12.]);
        assert_eq!(values(tensor.picked(1, &[2, 0, 2])), (vec![2, 3], vec![2., 0., 2., 12., 10., 12.]));
        assert_eq!(values(tensor.picked(0, &[1])), (vec![1, 3], vec![10., 11., 12.]));
        assert!(tensor.picked(1, &[3]).is_none() && tensor.picked(2, &[0]).is_none());
        let texts = Tensor::strings(vec![2], vec!["a".into(), "b".into()]).unwrap();
        assert_eq!(texts.picked(0, &[1, 1]).unwrap().as_strings().unwrap(), ["b", "b"]);
        let packed = Tensor::new(DType::Int4, vec![2], vec![0x21]).unwrap();
        assert!(packed.picked(0, &[0]).is_none());
    }

    #[test]
    fn sizes_are_cut_and_repeated() {
        let tensor = Tensor::f32(&[1, 3], &[0., 1., 2.]);
        assert_eq!(values(tensor.resized(1, 2)), (vec![1, 2], vec![0., 1.]));
        assert_eq!(values(tensor.resized(1, 5)), (vec![1, 5], vec![0., 1., 2., 0., 1.]));
        assert_eq!(values(tensor.resized(0, 2)), (vec![2, 3], vec![0., 1., 2., 0., 1., 2.]));
        assert_eq!(values(tensor.resized(1, 0)), (vec![1, 0], vec![]));
        assert!(Tensor::f32(&[0], &[]).resized(0, 2).is_none());
    }

    #[test]
    fn parts_are_joined_along_any_axis() {
        let (a, b) = (Tensor::f32(&[1, 2], &[0., 1.]), Tensor::f32(&[2, 2], &[2., 3., 4., 5.]));
        assert_eq!(values(Tensor::joined(&[&a, &b], 0)), (vec![3, 2], vec![0., 1., 2., 3., 4., 5.]));
        assert!(Tensor::joined(&[&a, &Tensor::f32(&[1, 3], &[0.; 3])], 0).is_none());
        assert!(Tensor::joined(&[], 0).is_none());
        let (left, right) = (Tensor::f32(&[2, 1], &[0., 10.]), Tensor::f32(&[2, 2], &[1., 2., 11., 12.]));
        assert_eq!(values(Tensor::joined(&[&left, &right], 1)), (vec![2, 3], vec![0., 1., 2., 10., 11., 12.]));
        let texts = Tensor::strings(vec![1], vec!["a".into()]).unwrap();
        assert_eq!(Tensor::joined(&[&texts, &texts], 0).unwrap().as_strings().unwrap(), ["a", "a"]);
    }

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
                let part = tensor.part(axis, range).unwrap();
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
            let part = Tensor::new(dtype, shape, bytes).unwrap().part(axis, range);
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
            assert!(tensor.part(axis, range).is_none());
        }
        assert!(Tensor::f32(&[], &[1.0]).part(0, 0..1).is_none());
    }
}
