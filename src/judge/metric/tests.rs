use proptest::prelude::*;

use super::*;
use crate::judge::rank;
use crate::tensor::DType;

const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;

fn rules(metrics: &[&str]) -> Rules {
    let given: Vec<NamedMetric> = metrics.iter().map(|text| text.parse().unwrap()).collect();
    Rules { metrics: OutputMetrics::new(&given), ..Rules::default() }
}

fn judged(metrics: &[&str], reference: &Tensor, candidate: &Tensor) -> Comparison {
    rules(metrics).judge_output("y", reference, candidate)
}

/// Rows of two values.
fn rows(values: &[f32]) -> Tensor {
    Tensor::f32(&[values.len() / 2, 2], values)
}

fn check(metric: &str, reference: &[f32], candidate: &[f32], want: Status) {
    let got = judged(&[metric], &rows(reference), &rows(candidate));
    assert_eq!(got.status, want, "{metric} {reference:?} {candidate:?}: {:?}", got.why);
}

#[test]
fn every_metric_has_a_threshold() {
    let (agrees, diverges) = (Status::Agrees, Status::Diverges);
    // Off by 0.3 in one of four: |c - r| 0.3, RMSE 0.15, mean 0.075, |r| 10, cosine 0.99957, SQNR 30.46 dB, PSNR 34.54 dB.
    let (r, c) = (&[1.0, 3.0, 3.0, 9.0], &[1.3, 3.0, 3.0, 9.0]);
    for (metric, good, bad) in [
        ("cosine", "0.9995", "0.9996"),
        ("sqnr", "30.4", "30.5"),
        ("psnr", "35.5", "35.6"),
        ("l2", "0.31", "0.29"),
        ("p99", "0.31", "0.29"),
        ("mean", "0.076", "0.074"),
        ("max", "0.31", "0.29"),
    ] {
        check(&format!("{metric}={good}"), r, c, agrees);
        check(&format!("{metric}={bad}"), r, c, diverges);
    }
    check("topk=1", r, &[3.0, 3.1, 3.0, 9.0], agrees);
    check("topk=1", r, &[3.1, 3.0, 3.0, 9.0], diverges);
}

#[test]
fn equal_values_satisfy_whatever_is_asked_of_numbers() {
    for values in [[0.3, 1.7, 1e-30, 2e-30], [0.0, 0.0, 0.0, 0.0], [1.0, NAN, INF, -INF]] {
        for metric in ["cosine=1", "sqnr=400", "psnr=400", "topk=1", "l2=0", "p99=0", "mean=0", "max=0"] {
            check(metric, &values, &values, Status::Agrees);
        }
    }
}

#[test]
fn nan_and_infinities_come_first() {
    let ones = [1.0, 2.0, 3.0, 4.0];
    let metrics = ["cosine=0.001", "sqnr=-900", "psnr=-900", "topk=1", "l2=1e30", "p99=1e30", "mean=1e30", "max=1e30"];
    for (r, c) in [
        (ones, [NAN; 4]),
        (ones, [NAN, 2.0, 3.0, 4.0]),
        (ones, [1.0, INF, 3.0, INF]),
        ([NAN, 2.0, 3.0, 4.0], [2.0, NAN, 3.0, 4.0]),
        ([INF, 2.0, 3.0, 4.0], [-INF, 2.0, 3.0, 4.0]),
        ([INF, 2.0, 3.0, 4.0], [NAN, 2.0, 3.0, 4.0]),
        ([INF, 2.0, 3.0, 4.0], [9.0, 2.0, 3.0, 4.0]),
    ] {
        metrics.iter().for_each(|metric| check(metric, &r, &c, Status::Diverges));
        let by_tolerance = Rules::default().judge_output("y", &rows(&r), &rows(&c));
        assert_eq!(by_tolerance.status, Status::Diverges, "{r:?} {c:?}");
        let why = by_tolerance.why.unwrap();
        assert!(why.contains("NaN or infinite on one side only"), "{why}");
    }
    check("cosine=0.9", &[INF, 2.0, 3.0, 4.0], &[INF, 2.1, 3.0, 4.0], Status::Agrees);
    check("topk=1", &[NAN, NAN, 3.0, 4.0], &[NAN, NAN, 3.5, 4.0], Status::Agrees);
}

#[test]
fn where_nothing_is_left_nothing_is_said() {
    let nothing = Status::NotCompared;
    let none = Tensor::f32(&[0, 2], &[]);
    for metric in ["cosine=0.9", "topk=1", "max=1", "y:sqnr=1"] {
        let got = judged(&[metric], &none, &none);
        assert_eq!((got.status, got.why.as_deref()), (nothing, Some("it has no element")));
        check(metric, &[NAN; 4], &[NAN; 4], nothing);
    }
}

