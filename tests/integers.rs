//! A quantised model of integer operators against the float model that it was made of: what is inside is compared as floats,
//! by the scales that the file has, and the node that is wrong is run alone and cut out.

mod common;

use std::path::{Path, PathBuf};

use common::{layerdiff, model_of};
use layerdiff::found::{Kind, Report, Status, Verdict};
use layerdiff::graph::Graph;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::load::{Model, npz};
use layerdiff::mark::{Types, mark};
use layerdiff::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use layerdiff::qdq::reveal;
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

const ROWS: usize = 4;
const WIDTH: usize = 8;
/// Of the weights: 127 stands for 0.5.
const WEIGHT: f32 = 0.5 / 127.0;
/// Of every activation.
const STEP: f32 = 1.0 / 64.0;
const ZERO: u8 = 128;

fn codes() -> Vec<i8> {
    (0..WIDTH * WIDTH).map(|i| ((i as f32 * 2.3).sin() * 120.0) as i8).collect()
}

fn weight(name: &str, tensor: Tensor) -> TensorProto {
    TensorProto { name: Some(name.to_string()), ..tensor_to_proto(name, &tensor) }
}

fn model(node: Vec<NodeProto>, initializer: Vec<TensorProto>) -> ModelProto {
    let value = |name: &str| ValueInfoProto::tensor(name, DType::Float32, &[ROWS, WIDTH]);
    model_of(GraphProto {
        name: Some("chain".to_string()),
        node,
        initializer,
        input: vec![value("x")],
        output: vec![value("y")],
        ..Default::default()
    })
}

/// Three products, a Relu behind the first.
fn float() -> ModelProto {
    let values: Vec<f32> = codes().iter().map(|c| f32::from(*c) * WEIGHT).collect();
    let product = |name: &str, from: &str, to: &str| NodeProto::new("MatMul", name, &[from, "w"], &[to]);
    let nodes = vec![
        product("first", "x", "a"),
        NodeProto::new("Relu", "relu", &["a"], &["r"]),
        product("second", "r", "b"),
        NodeProto::new("Transpose", "turn", &["b"], &["t"]),
        NodeProto::new("Transpose", "back", &["t"], &["u"]),
        product("third", "u", "y"),
    ];
    model(nodes, vec![weight("w", Tensor::f32(&[WIDTH, WIDTH], &values))])
}

/// The same in integers: `name` calls the integers of a tensor, and the second product reads the scale `wrong` of its weights.
fn integers(name: fn(&str) -> String, wrong: f32) -> ModelProto {
    let product = |node: &str, from: &str, scale: &str, zero: &str, to: String| {
        let inputs = [from, "step", "zero", "w_quantized", scale, "w_zero", "step", zero];
        NodeProto::new("QLinearMatMul", node, &inputs, &[&to])
    };
    let nodes = vec![
        NodeProto::new("QuantizeLinear", "x_q", &["x", "step", "zero"], &["x_quantized"]),
        // Relu is the range of its codes.
        product("first_q", "x_quantized", "scale", "least", name("a")),
        NodeProto { input: second(&name("a")), ..product("second_q", "", "", "zero", name("b")) },
        NodeProto::new("Transpose", "turn", &[&name("b")], &[&name("t")]),
        NodeProto::new("Transpose", "back", &[&name("t")], &[&name("u")]),
        product("third_q", &name("u"), "scale", "zero", "y_quantized".to_string()),
        NodeProto::new("DequantizeLinear", "y_dq", &["y_quantized", "step", "zero"], &["y"]),
    ];
    let (bytes, scalar) = (codes().iter().map(|c| *c as u8).collect::<Vec<u8>>(), |x: f32| Tensor::f32(&[], &[x]));
    let initializers = vec![
        weight("w_quantized", Tensor::new(DType::Int8, vec![WIDTH, WIDTH], bytes).unwrap()),
        weight("w_zero", Tensor::new(DType::Int8, vec![], vec![0u8]).unwrap()),
        weight("zero", Tensor::new(DType::Uint8, vec![], vec![ZERO]).unwrap()),
        weight("least", Tensor::new(DType::Uint8, vec![], vec![0u8]).unwrap()),
        weight("step", scalar(STEP)),
        weight("scale", scalar(WEIGHT)),
        weight("wrong", scalar(WEIGHT * wrong)),
    ];
    model(nodes, initializers)
}

