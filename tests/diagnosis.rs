//! `layerdiff bisect` says why each culprit of testdata/ goes wrong: exactly the right codes, the cause before what follows
//! from it, with numbers that are in the data.

mod common;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, model_of, real_model, testdata};
use layerdiff::found::{Culprit, Verdict};
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor};
use prost::Message;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    args: Vec<String>,
    verdict: Verdict,
}

/// A culprit of a case by its tensor, all its codes, and words that the evidence of the first must contain.
type Cause = (&'static str, &'static str, &'static [&'static str], &'static [&'static str]);

const CAUSES: [Cause; 34] = [
    ("concat_dead_part", "join_out", &["weights-differ"], &["widths", "24 of 24"]),
    ("dynamic_batch", "square_out", &["fp16-overflow"], &["65504"]),
    ("external_data", "fc2_out", &["fp16-overflow"], &["256 terms", "65504"]),
    ("float64_outlier", "y", &["weights-differ"], &["offset", "0.5", "0.75"]),
    ("flt_max_mask", "mask_where_out", &["mask-sentinel"], &["-3.403e38", "Softmax"]),
    ("folded_norm_and_fault", "gain_out", &["weights-differ"], &["gain_k", "1.3"]),
    ("fp16_file", "gain_out", &["weights-differ"], &["gain_k", "1.25", "1.5"]),
    ("fused_division", "z", &["optimizer"], &["DivMulFusion", "turned off"]),
    ("gelu_chain_amplify", "centre_out", &["weights-differ"], &["fc_b", "8 of 8"]),
    ("half_side_branch", "main", &["weights-differ"], &["gain", "1.25", "1.261"]),
    ("if_branch_fault", "if_node/then_branch/then_square_out", &["fp16-overflow"], &["65504"]),
    ("ir3_weights_are_inputs", "square_out", &["fp16-overflow"], &["65504"]),
    ("large_reduction", "sum_out", &["fp16-overflow", "large-reduction"], &["512 terms", "65504"]),
    ("layernorm_overflow", "ln_pow_out", &["fp16-overflow", "normalization-statistics"], &["square", "65504"]),
    ("loop_body", "last", &["weights-differ"], &["body_decay", "0.625"]),
    ("mask_scaled_twice", "mask_1e8_out", &["mask-sentinel"], &["-1e8", "Softmax"]),
    ("matmul_add_sub_65504", "add_out", &["fp16-overflow"], &["65504"]),
    ("nan_moved", "mark_out", &["weights-differ"], &["missing", "2 of 48"]),
    ("noise_before_mean", "scale_out", &["weights-differ"], &["gain", "1.3"]),
    ("packed_four_bits", "fc_out", &["attribute-differs", "quantisation-error", "optimizer"], &["accuracy_level"]),
    ("qdq_bad_scale", "relu1_out", &["scale-mismatch"], &["times too small", "undone alone"]),
    ("renamed_tensors", "gelu_half_out", &["wiring-differs", "operator-differs"], &["quick_mul", "0.5"]),
    ("row_lost_under_noise", "gain_out", &["weights-differ"], &["gains", "1 of 64"]),
    ("same_qdq_scale_off", "fc1_w_DequantizeLinear_Output", &["weights-differ"], &["fc1_w_scale", "8 of 8"]),
    ("small_variance", "rms_square_out", &["fp16-subnormal", "normalization-statistics"], &["2^-14", "zero"]),
    ("subnormal_flush", "down2_out", &["fp16-subnormal"], &["2^-14", "zero"]),
    ("suppressed_logits", "logits", &["weights-differ"], &["lm_head_w"]),
    ("token_offset", "token", &["weights-differ"], &["first_id", "32000", "32001"]),
    ("topk_tie", "indices", &["topk-tie"], &["indices", "as good as equal"]),
    ("two_faults_two_branches", "softplus_exp_out", &["fp16-overflow"], &["Exp", "65504"]),
    ("two_faults_two_branches", "norm_square_out", &["fp16-overflow"], &["square", "65504"]),
    ("unnamed_nodes", "square_out", &["fp16-overflow"], &["65504"]),
    ("wrong_attribute", "leaky_out", &["attribute-differs"], &["alpha", "0.01", "0.1"]),
    ("wrong_axis", "softmax_out", &["attribute-differs"], &["axis 1", "has -1"]),
];

