//! The limits of the storage types that candidates compute in. Numbers only.

use crate::tensor::DType;

/// What rounding to a storage type does to a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    /// As users call it.
    pub name: &'static str,
    /// The largest finite value.
    pub max: f64,
    /// From here on values round to infinity.
    pub infinite_from: f64,
    /// Below this, precision is lost.
    pub min_normal: f64,
    /// Up to this, values round to zero.
    pub zero_upto: f64,
    /// The largest relative error of rounding a normal value.
    pub unit: f64,
    dtype: DType,
}

/// IEEE binary16.
pub const FP16: Format = Format {
    name: "FP16",
    max: 65504.0,
    infinite_from: 65520.0,
    min_normal: power_of_two(-14),
    zero_upto: power_of_two(-25),
    unit: power_of_two(-11),
    dtype: DType::Float16,
};

const BF16: Format = Format {
    name: "BF16",
    max: 255.0 * power_of_two(120),
    infinite_from: 511.0 * power_of_two(119),
    min_normal: power_of_two(-126),
    zero_upto: power_of_two(-134),
    unit: power_of_two(-8),
    dtype: DType::Bfloat16,
};

/// The largest relative error of rounding to FP32.
pub const FP32_UNIT: f64 = power_of_two(-24);

impl Format {
    /// The one that values are stored in; `None` for every other type.
    pub fn of(low: DType) -> Option<Format> {
        [FP16, BF16].into_iter().find(|f| f.dtype == low)
    }

    /// How far apart the format's numbers are at a magnitude: one unit in the last place.
    pub fn spacing(&self, x: f64) -> f64 {
        let exponent = if x.abs() > 0.0 { x.abs().log2().floor() } else { f64::NEG_INFINITY };
        2.0 * self.unit * exponent.max(self.min_normal.log2()).exp2()
    }

    /// All whole numbers up to here are the format's.
    pub fn whole_upto(&self) -> f64 {
        1.0 / self.unit
    }

    /// `x` as the format stores it.
    pub fn round(&self, x: f64) -> f64 {
        match self.dtype {
            DType::Bfloat16 => half::bf16::from_f64(x).to_f64(),
            _ => half::f16::from_f64(x).to_f64(),
        }
    }
}

const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_where_rounding_has_them() {
        for f in [FP16, BF16] {
            let below = |x: f64| x * (1.0 - 1e-6);
            assert_eq!(f.round(f.max), f.max, "{}", f.name);
            assert_eq!((f.round(f.infinite_from), f.round(below(f.infinite_from))), (f64::INFINITY, f.max));
            assert_eq!(f.round(f.zero_upto), 0.0, "{}", f.name);
            assert!(f.round(f.zero_upto * 1.01) > 0.0, "{}", f.name);
            let worst = 1.0 + f.unit;
            assert_eq!((f.round(worst) - worst).abs(), f.unit, "{}", f.name);
            assert_eq!((f.spacing(1.5), f.spacing(-4.0)), (2.0 * f.unit, 8.0 * f.unit), "{}", f.name);
            assert_eq!(f.round(f.whole_upto() + 1.0), f.whole_upto(), "{}", f.name);
        }
    }
}
