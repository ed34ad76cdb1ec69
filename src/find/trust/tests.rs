//! Hardware that multiplies in TF32 is told from hardware that does not; nobody else is asked.

mod stages;

use std::path::Path;

use prost::Message;

use super::*;
use crate::graph::Graph;
use crate::lab::Lowering;
use crate::load::Model;
use crate::load::testset::tensor_from_proto;
use crate::mark::Types;
use crate::onnx::ModelProto;
use crate::precision::Kept;
use crate::run::fake::Fake;
use crate::run::ort::{Ort, Provider, library};
use crate::run::{Backend, Job};
use crate::tensor::Tensor;

/// To nearest even.
fn rounded(x: f32, bits: u32) -> f32 {
    let drop = 23 - bits;
    if drop == 0 {
        return x;
    }
    let (raw, half) = (x.to_bits(), 1u32 << (drop - 1));
    let even = (raw >> drop) & 1;
    f32::from_bits(((raw + half - 1 + even) >> drop) << drop)
}

/// Hardware that rounds the operands of products to so many bits of mantissa.
fn hardware(matmul: u32, conv: u32) -> Fake {
    Fake::new(move |job| Ok(multiplied(job, matmul, conv).into()))
}

fn multiplied(job: &Job, matmul: u32, conv: u32) -> Vec<Tensors> {
    let graph = ModelProto::decode(job.model.bytes.as_slice()).unwrap().graph.unwrap();
    let weights = |name: &str| {
        let found = graph.initializer.iter().find(|t| t.name() == name);
        tensor_from_proto(found.unwrap()).unwrap().view::<f32>().to_vec()
    };
    let (a, b) = (job.feeds[0]["a"].view::<f32>(), weights("b"));
    let (x, w) = (job.feeds[0]["x"].view::<f32>(), weights("w"));
    let product = |p: f32, q: f32, bits: u32| rounded(p, bits) * rounded(q, bits);
    let cell = |at: usize| (0..64).map(|k| product(a[at / 64 * 64 + k], b[k * 64 + at % 64], matmul)).sum();
    let all: Vec<f32> = (0..64 * 64).map(cell).collect();
    let pixel = |at: usize| {
        let (filter, row, column) = (at / 64, at % 64 / 8, at % 8);
        let mut sum = 0.0;
        for (channel, i, j) in (0..64).flat_map(|c| (0..9).map(move |t| (c, t / 3, t % 3))) {
            let (y, z) = (row + i, column + j);
            if (1..9).contains(&y) && (1..9).contains(&z) {
                let value = x[channel * 64 + (y - 1) * 8 + z - 1];
                sum += product(value, w[(filter * 64 + channel) * 9 + i * 3 + j], conv);
            }
        }
        sum
    };
    let pixels: Vec<f32> = (0..64 * 64).map(pixel).collect();
    let values = [("MatMul", Tensor::f32(&[64, 64], &all)), ("Conv", Tensor::f32(&[1, 64, 8, 8], &pixels))];
    vec![values.map(|(name, value)| (name.to_string(), value)).into()]
}

const EXACT: u32 = 23;
const TF32: u32 = 10;

/// A fake says of itself what the provider that `spec` names does.
fn side(spec: &str, fake: Fake) -> Side {
    let tf32 = if spec.starts_with("ort-cuda") { Tf32::Told } else { Tf32::Never };
    with(spec, fake.described(|about| about.tf32 = tf32))
}

fn with(spec: &str, backend: impl Backend + 'static) -> Side {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/layernorm_overflow/model.onnx");
    let model = Model::load(&path).unwrap();
    Side {
        spec: spec.parse().unwrap(),
        graph: Graph::new(&model.proto).unwrap().into(),
        backend: std::sync::Arc::new(backend),
        model,
        lowering: Lowering::None,
        arithmetic: Default::default(),
        kept: Kept::new(),
        half: false,
        session: Default::default(),
        deploys: None,
        deployed: None,
        types: Types::new(),
    }
}

