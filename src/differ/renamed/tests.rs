//! One-line pairs of files: what is called how afterwards.

use prost::Message;

use super::*;
use crate::differ::tests::text;
use crate::load::Model;

fn load(text: &str) -> Model {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.onnx");
    std::fs::write(&path, text::model(text).encode_to_vec()).unwrap();
    Model::load(&path).unwrap()
}

/// What the nodes of `theirs` make afterwards, in its order.
#[track_caller]
fn check(mine: &str, theirs: &str, expected: &[&str]) {
    let (a, b) = (load(mine), load(theirs));
    let [mine, theirs] = [(&a, "a"), (&b, "b")].map(|(model, name)| File { model, proto: &model.proto, name });
    let found = renamed(mine, theirs);
    let graph = found.as_ref().map_or(&b.proto, |found| &found.model).graph.as_ref().unwrap();
    let made: Vec<&str> = graph.node.iter().flat_map(|node| &node.output).map(String::as_str).collect();
    assert_eq!(made, expected);
}

#[test]
fn the_same_model_under_other_names() {
    check("s = Relu(x); t = Tanh(s); y = Exp(t)", "a = Relu(x); b = Tanh(a); y = Exp(b)", &["s", "t", "y"]);
}

#[test]
fn one_weight_differs_and_all_names() {
    check(
        "s = MatMul(x, w); t = Relu(s); u = MatMul(t, v); y = Tanh(u); w: 2x2 = 1; v: 2x2 = 2",
        "a = MatMul(x, w); b = Relu(a); c = MatMul(b, v); y = Tanh(c); w: 2x2 = 1; v: 2x2 = 3",
        &["s", "t", "u", "y"],
    );
}

#[test]
fn names_that_are_mostly_the_same_stay() {
    check("s = Relu(x); t = Tanh(s); y = Exp(t)", "s = Relu(x); q = Tanh(s); y = Exp(q)", &["s", "q", "y"]);
}

#[test]
fn another_model_is_not_renamed() {
    check("s = Relu(x); y = Exp(s)", "a = Sin(x); b = Cos(a); y = Abs(b)", &["a", "b", "y"]);
}

#[test]
fn a_bias_apart_hides_nothing_above_it() {
    check(
        "s = MatMul(x, w); t = Relu(s); u = Gemm(t, v, b); r = Relu(u); y = Exp(r); w: 2x2 = 1; v: 2x2 = 2; b: 2 = 3",
        "a = MatMul(x, w); c = Relu(a); d = Gemm(c, v); e = Add(d, b); q = Relu(e); y = Exp(q); w: 2x2 = 1; v: 2x2 = 4; b: 2 = 3",
        &["s", "t", "d", "u", "r", "y"],
    );
}

#[test]
fn another_operator_in_the_same_place_has_its_name() {
    check(
        "s = Neg(x); t = Relu(s); u = Sin(t); y = Exp(u)",
        "a = Neg(x); b = Abs(a); c = Sin(b); y = Exp(c)",
        &["s", "t", "u", "y"],
    );
}

#[test]
fn two_branches_are_told_apart_by_their_weights() {
    let file = |sum: &str, relu: &str, w: u32| {
        format!(
            "p = {relu}(x); a = MatMul(p, v); c = MatMul(x, w); s = {sum}; t = Relu(s); y = Exp(t); v: 4x4 = 2; w: 4x4 = {w}"
        )
    };
    let theirs = file("Add(c, a)", "Abs", 3).replace("p ", "p_ ").replace("p,", "p_,");
    let theirs = theirs.replace("a = ", "k = ").replace("c = ", "l = ").replace("Add(c, a)", "Add(l, k)");
    let theirs = theirs.replace("s = ", "m = ").replace("(s)", "(m)").replace("t = ", "n = ").replace("(t)", "(n)");
    check(&file("Add(a, c)", "Relu", 3), &theirs, &["p", "a", "c", "s", "t", "y"]);
}

#[test]
fn constants_have_a_name_where_they_are_the_same() {
    check(
        "k = Constant value_float=3.5 (); s = Mul(x, k); t = Neg(s); y = Exp(t)",
        "j = Constant value_float=4.5 (); a = Mul(x, j); b = Neg(a); y = Exp(b)",
        &["j", "s", "t", "y"],
    );
}
