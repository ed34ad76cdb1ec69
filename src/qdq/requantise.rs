//! Integers, scales and zero points as ONNX Runtime's quantiser would have made them with other settings: weights with one scale
//! a channel, in fewer bits or symmetric; activations of the same range in 16 bits or symmetric; an int32 bias that follows its
//! two operands. Values in, values out: which settings these are, and of which file, is not known here.

use super::{Codes, Pair, Parameters};
use crate::compare::to_f64;
use crate::precision::cast;
use crate::tensor::{DType, Tensor};

/// How a weight is quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Way {
    /// One scale for each position along this dimension; `None`: one scale.
    pub axis: Option<usize>,
    /// Both signs alike.
    pub symmetric: bool,
    /// 7 of 8 bits (`reduce_range`).
    pub reduced: bool,
}

/// Do the parameters of the pair treat both signs alike?
pub fn is_symmetric(pair: &Pair) -> bool {
    let zeros = pair.zero_point.as_ref().map_or_else(|| vec![0.0], to_f64);
    let middle = Codes::of(pair.dtype).map_or(0.0, |codes| middle(codes.bounds()));
    zeros.iter().all(|z| *z == middle)
}

/// The weight of `pair` with these float values, quantised anew. `None` for types of other than whole bytes, and values that are
/// not finite.
pub fn weight(pair: &Pair, float: &Tensor, way: Way) -> Option<Parameters> {
    let codes = range(pair.dtype, way)?;
    let values = to_f64(float);
    let (channels, inner) = match way.axis {
        Some(axis) => (*float.shape.get(axis)?, float.shape[axis + 1..].iter().product::<usize>().max(1)),
        None => (1, 1),
    };
    let group = |i: usize| i / inner % channels.max(1);
    let mut ends = vec![(0f64, 0f64); channels];
    for (i, x) in values.iter().enumerate() {
        let (lo, hi) = &mut ends[group(i)];
        (*lo, *hi) = (lo.min(*x), hi.max(*x));
    }
    let steps: Vec<(f64, f64)> = ends.iter().map(|ends| step(codes, *ends, way.symmetric)).collect::<Option<_>>()?;
    let code = |(i, x): (usize, &f64)| {
        let (scale, zero) = steps[group(i)];
        ((x / scale).round_ties_even() + zero).clamp(codes.0, codes.1)
    };
    let stored: Vec<f64> = values.iter().enumerate().map(code).collect();
    let like = pair.scale.as_ref()?;
    let shape = if way.axis.is_some() { vec![channels] } else { one(like) };
    let (scales, zeros): (Vec<f64>, Vec<f64>) = steps.into_iter().unzip();
    Some(Parameters {
        scale: scale(like, shape.clone(), &scales)?,
        zero_point: Some(integers(pair.dtype, shape, &zeros)?),
        axis: way.axis.map(|a| a as i64),
        stored: Some(integers(pair.dtype, float.shape.clone(), &stored)?),
    })
}

/// The range that the codes of an activation stand for now, in 16 bits of the same signedness.
pub fn in_16_bits(pair: &Pair) -> Option<Parameters> {
    let dtype = match pair.dtype {
        DType::Uint8 => DType::Uint16,
        DType::Int8 => DType::Int16,
        _ => return None,
    };
    let symmetric = pair.dtype == DType::Int8 && is_symmetric(pair);
    let codes = range(dtype, Way { axis: None, symmetric, reduced: false })?;
    activation(pair, dtype, codes, symmetric)
}

/// The same range, widened until both signs are alike.
pub fn symmetric(pair: &Pair) -> Option<Parameters> {
    let codes = range(pair.dtype, Way { axis: None, symmetric: true, reduced: false })?;
    activation(pair, pair.dtype, codes, true)
}

