//! Two files that differ: the difference that does it is named, shown by undoing it, and undone in cure/patched.onnx; the others are called
//! harmless. The fault is always in the second file.

mod common;

use std::path::Path;

use common::layerdiff;
use layerdiff::found::{Report, Role, Sure};
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, ValueInfoProto, attribute_type,
};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

/// One of the two files.
struct Built {
    opset: i64,
    nodes: Vec<NodeProto>,
    weights: Vec<(&'static str, Tensor)>,
    sparse: Vec<SparseTensorProto>,
}

fn file(nodes: Vec<NodeProto>, weights: Vec<(&'static str, Tensor)>) -> Built {
    Built { opset: 17, nodes, weights, sparse: Vec::new() }
}

impl Built {
    fn opset(self, opset: i64) -> Built {
        Built { opset, ..self }
    }

    /// `x` is float32[2,3,4]; `y`, whatever its shape, is the output.
    fn write(self, path: &Path) {
        let graph = GraphProto {
            name: Some("g".into()),
            node: self.nodes,
            initializer: self.weights.iter().map(|(name, value)| tensor_to_proto(name, value)).collect(),
            sparse_initializer: self.sparse,
            input: vec![ValueInfoProto::tensor("x", DType::Float32, &[2, 3, 4])],
            output: vec![ValueInfoProto::typed("y", DType::Float32, None)],
            ..Default::default()
        };
        let mut model = ModelProto { opset_import: Vec::new(), ..common::model_of(graph) };
        let import = |domain: &str, version| layerdiff::onnx::OperatorSetIdProto {
            domain: Some(domain.to_string()),
            version: Some(version),
        };
        model.opset_import = vec![import("", self.opset), import("com.microsoft", 1)];
        std::fs::write(path, model.encode_to_vec()).unwrap();
    }
}

fn node(op_type: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto::new(op_type, name, inputs, &[output])
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = Some(attribute_type::INTS);
    AttributeProto { name: Some(name.into()), ints: values.to_vec(), r#type, ..Default::default() }
}

fn float(name: &str, value: f32) -> AttributeProto {
    let r#type = Some(attribute_type::FLOAT);
    AttributeProto { name: Some(name.into()), f: Some(value), r#type, ..Default::default() }
}

fn scalar(value: f32) -> Tensor {
    Tensor::f32(&[], &[value])
}

fn run(dir: &Path, mine: Built, theirs: Built) -> (common::Run, Report) {
    mine.write(&dir.join("a.onnx"));
    theirs.write(&dir.join("b.onnx"));
    let values: Vec<f32> = (0..24).map(|i| ((i * 37 % 24) as f32 - 11.0) / 4.0).collect();
    let feed = Tensors::from([("x".to_string(), Tensor::f32(&[2, 3, 4], &values))]);
    layerdiff::load::npz::write(&dir.join("x.npz"), &feed).unwrap();
    let candidate = format!("ort@{}", dir.join("b.onnx").display());
    let inputs = dir.join("x.npz");
    let words = ["-c", &candidate, "-i", inputs.to_str().unwrap(), "--no-overrides", "--no-reduce"];
    let run = layerdiff("bisect", &dir.join("a.onnx"), &words);
    let report = run.report();
    (run, report)
}

/// The causes are of these codes, in order, and each is told with these words; what was undone agrees, from the disk and in Python's place
/// a run of its own.
#[track_caller]
fn check(mine: Built, theirs: Built, want: &[(&str, &str)], harmless: usize) {
    let dir = tempfile::tempdir().unwrap();
    let (run, report) = self::run(dir.path(), mine, theirs);
    assert_eq!(run.status, 1, "{}{}", run.stdout, run.stderr);
    let causes: Vec<_> = report.differences.iter().filter(|d| d.role == Role::Cause).collect();
    let codes: Vec<&str> = causes.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, want.iter().map(|(code, _)| *code).collect::<Vec<_>>(), "{:#?}", report.differences);
    for (cause, (_, words)) in causes.iter().zip(want) {
        assert!(cause.told.contains(words), "'{words}' is not in: {}", cause.told);
        let shown = |d: &layerdiff::found::Diagnosis| d.sure == Sure::Shown && d.evidence.starts_with(&cause.told);
        assert!(report.culprits.iter().flat_map(|c| &c.diagnosis).any(shown), "{:#?}", report.culprits);
    }
    let others = report.differences.iter().filter(|d| d.role == Role::Harmless).count();
    assert_eq!(others, harmless, "{:#?}", report.differences);
    assert!(report.culprits.iter().flat_map(|c| &c.diagnosis).all(|d| d.sure == Sure::Shown), "{:#?}", report.culprits);
    let patched = report.patched.as_ref().expect("no patched file");
    assert!(patched.verified && patched.edits.len() == want.len(), "{patched:?}");
    // Another run of the program says the same.
    let again = format!("ort@{}", run.dir.path().join("out").join(&patched.path).display());
    let inputs = dir.path().join("x.npz");
    let words = ["-c", &again, "-i", inputs.to_str().unwrap()];
    assert_eq!(layerdiff("compare", &dir.path().join("a.onnx"), &words).status, 0);
}

#[test]
fn attributes_by_their_opsets_defaults() {
    let leaky = |alpha: Option<f32>| {
        let mut leaky = node("LeakyRelu", "leaky", &["x"], "y");
        leaky.attribute.extend(alpha.map(|alpha| float("alpha", alpha)));
        file(vec![leaky], vec![])
    };
    check(leaky(None), leaky(Some(0.2)), &[("attribute-differs", "alpha 0.2 where a.onnx has 0.01")], 0);
    check(leaky(Some(0.2)), leaky(None), &[("attribute-differs", "alpha 0.01 (the default of its opset)")], 0);
    let soft = |opset| file(vec![node("Softmax", "probs", &["x"], "y")], vec![]).opset(opset);
    check(soft(13), soft(11), &[("attribute-differs", "axis 1 (the default of its opset) where a.onnx has -1")], 1);
    let along = |opset| {
        file(vec![node("Softmax", "probs", &["x"], "y").with(AttributeProto::int("axis", 1))], vec![]).opset(opset)
    };
    check(along(12), along(17), &[("opset-differs", "b.onnx declares opset 17 where a.onnx declares 12")], 0);
}

#[test]
fn attributes_that_became_inputs() {
    let old = |max: f32| file(vec![node("Clip", "clip", &["x"], "y").with(float("max", max))], vec![]).opset(10);
    let new = |max: f32| file(vec![node("Clip", "clip", &["x", "", "max"], "y")], vec![("max", scalar(max))]);
    check(old(2.0), new(1.0), &[("attribute-differs", "max 1 where a.onnx has 2")], 1);
    check(new(2.0), old(1.0), &[("attribute-differs", "max 1 where a.onnx has 2")], 1);
    let sum =
        |axes: &[i64]| file(vec![node("ReduceSum", "sum", &["x"], "y").with(ints("axes", axes))], vec![]).opset(11);
    let new_sum = |axes: &[i64]| {
        file(vec![node("ReduceSum", "sum", &["x", "axes"], "y")], vec![("axes", Tensor::i64(&[axes.len()], axes))])
    };
    check(sum(&[1]), new_sum(&[2]), &[("attribute-differs", "axes 2 where a.onnx has 1")], 1);
}

#[test]
fn inputs_that_are_missing() {
    let bounded = |inputs: &[&str]| file(vec![node("Clip", "clip", inputs, "y")], vec![("top", scalar(1.0))]);
    let want = [("input-missing", "Clip 'clip' has no max where a.onnx has 1")];
    check(bounded(&["x", "", "top"]), bounded(&["x"]), &want, 0);
    let want = [("input-missing", "Clip 'clip' has max 1 where a.onnx has none")];
    check(bounded(&["x"]), bounded(&["x", "", "top"]), &want, 0);
}

/// `y` is made by `last` of `a` = Exp(x) and `b` = Neg(x).
fn joined(last: NodeProto) -> Built {
    file(vec![node("Exp", "exp", &["x"], "a"), node("Neg", "neg", &["x"], "b"), last], vec![])
}

#[test]
fn wiring_and_its_order() {
    let sub = |inputs: &[&str]| joined(node("Sub", "join", inputs, "y"));
    let want = [("wiring-differs", "Sub 'join' reads 'b', 'a' where a.onnx reads 'a', 'b'")];
    check(sub(&["a", "b"]), sub(&["b", "a"]), &want, 0);
    let want = [("wiring-differs", "Sub 'join' reads 'x' as B where it reads 'b' (Neg 'neg') in a.onnx")];
    check(sub(&["a", "b"]), sub(&["a", "x"]), &want, 0);
    // A sum may be written either way round; the scale behind it is at fault.
    let scaled = |inputs: &[&str], scale: f32| {
        let mut built = joined(node("Add", "join", inputs, "s"));
        built.nodes.push(node("Mul", "scale", &["s", "k"], "y"));
        Built { weights: vec![("k", scalar(scale))], ..built }
    };
    let want = [("weights-differ", "B ('k') of Mul 'scale' is 1.5 where it is 1 in a.onnx")];
    check(scaled(&["a", "b"], 1.0), scaled(&["b", "a"], 1.5), &want, 0);
}

#[test]
fn nodes_that_are_more_fewer_or_others() {
    let chain = |ops: &[(&str, &str)]| {
        let mut from = "x".to_string();
        let mut nodes = Vec::new();
        for (i, (op_type, name)) in ops.iter().enumerate() {
            let to = if i + 1 == ops.len() { "y".to_string() } else { format!("t_{name}") };
            nodes.push(node(op_type, name, &[&from], &to));
            from = to;
        }
        file(nodes, vec![])
    };
    let (three, two) = ([("Neg", "neg"), ("Relu", "relu"), ("Exp", "exp")], [("Neg", "neg"), ("Exp", "exp")]);
    let want = [("wiring-differs", "reads 't_neg' (Neg 'neg') as input where it reads 't_relu' (Relu 'relu')")];
    check(chain(&three), chain(&two), &want, 0);
    check(chain(&two), chain(&three), &[("wiring-differs", "reads 't_relu' (Relu 'relu') as input")], 0);
    let want = [("operator-differs", "'y' is made by Abs 'exp' in b.onnx where a.onnx makes it by Exp 'exp'")];
    check(chain(&two), chain(&[("Neg", "neg"), ("Abs", "exp")]), &want, 0);
}

#[test]
fn weights_however_they_are_stored() {
    let product = |inputs: &[&str], weights| file(vec![node("MatMul", "fc", inputs, "y")], weights);
    let values: Vec<f32> = (0..8).map(|i| i as f32 - 3.0).collect();
    let dense = || product(&["x", "w"], vec![("w", Tensor::f32(&[4, 2], &values))]);
    let mut turned: Vec<f32> = (0..8).map(|i| values[(i % 4) * 2 + i / 4]).collect();
    turned[5] += 1.0;
    let mut transposed = product(&["x", "v"], vec![("w", Tensor::f32(&[2, 4], &turned))]);
    transposed.nodes.insert(0, node("Transpose", "turn", &["w"], "v").with(ints("perm", &[1, 0])));
    check(dense(), transposed, &[("weights-differ", "B ('v') of MatMul 'fc' differs from a.onnx in 1 of 8 values")], 0);
    let sparse = |value: f32| SparseTensorProto {
        values: Some(tensor_to_proto("w", &Tensor::f32(&[2], &[3.0, value]))),
        indices: Some(tensor_to_proto("", &Tensor::i64(&[2], &[1, 6]))),
        dims: vec![4, 2],
    };
    let of = |value| Built { sparse: vec![sparse(value)], ..product(&["x", "w"], vec![]) };
    check(of(1.0), of(2.0), &[("weights-differ", "differs from a.onnx in 1 of 8 values, by up to 1")], 0);
}

/// An If whose branch multiplies `x`.
fn branching(scale: f32, swapped: bool) -> Built {
    let mut nodes = vec![node("Mul", "inner_mul", &["x", "k"], "m"), node("Neg", "inner_neg", &["x"], "n")];
    nodes.push(node("Sub", "inner_sub", if swapped { &["n", "m"] } else { &["m", "n"] }, "r"));
    let body = |attribute: &str| AttributeProto {
        name: Some(attribute.to_string()),
        r#type: Some(attribute_type::GRAPH),
        g: Some(GraphProto {
            name: Some(attribute.to_string()),
            node: nodes.clone(),
            initializer: vec![tensor_to_proto("k", &scalar(scale))],
            output: vec![ValueInfoProto::typed("r", DType::Float32, None)],
            ..Default::default()
        }),
        ..Default::default()
    };
    let branch = node("If", "choose", &["yes"], "y").with(body("then_branch")).with(body("else_branch"));
    let yes = Tensor::from_vec(DType::Bool, vec![], vec![1u8]);
    file(vec![branch], vec![("yes", yes)])
}

#[test]
fn bodies_are_compared_like_the_graph() {
    let want = [("weights-differ", "B ('k') of Mul 'inner_mul' is 3 where it is 2 in a.onnx")];
    check(branching(2.0, false), branching(3.0, false), &want, 1);
    let want = [("wiring-differs", "Sub 'inner_sub' reads 'n', 'm' where a.onnx reads 'm', 'n'")];
    check(branching(2.0, false), branching(2.0, true), &want, 1);
}

#[test]
fn several_causes_are_all_needed_and_told() {
    let two = |a: f32, b: f32| {
        let nodes = vec![
            node("Mul", "first", &["x", "k"], "m"),
            node("Exp", "exp", &["m"], "e"),
            node("Add", "second", &["e", "l"], "y"),
        ];
        file(nodes, vec![("k", scalar(a)), ("l", scalar(b))])
    };
    let want = [("weights-differ", "Mul 'first' is 0.75"), ("weights-differ", "Add 'second' is 2")];
    check(two(0.5, 1.0), two(0.75, 2.0), &want, 0);
}
