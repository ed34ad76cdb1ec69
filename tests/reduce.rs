//! `layerdiff reduce` and `bisect` of wrong values: every fault of testdata/ becomes a folder that shows it, and no node
//! of it can go.

mod common;

#[path = "reduce/bundle.rs"]
mod bundle;
#[path = "reduce/commands.rs"]
mod commands;
#[path = "reduce/data.rs"]
mod data;
#[path = "reduce/minimal.rs"]
mod minimal;
#[path = "reduce/shapes.rs"]
mod shapes;
#[path = "reduce/strangers.rs"]
mod strangers;

use std::path::{Path, PathBuf};

use bundle::{Bundle, onnx_accepts, reproducers};
use common::{Run, layerdiff, testdata};
use layerdiff::found::{Kind, Verdict};
use layerdiff::load::Model;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    candidate: String,
    args: Vec<String>,
    verdict: Verdict,
}

/// Where the candidate is a file of its own, its nodes are what is cut; as measured.
const OF_ANOTHER_FILE: [(&str, &[&str]); 19] = [
    ("concat_dead_part", &["join"]),
    ("float64_outlier", &["shift"]),
    ("folded_norm_and_fault", &["gain"]),
    ("fp16_file", &["gain"]),
    ("fused_division", &["inverse", "times"]),
    ("gelu_chain_amplify", &["fc_bias", "gelu_mul", "gelu_half", "centre"]),
    ("half_side_branch", &["main_scale"]),
    ("loop_body", &["loop"]),
    ("nan_moved", &["mark"]),
    ("noise_before_mean", &["scale"]),
    ("packed_four_bits", &["fc"]),
    ("qdq_bad_scale", &["relu1_out_QuantizeLinear", "relu1_out_DequantizeLinear"]),
    ("renamed_tensors", &["quick_scale", "quick_gate", "quick_mul"]),
    ("row_lost_under_noise", &["gain"]),
    ("same_qdq_scale_off", &["fc1_w_DequantizeLinear"]),
    ("suppressed_logits", &["lm_head"]),
    ("token_offset", &["shard_offset"]),
    ("wrong_attribute", &["leaky"]),
    ("wrong_axis", &["softmax"]),
];

/// The folders of testdata/ that diverge, each with the arguments of its run.
fn diverging() -> Vec<(PathBuf, Vec<String>)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(testdata("")).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("case.json")) else { continue };
        let case: Case = serde_json::from_str(&text).unwrap();
        if case.verdict == Verdict::Diverged {
            all.push((folder.clone(), arguments(&folder, &case)));
        }
    }
    assert!(all.len() >= 20, "only {} cases were found", all.len());
    all
}

fn arguments(folder: &Path, case: &Case) -> Vec<String> {
    let candidate = match case.candidate.split_once('@') {
        Some((backend, file)) => format!("{backend}@{}", folder.join(file).display()),
        None => case.candidate.clone(),
    };
    let files = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path().display().to_string());
    let mut samples: Vec<String> = files.filter(|p| p.ends_with(".npz")).collect();
    samples.sort();
    let inputs = samples.into_iter().flat_map(|s| ["--inputs".to_string(), s]);
    ["--candidate".to_string(), candidate].into_iter().chain(inputs).chain(case.args.iter().cloned()).collect()
}

fn words(args: &[String]) -> Vec<&str> {
    args.iter().map(String::as_str).collect()
}

