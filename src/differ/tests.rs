//! Pairs of small files: what differs between them, and that undoing all of it leaves no difference.

pub(in crate::differ) mod text;

use prost::Message;

use super::{File, Two, all, undone};
use crate::load::Model;
use crate::onnx::ModelProto;

/// The files differ in these, as `code node-of-theirs`, in the order of the first one's nodes; without them nothing differs.
#[track_caller]
fn check(mine: &str, theirs: &str, expected: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let load = |name: &str, proto: &ModelProto| {
        let path = dir.path().join(name);
        std::fs::write(&path, proto.encode_to_vec()).unwrap();
        Model::load(&path).unwrap()
    };
    let (a, b) = (load("a.onnx", &text::model(mine)), load("b.onnx", &text::model(theirs)));
    let of = |theirs: &Model| -> (Vec<String>, ModelProto) {
        let [mine, theirs] = [(&a, "a"), (theirs, "b")].map(|(model, name)| File { model, proto: &model.proto, name });
        let two = Two::new(mine, theirs, &[]);
        let found = all(&two);
        let told = found.iter().map(|d| format!("{} {}", d.code(), d.theirs.name)).collect();
        let sentences: Vec<String> = found.iter().map(|d| d.sentence(&two)).collect();
        let all: Vec<&super::Difference> = found.iter().collect();
        (told, undone(&two, &all).unwrap_or_else(|why| panic!("{why}: {sentences:?}")))
    };
    let (found, patched) = of(&b);
    assert_eq!(found, expected);
    let (left, _) = of(&load("patched.onnx", &patched));
    assert!(left.is_empty(), "left: {left:?}");
}

const OPERATORS: [(&str, &str, &[&str]); 4] = [
    ("y = Relu(x)", "y = LeakyRelu(x)", &["operator-differs y"]),
    ("y = Gelu(x); opset 20", "y = Gelu approximate=tanh (x); opset 20", &["attribute-differs y"]),
    ("y = com.microsoft.Gelu(x)", "y = com.microsoft.FastGelu(x)", &["operator-differs y"]),
    // The name is another one, and the reader is the same.
    ("t = Relu(x); y = Tanh(t)", "u = Elu(x); y = Tanh(u)", &["operator-differs u"]),
];