#[test]
fn equal_values_have_either_order() {
    let (agrees, diverges) = (Status::Agrees, Status::Diverges);
    let three = |v: &[f32]| Tensor::f32(&[1, 3], v);
    let check = |k: usize, r: &[f32], c: &[f32], want| {
        assert_eq!(judged(&[&format!("topk={k}")], &three(r), &three(c)).status, want, "{k} {r:?} {c:?}");
    };
    check(1, &[5.0, 5.0, 1.0], &[4.9, 5.1, 1.0], agrees);
    check(1, &[5.0, 5.0, 1.0], &[4.9, 4.8, 5.1], diverges);
    check(2, &[5.0, 3.0, 3.0], &[5.0, 2.9, 3.1], agrees);
    check(2, &[5.0, 3.0, 3.0], &[2.0, 2.9, 3.1], diverges);
    // What takes the first of equals, as every library does, takes another one here.
    check(1, &[1.0, 2.0, 0.0], &[2.0, 2.0, 0.0], diverges);
    check(1, &[0.0, -0.0, -1.0], &[-0.0, 0.0, -1.0], agrees);
}

#[test]
fn an_output_satisfies_all_of_its_own() {
    let (r, c) = (rows(&[1.0, 3.0, 3.0, 9.0]), rows(&[1.3, 3.0, 3.0, 9.0]));
    let check = |metrics: &[&str], want: Status, why: &str| {
        let got = judged(metrics, &r, &c);
        assert_eq!(got.status, want, "{metrics:?}");
        assert!(got.why.as_deref().unwrap_or_default().contains(why), "{metrics:?}: {:?}", got.why);
    };
    check(
        &["max=1", "topk=1"],
        Status::Agrees,
        "judged by largest error 0.300 against 1; judged by the best of each row",
    );
    check(&["max=1", "cosine=0.9999"], Status::Diverges, "judged by cosine 0.99");
    check(&["max=0.1", "y:max=1"], Status::Agrees, "against 1");
    check(&["max=1", "y:max=0.1"], Status::Diverges, "against 0.1");
    let other = judged(&["other:max=1"], &r, &c);
    assert_eq!((other.status, other.why), (Status::Diverges, None), "the tolerance judges what has no metric");
}

#[test]
fn what_a_metric_cannot_judge_the_tolerance_does() {
    let strings = |v: &[&str]| Tensor::strings(vec![v.len()], v.iter().map(|s| s.to_string()).collect()).unwrap();
    let check = |metric: &str, r: &Tensor, c: &Tensor, want: Status, why: &str| {
        let got = judged(&[metric], r, c);
        assert_eq!(got.status, want, "{metric} {r:?}: {:?}", got.why);
        assert!(got.why.as_deref().unwrap_or_default().contains(why), "{metric} {r:?}: {:?}", got.why);
    };
    let (agrees, diverges, nothing) = (Status::Agrees, Status::Diverges, Status::NotCompared);
    let (cats, dogs) = (strings(&["cat"]), strings(&["dog"]));
    check("cosine=0.9", &cats, &dogs, diverges, "strings are equal or not, so the tolerance judges");
    check("cosine=0.9", &cats, &cats, agrees, "the tolerance judges");
    check("y:topk=1", &cats, &cats, nothing, "topk=1 is for numbers");
    let (three, four) = (Tensor::i64(&[2], &[3, 800]), Tensor::i64(&[2], &[3, 900]));
    check("sqnr=1", &three, &four, diverges, "int64 is compared exactly");
    check("y:cosine=0.1", &three, &three, nothing, "compared exactly");
    check("y:max=100", &three, &four, agrees, "largest error 100 against 100");
    check("y:psnr=10", &three, &four, agrees, "PSNR 21.07 dB");
    let (one, two) = (Tensor::f32(&[], &[1.0]), Tensor::f32(&[], &[2.0]));
    check("cosine=0.9", &one, &two, diverges, "no direction but its sign");
    check("topk=1", &one, &two, diverges, "a scalar has none");
    check("topk=1", &one, &one, agrees, "a scalar has none");
    let (narrow, other) = (Tensor::f32(&[2, 1], &[1.0, 2.0]), Tensor::f32(&[2, 1], &[1.0, 3.0]));
    check("topk=1", &narrow, &other, diverges, "rows of 1");
    check("y:topk=1", &narrow, &narrow, nothing, "rows of 1");
    check("topk=2", &rows(&[1.0, 2.0]), &rows(&[2.0, 1.0]), diverges, "rows of 2");
    check("cosine=0.9", &rows(&[0.0, 0.0]), &rows(&[0.0, 1e-9]), diverges, "zero throughout, so the tolerance judges");
    let complex = |im: f32| Tensor::from_vec(DType::Complex64, vec![1, 2], vec![1f32, 0.0, 0.0, im]);
    check("topk=1", &complex(2.0), &complex(3.0), diverges, "has no order");
    check("max=2", &complex(2.0), &complex(3.0), agrees, "largest error");
    let (wide, long) = (rows(&[1.0, 2.0]), rows(&[1.0, 2.0, 3.0, 4.0]));
    check("max=9", &wide, &long, diverges, "shape");
}