/// Everything that a run on a case must leave behind; its models, for ONNX's checker.
fn delivered(folder: &Path, args: &[String], run: &Run) -> Result<Vec<PathBuf>, String> {
    if run.status != 1 {
        return Err(format!("exit status {}\n{}", run.status, run.stderr));
    }
    let report = run.report();
    let made = reproducers(&report);
    if made.len() != report.culprits.len() || (report.reproducers.len() == 1) {
        return Err(format!("{} reproducers of {} culprits", made.len(), report.culprits.len()));
    }
    let own = args[1].split_once('@').map(|(_, file)| PathBuf::from(file));
    let source = Model::load(own.as_ref().unwrap_or(&folder.join("model.onnx"))).unwrap();
    let mut models = Vec::new();
    for (number, (told, culprit)) in made.iter().zip(&report.culprits).enumerate() {
        let name = if number == 0 { "reduced".to_string() } else { format!("reduced_{}", number + 1) };
        let bundle = Bundle::read(&run.dir.path().join("out").join(name))?;
        bundle.is_told(told)?;
        bundle.is_part_of(&source)?;
        if !(told.reproduces && told.minimal) || told.culprit.as_ref() != Some(&culprit.tensor) {
            return Err(format!("{told:?}"));
        }
        let measured = OF_ANOTHER_FILE.iter().find(|(case, _)| folder.ends_with(case)).map(|(_, names)| *names);
        let right = match measured {
            Some(names) => told.names == names,
            None => culprit.kind == Kind::Introduces && own.is_none() && told.names == [culprit.node.name.clone()],
        };
        if !right {
            return Err(format!("cut out: {:?}", told.names));
        }
        let (status, text) = bundle.replay(&["layerdiff"]);
        if status != 1 || !text.contains("diverged") {
            return Err(format!("repro.sh: exit status {status}\n{text}"));
        }
        models.push(bundle.folder.join("model.onnx"));
    }
    Ok(models)
}

fn every_fault(command: &str) {
    let (mut runs, mut models, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for (folder, args) in diverging() {
        let run = layerdiff(command, &folder.join("model.onnx"), &words(&args));
        match delivered(&folder, &args, &run) {
            Ok(made) => models.extend(made),
            Err(why) => faults.push(format!("{}: {why}", folder.display())),
        }
        runs.push(run);
    }
    assert!(faults.is_empty(), "{} cases fail:\n{}", faults.len(), faults.join("\n"));
    onnx_accepts(&models);
}

#[test]
fn reduce_cuts_every_fault_out() {
    every_fault("reduce");
}

#[test]
fn bisect_does_too() {
    every_fault("bisect");
}

fn run_case(command: &str, name: &str, more: &[&str]) -> Run {
    let (folder, args) = diverging().into_iter().find(|(folder, _)| folder.ends_with(name)).unwrap();
    layerdiff(command, &folder.join("model.onnx"), &[&words(&args), more].concat())
}

#[test]
fn two_faults_have_a_folder_each() {
    let run = run_case("bisect", "two_faults_two_branches", &[]);
    let report = run.report();
    let culprits: Vec<_> = report.reproducers.iter().map(|r| r.culprit.as_deref().unwrap()).collect();
    assert_eq!(culprits, ["softplus_exp_out", "norm_square_out"]);
    assert!(run.wrote("reduced/model.onnx") && run.wrote("reduced_2/model.onnx") && !run.wrote("reduced_3"));
    assert_eq!(report.reduced.unwrap().names, report.reproducers[0].names);
}

#[test]
fn nothing_is_cut_out_on_request() {
    let run = run_case("bisect", "layernorm_overflow", &["--no-reduce"]);
    assert_eq!((run.status, run.wrote("report.json"), run.wrote("reduced")), (1, true, false), "{}", run.stderr);
    assert!(run.report().reduced.is_none());
    let agreed = layerdiff("reduce", &testdata("healthy_transformer/model.onnx"), &["-c", "ort:fp16"]);
    assert_eq!((agreed.status, agreed.wrote("reduced")), (0, false), "{}", agreed.stderr);
}

#[test]
fn a_fault_in_a_loop_is_cut_out_of_its_body() {
    let model = testdata("loop_body/model.onnx");
    let run = layerdiff("reduce", &model, &["-c", "ort:fp16", "--range", "200..400"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let report = run.report();
    let (told, culprit) = (report.reduced.unwrap(), &report.culprits[0].node.name);
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    bundle.is_part_of(&Model::load(&model).unwrap()).unwrap();
    assert_eq!((culprit.as_str(), told.names.as_slice()), ("loop", ["body_square".to_string()].as_slice()));
    assert!(told.reproduces && told.minimal, "{told:?}");
    assert_eq!(bundle.replay(&["layerdiff"]).0, 1);
}
