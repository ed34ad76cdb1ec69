//! 64-bit integers that a device misreads are the cause at their first reader, whatever operator that is, and no kernel is
//! blamed; a faulty operator that reads them rightly is not called a misreading.

mod common;

use std::path::Path;

use common::{layerdiff, model_of};
use layerdiff::found::{Report, Sure};
use layerdiff::graph::Graph;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::load::{Model, npz};
use layerdiff::mark::{Types, mark};
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

const IDS: [i64; 8] = [3, 7, 1, 5, 2, 6, 4, 7];

/// The 32-bit words of the buffer.
fn words(ids: &[i64]) -> Vec<i64> {
    (0..ids.len()).map(|i| if i % 2 == 0 { ids[i / 2] as i32 as i64 } else { ids[i / 2] >> 32 }).collect()
}

fn clamped(ids: &[i64]) -> Vec<i64> {
    ids.iter().map(|id| (*id).clamp(i32::MIN.into(), i32::MAX.into())).collect()
}

fn weights() -> Vec<TensorProto> {
    let table: Vec<f32> = (0..32).map(|i| (i as f32 * 1.9).sin()).collect();
    vec![
        tensor_to_proto("table", &Tensor::f32(&[8, 4], &table)),
        tensor_to_proto("seven", &Tensor::i64(&[1], &[7])),
        tensor_to_proto("offsets", &Tensor::i64(&[8], &[10, 20, 30, 40, 50, 60, 70, 80])),
        tensor_to_proto("depth", &Tensor::i64(&[], &[8])),
        tensor_to_proto("on_off", &Tensor::f32(&[2], &[0.0, 1.0])),
        tensor_to_proto("zeros", &Tensor::f32(&[8], &[0.0; 8])),
        tensor_to_proto("column", &Tensor::i64(&[2], &[8, 1])),
        tensor_to_proto("updates", &Tensor::f32(&[8], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])),
    ]
}

/// `y` of `ids` by these nodes.
fn model(nodes: Vec<NodeProto>) -> ModelProto {
    model_of(GraphProto {
        name: Some("reader".to_string()),
        node: nodes,
        initializer: weights(),
        input: vec![ValueInfoProto::tensor("ids", DType::Int64, &[8])],
        output: vec![ValueInfoProto::bare("y")],
        ..Default::default()
    })
}

fn node(op: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op, name, inputs, &[output])
}

fn cast(from: &str) -> NodeProto {
    node("Cast", "cast", &[from], "y").with(AttributeProto::int("to", 1))
}

/// The first reader of `ids` is called `reader`.
fn readers() -> Vec<(&'static str, Vec<NodeProto>)> {
    let add = AttributeProto {
        s: Some(b"add".to_vec().into()),
        r#type: Some(layerdiff::onnx::attribute_type::STRING),
        ..AttributeProto::int("reduction", 0)
    };
    let add = AttributeProto { i: None, ..add };
    vec![
        ("Gather", vec![node("Gather", "reader", &["table", "ids"], "y")]),
        ("Cast", vec![NodeProto { name: Some("reader".into()), ..cast("ids") }]),
        ("Add", vec![node("Add", "reader", &["ids", "offsets"], "s"), cast("s")]),
        ("Equal", vec![node("Equal", "reader", &["ids", "seven"], "e"), cast("e")]),
        ("Mul", vec![node("Mul", "reader", &["ids", "ids"], "s"), cast("s")]),
        ("OneHot", vec![node("OneHot", "reader", &["ids", "depth", "on_off"], "y")]),
        (
            "ScatterND",
            vec![
                node("Reshape", "reader", &["ids", "column"], "i"),
                node("ScatterND", "scatter", &["zeros", "i", "updates"], "y").with(add),
            ],
        ),
    ]
}

