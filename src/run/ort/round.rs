//! The operator that emulates a low precision: float32 -> fewer bits -> float32, in one pass. Its attribute `to` is a storage
//! type, as of Cast, and with `clamp` nothing finite becomes infinite; `mantissa` is 10, for TF32. A second input is a picture that
//! is convolved: if it has one pixel, the values stay as they are.
//!
//! Two Casts would say the same, but ONNX Runtime hunts for cast pairs at every optimisation level, which takes a second
//! for a thousand of them, and has no BF16 Cast below opset 13. A test holds this operator against Casts, bit by bit.
//! It infers no shape: ONNX Runtime does not need one, and `ort` cannot tell an unknown shape from a scalar's.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::{DynTensorRef, TensorElementType};

use super::sums::Sums;
use crate::precision::{CLAMP, ROUND, ROUND_DOMAIN, tf32};
use crate::sums::MAX;
use crate::tensor::DType;

/// The domain with both operators, to be registered with every session that mentions it.
pub fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(ROUND_DOMAIN)?.add(Round)?.add(Sums)
}

struct Round;

impl Operator for Round {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        ROUND
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32), OperatorInput::optional(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let low = context.get::<i64>("to").and_then(|code| DType::from_onnx(i32::try_from(code).ok()?));
        let round: fn(&mut [f32]) = match (low, context.get::<i64>("mantissa")) {
            (Some(DType::Float16), None) if context.get::<i64>(CLAMP) == Some(1) => to_f16_clamped,
            (Some(DType::Float16), None) => to_f16,
            (Some(DType::Bfloat16), None) => to_bf16,
            (None, Some(tf32::MANTISSA)) => to_tf32,
            _ => return Err(ort::Error::new("Round knows float16, bfloat16 and mantissas of 10 bits")),
        };
        Ok(Box::new(move |context: &ComputeContext| {
            let input = context.input(0)?.ok_or_else(|| ort::Error::new("Round has no input"))?;
            let input: DynTensorRef = input.downcast()?;
            let shape = input.shape().to_vec();
            let mut output = context.output(0, shape.clone())?.ok_or_else(|| ort::Error::new("Round has no output"))?;
            if shape.contains(&0) {
                return Ok(());
            }
            let (_, to) = output.try_extract_tensor_mut::<f32>()?;
            let from = input.data_ptr().cast::<u8>();
            // SAFETY: both are float32 tensors of the same shape in host memory, so `to` has exactly as many bytes as are
            // read, and an input is never its kernel's output buffer. Bytes, because a mapped weight may lie at any offset.
            unsafe { std::ptr::copy_nonoverlapping(from, to.as_mut_ptr().cast::<u8>(), size_of_val(to)) };
            let picture =
                context.input(1)?.map(|value| Ok::<_, ort::Error>(has_one_pixel(value.downcast()?))).transpose()?;
            if picture != Some(true) {
                round(to);
            }
            Ok(())
        }))
    }
}

/// Batch, channels, and nothing but ones.
fn has_one_pixel(picture: DynTensorRef) -> bool {
    picture.shape().get(2..).is_some_and(|sizes| sizes.iter().all(|size| *size == 1))
}

/// Elements converted at a time: a buffer that stays in the first-level cache.
const BLOCK: usize = 2048;

fn to_f16(values: &mut [f32]) {
    let mut low = [f16::ZERO; BLOCK];
    for block in values.chunks_mut(BLOCK) {
        let low = &mut low[..block.len()];
        low.convert_from_f32_slice(block);
        low.convert_to_f32_slice(block);
    }
}

/// Finite values stay finite.
fn to_f16_clamped(values: &mut [f32]) {
    for x in values.iter_mut().filter(|x| x.is_finite()) {
        *x = x.clamp(-MAX, MAX);
    }
    to_f16(values);
}

fn to_tf32(values: &mut [f32]) {
    for x in values {
        *x = tf32::nearest(*x);
    }
}

fn to_bf16(values: &mut [f32]) {
    for x in values {
        *x = bf16::from_f32(*x).to_f32();
    }
}
