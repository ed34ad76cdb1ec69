//! `compare` from outside: cases as data, and every element type.

use half::{bf16, f16};

use super::*;
use crate::tensor::DType;

const TOLERANCE: Tolerance = Tolerance { atol: 1e-3, rtol: 1e-2 };
const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn measured(reference: &Tensor, candidate: &Tensor) -> Metrics {
    compare(reference, candidate, TOLERANCE).metrics.unwrap()
}

#[test]
fn the_first_mismatch_and_their_number_are_found() {
    let check = |r: &[f32], c: &[f32], mismatched: u64, first: &[usize]| {
        let got = compare(&Tensor::f32(&[r.len() / 2, 2], r), &Tensor::f32(&[r.len() / 2, 2], c), TOLERANCE);
        let metrics = got.metrics.unwrap();
        assert_eq!((metrics.mismatched, metrics.first_mismatch.as_slice()), (mismatched, first), "{r:?} {c:?}");
        assert_eq!(got.status, if mismatched == 0 { Status::Agrees } else { Status::Diverges });
        assert_eq!(got.why, None);
    };
    check(&[1.0, 2.0], &[1.0, 2.0], 0, &[]);
    check(&[1.0, 2.0], &[1.01, 2.03], 1, &[0, 1]);
    check(&[0.0, 0.0], &[0.0009, 0.002], 1, &[0, 1]);
    check(&[NAN, INF, -INF, 1.0], &[NAN, INF, -INF, 1.0], 0, &[]);
    check(&[NAN, 1.0, 5.0, 9.0], &[NAN, NAN, 5.0, 1.0], 2, &[0, 1]);
    check(&[1.0, INF, INF, INF], &[1.0, INF, -INF, 3.0], 2, &[1, 0]);
    check(&[0.0, 1.0, INF, 1.0], &[9.0, 1.0, NAN, 1.0], 2, &[0, 0]);
}

#[test]
fn pairs_that_are_not_finite_are_counted_and_the_rest_does_not_stand_for_the_tensor() {
    let r = Tensor::f32(&[5], &[NAN, 3.0, INF, 65505.0, -4.0]);
    let c = Tensor::f32(&[5], &[1.0, NAN, INF, 65505.0, -4.5]);
    let m = measured(&r, &c);
    assert_eq!((m.ref_nonfinite, m.cand_nonfinite, m.mismatched), (2, 2, 3));
    assert!([m.max_abs, m.mean_abs, m.rmse, m.cosine, m.sqnr_db, m.max_rel, m.max_ulp].iter().all(|x| x.0.is_nan()));
    assert_eq!((m.ref_min.0, m.ref_max.0), (-4.0, 65505.0));
    assert_eq!(m.overflow_fraction.0, 0.4);
}

#[test]
fn where_places_kinds_and_signs_match_the_errors_are_those_of_the_rest() {
    let m = measured(&Tensor::f32(&[4], &[NAN, INF, 3.0, -4.0]), &Tensor::f32(&[4], &[NAN, INF, 3.0, -4.5]));
    assert_eq!((m.ref_nonfinite, m.cand_nonfinite, m.mismatched), (2, 2, 1));
    assert_eq!((m.max_abs.0, m.mean_abs.0, m.rmse.0), (0.5, 0.25, 0.125f64.sqrt()));
    for (r, c, beyond) in [([INF, 1.0], [-INF, 1.0], 1), ([NAN, 1.0], [1.0, NAN], 2), ([INF, INF], [NAN, INF], 1)] {
        let m = measured(&Tensor::f32(&[2], &r), &Tensor::f32(&[2], &c));
        assert!(m.max_abs.0.is_nan() && m.sqnr_db.0.is_nan() && m.breaks(), "{r:?} {c:?}");
        assert_eq!(m.mismatched, beyond, "{r:?} {c:?}");
    }
    let nothing = measured(&Tensor::f32(&[2], &[NAN, INF]), &Tensor::f32(&[2], &[NAN, INF]));
    assert!(nothing.max_abs.0.is_nan() && nothing.mismatched == 0 && !nothing.breaks());
}