/// Every value of the model on these ids.
fn values(dir: &Path, model: &ModelProto, ids: &[i64]) -> Tensors {
    let path = dir.join("model.onnx");
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    let loaded = Model::load(&path).unwrap();
    let graph = Graph::new(model).unwrap();
    let all: Vec<usize> = (0..graph.tensors.len()).collect();
    let marked = mark(model, &graph, &all, &Types::new());
    let cpu = Ort::new(&library::find(None).expect("run `layerdiff setup` first").path, Provider::Cpu).unwrap();
    let feed = Tensors::from([("ids".to_string(), Tensor::i64(&[8], ids))]);
    cpu.run(&Job::new(loaded.lean(&marked), &[feed], &graph.keys(&all))).unwrap().values.remove(0)
}

/// `bisect` of a device that gave these values of the model, on `ids`.
fn bisected(dir: &Path, given: &Tensors, ids: &[i64]) -> (Report, String) {
    let path = |name: &str| dir.join(name);
    npz::write(&path("device.npz"), given).unwrap();
    npz::write(&path("ids.npz"), &Tensors::from([("ids".to_string(), Tensor::i64(&[8], ids))])).unwrap();
    let (spec, data) = (format!("saved:{}", path("device.npz").display()), path("ids.npz"));
    let run = layerdiff("bisect", &path("model.onnx"), &["-c", &spec, "-i", data.to_str().unwrap()]);
    (run.report(), run.stdout)
}

#[test]
fn whatever_operator_reads_them_first() {
    for (op, nodes) in readers() {
        let dir = tempfile::tempdir().unwrap();
        let given = values(dir.path(), &model(nodes), &words(&IDS));
        let (report, text) = bisected(dir.path(), &given, &IDS);
        let culprit = report.culprits.first().unwrap_or_else(|| panic!("{op}: {text}"));
        assert_eq!(culprit.node.name, "reader", "{op}: {text}");
        let [cause] = culprit.diagnosis.as_slice() else { panic!("{op}: {text}") };
        assert_eq!(cause.code, "int64-read-as-int32", "{op}: {text}");
        assert!(cause.evidence.contains("3, 7, 1, 5, .. became 3, 0, 7, 0, .."), "{op}: {}", cause.evidence);
        assert!(cause.advice.contains("--int32-inputs"), "{op}: {}", cause.advice);
        assert_eq!(cause.sure, Sure::Shown, "{op}: {}", cause.evidence);
    }
}

#[test]
fn what_needs_64_bits_is_not_advised_to_lose_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut big = IDS;
    (big[1], big[4]) = ((1 << 40) + 5, -(1 << 35) - 9);
    let modulo = [node("Mod", "reader", &["ids", "offsets"], "s"), cast("s")];
    let given = values(dir.path(), &model(modulo.to_vec()), &clamped(&big));
    let (report, text) = bisected(dir.path(), &given, &big);
    let cause = &report.culprits[0].diagnosis[0];
    assert_eq!((cause.code.as_str(), cause.sure), ("int64-narrowing", Sure::Shown), "{text}");
    assert!(cause.evidence.contains("1099511627781"), "{}", cause.evidence);
    assert!(!text.contains("int32-inputs"), "{text}");
}

/// Rows that are wrong in another way.
#[test]
fn another_fault_of_a_reader_is_no_misreading() {
    let dir = tempfile::tempdir().unwrap();
    let (_, nodes) = readers().swap_remove(0);
    let mut given = values(dir.path(), &model(nodes), &IDS);
    let wrong: Vec<f32> = given["y"].view::<f32>().iter().map(|x| x * 1.5).collect();
    given.insert("y".to_string(), Tensor::f32(&[8, 4], &wrong));
    let (report, text) = bisected(dir.path(), &given, &IDS);
    let codes: Vec<&str> = report.culprits[0].diagnosis.iter().map(|cause| cause.code.as_str()).collect();
    assert_eq!(codes, ["unknown"], "{text}");
    assert!(text.contains("the candidate's tensors were stored"), "{text}");
}
