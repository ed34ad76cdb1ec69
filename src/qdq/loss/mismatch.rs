//! Pairs whose parameters do not fit the values: the scale, its axis, or two versions of it. Judges by what was measured;
//! measures nothing.

use super::{Losses, Pair};
use crate::found::words::number;
use crate::tensor::DType;

/// Calibrators clip outliers on purpose, but not three quarters of the range.
const TOO_SMALL: f64 = 1.0 / 4.0;
/// A range of which an eighth is used leaves 5 bits of 8.
const TOO_LARGE: f64 = 8.0;
/// Below this relative RMS the pair loses too little to be to blame.
const HARMLESS: f64 = 0.01;

impl Losses {
    /// What is wrong with the pair's parameters, as it goes on after the tensor's name: `has a scale 10 times too large
    /// for its values`. `lost` is its relative RMS error; `folded` says that the pair does the work of a Relu or Clip as
    /// well, so that it clips one side on purpose.
    pub fn mismatch(&self, pair: &Pair, lost: f64, folded: bool) -> Option<String> {
        // The scale of an int32 bias is the product of two others: no range is fitted, and none calibrated.
        if lost < HARMLESS || pair.dtype == DType::Int32 {
            return None;
        }
        if pair.quantizer.is_some() {
            return Some("is quantised with other parameters than it is dequantised with".to_string());
        }
        if let Some(why) = &self.axis_suspect {
            return Some(format!("has its scales along the wrong axis ({why})"));
        }
        match self.scale_ratio? {
            0.0 => (!folded).then(|| "has a zero point that leaves out one side of its values".to_string()),
            ratio if ratio <= TOO_SMALL => Some(times(1.0 / ratio, "small")),
            ratio if ratio >= TOO_LARGE => Some(times(ratio, "large")),
            _ => None,
        }
    }
}

fn times(factor: f64, size: &str) -> String {
    format!("has a scale {} times too {size} for its values", number(factor))
}

#[cfg(test)]
mod tests {
    use super::super::loss;
    use super::*;
    use crate::tensor::Tensor;

    fn pair(dtype: DType, scale: f32) -> Pair {
        Pair {
            tensor: "t".into(),
            quantize: Some(0),
            dequantize: 1,
            slots: Pair::LINEAR,
            scale: Some(Tensor::f32(&[], &[scale])),
            zero_point: None,
            quantizer: None,
            axis: None,
            block: 0,
            dtype,
            stored: None,
            weight: false,
            consumers: vec![],
            channels: None,
        }
    }

    #[track_caller]
    fn check(pair: &Pair, values: &[f32], folded: bool, want: Option<&str>) {
        let losses = loss(pair, &Tensor::f32(&[values.len()], values)).unwrap();
        let lost = 10f64.powf(-losses.quantisation.sqnr_db.0 / 20.0);
        assert_eq!(losses.mismatch(pair, lost, folded).as_deref(), want, "{losses:?}");
    }

    #[test]
    fn sizes() {
        let values: Vec<f32> = (0..100).map(|i| i as f32 / 99.0).collect();
        let int8 = |factor: f32| pair(DType::Int8, factor / 127.0);
        for factor in [1.0, 0.5, 5.0] {
            check(&int8(factor), &values, false, None);
        }
        check(&int8(10.0), &values, false, Some("has a scale 10.0 times too large for its values"));
        check(&int8(0.02), &values, false, Some("has a scale 50.0 times too small for its values"));
        // With so many bits nothing is lost; and what the scale of a bias is, two other scales say.
        check(&pair(DType::Int32, 1e-6), &values, false, None);
        check(&pair(DType::Int32, 30.0), &values, false, None);
        check(&pair(DType::Uint16, 10.0 / 65535.0), &values, false, None);
    }

    #[test]
    fn sides_and_parameters() {
        let unsigned = pair(DType::Uint8, 1.0 / 255.0);
        check(&unsigned, &[-1.0, 0.5, 1.0], false, Some("has a zero point that leaves out one side of its values"));
        check(&unsigned, &[-1.0, 0.5, 1.0], true, None);
        let other = Pair { quantizer: Some((Some(Tensor::f32(&[], &[0.1])), None)), ..unsigned };
        check(&other, &[0.2, 0.5, 1.0], false, Some("is quantised with other parameters than it is dequantised with"));
    }
}
