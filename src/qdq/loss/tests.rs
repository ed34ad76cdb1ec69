//! Saturation, scale and axis, on tensors small enough to count by hand.

use super::*;
use crate::tensor::DType;

fn pair(dtype: DType, scale: Tensor, axis: Option<i64>) -> Pair {
    Pair {
        tensor: "t".into(),
        quantize: Some(0),
        dequantize: 1,
        slots: Pair::LINEAR,
        scale: Some(scale),
        zero_point: None,
        quantizer: None,
        axis,
        block: 0,
        dtype,
        stored: None,
        weight: false,
        consumers: vec![],
        channels: None,
    }
}

fn one_scale(dtype: DType, scale: f32) -> Pair {
    pair(dtype, Tensor::f32(&[], &[scale]), None)
}

#[test]
fn a_good_scale_loses_half_a_step_at_most() {
    let values: Vec<f32> = (0..1000).map(|i| (i as f32 / 999.0 - 0.5) * 2.0).collect();
    let got = loss(&one_scale(DType::Int8, 1.0 / 127.0), &Tensor::f32(&[1000], &values)).unwrap();
    assert!(got.quantisation.max_abs.0 <= 0.5 / 127.0 * 1.0001 && got.quantisation.mismatched == 0);
    assert!(got.quantisation.sqnr_db.0 > 45.0, "{}", got.quantisation.sqnr_db.0);
    assert_eq!((got.clip_fraction, got.range), (0.0, (-1.0, 1.0)));
    assert!((got.scale_ratio.unwrap() - 1.0).abs() < 1e-6 && got.axis_suspect.is_none());
}

#[test]
fn what_is_clipped_is_counted() {
    let x = Tensor::f32(&[8], &[0.0, 1.0, -1.0, 128.0, 500.0, -129.0, -128.0, 127.0]);
    let got = loss(&one_scale(DType::Int8, 1.0), &x).unwrap();
    assert_eq!((got.clip_fraction, got.at_qmin, got.at_qmax), (3.0 / 8.0, 2.0 / 8.0, 3.0 / 8.0));
    assert_eq!((got.range, got.representable), ((-129.0, 500.0), (-128.0, 127.0)));
    assert_eq!((got.scale_ratio, got.quantisation.mismatched), (Some(127.0 / 500.0), 3));
    assert_eq!(got.quantisation.max_abs.0, 373.0);
}

#[test]
fn unsigned_types_do_not_wrap() {
    let zero_point = Some(Tensor::from_vec(DType::Uint8, vec![], vec![200u8]));
    let p = Pair { zero_point, ..one_scale(DType::Uint8, 1.0) };
    let got = loss(&p, &Tensor::f32(&[3], &[-200.0, 55.0, 10.0])).unwrap();
    assert_eq!((got.quantisation.max_abs.0, got.representable), (0.0, (-200.0, 55.0)));
    let got = loss(&one_scale(DType::Uint8, 1.0), &Tensor::f32(&[2], &[-1.0, 3.0])).unwrap();
    assert_eq!((got.clip_fraction, got.scale_ratio), (0.5, Some(0.0)));
}

#[test]
fn nan_and_infinity_are_counted_and_not_dropped() {
    let x = Tensor::f32(&[4], &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1.0]);
    let got = loss(&one_scale(DType::Int8, 1.0), &x).unwrap();
    assert_eq!((got.quantisation.ref_nonfinite, got.quantisation.cand_nonfinite), (3, 0));
    assert_eq!((got.quantisation.mismatched, got.clip_fraction), (3, 0.5));
    assert_eq!((got.range, got.at_qmin, got.at_qmax), ((1.0, 1.0), 0.25, 0.25));
    let nothing = loss(&one_scale(DType::Int8, 1.0), &Tensor::f32(&[1], &[f32::NAN])).unwrap();
    assert!(nothing.range.0.is_nan() && nothing.scale_ratio.is_none());
    let empty = loss(&one_scale(DType::Int8, 1.0), &Tensor::f32(&[0], &[])).unwrap();
    assert_eq!((empty.clip_fraction, empty.quantisation.elements), (0.0, 0));
}

#[test]
fn a_wasteful_scale_is_seen() {
    let got = loss(&one_scale(DType::Int16, 1.0), &Tensor::f32(&[2], &[1.0, -0.5])).unwrap();
    assert_eq!(got.scale_ratio, Some(32767.0));
}

#[test]
fn the_worst_channel_counts() {
    let p = pair(DType::Int8, Tensor::f32(&[2], &[1.0, 0.01]), Some(0));
    let got = loss(&p, &Tensor::f32(&[2, 2], &[127.0, 1.0, 127.0, 1.0])).unwrap();
    assert!((got.scale_ratio.unwrap() - 0.01).abs() < 1e-9);
    assert_eq!(got.representable, (-128.0, 127.0));
}

#[test]
fn floats_of_eight_bits() {
    let got = loss(&one_scale(DType::Float8e4m3fn, 0.5), &Tensor::f32(&[3], &[1.0, 300.0, 0.3])).unwrap();
    assert_eq!((got.representable, got.at_qmax), ((-224.0, 224.0), 1.0 / 3.0));
    assert_eq!((got.clip_fraction, got.quantisation.mismatched), (1.0 / 3.0, 1));
}

/// A square weight whose columns differ in size by 100: scales for axis 1, put on `axis`.
fn square(axis: i64, channels: Option<(String, usize)>) -> Losses {
    let x = Tensor::f32(&[2, 2], &[1.0, 100.0, 0.7, 60.0]);
    let scale = Tensor::f32(&[2], &[1.0 / 127.0, 100.0 / 127.0]);
    loss(&Pair { channels, ..pair(DType::Int8, scale, Some(axis)) }, &x).unwrap()
}

#[test]
fn scales_along_another_axis_are_suspect() {
    assert_eq!(square(1, None).axis_suspect, None);
    let by_values = square(0, None).axis_suspect.unwrap();
    assert!(by_values.contains("'t' (2x2) run along axis 0; along axis 1 the error would be"), "{by_values}");
    let by_operator = square(1, Some(("Conv".into(), 0))).axis_suspect.unwrap();
    assert!(by_operator.ends_with("run along axis 1, but the output channels of Conv are axis 0"), "{by_operator}");
    assert_eq!(square(-1, Some(("MatMul".into(), 1))).axis_suspect, None);
}

#[test]
fn of_a_weight_what_is_stored_counts() {
    let stored = Some(Tensor::from_vec(DType::Int8, vec![2], vec![1i8, 9]));
    let p = Pair { stored, quantize: None, weight: true, ..one_scale(DType::Int8, 1.0) };
    let got = loss(&p, &Tensor::f32(&[2], &[1.0, 2.0])).unwrap();
    assert_eq!((got.quantisation.max_abs.0, got.quantisation.mismatched), (7.0, 1));
}
