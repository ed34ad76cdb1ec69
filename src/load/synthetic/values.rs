//! Random values of every element type, from a generator of our own, so that a seed means the same everywhere.

use anyhow::{Context, bail, ensure};
use half::{bf16, f16};

use crate::load::npy::{
    self,
    widen::{self, Nearest},
};
use crate::tensor::{DType, Tensor};

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(u64);

impl Random {
    /// The stream of one input of one sample.
    pub fn new(seed: u64, sample: u64, name: &str) -> Random {
        // FNV-1a of the name: a stream of its own for each input, whatever stands before it in the model.
        let name = name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        Random(mix(mix(seed).wrapping_add(sample)) ^ name)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in [lo, hi).
    fn float(&mut self, lo: f64, hi: f64) -> f64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        // Not lo + (hi - lo) * unit: the difference may overflow.
        (lo * (1.0 - unit) + hi * unit).clamp(lo, hi)
    }

    /// Uniform in lo..=hi, which spans at most 2^64 integers.
    fn integer(&mut self, lo: i128, hi: i128) -> i128 {
        lo + ((u128::from(self.next()) * (hi - lo + 1) as u128) >> 64) as i128
    }
}

/// One tensor with values in `range`, or in the type's default range.
pub fn tensor(dtype: DType, shape: &[usize], range: Option<(f64, f64)>, random: &mut Random) -> anyhow::Result<Tensor> {
    ensure!(dtype != DType::String, "strings are not made up; give them with --inputs");
    let (lo, hi) = range.unwrap_or((0.0, 1.0));
    if let Err(e) = valid(lo, hi) {
        bail!("its range {lo}..{hi} is wrong: {e}");
    }
    let elements = npy::count(shape);
    let parts = if matches!(dtype, DType::Complex64 | DType::Complex128) { 2 } else { 1 };
    // One byte for each element of the packed types, until they are packed.
    let len = elements.and_then(|n| n.checked_mul(dtype.bits().div_ceil(8)));
    let mut out: Vec<u8> = Vec::new();
    let fits = len.is_some_and(|len| out.try_reserve_exact(len).is_ok());
    ensure!(fits, "the shape {shape:?} does not fit into memory; ask for a smaller one with --shape");
    let numbers = elements.unwrap_or(0) * parts;
    if dtype.is_float() || parts == 2 {
        let (least, most) = float_limits(dtype);
        ensure!(
            least <= lo && hi <= most,
            "its range {lo}..{hi} does not fit {dtype} ({least:e} to {most:e}); give a smaller one with --range"
        );
        floats(dtype, (0..numbers).map(|_| random.float(lo, hi)), &mut out);
    } else {
        let (lo, hi) = integer_range(dtype, lo, hi)?;
        let width = dtype.bits().div_ceil(8);
        (0..numbers).for_each(|_| out.extend_from_slice(&random.integer(lo, hi).to_le_bytes()[..width]));
    }
    if dtype.bits() < 8 {
        return widen::packed(dtype, shape.to_vec(), &out).context("cannot pack it");
    }
    Ok(Tensor::new(dtype, shape.to_vec(), out)?)
}

/// A range must be finite and go upwards.
pub fn valid(lo: f64, hi: f64) -> Result<(), &'static str> {
    match () {
        _ if !(lo.is_finite() && hi.is_finite()) => Err("LO and HI must be finite numbers"),
        _ if lo > hi => Err("LO must not be greater than HI"),
        _ => Ok(()),
    }
}

/// Rounded to `dtype`: little-endian bytes, or one code a byte for the types of at most 8 bits.
fn floats(dtype: DType, values: impl Iterator<Item = f64>, out: &mut Vec<u8>) {
    use DType::*;
    match dtype {
        Float32 | Complex64 => values.for_each(|v| out.extend_from_slice(&(v as f32).to_le_bytes())),
        Float64 | Complex128 => values.for_each(|v| out.extend_from_slice(&v.to_le_bytes())),
        Float16 => values.for_each(|v| out.extend_from_slice(&f16::from_f64(v).to_le_bytes())),
        Bfloat16 => values.for_each(|v| out.extend_from_slice(&bf16::from_f64(v).to_le_bytes())),
        _ => {
            let nearest = Nearest::new(dtype);
            out.extend(values.map(|v| nearest.code(v)));
        }
    }
}

/// What `dtype` can hold; zero counts as held, rounded to the least there is where the type has no zero.
fn float_limits(dtype: DType) -> (f64, f64) {
    use DType::*;
    match dtype {
        Float32 | Complex64 => (f64::from(f32::MIN), f64::from(f32::MAX)),
        Float64 | Complex128 => (f64::MIN, f64::MAX),
        Float16 => (f64::from(f16::MIN), f64::from(f16::MAX)),
        _ => {
            let (least, most) = widen::limits(dtype);
            (least.min(0.0), most)
        }
    }
}

/// The integers in lo..=hi, all of which `dtype` must hold.
fn integer_range(dtype: DType, lo: f64, hi: f64) -> anyhow::Result<(i128, i128)> {
    use DType::*;
    let bits = dtype.bits();
    let (least, most) = match dtype {
        Bool => (0, 1),
        Int2 | Int4 | Int8 | Int16 | Int32 | Int64 => (-(1i128 << (bits - 1)), (1i128 << (bits - 1)) - 1),
        _ => (0, (1i128 << bits) - 1),
    };
    let (first, last) = (lo.ceil() as i128, hi.floor() as i128);
    ensure!(first <= last, "its range {lo}..{hi} holds no integer, and it is {dtype}; give another one with --range");
    ensure!(
        least <= first && last <= most,
        "its range {lo}..{hi} does not fit {dtype} ({least} to {most}); give a smaller one with --range"
    );
    Ok((first, last))
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
