//! `layerdiff bisect` and the nodes that it says must stay in FP32: with them the outputs agree, without any single one
//! of them they do not, and ONNX's own evaluator, which runs every operator in its own type, says so too.

mod common;

#[path = "cure/evaluate.rs"]
mod evaluate;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, model_of, real_model, testdata};
use evaluate::{Job, Verdict, evaluate, python};
use layerdiff::load::npz;
use layerdiff::onnx::{GraphProto, NodeProto, ValueInfoProto};
use layerdiff::report::{self, Overrides};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    args: Vec<String>,
    verdict: report::Verdict,
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
    if !(after < 0.05 && after < before / 4.0 && ends) || found.builds < nodes.len() + 2 {
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
        if case.verdict == report::Verdict::Diverged && case.candidate == "ort:fp16" {
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

// ---- options, and what has no cure

/// `y = op(x)` of a few nodes, and samples of eight equal values each.
struct Small {
    folder: tempfile::TempDir,
    samples: Vec<PathBuf>,
}

impl Small {
    fn new(nodes: Vec<NodeProto>, constants: &[(&str, f32)], values: &[f32]) -> Small {
        let folder = tempfile::tempdir().unwrap();
        let tensor = |name| ValueInfoProto::tensor(name, DType::Float32, &[1, 8]);
        let constant =
            |(name, value): &(&str, f32)| layerdiff::load::testset::tensor_to_proto(name, &Tensor::f32(&[], &[*value]));
        let graph = GraphProto {
            node: nodes,
            initializer: constants.iter().map(constant).collect(),
            input: vec![tensor("x")],
            output: vec![tensor("y")],
            ..Default::default()
        };
        std::fs::write(folder.path().join("model.onnx"), model_of(graph).encode_to_vec()).unwrap();
        let sample = |(number, value): (usize, &f32)| {
            let path = folder.path().join(format!("{number}.npz"));
            let tensors: Tensors = [("x".to_string(), Tensor::f32(&[1, 8], &[*value; 8]))].into();
            npz::write(&path, &tensors).unwrap();
            path
        };
        let samples = values.iter().enumerate().map(sample).collect();
        Small { folder, samples }
    }

    /// Squares, which overflow from 256 on, and behind them a hundredfold, which overflows from 656 on.
    fn two_limits(values: &[f32]) -> Small {
        let nodes = vec![
            NodeProto::new("Mul", "square", &["x", "x"], &["squared"]),
            NodeProto::new("Sqrt", "root", &["squared"], &["rooted"]),
            NodeProto::new("Mul", "up", &["rooted", "hundred"], &["large"]),
            NodeProto::new("Div", "down", &["large", "hundred"], &["y"]),
        ];
        Small::new(nodes, &[("hundred", 100.0)], values)
    }

    fn run(&self, more: &[&str]) -> Run {
        in_fp16(&self.folder.path().join("model.onnx"), &self.samples, more)
    }
}

#[test]
fn held_back_samples_confirm_or_refute() {
    let check = |values: &[f32], holdout: &str, nodes: &[&str], verified: bool| {
        let run = Small::two_limits(values).run(&["--holdout", holdout]);
        let found = found(&run);
        assert_eq!((found.nodes, found.verified), (nodes.iter().map(|n| n.to_string()).collect(), verified));
        let why = found.why.unwrap_or_default();
        assert_eq!(why.contains("held-back"), !verified, "{why}");
        let doubted = run.stdout.contains("verified: NO") || run.stdout.contains("none found");
        assert_eq!(doubted, !verified, "{}", run.stdout);
        if let Some(list) = found.files.get("nodes") {
            let list: serde_json::Value = serde_json::from_slice(&std::fs::read(list).unwrap()).unwrap();
            assert_eq!(list["verified"], verified);
        }
    };
    check(&[300.0, 400.0], "1", &["square", "root"], true);
    check(&[300.0, 700.0], "1", &["square", "root"], false);
    check(&[2.0, 300.0], "1", &[], false);
    check(&[300.0, 700.0], "0", &["square", "root", "up", "down"], true);
    // One sample at least is searched with.
    check(&[300.0, 400.0], "9", &["square", "root"], true);
}

#[test]
fn a_spent_budget_is_said_and_the_best_set_so_far_is_kept() {
    let (model, samples) = case("layernorm_overflow");
    let with = |builds: &str| found(&in_fp16(&model, &samples, &["--builds", builds]));
    let one = with("1");
    assert!(one.nodes.is_empty() && !one.verified && one.files.is_empty(), "{one:?}");
    assert!(one.why.as_ref().is_some_and(|why| why.contains("too few")), "{one:?}");
    let (mut most, all) = (usize::MAX, with("200"));
    for builds in [2, 3, 5, 10] {
        let cure = with(&builds.to_string());
        assert!(cure.verified && cure.builds <= builds && cure.nodes.len() <= most, "{cure:?}");
        assert!(cure.minimal == (cure.builds == all.builds) && cure.nodes.len() >= all.nodes.len(), "{cure:?}");
        // Whatever is offered has been tried.
        let seen = cure.curve.iter().find(|(kept, _)| *kept == cure.nodes.len()).unwrap();
        assert!(seen.1 <= cure.error_after, "{cure:?}");
        most = cure.nodes.len();
    }
}

#[test]
fn nothing_is_looked_for_on_request_or_without_need() {
    let (model, samples) = case("layernorm_overflow");
    let run = in_fp16(&model, &samples, &["--no-overrides"]);
    let report = run.report();
    assert_eq!((run.status, report.culprits.len()), (1, 1), "{}", run.stderr);
    assert!(report.overrides.is_none() && report.sensitivity.is_empty() && !run.wrote("overrides"));
    for name in ["healthy_transformer", "masked_fault"] {
        let (model, samples) = case(name);
        let run = in_fp16(&model, &samples, &[]);
        assert_eq!(run.status, 0, "{}", run.stderr);
        assert!(run.report().overrides.is_none() && !run.wrote("overrides"), "{name}");
    }
    // The candidate is another file: nothing says that precision is to blame.
    let candidate = format!("ort@{}", testdata("wrong_attribute/candidate.onnx").display());
    let (model, samples) = case("wrong_attribute");
    let run = layerdiff("bisect", &model, &["-c", &candidate, "-i", samples[0].to_str().unwrap(), "--no-reduce"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    assert!(run.report().overrides.is_none() && !run.wrote("overrides"));
}

#[test]
fn where_precision_is_not_the_cause_there_is_no_cure() {
    let nodes = vec![
        NodeProto::new("RandomNormalLike", "noise", &["x"], &["drawn"]),
        NodeProto::new("Add", "add", &["x", "drawn"], &["y"]),
    ];
    let run = Small::new(nodes, &[], &[1.0]).run(&[]);
    let found = found(&run);
    assert!(found.nodes.is_empty() && !found.verified && found.files.is_empty() && found.builds <= 2, "{found:?}");
    assert!(found.why.unwrap().contains("even with every node in FP32"));
    assert!(run.stdout.contains("none found") && !run.wrote("overrides"), "{}", run.stdout);
}

#[test]
fn every_node_alone_is_ranked() {
    let (model, samples) = case("matmul_add_sub_65504");
    let report = in_fp16(&model, &samples, &[]).report();
    let [first, .., last] = report.sensitivity.as_slice() else { panic!("{:?}", report.sensitivity) };
    assert_eq!((report.sensitivity.len(), first.node.as_str(), first.tensor.as_str()), (4, "add", "add_out"));
    let found = report.overrides.unwrap();
    // Alone in FP32, no node cures anything; alone in FP16, only the Add and the Sub do harm.
    for row in &report.sensitivity {
        let (promoted, demoted) = (row.promoted.unwrap().0, row.demoted.unwrap().0);
        assert!(promoted.is_infinite() && (demoted.is_infinite() == found.nodes.contains(&row.node)), "{row:?}");
    }
    assert!(first.local.0.is_infinite() && last.local.0 < 1e-3, "{:?}", report.sensitivity);
    let two = in_fp16(&model, &samples, &["--sensitivity", "2"]).report();
    assert_eq!(two.sensitivity.len(), 2);
}

#[test]
fn a_strict_tolerance_holds_for_every_sample() {
    let (model, first) = case("healthy_transformer");
    let folder = tempfile::tempdir().unwrap();
    let tensors = npz::read(&first[0]).unwrap();
    let scaled = |(number, by): (usize, f32)| {
        let path = folder.path().join(format!("{number}.npz"));
        let times = |t: &Tensor| Tensor::f32(&t.shape, &t.view::<f32>().iter().map(|v| v * by).collect::<Vec<_>>());
        npz::write(&path, &tensors.iter().map(|(name, t)| (name.clone(), times(t))).collect()).unwrap();
        path
    };
    let samples: Vec<PathBuf> = [1.0, -1.0, 0.5].into_iter().enumerate().map(scaled).collect();
    let run = in_fp16(&model, &samples, &["--atol", "1e-3", "--rtol", "0"]);
    let cure = found(&run);
    assert!(cure.verified && cure.minimal && !cure.nodes.is_empty() && cure.nodes.len() < cure.of, "{cure:?}");
    // So near the bound the order of a sum decides.
    let mut job = Job::new(&model, &samples, &run.report(), run.dir.path());
    (job.atol, job.models) = (job.atol * 1.25, job.models[..1].to_vec());
    let [verdicts] = evaluate(&[job]).try_into().unwrap();
    assert!(verdicts[0].agrees, "{verdicts:?}");
}
