//! Element types that NumPy lacks, and the NumPy type that holds each without loss. Values only: no file.

use std::borrow::Cow;

use half::bf16;

use crate::tensor::{DType, Tensor};

/// The NumPy type that holds every value of `dtype`; `dtype` itself where NumPy has it.
pub fn wide(dtype: DType) -> DType {
    use DType::*;
    match dtype {
        Bfloat16 | Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz | Float8e8m0 | Float4e2m1 => Float32,
        Int4 | Int2 => Int8,
        Uint4 | Uint2 => Uint8,
        other => other,
    }
}

/// `tensor` in the type [`wide`] names: the same values, and no copy where NumPy has its type.
pub fn widened(tensor: &Tensor) -> Cow<'_, Tensor> {
    let (dtype, shape) = (tensor.dtype, tensor.shape.clone());
    Cow::Owned(match wide(dtype) {
        same if same == dtype => return Cow::Borrowed(tensor),
        DType::Float32 if dtype == DType::Bfloat16 => {
            let values = tensor.view::<u16>().iter().map(|code| f32::from_bits(u32::from(*code) << 16)).collect();
            Tensor::from_vec(DType::Float32, shape, values)
        }
        DType::Float32 => {
            let table: Vec<f32> = (0..=255).map(|code| value(dtype, code)).collect();
            Tensor::from_vec(DType::Float32, shape, codes(tensor).map(|c| table[usize::from(c)]).collect())
        }
        integer => Tensor::from_vec(integer, shape, codes(tensor).map(|c| value(dtype, c) as i8).collect()),
    })
}

/// `tensor`, which is of the type [`wide`] names for `dtype`, as `dtype`; `None` unless every value survives.
pub fn narrowed(tensor: &Tensor, dtype: DType) -> Option<Tensor> {
    if tensor.dtype != wide(dtype) || tensor.dtype == dtype {
        return None;
    }
    let shape = tensor.shape.clone();
    if dtype == DType::Bfloat16 {
        let codes: Option<Vec<u16>> = tensor.view::<u32>().iter().map(|b| exact_bf16(*b)).collect();
        return Some(Tensor::from_vec(dtype, shape, codes?));
    }
    let values: Cow<[f32]> = match tensor.dtype {
        DType::Float32 => tensor.view::<f32>(),
        DType::Int8 => tensor.view::<i8>().iter().map(|v| f32::from(*v)).collect::<Vec<f32>>().into(),
        _ => tensor.bytes().iter().map(|v| f32::from(*v)).collect::<Vec<f32>>().into(),
    };
    let nearest = Nearest::new(dtype);
    let code = |v: &f32| {
        let code = nearest.code(f64::from(*v));
        let back = value(dtype, code);
        (back.to_bits() == v.to_bits() || (back.is_nan() && v.is_nan())).then_some(code)
    };
    let codes: Option<Vec<u8>> = values.iter().map(code).collect();
    packed(dtype, shape, &codes?)
}

/// The smallest and the largest finite value of a type that NumPy lacks.
pub fn limits(dtype: DType) -> (f64, f64) {
    if dtype == DType::Bfloat16 {
        return (f64::from(bf16::MIN), f64::from(bf16::MAX));
    }
    let all = (0..=mask(dtype)).map(|code| f64::from(value(dtype, code))).filter(|v| v.is_finite());
    all.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)))
}

/// Elements of at most 8 bits as one tensor, packed as ONNX packs them: the first element in the lowest bits.
pub fn packed(dtype: DType, shape: Vec<usize>, codes: &[u8]) -> Option<Tensor> {
    let per_byte = 8 / dtype.bits();
    let byte = |chunk: &[u8]| {
        let shifted = chunk.iter().enumerate().map(|(i, c)| (c & mask(dtype)) << (i * dtype.bits()));
        shifted.fold(0, |byte, bits| byte | bits)
    };
    Tensor::new(dtype, shape, codes.chunks(per_byte).map(byte).collect::<Vec<u8>>()).ok()
}

/// The codes of a type of at most 8 bits by value, to find the nearest one.
pub struct Nearest(Vec<(f32, u8)>, u8);

