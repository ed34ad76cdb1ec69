//! Below the main graph: faults in bodies and in functions, shown by a check that looks for the inner node.

use crate::bundle::Bundle;
use crate::common::{Run, testdata};
use crate::{cut_out, given, holds, reduce};

fn inside(case: &str, node: &str) -> (Run, Bundle) {
    let (source, inputs) = (testdata(case).join("model.onnx"), testdata(case).join("inputs.npz"));
    let run = reduce(&source, &format!("{} && exit 1; exit 0", holds(node)), &["-i", inputs.to_str().unwrap()]);
    let bundle = cut_out(&source, &run, &[&[node]]).remove(0);
    let why = run.report().reduced.unwrap().why.unwrap();
    assert!(why.contains("cut out of the body of"), "{why}");
    assert!(bundle.graph().node[0].subgraphs().next().is_none() && bundle.model.proto.functions.is_empty());
    (run, bundle)
}

#[test]
fn inside_a_branch_that_is_taken() {
    let (_run, bundle) = inside("if_branch_fault", "then_square");
    assert_eq!(given(&bundle), ["then_scale_out"]);
    let (_run, bundle) = inside("if_branch_not_taken", "else_abs");
    assert_eq!(given(&bundle), ["hidden"]);
}

#[test]
fn inside_a_branch_that_is_not_taken_nothing_can_be_run() {
    let source = testdata("if_branch_not_taken/model.onnx");
    let inputs = testdata("if_branch_not_taken/inputs.npz").display().to_string();
    let run = reduce(&source, &format!("{} && exit 1; exit 0", holds("then_square")), &["-i", &inputs]);
    let told = run.report().reduced.unwrap();
    assert_eq!((run.status, told.names.as_slice(), told.reproduces), (1, ["if_node".to_string()].as_slice(), true));
}

#[test]
fn inside_a_loop() {
    let (_run, bundle) = inside("loop_body", "body_square");
    assert_eq!(given(&bundle), ["body_add_out"]);
}

#[test]
fn inside_a_scan() {
    let (_run, bundle) = inside("scan_ok", "body_scale");
    assert_eq!(given(&bundle), ["body_sum_out", "quarter"]);
}

#[test]
fn inside_a_function() {
    let source = testdata("function_model/model.onnx");
    let inputs = testdata("function_model/inputs.npz").display().to_string();
    let run = reduce(&source, &format!("{} && exit 1; exit 0", holds("gate_sigmoid")), &["-i", &inputs]);
    // There are two calls, and each fails without the other.
    let bundles = cut_out(&source, &run, &[&["gate_sigmoid"], &["gate_sigmoid"]]);
    assert!(bundles.iter().all(|b| given(b) == ["kx"] && b.model.proto.functions.is_empty()));
}
