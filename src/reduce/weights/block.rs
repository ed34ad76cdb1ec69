//! What stands for a large weight: one typical value, or a sample of its own values. Values only; floats.

use half::{bf16, f16};

use crate::tensor::{DType, Tensor};

/// Elements of a block. A prime: no axis of usual size is a multiple of it, so no two rows of a matrix are equal.
const LENGTH: usize = 251;

/// One value as a tensor of one element: the mean; where the values cancel, their root mean square, since a tiny mean
/// would bring failures of its own (subnormal numbers). `None` where it is not finite.
pub fn typical(weight: &Tensor) -> Option<Tensor> {
    let values = widened(weight)?;
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let rms = (values.iter().map(|v| v * v).sum::<f64>() / count).sqrt();
    let value = if mean.abs() < rms / 10.0 { rms } else { mean };
    let bytes = match weight.dtype {
        DType::Float32 => (value as f32).to_le_bytes().to_vec(),
        DType::Float64 => value.to_le_bytes().to_vec(),
        DType::Float16 => f16::from_f64(value).to_le_bytes().to_vec(),
        DType::Bfloat16 => bf16::from_f64(value).to_le_bytes().to_vec(),
        _ => return None,
    };
    let one = Tensor::new(weight.dtype, vec![1], bytes).ok()?;
    widened(&one)?[0].is_finite().then_some(one)
}

/// A block of the weight's own values, drawn with a fixed seed; its smallest and largest are among them, because a
/// failure may hang on one outlier. `None` for weights that are not much larger than a block.
pub fn sample(weight: &Tensor) -> Option<Tensor> {
    let values = widened(weight)?;
    if values.len() < 2 * LENGTH {
        return None;
    }
    let extreme = |found: Option<usize>| found.unwrap_or(0);
    let order = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
    let mut random = Random(0);
    let mut places: Vec<usize> = (0..LENGTH).map(|_| random.below(values.len())).collect();
    places[LENGTH / 3] = extreme((0..values.len()).min_by(order));
    places[2 * LENGTH / 3] = extreme((0..values.len()).max_by(order));
    let width = weight.dtype.bits() / 8;
    let bytes: Vec<u8> = places.iter().flat_map(|p| &weight.bytes()[p * width..(p + 1) * width]).copied().collect();
    Tensor::new(weight.dtype, vec![LENGTH], bytes).ok()
}

fn widened(tensor: &Tensor) -> Option<Vec<f64>> {
    Some(match tensor.dtype {
        DType::Float32 => tensor.view::<f32>().iter().map(|v| f64::from(*v)).collect(),
        DType::Float64 => tensor.view::<f64>().to_vec(),
        DType::Float16 => tensor.view::<f16>().iter().map(|v| v.to_f64()).collect(),
        DType::Bfloat16 => tensor.view::<bf16>().iter().map(|v| v.to_f64()).collect(),
        _ => return None,
    })
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        ((u128::from(z) * end as u128) >> 64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_value_is_the_mean_unless_values_cancel() {
        let check = |values: &[f32], expected: Option<f32>| {
            let got = typical(&Tensor::f32(&[values.len()], values)).map(|t| t.view::<f32>()[0]);
            assert_eq!(got, expected, "{values:?}");
        };
        check(&[1.0, 2.0, 3.0], Some(2.0));
        check(&[-2.0, 2.0], Some(2.0));
        check(&[1.0, f32::NAN], None);
        let halves: Vec<f16> = [1.0, 4.0].map(f16::from_f32).to_vec();
        let half = typical(&Tensor::from_vec(DType::Float16, vec![2], halves)).unwrap();
        assert_eq!(half.view::<f16>().as_ref(), [f16::from_f32(2.5)]);
    }

    #[test]
    fn a_block_holds_own_values_and_both_extremes_and_is_the_same_every_time() {
        let mut values: Vec<f32> = (0..5000).map(|i| (i as f32 * 0.7).sin()).collect();
        (values[17], values[4000]) = (900.0, -800.0);
        let weight = Tensor::f32(&[50, 100], &values);
        let block = sample(&weight).unwrap();
        assert_eq!(block.shape, [LENGTH]);
        assert!(block.view::<f32>().iter().all(|v| values.contains(v)));
        assert!(block.view::<f32>().contains(&900.0) && block.view::<f32>().contains(&-800.0));
        assert!(block.identical(&sample(&weight).unwrap()));
        assert!(sample(&Tensor::f32(&[LENGTH], &vec![1.0; LENGTH])).is_none(), "nothing is saved");
    }
}
