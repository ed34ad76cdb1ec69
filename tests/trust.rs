//! Before anything is said of a candidate it is asked twice: an answer that comes once is no agreement, and no proof.

mod common;

use std::path::PathBuf;

use common::{Run, bisect, layerdiff, model_of};
use layerdiff::found::{Status, Verdict};
use layerdiff::load::npz;
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto, attribute_type};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

/// A device that is right (`steady`), or not in one way; it counts its runs of the whole model.
const DEVICE: &str = r#"
import os, sys, numpy as np, onnxruntime as ort
how, folder, model, inputs, outputs = sys.argv[1:]
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
got = dict(zip(names, session.run(None, dict(np.load(inputs)))))
count = os.path.join(folder, "count")
if "y" in got:
    runs = os.path.getsize(count) if os.path.exists(count) else 0
    open(count, "a").write(".")
    y, noise = got["y"], np.random.default_rng().normal(size=got["y"].shape)
    off = {
        "steady": 0 * noise,
        "wrong": 1 + 0 * noise,
        "trembles": 1e-7 * noise,
        "shakes": noise,
        "warms up": 1 + 0 * noise if runs == 0 else 0 * noise,
        "wears out": 1 + 0 * noise if runs > 0 else 0 * noise,
        "alternates": 1 + 0 * noise if runs % 2 else 0 * noise,
        "is uneven": np.arange(len(y))[:, None] + 0 * noise,
        "leaks": 0.5 * np.roll(y, 1, axis=0),
    }[how]
    got["y"] = (y + off).astype(np.float32)
np.savez(outputs, **got)
"#;

struct Desk(tempfile::TempDir);

impl Desk {
    /// A model of four rows, or of so many samples of one.
    fn new(rows: usize) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let nodes =
            vec![NodeProto::new("Tanh", "tanh", &["x"], &["h"]), NodeProto::new("Mul", "mul", &["h", "h"], &["y"])];
        std::fs::write(desk.path("m.onnx"), model(nodes, rows).encode_to_vec()).unwrap();
        std::fs::write(desk.path("device.py"), DEVICE).unwrap();
        let values: Vec<f32> = (0..rows * 3).map(|i| (i as f32 * 0.9 + 0.3).sin()).collect();
        let data: Tensors = [("x".to_string(), Tensor::f32(&[rows, 3], &values))].into_iter().collect();
        npz::write(&desk.path("in.npz"), &data).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, how: &str) -> String {
        let folder = self.0.path().display();
        format!(
            "exec:{} {folder}/device.py '{how}' {folder} {{model}} {{inputs}} {{outputs}}",
            common::python().display()
        )
    }

    fn bisect(&self, how: &str, words: &[&str]) -> Run {
        let (command, inputs) = (self.command(how), self.path("in.npz"));
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-c", &command, &"-i", &inputs, &"--no-reduce"];
        all.extend(words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        bisect(&self.path("m.onnx"), &all)
    }

    /// Runs of the whole model.
    fn runs(&self) -> usize {
        std::fs::read(self.path("count")).map_or(0, |dots| dots.len())
    }
}

fn model(nodes: Vec<NodeProto>, rows: usize) -> ModelProto {
    model_of(GraphProto {
        name: Some("rows".to_string()),
        node: nodes,
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &[rows, 3])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[rows, 3])],
        ..Default::default()
    })
}

#[test]
fn a_command_that_answers_the_same_agrees() {
    let desk = Desk::new(1);
    let run = desk.bisect("steady", &[]);
    assert_eq!((run.status, desk.runs()), (0, 2), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("the same input twice: identical"), "{}", run.stdout);
    let report = run.report();
    assert_eq!((report.trust.unwrap().repeat.as_str(), report.warnings.as_slice()), ("identical", &[][..]));
    let once = desk.bisect("steady", &["--once"]);
    assert_eq!((once.status, desk.runs()), (0, 3), "{}{}", once.stdout, once.stderr);
    assert!(once.report().trust.is_none(), "nothing was tested, and nothing is said");
}

