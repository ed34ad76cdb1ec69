//! Two sides whose tensors have other element types, names or layouts are compared all the same, and what was done is told.

mod common;

use std::path::PathBuf;

use common::{Run, bisect, model_of};
use layerdiff::load::npz;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

fn wave(shape: &[usize], by: f32) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i| (i as f32 * by + 0.3).sin()).collect();
    Tensor::f32(shape, &values)
}

fn named(tensors: &[(&str, Tensor)]) -> Tensors {
    tensors.iter().map(|(name, tensor)| (name.to_string(), tensor.clone())).collect()
}

/// A folder of models and data.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn model(&self, name: &str, model: &ModelProto) {
        std::fs::write(self.path(name), model.encode_to_vec()).unwrap();
    }

    fn data(&self, name: &str, tensors: &[(&str, Tensor)]) {
        npz::write(&self.path(name), &named(tensors)).unwrap();
    }

    /// `bisect ref.onnx -c CANDIDATE -i in.npz WORDS...`
    fn bisect(&self, candidate: &str, words: &[&str]) -> Run {
        let candidate = candidate.replace("DESK", &self.0.path().to_string_lossy());
        let inputs = self.path("in.npz");
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"-c", &candidate, &"-i", &inputs];
        all.extend(words.iter().map(|word| word as &dyn AsRef<std::ffi::OsStr>));
        bisect(&self.path("ref.onnx"), &all)
    }
}

fn warnings(run: &Run) -> String {
    run.report().warnings.join("\n")
}

fn initializers(tensors: &[(&str, Tensor)]) -> Vec<TensorProto> {
    tensors.iter().map(|(name, tensor)| tensor_to_proto(name, tensor)).collect()
}

/// Rows of a table, and the column that is largest: ids and classes are `whole`.
fn lookup(whole: DType, table: Tensor) -> ModelProto {
    let to = AttributeProto::int("to", i64::from(whole.onnx()));
    model_of(GraphProto {
        name: Some("lookup".to_string()),
        node: vec![
            NodeProto::new("Gather", "embed", &["table", "ids"], &["rows"]),
            NodeProto::new("Mul", "scale", &["rows", "two"], &["y"]),
            NodeProto {
                attribute: vec![AttributeProto::int("axis", 1)],
                ..NodeProto::new("ArgMax", "best", &["y"], &["best_64"])
            },
            NodeProto { attribute: vec![to], ..NodeProto::new("Cast", "width", &["best_64"], &["class"]) },
        ],
        initializer: initializers(&[("table", table), ("two", Tensor::f32(&[1], &[2.0]))]),
        input: vec![ValueInfoProto::tensor("ids", whole, &[4])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[4, 3]), ValueInfoProto::bare("class")],
        ..Default::default()
    })
}

#[test]
fn integers_of_another_width_are_the_same_numbers() {
    let desk = Desk::new();
    desk.model("ref.onnx", &lookup(DType::Int64, wave(&[9, 3], 1.7)));
    desk.model("same.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.7)));
    desk.model("other.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.9)));
    desk.data("in.npz", &[("ids", Tensor::i64(&[4], &[1, 8, 0, 3]))]);
    let run = desk.bisect("ort@DESK/same.onnx", &[]);
    assert_eq!(run.status, 0, "{}{}", run.stdout, run.stderr);
    assert!(warnings(&run).contains("input 'ids' is int32 in the candidate's file"), "{}", warnings(&run));
    let class = run.report().outputs.into_iter().find(|output| output.name == "class").unwrap();
    assert_eq!(class.why.as_deref(), Some("dtype: reference int64, candidate int32"));
    // The node that reads them is run alone, reduced and put right.
    let run = desk.bisect("ort@DESK/other.onnx", &[]);
    let report = run.report();
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    assert_eq!(report.culprits[0].node.name, "embed");
    assert!(report.culprits[0].local.is_some(), "{}", run.stdout);
    assert!(report.reduced.is_some_and(|reduced| reduced.reproduces), "{}", run.stdout);
    assert!(run.stdout.contains("read again from the disk, all outputs agree"), "{}", run.stdout);
}

#[test]
fn a_number_that_does_not_fit_is_named() {
    let desk = Desk::new();
    desk.model("ref.onnx", &lookup(DType::Int64, wave(&[9, 3], 1.7)));
    desk.model("same.onnx", &lookup(DType::Int32, wave(&[9, 3], 1.7)));
    desk.data("in.npz", &[("ids", Tensor::i64(&[4], &[1, 5_000_000_000, 0, 3]))]);
    let run = desk.bisect("ort@DESK/same.onnx", &[]);
    assert_eq!(run.status, 2, "{}{}", run.stdout, run.stderr);
    assert!(
        run.stderr.contains("takes the input 'ids' as int32, and in the data its value 5000000000 is out of"),
        "{}",
        run.stderr
    );
}