fn explained(folder: &Path, case: &Case) -> Run {
    let candidate = match case.candidate.split_once('@') {
        Some((backend, file)) => format!("{backend}@{}", folder.join(file).display()),
        None => case.candidate.clone(),
    };
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path().display().to_string());
    let mut samples: Vec<String> = files.filter(|p| p.ends_with(".npz")).collect();
    samples.sort();
    let mut args = vec!["-c", &candidate, "--no-reduce", "--no-overrides"];
    samples.iter().for_each(|s| args.extend(["-i", s]));
    args.extend(case.args.iter().map(String::as_str));
    layerdiff("bisect", &folder.join("model.onnx"), &args)
}

fn codes(culprit: &Culprit) -> Vec<&str> {
    culprit.diagnosis.iter().map(|d| d.code.as_str()).collect()
}

/// What is wrong with what is said of a culprit, if anything.
fn fault(culprit: &Culprit, want: &[&str], words: &[&str], stdout: &str) -> Option<String> {
    if codes(culprit) != want {
        return Some(format!("{:#?}", culprit.diagnosis));
    }
    let first = &culprit.diagnosis[0].evidence;
    if let Some(word) = words.iter().find(|w| !first.contains(**w)) {
        return Some(format!("'{word}' is not in: {first}"));
    }
    let shown = words_of(stdout);
    let mute = |text: &str| text.is_empty() || !shown.contains(&words_of(text));
    let hidden = culprit.diagnosis.iter().find(|d| mute(&d.code) || mute(&d.evidence) || mute(&d.advice));
    hidden.map(|d| format!("{d:?} is not shown"))
}

/// One space between words, wherever a line was broken.
fn words_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn every_culprit_of_testdata_is_explained() {
    let (mut faults, mut seen) = (Vec::new(), 0);
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("case.json")) else { continue };
        let case: Case = serde_json::from_str(&text).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap();
        let run = explained(&folder, &case);
        let report = run.report();
        assert_eq!(report.verdict, case.verdict, "{name}: {}", run.stderr);
        for culprit in &report.culprits {
            seen += 1;
            let told = CAUSES.iter().find(|(case, tensor, ..)| *case == name && *tensor == culprit.tensor);
            let fault = match told {
                Some((_, _, want, words)) => fault(culprit, want, words, &run.stdout),
                None => Some("not in the table".to_string()),
            };
            faults.extend(fault.map(|why| format!("{name}, {}: {why}", culprit.tensor)));
        }
    }
    assert!(faults.is_empty(), "{} of {seen} are not:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(seen, CAUSES.len(), "culprits of testdata/");
}

#[test]
fn a_real_overflow_is_explained() {
    let inputs = real_model("magika.npz").display().to_string();
    let args = ["-c", "ort:fp16", "-i", &inputs, "--no-reduce", "--no-overrides"];
    let run = layerdiff("bisect", &real_model("magika.onnx"), &args);
    let [culprit] = run.report().culprits.try_into().unwrap();
    assert_eq!(fault(&culprit, &["fp16-overflow", "large-reduction"], &["512 terms", "65504"], &run.stdout), None);
}

/// `y = x + noise`, and two runs draw other noise.
#[test]
fn a_random_generator_is_named_as_such() {
    let (model, _dir) = written(
        vec![
            NodeProto::new("RandomNormalLike", "noise", &["x"], &["drawn"]),
            NodeProto::new("Add", "add", &["x", "drawn"], &["y"]),
        ],
        &[1, 8],
    );
    for candidate in ["ort:fp16", "ort:bf16"] {
        let run = layerdiff("bisect", &model, &["-c", candidate, "--no-reduce", "--no-overrides"]);
        let [culprit] = run.report().culprits.try_into().unwrap();
        assert_eq!(culprit.node.name, "noise");
        assert_eq!(fault(&culprit, &["rng"], &["RandomNormalLike"], &run.stdout), None);
    }
}

