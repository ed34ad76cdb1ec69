//! `ort-cuda` end to end.

use crate::common::{case, layerdiff, testdata};
use layerdiff::found::{Kind, Report, Verdict};

pub fn float32_agrees_and_says_that_tf32_is_off() {
    let run = case("healthy_transformer", &["-c", "ort-cuda:fp32"]);
    assert_eq!(run.status, 0, "{}", run.stderr);
    let report = run.report();
    assert_eq!((report.verdict, &*report.candidate.precision), (Verdict::Agreed, "fp32 (TF32 off)"));
    assert_eq!(report.candidate.provider, "cuda (built in)");
}

pub fn the_gpu_is_the_reference_of_tf32() {
    // No product of TF32 stays within this.
    let tight = ["--atol", "1e-9", "--rtol", "1e-9", "--no-reduce", "--no-overrides", "--optimization", "off"];
    let with = |candidate: &str| {
        case("healthy_transformer", &[&["--reference", "ort-cuda:fp32", "-c", candidate][..], &tight].concat())
    };
    let same = with("ort-cuda:fp32");
    assert_eq!(same.status, 0, "{}\n{}", same.stdout, same.stderr);
    let report = with("ort-cuda:tf32").report();
    assert_eq!((report.verdict, &*report.reference.precision), (Verdict::Diverged, "fp32 (TF32 off)"));
    assert!(report.candidate.precision.starts_with("tf32 (TF32 on"), "{}", report.candidate.precision);
}

pub fn an_overflow_of_half_precision_is_found_reduced_and_cured_on_the_gpu() {
    // The session that people deploy makes one node of the norm, whose sums are float32.
    assert_eq!(case("layernorm_overflow", &["-c", "ort-cuda:fp16"]).status, 0);
    let run = case("layernorm_overflow", &["-c", "ort-cuda:fp16", "--optimization", "off"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    assert_eq!((report.culprits[0].node.name.as_str(), report.culprits[0].kind), ("ln_pow", Kind::Introduces));
    assert!(report.reduced.is_some_and(|r| r.reproduces && r.nodes == 1));
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.latency_before.is_some() && cure.latency_after.is_some(), "{cure:?}");
}

/// `--save-tensors` wants every value, so that all is copied and compared on the host.
pub fn values_are_the_same_wherever_they_are_compared() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("all.npz");
    let words = ["-c", "ort-cuda:fp16", "--optimization", "off", "--no-reduce", "--no-overrides"];
    let there = case("layernorm_overflow", &words).report();
    let here =
        case("layernorm_overflow", &[&words[..], &["--save-tensors", saved.to_str().unwrap()]].concat()).report();
    assert!(there.tensors.len() > 10 && there.tensors.len() == here.tensors.len());
    for (there, here) in there.tensors.iter().zip(&here.tensors) {
        assert_eq!((&there.name, there.status), (&here.name, here.status));
        let count =
            |m: &Option<layerdiff::found::Metrics>| m.as_ref().map(|m| (m.mismatched, m.first_mismatch.clone()));
        assert_eq!(count(&there.metrics), count(&here.metrics), "{}", there.name);
    }
}

pub fn a_gpu_that_is_not_there_is_named() {
    let run = case("layernorm_overflow", &["-c", "ort-cuda:fp16", "--devices", "0,1000"]);
    assert!(run.status == 3 && run.stderr.contains("there is no GPU number 1000"), "{}", run.stderr);
}

pub fn two_gpus_answer_as_one() {
    let (model, inputs) = (testdata("layernorm_overflow/model.onnx"), testdata("layernorm_overflow/inputs.npz"));
    let run = |devices: &str, words: &[&str]| {
        let inputs = inputs.to_str().unwrap();
        let same = ["-c", "ort-cuda:fp16", "--optimization", "off", "-i", inputs, "--devices", devices];
        layerdiff("bisect", &model, &[&same, words].concat())
    };
    for words in [&["--strategy", "scan"][..], &["--strategy", "bisect", "--marks", "2"]] {
        let (one, two) = (run("0", words), run("0,1", words));
        assert_eq!((one.status, two.status), (1, 1), "{}{}", one.stderr, two.stderr);
        assert_eq!(answers(&one.report()), answers(&two.report()), "{words:?}");
        assert!(two.report().reduced.is_some_and(|r| r.reproduces));
        assert_eq!(two.report().candidate.provider, "cuda (built in); devices 0, 1 side by side");
    }
}

/// What must not depend on the number of GPUs.
fn answers(report: &Report) -> String {
    let cure = report.overrides.as_ref().map(|cure| (&cure.nodes, cure.verified));
    format!("{:#?}\n{:#?}\n{:#?}", report.verdict, report.culprits, cure)
}