/// An int32 bias of these float values, where its operands have these scales; `factor` is Gemm's beta.
pub fn bias(pair: &Pair, float: &Tensor, input: &Tensor, weight: &Tensor, factor: f64) -> Option<Parameters> {
    let [input] = to_f64(input)[..] else { return None };
    let like = pair.scale.as_ref()?;
    let scales: Vec<f64> = to_f64(weight).iter().map(|w| f64::from((w * input * factor) as f32)).collect();
    let values = to_f64(float);
    if scales.iter().any(|s| *s <= 0.0) || !(scales.len() == 1 || scales.len() == values.len()) {
        return None;
    }
    let at = |i: usize| scales[if scales.len() == 1 { 0 } else { i }];
    let ends = (f64::from(i32::MIN), f64::from(i32::MAX));
    let codes = values.iter().enumerate().map(|(i, x)| (x / at(i)).round_ties_even().clamp(ends.0, ends.1));
    let stored = integers(DType::Int32, float.shape.clone(), &codes.collect::<Vec<f64>>())?;
    let shape = if scales.len() == 1 { one(like) } else { vec![scales.len()] };
    Some(Parameters {
        scale: scale(like, shape.clone(), &scales)?,
        zero_point: Some(integers(DType::Int32, shape, &vec![0.0; scales.len()])?),
        axis: (scales.len() > 1).then_some(0),
        stored: Some(stored),
    })
}

fn activation(pair: &Pair, dtype: DType, codes: (f64, f64), symmetric: bool) -> Option<Parameters> {
    let like = pair.scale.as_ref().filter(|s| s.elements() == 1)?;
    let now = to_f64(like)[0];
    let zero = pair.zero_point.as_ref().map_or(0.0, |z| to_f64(z)[0]);
    let (least, most) = Codes::of(pair.dtype)?.bounds();
    let (step, zero) = step(codes, ((least - zero) * now, (most - zero) * now), symmetric)?;
    Some(Parameters {
        scale: scale(like, like.shape.clone(), &[step])?,
        zero_point: Some(integers(dtype, like.shape.clone(), &[zero])?),
        axis: None,
        stored: None,
    })
}

/// Smallest and largest code, as ONNX Runtime's quantiser has them (quant_utils.py, `get_qmin_qmax_for_qType`).
fn range(dtype: DType, way: Way) -> Option<(f64, f64)> {
    Some(match (dtype, way.reduced, way.symmetric) {
        (DType::Int8, true, _) => (-64.0, 64.0),
        (DType::Uint8, true, _) => (0.0, 127.0),
        (DType::Int8, false, true) => (-127.0, 127.0),
        (DType::Int8, false, false) => (-128.0, 127.0),
        (DType::Uint8, false, _) => (0.0, 255.0),
        (DType::Int16, false, true) => (-32767.0, 32767.0),
        (DType::Int16, false, false) => (-32768.0, 32767.0),
        (DType::Uint16, false, _) => (0.0, 65535.0),
        _ => return None,
    })
}

/// Scale and zero point of a range that has zero in it (quant_utils.py, `compute_scale_zp`).
fn step((least, most): (f64, f64), (lo, hi): (f64, f64), symmetric: bool) -> Option<(f64, f64)> {
    if !lo.is_finite() || !hi.is_finite() {
        return None;
    }
    let reach = f64::max(-lo, hi);
    let (lo, hi) = if symmetric { (-reach, reach) } else { (lo, hi) };
    let scale = (hi - lo) / (most - least);
    if scale < f64::from(f32::MIN_POSITIVE) {
        return Some((1.0, if symmetric { middle((least, most)) } else { 0.0 }));
    }
    let zero = if symmetric { middle((least, most)) } else { (least - lo / scale).round_ties_even() };
    Some((f64::from(scale as f32), zero.clamp(least, most)))
}

/// Of codes that treat both signs alike, the one that stands for zero.
fn middle((least, most): (f64, f64)) -> f64 {
    ((least + most) / 2.0).ceil()
}

/// The shape of one scale, as the file writes it.
fn one(like: &Tensor) -> Vec<usize> {
    if like.elements() == 1 { like.shape.clone() } else { Vec::new() }
}

fn scale(like: &Tensor, shape: Vec<usize>, values: &[f64]) -> Option<Tensor> {
    let values: Vec<f32> = values.iter().map(|s| *s as f32).collect();
    cast(&Tensor::from_vec(DType::Float32, shape, values), like.dtype)
}