#[test]
fn the_range_tells_what_fp16_cannot_hold() {
    let r = Tensor::f32(&[2, 4], &[0.0, 1e-5, -1e-5, 6.2e-5, 65504.0, 65520.0, -1e6, 1.0]);
    let m = measured(&r, &r);
    assert_eq!((m.subnormal_fraction.0, m.overflow_fraction.0), (0.25, 0.25));
    assert_eq!((m.cosine.0, m.sqnr_db.0, m.max_ulp.0), (1.0, f64::INFINITY, 0.0));
}

#[test]
fn zeros_have_a_direction_only_together() {
    let (zero, one) = (Tensor::f32(&[1], &[0.0]), Tensor::f32(&[1], &[1.0]));
    assert_eq!(measured(&zero, &zero).cosine.0, 1.0);
    assert_eq!(measured(&zero, &one).cosine.0, 0.0);
    assert_eq!(measured(&one, &zero).cosine.0, 0.0);
    assert_eq!(measured(&zero, &one).sqnr_db.0, f64::NEG_INFINITY);
    assert_eq!(measured(&one, &Tensor::f32(&[1], &[-1.0])).cosine.0, -1.0);
}

/// Of which rounding in the sums makes 0.9999999999999999 and the like.
#[test]
fn what_is_equal_has_one_direction() {
    for length in 1..40 {
        let values: Vec<f32> = (0..length).map(|i| (i as f32 * 0.7).sin() * 1e3 + 0.1).collect();
        let tensor = Tensor::f32(&[length], &values);
        assert_eq!(measured(&tensor, &tensor).cosine.0, 1.0, "{length}");
    }
}

#[test]
fn nothing_agrees_with_nothing() {
    let empty = Tensor::f32(&[0, 3], &[]);
    let got = compare(&empty, &empty, TOLERANCE);
    assert_eq!(got.status, Status::Agrees);
    let m = got.metrics.unwrap();
    assert_eq!((m.elements, m.cosine.0, m.sqnr_db.0, m.max_abs.0), (0, 1.0, f64::INFINITY, 0.0));
    assert!(m.ref_min.0.is_nan() && m.ref_max.0.is_nan());
}

#[test]
fn what_cannot_be_set_side_by_side_diverges_with_a_reason() {
    let words = Tensor::strings(vec![2], vec!["a".into(), "b".into()]).unwrap();
    let check = |r: &Tensor, c: &Tensor, why: &str| {
        let got = compare(r, c, TOLERANCE);
        assert_eq!((got.status, got.why.as_deref(), got.metrics), (Status::Diverges, Some(why), None));
    };
    let row = Tensor::f32(&[1, 3], &[0.0; 3]);
    check(&row, &Tensor::f32(&[1, 4], &[0.0; 4]), "shape: reference 1x3, candidate 1x4");
    check(&row, &Tensor::f32(&[3], &[0.0; 3]), "shape: reference 1x3, candidate 3");
    check(&Tensor::f32(&[2], &[0.0; 2]), &words, "dtype: reference float32, candidate string");
}

#[test]
fn strings_are_equal_or_not() {
    let words = |a: &str, b: &str| Tensor::strings(vec![2], vec![a.into(), b.into()]).unwrap();
    assert_eq!(compare(&words("a", "b"), &words("a", "b"), TOLERANCE).status, Status::Agrees);
    let m = measured(&words("a", "b"), &words("a", "c"));
    assert!(m.sqnr_db.0.is_nan() && m.max_abs.0.is_nan(), "there is no number for how far apart words are");
    assert_eq!((m.elements, m.mismatched, m.first_mismatch), (2, 1, vec![1]));
}

#[test]
fn element_types_that_differ_are_compared_by_value() {
    let wide = Tensor::f32(&[2], &[1.0, 2049.0]);
    let narrow = Tensor::from_vec(DType::Float16, vec![2], vec![f16::from_f32(1.0), f16::from_f32(2049.0)]);
    let got = compare(&wide, &narrow, TOLERANCE);
    assert_eq!(got.status, Status::Agrees);
    assert_eq!(got.why.unwrap(), "dtype: reference float32, candidate float16");
    assert_eq!(got.metrics.unwrap().max_ulp.0, 4096.0);
    assert_eq!(measured(&narrow, &wide).max_ulp.0, 0.5);
    let exact =
        compare(&Tensor::i64(&[1], &[i64::MAX]), &Tensor::from_vec(DType::Int32, vec![1], vec![0i32]), TOLERANCE);
    assert_eq!(exact.status, Status::Diverges);
}

