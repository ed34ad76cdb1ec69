//! Layouts of a device are undone wherever a run is compared: in a pipeline, at every size, row and step; where a flag says
//! nothing, that is told.

mod common;

use std::path::PathBuf;

use common::{Run, layerdiff, model_of};
use layerdiff::found::Report;
use layerdiff::found::stages::Stages;
use layerdiff::load::npz;
use layerdiff::onnx::{DimValue, Dimension, GraphProto, ModelProto, NodeProto, TensorShapeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor};
use prost::Message;

/// A device whose channels are last, without an axis of one element; from five elements a row on it is wrong where it is `faulty`.
const DEVICE: &str = r#"
import sys, numpy as np, onnxruntime as ort
how, model, inputs, outputs = sys.argv[1:]
session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
names = [output.name for output in session.get_outputs()]
got = dict(zip(names, session.run(None, dict(np.load(inputs)))))
if "faulty" in how and "y" in got and len(got["y"]) > 2:
    got["y"] = got["y"] + 0.5
laid = {name: value.transpose(0, 2, 3, 1) for name, value in got.items()}
laid = {name: value[0] if len(value) == 1 else value for name, value in laid.items()}
if "renamed" in how:
    laid = {f"dev_{name}": value for name, value in laid.items()}
np.savez(outputs, **laid)
"#;

struct Desk(tempfile::TempDir);

impl Desk {
    /// Pictures of three channels, any number of them.
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let dim = |value: DimValue| Dimension { value: Some(value), denotation: None };
        let open = [dim(DimValue::DimParam("n".to_string()))].into_iter();
        let shape = TensorShapeProto { dim: open.chain([3, 4, 5].map(|size| dim(DimValue::DimValue(size)))).collect() };
        let model: ModelProto = model_of(GraphProto {
            name: Some("pictures".to_string()),
            node: vec![NodeProto::new("Sin", "sin", &["x"], &["h"]), NodeProto::new("Tanh", "tanh", &["h"], &["y"])],
            input: vec![ValueInfoProto::typed("x", DType::Float32, Some(shape))],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        });
        std::fs::write(desk.path("m.onnx"), model.encode_to_vec()).unwrap();
        std::fs::write(desk.path("device.py"), DEVICE).unwrap();
        let values: Vec<f32> = (0..60).map(|i| (i as f32 * 1.3 + 0.3).sin()).collect();
        npz::write(&desk.path("in.npz"), &[("x".to_string(), Tensor::f32(&[1, 3, 4, 5], &values))].into()).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn device(&self, how: &str) -> String {
        let script = self.path("device.py");
        format!("exec:{} {} '{how}' {{model}} {{inputs}} {{outputs}}", common::python().display(), script.display())
    }

    fn run(&self, command: &str, words: &[&str]) -> Run {
        let inputs = self.path("in.npz");
        let words = [words, &["-i", inputs.to_str().unwrap()]].concat();
        layerdiff(command, &self.path("m.onnx"), &words)
    }

    fn compare(&self, how: &str, words: &[&str]) -> (Run, Report) {
        let run = self.run("compare", &[&["-c", &self.device(how)], words].concat());
        let report = run.report();
        (run, report)
    }
}

const MOVED: &str = "compared with the axes moved (channels last";

#[test]
fn every_size_of_a_sweep_is_moved() {
    let (run, report) = Desk::new().compare("", &["--sweep", "n=1,2,3"]);
    assert_eq!((run.status, report.sweep.len()), (0, 3), "{}{}", run.stdout, run.stderr);
    assert!(report.warnings.join(" ").contains(MOVED), "{:?}", report.warnings);
    let (run, report) = Desk::new().compare("faulty", &["--sweep", "n=1,2,3"]);
    assert_eq!((run.status, report.first_bad_size.unwrap()["n"]), (1, 3), "{}{}", run.stdout, run.stderr);
}

