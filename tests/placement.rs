//! Which execution provider ran what, with a real one that leaves an operator to the CPU (OpenVINO, `Unique`), held against what
//! ONNX Runtime's own Python package says of the same model; and providers by their names.

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use common::{model_of, openvino, program, root, testdata};
use layerdiff::found::{Placement, Report, Verdict};
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;
use serde_json::Value;

/// What the runtime's Python package tells of a model: nodes by name with their providers, as assigned and as profiled.
const ASK: &str = r#"
import json, os, sys
sys.path.insert(0, sys.argv[1])
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.enable_profiling = True
options.profile_file_prefix = os.path.join(os.path.dirname(sys.argv[2]), "python")
options.log_severity_level = 4
options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["OpenVINOExecutionProvider"])
assigned = {n.name: g.ep_name for g in session.get_provider_graph_assignment_info() for n in g.get_nodes()}
feed = dict(numpy.load(sys.argv[3]))
session.run(None, feed)
events = json.load(open(session.end_profiling()))
ran = {e["name"]: e["args"]["provider"] for e in events if e["cat"] == "Node" and e["name"].endswith("_kernel_time")}
kernels = {}
for provider in ran.values():
    kernels[provider] = kernels.get(provider, 0) + 1
print(json.dumps({"assigned": assigned, "kernels": kernels}))
"#;

/// Two halves that OpenVINO takes, and one node between them that it does not; that node alone where `alone`.
fn write(dir: &Path, name: &str, sorted: i64, alone: bool) {
    let mut graph = GraphProto { name: Some("parted".into()), ..Default::default() };
    let weights: Vec<f32> = (0..64).map(|i| ((i * 7 % 13) as f32 - 6.0) / 9.0).collect();
    graph.initializer.push(tensor_to_proto("w", &Tensor::f32(&[8, 8], &weights)));
    let mut unique = NodeProto::new("Unique", "unique", &[if alone { "x" } else { "b" }], &["u"]);
    unique.attribute.push(AttributeProto::int("sorted", sorted));
    match alone {
        true => graph.node.push(unique),
        false => graph.node.extend([
            NodeProto::new("MatMul", "mm", &["x", "w"], &["a"]),
            NodeProto::new("LeakyRelu", "relu", &["a"], &["b"]),
            unique,
            NodeProto::new("Tanh", "", &["u"], &["v"]),
            NodeProto::new("Neg", "neg", &["v"], &["y"]),
        ]),
    }
    graph.input.push(ValueInfoProto::tensor("x", DType::Float32, &[4, 8]));
    graph.output.push(ValueInfoProto::typed(if alone { "u" } else { "y" }, DType::Float32, None));
    std::fs::write(dir.join(name), model_of(graph).encode_to_vec()).unwrap();
    let values: Vec<f32> = (0..32).map(|i| ((i * 5 % 17) as f32 - 8.0) / 7.0).collect();
    let feed = Tensors::from([("x".to_string(), Tensor::f32(&[4, 8], &values))]);
    layerdiff::load::npz::write(&dir.join("x.npz"), &feed).unwrap();
}

