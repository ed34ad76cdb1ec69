//! What a machine without NVIDIA's hardware can tell of `ort-cuda`; with it, see gpu.rs.

mod common;

use std::path::Path;

use common::{Run, bisect, testdata};
use layerdiff::run::cuda::driver_is_present;

fn case(name: &str, args: &[&str]) -> Run {
    let (model, inputs) = (testdata(&format!("{name}/model.onnx")), testdata(&format!("{name}/inputs.npz")));
    let inputs: &Path = &inputs;
    let mut words: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-i", &inputs];
    words.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
    bisect(&model, &words)
}

#[test]
fn tf32_is_nvidias() {
    let run = case("healthy_transformer", &["-c", "ort-openvino:tf32"]);
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert!(run.stderr.contains("TF32 is NVIDIA's") && run.stderr.contains("ort:tf32 to emulate it"), "{}", run.stderr);
}

#[test]
fn a_machine_without_it_is_told_what_is_missing() {
    if driver_is_present() {
        return println!("skipped: a_machine_without_it_is_told_what_is_missing: there is a driver");
    }
    let run = case("healthy_transformer", &["-c", "ort-cuda"]);
    assert_eq!(run.status, 3, "{}", run.stderr);
    let told = ["onnxruntime-gpu", "no NVIDIA driver", "nvidia-", "CUDA"];
    assert!(told.iter().any(|what| run.stderr.contains(what)), "{}", run.stderr);
}