impl Nearest {
    /// For one type of at most 8 bits; ties go as the sorted values lie.
    pub fn new(dtype: DType) -> Nearest {
        let all: Vec<(f32, u8)> = (0..=mask(dtype)).map(|code| (value(dtype, code), code)).collect();
        let nan = all.iter().find(|(v, _)| v.is_nan()).map_or(0, |(_, code)| *code);
        let mut sorted: Vec<(f32, u8)> = all.into_iter().filter(|(v, _)| !v.is_nan()).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        Nearest(sorted, nan)
    }

    /// The code whose value is nearest to `x`; NaN (the code zero where there is none) for NaN.
    pub fn code(&self, x: f64) -> u8 {
        if x.is_nan() {
            return self.1;
        }
        let above = self.0.partition_point(|(v, _)| f64::from(*v).total_cmp(&x).is_lt());
        let around = &self.0[above.saturating_sub(1)..(above + 1).min(self.0.len())];
        let distance = |v: f32| if f64::from(v).to_bits() == x.to_bits() { -1.0 } else { (f64::from(v) - x).abs() };
        around.iter().min_by(|a, b| distance(a.0).total_cmp(&distance(b.0))).map_or(0, |(_, code)| *code)
    }
}

/// One code per element, of a type of at most 8 bits.
fn codes(tensor: &Tensor) -> impl Iterator<Item = u8> {
    let (bits, mask) = (tensor.dtype.bits(), mask(tensor.dtype));
    let per_byte = (0..8).step_by(bits);
    let all = tensor.bytes().iter().flat_map(move |byte| per_byte.clone().map(move |shift| byte >> shift & mask));
    all.take(tensor.elements())
}

fn mask(dtype: DType) -> u8 {
    (0xff_u16 >> (8 - dtype.bits())) as u8
}

/// The value of a code. Integers of fewer than 8 bits are exact in f32.
fn value(dtype: DType, code: u8) -> f32 {
    use DType::*;
    let code = code & mask(dtype);
    match dtype {
        Float8e4m3fn if code & 0x7f == 0x7f => f32::NAN,
        Float8e4m3fn => small_float(code, 4, 3, 7),
        Float8e5m2 if code & 0x7f == 0x7c => f32::INFINITY.copysign(small_float(code, 5, 2, 15)),
        Float8e5m2 if code & 0x7f > 0x7c => f32::NAN,
        Float8e5m2 => small_float(code, 5, 2, 15),
        Float8e4m3fnuz | Float8e5m2fnuz if code == 0x80 => f32::NAN,
        Float8e4m3fnuz => small_float(code, 4, 3, 8),
        Float8e5m2fnuz => small_float(code, 5, 2, 16),
        Float8e8m0 if code == 0xff => f32::NAN,
        Float8e8m0 => 2f64.powi(i32::from(code) - 127) as f32,
        Float4e2m1 => small_float(code << 4, 2, 1, 1),
        Int4 => f32::from((code << 4) as i8 >> 4),
        Int2 => f32::from((code << 6) as i8 >> 6),
        _ => f32::from(code),
    }
}

/// Sign, `exponent` bits and `mantissa` bits from the top of the byte: every pattern taken as a finite number.
fn small_float(code: u8, exponent: u32, mantissa: u32, bias: i32) -> f32 {
    let bits = u32::from(code & 0x7f) >> (7 - exponent - mantissa);
    let fraction = (bits & ((1 << mantissa) - 1)) as f32 / (1 << mantissa) as f32;
    let magnitude = match (bits >> mantissa) as i32 {
        0 => fraction * 2f32.powi(1 - bias),
        e => (1.0 + fraction) * 2f32.powi(e - bias),
    };
    if code & 0x80 != 0 { -magnitude } else { magnitude }
}

/// The bfloat16 with exactly the value of these f32 bits; any NaN becomes a NaN.
fn exact_bf16(bits: u32) -> Option<u16> {
    let f = f32::from_bits(bits);
    (bits & 0xffff == 0).then_some((bits >> 16) as u16).or(f.is_nan().then_some(bf16::NAN.to_bits()))
}

#[cfg(test)]
mod tests;
