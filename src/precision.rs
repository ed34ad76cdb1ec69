//! Element types: a lower precision emulated, half-precision files kept as they are, values cast. Graph -> graph, tensor ->
//! tensor; nothing here runs a model.

pub mod convert;
mod emulate;
mod expose;
mod retype;
mod split;
mod summed;
pub mod tf32;

pub use emulate::{CLAMP, Kept, ROUND};
pub use expose::expose;
pub use retype::{Unfit, cast, convertible, integers, is_integer, retyped};
pub use split::split;
pub use summed::{ROUND_DOMAIN, SUMS, summed};

use crate::mark::Types;
use crate::onnx::ModelProto;
use crate::spec::Emulation;
use crate::tensor::{DType, Tensor};

/// `model` as a device computes it in `low`, on a backend that has only float32. Nodes in `kept` compute in float32. `types`
/// must hold the element types of all tensors, inputs and initializers; what it lacks is left alone. The arithmetic is FP16's.
pub fn emulate(model: &ModelProto, types: &Types, how: impl Into<Emulation>, kept: &Kept) -> ModelProto {
    let Emulation { low, arithmetic } = how.into();
    match low.storage() {
        Some(storage) => emulate::emulate(model, types, (storage, arithmetic), kept),
        None => tf32::emulate(model, types, kept),
    }
}

/// A float32 or float64 tensor as `low` stores it, widened again; other types are given back as they are.
pub fn rounded(tensor: &Tensor, low: DType) -> Tensor {
    let round: fn(f32) -> f32 = match low {
        DType::Float16 => |x| half::f16::from_f32(x).to_f32(),
        DType::Bfloat16 => |x| half::bf16::from_f32(x).to_f32(),
        _ => return tensor.clone(),
    };
    let shape = tensor.shape.clone();
    match tensor.dtype {
        DType::Float32 => {
            let values = tensor.view::<f32>().iter().map(|x| round(*x)).collect();
            Tensor::from_vec::<f32>(DType::Float32, shape, values)
        }
        // As a device does it, by way of float32.
        DType::Float64 => {
            let values = tensor.view::<f64>().iter().map(|x| f64::from(round(*x as f32))).collect();
            Tensor::from_vec::<f64>(DType::Float64, shape, values)
        }
        _ => tensor.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_become_floats_and_integers_integers() {
        let x = Tensor::f32(&[3], &[1.0, 1e6, -0.1]);
        let low = cast(&x, DType::Float16).unwrap();
        assert_eq!((low.dtype, low.bytes().len()), (DType::Float16, 6));
        let back = cast(&low, DType::Float32).unwrap();
        assert_eq!(back.view::<f32>().as_ref(), [1.0, f32::INFINITY, -0.099_975_586]);
        assert!(cast(&Tensor::i64(&[1], &[1]), DType::Float32).is_none());
        assert_eq!(cast(&Tensor::i64(&[2], &[1, -1]), DType::Int32).unwrap().view::<i32>().as_ref(), [1, -1]);
        assert!(cast(&Tensor::i64(&[1], &[-1]), DType::Uint8).is_none());
    }

    #[test]
    fn doubles_are_rounded_by_way_of_float32() {
        // Behind 1 + 2^-11, halfway between two float16, by less than float32 sees: the tie goes to even.
        let near = 1.0 + f64::powi(2.0, -11) + f64::powi(2.0, -40);
        let x = Tensor::from_vec(DType::Float64, vec![3], vec![near, 16_777_217.0, -0.1]);
        assert_eq!(rounded(&x, DType::Float16).view::<f64>().as_ref(), [1.0, f64::INFINITY, -0.0999755859375]);
        let same = Tensor::i64(&[1], &[1]);
        assert_eq!(rounded(&same, DType::Bfloat16).bytes(), same.bytes());
    }
}
