//! `layerdiff inspect` on real files: what it says of models, of what is no model, and of two that do not fit.

mod common;

use std::path::Path;

use common::{program, testdata};
use layerdiff::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use layerdiff::tensor::DType;
use prost::Message;
use serde_json::Value;

struct Said {
    status: i32,
    stdout: String,
    stderr: String,
}

impl Said {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", self.stdout, self.stderr))
    }
}

fn inspect(file: &Path, args: &[&str]) -> Said {
    let output = program().arg("inspect").arg(file).args(args).env("COLUMNS", "100").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// `y = Gather(table, ids)` with ids of the given type and shape.
fn embedding(dir: &Path, name: &str, ids: DType, rows: usize, fill: f32) -> std::path::PathBuf {
    let table = TensorProto {
        name: Some("table".into()),
        dims: vec![4, 2],
        data_type: Some(DType::Float32.onnx()),
        float_data: vec![fill; 8],
        ..Default::default()
    };
    let far = TensorProto { data_type: Some(DType::Int64.onnx()), int64_data: vec![1 << 40], ..Default::default() };
    let graph = GraphProto {
        node: vec![
            NodeProto::new("Gather", "lookup", &["table", "ids"], &["y"]),
            NodeProto::new("Constant", "far", &[], &["z"]).with(AttributeProto::tensor("value", far)),
        ],
        name: Some("g".into()),
        initializer: vec![table],
        input: vec![ValueInfoProto::tensor("ids", ids, &[rows])],
        output: vec![ValueInfoProto::tensor("y", DType::Float32, &[rows, 2]), ValueInfoProto::bare("z")],
        ..Default::default()
    };
    let path = dir.join(name);
    std::fs::write(&path, common::model_of(graph).encode_to_vec()).unwrap();
    path
}

#[test]
fn what_a_model_is_made_of() {
    let dir = tempfile::tempdir().unwrap();
    let model = embedding(dir.path(), "m.onnx", DType::Int64, 3, 0.5);
    let said = inspect(&model, &["--json", "--nodes"]);
    let facts = &said.json()["subject"];
    assert_eq!((said.status, &facts["kind"]), (0, &Value::from("model")));
    assert_eq!(facts["weights"]["bytes"], 32);
    assert_eq!(facts["weights"]["wide"][0]["extreme"], 1i64 << 40);
    assert_eq!(facts["computes"]["source"], "onnxruntime");
    assert_eq!(facts["computes"]["types"][0]["name"], "float32");
    // The type of `z` is declared nowhere.
    assert_eq!(facts["outputs"][1]["dtype"], "int64");
    let codes: Vec<&str> =
        facts["tensorrt"]["notes"].as_array().unwrap().iter().filter_map(|n| n["code"].as_str()).collect();
    assert_eq!(codes, ["int64_input", "int64_constant"]);
    assert_eq!(facts["node_list"][0]["inputs"][1]["dtype"], "int64");
}

#[test]
fn subgraphs_are_counted_and_typed() {
    let said = inspect(&testdata("if_branch_fault/model.onnx"), &["--json", "--nodes"]);
    let facts = &said.json()["subject"];
    assert_eq!(facts["subgraphs"].as_array().unwrap().len(), 2);
    assert_eq!((&facts["nodes"], &facts["computes"]["unknown"]), (&Value::from(9), &Value::from(0)));
    let nodes = facts["node_list"].as_array().unwrap();
    let inner = nodes.iter().find(|n| n["name"] == "then_square").unwrap();
    assert_eq!(inner["subgraph"], "if_node/then_branch");
    assert_eq!(inner["outputs"][0]["dtype"], "float32");
}

#[test]
fn damaged_models_are_told_about_all_the_same() {
    let check = |file: &str, words: &str| {
        let said = inspect(&testdata("bad").join(file), &[]);
        let flat = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.status == 0 && flat.contains(words), "{file}: {flat}{}", said.stderr);
    };
    check("missing_external.onnx", "in absent.bin: missing");
    check("dangling.onnx", "node 'first' (Add) reads 'ghost', which nothing makes");
    check("duplicate_output.onnx", "tensor 'h' is made twice, by 'first' and 'second'");
    check("cycle.onnx", "cycle through node");
    check("future_ir.onnx", "IR version 99");
    check("unknown_op.onnx", "ONNX Runtime refuses the model");
    check("unknown_field.onnx", "fields that layerdiff does not know");
}

#[test]
fn what_is_no_model_is_one_sentence() {
    for file in ["random.onnx", "truncated.onnx", "empty.onnx", "nowhere.onnx"] {
        let said = inspect(&testdata("bad").join(file), &[]);
        assert_eq!(
            (said.status, said.stdout.as_str(), said.stderr.lines().count()),
            (2, "", 1),
            "{file}: {}",
            said.stderr
        );
    }
}

#[test]
fn an_engine_without_its_tensorrt_is_an_error_of_usage() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, absent) = (dir.path().join("m.plan"), dir.path().join("absent"));
    std::fs::write(&plan, "vtrt....").unwrap();
    let said = inspect(&plan, &["--trt-library", &absent.to_string_lossy()]);
    assert!(said.status == 2 && said.stderr.contains("--trt-library names"), "{}", said.stderr);
}

#[test]
fn ids_of_another_width_are_a_mismatch() {
    let dir = tempfile::tempdir().unwrap();
    let model = |name, ids, rows, fill| embedding(dir.path(), name, ids, rows, fill);
    let one = model("a.onnx", DType::Int64, 3, 0.5);
    let against = |other: &Path| inspect(&one, &["--json", "--against", &other.to_string_lossy()]);
    let codes = |said: &Said, part: &str| -> Vec<String> {
        let all = said.json()["differences"][part].as_array().unwrap().clone();
        all.iter().map(|d| d["code"].as_str().unwrap().to_string()).collect()
    };

    let same = against(&model("b.onnx", DType::Int64, 3, 0.5));
    assert_eq!((same.status, codes(&same, "mismatches").len(), codes(&same, "inside").len()), (0, 0, 0));
    let weights = against(&model("c.onnx", DType::Int64, 3, 0.25));
    assert_eq!((weights.status, codes(&weights, "inside")), (0, vec!["weights".to_string()]));
    let narrow = against(&model("d.onnx", DType::Int32, 3, 0.5));
    assert_eq!((narrow.status, codes(&narrow, "mismatches")), (1, vec!["dtype".to_string()]));
    let longer = against(&model("e.onnx", DType::Int64, 5, 0.5));
    assert_eq!((longer.status, codes(&longer, "mismatches")), (1, vec!["shape".to_string(); 2]));
}
