//! What a candidate computes in, as far as the values that it hands out tell: float32 tensors whose elements are all numbers of
//! FP16 or BF16, where the reference's are not.

use std::borrow::Cow;

use half::{bf16, f16};

use crate::spec::Precision;
use crate::tensor::{DType, Tensor};

/// So many elements of the reference at least must lie off the grid: all of the candidate's lie on it by chance in one case of
/// 2^(13 * ENOUGH).
const ENOUGH: usize = 3;

/// By one tensor of both sides; `None` where nothing is to be seen.
pub fn precision(reference: &Tensor, candidate: &Tensor) -> Option<Precision> {
    let direct = match candidate.dtype {
        DType::Float16 => Some(Precision::Fp16),
        DType::Bfloat16 => Some(Precision::Bf16),
        _ => None,
    };
    if reference.dtype != DType::Float32 || reference.shape != candidate.shape || direct.is_some() {
        return direct.filter(|_| reference.dtype != candidate.dtype);
    }
    if candidate.dtype != DType::Float32 {
        return None;
    }
    let (r, c): (Cow<[f32]>, Cow<[f32]>) = (reference.view(), candidate.view());
    [(Precision::Bf16, is_bf16 as fn(&f32) -> bool), (Precision::Fp16, is_f16)]
        .into_iter()
        .find(|(_, on)| c.iter().all(on) && r.iter().filter(|x| !on(x)).take(ENOUGH).count() == ENOUGH)
        .map(|(precision, _)| precision)
}

/// Would a tensor of the reference show it?
pub fn tells(reference: &Tensor) -> bool {
    let off = |x: &&f32| !is_f16(x);
    reference.dtype == DType::Float32 && reference.view::<f32>().iter().filter(off).take(ENOUGH).count() == ENOUGH
}

fn is_bf16(x: &f32) -> bool {
    !x.is_finite() || bf16::from_f32(*x).to_f32() == *x
}

fn is_f16(x: &f32) -> bool {
    !x.is_finite() || f16::from_f32(*x).to_f32() == *x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_seen_where_the_reference_is_off_it() {
        let check = |r: &[f32], c: &[f32], want: Option<Precision>| {
            assert_eq!(precision(&Tensor::f32(&[r.len()], r), &Tensor::f32(&[c.len()], c)), want, "{r:?} {c:?}");
        };
        let plain = [0.1f32, 0.7, 1.3, -2.9, 1e-9];
        let to = |round: fn(f32) -> f32| plain.map(round);
        check(&plain, &to(|x| f16::from_f32(x).to_f32()), Some(Precision::Fp16));
        check(&plain, &to(|x| bf16::from_f32(x).to_f32()), Some(Precision::Bf16));
        check(&plain, &plain.map(f32::next_up), None);
        check(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.5, 4.0], None);
        check(&[0.1, 1.0, 2.0, 3.0], &[0.125, 1.0, 2.0, 3.0], None);
    }

    #[test]
    fn an_element_type_tells_it_outright() {
        let half = Tensor::from_vec(DType::Float16, vec![1], vec![f16::from_f32(1.0)]);
        assert_eq!(precision(&Tensor::f32(&[1], &[1.0]), &half), Some(Precision::Fp16));
        assert_eq!(precision(&half, &half), None);
    }
}
