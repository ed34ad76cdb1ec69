//! Packed little-endian elements of any numeric type become f64. No comparison, no strings.
//!
//! Every value is exact in f64 but the largest of the 64-bit integers; those who need them exact ask for [`integers`].

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::tensor::DType;

/// Elements `start..start + out.len()` of `bytes`. `start` must begin a byte: a multiple of 4 always does. Of complex
/// numbers the parts are the elements, so there are twice as many.
pub fn reals(dtype: DType, bytes: &[u8], start: usize, out: &mut [f64]) {
    use DType::*;
    match dtype {
        Float32 => map(bytes, start, out, |b| f32::from_le_bytes(b) as f64),
        Complex64 => map(bytes, start, out, |b| f32::from_le_bytes(b) as f64),
        Float64 | Complex128 => map(bytes, start, out, f64::from_le_bytes),
        Float16 => halves(bytes, start, out),
        Bfloat16 => map(bytes, start, out, |b| f32::from_bits((u16::from_le_bytes(b) as u32) << 16) as f64),
        Float8e4m3fn => table(bytes, start, out, &E4M3FN),
        Float8e4m3fnuz => table(bytes, start, out, &E4M3FNUZ),
        Float8e5m2 => table(bytes, start, out, &E5M2),
        Float8e5m2fnuz => table(bytes, start, out, &E5M2FNUZ),
        Float8e8m0 => table(bytes, start, out, &E8M0),
        Float4e2m1 => packed(bytes, start, out, 4, |x| E2M1[x as usize & 15]),
        Int64 => map(bytes, start, out, |b| i64::from_le_bytes(b) as f64),
        Uint64 => map(bytes, start, out, |b| u64::from_le_bytes(b) as f64),
        Int32 => map(bytes, start, out, |b| i32::from_le_bytes(b) as f64),
        Uint32 => map(bytes, start, out, |b| u32::from_le_bytes(b) as f64),
        Int16 => map(bytes, start, out, |b| i16::from_le_bytes(b) as f64),
        Uint16 => map(bytes, start, out, |b| u16::from_le_bytes(b) as f64),
        Int8 => map(bytes, start, out, |b| i8::from_le_bytes(b) as f64),
        Uint8 => map(bytes, start, out, |b| u8::from_le_bytes(b) as f64),
        Bool => map(bytes, start, out, |[b]: [u8; 1]| (b != 0) as u8 as f64),
        Uint4 => packed(bytes, start, out, 4, |x| x as f64),
        Int4 => packed(bytes, start, out, 4, |x| sign_extended(x, 4) as f64),
        Uint2 => packed(bytes, start, out, 2, |x| x as f64),
        Int2 => packed(bytes, start, out, 2, |x| sign_extended(x, 2) as f64),
        String => {}
    }
}

/// The same for the integer types, exactly; other types leave `out` as it is.
pub fn integers(dtype: DType, bytes: &[u8], start: usize, out: &mut [i128]) {
    use DType::*;
    match dtype {
        Int64 => map(bytes, start, out, |b| i64::from_le_bytes(b) as i128),
        Uint64 => map(bytes, start, out, |b| u64::from_le_bytes(b) as i128),
        Int32 => map(bytes, start, out, |b| i32::from_le_bytes(b) as i128),
        Uint32 => map(bytes, start, out, |b| u32::from_le_bytes(b) as i128),
        Int16 => map(bytes, start, out, |b| i16::from_le_bytes(b) as i128),
        Uint16 => map(bytes, start, out, |b| u16::from_le_bytes(b) as i128),
        Int8 => map(bytes, start, out, |b| i8::from_le_bytes(b) as i128),
        Uint8 => map(bytes, start, out, |b| u8::from_le_bytes(b) as i128),
        Bool => map(bytes, start, out, |[b]: [u8; 1]| (b != 0) as i128),
        Uint4 => packed(bytes, start, out, 4, |x| x as i128),
        Int4 => packed(bytes, start, out, 4, |x| sign_extended(x, 4) as i128),
        Uint2 => packed(bytes, start, out, 2, |x| x as i128),
        Int2 => packed(bytes, start, out, 2, |x| sign_extended(x, 2) as i128),
        _ => {}
    }
}

