//! `ort-cuda` end to end. Where there is no NVIDIA GPU or no onnxruntime-gpu, each test says so by name and returns; what such a
//! machine can tell is tested all the same: that the program says what is missing.

mod common;

use std::path::Path;

use common::{Run, bisect, testdata};
use layerdiff::report::{Kind, Verdict};
use layerdiff::run::cuda::Cuda;
use layerdiff::run::ort::library;

/// Why `test` cannot run here, printed; `false` when it can.
fn skipped(test: &str) -> bool {
    let why = match (Cuda::open(0), library::find_with_provider(None, "cuda")) {
        (Err(e), _) => Some(e.to_string()),
        (_, Err(e)) => Some(e.to_string()),
        (Ok(_), Ok(_)) => None,
    };
    if let Some(why) = &why {
        println!("skipped: {test}: {why}");
    }
    why.is_some()
}

fn case(name: &str, args: &[&str]) -> Run {
    let (model, inputs) = (testdata(&format!("{name}/model.onnx")), testdata(&format!("{name}/inputs.npz")));
    let inputs: &Path = &inputs;
    let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-i", &inputs];
    words.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
    bisect(&model, &words)
}

#[test]
fn float32_agrees_and_says_that_tf32_is_off() {
    if skipped("float32_agrees_and_says_that_tf32_is_off") {
        return;
    }
    let run = case("healthy_transformer", &["-c", "ort-cuda:fp32"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report = run.report();
    assert_eq!((report.verdict, &*report.candidate.precision), (Verdict::Agreed, "fp32 (TF32 off)"));
    assert_eq!(report.candidate.provider, "cuda (built in)");
}

#[test]
fn the_gpu_is_the_reference_of_tf32() {
    if skipped("the_gpu_is_the_reference_of_tf32") {
        return;
    }
    // No product of TF32 stays within this.
    let tight = ["--atol", "1e-9", "--rtol", "1e-9", "--no-reduce", "--no-overrides"];
    let with = |candidate: &str| {
        case("healthy_transformer", &[&["--reference", "ort-cuda:fp32", "-c", candidate][..], &tight].concat())
    };
    let same = with("ort-cuda:fp32");
    assert_eq!(same.status, 0, "{}\n{}", same.stdout, same.stderr);
    let report = with("ort-cuda:tf32").report();
    assert_eq!((report.verdict, &*report.reference.precision), (Verdict::Diverged, "fp32 (TF32 off)"));
    assert!(report.candidate.precision.starts_with("tf32 (TF32 on"), "{}", report.candidate.precision);
}

#[test]
fn an_overflow_of_half_precision_is_found_reduced_and_cured_on_the_gpu() {
    if skipped("an_overflow_of_half_precision_is_found_reduced_and_cured_on_the_gpu") {
        return;
    }
    let run = case("layernorm_overflow", &["-c", "ort-cuda:fp16"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    assert_eq!((report.culprits[0].node.name.as_str(), report.culprits[0].kind), ("ln_pow", Kind::Introduces));
    assert!(report.reduced.is_some_and(|r| r.reproduces && r.nodes == 1));
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.latency_before.is_some() && cure.latency_after.is_some(), "{cure:?}");
}

#[test]
fn tf32_is_nvidias() {
    let run = case("healthy_transformer", &["-c", "ort-openvino:tf32"]);
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert!(run.stderr.contains("TF32 is NVIDIA's") && run.stderr.contains("ort:tf32 to emulate it"), "{}", run.stderr);
}

#[test]
fn a_machine_without_it_is_told_what_is_missing() {
    if !skipped("the tests of ort-cuda that need a GPU") {
        return;
    }
    let run = case("healthy_transformer", &["-c", "ort-cuda"]);
    assert_eq!(run.status, 3, "{}", run.stderr);
    let told = ["onnxruntime-gpu", "no NVIDIA driver", "nvidia-", "CUDA"];
    assert!(told.iter().any(|what| run.stderr.contains(what)), "{}", run.stderr);
}
