//! QuantizeLinear and DequantizeLinear by the ONNX standard: divide by the scale, round half to even, add the zero point,
//! saturate; and back. In float32, as ONNX Runtime computes them.

use super::Pair;
use crate::compare::to_f64;
use crate::precision::cast;
use crate::tensor::{DType, Tensor};

/// `value` through the pair, as float32; `None` where scales are unknown or do not fit its shape.
pub fn round_trip(pair: &Pair, value: &Tensor) -> Option<Tensor> {
    let quantizer = Grid::quantizer(pair, &value.shape)?;
    let dequantizer = Grid::dequantizer(pair, &value.shape)?;
    let through = |(i, x): (usize, f64)| dequantizer.value(i, quantizer.code(i, x));
    let values: Vec<f32> = to_f64(value).into_iter().enumerate().map(through).collect();
    Some(Tensor::from_vec(DType::Float32, value.shape.clone(), values))
}

/// The values that a weight stored quantised stands for, in the type of its scale.
pub fn dequantised(pair: &Pair) -> Option<Tensor> {
    let stored = pair.stored.as_ref()?;
    let grid = Grid::dequantizer(pair, &stored.shape)?;
    let values: Vec<f32> = to_f64(stored).into_iter().enumerate().map(|(i, code)| grid.value(i, code)).collect();
    cast(&Tensor::from_vec(DType::Float32, stored.shape.clone(), values), pair.scale.as_ref()?.dtype)
}

/// Scales and zero points laid over a tensor.
pub struct Grid {
    scales: Vec<f32>,
    zeros: Vec<f64>,
    /// What codes there are.
    pub codes: Codes,
    layout: Layout,
}

/// The values of a quantised type, before zero point and scale.
pub enum Codes {
    /// The smallest and the largest.
    Integers(f64, f64),
    /// Sorted; a tie goes to the even code.
    Floats(Vec<(f64, u8)>),
}

/// Which scale an element has: `outer x length x inner` elements, and a scale for each `block` of `length`.
struct Layout {
    length: usize,
    inner: usize,
    block: usize,
    /// Several scales for one position along the axis (blocked quantisation), not one.
    each: bool,
}

impl Grid {
    /// As the QuantizeLinear has them; `None` where they are unknown or do not fit `shape`.
    pub fn quantizer(pair: &Pair, shape: &[usize]) -> Option<Grid> {
        let (scale, zero_point) = match &pair.quantizer {
            Some((scale, zero_point)) => (scale, zero_point),
            None => (&pair.scale, &pair.zero_point),
        };
        Grid::new(pair, scale.as_ref()?, zero_point.as_ref(), shape)
    }

    /// As the DequantizeLinear has them; `None` where they are unknown or do not fit `shape`.
    pub fn dequantizer(pair: &Pair, shape: &[usize]) -> Option<Grid> {
        Grid::new(pair, pair.scale.as_ref()?, pair.zero_point.as_ref(), shape)
    }

    fn new(pair: &Pair, scale: &Tensor, zero_point: Option<&Tensor>, shape: &[usize]) -> Option<Grid> {
        let layout = Layout::new(scale, pair.axis, pair.block, shape)?;
        let scales: Vec<f32> = to_f64(scale).into_iter().map(|s| s as f32).collect();
        let zeros = zero_point.map_or_else(|| vec![0.0; scales.len()], to_f64);
        (zeros.len() == scales.len()).then_some(())?;
        Some(Grid { scales, zeros, codes: Codes::of(pair.dtype)?, layout })
    }

    /// How many scales there are.
    pub fn groups(&self) -> usize {
        self.scales.len()
    }

    /// Of this group of elements.
    pub fn scale(&self, group: usize) -> f64 {
        f64::from(self.scales[group])
    }

    /// The code that stands for zero in this group.
    pub fn zero(&self, group: usize) -> f64 {
        self.zeros[group]
    }

    /// Which scale element `i` has.
    pub fn group(&self, i: usize) -> usize {
        self.layout.group(i)
    }

    /// The code of element `i` before it is saturated; infinite for infinities.
    pub fn unbounded(&self, i: usize, x: f64) -> f64 {
        let group = self.group(i);
        let scaled = x as f32 / self.scales[group];
        match self.codes {
            Codes::Integers(..) => f64::from(scaled.round_ties_even()) + self.zeros[group],
            Codes::Floats(_) => f64::from(scaled),
        }
    }

    /// The code of element `i`. NaN becomes the smallest integer, as in ONNX Runtime; the standard does not say.
    pub fn code(&self, i: usize, x: f64) -> f64 {
        let code = self.unbounded(i, x);
        match &self.codes {
            Codes::Integers(least, greatest) if code.is_nan() || code < *least => least.min(*greatest),
            Codes::Integers(_, greatest) => code.min(*greatest),
            Codes::Floats(values) => nearest(values, code),
        }
    }

