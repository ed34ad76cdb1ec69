use proptest::prelude::*;

use super::*;
use crate::judge::{NamedMetric, OutputMetrics};
use crate::spec::Precision;

fn rules(atol: f64) -> Rules {
    Rules { atol: Some(atol), rtol: Some(0.0), ..Rules::default() }
}

fn scores(width: usize, values: &[f32]) -> Tensor {
    Tensor::f32(&[values.len() / width, width], values)
}

fn labels(names: &[&str]) -> Labels {
    names.iter().enumerate().map(|(i, name)| (i as i64, name.to_string())).collect()
}

fn told(rules: &Rules, r: &Tensor, c: &Tensor, names: &[&str]) -> Option<Decisions> {
    Rules { labels: labels(names), ..rules.clone() }.decisions("y", &[(0, r, c)])
}

#[test]
fn changed_rows_are_counted_and_the_worst_is_first() {
    let r = scores(3, &[1.0, 0.9, 0.0, 2.0, 1.0, 0.0, 5.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    let c = scores(3, &[0.9, 1.0, 0.0, 1.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.9, 1.0, 0.0]);
    let got = told(&rules(0.06), &r, &c, &[]).unwrap();
    assert_eq!((got.kind, got.asked, got.rows, got.changed, got.near_ties), (DecisionKind::Scores, false, 4, 2, 1));
    assert_eq!(
        got.worst.iter().map(|row| (row.at.clone(), row.near_tie)).collect::<Vec<_>>(),
        [(vec![1], Some(false)), (vec![0], Some(true)),]
    );
    assert_eq!(got.worst[0].told(), "0 2.00 -> 1 2.00");
    assert_eq!(got.worst[0].margin, Some(Real(1.0)));
    // Sets of fewer than five are told, and compared with no set.
    assert_eq!((got.k, got.sets_changed, got.worst[0].candidate.len()), (3, 0, 3));
}

#[test]
fn names_are_those_of_the_outputs_that_they_fit() {
    let (r, c) = (scores(2, &[0.71, 0.7]), scores(2, &[0.69, 0.7]));
    let got = told(&rules(0.0), &r, &c, &["cat", "dog"]).unwrap();
    assert_eq!((got.asked, got.worst[0].told().as_str()), (true, "'cat' 0.710 -> 'dog' 0.700"));
    let got = told(&rules(0.0), &r, &c, &["cat", "dog", "fish"]).unwrap();
    assert_eq!((got.asked, got.worst[0].told().as_str()), (false, "0 0.710 -> 1 0.700"));
    let tokens = Tensor::f32(&[1, 2, 2], &[1.0, 0.0, 0.0, 1.0]);
    assert_eq!(told(&rules(0.0), &tokens, &tokens, &[]), None, "three axes are no rows of scores by themselves");
    let got = told(&rules(0.0), &tokens, &tokens, &["no", "yes"]).unwrap();
    assert_eq!((got.rows, got.changed), (2, 0));
}

#[test]
fn labels_are_compared_one_by_one() {
    let (r, c) = (Tensor::i64(&[2, 2], &[3, 800, -1, 1 << 60]), Tensor::i64(&[2, 2], &[3, 801, -1, (1 << 60) + 1]));
    let got = told(&rules(9.0), &r, &c, &["a", "b"]).unwrap();
    assert_eq!((got.kind, got.asked, got.rows, got.changed, got.near_ties), (DecisionKind::Labels, true, 4, 2, 0));
    let want = [(vec![0, 1], "800 -> 801"), (vec![1, 1], "1152921504606846976 -> 1152921504606846977")];
    let all: Vec<_> = got.worst.iter().map(|row| (row.at.clone(), row.told())).collect();
    assert_eq!(all, want.map(|(at, words)| (at, words.to_string())));
    let (r, c) = (Tensor::i64(&[1], &[0]), Tensor::i64(&[1], &[1]));
    assert_eq!(told(&rules(0.0), &r, &c, &["cat", "dog"]).unwrap().worst[0].told(), "'cat' -> 'dog'");
    let text = |word: &str| Tensor::strings(vec![1], vec![word.into()]).unwrap();
    assert_eq!(told(&rules(0.0), &text("cat"), &text("dog"), &[]).unwrap().worst[0].told(), "'cat' -> 'dog'");
    let truth = |x: u8| Tensor::from_vec(DType::Bool, vec![1], vec![x]);
    assert_eq!(told(&rules(0.0), &truth(0), &truth(1), &[]).unwrap().changed, 1);
    let floats = Tensor::f32(&[2], &[3.0, 7.5]);
    let got = told(&rules(0.0), &Tensor::i64(&[2], &[3, 7]), &floats, &[]).unwrap();
    assert_eq!((got.changed, got.worst[0].told().as_str()), (1, "7 -> 7.50"));
}

#[test]
fn what_decides_nothing_is_not_told() {
    let none = |r: Tensor| assert_eq!(told(&rules(0.0), &r, &r, &[]), None, "{r:?}");
    none(Tensor::f32(&[], &[1.0]));
    none(Tensor::f32(&[4, 1], &[1.0; 4]));
    none(Tensor::f32(&[3], &[1.0; 3]));
    none(Tensor::f32(&[0, 3], &[]));
    none(Tensor::f32(&[1, 3], &[1.0, f32::NAN, 0.0]));
    none(Tensor::from_vec(DType::Uint8, vec![1, 3], vec![1u8, 2, 3]));
    let (wide, long) = (scores(2, &[1.0, 2.0]), scores(2, &[1.0, 2.0, 1.0, 2.0]));
    assert_eq!(told(&rules(0.0), &wide, &long, &[]), None);
}

#[test]
fn nan_decides_otherwise() {
    let got = told(&rules(9.0), &scores(2, &[1.0, 2.0]), &scores(2, &[f32::NAN, 2.0]), &[]).unwrap();
    assert_eq!((got.changed, got.near_ties), (1, 0));
    let got = told(&rules(9.0), &scores(2, &[1.0, 2.0]), &scores(2, &[f32::NAN; 2]), &[]).unwrap();
    assert_eq!((got.changed, got.worst[0].told().as_str()), (1, "1 2.00 -> nothing"));
}

/// Noise that the precision explains over the tensor as a whole does not explain another class.
#[test]
fn a_changed_class_is_no_noise() {
    let mut r = vec![0.0f32; 400];
    for row in r.chunks_mut(4) {
        row.copy_from_slice(&[10.0, 9.0, 0.0, 0.0]);
    }
    let mut c = r.clone();
    let fp16 = Rules { precision: Precision::Fp16, ..Rules::default() };
    let judged = |rules: &Rules, c: &[f32]| rules.judge_output("y", &scores(4, &r), &scores(4, c));
    (c[40], c[41]) = (9.4, 9.6);
    assert_eq!(fp16.judge("y", &scores(4, &r), &scores(4, &c)).status, Status::Agrees);
    let got = judged(&fp16, &c);
    assert_eq!(got.status, Status::Diverges);
    assert_eq!(got.why.unwrap(), "row 10 decides otherwise, and it is no near-tie: 0 10.0 -> 1 9.60");
    // Another row is as far off, and decides as before.
    (c[40], c[41]) = (10.6, 9.0);
    assert_eq!(judged(&fp16, &c).status, Status::Agrees);
    // The user's own metric stands.
    (c[40], c[41]) = (9.4, 9.6);
    let metric: NamedMetric = "cosine=0.9".parse().unwrap();
    let own = Rules { metrics: OutputMetrics::new(&[metric]), ..fp16 };
    assert_eq!(judged(&own, &c).status, Status::Agrees);
}

proptest! {
    /// A change that is no near-tie takes an element beyond the tolerance; one that is may take none.
    #[test]
    fn within_the_tolerance_every_change_is_a_near_tie(
        row in prop::collection::vec((-100i32..100, -100i32..=100), 2..9),
        atol in 0.0f64..20.0,
        rtol in 0.0f64..0.3,
    ) {
        let r: Vec<f64> = row.iter().map(|(r, _)| f64::from(*r)).collect();
        let c: Vec<f64> = row.iter().map(|(r, e)| {
            let r = f64::from(*r);
            r + f64::from(*e) / 100.0 * (atol + rtol * r.abs())
        }).collect();
        let tensor = |v: &[f64]| Tensor::from_vec(DType::Float64, vec![1, v.len()], v.to_vec());
        let rules = Rules { atol: Some(atol * 1.000001 + 1e-9), rtol: Some(rtol), ..Rules::default() };
        let got = told(&rules, &tensor(&r), &tensor(&c), &[]).unwrap();
        prop_assert_eq!(got.changed, got.near_ties);
        let best = |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let first = c.iter().position(|x| *x == best(&c)).unwrap();
        prop_assert_eq!(got.changed == 1, r[first] < best(&r));
    }
}