/// What is out of FP16's range is in BF16's: whatever else is said when nothing may differ, it is not that.
#[test]
fn bfloat16_does_not_overflow() {
    for (name, tensor) in [("layernorm_overflow", "ln_pow_out"), ("large_reduction", "sum_out")] {
        let inputs = testdata(name).join("inputs.npz").display().to_string();
        let args: &[&str] = &["-c", "ort:bf16", "-i", &inputs, "--outputs", tensor, "--no-reduce", "--no-overrides"];
        let strict = ["--atol", "0", "--rtol", "0"];
        let run = layerdiff("bisect", &testdata(name).join("model.onnx"), &[args, strict.as_slice()].concat());
        let culprits = run.report().culprits;
        assert!(!culprits.is_empty(), "{name}: {}", run.stderr);
        for culprit in culprits {
            let wrong = codes(&culprit).into_iter().find(|c| c.contains("overflow") || c.contains("subnormal"));
            assert_eq!(wrong, None, "{name}: {culprit:?}");
        }
    }
}

/// Nothing is out of range and nothing cancels: the tolerance asks for more than FP16 has.
#[test]
fn a_tolerance_below_the_precision_is_named_as_such() {
    let inputs = testdata("healthy_transformer/inputs.npz").display().to_string();
    let args = ["-c", "ort:fp16", "-i", &inputs, "--atol", "1e-5", "--rtol", "0", "--no-reduce", "--no-overrides"];
    let run = layerdiff("bisect", &testdata("healthy_transformer/model.onnx"), &args);
    let report = run.report();
    assert!(!report.culprits.is_empty(), "{}", run.stderr);
    for culprit in &report.culprits {
        assert_eq!(fault(culprit, &["precision-limited"], &["rho 1", "FP16", "4.883e-4"], &run.stdout), None);
        assert!(culprit.diagnosis[0].advice.contains("loosen --atol to at least"), "{culprit:?}");
    }
}

/// Under the same tolerance, an overflow and a cancellation are still what they are, and FP32 has no such excuse.
#[test]
fn a_tighter_tolerance_does_not_hide_a_fault() {
    let constant = |name: &str, value: f32| {
        let value = tensor_to_proto(name, &Tensor::f32(&[], &[value]));
        NodeProto {
            attribute: vec![AttributeProto::tensor("value", value)],
            ..NodeProto::new("Constant", name, &[], &[name])
        }
    };
    let square = vec![NodeProto::new("Mul", "square", &["x", "x"], &["y"])];
    let difference = vec![constant("c", 10.0), NodeProto::new("Sub", "difference", &["x", "c"], &["y"])];
    let cases = [(square, "x=300..400", "fp16-overflow"), (difference, "x=10.001..10.002", "cancellation")];
    for (nodes, range, code) in cases {
        let (model, _dir) = written(nodes, &[1, 8]);
        let args =
            ["-c", "ort:fp16", "--range", range, "--atol", "1e-5", "--rtol", "0", "--no-reduce", "--no-overrides"];
        let [culprit] = layerdiff("bisect", &model, &args).report().culprits.try_into().unwrap();
        assert_eq!(codes(&culprit), [code], "{culprit:?}");
    }
    for (case, code) in [("wrong_attribute", "attribute-differs"), ("fp16_file", "weights-differ")] {
        let (folder, file) = (testdata(case), testdata(case).join("candidate.onnx"));
        let (candidate, inputs) = (format!("ort@{}", file.display()), folder.join("inputs.npz").display().to_string());
        let args = ["-c", &candidate, "-i", &inputs, "--atol", "1e-9", "--rtol", "0", "--no-reduce", "--no-overrides"];
        let culprits = layerdiff("bisect", &folder.join("model.onnx"), &args).report().culprits;
        let all: Vec<&str> = culprits.iter().flat_map(codes).collect();
        assert!(all.contains(&code), "{case}: {all:?}");
    }
}

/// A model from `x` to `y`, as a file.
fn written(nodes: Vec<NodeProto>, shape: &[usize]) -> (PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let tensor = |name| ValueInfoProto::tensor(name, DType::Float32, shape);
    let graph = GraphProto { node: nodes, input: vec![tensor("x")], output: vec![tensor("y")], ..Default::default() };
    let path = dir.path().join("model.onnx");
    std::fs::write(&path, model_of(graph).encode_to_vec()).unwrap();
    (path, dir)
}