/// Elements of `N` whole bytes each; the loop has no branch, so it is vectorised.
#[inline(always)]
fn map<const N: usize, T>(bytes: &[u8], start: usize, out: &mut [T], widen: impl Fn([u8; N]) -> T) {
    let elements = bytes.as_chunks::<N>().0;
    for (o, b) in out.iter_mut().zip(&elements[start..]) {
        *o = widen(*b);
    }
}

/// Elements of `bits` bits, the first in the lowest bits of a byte.
#[inline(always)]
fn packed<T>(bytes: &[u8], start: usize, out: &mut [T], bits: usize, widen: impl Fn(u8) -> T) {
    let per_byte = 8 / bits;
    for (i, o) in out.iter_mut().enumerate() {
        let at = start + i;
        let x = bytes[at / per_byte] >> (at % per_byte * bits);
        *o = widen(x & ((1 << bits) - 1));
    }
}

fn sign_extended(x: u8, bits: u32) -> i8 {
    let unused = 8 - bits;
    (x << unused) as i8 >> unused
}

/// `half` converts slices with the processor's own instruction where there is one.
fn halves(bytes: &[u8], start: usize, out: &mut [f64]) {
    const STEP: usize = 128;
    let (mut narrow, mut wide) = ([f16::ZERO; STEP], [0f32; STEP]);
    for (i, out) in out.chunks_mut(STEP).enumerate() {
        let n = out.len();
        map(bytes, start + i * STEP, &mut narrow[..n], |b| f16::from_bits(u16::from_le_bytes(b)));
        narrow[..n].convert_to_f32_slice(&mut wide[..n]);
        for (o, x) in out.iter_mut().zip(&wide) {
            *o = *x as f64;
        }
    }
}

fn table(bytes: &[u8], start: usize, out: &mut [f64], values: &[f64; 256]) {
    map(bytes, start, out, |[b]: [u8; 1]| values[b as usize]);
}

static E4M3FN: [f64; 256] = small_floats(3, 7, Special::TopIsNan);
static E4M3FNUZ: [f64; 256] = small_floats(3, 8, Special::MinusZeroIsNan);
static E5M2: [f64; 256] = small_floats(2, 15, Special::Ieee);
static E5M2FNUZ: [f64; 256] = small_floats(2, 16, Special::MinusZeroIsNan);
static E8M0: [f64; 256] = powers_of_two();
static E2M1: [f64; 16] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// What an 8-bit float does with the codes that IEEE 754 gives to infinities and NaN.
#[derive(Clone, Copy, PartialEq)]
enum Special {
    Ieee,
    /// No infinity; only the largest code of either sign is NaN.
    TopIsNan,
    /// No infinity and no minus zero, whose code is the only NaN.
    MinusZeroIsNan,
}

const fn small_floats(mantissa: u32, bias: i32, special: Special) -> [f64; 256] {
    let mut values = [0.0; 256];
    let mut code = 0u32;
    while code < 256 {
        let exponent = (code & 0x7f) >> mantissa;
        let fraction = code & ((1 << mantissa) - 1);
        let top = (1 << (7 - mantissa)) - 1;
        let magnitude = match special {
            Special::Ieee if exponent == top && fraction == 0 => f64::INFINITY,
            Special::Ieee if exponent == top => f64::NAN,
            Special::TopIsNan if code & 0x7f == 0x7f => f64::NAN,
            Special::MinusZeroIsNan if code == 0x80 => f64::NAN,
            _ if exponent == 0 => fraction as f64 * power_of_two(1 - bias - mantissa as i32),
            _ => (fraction + (1 << mantissa)) as f64 * power_of_two(exponent as i32 - bias - mantissa as i32),
        };
        values[code as usize] = if code < 0x80 { magnitude } else { -magnitude };
        code += 1;
    }
    values
}

