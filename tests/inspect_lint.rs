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