/// One reference and one candidate element of each type, the second pair equal: `|c - r|` and units of the last place.
#[test]
fn every_type_has_its_own_last_place() {
    let check = |dtype: DType, r: &[u8], c: &[u8], error: f64, ulp: f64| {
        let n = r.len() * 8 / dtype.bits();
        let tensor = |bytes: &[u8]| Tensor::new(dtype, vec![n], bytes.to_vec()).unwrap();
        let m = measured(&tensor(r), &tensor(c));
        assert_eq!((m.elements, m.max_abs.0, m.max_ulp.0), (n as u64, error, ulp), "{dtype}");
        assert_eq!(measured(&tensor(r), &tensor(r)).max_abs.0, 0.0, "{dtype}");
    };
    use DType::*;
    check(Float32, &1f32.to_le_bytes(), &1.5f32.to_le_bytes(), 0.5, 4194304.0);
    check(Float64, &1f64.to_le_bytes(), &f64::next_up(1.0).to_le_bytes(), f64::EPSILON, 1.0);
    check(Float16, &f16::from_f32(3.0).to_le_bytes(), &f16::from_f32(2.0).to_le_bytes(), 1.0, 512.0);
    check(Float16, &[1, 0], &[3, 0], 2f64.powi(-23), 2.0);
    check(Bfloat16, &bf16::from_f32(1.0).to_le_bytes(), &bf16::from_f32(2.0).to_le_bytes(), 1.0, 128.0);
    check(Float8e4m3fn, &[0x38], &[0x3a], 0.25, 2.0);
    check(Float8e4m3fnuz, &[0x40], &[0x42], 0.25, 2.0);
    check(Float8e5m2, &[0x3c], &[0x3d], 0.25, 1.0);
    check(Float8e5m2fnuz, &[0x40], &[0x41], 0.25, 1.0);
    check(Float8e8m0, &[127], &[129], 3.0, 3.0);
    check(Float4e2m1, &[0x52], &[0x62], 1.0, 1.0);
    check(Int8, &[0x80], &[0x7f], 255.0, 255.0);
    check(Uint8, &[0], &[255], 255.0, 255.0);
    check(Int16, &(-5i16).to_le_bytes(), &2i16.to_le_bytes(), 7.0, 7.0);
    check(Uint16, &9u16.to_le_bytes(), &2u16.to_le_bytes(), 7.0, 7.0);
    check(Int32, &i32::MIN.to_le_bytes(), &i32::MAX.to_le_bytes(), 4294967295.0, 4294967295.0);
    check(Uint32, &0u32.to_le_bytes(), &u32::MAX.to_le_bytes(), 4294967295.0, 4294967295.0);
    check(Int64, &i64::MAX.to_le_bytes(), &(i64::MAX - 1).to_le_bytes(), 1.0, 1.0);
    check(Uint64, &u64::MAX.to_le_bytes(), &(u64::MAX - 3).to_le_bytes(), 3.0, 3.0);
    check(Bool, &[0, 1], &[1, 1], 1.0, 1.0);
    check(Int4, &[0x17], &[0x18], 15.0, 15.0);
    check(Uint4, &[0x17], &[0x18], 1.0, 1.0);
    check(Int2, &[0b01], &[0b10], 3.0, 3.0);
    check(Uint2, &[0b01], &[0b10], 1.0, 1.0);
    check(Complex64, &floats(&[3.0, 4.0]), &floats(&[0.0, 0.0]), 5.0, 5.0 * 2f64.powi(21));
    check(Complex128, &doubles(&[1.0, 0.0]), &doubles(&[1.0, 1.0]), 1.0, 2f64.powi(52));
}

