//! Models that call functions: what stands in the place of a call computes what the call did, and in a lower precision the
//! bodies are rounded as everything else.

mod common;

use std::path::{Path, PathBuf};

use common::{Run, layerdiff, program, testdata};
use layerdiff::found::Verdict;
use layerdiff::graph::Graph;
use layerdiff::graph::inline::inline;
use layerdiff::load::testset::tensor_to_proto;
use layerdiff::load::{Model, npz};
use layerdiff::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, ValueInfoProto,
    attribute_type,
};
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

const SIDE: usize = 8;

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto::new(op, "", inputs, outputs)
}

fn call(op: &str, name: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto { domain: Some("local".to_string()), ..NodeProto::new(op, name, inputs, outputs) }
}

fn number(name: &str, value: f32) -> AttributeProto {
    let r#type = Some(attribute_type::FLOAT);
    AttributeProto { name: Some(name.to_string()), f: Some(value), r#type, ..Default::default() }
}

fn numbers(name: &str, ints: &[i64]) -> AttributeProto {
    let r#type = Some(attribute_type::INTS);
    AttributeProto { name: Some(name.to_string()), ints: ints.to_vec(), r#type, ..Default::default() }
}

fn body(name: &str, input: &[(&str, DType)], node: Vec<NodeProto>, output: &[(&str, DType)]) -> AttributeProto {
    let typed = |(name, dtype): &(&str, DType)| match dtype {
        DType::Float32 => ValueInfoProto::typed(name, *dtype, None),
        _ => ValueInfoProto::tensor(name, *dtype, &[]),
    };
    let graph = GraphProto {
        name: Some(name.to_string()),
        input: input.iter().map(typed).collect(),
        node,
        output: output.iter().map(typed).collect(),
        ..Default::default()
    };
    let r#type = Some(attribute_type::GRAPH);
    AttributeProto { name: Some(name.to_string()), g: Some(graph), r#type, ..Default::default() }
}

fn opsets(onnx: i64) -> Vec<OperatorSetIdProto> {
    let opset = |(domain, version): (&str, i64)| OperatorSetIdProto {
        domain: Some(domain.to_string()),
        version: Some(version),
    };
    [("", onnx), ("local", 1)].map(opset).to_vec()
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], node: Vec<NodeProto>) -> FunctionProto {
    let owned = |names: &[&str]| names.iter().map(|s| s.to_string()).collect();
    FunctionProto {
        name: Some(name.to_string()),
        domain: Some("local".to_string()),
        input: owned(inputs),
        output: owned(outputs),
        node,
        opset_import: opsets(17),
        ..Default::default()
    }
}

/// x / sqrt(mean(x^2) + eps) * g, where eps has a default.
fn rms_norm() -> FunctionProto {
    let eps = AttributeProto { f: None, ref_attr_name: Some("eps".to_string()), ..number("value_float", 0.0) };
    let nodes = vec![
        node("Mul", &["x", "x"], &["square"]),
        node("ReduceMean", &["square"], &["mean"]).with(numbers("axes", &[-1])),
        node("Constant", &[], &["e"]).with(eps),
        node("Add", &["mean", "e"], &["safe"]),
        node("Sqrt", &["safe"], &["root"]),
        node("Div", &["x", "root"], &["n"]),
        node("Mul", &["n", "g"], &["y"]),
    ];
    FunctionProto { attribute_proto: vec![number("eps", 1e-3)], ..function("RmsNorm", &["x", "g"], &["y"], nodes) }
}

/// Calls RmsNorm twice, once in a branch; its last two inputs may be left out.
fn block() -> FunctionProto {
    let float = DType::Float32;
    let choose = node("If", &["positive"], &["o"])
        .with(body("then_branch", &[], vec![node("Neg", &["s"], &["w"])], &[("w", float)]))
        .with(body("else_branch", &[], vec![call("RmsNorm", "", &["s", "g"], &["w"])], &[("w", float)]));
    let nodes = vec![
        call("RmsNorm", "inner", &["x", "g"], &["s"]).with(number("eps", 1e-2)),
        node("ReduceMax", &["x"], &["most"]).with(AttributeProto::int("keepdims", 0)),
        node("Constant", &[], &["zero"]).with(number("value_float", 0.0)),
        node("Less", &["most", "zero"], &["positive"]),
        choose,
        node("MatMul", &["o", "weights"], &["p"]),
        node("Clip", &["p", "low", "high"], &["q"]),
        node("Identity", &["x"], &["same"]),
    ];
    function("Block", &["x", "g", "weights", "low", "high"], &["q", "same", "s"], nodes)
}

fn floats(name: &str, shape: &[usize], values: &[f32]) -> TensorProto {
    TensorProto { name: Some(name.to_string()), ..tensor_to_proto(name, &Tensor::f32(shape, values)) }
}

/// The input times `scale` goes through Block, through a loop of Blocks and through RmsNorm; FP16 holds the squares of no value
/// above 256.
fn model(scale: f32) -> ModelProto {
    let float = DType::Float32;
    let turn = vec![node("Identity", &["go"], &["on"]), call("Block", "in_loop", &["v", "g", "w"], &["next", "", ""])];
    let inputs = [("i", DType::Int64), ("go", DType::Bool), ("v", float)];
    let nodes = vec![
        NodeProto::new("Mul", "enlarge", &["x", "k"], &["large"]),
        call("Block", "first", &["large", "g", "w", "low"], &["a", "b", "c"]),
        NodeProto::new("Loop", "loop", &["trips", "yes", "a"], &["l"]).with(body(
            "body",
            &inputs,
            turn,
            &[("on", DType::Bool), ("next", float)],
        )),
        NodeProto::new("Mul", "shrink", &["b", "less"], &["small"]),
        NodeProto::new("Add", "sum", &["l", "small"], &["t"]),
        call("RmsNorm", "last", &["t", "g"], &["y"]),
        NodeProto::new("Identity", "copy", &["c"], &["z"]),
    ];
    let wave = |length: usize| -> Vec<f32> { (0..length).map(|i| (i as f32 * 0.7).sin()).collect() };
    let named = |name: &str, tensor: Tensor| TensorProto { name: Some(name.into()), ..tensor_to_proto(name, &tensor) };
    let graph = GraphProto {
        name: Some("calls".to_string()),
        node: nodes,
        input: vec![ValueInfoProto::tensor("x", float, &[2, SIDE])],
        output: ["y", "z"].map(|name| ValueInfoProto::tensor(name, float, &[2, SIDE])).to_vec(),
        initializer: vec![
            floats("g", &[SIDE], &wave(SIDE)),
            floats("w", &[SIDE, SIDE], &wave(SIDE * SIDE)),
            floats("k", &[1], &[scale]),
            floats("less", &[1], &[1.0 / scale]),
            floats("low", &[], &[-1.5]),
            named("trips", Tensor::i64(&[], &[3])),
            named("yes", Tensor::from_vec(DType::Bool, vec![], vec![1u8])),
        ],
        ..Default::default()
    };
    ModelProto {
        ir_version: Some(8),
        opset_import: opsets(17),
        functions: vec![rms_norm(), block()],
        graph: Some(graph),
        ..Default::default()
    }
}

fn write(dir: &Path, name: &str, model: &ModelProto) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

fn feed() -> Tensors {
    let values: Vec<f32> = (0..2 * SIDE).map(|i| (i as f32 * 1.3).cos() + 0.1).collect();
    [("x".to_string(), Tensor::f32(&[2, SIDE], &values))].into_iter().collect()
}

fn run(model: &Model, proto: &ModelProto, feed: Tensors) -> Tensors {
    let found = library::find(None).expect("run `layerdiff setup` first");
    let outputs: Vec<String> = Graph::new(proto).unwrap().outputs.iter().map(|(name, _)| name.clone()).collect();
    let cpu = Ort::new(&found.path, Provider::Cpu).unwrap();
    cpu.run(&Job::new(model.lean(proto), &[feed], &outputs)).unwrap().values.remove(0)
}

#[test]
fn what_stands_for_a_call_computes_the_same_bits() {
    let dir = tempfile::tempdir().unwrap();
    let check = |path: &Path, feed: Tensors| {
        let model = Model::load(path).unwrap();
        let inlined = inline(&model.proto).unwrap();
        assert!(inlined.left.is_empty() && inlined.model.functions.is_empty());
        let (want, got) = (run(&model, &model.proto, feed.clone()), run(&model, &inlined.model, feed));
        assert!(!want.is_empty());
        for (name, value) in &want {
            assert!(value.identical(&got[name]), "{}: {name}", path.display());
        }
    };
    for scale in [1.0, 300.0, -2.0] {
        check(&write(dir.path(), "model.onnx", &model(scale)), feed());
    }
    check(&testdata("function_model/model.onnx"), npz::read(&testdata("function_model/inputs.npz")).unwrap());
}

fn compared(model: &Path, candidate: &str, inputs: &Path) -> Run {
    layerdiff("compare", model, &["-c", candidate, "-i", inputs.to_str().unwrap(), "--atol", "0", "--rtol", "0"])
}

#[test]
fn bodies_are_rounded_as_the_same_nodes_without_a_function() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("x.npz");
    npz::write(&inputs, &feed()).unwrap();
    let whole = write(dir.path(), "whole.onnx", &model(1.0));
    let flat = write(dir.path(), "flat.onnx", &inline(&model(1.0)).unwrap().model);
    for candidate in ["ort:fp16", "ort:bf16", "ort:tf32"] {
        let (called, plain) =
            (compared(&whole, candidate, &inputs).report(), compared(&flat, candidate, &inputs).report());
        for (one, other) in called.outputs.iter().zip(&plain.outputs) {
            assert_eq!((&one.name, &one.metrics), (&other.name, &other.metrics), "{candidate}");
        }
        for name in ["a", "l"] {
            let max_abs = |report: &layerdiff::found::Report| {
                report.tensors.iter().find(|t| t.name == name).unwrap().metrics.as_ref().unwrap().max_abs.0
            };
            assert!(max_abs(&called) > 1e-5, "{candidate}: {name} is not rounded");
            assert_eq!(max_abs(&called), max_abs(&plain), "{candidate}: {name}");
        }
        assert!(called.warnings.iter().all(|w| !w.contains("function")), "{:?}", called.warnings);
    }
}

#[test]
fn a_call_that_is_kept_keeps_its_whole_body() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("x.npz");
    npz::write(&inputs, &feed()).unwrap();
    let path = write(dir.path(), "large.onnx", &model(400.0));
    let found = layerdiff("bisect", &path, &["-c", "ort:fp16", "-i", inputs.to_str().unwrap()]);
    let report = found.report();
    assert_eq!((found.status, report.verdict), (1, Verdict::Diverged), "{}", found.stderr);
    assert_eq!(report.culprits[0].node.name, "first");
    assert!(report.reduced.as_ref().is_some_and(|r| r.reproduces), "{:?}", report.reduced);
    let cure = report.overrides.unwrap();
    assert!(cure.verified && cure.minimal && cure.nodes.contains(&"first".to_string()), "{cure:?}");
    // For any program: no function is left, and what the kept ones were computes in float32.
    let mixed = Model::load(Path::new(&cure.files["onnx"])).unwrap();
    assert!(mixed.proto.functions.is_empty());
    let again = layerdiff(
        "compare",
        &path,
        &[
            "-c",
            &format!("ort@{}", cure.files["onnx"]),
            "-i",
            inputs.to_str().unwrap(),
            "--outputs",
            "y",
            "--outputs",
            "z",
        ],
    );
    assert_eq!(again.status, 0, "{}", again.stdout);
}

