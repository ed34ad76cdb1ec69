//! `layerdiff inspect MODEL --lint`: what bites later.

mod common;
#[path = "common/said.rs"]
mod said;

use std::path::Path;

use common::{real_model, testdata};
use layerdiff::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto, attribute_type};
use layerdiff::tensor::DType;
use prost::Message;
use said::inspect;
use serde_json::Value;

fn codes(findings: &Value) -> Vec<(String, String)> {
    let text = |f: &Value, key: &str| f[key].as_str().unwrap().to_string();
    findings.as_array().unwrap().iter().map(|f| (text(f, "severity"), text(f, "code"))).collect()
}

fn float(name: &str, values: &[f32]) -> TensorProto {
    TensorProto {
        name: Some(name.into()),
        dims: vec![values.len() as i64],
        data_type: Some(DType::Float32.onnx()),
        float_data: values.to_vec(),
        ..Default::default()
    }
}

fn number(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        f: Some(value),
        r#type: Some(attribute_type::FLOAT),
        ..Default::default()
    }
}

/// Everything that is wrong with it once.
fn full_of_traps(dir: &Path) -> std::path::PathBuf {
    let norm = NodeProto::new("BatchNormalization", "norm", &["x", "one", "one", "one", "one"], &["a"]);
    let graph = GraphProto {
        node: vec![
            norm.with(AttributeProto::int("training_mode", 1)).with(number("epsilon", 1e-12)),
            NodeProto::new("Add", "same", &["a", "mask"], &["b"]),
            NodeProto::new("Mul", "same", &["b", "large"], &["c"]),
            NodeProto::new("Div", "", &["c", "tiny"], &["y"]),
        ],
        name: Some("g".into()),
        initializer: vec![
            float("one", &[1.0, 1.0]),
            float("mask", &[f32::MIN]),
            float("large", &[1e6]),
            float("tiny", &[1e-12]),
            float("spare", &[0.0]),
        ],
        input: vec![
            ValueInfoProto::tensor("x", DType::Float32, &[1, 2]),
            ValueInfoProto::tensor("ids", DType::Int64, &[1, 2]),
        ],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[1, 2])],
        ..Default::default()
    };
    let path = dir.join("traps.onnx");
    std::fs::write(&path, common::model_of(graph).encode_to_vec()).unwrap();
    path
}

#[test]
fn every_trap_has_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let said = inspect(&full_of_traps(dir.path()), &["--lint", "--json"]);
    let lint = said.subject()["lint"].clone();
    let found = codes(&lint);
    let has = |severity: &str, code: &str| {
        assert!(found.contains(&(severity.into(), code.into())), "{severity} {code}: {found:?}");
    };
    has("error", "batch_norm_training");
    ["mask_constant", "fp16_constant", "fp16_vanishes", "eps_vanishes"].iter().for_each(|code| has("warning", code));
    ["duplicate_names", "unused_inputs"].iter().for_each(|code| has("warning", code));
    ["unused_initializers", "unnamed_nodes", "int64_input"].iter().for_each(|code| has("info", code));
    // The worst first, and an error is a status.
    assert_eq!((said.status, found[0].0.as_str()), (1, "error"));
    let large = lint.as_array().unwrap().iter().find(|f| f["code"] == "fp16_constant").unwrap();
    assert_eq!(large["where"], serde_json::json!(["large (1.00e6)"]));
}

#[test]
fn missing_data_is_an_error() {
    let said = inspect(&testdata("bad/missing_external.onnx"), &["--lint"]);
    assert!(said.status == 1 && said.flat().contains("error external_data"), "{}", said.stdout);
}

#[test]
fn real_models_run_with_warnings_only() {
    for model in ["cls.onnx", "opennsfw.onnx", "magika.onnx", "silero_vad.onnx", "det.onnx", "rec.onnx"] {
        let said = inspect(&real_model(model), &["--lint", "--json"]);
        assert_eq!(said.status, 0, "{model}: {}", said.subject()["lint"]);
    }
    let said =
        inspect(&real_model("opennsfw.onnx"), &["--lint", "--coverage", "--tensor", "Conv__580_weights_fused_bn"]);
    let flat = said.flat();
    assert!(["tensor: ", "coverage: ", "lint: "].iter().all(|part| flat.contains(part)), "{flat}");
}

/// The real parser of TensorRT-RTX, which needs no GPU.
fn rtx() -> Option<String> {
    let folder = common::root().join("target/tensorrt/onnxruntime_ep_nv_tensorrt_rtx");
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there; run scripts/tensorrt.sh", folder.display());
        return None;
    }
    Some(folder.display().to_string())
}

