//! Tensors of layerdiff <-> values of ONNX Runtime. Outputs are not copied: the tensor looks into ORT's memory.

use bytes::Bytes;
use ort::memory::{AllocationDevice, Allocator};
use ort::value::{DynTensor, DynValue, Shape, TensorElementType};

use crate::tensor::{DType, Tensor};

/// A copy of `tensor` in ORT's memory.
pub fn to_ort(tensor: &Tensor) -> ort::Result<DynValue> {
    if let Some(strings) = tensor.as_strings() {
        let value = ort::value::Tensor::from_string_array((tensor.shape.clone(), strings))?;
        return Ok(value.into_dyn());
    }
    let shape = Shape::new(tensor.shape.iter().map(|d| *d as i64));
    let mut value = DynTensor::new(&Allocator::default(), element_type(tensor.dtype), shape)?;
    let bytes = tensor.bytes();
    if !bytes.is_empty() {
        // SAFETY: the value was just made for this element type and shape in host memory, so it holds as many bytes as
        // the tensor (packed alike below a byte), and nobody else knows it yet.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.data_ptr_mut().cast::<u8>(), bytes.len()) };
    }
    Ok(value.into_dyn())
}

/// Where the output of a bound run is.
pub enum Placed {
    Host(Tensor),
    Gpu(Remote),
}

/// A value in the memory of a GPU.
pub struct Remote {
    /// In the GPU's address space.
    pub address: u64,
    /// What its elements are.
    pub dtype: DType,
    /// Sizes of its axes.
    pub shape: Vec<usize>,
    /// Keeps the memory.
    _value: DynTensor,
}

/// A value of a bound run; `None` for sequences, maps and types that ONNX does not name.
pub fn placed(value: DynValue) -> Option<Placed> {
    let tensor: DynTensor = value.downcast().ok()?;
    if tensor.memory_info().allocation_device() != AllocationDevice::CUDA {
        return on_host(tensor).map(Placed::Host);
    }
    let shape = tensor.shape().iter().map(|d| usize::try_from(*d).ok()).collect::<Option<_>>()?;
    let dtype = dtype(*tensor.data_type())?;
    Some(Placed::Gpu(Remote { address: tensor.data_ptr() as u64, dtype, shape, _value: tensor }))
}

/// The value of a run without binding as a tensor that shares its memory; `None` as in [`placed`].
pub fn from_ort(value: DynValue) -> Option<Tensor> {
    on_host(value.downcast().ok()?)
}

fn on_host(tensor: DynTensor) -> Option<Tensor> {
    let shape: Vec<usize> = tensor.shape().iter().map(|d| usize::try_from(*d).ok()).collect::<Option<_>>()?;
    let dtype = dtype(*tensor.data_type())?;
    if dtype == DType::String {
        let (_, strings) = tensor.try_extract_strings().ok()?;
        return Tensor::strings(shape, strings).ok();
    }
    let len = dtype.byte_len(shape.iter().product())?;
    let bytes = if len == 0 { Bytes::new() } else { Bytes::from_owner(Owned { tensor, len }) };
    Tensor::new(dtype, shape, bytes).ok()
}

/// Keeps the value alive while its bytes are looked at.
struct Owned {
    tensor: DynTensor,
    len: usize,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `len` is the byte length that ORT's element type and shape imply, the value is in host memory (`placed`
        // sees to that), lives as long as `self`, and is never written again.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<u8>(), self.len) }
    }
}

const TYPES: [(TensorElementType, DType); 26] = {
    use DType as D;
    use TensorElementType as T;
    [
        (T::Float32, D::Float32),
        (T::Uint8, D::Uint8),
        (T::Int8, D::Int8),
        (T::Uint16, D::Uint16),
        (T::Int16, D::Int16),
        (T::Int32, D::Int32),
        (T::Int64, D::Int64),
        (T::String, D::String),
        (T::Bool, D::Bool),
        (T::Float16, D::Float16),
        (T::Float64, D::Float64),
        (T::Uint32, D::Uint32),
        (T::Uint64, D::Uint64),
        (T::Complex64, D::Complex64),
        (T::Complex128, D::Complex128),
        (T::Bfloat16, D::Bfloat16),
        (T::Float8E4M3FN, D::Float8e4m3fn),
        (T::Float8E4M3FNUZ, D::Float8e4m3fnuz),
        (T::Float8E5M2, D::Float8e5m2),
        (T::Float8E5M2FNUZ, D::Float8e5m2fnuz),
        (T::Uint4, D::Uint4),
        (T::Int4, D::Int4),
        (T::Float4E2M1, D::Float4e2m1),
        (T::Float8E8M0, D::Float8e8m0),
        (T::Uint2, D::Uint2),
        (T::Int2, D::Int2),
    ]
};

/// `None` for a type that ONNX does not name.
pub fn dtype(of: TensorElementType) -> Option<DType> {
    TYPES.iter().find(|(t, _)| *t == of).map(|(_, d)| *d)
}

fn element_type(of: DType) -> TensorElementType {
    TYPES.iter().find(|(_, d)| *d == of).map_or(TensorElementType::Undefined, |(t, _)| *t)
}