#[test]
fn bodies_are_converted_and_kept_by_the_call() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "calls.onnx", &model(1.0));
    let convert = |keep: &[&str]| {
        let out = dir.path().join("low.onnx");
        let mut command = program();
        command.arg("convert").arg(&path).args(["--to", "fp16", "-o"]).arg(&out);
        let output = command.args(keep.iter().flat_map(|keep| ["--keep", *keep])).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let first = text.lines().nth(1).unwrap().to_string();
        (first.split(" nodes, ").nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap(), text)
    };
    let (none, text) = convert(&[]);
    assert_eq!(none, 0, "{text}");
    // 6 of the body but for its Constant; a Block has 6, its If of 1 and of 6, and RmsNorm's 6.
    assert_eq!(convert(&["last"]).0, 6);
    assert_eq!(convert(&["first"]).0, 19);
    assert_eq!(convert(&["op:RmsNorm"]).0, 30);
    assert_eq!(convert(&["op:Sqrt"]).0, 5);
}

#[test]
fn a_function_that_cannot_be_put_in_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let inputs = dir.path().join("x.npz");
    npz::write(&inputs, &feed()).unwrap();
    let mut model = model(1.0);
    model.functions[0].opset_import = opsets(16);
    let run = compared(&write(dir.path(), "other.onnx", &model), "ort:fp16", &inputs);
    let told = run.report().warnings.iter().filter(|w| w.contains("the body of the function 'RmsNorm'")).count();
    assert_eq!(told, 1, "{:?} {}", run.report().warnings, run.stderr);
}
