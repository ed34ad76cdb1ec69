//! What the metrics need to know of an element type: its last place, the floor of relative errors, whether it is exact.
//! No tensor and no arithmetic on elements.

use crate::tensor::DType;

/// The precision of one element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    /// Stored bits of the mantissa.
    pub mantissa: i32,
    /// Exponent of the smallest normal number.
    pub min_exponent: i32,
    /// Integers: the last place is 1 everywhere.
    pub integer: bool,
    /// `t` of the relative error `e / max(|r|, t)`: a reference nearer to zero counts as this large.
    pub floor: f64,
}

impl Format {
    /// Complex numbers have the format of their parts; strings have none and count as integers.
    pub fn of(dtype: DType) -> Format {
        use DType::*;
        let float = |mantissa, min_exponent| {
            let floor = if matches!(dtype, Float16 | Bfloat16) { 2f64.powi(-10) } else { 2f64.powi(-20) };
            Format { mantissa, min_exponent, integer: false, floor }
        };
        match dtype {
            Float64 | Complex128 => float(52, -1022),
            Float32 | Complex64 => float(23, -126),
            Float16 => float(10, -14),
            Bfloat16 => float(7, -126),
            Float8e4m3fn => float(3, -6),
            Float8e4m3fnuz => float(3, -7),
            Float8e5m2 => float(2, -14),
            Float8e5m2fnuz => float(2, -15),
            Float4e2m1 => float(1, 0),
            Float8e8m0 => float(0, -127),
            Bool | Uint2 | Uint4 | Uint8 | Uint16 | Uint32 | Uint64 | Int2 | Int4 | Int8 | Int16 | Int32 | Int64
            | String => Format { mantissa: 0, min_exponent: 0, integer: true, floor: 1.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_floats_have_a_moving_last_place() {
        for dtype in DType::ALL {
            let complex = matches!(dtype, DType::Complex64 | DType::Complex128);
            assert_eq!(Format::of(dtype).integer, !(dtype.is_float() || complex), "{dtype}");
        }
    }
}
