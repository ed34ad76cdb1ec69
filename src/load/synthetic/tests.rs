use proptest::prelude::*;

use super::*;
use crate::tensor::{DType, Tensor};

fn request() -> Request {
    Request { shapes: vec![], ranges: vec![], dims: vec![], seed: 1, samples: 1 }
}

fn spec(name: &str, dtype: DType, dims: &[Dim]) -> InputSpec {
    InputSpec { name: name.to_string(), dtype, dims: dims.to_vec() }
}

fn named(name: &str) -> Dim {
    Dim::Named(name.to_string())
}

/// An input of type `dtype` with `n` elements in the given range.
fn one(dtype: DType, n: usize, range: Option<(f64, f64)>) -> anyhow::Result<Tensor> {
    let ranges = range.map(|(lo, hi)| (None, lo, hi)).into_iter().collect();
    let inputs = [spec("x", dtype, &[Dim::Fixed(n)])];
    Ok(feeds(&inputs, &Request { ranges, ..request() })?.remove(0).swap_remove("x").unwrap())
}

fn message<T>(result: anyhow::Result<T>) -> String {
    result.err().map(|e| format!("{e:#}")).unwrap_or_default()
}

#[test]
fn a_seed_means_the_same_everywhere() {
    // From an independent implementation of SplitMix64 and FNV-1a in Python.
    let x = one(DType::Float32, 4, None).unwrap();
    assert_eq!(x.view::<f32>().as_ref(), [0.89452285, 0.20802593, 0.1787489, 0.6999422]);
    let ids = one(DType::Int64, 4, Some((-5.0, 1000.0))).unwrap();
    assert_eq!(ids.view::<i64>().as_ref(), [894, 204, 174, 699]);
}

#[test]
fn a_tensor_depends_on_its_seed_sample_and_name_only() {
    let x = || spec("x", DType::Float32, &[Dim::Fixed(9)]);
    let y = || spec("y", DType::Float32, &[Dim::Fixed(9)]);
    let two = Request { samples: 2, ..request() };
    let both = feeds(&[y(), x()], &two).unwrap();
    assert!(both[0]["x"].identical(&feeds(&[x()], &request()).unwrap()[0]["x"]));
    assert!(!both[0]["x"].identical(&both[0]["y"]));
    assert!(!both[0]["x"].identical(&both[1]["x"]));
    let other = Request { seed: 2, ..request() };
    assert!(!both[0]["x"].identical(&feeds(&[x()], &other).unwrap()[0]["x"]));
}

#[test]
fn every_type_but_strings_has_values_by_default() {
    for dtype in DType::ALL.into_iter().filter(|d| *d != DType::String) {
        let tensor = one(dtype, 101, None).unwrap();
        assert_eq!((tensor.dtype, tensor.elements()), (dtype, 101));
        assert!(tensor.bytes().iter().any(|b| *b != tensor.bytes()[0]), "{dtype} is constant");
    }
    assert!(message(one(DType::String, 1, None)).contains("input 'x': strings are not made up"));
    let zeros_and_ones = |t: Tensor| t.bytes().iter().all(|b| *b <= 1);
    assert!(zeros_and_ones(one(DType::Bool, 99, None).unwrap()));
    assert!(zeros_and_ones(one(DType::Uint8, 99, None).unwrap()));
}