#[test]
fn rows_alone_and_in_their_batch_are_moved() {
    let (run, report) = Desk::new().compare("", &["--batch-check"]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(report.batch.is_some());
    let (run, report) = Desk::new().compare("faulty", &["--batch-check"]);
    assert_eq!((run.status, report.batch.unwrap().first_bad_row), (1, Some(0)), "{}{}", run.stdout, run.stderr);
}

#[test]
fn every_step_is_moved_and_what_is_fed_back_too() {
    let steps = ["--steps", "3", "--feedback", "y=x"];
    let (run, report) = Desk::new().compare("", &steps);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let own = report.steps.iter().filter(|step| step.own.is_some()).count();
    assert_eq!((report.steps.len(), own), (3, 3), "by itself it decodes, too: {}", run.stdout);
    // Names that the user wrote down hold for what is fed back.
    let desk = Desk::new();
    std::fs::write(desk.path("map.txt"), "dev_y=y\ndev_h=h\n").unwrap();
    let map = desk.path("map.txt");
    let (run, report) = desk.compare("renamed", &[&steps[..], &["--map", map.to_str().unwrap()]].concat());
    let own = report.steps.iter().filter(|step| step.own.is_some()).count();
    assert_eq!((run.status, own), (0, 3), "{}{}", run.stdout, run.stderr);
}

#[test]
fn a_stage_is_moved() {
    let desk = Desk::new();
    let stage = format!("device={}", desk.device(""));
    let run = desk.run("stages", &["--stage", &stage]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let text = std::fs::read_to_string(run.dir.path().join("out/stages.json")).unwrap();
    let found: Stages = serde_json::from_str(&text).unwrap();
    let told = found.warnings.join(" ");
    assert!(told.contains(&format!("stage 'device': {MOVED}")), "{told}");
    let run = desk.run("stages", &["--stage", &stage, "--sweep", "n=1,2"]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    let run = desk.run("stages", &["--stage", &stage, "--layout", "nchw"]);
    assert_eq!(run.status, 0, "a picture without a batch has one place only: {}{}", run.stdout, run.stderr);
}

#[test]
fn a_file_whose_inputs_are_laid_out_otherwise_is_refused() {
    let desk = Desk::new();
    let fixed = |name: &str, input: &str, shape: [usize; 4]| {
        let model: ModelProto = model_of(GraphProto {
            name: Some("pictures".to_string()),
            node: vec![NodeProto::new("Sin", "sin", &[input], &["y"])],
            input: vec![ValueInfoProto::tensor(input, DType::Float32, &shape)],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        });
        std::fs::write(desk.path(name), model.encode_to_vec()).unwrap();
    };
    fixed("m.onnx", "x", [1, 3, 4, 5]);
    fixed("same.onnx", "x", [1, 4, 5, 3]);
    fixed("other.onnx", "images", [1, 4, 5, 3]);
    for (file, input) in [("same.onnx", "x"), ("other.onnx", "images")] {
        let candidate = format!("ort@{}", desk.path(file).display());
        let run = desk.run("bisect", &["-c", &candidate]);
        let told = format!("takes the input '{input}' as 1x4x5x3, and");
        assert!(run.status == 2 && run.stderr.contains(&told), "{}{}", run.stdout, run.stderr);
        assert!(
            run.stderr.contains("takes 'x' as 1x3x4x5: the axes of a file's inputs are not moved"),
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_flag_that_says_nothing_is_refused() {
    let desk = Desk::new();
    let refused = |command: &str, words: &[&str], why: &str| {
        let run = desk.run(command, words);
        assert!(run.status == 2 && run.stderr.contains(why), "{words:?}: {}{}", run.stdout, run.stderr);
    };
    refused("stages", &["--stage", "ort:fp16", "--layout", "nhwc"], "no stage is one; leave them out");
    refused("stages", &["--stage", &desk.device(""), "--map", "auto"], "`stages` looks at outputs only");
    refused("stages", &["--stage", "ort:fp16", "--once"], "--once is for exec:");
    let device = desk.device("");
    for flag in [&["--sweep", "n=1,2"][..], &["--batch-check"], &["--steps", "2", "--feedback", "y=x"]] {
        let words = [&["-c", &device, "--map", "auto"], flag].concat();
        refused("bisect", &words, &format!("and {} makes many", flag[0]));
    }
}
