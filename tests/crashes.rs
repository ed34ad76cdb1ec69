//! ONNX Runtime ends the process that it runs in: of the reference, of the candidate, of a trial. Each is an answer. And what
//! ends layerdiff itself from outside leaves a report and nothing else.

mod common;
#[path = "crashes/signals.rs"]
mod signals;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, model_of, program};
use layerdiff::found::Verdict;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor};
use prost::Message;

fn model(
    nodes: &[NodeProto],
    input: (&str, DType, &[usize]),
    constants: &[(&str, Tensor)],
    output: &str,
) -> ModelProto {
    model_of(GraphProto {
        name: Some("g".to_string()),
        node: nodes.to_vec(),
        input: vec![ValueInfoProto::tensor(input.0, input.1, input.2)],
        initializer: constants.iter().map(|(name, value)| tensor_to_proto(name, value)).collect(),
        output: vec![ValueInfoProto::bare(output)],
        ..Default::default()
    })
}

/// int64's minimum divided by `divisor`, between healthy nodes: -1 ends the process with SIGFPE.
fn division(divisor: i64) -> ModelProto {
    let nodes = [
        NodeProto::new("Add", "before", &["x", "x"], &["twice"]),
        NodeProto::new("Div", "divide", &["least", "by"], &["quotient"]),
        NodeProto::new("Add", "after", &["quotient", "twice"], &["sum"]),
        NodeProto::new("Cast", "cast", &["sum"], &["y"]).with(AttributeProto::int("to", 1)),
    ];
    let constants = [("least", Tensor::i64(&[2], &[i64::MIN, 1])), ("by", Tensor::i64(&[2], &[divisor, 1]))];
    model(&nodes, ("x", DType::Int64, &[2]), &constants, "y")
}

fn write(model: &ModelProto, folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// The report tells which side died, of what, at which node; so does the one line on stderr.
fn check(run: &Run, side: &str, node: &str) {
    let report = run.report();
    assert_eq!((run.status, report.verdict), (3, Verdict::Inconclusive), "{}", run.stderr);
    let crash = report.crash.unwrap();
    assert_eq!((crash.side.as_str(), crash.node.as_deref()), (side, Some(node)));
    assert!(crash.ended.contains("signal 8 (SIGFPE)"), "{}", crash.ended);
    let why = report.why.unwrap();
    assert!(why.contains(&format!("the {side} (ONNX Runtime) crashed: while running")), "{why}");
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    assert!(run.stderr.contains("SIGFPE") && run.stderr.contains(node), "{}", run.stderr);
    assert!(report.warnings.iter().any(|w| w.contains("everything was run again")), "{:?}", report.warnings);
}

#[test]
fn a_reference_that_crashes_is_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&division(-1), dir.path(), "model.onnx");
    for command in ["bisect", "compare", "reduce"] {
        check(&layerdiff(command, &path, &["-c", "ort:fp16"]), "reference", "divide");
    }
}

#[test]
fn a_candidate_that_crashes_is_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let (sound, deadly) = (write(&division(3), dir.path(), "a.onnx"), write(&division(-1), dir.path(), "b.onnx"));
    for command in ["bisect", "compare", "reduce"] {
        check(&layerdiff(command, &sound, &["-c", &format!("ort@{}", deadly.display())]), "candidate", "divide");
    }
}

/// int64's minimum divided by 2, where FP16 rounds as here; by -4, where nothing is rounded; by -1, where 2051 is rounded
/// to 2052 and 2053 is not.
fn deadly_in_between() -> ModelProto {
    let nodes = [
        NodeProto::new("Mul", "u", &["x", "one"], &["u_out"]),
        NodeProto::new("Mul", "v", &["z", "one"], &["v_out"]),
        NodeProto::new("Sub", "difference", &["u_out", "v_out"], &["d"]),
        NodeProto::new("Mul", "thrice", &["d", "three"], &["d3"]),
        NodeProto::new("Add", "shift", &["d3", "two"], &["shifted"]),
        NodeProto::new("Cast", "whole", &["shifted"], &["by"]).with(AttributeProto::int("to", 7)),
        NodeProto::new("Div", "divide", &["least", "by"], &["y"]),
    ];
    let number = |x: f32| Tensor::f32(&[1], &[x]);
    let constants = [
        ("one", number(1.0)),
        ("three", number(3.0)),
        ("two", number(2.0)),
        ("z", number(0.0)),
        ("least", Tensor::i64(&[1], &[i64::MIN])),
    ];
    let mut model = model(&nodes, ("x", DType::Float32, &[1]), &constants, "y");
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.retain(|t| t.name() != "z");
    graph.input.push(ValueInfoProto::tensor("z", DType::Float32, &[1]));
    model
}