fn run(dir: &Path, args: &[&str]) -> Output {
    program().args(args).env("LAYERDIFF_ORT_OPENVINO", openvino()).current_dir(dir).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn report(dir: &Path) -> Report {
    serde_json::from_slice(&std::fs::read(dir.join("out/report.json")).unwrap()).unwrap()
}

fn python(dir: &Path, model: &str) -> Value {
    let output = Command::new(common::python())
        .args(["-c", ASK])
        .args([root().join("target/providers"), dir.join(model), dir.join("x.npz")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_report_says_of_each_node_what_the_runtime_says() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "parted.onnx", 1, false);
    let output = run(dir.path(), &["compare", "parted.onnx", "-c", "ort-openvino", "-i", "x.npz", "-o", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let report = report(dir.path());
    assert!(
        report.warnings.iter().any(|w| w.contains("1 of 5 nodes (Unique) fell back to the CPU")),
        "{:?}",
        report.warnings
    );
    let placement = report.placement.unwrap();
    let runtimes = python(dir.path(), "parted.onnx");
    let assigned: BTreeMap<String, String> = serde_json::from_value(runtimes["assigned"].clone()).unwrap();
    assert_eq!(assigned.len(), 5, "{assigned:?}");
    let elsewhere: Vec<(&str, &str)> =
        placement.fell_back.iter().map(|node| (node.node.as_str(), node.provider.as_str())).collect();
    assert_eq!(elsewhere, [("unique", assigned["unique"].as_str())]);
    for of in &placement.providers {
        let theirs = assigned.values().filter(|provider| **provider == of.provider).count();
        assert_eq!(of.nodes, theirs, "{}", of.provider);
        for name in &of.names {
            // The runtime's package knows the file, where one node has no name.
            let theirs = assigned.get(if name == "node_of_v" { "" } else { name.as_str() });
            assert_eq!(theirs, Some(&of.provider), "{name}");
        }
        assert_eq!(of.kernels, runtimes["kernels"][&of.provider].as_u64().map(|n| n as usize), "{}", of.provider);
    }
    assert_eq!((placement.nodes, placement.took, placement.told_by.as_str()), (5, 4, "assignment"));
    let share = placement.fallback_share.unwrap().0;
    assert!(0.0 < share && share < 1.0, "{share}");
}

#[test]
fn a_provider_that_took_nothing_is_no_agreement() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "unique.onnx", 1, true);
    for command in ["bisect", "compare"] {
        let output = run(dir.path(), &[command, "unique.onnx", "-c", "ort-openvino", "-i", "x.npz", "-o", "out"]);
        assert_eq!(output.status.code(), Some(3), "{command}: {}", said(&output));
        let report = report(dir.path());
        assert_eq!(report.verdict, Verdict::Inconclusive);
        let why = report.why.unwrap();
        assert!(why.contains("OpenVINO took no node") && why.contains("the CPU was compared with itself"), "{why}");
        assert!(report.placement.unwrap().took_nothing());
    }
    let output =
        run(dir.path(), &["stages", "unique.onnx", "--stage", "ov=ort-openvino", "-i", "x.npz", "-o", "out", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let stages: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(stages["stages"][0]["verdict"], "inconclusive");
    assert_eq!(stages["stages"][0]["placement"]["took"], 0);
}

#[test]
fn a_culprit_that_fell_back_says_where_it_ran() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "right.onnx", 1, false);
    write(dir.path(), "wrong.onnx", 0, false);
    let output = run(
        dir.path(),
        &["bisect", "right.onnx", "-c", "ort-openvino@wrong.onnx", "-i", "x.npz", "-o", "out", "--no-reduce"],
    );
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report = report(dir.path());
    let culprit = &report.culprits[0];
    assert_eq!(
        (culprit.node.name.as_str(), culprit.node.provider.as_deref()),
        ("unique", Some("CPUExecutionProvider"))
    );
    assert!(said(&output).contains("ran on       CPU, for OpenVINO did not take it"), "{}", said(&output));
}

#[test]
fn a_model_is_inspected_without_a_comparison() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "parted.onnx", 1, false);
    let args = ["inspect", "parted.onnx", "--placement", "ort-openvino"];
    let output = run(dir.path(), &[&args[..], &["--json", "-i", "x.npz"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let placement: Placement = serde_json::from_value(found["subject"]["placement"].clone()).unwrap();
    assert_eq!((placement.took, placement.fell_back.len()), (4, 1));
    // A node of float16 without a kernel is given to nobody.
    let half = run(dir.path(), &["inspect", "parted.onnx", "--placement", "ort-openvino:fp16", "--json"]);
    let found: Value = serde_json::from_slice(&half.stdout).unwrap_or_default();
    assert_eq!(found["subject"]["placement"]["fell_back"][0]["node"], "unique", "{}", said(&half));
    let table = said(&run(dir.path(), &args));
    assert!(table.contains("OpenVINO ran 4 of 5 nodes, CPU 1"), "{table}");
    let one = run(dir.path(), &["inspect", "parted.onnx", "--placement", "ort"]);
    assert!(one.status.code() == Some(2) && said(&one).contains("there is one provider only"), "{}", said(&one));
}

#[test]
fn a_provider_that_no_library_has_is_absent_and_no_unknown_name() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "parted.onnx", 1, false);
    let bisect = |candidate: &str, more: &[&str]| {
        run(dir.path(), &[&["bisect", "parted.onnx", "-c", candidate, "-i", "x.npz", "-o", "out"], more].concat())
    };
    for (name, get) in [("xnnpack", "--use_xnnpack"), ("qnn", "pip install onnxruntime-qnn"), ("dnnl", "--use_dnnl")] {
        let absent = bisect(&format!("ort-{name}"), &[]);
        let said = said(&absent);
        assert_eq!(absent.status.code(), Some(3), "{said}");
        assert!(said.contains(&format!("has no execution provider '{name}'; it offers")), "{said}");
        assert!(said.contains("cpu") && said.contains(get), "{said}");
    }
    // What the runtime itself offers needs no entry in any table of ours: it takes no ordinary node.
    let azure = bisect("ort-azure", &[]);
    assert!(azure.status.code() == Some(3) && said(&azure).contains("took no node"), "{}", said(&azure));
    let refused = said(&bisect("ort-openvino", &["--provider-option", "foo=bar"]));
    assert!(refused.contains("Invalid provider_option key: foo"), "what it says is kept whole: {refused}");
}

#[test]
fn doctor_lists_what_the_libraries_offer() {
    let dir = tempfile::tempdir().unwrap();
    let told = said(&run(dir.path(), &["doctor"]));
    assert!(told.contains("LAYERDIFF_ORT_OPENVINO, OpenVINOExecutionProvider CPUExecutionProvider"), "{told}");
}

#[test]
fn a_plug_in_has_the_name_that_the_user_gives_it() {
    let dir = tempfile::tempdir().unwrap();
    let (model, inputs) = (testdata("healthy_transformer/model.onnx"), testdata("healthy_transformer/inputs.npz"));
    let output = program()
        .args(["compare", "-c", "ort-mine", "--ep-library", &format!("mine={}", common::plugin().display())])
        .args(["--atol", "1e-3", "--rtol", "1e-3", "-o", "out", "-i"])
        .args([&inputs, &model])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let placement = report(dir.path()).placement.unwrap();
    assert!(placement.took > 0 && placement.fell_back.is_empty(), "{placement:?}");
}
