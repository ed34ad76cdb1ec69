//! The operator that emulates a storage type: float32 -> low precision -> float32, in one pass.
//!
//! Two Casts would say the same, but ONNX Runtime hunts for cast pairs at every optimisation level, which takes a second
//! for a thousand of them, and has no BF16 Cast below opset 13. A test holds this operator against Casts, bit by bit.
//! It infers no shape: ONNX Runtime does not need one, and `ort` cannot tell an unknown shape from a scalar's.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use ort::operator::{
    BoxedKernel, ComputeContext, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
};
use ort::value::TensorElementType;

use crate::precision::{ROUND, ROUND_DOMAIN};
use crate::tensor::DType;

/// The domain with the one operator, to be registered with every session.
pub fn domain() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(ROUND_DOMAIN)?.add(Round)
}

struct Round;

impl Operator for Round {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        ROUND
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::required(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let low = context.get::<i64>("to").and_then(|code| DType::from_onnx(i32::try_from(code).ok()?));
        let round: fn(&[f32], &mut [f32]) = match low {
            Some(DType::Float16) => to_f16,
            Some(DType::Bfloat16) => to_bf16,
            _ => return Err(ort::Error::new("Round knows float16 and bfloat16")),
        };
        Ok(Box::new(move |context: &ComputeContext| {
            let input = context.input(0)?.ok_or_else(|| ort::Error::new("Round has no input"))?;
            let (shape, from) = input.try_extract_tensor::<f32>()?;
            let mut output =
                context.output(0, shape.to_vec())?.ok_or_else(|| ort::Error::new("Round has no output"))?;
            let (_, to) = output.try_extract_tensor_mut::<f32>()?;
            round(from, to);
            Ok(())
        }))
    }
}

/// Elements converted at a time: a buffer that stays in the first-level cache.
const BLOCK: usize = 2048;

fn to_f16(from: &[f32], to: &mut [f32]) {
    let mut low = [f16::ZERO; BLOCK];
    for (from, to) in from.chunks(BLOCK).zip(to.chunks_mut(BLOCK)) {
        let low = &mut low[..from.len()];
        low.convert_from_f32_slice(from);
        low.convert_to_f32_slice(to);
    }
}

fn to_bf16(from: &[f32], to: &mut [f32]) {
    for (from, to) in from.iter().zip(to) {
        *to = bf16::from_f32(*from).to_f32();
    }
}
