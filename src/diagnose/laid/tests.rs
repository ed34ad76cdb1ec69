//! Each kind of wrong parameters, and healthy ones.

use super::*;
use crate::judge::parts::Part;
use crate::tensor::DType;

fn pair(dtype: DType, scales: &[f32], zeros: Tensor) -> Pair {
    Pair {
        tensor: "t".into(),
        quantize: Some(0),
        dequantize: 1,
        slots: Pair::LINEAR,
        scale: Some(Tensor::f32(&[scales.len()], scales)),
        zero_point: Some(zeros),
        quantizer: None,
        axis: (scales.len() > 1).then_some(0),
        block: 0,
        dtype,
        stored: None,
        weight: false,
        consumers: vec![],
        channels: None,
    }
}

fn zeros(count: usize) -> Tensor {
    Tensor::from_vec(DType::Int8, vec![count], vec![0i8; count])
}

/// Rows of a smooth weight, and its int8 codes in steps of `scales`, one a row.
fn rows(scales: &[f32], zero: i8) -> (Tensor, Tensor) {
    let code = |i: usize| ((i * 37) % 101) as i8 - 50;
    let codes: Vec<i8> = (0..scales.len() * 32).map(code).collect();
    let values: Vec<f32> =
        codes.iter().enumerate().map(|(i, q)| scales[i / 32] * (f32::from(*q) - f32::from(zero) + 0.2)).collect();
    let shape = [scales.len(), 32];
    (Tensor::f32(&shape, &values), Tensor::from_vec(DType::Int8, shape.to_vec(), codes))
}

#[track_caller]
fn check(pair: &Pair, value: &Tensor, code: Option<&str>, words: &str) {
    let laid = Laid { pair, value, place: "'t'".into(), product: None, fixed: false, cuts: &[] };
    let found = suspicions(&laid);
    assert_eq!(found.first().map(|s| s.code), code, "{:?}", found.iter().map(|s| &s.evidence).collect::<Vec<_>>());
    let text = found.first().map_or(String::new(), |s| s.evidence.clone());
    assert!(text.contains(words), "{text}");
}

fn ramp(from: f32, to: f32) -> Tensor {
    let values: Vec<f32> = (0..200).map(|i| from + (to - from) * i as f32 / 199.0).collect();
    Tensor::f32(&[200], &values)
}

#[test]
fn activations() {
    let int8 = |scale: f32| pair(DType::Int8, &[scale], zeros(1));
    check(&int8(1.0 / 127.0), &ramp(-1.0, 1.0), None, "");
    check(&int8(0.02 / 127.0), &ramp(-1.0, 1.0), Some("scale-mismatch"), "50 times too small");
    check(&int8(20.0 / 127.0), &ramp(-1.0, 1.0), Some("scale-mismatch"), "20 times too large");
    check(&int8(0.5 / 127.0), &ramp(-1.0, 1.0), Some("int8-saturation"), "50.0 % of 't'");
    // 0 .. 2 in 255 steps: the zero point has to be -128.
    check(&int8(2.0 / 255.0), &ramp(0.0, 2.0), Some("zero-point"), "for which it would be -128");
    let other = Pair { quantizer: Some((int8(1.0 / 127.0).scale, None)), ..int8(3.0 / 127.0) };
    check(&other, &ramp(-1.0, 1.0), Some("scale-mismatch"), "and dequantised with 0.02362");
}

#[test]
fn parts_of_different_size() {
    let part = |name: &str, length: usize| Part { name: name.into(), length };
    let cut =
        Cut { elements: 100, period: 100, parts: vec![part("boxes", 60), part("scores", 40)], along: Some((0, 1)) };
    let values: Vec<f32> = (0..100).map(|i| if i < 60 { i as f32 * 10.0 } else { (i - 60) as f32 / 40.0 }).collect();
    let value = Tensor::f32(&[100], &values);
    let pair = pair(DType::Int8, &[600.0 / 127.0], zeros(1));
    let found = |cuts: &[Cut]| {
        let laid = Laid { pair: &pair, value: &value, place: "'t'".into(), product: None, fixed: false, cuts };
        suspicions(&laid).first().map(|s| (s.code, s.evidence.clone()))
    };
    let (code, evidence) = found(&[cut]).unwrap();
    assert_eq!(code, "part-ranges");
    assert!(evidence.contains("'scores' ([60:100] of axis 0) reaches 0.975 and has 1 code left"), "{evidence}");
    assert!(found(&[]).is_none());
}