/// E8M0 has no sign, no zero and no fraction.
const fn powers_of_two() -> [f64; 256] {
    let mut values = [f64::NAN; 256];
    let mut code = 0;
    while code < 255 {
        values[code] = power_of_two(code as i32 - 127);
        code += 1;
    }
    values
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType::*;

    fn check(dtype: DType, bytes: &[u8], want: &[f64]) {
        let mut got = vec![7.0; want.len()];
        reals(dtype, bytes, 0, &mut got);
        let same = got.iter().zip(want).all(|(g, w)| g.to_bits() == w.to_bits() || g.is_nan() && w.is_nan());
        assert!(same, "{dtype}: {got:?} instead of {want:?}");
    }

    #[test]
    fn every_type_is_widened() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        check(Float32, &(-1.5f32).to_le_bytes(), &[-1.5]);
        check(Float64, &0.1f64.to_le_bytes(), &[0.1]);
        check(Float16, &[0, 0x3c, 1, 0, 0, 0xfc, 1, 0x7e], &[1.0, 2f64.powi(-24), -inf, nan]);
        check(Bfloat16, &[0x80, 0x3f, 0x80, 0xff, 1, 0], &[1.0, -inf, 2f64.powi(-133)]);
        check(
            Float8e4m3fn,
            &[0x00, 0x01, 0x38, 0x7e, 0x7f, 0xff, 0x80],
            &[0.0, 1.0 / 512.0, 1.0, 448.0, nan, nan, -0.0],
        );
        check(Float8e4m3fnuz, &[0x00, 0x01, 0x40, 0x7f, 0xff, 0x80], &[0.0, 1.0 / 1024.0, 1.0, 240.0, -240.0, nan]);
        check(Float8e5m2, &[0x01, 0x3c, 0x7b, 0x7c, 0xfc, 0x7d], &[2f64.powi(-16), 1.0, 57344.0, inf, -inf, nan]);
        check(Float8e5m2fnuz, &[0x01, 0x40, 0x7f, 0x80], &[2f64.powi(-17), 1.0, 57344.0, nan]);
        check(Float8e8m0, &[0, 127, 254, 255], &[2f64.powi(-127), 1.0, 2f64.powi(127), nan]);
        check(Float4e2m1, &[0x21, 0xf7], &[0.5, 1.0, 6.0, -6.0]);
        check(Int64, &(-2i64).to_le_bytes(), &[-2.0]);
        check(Uint64, &u64::MAX.to_le_bytes(), &[2f64.powi(64)]);
        check(Int32, &(-3i32).to_le_bytes(), &[-3.0]);
        check(Uint32, &u32::MAX.to_le_bytes(), &[4294967295.0]);
        check(Int16, &[0xff, 0xff], &[-1.0]);
        check(Uint16, &[0xff, 0xff], &[65535.0]);
        check(Int8, &[0x80, 0x7f], &[-128.0, 127.0]);
        check(Uint8, &[0x80], &[128.0]);
        check(Bool, &[0, 1, 2], &[0.0, 1.0, 1.0]);
        check(Int4, &[0x87, 0x0f], &[7.0, -8.0, -1.0]);
        check(Uint4, &[0x87, 0x0f], &[7.0, 8.0, 15.0]);
        check(Int2, &[0b11_10_01_00, 0b10], &[0.0, 1.0, -2.0, -1.0, -2.0]);
        check(Uint2, &[0b11_10_01_00], &[0.0, 1.0, 2.0, 3.0]);
        check(Complex64, &[1.0f32.to_le_bytes(), 2.0f32.to_le_bytes()].concat(), &[1.0, 2.0]);
        check(Complex128, &[1.0f64.to_le_bytes(), 2.0f64.to_le_bytes()].concat(), &[1.0, 2.0]);
    }

    #[test]
    fn both_ways_of_widening_integers_agree() {
        let bytes: Vec<u8> = (0..64).map(|i: u8| i.wrapping_mul(37)).collect();
        for dtype in DType::ALL.into_iter().filter(|d| !d.is_float() && d.bits() > 0 && !d.name().contains("complex")) {
            let n = (bytes.len() - 8) * 8 / dtype.bits();
            let (mut wide, mut exact) = (vec![0.0; n], vec![0; n]);
            let start = 64 / dtype.bits();
            reals(dtype, &bytes, start, &mut wide);
            integers(dtype, &bytes, start, &mut exact);
            assert!(wide.iter().zip(&exact).all(|(w, e)| *w == *e as f64), "{dtype}");
        }
    }
}
