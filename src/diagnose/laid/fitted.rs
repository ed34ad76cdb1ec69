//! Parameters that fit given values: of a range, of a weight that is quantised anew, of integers that are right and have the wrong
//! scale.

use crate::compare::to_f64;
use crate::qdq::{Codes, Grid, Pair, Parameters};
use crate::tensor::{DType, Tensor};

/// Smallest and largest finite value, zero among them.
pub fn range(values: &[f64]) -> (f64, f64) {
    values.iter().filter(|x| x.is_finite()).fold((0.0, 0.0), |(lo, hi), x| (f64::min(lo, *x), f64::max(hi, *x)))
}

/// One scale and zero point for a range, for codes of this type: symmetric ones where `symmetric`.
pub fn of_range(dtype: DType, (lo, hi): (f64, f64), symmetric: bool) -> Option<(f64, f64)> {
    let Codes::Integers(least, most) = Codes::of(dtype)? else { return None };
    let middle = ((least + most) / 2.0).ceil();
    let (scale, zero) = match symmetric {
        true => (f64::max(-lo, hi) / (most - middle), middle),
        false => ((hi - lo) / (most - least), f64::NAN),
    };
    let scale = if scale > 0.0 && scale.is_finite() { f64::from(scale as f32) } else { return None };
    let zero = if zero.is_nan() { (least - lo / scale).round_ties_even().clamp(least, most) } else { zero };
    Some((scale, zero))
}

/// Do the parameters of the pair treat both signs alike?
pub fn is_symmetric(pair: &Pair) -> bool {
    let zeros = pair.zero_point.as_ref().map_or_else(|| vec![0.0], to_f64);
    let middle = match Codes::of(pair.dtype) {
        Some(Codes::Integers(least, most)) => ((least + most) / 2.0).ceil(),
        _ => 0.0,
    };
    zeros.iter().all(|z| *z == middle)
}

/// A zero point, or several, of a quantised type.
pub fn zero_point(dtype: DType, shape: &[usize], values: &[f64]) -> Option<Tensor> {
    let shape = shape.to_vec();
    Some(match dtype {
        DType::Int8 => Tensor::from_vec(dtype, shape, values.iter().map(|z| *z as i8).collect::<Vec<i8>>()),
        DType::Uint8 => Tensor::from_vec(dtype, shape, values.iter().map(|z| *z as u8).collect::<Vec<u8>>()),
        DType::Int16 => Tensor::from_vec(dtype, shape, values.iter().map(|z| *z as i16).collect::<Vec<i16>>()),
        DType::Uint16 => Tensor::from_vec(dtype, shape, values.iter().map(|z| *z as u16).collect::<Vec<u16>>()),
        DType::Int32 => Tensor::from_vec(dtype, shape, values.iter().map(|z| *z as i32).collect::<Vec<i32>>()),
        _ => return None,
    })
}

/// Scales in the shape and the type of those that are there.
pub fn scales(like: &Tensor, values: &[f64]) -> Option<Tensor> {
    let scales: Vec<f32> = values.iter().map(|s| *s as f32).collect();
    let shape = if scales.len() == like.elements() { like.shape.clone() } else { vec![scales.len()] };
    crate::precision::cast(&Tensor::from_vec(DType::Float32, shape, scales), like.dtype)
}

/// A weight quantised anew, symmetric, with one scale or one along `axis`; of types of whole bytes.
pub fn anew(pair: &Pair, weight: &Tensor, axis: Option<usize>) -> Option<Parameters> {
    let values = to_f64(weight);
    let (channels, inner) = match axis {
        Some(a) => (weight.shape[a], weight.shape[a + 1..].iter().product::<usize>().max(1)),
        None => (1, 1),
    };
    let group = |i: usize| i / inner % channels.max(1);
    let mut reach = vec![0f64; channels];
    values.iter().enumerate().filter(|(_, x)| x.is_finite()).for_each(|(i, x)| {
        reach[group(i)] = reach[group(i)].max(x.abs());
    });
    let Codes::Integers(least, most) = Codes::of(pair.dtype)? else { return None };
    let middle = ((least + most) / 2.0).ceil();
    let steps: Vec<f64> = reach.iter().map(|r| if *r > 0.0 { r / (most - middle) } else { 1.0 }).collect();
    let code = |(i, x): (usize, &f64)| ((x / steps[group(i)]).round_ties_even() + middle).clamp(least, most);
    let codes: Vec<f64> = values.iter().enumerate().map(code).collect();
    let like = pair.scale.as_ref()?;
    let shape = if axis.is_some() { vec![channels] } else { like.shape.clone() };
    Some(Parameters {
        scale: crate::precision::cast(
            &Tensor::from_vec(DType::Float32, shape.clone(), steps.iter().map(|s| *s as f32).collect::<Vec<f32>>()),
            like.dtype,
        )?,
        zero_point: zero_point(pair.dtype, &shape, &vec![middle; steps.len()]),
        axis: axis.map(|a| a as i64),
        stored: zero_point(pair.dtype, &weight.shape, &codes),
    })
}

/// What codes say of the scale of one group, by least squares against the values they stand for.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The scale in the file.
    pub scale: f64,
    /// The scale that fits best with the zero point there is.
    pub fitted: f64,
    /// What is left then, in steps of the fitted scale: 0.29 of codes that were rounded.
    pub left: f64,
    /// The scale that fits best where the zero point may be another, that zero point, and what is left then.
    pub free: (f64, f64, f64),
    /// How far the codes go from the zero point.
    pub reach: f64,
}

/// By group of scales; `None` where all codes are the zero point or values are not finite.
pub fn lines(grid: &Grid, codes: &[f64], values: &[f64]) -> Vec<Option<Line>> {
    let mut groups: Vec<Vec<(f64, f64)>> = vec![Vec::new(); grid.groups()];
    for (i, (code, value)) in codes.iter().zip(values).enumerate() {
        groups[grid.group(i)].push((*code, *value));
    }
    groups.iter().enumerate().map(|(g, points)| line(grid.scale(g), grid.zero(g), points)).collect()
}

fn line(scale: f64, zero: f64, points: &[(f64, f64)]) -> Option<Line> {
    let n = points.len() as f64;
    let sum = |f: &dyn Fn(f64, f64) -> f64| points.iter().map(|(q, x)| f(*q, *x)).sum::<f64>();
    let squares = sum(&|q, _| (q - zero) * (q - zero));
    let fitted = sum(&|q, x| (q - zero) * x) / squares;
    let (mean_q, mean_x) = (sum(&|q, _| q) / n, sum(&|_, x| x) / n);
    let slope = sum(&|q, x| (q - mean_q) * (x - mean_x)) / sum(&|q, _| (q - mean_q) * (q - mean_q));
    let free_zero = mean_q - mean_x / slope;
    let left = |s: f64, z: f64| (sum(&|q, x| (x - s * (q - z)).powi(2)) / n).sqrt() / s.abs();
    let reach = points.iter().map(|(q, _)| (q - zero).abs()).fold(0.0, f64::max);
    let free = (slope, free_zero, left(slope, free_zero));
    (fitted.is_finite() && fitted != 0.0).then(|| Line { scale, fitted, left: left(fitted, zero), free, reach })
}