#[test]
fn ranges_must_fit_the_type() {
    let check = |dtype, lo, hi, want: &str| {
        let message = message(one(dtype, 3, Some((lo, hi))));
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    check(DType::Float16, 0.0, 1e6, "does not fit float16");
    check(DType::Float8e4m3fn, -500.0, 1.0, "does not fit float8e4m3fn (-4.48e2 to 4.48e2)");
    check(DType::Uint8, -1.0, 1.0, "does not fit uint8 (0 to 255)");
    check(DType::Int4, -9.0, 1.0, "does not fit int4 (-8 to 7)");
    check(DType::Int64, 0.2, 0.8, "holds no integer");
    check(DType::Bool, 0.0, 2.0, "does not fit bool");
    check(DType::Float32, 2.0, 1.0, "LO must not be greater than HI");
    check(DType::Float32, 0.0, f64::NAN, "must be finite");
    let all = one(DType::Float64, 50, Some((f64::MIN, f64::MAX))).unwrap();
    assert!(all.view::<f64>().iter().all(|v| v.is_finite()));
    assert_eq!(one(DType::Int64, 3, Some((-2.0, -2.0))).unwrap().view::<i64>().as_ref(), [-2; 3]);
}

#[test]
fn a_range_of_its_own_goes_before_the_range_of_all() {
    let inputs = [spec("a", DType::Float32, &[Dim::Fixed(50)]), spec("b", DType::Float32, &[Dim::Fixed(50)])];
    let ranges = vec![(Some("a".to_string()), 5.0, 6.0), (None, -2.0, -1.0)];
    let feed = feeds(&inputs, &Request { ranges, ..request() }).unwrap().remove(0);
    assert!(feed["a"].view::<f32>().iter().all(|v| (5.0..=6.0).contains(v)));
    assert!(feed["b"].view::<f32>().iter().all(|v| (-2.0..=-1.0).contains(v)));
}

#[test]
fn shapes_are_asked_for_by_name_all_at_once() {
    let inputs = [
        spec("x", DType::Float32, &[named("batch"), Dim::Fixed(3), named("max len")]),
        spec("mask", DType::Int64, &[named("batch"), named("max len")]),
        spec("y z", DType::Float32, &[Dim::Unknown, named("batch")]),
        InputSpec { name: "w".into(), dtype: DType::Float32, dims: vec![Dim::Rest] },
    ];
    let with = |shapes: &[(&str, &[usize])]| {
        let shapes = shapes.iter().map(|(n, s)| (n.to_string(), s.to_vec())).collect();
        feeds(&inputs, &Request { shapes, ..request() })
    };
    assert_eq!(
        message(with(&[])),
        "input 'x' has the dynamic dimensions 'batch' and 'max len', input 'y z' has the dynamic dimensions number 0 and \
         'batch', input 'w' has no declared shape; add --shape x=BATCHx3xMAX_LEN --shape 'y z=DIM0xBATCH' \
         --shape w=DIMxDIM"
    );
    assert_eq!(
        message(with(&[("x", &[2, 3, 7]), ("w", &[])])),
        "input 'y z' has the dynamic dimension number 0; add --shape 'y z=DIM0x2'"
    );
    let feed = with(&[("x", &[2, 3, 7]), ("y z", &[5, 2]), ("w", &[])]).unwrap().remove(0);
    let shapes: Vec<&[usize]> = feed.values().map(|t| t.shape.as_slice()).collect();
    assert_eq!(shapes, [&[2, 3, 7][..], &[2, 7], &[5, 2], &[]], "'mask' takes the dimensions of 'x'");
}

#[test]
fn wrong_requests_are_told() {
    let inputs = [spec("x", DType::Float32, &[named("n"), Dim::Fixed(3)]), spec("y", DType::Float32, &[named("n")])];
    let check = |request: Request, want: &str| {
        let message = message(feeds(&inputs, &request));
        assert!(message.contains(want), "{message:?} lacks {want:?}");
    };
    let shapes = |shapes: &[(&str, &[usize])]| {
        let shapes = shapes.iter().map(|(n, s)| (n.to_string(), s.to_vec())).collect();
        Request { shapes, ..request() }
    };
    check(shapes(&[("X", &[1])]), "no input 'X'; did you mean 'x'?");
    check(Request { ranges: vec![(Some("q".into()), 0.0, 1.0)], ..request() }, "no input 'q'; its inputs: 'x', 'y'");
    check(shapes(&[("x", &[1])]), "--shape: input 'x' has the shape [1], but the model wants [n, 3]");
    check(shapes(&[("x", &[1, 4])]), "dimension 1 must be 3, not 4");
    check(shapes(&[("x", &[1, 3]), ("y", &[2])]), "the dimension 'n' is 1 in input 'x', but 2 in input 'y'");
    check(shapes(&[("x", &[usize::MAX / 2, 3])]), "does not fit into memory");
    check(Request { samples: 0, ..shapes(&[("x", &[1, 3])]) }, "no samples");
}

#[test]
fn flags() {
    let shape = |text: &str| parse_shape(text).ok();
    assert_eq!(shape("x=1x3x224x224"), Some(("x".into(), vec![1, 3, 224, 224])));
    assert_eq!(shape("a=b:0=7"), Some(("a=b:0".into(), vec![7])));
    assert_eq!(shape("x=scalar"), Some(("x".into(), vec![])));
    for wrong in ["x", "=1", "x=", "x=1x", "x=1,3", "x=-1", "x=1.5", "x:[1,3]", "x=99999999999999999999"] {
        assert_eq!(shape(wrong), None, "{wrong}");
    }
    let range = |text: &str| parse_range(text).ok();
    assert_eq!(range("0..1"), Some((None, 0.0, 1.0)));
    assert_eq!(range("a=b=-1.5..2e3"), Some((Some("a=b".into()), -1.5, 2000.0)));
    for wrong in ["", "1", "=0..1", "x=0", "0..", "1..0", "0..inf", "nan..1", "0,1"] {
        assert_eq!(range(wrong), None, "{wrong}");
    }
    assert!(parse_range("3..1").unwrap_err().contains("LO must not be greater than HI"));
}

proptest! {
    #[test]
    fn values_stay_within_the_range(lo in -100.0f64..100.0, width in 1.0f64..100.0, seed: u64) {
        let hi = lo + width;
        let inputs = [spec("f", DType::Float64, &[Dim::Fixed(40)]), spec("i", DType::Int64, &[Dim::Fixed(40)])];
        let feed = feeds(&inputs, &Request { ranges: vec![(None, lo, hi)], seed, ..request() }).unwrap().remove(0);
        prop_assert!(feed["f"].view::<f64>().iter().all(|v| (lo..=hi).contains(v)));
        prop_assert!(feed["i"].view::<i64>().iter().all(|v| (lo..=hi).contains(&(*v as f64))));
    }

    #[test]
    fn flags_never_panic(text in "\\PC{0,20}") {
        let _ = (parse_shape(&text), parse_range(&text));
    }
}