fn integers(dtype: DType, shape: Vec<usize>, values: &[f64]) -> Option<Tensor> {
    fn of<T: bytemuck::Pod + Send + Sync>(
        dtype: DType,
        shape: Vec<usize>,
        values: &[f64],
        as_code: fn(f64) -> T,
    ) -> Option<Tensor> {
        Some(Tensor::from_vec(dtype, shape, values.iter().map(|x| as_code(*x)).collect::<Vec<T>>()))
    }
    match dtype {
        DType::Int8 => of(dtype, shape, values, |x| x as i8),
        DType::Uint8 => of(dtype, shape, values, |x| x as u8),
        DType::Int16 => of(dtype, shape, values, |x| x as i16),
        DType::Uint16 => of(dtype, shape, values, |x| x as u16),
        DType::Int32 => of(dtype, shape, values, |x| x as i32),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(dtype: DType, scale: f32, zero: f64) -> Pair {
        Pair {
            tensor: "w".into(),
            quantize: None,
            dequantize: 0,
            slots: Pair::LINEAR,
            scale: Some(Tensor::f32(&[], &[scale])),
            zero_point: integers(dtype, vec![], &[zero]),
            quantizer: None,
            axis: None,
            block: 0,
            dtype,
            stored: None,
            weight: true,
            consumers: vec![],
            channels: None,
        }
    }

    #[test]
    fn weights_by_channel_and_in_seven_bits() {
        let float = Tensor::f32(&[2, 2], &[127.0, -1.27, 63.5, 0.635]);
        let way = Way { axis: Some(1), symmetric: true, reduced: false };
        let new = weight(&pair(DType::Int8, 1.0, 0.0), &float, way).unwrap();
        assert_eq!((new.axis, new.scale.shape.as_slice()), (Some(1), &[2][..]));
        assert_eq!(to_f64(new.stored.as_ref().unwrap()), [127.0, -127.0, 64.0, 64.0]);
        let seven = weight(&pair(DType::Int8, 1.0, 0.0), &float, Way { axis: None, reduced: true, ..way }).unwrap();
        assert_eq!((seven.axis, to_f64(seven.stored.as_ref().unwrap())[0]), (None, 64.0));
        assert!(weight(&pair(DType::Int4, 1.0, 0.0), &float, way).is_none());
        let nan = Tensor::f32(&[1], &[f32::INFINITY]);
        assert!(weight(&pair(DType::Int8, 1.0, 0.0), &nan, Way { axis: None, ..way }).is_none());
    }

    /// 255 steps become 65535 of the same range.
    #[test]
    fn sixteen_bits_of_the_same_range() {
        let new = in_16_bits(&pair(DType::Uint8, 0.257, 100.0)).unwrap();
        assert_eq!(new.zero_point.as_ref().unwrap().dtype, DType::Uint16);
        let (scale, zero) = (to_f64(&new.scale)[0], to_f64(new.zero_point.as_ref().unwrap())[0]);
        assert!((scale - 0.001).abs() < 1e-8 && zero == 25700.0, "{scale} {zero}");
        let alike = in_16_bits(&pair(DType::Int8, 1.0, 0.0)).unwrap();
        assert_eq!(to_f64(alike.zero_point.as_ref().unwrap()), [0.0]);
    }

    #[test]
    fn symmetric_activations_keep_the_longer_half() {
        let new = symmetric(&pair(DType::Int8, 1.0, -128.0)).unwrap();
        assert_eq!(to_f64(new.zero_point.as_ref().unwrap()), [0.0]);
        assert!((to_f64(&new.scale)[0] - 255.0 / 127.0).abs() < 1e-6);
    }

    #[test]
    fn a_bias_follows_its_operands() {
        let float = Tensor::f32(&[2], &[1.0, -2.0]);
        let new = bias(
            &pair(DType::Int32, 1.0, 0.0),
            &float,
            &Tensor::f32(&[], &[0.5]),
            &Tensor::f32(&[2], &[0.5, 0.25]),
            1.0,
        );
        let new = new.unwrap();
        assert_eq!((to_f64(&new.scale), to_f64(new.stored.as_ref().unwrap())), (vec![0.25, 0.125], vec![4.0, -16.0]));
        assert_eq!(new.axis, Some(0));
    }
}