#[test]
fn a_trial_that_crashes_costs_one_trial() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&deadly_in_between(), dir.path(), "model.onnx");
    let ranges = ["--range", "x=2051..2051", "--range", "z=2053..2053"];
    let run = layerdiff("bisect", &path, &[&["-c", "ort:fp16"], &ranges[..]].concat());
    let report = run.report();
    assert_eq!((run.status, report.verdict), (1, Verdict::Diverged), "{}{}", run.stdout, run.stderr);
    assert!(report.crash.is_none());
    assert!(report.warnings.iter().any(|w| w.contains("SIGFPE")), "{:?}", report.warnings);
}

/// Two files whose inner names differ, so that the fault lies in a region; in there, int64's minimum is divided by the least
/// of the data. Of all the data that is -5; of an element alone it may be -1.
fn region(inner: &str, factor: f32) -> ModelProto {
    let name = |tensor: &str| format!("{inner}{tensor}");
    let (least, quotient, float) = (name("least"), name("quotient"), name("float"));
    let nodes = [
        NodeProto::new("ReduceMin", &name("min"), &["x"], &[&least]),
        NodeProto::new("Div", &name("divide"), &["lowest", &least], &[&quotient]),
        NodeProto::new("Cast", &name("cast"), &[&quotient], &[&float]).with(AttributeProto::int("to", 1)),
        NodeProto::new("Mul", "scale", &[&float, "factor"], &["scaled"]),
        // Most names are the same in both files: else the others would be paired by structure.
        NodeProto::new("Neg", "less", &["scaled"], &["negative"]),
        NodeProto::new("Neg", "more", &["negative"], &["positive"]),
        NodeProto::new("Neg", "last", &["positive"], &["y"]),
    ];
    let constants = [("lowest", Tensor::i64(&[1], &[i64::MIN])), ("factor", Tensor::f32(&[1], &[factor]))];
    model(&nodes, ("x", DType::Int64, &[1, 4]), &constants, "y")
}

#[test]
fn a_smaller_model_that_crashes_is_merely_inconclusive() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (write(&region("a_", 1e-18), dir.path(), "a.onnx"), write(&region("b_", 2e-18), dir.path(), "b.onnx"));
    let data = dir.path().join("x.npz");
    let feeds = [("x".to_string(), Tensor::i64(&[1, 4], &[-3, -5, -1, -1]))];
    layerdiff::load::npz::write(&data, &feeds.into_iter().collect()).unwrap();
    let run = layerdiff("bisect", &a, &["-c", &format!("ort@{}", b.display()), "-i", data.to_str().unwrap()]);
    let report = run.report();
    assert_eq!((run.status, report.verdict), (1, Verdict::Diverged), "{}{}", run.stdout, run.stderr);
    assert!(report.warnings.iter().any(|w| w.contains("SIGFPE")), "{:?}", report.warnings);
    assert!(report.reduced.is_some_and(|r| r.reproduces), "{}", run.stdout);
}

/// A kernel larger than its input: ONNX Runtime infers a dimension below zero, which its Rust binding cannot read.
#[test]
fn an_impossible_shape_is_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = [NodeProto::new("Conv", "conv", &["x", "w"], &["y"])];
    let weights = [("w", Tensor::f32(&[1, 1, 5, 5], &[1.0; 25]))];
    let path = write(&model(&nodes, ("x", DType::Float32, &[1, 1, 3, 3]), &weights, "y"), dir.path(), "model.onnx");
    let run = layerdiff("bisect", &path, &["-c", "ort:fp16"]);
    assert_eq!(run.status, 2, "{}", run.stderr);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.stderr);
    let output = program().arg("inspect").arg(&path).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder that commands would take for a flag.
#[test]
fn a_folder_with_a_dash_is_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["bisect", "-c", "ort:fp16", "-o=-out", "--no-overrides", "-i"]);
    command
        .arg(common::testdata("layernorm_overflow/inputs.npz"))
        .arg(common::testdata("layernorm_overflow/model.onnx"));
    let output = command.current_dir(dir.path()).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("reproduces from disk: yes") && stdout.contains("sh ./-out/reduced/repro.sh"), "{stdout}");
}

/// A library that is none: whatever loading it does, doctor says so.
#[test]
fn a_library_that_kills_is_told_by_doctor() {
    let dir = tempfile::tempdir().unwrap();
    let (source, library) = (dir.path().join("deadly.c"), dir.path().join("libonnxruntime.so"));
    std::fs::write(&source, "#include <stdlib.h>\n__attribute__((constructor)) static void die(void) { abort(); }\n")
        .unwrap();
    let built = std::process::Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.unwrap().success());
    let output = program().arg("doctor").env("ORT_DYLIB_PATH", &library).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && stdout.contains("SIGABRT"), "{stdout}");
}
