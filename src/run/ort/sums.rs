//! The operator that adds up in FP16: any number of float32 tensors in and out. What it computes is the node in its attribute; how,
//! stands in `sums`.

use std::borrow::Cow;
use std::panic::{self, AssertUnwindSafe};

use ort::operator::{BoxedKernel, ComputeContext, KernelContext, Operator, OperatorInput, OperatorOutput};
use ort::value::{DynTensorRef, TensorElementType};
use prost::Message;

use crate::interrupt;
use crate::onnx::NodeProto;
use crate::precision::SUMS;
use crate::sums::{self, Half, Values};

/// To be registered beside the rounding.
pub struct Sums;

impl Operator for Sums {
    type Kernel<'attr> = BoxedKernel<'attr>;

    fn name(&self) -> &str {
        SUMS
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [OperatorInput::variadic(1).homogenous(TensorElementType::Float32)]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::variadic(1).homogenous(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> ort::Result<Self::Kernel<'attr>> {
        let bytes = context.get::<Vec<i64>>(SUMS).unwrap_or_default();
        let bytes: Vec<u8> = bytes.into_iter().map(|byte| byte as u8).collect();
        let node =
            NodeProto::decode(bytes.as_slice()).map_err(|e| ort::Error::new(format!("Sums has no node: {e}")))?;
        Ok(Box::new(move |context: &ComputeContext| compute(&node, context)))
    }
}

fn compute(node: &NodeProto, context: &ComputeContext) -> ort::Result<()> {
    let held: Vec<_> = (0..context.num_inputs()?).map(|i| context.input(i)).collect::<ort::Result<_>>()?;
    let mut tensors: Vec<DynTensorRef> = Vec::with_capacity(held.len());
    for value in held.into_iter().flatten() {
        tensors.push(value.downcast()?);
    }
    let mut read = tensors.iter().map(values);
    let inputs: Vec<Option<Values>> =
        node.input.iter().map(|name| if name.is_empty() { None } else { read.next() }).collect();
    // A panic must not cross into ONNX Runtime.
    let made = panic::catch_unwind(AssertUnwindSafe(|| sums::compute(node, &inputs, &Half)))
        .unwrap_or_else(|_| Err(format!("{} cannot be added up in FP16", node.op_type())))
        .map_err(ort::Error::new)?;
    if interrupt::requested() {
        return Err(ort::Error::new("interrupted"));
    }
    for (at, made) in made.iter().enumerate() {
        let shape: Vec<i64> = made.shape.iter().map(|size| *size as i64).collect();
        let output = context.output(at, shape)?;
        let mut output = output.ok_or_else(|| ort::Error::new(format!("Sums has no output {at}")))?;
        if !made.values.is_empty() {
            output.try_extract_tensor_mut::<f32>()?.1.copy_from_slice(&made.values);
        }
    }
    Ok(())
}

/// What a tensor holds, borrowed where it is aligned.
fn values<'a>(tensor: &'a DynTensorRef) -> Values<'a> {
    let shape: Vec<usize> = tensor.shape().iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect();
    let count: usize = shape.iter().product();
    let data = tensor.data_ptr().cast::<f32>();
    let values = match data.is_aligned() {
        _ if count == 0 => Cow::Owned(Vec::new()),
        // SAFETY: the operator takes float32 in host memory; of those there are as many as the shape says, and ONNX Runtime does
        // not write to them while this kernel runs.
        true => Cow::Borrowed(unsafe { std::slice::from_raw_parts(data, count) }),
        // SAFETY: the same; an element is read wherever it lies.
        false => Cow::Owned((0..count).map(|i| unsafe { data.add(i).read_unaligned() }).collect()),
    };
    Values { shape, values }
}
