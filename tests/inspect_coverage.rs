//! `layerdiff inspect MODEL --coverage` on files of a real quantiser.

mod common;
#[path = "common/said.rs"]
mod said;

use common::{real_model, run_python, testdata};
use said::inspect;
use serde_json::Value;

fn names<'v>(list: &'v Value, key: &str) -> Vec<&'v str> {
    list.as_array().unwrap().iter().filter_map(|entry| entry[key].as_str()).collect()
}

#[test]
fn a_real_model_through_the_real_quantiser() {
    let dir = tempfile::tempdir().unwrap();
    let (model, options) = (dir.path().join("q.onnx"), dir.path().join("options.json"));
    std::fs::write(&options, r#"{"nodes_to_exclude": ["fc_nsfw/MatMul", "Conv__580"]}"#).unwrap();
    let [float, data] = ["opennsfw.onnx", "opennsfw.npz"].map(real_model);
    let [float, data, made, options] = [&float, &data, &model, &options].map(|path| path.to_str().unwrap());
    run_python(["tests/qdq/quantise.py", float, data, made, "channel", "", "1", options]);

    let said = inspect(&model, &["--coverage", "--json"]);
    let coverage = &said.subject()["coverage"];
    assert_eq!(said.status, 0, "{}", said.stderr);
    let conv = &coverage["operators"][0];
    assert_eq!((&conv["operator"], &conv["nodes"], &conv["quantised"]), (&"Conv".into(), &53.into(), &52.into()));
    let left = coverage["left"].as_array().unwrap();
    let of = |name: &str| left.iter().find(|l| l["node"] == name).unwrap_or_else(|| panic!("{left:?}"));
    assert_eq!(of("Conv__580")["op_type"], "Conv");
    assert!(["weight", "excluded", "neighbours"].contains(&of("Conv__580")["code"].as_str().unwrap()), "{left:?}");
    assert_eq!(of("fc_nsfw/MatMul")["op_type"], "MatMul");
    let weight = coverage["pairs"].as_array().unwrap().iter().find(|p| p["kind"] == "weight" && p["per"] == "channel");
    assert!(weight.is_some_and(|w| w["axis"] == 0 && w["dtype"] == "int8" && w["scales"].as_u64() > Some(1)));
}

#[test]
fn an_activation_between_a_kernel_and_its_pair_is_part_of_it() {
    let said = inspect(&testdata("qdq_healthy/candidate.onnx"), &["--coverage", "--json"]);
    let coverage = said.subject()["coverage"].clone();
    assert_eq!(names(&coverage["left"], "node"), ["fc"]);
    assert_eq!(names(&coverage["left"], "code"), ["input"]);
    assert_eq!(names(&coverage["remarks"], "code"), ["float_output"]);
    assert_eq!(coverage["pairs"].as_array().unwrap().len(), 10);
}

#[test]
fn a_float_model_has_nothing_quantised() {
    let said = inspect(&testdata("qdq_healthy/model.onnx"), &["--coverage"]);
    let flat = said.flat();
    assert!(
        said.status == 0 && flat.contains("coverage: 0 of 7 nodes that compute with floats are quantised"),
        "{flat}"
    );
}