#[test]
fn the_cpu_multiplies_exactly() {
    let library = library::find(None).expect("run `layerdiff setup` first");
    let cpu = Ort::new(&library.path, Provider::Cpu).unwrap();
    assert_eq!(products(&with("ort", cpu)).unwrap(), Products::Exact);
}

#[test]
fn tf32_is_seen_wherever_it_is() {
    let seen = |matmul, conv| products(&side("ort-cuda", hardware(matmul, conv))).unwrap();
    assert_eq!(seen(EXACT, EXACT), Products::Exact);
    let Products::Short(both) = seen(TF32, TF32) else { panic!() };
    assert_eq!(both, "MatMul gave 1 where float32 gives 1.0002441, Conv gave 1 where float32 gives 1.0002441");
    assert!(matches!(seen(EXACT, TF32), Products::Short(one) if one.starts_with("Conv gave 1 ")));
    // BF16, as some libraries offer it for speed, is worse and seen too.
    assert!(matches!(seen(7, EXACT), Products::Short(one) if one.starts_with("MatMul")));
    assert_eq!(seen(12, 12), Products::Exact, "what is as good as float32 here");
}

/// What a side is told of, and what follows from it.
fn told<T>(spec: &str, bits: u32, follows: fn(&Products, Precision) -> Option<T>) -> (Option<String>, Option<T>) {
    let side = side(spec, hardware(bits, bits));
    let products = measured(&side).unwrap();
    (products.as_ref().map(Products::told), products.and_then(|p| follows(&p, side.spec.precision)))
}

#[test]
fn a_reference_in_tf32_is_not_built_on() {
    let told = |spec: &str, bits: u32| told(spec, bits, too_short);
    let (tf32, broken) = told("ort-cuda:fp32", TF32);
    assert_eq!(tf32.as_deref(), Some("on (measured)"));
    let why = broken.unwrap().to_string();
    assert!(why.starts_with("the reference multiplies in TF32: MatMul gave 1 where"), "{why}");
    assert_eq!(told("ort-cuda", EXACT), (Some("off (measured)".into()), None));
    assert_eq!(told("ort-cuda:tf32", TF32).1, None, "as it was asked for");
    assert_eq!(told("ort-openvino", TF32), (None, None), "not asked");
    assert_eq!(told("ort", TF32).0, None);
}

#[test]
fn a_candidate_is_warned_of() {
    let told = |spec: &str, bits: u32| {
        let (tf32, note) = told(spec, bits, surprise);
        (tf32.unwrap_or_default(), note.map(|note| note.to_string()).unwrap_or_default())
    };
    let (tf32, warning) = told("ort-cuda:fp16", TF32);
    assert_eq!(tf32, "on (measured)");
    assert!(warning.starts_with("the candidate multiplies float32 in TF32, although fp16 was asked for"), "{warning}");
    assert_eq!(told("ort-cuda:tf32", TF32), ("on (measured)".into(), String::new()));
    assert_eq!(told("ort-cuda", EXACT), ("off (measured)".into(), String::new()));
    let (tf32, warning) = told("ort-cuda:tf32", EXACT);
    assert!(tf32 == "off (measured)" && warning.contains("multiplies in FP32"), "{warning}");
    let (tf32, warning) = told("ort-cuda:fp32", 0);
    assert!(tf32.starts_with("on") && !warning.is_empty());
    assert_eq!(told("ort-openvino:fp16", TF32), Default::default());
}

#[test]
fn a_test_that_fails_is_no_answer() {
    let refused = RunError::Run { backend: "ort-cuda".into(), reason: "no kernel".into() };
    let products = measured(&side("ort-cuda", Fake::broken(refused))).unwrap().unwrap();
    assert_eq!(products.told(), "not known: ort-cuda failed while running the model: no kernel");
    assert_eq!((surprise(&products, Precision::Fp32), too_short(&products, Precision::Fp32)), (None, None));
    let stopped = side("ort-cuda", Fake::broken(RunError::Interrupted));
    assert_eq!(measured(&stopped), Err(RunError::Interrupted));
}