/// Its input has the zero point of what Relu gives.
fn second(from: &str) -> Vec<String> {
    [from, "step", "least", "w_quantized", "wrong", "w_zero", "step", "zero"].map(str::to_string).to_vec()
}

fn suffixed(name: &str) -> String {
    format!("{name}_quantized")
}

fn alike(name: &str) -> String {
    name.to_string()
}

fn feed() -> Tensors {
    let values: Vec<f32> = (0..ROWS * WIDTH).map(|i| (i as f32 * 1.7).cos()).collect();
    [("x".to_string(), Tensor::f32(&[ROWS, WIDTH], &values))].into_iter().collect()
}

fn write(dir: &Path, name: &str, model: &ModelProto) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

/// Every value of the model.
fn values(dir: &Path, model: &ModelProto) -> Tensors {
    let loaded = Model::load(&write(dir, "all.onnx", model)).unwrap();
    let graph = Graph::new(model).unwrap();
    let all: Vec<usize> = (0..graph.tensors.len()).collect();
    let marked = mark(model, &graph, &all, &Types::new());
    let cpu = Ort::new(&library::find(None).expect("run `layerdiff setup` first").path, Provider::Cpu).unwrap();
    cpu.run(&Job::new(loaded.lean(&marked), &[feed()], &graph.keys(&all))).unwrap().values.remove(0)
}

#[test]
fn what_shows_the_floats_computes_the_same_integers() {
    let dir = tempfile::tempdir().unwrap();
    for name in [suffixed, alike] {
        let quantised = integers(name, 1.0);
        let shown = reveal(&quantised, &float()).unwrap();
        let (want, got) = (values(dir.path(), &quantised), values(dir.path(), &shown));
        for (tensor, value) in &want {
            let same = got.get(&format!("{tensor}/codes")).unwrap_or_else(|| &got[tensor]);
            assert!(value.identical(same), "{tensor}");
        }
        for float in ["r", "b", "t", "u"] {
            assert_eq!(got[float].dtype, DType::Float32, "{float}");
        }
    }
}

fn bisected(dir: &Path, candidate: &ModelProto) -> (Report, String) {
    let (reference, candidate) = (write(dir, "float.onnx", &float()), write(dir, "integers.onnx", candidate));
    npz::write(&dir.join("x.npz"), &feed()).unwrap();
    let spec = format!("ort@{}", candidate.display());
    let run = layerdiff("bisect", &reference, &["-c", &spec, "-i", dir.join("x.npz").to_str().unwrap()]);
    (run.report(), run.stdout)
}

#[test]
fn the_wrong_integer_operator_is_found_run_alone_and_cut_out() {
    let dir = tempfile::tempdir().unwrap();
    for name in [suffixed, alike] {
        let (report, text) = bisected(dir.path(), &integers(name, 5.0));
        assert_eq!(report.verdict, Verdict::Diverged, "{text}");
        let culprits: Vec<&str> = report.culprits.iter().map(|c| c.node.name.as_str()).collect();
        assert_eq!(culprits, ["second"], "{text}");
        let culprit = &report.culprits[0];
        assert_eq!((culprit.kind, culprit.local.is_some()), (Kind::Introduces, true), "{text}");
        let codes: Vec<&str> = culprit.diagnosis.iter().map(|d| d.code.as_str()).collect();
        assert_eq!(codes, ["scale-mismatch"], "{text}");
        assert!(culprit.diagnosis[0].evidence.contains("it is 5 times too large; undone alone"), "{text}");
        let status = |name: &str| report.tensors.iter().find(|t| t.name == name).unwrap().status;
        assert_eq!((status("a"), status("r")), (Status::NotCompared, Status::Agrees), "{text}");
        let reduced = report.reduced.unwrap();
        assert!(reduced.reproduces && reduced.nodes == 3, "{reduced:?}");
    }
    let (report, text) = bisected(dir.path(), &integers(suffixed, 1.0));
    assert_eq!(report.verdict, Verdict::Agreed, "{text}");
}
