//! A tensor in memory: element type, shape, bytes. Values only: no file format, no backend.
//!
//! The bytes are shared, never copied: a [`Tensor`] may look into a mapped file, into memory that ONNX Runtime owns, or
//! into a vector of its own. All targets of layerdiff are little-endian, and so are the bytes of every tensor.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Tensors by name, in the order the model declares them.
pub type Tensors = IndexMap<String, Tensor>;

/// An ONNX element type; the discriminants are `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum DType {
    Float32 = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Float64 = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
    Float8e4m3fn = 17,
    Float8e4m3fnuz = 18,
    Float8e5m2 = 19,
    Float8e5m2fnuz = 20,
    Uint4 = 21,
    Int4 = 22,
    Float4e2m1 = 23,
    Float8e8m0 = 24,
    Uint2 = 25,
    Int2 = 26,
}

impl DType {
    pub const ALL: [DType; 26] = {
        use DType::*;
        [
            Float32,
            Uint8,
            Int8,
            Uint16,
            Int16,
            Int32,
            Int64,
            String,
            Bool,
            Float16,
            Float64,
            Uint32,
            Uint64,
            Complex64,
            Complex128,
            Bfloat16,
            Float8e4m3fn,
            Float8e4m3fnuz,
            Float8e5m2,
            Float8e5m2fnuz,
            Uint4,
            Int4,
            Float4e2m1,
            Float8e8m0,
            Uint2,
            Int2,
        ]
    };

    /// The type with this `TensorProto.DataType` number, if there is one.
    pub fn from_onnx(code: i32) -> Option<DType> {
        DType::ALL.into_iter().find(|d| *d as i32 == code)
    }

    pub fn onnx(self) -> i32 {
        self as i32
    }

    /// The type with this name, as [`DType::name`] writes it (NumPy's words).
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    pub fn name(self) -> &'static str {
        use DType::*;
        match self {
            Float32 => "float32",
            Uint8 => "uint8",
            Int8 => "int8",
            Uint16 => "uint16",
            Int16 => "int16",
            Int32 => "int32",
            Int64 => "int64",
            String => "string",
            Bool => "bool",
            Float16 => "float16",
            Float64 => "float64",
            Uint32 => "uint32",
            Uint64 => "uint64",
            Complex64 => "complex64",
            Complex128 => "complex128",
            Bfloat16 => "bfloat16",
            Float8e4m3fn => "float8e4m3fn",
            Float8e4m3fnuz => "float8e4m3fnuz",
            Float8e5m2 => "float8e5m2",
            Float8e5m2fnuz => "float8e5m2fnuz",
            Uint4 => "uint4",
            Int4 => "int4",
            Float4e2m1 => "float4e2m1",
            Float8e8m0 => "float8e8m0",
            Uint2 => "uint2",
            Int2 => "int2",
        }
    }

    /// Bits of one element; 0 for strings, which have no fixed size.
    pub fn bits(self) -> usize {
        use DType::*;
        match self {
            String => 0,
            Uint2 | Int2 => 2,
            Uint4 | Int4 | Float4e2m1 => 4,
            Uint8 | Int8 | Bool | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float8e8m0 => 8,
            Uint16 | Int16 | Float16 | Bfloat16 => 16,
            Float32 | Int32 | Uint32 => 32,
            Float64 | Int64 | Uint64 | Complex64 => 64,
            Complex128 => 128,
        }
    }

    /// Bytes of `elements` of them, packed as ONNX packs sub-byte types; `None` on overflow or for strings.
    pub fn byte_len(self, elements: usize) -> Option<usize> {
        match self {
            DType::String => None,
            _ => Some(elements.checked_mul(self.bits())?.div_ceil(8)),
        }
    }

    /// Is it a (real) floating-point type?
    pub fn is_float(self) -> bool {
        use DType::*;
        matches!(
            self,
            Float32
                | Float16
                | Float64
                | Bfloat16
                | Float8e4m3fn
                | Float8e4m3fnuz
                | Float8e5m2
                | Float8e5m2fnuz
                | Float4e2m1
                | Float8e8m0
        )
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes could not become a tensor.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("{elements} elements of {dtype} take {want} bytes, but there are {have}")]
pub struct WrongLength {
    pub dtype: DType,
    pub elements: usize,
    pub want: usize,
    pub have: usize,
}

/// Element type, shape (row-major, scalars have the shape `[]`) and shared bytes.
#[derive(Clone)]
pub struct Tensor {
    pub dtype: DType,
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

    pub fn f32(shape: &[usize], values: &[f32]) -> Tensor {
        Tensor::from_vec(DType::Float32, shape.to_vec(), values.to_vec())
    }

    pub fn i64(shape: &[usize], values: &[i64]) -> Tensor {
        Tensor::from_vec(DType::Int64, shape.to_vec(), values.to_vec())
    }

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
    fn codes_and_names_round_trip() {
        for d in DType::ALL {
            assert_eq!(DType::from_onnx(d.onnx()), Some(d));
            assert_eq!(DType::from_name(d.name()), Some(d));
        }
        assert_eq!(DType::from_onnx(0), None);
    }

    #[test]
    fn sub_byte_types_are_packed() {
        assert_eq!(DType::Int4.byte_len(5), Some(3));
        assert_eq!(DType::Uint2.byte_len(5), Some(2));
        assert_eq!(DType::Float32.byte_len(usize::MAX), None);
    }

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
