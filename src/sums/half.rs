//! The grid of FP16, and what is done to a partial sum.

use std::sync::atomic::{AtomicU32, Ordering};

/// FP16's largest value.
pub const MAX: f32 = 65504.0;
/// The numbers from which on it is infinite.
pub const INFINITE: f32 = 65520.0;

/// What happens to partial sums.
pub trait Partial: Sync {
    /// To these, which belong to different sums.
    fn settle(&self, sums: &mut [f32]);

    /// To one.
    fn settled(&self, sum: f32) -> f32 {
        let mut sums = [sum];
        self.settle(&mut sums);
        sums[0]
    }
}

/// They are rounded to FP16.
pub struct Half;

impl Partial for Half {
    #[inline(always)]
    fn settle(&self, sums: &mut [f32]) {
        sums.iter_mut().for_each(|x| *x = to_half(*x));
    }
}

/// They stay as they are, and the furthest from zero is remembered.
#[derive(Default)]
pub struct Watch(AtomicU32);

impl Watch {
    /// The furthest from zero.
    pub fn peak(&self) -> f32 {
        f32::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Partial for Watch {
    fn settle(&self, sums: &mut [f32]) {
        // Numbers that are not negative are in the order of their bits; NaN is passed over.
        let most = sums.iter().fold(0.0f32, |most, x| most.max(x.abs()));
        self.0.fetch_max(most.to_bits(), Ordering::Relaxed);
    }
}

const MAGNITUDE: i32 = 0x7fff_ffff;
/// The bits of float32 for FP16's smallest normal number, its largest, and infinity.
const NORMAL: i32 = 0x3880_0000;
const LARGEST: i32 = 0x477f_e000;
const INFINITY: i32 = 0x7f80_0000;

/// The nearest FP16, ties to even, widened again. In integers and without branches, so that a loop of it becomes vectors.
#[inline(always)]
pub fn to_half(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let size = bits & MAGNITUDE;
    let normal = (size.wrapping_add(0xfff + ((size >> 13) & 1))) & !0x1fff;
    // Beside 0.5, float32 has the steps of FP16's subnormals.
    let small = ((f32::from_bits(size as u32) + 0.5) - 0.5).to_bits() as i32;
    let finite = if size < NORMAL { small } else { normal };
    let ranged = if finite > LARGEST { INFINITY } else { finite };
    let kept = if size > INFINITY { size } else { ranged };
    f32::from_bits((kept | (bits & !MAGNITUDE)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_as_the_format_says() {
        let same = |x: f32| {
            let (got, want) = (to_half(x), half::f16::from_f32(x).to_f32());
            assert!(got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan(), "{x:e}: {got} for {want}");
        };
        // Every 251st of all float32, and all around each FP16.
        (0..=u32::MAX).step_by(251).for_each(|bits| same(f32::from_bits(bits)));
        for low in 0..=u16::MAX {
            let bits = half::f16::from_bits(low).to_f32().to_bits();
            [0, 1, 0xfff, 0x1000, 0x1001].into_iter().for_each(|d| same(f32::from_bits(bits.wrapping_add(d))));
        }
        [65519.9, 65520.0, f32::MAX, f32::NAN, f32::NEG_INFINITY, -1e-8, 3e-8, -0.0].into_iter().for_each(same);
    }

    #[test]
    fn the_furthest_from_zero_is_remembered() {
        let watch = Watch::default();
        assert_eq!(watch.settled(-7e4), -7e4);
        watch.settle(&mut [1.0, f32::NAN, 3.0]);
        assert_eq!(watch.peak(), 7e4);
    }
}