    /// What the code of element `i` stands for: (code - zero point) * scale, in float32.
    pub fn value(&self, i: usize, code: f64) -> f32 {
        let group = self.group(i);
        (code - self.zeros[group]) as f32 * self.scales[group]
    }

    /// The smallest and the largest value of a scale.
    pub fn representable(&self, group: usize) -> (f64, f64) {
        let (least, greatest) = self.codes.bounds();
        let value = |code: f64| f64::from((code - self.zeros[group]) as f32 * self.scales[group]);
        (value(least), value(greatest))
    }

    /// The largest of the scales.
    pub fn coarsest(&self) -> f64 {
        self.scales.iter().map(|s| f64::from(s.abs())).fold(0.0, f64::max)
    }
}

impl Codes {
    /// `None` for a type that ONNX quantises nothing to.
    pub fn of(dtype: DType) -> Option<Codes> {
        use DType::*;
        Some(match dtype {
            Int2 => Codes::Integers(-2.0, 1.0),
            Uint2 => Codes::Integers(0.0, 3.0),
            Int4 => Codes::Integers(-8.0, 7.0),
            Uint4 => Codes::Integers(0.0, 15.0),
            Int8 => Codes::Integers(-128.0, 127.0),
            Uint8 => Codes::Integers(0.0, 255.0),
            Int16 => Codes::Integers(-32768.0, 32767.0),
            Uint16 => Codes::Integers(0.0, 65535.0),
            Int32 => Codes::Integers(f64::from(i32::MIN), f64::from(i32::MAX)),
            Float8e4m3fn | Float8e4m3fnuz | Float8e5m2 | Float8e5m2fnuz => {
                let all = Tensor::new(dtype, vec![256], (0..=255u8).collect::<Vec<u8>>()).ok()?;
                Codes::Floats(sorted(&all))
            }
            Float4e2m1 => {
                // Two codes a byte, the first in the low half.
                let bytes: Vec<u8> = (0..8).map(|i| (2 * i) | (2 * i + 1) << 4).collect();
                Codes::Floats(sorted(&Tensor::new(dtype, vec![16], bytes).ok()?))
            }
            _ => return None,
        })
    }

    /// The smallest and the largest finite code.
    pub fn bounds(&self) -> (f64, f64) {
        match self {
            Codes::Integers(least, greatest) => (*least, *greatest),
            Codes::Floats(values) => {
                let end = |v: Option<&(f64, u8)>| v.map_or(0.0, |(v, _)| *v);
                (end(values.first()), end(values.last()))
            }
        }
    }
}

fn sorted(all: &Tensor) -> Vec<(f64, u8)> {
    let mut values: Vec<(f64, u8)> = to_f64(all).into_iter().zip(0..=255).filter(|(v, _)| v.is_finite()).collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    values
}

/// The nearest value, the ends for what is beyond them; NaN stays NaN.
fn nearest(values: &[(f64, u8)], x: f64) -> f64 {
    let above = values.partition_point(|(v, _)| *v < x);
    let around = &values[above.saturating_sub(1)..(above + 1).min(values.len())];
    let closer =
        |a: &&(f64, u8), b: &&(f64, u8)| (a.0 - x).abs().total_cmp(&(b.0 - x).abs()).then((a.1 % 2).cmp(&(b.1 % 2)));
    if x.is_nan() { x } else { around.iter().min_by(closer).map_or(x, |(v, _)| *v) }
}

impl Layout {
    fn new(scale: &Tensor, axis: Option<i64>, block: i64, shape: &[usize]) -> Option<Layout> {
        let rank = i64::try_from(shape.len()).ok()?;
        let Some(axis) = axis else {
            return (scale.elements() == 1).then_some(Layout { length: 1, inner: 1, block: usize::MAX, each: false });
        };
        let axis = usize::try_from(if axis < 0 { axis + rank } else { axis }).ok().filter(|a| *a < shape.len())?;
        let (length, inner) = (shape[axis], shape[axis + 1..].iter().product());
        if block == 0 {
            return (scale.elements() == length).then_some(Layout { length, inner, block: 1, each: false });
        }
        let block = usize::try_from(block).ok()?;
        let mut blocks = shape.to_vec();
        blocks[axis] = length.div_ceil(block);
        (scale.shape == blocks).then_some(Layout { length, inner, block, each: true })
    }

    fn group(&self, i: usize) -> usize {
        if self.block == usize::MAX {
            return 0;
        }
        let along = i / self.inner % self.length / self.block;
        if !self.each {
            return along;
        }
        let outer = i / (self.inner * self.length);
        (outer * self.length.div_ceil(self.block) + along) * self.inner + i % self.inner
    }
}

#[cfg(test)]
mod tests;