#[test]
fn flags_are_parsed_and_told() {
    for (text, output) in [
        ("cosine=0.99", None),
        ("topk=5", None),
        ("sqnr=-3.5", None),
        ("logits:psnr=40", Some("logits")),
        ("jax:out:0:l2=0.25", Some("jax:out:0")),
        ("a=b:max=1", Some("a=b")),
        ("/head/Gemm_output_0:p99=0", Some("/head/Gemm_output_0")),
        ("x:mean=0.001", Some("x")),
    ] {
        let metric: NamedMetric = text.parse().unwrap();
        assert_eq!((metric.to_string().as_str(), metric.output.as_deref()), (text, output));
    }
    for wrong in
        ["cosine", "topk=0", "topk=1.5", "sqnr=x", "kl=1", "sqnr=NaN", ":topk=1", "max=-1", "l2=inf", "=1", "y:=1"]
    {
        assert!(wrong.parse::<NamedMetric>().unwrap_err().contains("is no metric; use cosine=0.999"), "{wrong}");
    }
    for wrong in ["cosine=0", "cosine=NaN", "cosine=-1", "y:cosine=1.01"] {
        assert!(wrong.parse::<NamedMetric>().unwrap_err().contains("above 0 and up to 1"), "{wrong}");
    }
    assert_eq!(rules(&["y:topk=1", "max=2", "y:max=1"]).metrics.to_string(), "max=2, y:topk=1, y:max=1");
}

/// Few values, so that places and ranks often coincide.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![6 => (-3i8..4).prop_map(f32::from), 1 => Just(NAN), 1 => Just(INF), 1 => Just(-INF)]
}

proptest! {
    /// Places that differ, an element at a time.
    #[test]
    fn places_are_seen_one_by_one(pairs in prop::collection::vec((value(), value()), 1..40)) {
        let (r, c): (Vec<f32>, Vec<f32>) = pairs.iter().copied().unzip();
        let other = |(r, c): &&(f32, f32)| {
            let same = r.is_nan() && c.is_nan() || r == c;
            !(same || r.is_finite() && c.is_finite())
        };
        let want = pairs.iter().filter(other).count();
        let (r, c) = (Tensor::f32(&[r.len()], &r), Tensor::f32(&[c.len()], &c));
        let got = other_places(&Rules::default().judge("y", &r, &c), &r, &c);
        match got {
            None => prop_assert_eq!(want, 0),
            Some(words) => prop_assert!(words.starts_with(&format!("{want} of ")), "{}", words),
        }
    }

    /// By every set of K places: one of those that are right for the reference is what the candidate's sort puts first.
    #[test]
    fn top_k_is_that_of_all_sets(row in prop::collection::vec((-2i8..3, -2i8..3), 2..6), k in 1usize..5) {
        prop_assume!(k < row.len());
        let (r, c): (Vec<f32>, Vec<f32>) = row.iter().map(|(r, c)| (f32::from(*r), f32::from(*c))).unzip();
        let mut order: Vec<usize> = (0..c.len()).collect();
        order.sort_by(|a, b| c[*b].total_cmp(&c[*a]));
        let chosen = &order[..k];
        let right = (0..1usize << r.len()).any(|bits| {
            let inside = |i: &usize| bits >> i & 1 == 1;
            bits.count_ones() as usize == k
                && (0..r.len()).filter(inside).all(|i| (0..r.len()).filter(|o| !inside(o)).all(|o| r[o] <= r[i]))
                && chosen.iter().all(inside)
        });
        let got = judged(&[&format!("topk={k}")], &Tensor::f32(&[1, r.len()], &r), &Tensor::f32(&[1, c.len()], &c));
        prop_assert_eq!(got.status == Status::Agrees, right);
        prop_assert_eq!(rank::best(&c.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(), k), chosen.to_vec());
    }
}
