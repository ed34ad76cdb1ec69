//! Parts of a tensor along one axis, in any order and as often as wanted.

use super::Tensor;

impl Tensor {
    /// These positions along `axis`, in this order; a position may come again. `None` without such an axis or position, and for
    /// packed types, of which several elements share a byte.
    pub fn picked(&self, axis: usize, positions: &[usize]) -> Option<Tensor> {
        let size = *self.shape.get(axis)?;
        if positions.iter().any(|at| *at >= size) || (self.as_strings().is_none() && self.dtype.bits() < 8) {
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

    /// Several tensors of one type, whose shapes differ in their first axis only, one after the other.
    pub fn stacked(parts: &[&Tensor]) -> Option<Tensor> {
        let first = parts.first()?;
        let rest = first.shape.get(1..)?;
        let alike = |part: &&Tensor| part.dtype == first.dtype && part.shape.get(1..) == Some(rest);
        if !parts.iter().all(alike) || (first.as_strings().is_none() && first.dtype.bits() < 8) {
            return None;
        }
        let mut shape = first.shape.clone();
        shape[0] = parts.iter().map(|part| part.shape[0]).sum();
        if first.as_strings().is_some() {
            let texts = parts.iter().filter_map(|part| part.as_strings()).flatten().cloned().collect();
            return Tensor::strings(shape, texts).ok();
        }
        let bytes: Vec<u8> = parts.iter().filter_map(|part| part.shared()).flatten().collect();
        Tensor::new(first.dtype, shape, bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

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
    fn rows_are_stacked() {
        let (a, b) = (Tensor::f32(&[1, 2], &[0., 1.]), Tensor::f32(&[2, 2], &[2., 3., 4., 5.]));
        assert_eq!(values(Tensor::stacked(&[&a, &b])), (vec![3, 2], vec![0., 1., 2., 3., 4., 5.]));
        assert!(Tensor::stacked(&[&a, &Tensor::f32(&[1, 3], &[0.; 3])]).is_none());
        assert!(Tensor::stacked(&[]).is_none());
    }
}
