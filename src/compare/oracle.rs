//! `compare` against an oracle that takes one element at a time, on random values with NaN and infinities among them.

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::tensor::DType;

const TOLERANCE: Tolerance = Tolerance { atol: 1e-3, rtol: 1e-2 };
const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn measured(reference: &Tensor, candidate: &Tensor) -> Metrics {
    compare(reference, candidate, TOLERANCE).metrics.unwrap()
}

/// The metrics, an element at a time: `e` are the errors where they are not the difference of the f64.
fn oracle(r: &[f64], c: &[f64], e: Option<&[f64]>, format: Format) -> Metrics {
    let error = |i: usize| e.map_or((c[i] - r[i]).abs(), |e| e[i]);
    let all = 0..r.len();
    let finite: Vec<usize> = all.clone().filter(|i| r[*i].is_finite() && c[*i].is_finite()).collect();
    let bad = |i: &usize| match (r[*i].is_finite(), c[*i].is_finite()) {
        (true, true) => error(*i) > TOLERANCE.atol + TOLERANCE.rtol * r[*i].abs(),
        _ => !(r[*i] == c[*i] || r[*i].is_nan() && c[*i].is_nan()),
    };
    let total = |f: &dyn Fn(usize) -> f64| finite.iter().map(|i| f(*i)).sum::<f64>();
    let top = |f: &dyn Fn(usize) -> f64| finite.iter().map(|i| f(*i)).fold(0.0, f64::max);
    let mean = |f: &dyn Fn(usize) -> f64| if finite.is_empty() { 0.0 } else { total(f) / finite.len() as f64 };
    let rel = |i: usize| error(i) / r[i].abs().max(format.floor);
    let ulp = |i: usize| error(i) / last_place(r[i], format);
    let mut sorted: Vec<f64> = finite.iter().map(|i| error(*i)).collect();
    sorted.sort_by(f64::total_cmp);
    let p99 = sorted.get((0.99 * sorted.len() as f64).ceil() as usize - !sorted.is_empty() as usize);
    let (rr, cc, rc) = (total(&|i| r[i] * r[i]), total(&|i| c[i] * c[i]), total(&|i| r[i] * c[i]));
    let ee = total(&|i| error(i) * error(i));
    let fraction = |f: &dyn Fn(f64) -> bool| match r.len() {
        0 => 0.0,
        n => r.iter().filter(|x| f(**x)).count() as f64 / n as f64,
    };
    let values = r.iter().copied().filter(|x| x.is_finite());
    let odd = all.clone().any(|i| !(r[i].is_finite() && c[i].is_finite()) && bad(&i));
    let known = |x: f64| Real(if odd || finite.is_empty() && !r.is_empty() { f64::NAN } else { x });
    Metrics {
        max_abs: known(top(&error)),
        mean_abs: known(mean(&error)),
        p99_abs: known(p99.copied().unwrap_or(0.0)),
        max_rel: known(top(&rel)),
        mean_rel: known(mean(&rel)),
        rmse: known(mean(&|i| error(i) * error(i)).sqrt()),
        cosine: known(match (rr == 0.0, cc == 0.0) {
            (true, true) => 1.0,
            (false, false) => rc / (rr.sqrt() * cc.sqrt()),
            _ => 0.0,
        }),
        sqnr_db: known(if ee == 0.0 { f64::INFINITY } else { 20.0 * (rr.sqrt() / ee.sqrt()).log10() }),
        max_ulp: known(top(&ulp)),
        mismatched: all.clone().filter(bad).count() as u64,
        elements: r.len() as u64,
        ref_min: Real(values.clone().reduce(f64::min).unwrap_or(f64::NAN)),
        ref_max: Real(values.reduce(f64::max).unwrap_or(f64::NAN)),
        ref_nonfinite: r.iter().filter(|x| !x.is_finite()).count() as u64,
        cand_nonfinite: c.iter().filter(|x| !x.is_finite()).count() as u64,
        overflow_fraction: Real(fraction(&|x| x.abs() > 65504.0)),
        subnormal_fraction: Real(fraction(&|x| x != 0.0 && x.abs() < 2f64.powi(-14))),
        first_mismatch: all.clone().find(bad).into_iter().collect(),
        sample: 0,
        part: None,
    }
}

fn last_place(r: f64, format: Format) -> f64 {
    if format.integer {
        return 1.0;
    }
    let smallest = 2f64.powi(format.min_exponent);
    let mut power = smallest;
    while power * 2.0 <= r.abs() {
        power *= 2.0;
    }
    power * 2f64.powi(-format.mantissa)
}

