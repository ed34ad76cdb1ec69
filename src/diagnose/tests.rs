//! All diagnoses together: their order, their number, and that no evidence is too strange for them.

use proptest::prelude::*;

use super::Judged;
use super::sample::{Sample, halves};
use crate::found::Kind;
use crate::spec::Precision;
use crate::tensor::Tensor;

fn codes(sample: &Sample) -> Vec<String> {
    sample.diagnoses().into_iter().map(|d| d.code).collect()
}

#[test]
fn the_cause_comes_first() {
    let x = [1e-4f32; 4];
    let square = Sample::new("Mul", &["x", "x"]).input("x", &x).input("x", &x).readers(&["ReduceMean", "Sqrt"]);
    assert_eq!(codes(&square.fp16(&[1e-8; 4], &[0.0; 4])), ["fp16-subnormal", "normalization-statistics"]);
    let (a, b) = ([10.001f32, 9.999], [10.0f32]);
    let sub = Sample::new("Sub", &["a", "b"]).input("a", &a).constant("b", &b).kind(Kind::Amplifies);
    let sub = sub.their(0, &[10.0011, 9.9991]).precision(Precision::Fp32, &[0.001, -0.001], &[0.0011, -0.0009]);
    assert_eq!(codes(&sub), ["cancellation", "gain"]);
}

#[test]
fn what_is_only_possible_is_told_when_there_is_nothing_else() {
    let relu = || Sample::new("Relu", &["x"]).precision(Precision::Fp32, &[1.0, 1.0], &[1.5, 1.0]);
    assert_eq!(codes(&relu()), ["kernel-or-fusion"]);
    let stored = Judged { stored: true, ..Judged::default() };
    assert_eq!(codes(&relu().judged(stored)), ["unknown"]);
    assert_eq!(codes(&relu().emulated(0.2)), ["precision-limited"]);
}

#[test]
fn nothing_is_known_of_nothing() {
    assert_eq!(codes(&Sample::new("Relu", &["x"]).fp16(&[1.0], &[1.1])), [""; 0]);
}

const OPS: [&str; 24] = [
    "Add",
    "ArgMax",
    "Cast",
    "Conv",
    "CumSum",
    "Div",
    "Exp",
    "Gemm",
    "LayerNormalization",
    "Log",
    "MatMul",
    "Mul",
    "Pow",
    "QuantizeLinear",
    "ReduceMean",
    "ReduceSum",
    "Slice",
    "Softmax",
    "Sqrt",
    "Sub",
    "TopK",
    "Where",
    "AveragePool",
    "Dropout",
];

const VALUES: [f32; 12] =
    [0.0, 1.0, -1.0, 1e-9, 300.0, 7e4, -1e9, 1e-40, f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];

const SHAPES: [&[usize]; 6] = [&[], &[1], &[6], &[2, 3], &[0, 2], &[1, 2, 1, 3]];

fn tensor() -> impl Strategy<Value = Tensor> {
    (0..SHAPES.len(), any::<bool>(), prop::collection::vec(0..VALUES.len(), 6)).prop_map(|(shape, ids, picks)| {
        let shape = SHAPES[shape];
        let n = shape.iter().product();
        match ids {
            true => Tensor::i64(shape, &picks.iter().take(n).map(|p| *p as i64 - 2).collect::<Vec<i64>>()),
            false => Tensor::f32(shape, &picks.iter().take(n).map(|p| VALUES[*p]).collect::<Vec<f32>>()),
        }
    })
}

proptest! {
    #[test]
    fn no_evidence_is_too_strange(
        op in 0..OPS.len(), a in tensor(), b in tensor(), r in tensor(), c in tensor(), low in 0..3usize, scaled in any::<bool>()
    ) {
        let precision = [Precision::Fp32, Precision::Fp16, Precision::Int8][low];
        let kind = [Kind::Introduces, Kind::Amplifies, Kind::Region][low];
        let zero = super::sample::zero(crate::tensor::DType::Int8);
        let sample = Sample::new(OPS[op], &["a", "b", ""]).value("a", a).value("b", b).kind(kind).their(0, &halves(&VALUES));
        let sample = sample.readers(&["Softmax", "ReduceMean"]).makers(&["Sqrt"]);
        let sample = if scaled { sample.quantised(&[0.1, 0.2], zero, Some(-1)) } else { sample };
        let found = sample.outputs(precision, r, c).diagnoses();
        prop_assert!(found.len() <= 3);
        for d in found {
            prop_assert!(!d.evidence.is_empty() && !d.advice.is_empty() && !d.evidence.contains("  "), "{d:?}");
        }
    }
}