#[test]
fn what_differs_within_the_tolerance_is_told() {
    let run = Desk::new(1).bisect("trembles", &[]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let warnings = run.report().warnings.join(" ");
    assert!(warnings.contains("the candidate does not answer the same twice"), "{warnings}");
}

/// Runs it, and gives why there is no verdict.
fn inconclusive(how: &str) -> String {
    let run = Desk::new(1).bisect(how, &[]);
    let report = run.report();
    assert_eq!((run.status, report.verdict), (3, Verdict::Inconclusive), "{how}: {}{}", run.stdout, run.stderr);
    assert!(report.culprits.is_empty(), "{how}");
    report.why.unwrap()
}

#[test]
fn an_answer_that_comes_once_is_no_agreement() {
    let why = inconclusive("wears out");
    assert!(why.starts_with("the candidate agrees when it is asked first and diverges when it is asked the same again (output 'y' moved by up to 1.00e0; only its first answer is another one, the 2 after it are alike), so there is no verdict"), "{why}");
    let why = inconclusive("warms up");
    assert!(why.starts_with("the candidate diverges when it is asked first and agrees when it is asked the same again (output 'y' moved by up to 1.00e0; only its first answer is another one, the 2 after it are alike)"), "{why}");
    let why = inconclusive("alternates");
    assert!(why.contains("diverges when it is asked the same again (output 'y' moved by up to 1.00e0)"), "{why}");
    let why = inconclusive("shakes");
    assert!(why.contains("does not answer the same twice (output 'y' moved by up to"), "{why}");
}

#[test]
fn the_table_is_of_one_of_two_answers_too() {
    let desk = Desk::new(1);
    let (command, inputs) = (desk.command("wears out"), desk.path("in.npz").display().to_string());
    let run = layerdiff("compare", &desk.path("m.onnx"), &["-c", &command, "-i", &inputs]);
    assert_eq!(run.status, 3, "{}{}", run.stdout, run.stderr);
    assert!(run.report().why.unwrap().contains("agrees when it is asked first"));
}

#[test]
fn rows_that_hang_together_are_told() {
    let desk = Desk::new(4);
    let run = desk.bisect("is uneven", &[]);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let report = run.report();
    assert_eq!(report.trust.unwrap().rows, "output 'y', row 1 against row 0");
    assert!(report.warnings.iter().any(|told| told.starts_with("equal rows of a batch get different answers")));
    // Equal rows have equal neighbours: what a row takes from its neighbour, --batch-check sees.
    let run = Desk::new(4).bisect("leaks", &[]);
    assert_eq!((run.status, run.report().trust.unwrap().rows.as_str()), (1, "identical"), "{}", run.stdout);
}

#[test]
fn a_command_that_is_wrong_each_time_is_accused() {
    let desk = Desk::new(1);
    let run = desk.bisect("wrong", &["--no-overrides"]);
    let report = run.report();
    assert_eq!((run.status, report.culprits.len()), (1, 1), "{}{}", run.stdout, run.stderr);
    assert_eq!(report.culprits[0].node.name, "mul");
    assert_eq!(report.trust.unwrap().repeat, "identical");
}

#[test]
fn a_file_in_the_runtime_is_run_twice_in_one_session() {
    let desk = Desk::new(1);
    let seed = AttributeProto {
        name: Some("seed".to_string()),
        r#type: Some(attribute_type::FLOAT),
        f: Some(3.0),
        ..Default::default()
    };
    let draws = vec![
        NodeProto::new("RandomNormalLike", "draw", &["x"], &["r"]).with(seed),
        NodeProto::new("Add", "add", &["x", "r"], &["y"]),
    ];
    std::fs::write(desk.path("draws.onnx"), model(draws, 1).encode_to_vec()).unwrap();
    let ask = |file: &str| {
        let (candidate, inputs) = (format!("ort@{}", desk.path(file).display()), desk.path("in.npz"));
        bisect(&desk.path(file), &[&"-c", &candidate, &"-i", &inputs])
    };
    let run = ask("m.onnx");
    assert_eq!((run.status, run.report().trust.unwrap().repeat.as_str()), (0, "identical"), "{}", run.stdout);
    // With a seed each session draws the same, and the second run of a session draws on: that is no fault.
    let run = ask("draws.onnx");
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(run.report().trust.is_none() && run.report().outputs[0].status == Status::Agrees);
}

#[test]
fn once_is_for_commands() {
    let desk = Desk::new(1);
    let run = bisect(&desk.path("m.onnx"), &[&"-c", &"ort:fp16", &"--once"]);
    assert_eq!(run.status, 2);
    assert!(run.stderr.contains("--once is for exec:, whose runs may be dear, and there is none"), "{}", run.stderr);
}