#[test]
fn a_range_that_the_quantiser_takes_from_the_operator() {
    let pair = pair(DType::Int8, &[1.0 / 127.0], zeros(1));
    let advice = |fixed: bool| {
        let laid = Laid { pair: &pair, value: &ramp(0.0, 0.08), place: "'t'".into(), product: None, fixed, cuts: &[] };
        suspicions(&laid)[0].advice.clone()
    };
    assert!(advice(false).starts_with("calibrate 't' again"));
    assert!(advice(true).contains("whatever the data"), "{}", advice(true));
}

#[test]
fn sentinels() {
    let masked = |sentinel: f32| {
        let mut values: Vec<f32> = (0..64).map(|i| (i as f32 - 32.0) / 8.0).collect();
        values[60..].fill(sentinel);
        Tensor::f32(&[64], &values)
    };
    let fit = |reach: f32| pair(DType::Int8, &[reach / 127.0], zeros(1));
    check(&fit(3.4e38), &masked(-3.4e38), Some("sentinel-range"), "a sentinel sets the range of 't': 4 of 64 values");
    check(&fit(3.4e38), &masked(-3.4e38), Some("sentinel-range"), "have 1 code left of them all");
    check(&fit(1e4), &masked(-1e4), Some("sentinel-range"), "1 code");
    check(&fit(1e3), &masked(900.0), Some("sentinel-range"), "an outlier");
    // Nothing lives but zeros; and values of every size between.
    let zero = Tensor::f32(&[4], &[0.0, 0.0, 0.0, -3.4e38]);
    check(&fit(3.4e38), &zero, None, "");
    check(&fit(1.0), &ramp(-1.0, 1.0), None, "");
}

#[test]
fn stored_weights() {
    let stored = |scales: &[f32], codes: &Tensor| Pair {
        stored: Some(codes.clone()),
        weight: true,
        quantize: None,
        ..pair(DType::Int8, scales, zeros(scales.len()))
    };
    let (weight, codes) = rows(&[0.01], 0);
    check(&stored(&[0.01], &codes), &weight, None, "");
    check(&stored(&[0.09], &codes), &weight, Some("scale-mismatch"), "too large");
    check(&stored(&[0.001], &codes), &weight, Some("scale-mismatch"), "too small");
    let (shifted, codes) = rows(&[0.01], 9);
    check(&stored(&[0.01], &codes), &shifted, Some("zero-point"), "is 0, and its integers are the weight with 9");
    let right = [0.01f32, 0.02, 0.04, 0.08, 0.16, 0.32];
    let (weight, codes) = rows(&right, 0);
    check(&stored(&right, &codes), &weight, None, "");
    let mut moved = right;
    moved.rotate_left(2);
    check(&stored(&moved, &codes), &weight, Some("block-scales"), "6 of 6 scales of 't' belong to other channels");
    let mut one = right;
    one[3] *= 7.0;
    check(&stored(&one, &codes), &weight, Some("scale-mismatch"), "1 of 6 scales");
}

#[test]
fn channels_of_different_size() {
    let (weight, _) = rows(&[1.0, 0.01, 0.9, 0.001], 0);
    let codes: Vec<i8> = weight.view::<f32>().iter().map(|x| (x / 0.4).round() as i8).collect();
    let pair = Pair {
        stored: Some(Tensor::from_vec(DType::Int8, weight.shape.clone(), codes)),
        weight: true,
        quantize: None,
        channels: Some(("Conv".into(), 0)),
        ..pair(DType::Int8, &[0.4], zeros(1))
    };
    check(&pair, &weight, Some("channel-ranges"), "2 of 4 channels (50.0 %) have fewer than 4 codes");
}
