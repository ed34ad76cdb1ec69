//! ONNX element types: names, codes, sizes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ONNX element type; the discriminants are `TensorProto.DataType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(i32)]
pub enum DType {
    /// IEEE binary32.
    Float32 = 1,
    /// 0..=255
    Uint8 = 2,
    /// -128..=127
    Int8 = 3,
    /// 0..=65535
    Uint16 = 4,
    /// -32768..=32767
    Int16 = 5,
    /// -2^31..2^31
    Int32 = 6,
    /// -2^63..2^63
    Int64 = 7,
    /// Text of any length: it has no size, and tensors of it have no bytes.
    String = 8,
    /// One byte an element: 0 or 1.
    Bool = 9,
    /// IEEE binary16: 10 bits of mantissa, at most 65504.
    Float16 = 10,
    /// IEEE binary64.
    Float64 = 11,
    /// 0..2^32
    Uint32 = 12,
    /// 0..2^64
    Uint64 = 13,
    /// A pair (real, imaginary) of float32.
    Complex64 = 14,
    /// A pair (real, imaginary) of float64.
    Complex128 = 15,
    /// The upper half of a float32: 7 bits of mantissa, float32's range.
    Bfloat16 = 16,
    /// 3 bits of mantissa, at most 448; NaN, no infinity (OCP 8-bit floating point).
    Float8e4m3fn = 17,
    /// 3 bits of mantissa, at most 240; one NaN, no infinity, no negative zero.
    Float8e4m3fnuz = 18,
    /// 2 bits of mantissa, at most 57344; NaN and infinities (OCP 8-bit floating point).
    Float8e5m2 = 19,
    /// 2 bits of mantissa, at most 57344; one NaN, no infinity, no negative zero.
    Float8e5m2fnuz = 20,
    /// 0..=15, two in a byte, the first in the lower bits.
    Uint4 = 21,
    /// -8..=7, two in a byte, the first in the lower bits.
    Int4 = 22,
    /// 1 bit of mantissa, at most 6; neither NaN nor infinity; two in a byte (OCP microscaling).
    Float4e2m1 = 23,
    /// Powers of two from 2^-127 to 2^127, and NaN: a scale (OCP microscaling).
    Float8e8m0 = 24,
    /// 0..=3, four in a byte, the first in the lowest bits.
    Uint2 = 25,
    /// -2..=1, four in a byte, the first in the lowest bits.
    Int2 = 26,
}

impl DType {
    /// All of them, by their number.
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

    /// Its `TensorProto.DataType` number.
    pub fn onnx(self) -> i32 {
        self as i32
    }

    /// The type with this name, as [`DType::name`] writes it (NumPy's words).
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    /// Its name, as NumPy and its extension `ml_dtypes` write such names.
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

    /// Does every element begin at a byte of its own? Strings do, in a way of theirs; packed types do not.
    pub fn whole_bytes(self) -> bool {
        self == DType::String || self.bits() >= 8
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
}