fn assert_close(got: &Metrics, want: &Metrics) -> Result<(), TestCaseError> {
    let close = |name: &str, a: Real, b: Real, within: f64| {
        let same = a.0 == b.0 || a.0.is_nan() && b.0.is_nan() || (a.0 - b.0).abs() <= within * b.0.abs();
        prop_assert!(same, "{}: {} instead of {}", name, a.0, b.0);
        Ok(())
    };
    close("max_abs", got.max_abs, want.max_abs, 0.0)?;
    close("mean_abs", got.mean_abs, want.mean_abs, 1e-12)?;
    close("max_rel", got.max_rel, want.max_rel, 3e-7)?;
    close("mean_rel", got.mean_rel, want.mean_rel, 3e-7)?;
    close("rmse", got.rmse, want.rmse, 1e-12)?;
    let near = |a: Real, b: Real, within: f64| a == b || (a.0 - b.0).abs() < within || a.0.is_nan() && b.0.is_nan();
    prop_assert!(near(got.cosine, want.cosine, 1e-12), "cosine: {:?} {:?}", got.cosine, want.cosine);
    prop_assert!(near(got.sqnr_db, want.sqnr_db, 1e-9));
    close("max_ulp", got.max_ulp, want.max_ulp, 0.0)?;
    let (p99, truth) = (got.p99_abs.0, want.p99_abs.0);
    let fits = p99.is_nan() && truth.is_nan() || p99 >= truth * (1.0 - 1e-7) && p99 <= truth * 1.0313;
    let beyond_f32 = truth < 2f64.powi(-126) && p99 <= 2f64.powi(-126) || truth > f32::MAX as f64 && p99 >= truth;
    prop_assert!(fits || beyond_f32, "p99: {p99} instead of {truth}");
    let exact = Metrics {
        max_abs: want.max_abs,
        mean_abs: want.mean_abs,
        p99_abs: want.p99_abs,
        max_rel: want.max_rel,
        mean_rel: want.mean_rel,
        rmse: want.rmse,
        cosine: want.cosine,
        sqnr_db: want.sqnr_db,
        max_ulp: want.max_ulp,
        ..got.clone()
    };
    prop_assert_eq!(format!("{:?}", exact), format!("{:?}", want));
    Ok(())
}

/// Pairs of which some are equal, some near, some anything, NaN and infinities included.
fn pairs() -> impl Strategy<Value = Vec<(f32, f32)>> {
    let special = prop::sample::select(vec![0.0, -0.0, NAN, INF, -INF, f32::MAX, f32::MIN_POSITIVE, 1e-45, 1e31]);
    let wild = prop_oneof![any::<u32>().prop_map(f32::from_bits), special];
    let tame = -8f32..8.0;
    let pair = prop_oneof![
        4 => tame.clone().prop_map(|x| (x, x)),
        8 => (tame.clone(), -0.02f32..0.02).prop_map(|(x, d)| (x, x + x * d)),
        1 => (wild.clone(), wild.clone()),
        1 => wild.prop_map(|x| (x, x)),
    ];
    let healthy = (tame, -0.02f32..0.02).prop_map(|(x, d)| (x, x + x * d));
    prop_oneof![prop::collection::vec(pair, 0..40), prop::collection::vec(healthy, 0..700)]
}

proptest! {
    #[test]
    fn float32_is_as_the_oracle_says(pairs in pairs()) {
        let (r, c): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        let got = measured(&Tensor::f32(&[r.len()], &r), &Tensor::f32(&[c.len()], &c));
        let widen = |xs: &[f32]| xs.iter().map(|x| *x as f64).collect::<Vec<_>>();
        assert_close(&got, &oracle(&widen(&r), &widen(&c), None, Format::of(DType::Float32)))?;
    }

    #[test]
    fn float16_is_as_the_oracle_says(pairs in pairs()) {
        let (r, c): (Vec<f16>, Vec<f16>) =
            pairs.into_iter().map(|(r, c)| (f16::from_f32(r), f16::from_f32(c))).unzip();
        let n = r.len();
        let tensor = |xs: &[f16]| Tensor::from_vec(DType::Float16, vec![n], xs.to_vec());
        let widen = |xs: &[f16]| xs.iter().map(|x| x.to_f64()).collect::<Vec<_>>();
        let want = oracle(&widen(&r), &widen(&c), None, Format::of(DType::Float16));
        assert_close(&measured(&tensor(&r), &tensor(&c)), &want)?;
    }

    #[test]
    fn int64_is_as_the_oracle_says(r in prop::collection::vec(any::<i64>(), 0..600), deltas in prop::collection::vec(-3i64..3, 600)) {
        let c: Vec<i64> = r.iter().zip(&deltas).map(|(r, d)| r.wrapping_add(*d)).collect();
        let got = measured(&Tensor::i64(&[r.len()], &r), &Tensor::i64(&[c.len()], &c));
        let widen = |xs: &[i64]| xs.iter().map(|x| *x as f64).collect::<Vec<_>>();
        let e: Vec<f64> = r.iter().zip(&c).map(|(r, c)| (*c as i128 - *r as i128).unsigned_abs() as f64).collect();
        assert_close(&got, &oracle(&widen(&r), &widen(&c), Some(&e), Format::of(DType::Int64)))?;
    }
}
