//! `layerdiff bisect` on files of the real quantiser that have no QDQ pairs: which operators must be left unquantised, the file
//! without them, what each alone does, and the quantiser called again.

mod common;

use std::path::Path;

use common::{Run, layerdiff, run_python};
use layerdiff::found::{CureKind, Report, Sure, Verdict};

fn make(kind: &str, dir: &Path, more: &[&str]) {
    run_python([&["tests/qdq/dynamic.py", kind, dir.to_str().unwrap()], more].concat());
}

fn run(command: &str, dir: &Path, candidate: &str, args: &[&str]) -> Run {
    let candidate = format!("ort@{}", dir.join(candidate).display());
    let inputs = dir.join("inputs.npz");
    let given = ["-c", &candidate, "-i", inputs.to_str().unwrap()];
    layerdiff(command, &dir.join("model.onnx"), &[given.as_slice(), args].concat())
}

/// No rounding to eight bits is within this.
const TIGHT: [&str; 4] = ["--atol", "1e-5", "--rtol", "1e-5"];

/// What is found of a file of `kind` where nothing that is quantised agrees: these nodes, told to the consumer `file`.
#[track_caller]
fn check(kind: &str, nodes: &[&str], file: &str) -> Report {
    let dir = tempfile::tempdir().unwrap();
    make(kind, dir.path(), &[]);
    let run = run("bisect", dir.path(), "quantised.onnx", &[TIGHT.as_slice(), &["--no-reduce"]].concat());
    let report = run.report();
    let found = report.overrides.clone().unwrap_or_else(|| panic!("{}", run.stderr));
    assert_eq!((found.kind, found.verified, found.limited), (CureKind::Unquantised, true, false), "{found:?}");
    let mut told: Vec<&str> = found.nodes.iter().map(String::as_str).collect();
    told.sort_unstable();
    assert_eq!(told, nodes, "{found:?}");
    assert!(found.error_after.0 < 1e-5 && found.error_before.0 > 1e-3, "{found:?}");
    let list: serde_json::Value = serde_json::from_slice(&std::fs::read(&found.files[file]).unwrap()).unwrap();
    let excluded = list["nodes_to_exclude"].as_array().unwrap();
    assert!(nodes.iter().all(|name| excluded.iter().any(|e| e == name)), "{list}");
    // Nobody is accused of a kernel: the rounding is the cause.
    let codes = report.culprits.iter().flat_map(|c| &c.diagnosis).map(|d| (d.code.as_str(), d.sure));
    assert!(codes.into_iter().all(|told| told == ("quantisation-error", Sure::Shown)), "{}", run.stdout);
    let mixed = layerdiff(
        "compare",
        &dir.path().join("model.onnx"),
        &[
            ["-c", &format!("ort@{}", found.files["onnx"]), "-i", dir.path().join("inputs.npz").to_str().unwrap()]
                .as_slice(),
            &TIGHT,
        ]
        .concat(),
    );
    assert_eq!(mixed.report().verdict, Verdict::Agreed, "{}", mixed.stdout);
    report
}

#[test]
fn dynamic_products_tables_and_gemms() {
    let report = check("dynamic", &["first", "rows", "second", "third"], "onnxruntime");
    let told: Vec<&str> = report.sensitivity.iter().map(|s| s.node.as_str()).collect();
    assert_eq!(told, ["second", "first", "rows", "third"], "the largest error of its own first");
    assert!(report.sensitivity.iter().all(|s| s.promoted.is_some_and(|p| p.0 < 0.02)), "{:?}", report.sensitivity);
}

#[test]
fn a_file_of_other_names() {
    check("renamed", &["first", "rows", "second", "third"], "onnxruntime");
}

#[test]
fn convolutions_of_integers() {
    check("conv", &["conv", "other"], "onnxruntime");
}

#[test]
fn an_lstm_and_what_reads_it() {
    check("lstm", &["lstm", "out"], "onnxruntime");
}

#[test]
fn an_attention() {
    check("attention", &["attention", "out"], "onnxruntime");
}

#[test]
fn products_that_share() {
    check("shared", &["one", "three", "two"], "onnxruntime");
}

#[test]
fn no_names_and_no_zero_points() {
    check("bare", &["first", "second"], "onnxruntime");
}

#[test]
fn in_the_branch_that_runs() {
    check("body", &["after", "before", "t_mm"], "onnxruntime");
}

#[test]
fn few_bits() {
    for kind in ["bits", "bits8", "bits2"] {
        check(kind, &["first", "second"], "matmul_nbits");
    }
}

#[test]
fn operators_with_their_relus() {
    check("operators", &["conv1", "conv2", "fc"], "onnxruntime_qoperator");
}

/// The quantiser, called as the file says, makes what layerdiff tried.
#[test]
fn the_quantiser_takes_the_list() {
    let dir = tempfile::tempdir().unwrap();
    make("dynamic", dir.path(), &[]);
    let some = ["--metric", "y:cosine=0.99997", "--no-reduce"];
    let first = run("bisect", dir.path(), "quantised.onnx", &some);
    let found = first.report().overrides.unwrap();
    assert!(found.is_cure() && found.nodes.len() < 4, "{found:?}");
    make("again", dir.path(), &[&found.files["onnxruntime"]]);
    let again = run("compare", dir.path(), "again.onnx", &some[..2]);
    assert_eq!(again.report().verdict, Verdict::Agreed, "{}", again.stdout);
}

#[test]
fn where_most_would_be_needed_the_limit_is_told() {
    let dir = tempfile::tempdir().unwrap();
    make("deep", dir.path(), &[]);
    let run = run("bisect", dir.path(), "quantised.onnx", &[TIGHT.as_slice(), &["--no-reduce"]].concat());
    let found = run.report().overrides.unwrap();
    let why = found.why.clone().unwrap();
    assert!(found.limited && why.starts_with("Dynamic INT8 cannot do this at this tolerance: it reaches "), "{why}");
    assert!(found.nodes.len() > 8 && found.of == 12 && found.builds <= 12, "{found:?}");
    assert!(found.curve.iter().any(|(kept, error)| (1..=8).contains(kept) && error.0 < found.error_before.0));
}