#[test]
fn operators() {
    OPERATORS.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const ATTRIBUTES: [(&str, &str, &[&str]); 5] = [
    ("y = LeakyRelu alpha=0.2 (x)", "y = LeakyRelu(x)", &["attribute-differs y"]),
    ("y = LeakyRelu(x)", "y = LeakyRelu alpha=0.01 (x)", &[]),
    ("y = Conv(x, w); w: 1x1x1", "y = Conv pads=[0,0] strides=[1] (x, w); w: 1x1x1", &[]),
    ("y = Transpose perm=[0,1] (x)", "y = Transpose perm=[1,0] (x)", &["attribute-differs y"]),
    ("y = Elu(x); opset 6", "y = Elu(x); opset 22", &[]),
];

#[test]
fn attributes() {
    ATTRIBUTES.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const VERSIONS: [(&str, &str, &[&str]); 5] = [
    ("y = Softmax(x); opset 11", "y = Softmax(x); opset 13", &["opset-differs y", "attribute-differs y"]),
    ("y = Clip max=6.5 (x); opset 9", "y = Clip(x, -, k); k: = 6.5; opset 13", &["opset-differs y"]),
    (
        "y = Clip max=6.5 (x); opset 9",
        "y = Clip(x, -, k); k: = 1.5; opset 13",
        &["opset-differs y", "attribute-differs y"],
    ),
    (
        "y = ReduceSum(x, k); k: i1 = 1; opset 13",
        "y = ReduceSum axes=[0] (x); opset 11",
        &["opset-differs y", "attribute-differs y"],
    ),
    // Only types were added in between.
    ("y = Add(x, z); opset 13", "y = Add(x, z); opset 14", &[]),
];

#[test]
fn versions() {
    VERSIONS.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const INPUTS: [(&str, &str, &[&str]); 4] = [
    ("y = Gemm(x, w, c); w: 3x3; c: 3 = 1 2 3", "y = Gemm(x, w); w: 3x3", &["input-missing y"]),
    ("y = Clip(x, -, k); k: = 6.5", "y = Clip(x, k); k: = 6.5", &["input-missing y", "input-missing y"]),
    ("t = Relu(x); y = Clip(x, t)", "t = Relu(x); y = Clip(x)", &["input-missing y"]),
    ("y = Pad(x, p); p: i4 = 0 1 0 1", "y = Pad(x, p, v); p: i4 = 0 1 0 1; v: = 2.5", &["input-missing y"]),
];

#[test]
fn inputs() {
    INPUTS.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const WIRES: [(&str, &str, &[&str]); 9] = [
    ("y = Sub(x, z)", "y = Sub(z, x)", &["wiring-differs y"]),
    ("y = Add(x, z)", "y = Add(z, x)", &[]),
    ("t = Relu(x); y = Add(t, w); w: 3 = 1 2 3", "t = Relu(x); y = Add(w, t); w: 3 = 1 2 4", &["weights-differ y"]),
    ("t = Relu(x); y = Tanh(t)", "t = Relu(x); y = Tanh(x)", &["wiring-differs y"]),
    ("t = Relu(x); y = Tanh(t)", "t = Relu(x); u = Transpose perm=[1,0] (t); y = Tanh(u)", &["wiring-differs y"]),
    ("t = Relu(x); y = Tanh(t)", "p = Relu(x); q = Identity(p); y = Tanh(q)", &[]),
    ("t = Relu(x); u = Neg(t); y = Tanh(u)", "p = Relu(x); y = Tanh(p)", &["wiring-differs y"]),
    ("a, b = Split(x); y = Sub(a, b)", "b, a = Split(x); y = Sub(a, b)", &["wiring-differs b"]),
    ("y = Concat axis=0 (x, z)", "y = Concat axis=0 (z, x)", &["wiring-differs y"]),
];

#[test]
fn wires() {
    WIRES.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

/// BatchNormalization of opset 14 calls its inputs otherwise, which is no difference.
#[test]
fn inputs_under_other_names() {
    let weights = "s: 3 = 1 2 3; b: 3 = 3 2 1; m: 3 = 0.5 1.5 2.5; v: 3 = 1 2 4; opset";
    check(
        &format!(
            "t = BatchNormalization(x, s, b, m, v); u = BatchNormalization(t, b, s, m, v); y = Relu(u); {weights} 13"
        ),
        &format!(
            "p = BatchNormalization(x, s, b, m, v); q = BatchNormalization(x, b, s, m, v); y = Relu(q); {weights} 14"
        ),
        &["opset-differs p", "opset-differs q", "wiring-differs q"],
    );
}

/// All names are others. What is above the difference is known by how it is made, what is below it by who reads it.
const RENAMED: [(&str, &str, &[&str]); 5] = [
    (
        "a = Relu(x); b = Tanh(a); c = Neg(b); y = Exp(c)",
        "p = Relu(x); q = Sigmoid(p); r = Neg(q); y = Exp(r)",
        &["operator-differs q"],
    ),
    (
        "a = Relu(x); b = Tanh(a); c = Mul(a, b); y = Exp(c)",
        "p = Relu(x); q = Tanh(p); r = Mul(q, x); y = Exp(r)",
        &["wiring-differs r"],
    ),
    // The sum was a product in one of them: the other product is no place for it.
    (
        "m = Mul(x, z); s = Add(x, z); y = Add(m, s)",
        "q = Mul(x, z); r = Sub(x, z); y = Add(r, q)",
        &["operator-differs r"],
    ),
    // Two differences on one way.
    (
        "a = Relu(x); b = LeakyRelu(a); y = Exp(b)",
        "p = Elu(x); q = LeakyRelu alpha=0.5 (p); y = Exp(q)",
        &["operator-differs p", "attribute-differs q"],
    ),
    // A product and a sum are one node in the other file, with other values.
    (
        "t = MatMul(x, w); u = Add(t, c); y = Relu(u); w: 3x3 = 1 2 3; c: 3 = 1",
        "g = Gemm alpha=0.5 (x, w, c); y = Relu(g); w: 3x3 = 1 2 3; c: 3 = 1",
        &["operator-differs g"],
    ),
];

/// One node is two in the other file, all over: weights tell where they are.
#[test]
fn rewritten_and_renamed() {
    let weight: Vec<String> = (0..18).map(|i| format!("{}.5", i * 7 % 18)).collect();
    let weight = format!("w: 3x6 = {}", weight.join(" "));
    check(
        &format!("a = HardSwish(x); b = MatMul(a, w); c = HardSwish(b); d = Relu(c); y = HardSwish(d); {weight}"),
        &format!(
            "g = HardSigmoid alpha=0.166666 (x); p = Mul(x, g); q = MatMul(p, w); h = HardSigmoid alpha=0.166666 (q); \
             r = Mul(q, h); s = Tanh(r); k = HardSigmoid alpha=0.166666 (s); y = Mul(s, k); {weight}"
        ),
        &["operator-differs p", "operator-differs y"],
    );
}

#[test]
fn renamed() {
    RENAMED.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const WEIGHTS: [(&str, &str, &[&str]); 4] = [
    ("y = Mul(x, w); w: 3 = 1 2 3", "y = Mul(x, w); w: 3 = 1 2 4", &["weights-differ y"]),
    (
        "y = MatMul(x, w); w: 3x2 = 1 2 3 4 5 6",
        "t = Transpose perm=[1,0] (v); y = MatMul(x, t); v: 2x3 = 1 3 5 2 4 6",
        &[],
    ),
    ("y = MatMul(x, w); w: 3x3 = 1 2 3", "y = MatMul(x, w); w: 3x3 = 1 0 0 2 0 0 3", &["weights-differ y"]),
    ("y = Mul(x, w); w: = 2.5", "k = Identity(v); y = Mul(k, x); v: 1 = 2.5", &[]),
];

#[test]
fn weights() {
    WEIGHTS.iter().for_each(|(mine, theirs, expected)| check(mine, theirs, expected));
}

const LOOP: &str = "m: i = 3; c = Cast to=9 (m)";

/// The bodies of two Loops that are alike but for this; `inside` makes `t` and `u` of the state `s`.
#[track_caller]
fn check_bodies(mine: &str, theirs: &str, expected: &[&str]) {
    let file = |inside: &str| format!("{LOOP}; r, v = Loop body={{ i g s -> {inside} }} (m, c, x); y = Add(r, z)");
    check(&file(mine), &file(theirs), expected);
}

/// A node with a body is in one file only: it is taken over, with what the body reads from outside.
#[test]
fn body_taken_over() {
    let with =
        format!("{LOOP}; q = Relu(z); r, v = Loop body={{ i g s -> t = Add(s, q) -> g t t }} (m, c, x); y = Add(r, z)");
    check(&with, "q = Neg(z); y = Add(q, z)", &["operator-differs q", "wiring-differs y"]);
}

/// The node in front of the Loop moves behind it until the graph is in order again: the body is found all the same.
#[test]
fn body_and_what_is_in_front_of_it() {
    let file = |first: &str, inside: &str| {
        format!(
            "f = {first}(x); {LOOP}; r, v = Loop body={{ i g s -> t = {inside}(s) -> g t t }} (m, c, f); y = Add(r, z)"
        )
    };
    for _ in 0..8 {
        check(&file("Relu", "Tanh"), &file("Exp", "Neg"), &["operator-differs f", "operator-differs t"]);
    }
}

#[test]
fn bodies() {
    check_bodies("t = Tanh(s); u = Exp(s) -> g t u", "t = Tanh(s); u = Exp(s) -> g u t", &["wiring-differs r"]);
    check_bodies("t = Tanh(s); u = Exp(t) -> g t u", "t = Relu(s); u = Exp(t) -> g t u", &["operator-differs t"]);
    check_bodies("t = Mul(s, k); k: = 0.5 -> g t t", "t = Mul(s, k); k: = 0.75 -> g t t", &["weights-differ t"]);
    check_bodies("t = Tanh(s); u = Exp(t) -> g t u", "p = Tanh(s); q = Exp(p) -> g p q", &[]);
    check_bodies("t = Tanh(s); u = Exp(t) -> g t u", "p = Tanh(s); q = Exp(s) -> g p q", &["wiring-differs q"]);
}