fn floats(xs: &[f32]) -> Vec<u8> {
    xs.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn doubles(xs: &[f64]) -> Vec<u8> {
    xs.iter().flat_map(|x| x.to_le_bytes()).collect()
}

#[test]
fn complex_numbers_have_a_direction_and_two_parts_to_be_infinite_in() {
    let tensor = |xs: &[f32]| Tensor::from_vec(DType::Complex64, vec![xs.len() / 2], xs.to_vec());
    assert_eq!(measured(&tensor(&[1.0, 0.0]), &tensor(&[0.0, 1.0])).cosine.0, 0.0);
    let mismatched = |r: &[f32], c: &[f32]| measured(&tensor(r), &tensor(c)).mismatched;
    assert_eq!(mismatched(&[INF, 1.0, NAN, 0.0], &[INF, 1.0, NAN, 0.0]), 0);
    assert_eq!(mismatched(&[INF, 0.0], &[0.0, INF]), 1);
    assert_eq!(mismatched(&[NAN, 0.0], &[0.0, NAN]), 1);
    assert_eq!(mismatched(&[INF, 0.0], &[1.0, 0.0]), 1);
    let real = compare(&tensor(&[2.0, 1.0]), &Tensor::f32(&[1], &[2.0]), TOLERANCE).metrics.unwrap();
    assert_eq!((real.max_abs.0, real.mismatched), (1.0, 1));
}

#[test]
fn a_tolerance_that_is_not_a_number_accepts_nothing() {
    let t = Tensor::f32(&[3], &[1.0, 2.0, 3.0]);
    let got = compare(&t, &t, Tolerance { atol: f64::NAN, rtol: 0.0 });
    assert_eq!(got.metrics.unwrap().mismatched, 3);
}

#[test]
fn a_mismatch_is_found_far_into_a_tensor() {
    let r = vec![2f32; 100_000];
    let mut c = r.clone();
    (c[70_001], c[99_999]) = (6.0, 7.0);
    let m = measured(&Tensor::f32(&[100, 1000], &r), &Tensor::f32(&[100, 1000], &c));
    assert_eq!((m.mismatched, m.first_mismatch), (2, vec![70, 1]));
    assert_eq!((m.max_abs.0, m.mean_abs.0, m.p99_abs.0), (5.0, 9.0 / 100_000.0, 0.0));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let values = |seed: u32| -> Vec<f32> {
        (0..500_001u32).map(|i| (i.wrapping_mul(2654435761).wrapping_add(seed) >> 8) as f32 * 1e-3 - 7e3).collect()
    };
    let (r, c) = (Tensor::f32(&[500_001], &values(0)), Tensor::f32(&[500_001], &values(99_999)));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| measured(&r, &c))
    };
    let one = with(1);
    assert!(one.mismatched > 0 && one.rmse.0 > 0.0);
    for threads in [2, 3, 8] {
        assert_eq!(with(threads), one, "{threads} threads");
    }
}

#[test]
fn tolerances_that_are_no_distances_are_applied_to_every_element() {
    let check = |r: &[f32], c: &[f32], atol: f64, rtol: f64, want: u64| {
        let verdict = compare(&Tensor::f32(&[r.len()], r), &Tensor::f32(&[c.len()], c), Tolerance { atol, rtol });
        assert_eq!(verdict.metrics.unwrap().mismatched, want, "atol {atol}, rtol {rtol}");
    };
    // An infinity times a reference of 0 is no number, and accepts nothing; other blocks do not change that.
    check(&[0.0, 1.0], &[0.1, 1.1], 0.5, f64::INFINITY, 1);
    // Equal numbers are beyond a negative tolerance.
    check(&[0.0, 1.0], &[0.0, 1.0], 0.5, -1.0, 1);
}

#[test]
fn small_errors_beside_squares_that_overflow_are_not_lost() {
    let of = |values: [f64; 2]| Tensor::from_vec(DType::Float64, vec![2], values.to_vec());
    let check = |r: [f64; 2], c: [f64; 2], rmse: f64, sqnr: f64| {
        let got = measured(&of(r), &of(c));
        let near = |got: f64, want: f64| (got / want - 1.0).abs() < 1e-12;
        assert!(near(got.rmse.0, rmse) && near(got.sqnr_db.0, sqnr), "{r:?} {c:?}: {} {}", got.rmse.0, got.sqnr_db.0);
    };
    check([1e300, 1e140], [1e300, 2e140], 1e140 / 2f64.sqrt(), 3200.0);
    check([1e300, 1e100], [1e300, 3e100], 2e100 / 2f64.sqrt(), 4000.0 - 20.0 * 2f64.log10());
    check([1e308, 0.0], [-1e308, 0.0], 1e308 * 2f64.sqrt(), -20.0 * 2f64.log10());
}
