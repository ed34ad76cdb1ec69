//! `layerdiff inspect MODEL --nodes`: layers and what they cost.

mod common;
#[path = "common/said.rs"]
mod said;

use common::real_model;
use said::inspect;

#[test]
fn the_nodes_of_a_real_model_have_costs() {
    let said = inspect(&real_model("opennsfw.onnx"), &["--nodes", "--shape", "input:0=1x224x224x3", "--json"]);
    let facts = said.subject();
    let cost = &facts["cost"];
    // The order of a thin residual network of 50 layers.
    let flops = cost["flops"].as_u64().unwrap() as f64;
    assert!((2.0e9..4.0e9).contains(&flops), "{cost}");
    assert_eq!((&cost["unknown"], &cost["operators"][0]["name"]), (&0.into(), &"Conv".into()));
    let nodes = facts["node_list"].as_array().unwrap();
    let shares: f64 = nodes.iter().filter_map(|n| n["cost"]["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{shares}");
    assert!(nodes.iter().all(|n| n["cost"]["bytes"].as_u64() > Some(0)));
}

#[test]
fn a_filter_leaves_some_and_tells_their_share() {
    let args = ["--nodes", "--shape", "input:0=1x224x224x3", "--filter", "op:MatMul", "--json"];
    let said = inspect(&real_model("opennsfw.onnx"), &args);
    let facts = said.subject();
    assert_eq!(facts["node_list"].as_array().unwrap().len(), 1);
    assert_eq!(facts["cost"]["filtered"]["flops"], 2 * 1024 * 2);
    let none = inspect(&real_model("opennsfw.onnx"), &["--nodes", "--filter", "nobody"]);
    assert!(none.status == 0 && none.flat().contains("filter nobody: 0 nodes"), "{}", none.stdout);
}

#[test]
fn shapes_that_are_not_known_are_asked_for() {
    let said = inspect(&real_model("cls.onnx"), &["--nodes"]);
    assert!(said.status == 0 && said.flat().contains("give --shape NAME=1x3x224x224"), "{}", said.stdout);
    let wrong = inspect(&real_model("cls.onnx"), &["--nodes", "--shape", "y=1"]);
    assert!(wrong.status == 2 && wrong.stderr.contains("--shape"), "{}", wrong.stderr);
}
