//! A tensor in memory: element type, shape, bytes. Values only: no file format, no backend.
//!
//! The bytes are shared, never copied: a [`Tensor`] may look into a mapped file, into memory that ONNX Runtime owns, or
//! into a vector of its own. All targets of layerdiff are little-endian, and so are the bytes of every tensor.

mod axis;
mod dtype;
pub mod moved;

pub use dtype::DType;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;

/// Tensors by name, in the order the model declares them.
pub type Tensors = IndexMap<String, Tensor>;

/// Why bytes could not become a tensor.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{elements} elements of {dtype} take {want} bytes, but there are {have}")]
pub struct WrongLength {
    /// What the bytes were said to be.
    pub dtype: DType,
    /// How many the shape says; `usize::MAX` where no number holds them.
    pub elements: usize,
    /// Bytes that so many take; of strings, how many there must be.
    pub want: usize,
    /// Bytes that there are; of strings, how many.
    pub have: usize,
}

/// Element type, shape (row-major, scalars have the shape `[]`) and shared bytes.
#[derive(Clone)]
pub struct Tensor {
    /// What an element is.
    pub dtype: DType,
    /// Sizes of the axes, the slowest first.
    pub shape: Vec<usize>,
    data: Data,
}

#[derive(Clone)]
enum Data {
    Raw(Bytes),
    Strings(Arc<[String]>),
}

impl Tensor {
    /// A tensor over `bytes`, which must be exactly as long as the shape says. `dtype` is not [`DType::String`].
    pub fn new(dtype: DType, shape: Vec<usize>, bytes: impl Into<Bytes>) -> Result<Tensor, WrongLength> {
        let bytes = bytes.into();
        let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).unwrap_or(usize::MAX);
        let want = dtype.byte_len(elements).unwrap_or(usize::MAX);
        if want != bytes.len() {
            return Err(WrongLength { dtype, elements, want, have: bytes.len() });
        }
        Ok(Tensor { dtype, shape, data: Data::Raw(bytes) })
    }

    /// A tensor of strings; `shape` must hold as many elements as there are strings.
    pub fn strings(shape: Vec<usize>, values: Vec<String>) -> Result<Tensor, WrongLength> {
        let elements: usize = shape.iter().product();
        if elements != values.len() {
            let (want, have) = (elements, values.len());
            return Err(WrongLength { dtype: DType::String, elements, want, have });
        }
        Ok(Tensor { dtype: DType::String, shape, data: Data::Strings(values.into()) })
    }

    /// A tensor that owns `values`; panics unless `T` is as wide as `dtype` and the shape fits (callers know both).
    pub fn from_vec<T: bytemuck::Pod + Send + Sync>(dtype: DType, shape: Vec<usize>, values: Vec<T>) -> Tensor {
        struct Owner<T>(Vec<T>);
        impl<T: bytemuck::Pod> AsRef<[u8]> for Owner<T> {
            fn as_ref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        let bytes = Bytes::from_owner(Owner(values));
        Tensor::new(dtype, shape, bytes).unwrap_or_else(|e| unreachable!("from_vec: {e}"))
    }

    /// A float32 tensor of a copy of these values; panics unless there are as many as the shape says.
    pub fn f32(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_vec(DType::Float32, shape.to_vec(), values.to_vec())
    }

    /// An int64 tensor of a copy of these values; panics unless there are as many as the shape says.
    pub fn i64(shape: &[usize], values: &[i64]) -> Tensor {
        Tensor::from_vec(DType::Int64, shape.to_vec(), values.to_vec())
    }

    /// The product of the shape: 1 for a scalar, 0 where an axis is empty.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The packed little-endian bytes; empty for strings.
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Raw(bytes) => bytes,
            Data::Strings(_) => &[],
        }
    }

    /// The shared bytes themselves; `None` for strings.
    pub fn shared(&self) -> Option<Bytes> {
        match &self.data {
            Data::Raw(bytes) => Some(bytes.clone()),
            Data::Strings(_) => None,
        }
    }

    /// The strings, in row-major order; `None` for every other type.
    pub fn as_strings(&self) -> Option<&[String]> {
        match &self.data {
            Data::Raw(_) => None,
            Data::Strings(values) => Some(values),
        }
    }

    /// The bytes as elements of `T`: borrowed where aligned, copied where not. `T` must be as wide as the type.
    pub fn view<T: bytemuck::Pod>(&self) -> Cow<'_, [T]> {
        match bytemuck::try_cast_slice(self.bytes()) {
            Ok(slice) => Cow::Borrowed(slice),
            Err(_) => Cow::Owned(bytemuck::allocation::pod_collect_to_vec(self.bytes())),
        }
    }

    /// Equal in type, shape and every bit.
    pub fn identical(&self, other: &Tensor) -> bool {
        self.dtype == other.dtype
            && self.shape == other.shape
            && self.bytes() == other.bytes()
            && self.as_strings() == other.as_strings()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)
    }
}

/// A shape as users write it: `1x3x224x224`; `scalar` for none.
pub fn shape_text(shape: &[usize]) -> String {
    match shape {
        [] => "scalar".to_string(),
        dims => dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_length_is_refused() {
        let err = Tensor::new(DType::Float32, vec![2, 2], vec![0u8; 15]).unwrap_err();
        assert_eq!(err.to_string(), "4 elements of float32 take 16 bytes, but there are 15");
    }

    #[test]
    fn unaligned_bytes_are_viewed_all_the_same() {
        let bytes = Bytes::from(vec![9, 0, 0, 128, 63]).slice(1..);
        let t = Tensor::new(DType::Float32, vec![1], bytes).unwrap();
        assert_eq!(t.view::<f32>().as_ref(), [1.0]);
    }
}