/// A model of these nodes, from `x` and `y`, both float32 of 2x4.
fn model_of(dir: &Path, nodes: Vec<NodeProto>, weights: Vec<TensorProto>) -> std::path::PathBuf {
    let port = |name: &str| ValueInfoProto::tensor(name, DType::Float32, &[2, 4]);
    let graph = GraphProto {
        node: nodes,
        name: Some("g".into()),
        initializer: weights,
        input: vec![port("x")],
        output: vec![port("y")],
        // ONNX Runtime does not take all of these, and tells no types then.
        value_info: vec![port("r")],
        ..Default::default()
    };
    let path = dir.join("model.onnx");
    std::fs::write(&path, common::model_of(graph).encode_to_vec()).unwrap();
    path
}

/// It stops at the first of them: what is behind it is found all the same, and the rest is taken.
#[test]
fn a_parser_tells_every_node_that_it_refuses() {
    let Some(library) = rtx() else { return };
    let dir = tempfile::tempdir().unwrap();
    let zero = TensorProto {
        name: Some("zero".into()),
        data_type: Some(DType::Int8.onnx()),
        raw_data: Some(vec![3u8].into()),
        ..Default::default()
    };
    let scale = TensorProto { name: Some("scale".into()), dims: vec![], ..float("scale", &[0.1]) };
    let nodes = vec![
        NodeProto::new("QuantizeLinear", "quantise", &["x", "scale", "zero"], &["q"]),
        NodeProto::new("DequantizeLinear", "dequantise", &["q", "scale", "zero"], &["d"]),
        NodeProto::new("Relu", "act", &["d"], &["r"]),
        NodeProto::new("Unique", "unique", &["r"], &["unread"]),
        NodeProto::new("Neg", "last", &["r"], &["y"]),
    ];
    let path = model_of(dir.path(), nodes, vec![scale, zero]);
    let said = inspect(&path, &["--lint", "--json", "--trt-library", &library]);
    let parser = said.subject()["tensorrt"]["parser"].clone();
    let refused: Vec<&str> =
        parser["refused"].as_array().unwrap().iter().map(|r| r["op_type"].as_str().unwrap()).collect();
    assert_eq!(parser["name"], "TensorRT-RTX 1.7.1");
    assert_eq!(refused.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{parser}");
    assert!(["QuantizeLinear", "DequantizeLinear", "Unique"].iter().all(|op| refused.contains(op)), "{parser}");
    assert_eq!((parser["taken"].as_u64(), said.status), (Some(2), 1), "{parser}");
    let words = parser["refused"][0]["words"].as_str().unwrap();
    assert!(refused[0] == "Unique" || words.starts_with("Non-zero zero point is not supported."), "{words}");
    let told = inspect(&path, &["--lint", "--trt-library", &library]).flat();
    let want =
        ["error tensorrt_refuses: TensorRT-RTX 1.7.1 refuses QuantizeLinear: Non-zero zero point", "refuses 3 nodes"];
    assert!(want.iter().all(|want| told.contains(want)), "{told}");
}

/// A parser that dies is an answer, about the node that it dies of.
#[test]
fn a_parser_that_dies_is_an_answer() {
    let Some(library) = rtx() else { return };
    let dir = tempfile::tempdir().unwrap();
    let nodes = vec![
        NodeProto::new("Relu", "act", &["x"], &["r"]),
        // It has three inputs, and reads the limits of none that is no scalar.
        NodeProto::new("Clip", "clip", &["r", "x", "x", "x"], &["c"]),
        NodeProto::new("Neg", "last", &["r"], &["y"]),
    ];
    let path = model_of(dir.path(), nodes, Vec::new());
    let said = inspect(&path, &["--lint", "--json", "--trt-library", &library]);
    let parser = &said.subject()["tensorrt"]["parser"];
    let refusal = &parser["refused"][0];
    assert_eq!((&refusal["nodes"], &refusal["alone"]), (&serde_json::json!(["clip"]), &true.into()), "{parser}");
    assert!(refusal["words"].as_str().unwrap().starts_with("the parser dies of it"), "{refusal}");
    assert_eq!((parser["taken"].as_u64(), said.status), (Some(2), 1), "{parser}");
}

#[test]
fn what_is_taken_what_is_not_there_and_what_has_no_parser() {
    let said = inspect(&real_model("cls.onnx"), &["--lint", "--trt-library", "/no/such/folder"]);
    assert!(said.status == 2 && said.stderr.contains("--trt-library names /no/such/folder"), "{}", said.stderr);
    let Some(library) = rtx() else { return };
    for model in ["cls.onnx", "silero_vad.onnx"] {
        let said = inspect(&real_model(model), &["--lint", "--trt-library", &library]);
        let flat = said.flat();
        assert!(
            said.status == 0 && flat.contains("the parser of TensorRT-RTX 1.7.1 takes the model"),
            "{model}: {flat}"
        );
    }
    let lean = common::root().join("target/tensorrt/tensorrt_lean_libs");
    let said = inspect(&real_model("cls.onnx"), &["--lint", "--trt-library", &lean.display().to_string()]);
    assert!(said.status == 2 && said.stderr.contains("has no ONNX parser to be asked"), "{}", said.stderr);
}
