//! `layerdiff bisect` and the nodes that it says must stay in FP32: with them the outputs agree, without any single one
//! of them they do not, and ONNX's own evaluator, which runs every operator in its own type, says so too.

mod common;

#[path = "cure/evaluate.rs"]
mod evaluate;
#[path = "cure/options.rs"]
mod options;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, real_model, testdata};
use evaluate::{Job, Verdict, evaluate, python};
use layerdiff::found::{self, Overrides};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    args: Vec<String>,
    verdict: found::Verdict,
}

/// Every folder of testdata/ that diverges in FP16, and what must stay in FP32: the node that leaves the range, and all
/// behind it until the values are in range again.
const CASES: [(&str, &[&str]); 14] = [
    ("dynamic_batch", &["square", "energy", "safe", "norm"]),
    // The probabilities too: logits of thousands would be rounded to multiples of several units.
    ("external_data", &["fc2", "fc2_bias", "probability"]),
    ("flt_max_mask", &["mask_where", "mask_add", "softmax"]),
    ("if_branch_fault", &["then_square", "then_sqrt"]),
    ("ir3_weights_are_inputs", &["square", "sqrt"]),
    ("large_reduction", &["sum", "per_pixel"]),
    ("layernorm_overflow", &["ln_pow", "ln_var"]),
    ("mask_scaled_twice", &["mask_1e8", "mask_add", "softmax"]),
    ("matmul_add_sub_65504", &["add", "sub"]),
    ("small_variance", &["rms_square", "rms_mean", "rms_eps", "rms_sqrt"]),
    ("subnormal_flush", &["down2", "mix", "up1"]),
    ("topk_tie", &["bias", "topk"]),
    (
        "two_faults_two_branches",
        &["softplus_exp", "softplus_add", "softplus_log", "norm_square", "norm_eps", "norm_sqrt"],
    ),
    ("unnamed_nodes", &["node_of_square_out", "node_of_sqrt_out"]),
];

const FILES: [(&str, &str); 7] = [
    ("modelopt", "modelopt_autocast.args"),
    ("nodes", "nodes.json"),
    ("onnx", "model.mixed.onnx"),
    ("onnxruntime", "ort_float16.json"),
    ("polygraphy", "trt_network.py"),
    ("readme", "README.md"),
    ("trtexec", "trtexec.args"),
];

// ---- running

fn in_fp16(model: &Path, samples: &[PathBuf], more: &[&str]) -> Run {
    let samples: Vec<_> = samples.iter().flat_map(|s| ["--inputs", s.to_str().unwrap()]).collect();
    layerdiff("bisect", model, &[&["--candidate", "ort:fp16", "--no-reduce"], samples.as_slice(), more].concat())
}

fn found(run: &Run) -> Overrides {
    assert_eq!(run.status, 1, "{}", run.stderr);
    run.report().overrides.expect("no overrides")
}

fn samples(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    let mut samples: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "npz")).collect();
    samples.sort();
    samples
}

/// The model and the samples of a folder of testdata/.
fn case(name: &str) -> (PathBuf, Vec<PathBuf>) {
    (testdata(name).join("model.onnx"), samples(&testdata(name)))
}

// ---- judging

/// What the report says of a cure that is proven.
fn proven(found: &Overrides, nodes: &[&str], dir: &Path) -> Result<(), String> {
    if !(found.verified && found.minimal) || found.why.is_some() || found.nodes != nodes {
        return Err(format!("{found:?}"));
    }
    let (before, after) = (found.error_before.0, found.error_after.0);
    let ends = found.curve.first().map(|c| c.0) == Some(0) && found.curve.last().map(|c| c.0) == Some(found.of);
    let right = after < 0.05 && after < before / 4.0 && ends && found.builds >= nodes.len() + 2;
    if !right {
        return Err(format!("error {before} before, {after} after {} builds: {:?}", found.builds, found.curve));
    }
    // A suggestion that keeps half of the model is none.
    if found.groups.is_empty() || found.of < nodes.len() || (found.of > 100 && nodes.len() * 50 > found.of) {
        return Err(format!("{} of {} nodes: {:?}", nodes.len(), found.of, found.groups));
    }
    for (consumer, file) in FILES {
        let want = dir.join("out/overrides").join(file);
        if found.files.get(consumer).map(Path::new) != Some(want.as_path()) || !want.is_file() {
            return Err(format!("{consumer}: {:?}, not {}", found.files.get(consumer), want.display()));
        }
    }
    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(&found.files["nodes"]).unwrap()).unwrap();
    let listed: Vec<_> = list["nodes"].as_array().unwrap().iter().map(|n| n["name"].as_str().unwrap()).collect();
    if listed != nodes || list["verified"] != true {
        return Err(format!("nodes.json: {list}"));
    }
    Ok(())
}

/// What the independent evaluator says of the model with all of the nodes, and of those without one of them.
fn confirmed(found: &Overrides, verdicts: &[Verdict]) -> Result<(), String> {
    let (with_all, without_one) = verdicts.split_first().unwrap();
    if !with_all.agrees {
        return Err(format!("the mixed model fails: {with_all:?}"));
    }
    // The evaluator lists the main graph alone.
    let main = |n: &&String| !n.starts_with("then_");
    let mut told: Vec<&String> = found.nodes.iter().filter(main).collect();
    let mut kept: Vec<&String> = with_all.float32.iter().collect();
    told.sort();
    kept.sort();
    if told != kept {
        return Err(format!("FP32 in the mixed model: {kept:?}"));
    }
    match found.nodes.iter().zip(without_one).find(|(_, verdict)| verdict.agrees) {
        Some((node, verdict)) => Err(format!("'{node}' is not needed: {verdict:?}")),
        None => Ok(()),
    }
}

/// Every model with its samples and nodes; says which fail and why.
fn check(models: &[(String, PathBuf, Vec<PathBuf>, Vec<&str>)], more: &[&str]) {
    let (mut faults, mut runs, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    for (name, model, samples, nodes) in models {
        let run = in_fp16(model, samples, more);
        let found = found(&run);
        match proven(&found, nodes, run.dir.path()) {
            Err(why) => faults.push(format!("{name}: {why}")),
            Ok(()) => {
                jobs.push(Job::new(model, samples, &run.report(), run.dir.path()));
                runs.push((name, found, run));
            }
        }
    }
    for ((name, found, _), verdicts) in runs.iter().zip(evaluate(&jobs)) {
        if let Err(why) = confirmed(found, &verdicts) {
            faults.push(format!("{name}: {why}"));
        }
    }
    assert!(faults.is_empty(), "{} of {} fail:\n{}", faults.len(), models.len(), faults.join("\n"));
}

// ---- what must be cured

#[test]
fn every_fault_of_fp16_has_a_proven_cure() {
    let mut diverging = Vec::new();
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("case.json")) else { continue };
        let case: Case = serde_json::from_str(&text).unwrap();
        if case.verdict == found::Verdict::Diverged && case.candidate == "ort:fp16" {
            assert!(case.args.is_empty(), "{}: arguments are not handed on", folder.display());
            diverging.push(folder.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    diverging.sort();
    assert_eq!(diverging, CASES.map(|(name, _)| name), "testdata/ and the table differ");
    let models = CASES.map(|(name, nodes)| {
        let (model, samples) = case(name);
        (name.to_string(), model, samples, nodes.to_vec())
    });
    check(&models, &[]);
}

/// Of several hundred float nodes, exactly those that were broken on purpose; see break.py.
#[test]
fn real_models_broken_on_purpose_are_cured() {
    let folder = tempfile::tempdir().unwrap();
    let models = real_model("rec.onnx");
    python("break.py", &[models.parent().unwrap(), folder.path()], "");
    let pair = ["planted_add", "planted_sub"];
    let norm = ["p2o.Pow.2", "p2o.ReduceMean.6", "p2o.Add.242", "p2o.Sqrt.2"];
    let mask = ["planted_mask", "p2o.Softmax.0"];
    let broken = [("norm_mask_pair_in_rec", [mask.as_slice(), &norm, &pair].concat()), ("pair_in_cls", pair.to_vec())];
    let file = |name: &str, kind: &str| folder.path().join(format!("{name}.{kind}"));
    let models = broken.map(|(name, nodes)| (name.to_string(), file(name, "onnx"), vec![file(name, "npz")], nodes));
    check(&models, &["--sensitivity", "0"]);
}

/// As it is shipped: a sum of 512 squares in a LayerNorm is beyond FP16.
#[test]
fn a_real_model_that_overflows_is_cured() {
    let norm = "jax2tf_get_logits_/pjit_get_logits_/MagikaV2/LayerNorm_1";
    let nodes = [format!("{norm}/Sum_1"), format!("{norm}/truediv_1")];
    let (model, sample) = (real_model("magika.onnx"), real_model("magika.npz"));
    check(&[("magika".to_string(), model, vec![sample], nodes.iter().map(String::as_str).collect())], &[]);
}
