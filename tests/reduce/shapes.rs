//! Data is cut where operators have windows, scales and fixed sizes: ONNX Runtime ends or panics the process for some of
//! what does not fit, so nothing of that may reach it.

use std::path::{Path, PathBuf};

use layerdiff::load::{Model, testset};
use layerdiff::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, attribute_type};
use layerdiff::reduce::sound;
use layerdiff::tensor::{DType, Tensor};
use prost::Message;

use crate::bundle::Bundle;
use crate::common::{bisect, model_of};

/// An operator on `x`; in the candidate it gets 1.1 times as much.
struct Case {
    opset: i64,
    op: &'static str,
    attributes: Vec<AttributeProto>,
    shape: Vec<usize>,
    operands: Vec<Option<Tensor>>,
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let r#type = Some(attribute_type::INTS);
    AttributeProto { name: Some(name.to_string()), ints: values.to_vec(), r#type, ..Default::default() }
}

fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { name: Some(name.to_string()), floats: values.to_vec(), r#type: Some(6), ..Default::default() }
}

fn list(values: &[f32]) -> Option<Tensor> {
    Some(Tensor::f32(&[values.len()], values))
}

/// Numbers around one, none near zero.
fn numbers(shape: &[usize]) -> Tensor {
    let values: Vec<f32> = (0..shape.iter().product()).map(|i: usize| 1.0 + ((i * 37) % 19) as f32 / 19.0).collect();
    Tensor::f32(shape, &values)
}

fn model(case: &Case, faulty: bool) -> ModelProto {
    let mut initializer: Vec<TensorProto> = Vec::new();
    let mut operands = vec![if faulty { "scaled" } else { "x" }.to_string()];
    for (i, operand) in case.operands.iter().enumerate() {
        operands.push(operand.as_ref().map_or(String::new(), |_| format!("operand{i}")));
        initializer.extend(operand.as_ref().map(|t| testset::tensor_to_proto(&format!("operand{i}"), t)));
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let mut node =
        vec![NodeProto { attribute: case.attributes.clone(), ..NodeProto::new(case.op, "op", &operands, &["y"]) }];
    if faulty {
        node.insert(0, NodeProto::new("Mul", "gain", &["x", "factor"], &["scaled"]));
        initializer.push(testset::tensor_to_proto("factor", &Tensor::f32(&[], &[1.1])));
    }
    let graph = GraphProto {
        name: Some("shapes".to_string()),
        node,
        initializer,
        input: vec![ValueInfoProto::tensor("x", DType::Float32, &case.shape)],
        output: vec![ValueInfoProto::bare("y")],
        ..Default::default()
    };
    let mut model = model_of(graph);
    model.opset_import[0].version = Some(case.opset);
    model
}

/// What is wrong with the answer for `case`, if anything is.
fn answered(case: &Case, left: &[usize]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let save = |name: &str, bytes: Vec<u8>| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let reference = save("reference.onnx", model(case, false).encode_to_vec());
    let candidate = save("candidate.onnx", model(case, true).encode_to_vec());
    testset::write(&dir.path().join("data"), &[("x".to_string(), numbers(&case.shape))].into(), &[].into()).unwrap();
    let (data, candidate) = (dir.path().join("data"), format!("ort@{}", candidate.display()));
    let run = bisect(&reference, &[&"-i", &data, &"-c", &candidate, &"--no-overrides"]);
    if run.status != 1 {
        return Err(format!("status {}\n{}", run.status, run.stderr));
    }
    let told = run.report().reduced.ok_or(run.stderr)?;
    let bundle = Bundle::read(&run.dir.path().join("out/reduced"))?;
    let (status, text) = bundle.replay(&["layerdiff"]);
    let parameters = case.operands.iter().enumerate().filter(|_| matches!(case.op, "Resize" | "Upsample"));
    for (i, operand) in parameters {
        let kept = bundle.graph().initializer.iter().find(|t| t.name() == format!("operand{i}"));
        if operand.is_some()
            && kept.is_some_and(|t| testset::tensor_from_proto(t).unwrap().shape != operand.as_ref().unwrap().shape)
        {
            return Err(format!("parameter {i} was cut"));
        }
    }
    match told.reproduces && status == 1 && bundle.inputs["x"].shape == left {
        true => Ok(()),
        false => Err(format!("{told:?}, x {:?}, repro.sh: {status}\n{text}", bundle.inputs["x"].shape)),
    }
}

#[test]
fn every_answer_is_written() {
    let mut wrong = Vec::new();
    let mut check =
        |opset, op, attributes: &[AttributeProto], shape: &[usize], operands: &[Option<Tensor>], left: &[usize]| {
            let (attributes, operands) = (attributes.to_vec(), operands.to_vec());
            let case = Case { opset, op, attributes, shape: shape.to_vec(), operands };
            if let Err(why) = answered(&case, left) {
                wrong.push(format!("{op} {opset}: {why}"));
            }
        };
    let picture = &[2, 4, 8, 12];
    let twice = list(&[1.0, 1.0, 2.0, 2.0]);
    check(10, "Resize", &[], picture, std::slice::from_ref(&twice), &[1, 1, 1, 1]);
    for opset in [11, 13, 18, 19] {
        check(opset, "Resize", &[], picture, &[list(&[]), twice.clone()], &[1, 1, 1, 1]);
        let sizes = Some(Tensor::i64(&[4], &[2, 4, 4, 6]));
        check(opset, "Resize", &[], picture, &[list(&[]), list(&[]), sizes], &[1, 1, 1, 1]);
    }
    let half = list(&[1.0, 1.0, 0.5, 0.25]);
    check(13, "Resize", &[], picture, &[None, half], &[1, 1, 2, 4]);
    check(18, "Resize", &[ints("axes", &[2, 3])], picture, &[None, list(&[2.0, 2.0])], &[1, 1, 1, 1]);
    check(7, "Upsample", &[floats("scales", &[1.0, 1.0, 2.0, 2.0])], picture, &[], &[1, 1, 1, 1]);
    check(9, "Upsample", &[], picture, &[twice], &[1, 1, 1, 1]);
    // Without a kernel_shape, a part of a kernel is a kernel.
    let (line, plane) = ([ints("kernel_shape", &[5])], [ints("kernel_shape", &[5, 5])]);
    check(17, "Conv", &[], &[2, 3, 40], &[Some(numbers(&[4, 3, 5]))], &[1, 1, 1]);
    check(17, "Conv", &line, &[2, 3, 40], &[Some(numbers(&[4, 3, 5]))], &[1, 1, 5]);
    let weights = [Some(numbers(&[4, 3, 5, 5])), Some(numbers(&[4]))];
    check(17, "Conv", &plane, &[2, 3, 12, 16], &weights, &[1, 1, 5, 5]);
    check(
        17,
        "ConvTranspose",
        &[ints("pads", &[3, 3, 3, 3])],
        &[1, 4, 9, 9],
        &[Some(numbers(&[4, 3, 3, 3]))],
        &[1, 1, 5, 5],
    );
    check(17, "MaxPool", &[ints("kernel_shape", &[3, 4]), ints("strides", &[2, 2])], picture, &[], &[1, 1, 3, 4]);
    let ceil = [ints("kernel_shape", &[3, 4]), ints("strides", &[2, 3]), AttributeProto::int("ceil_mode", 1)];
    check(17, "AveragePool", &ceil, picture, &[], &[1, 1, 3, 4]);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// ONNX Runtime infers a negative size for a picture below the kernel, which panics where the outputs are asked for.
#[test]
fn a_window_that_overflows_is_kept_whole() {
    let attributes = vec![ints("kernel_shape", &[5, 5])];
    let operands = vec![Some(Tensor::f32(&[1, 1, 5, 5], &[1.0; 25]))];
    let case = Case { opset: 17, op: "Conv", attributes, shape: vec![1, 1, 12, 16], operands };
    let dir = tempfile::tempdir().unwrap();
    let (path, data) = (dir.path().join("model.onnx"), dir.path().join("data"));
    std::fs::write(&path, model(&case, false).encode_to_vec()).unwrap();
    let large = Tensor::f32(&case.shape, &vec![5000.0; case.shape.iter().product()]);
    testset::write(&data, &[("x".to_string(), large)].into(), &[].into()).unwrap();
    let run = bisect(&path, &[&"-i", &data, &"-c", &"ort:fp16"]);
    assert_eq!(run.status, 1, "{}", run.stderr);
    let bundle = Bundle::read(&run.dir.path().join("out/reduced")).unwrap();
    let told = run.report().reduced.unwrap();
    assert!(told.reproduces && bundle.inputs["x"].shape == [1, 1, 5, 5], "{told:?}");
}

/// No test of an operator is refused, and what is said of its outputs' shapes is so.
#[test]
#[ignore = "needs the node tests of onnx 1.18's wheel: LAYERDIFF_NODE_TESTS=.../onnx/backend/test/data/node"]
fn the_shapes_of_onnx_s_own_tests_are_right() {
    let folder = std::env::var("LAYERDIFF_NODE_TESTS").expect("LAYERDIFF_NODE_TESTS names the folder");
    let (mut wrong, mut known, mut all) = (Vec::new(), 0, 0);
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        match node_test(&folder) {
            Ok((right, of)) => (known, all) = (known + right, all + of),
            Err(why) => wrong.push(format!("{}: {why}", folder.file_name().unwrap().display())),
        }
    }
    println!("{known} of {all} outputs' shapes are known");
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(all > 1000 && known * 3 > all * 2, "{known} of {all} are known");
}

/// How many outputs of the test have a shape that is known, of how many.
fn node_test(folder: &Path) -> Result<(usize, usize), String> {
    let Ok(model) = Model::load(&folder.join("model.onnx")) else { return Ok((0, 0)) };
    let graph = model.proto.graph.as_ref().unwrap();
    let names = |of: &[ValueInfoProto]| of.iter().map(|v| v.name().to_string()).collect::<Vec<_>>();
    let set = folder.join("test_data_set_0");
    // Sequences and optionals are no tensors.
    let (Ok(inputs), Ok(outputs)) =
        (testset::read_inputs(&set, &names(&graph.input)), testset::read_outputs(&set, &names(&graph.output)))
    else {
        return Ok((0, 0));
    };
    let inputs = inputs.first().cloned().unwrap_or_default();
    let told = sound::follow(&model.proto, sound::given(&model.proto, &inputs));
    if let Some(misfit) = told.misfits.first() {
        return Err(format!("{misfit:?}"));
    }
    let mut known = 0;
    let outputs = outputs.first().cloned().unwrap_or_default();
    // Some tests of CastLike store what they call by another name.
    for (name, output) in outputs.iter().filter(|(name, _)| graph.output.iter().any(|o| o.name() == *name)) {
        let Some(shape) = told.facts.get(name).and_then(|f| f.shape.clone()) else { continue };
        let fits = |(d, n): (&Option<usize>, &usize)| d.is_none_or(|d| d == *n);
        if shape.len() != output.shape.len() || !shape.iter().zip(&output.shape).all(fits) {
            return Err(format!("'{name}' is {:?}, {shape:?} is said", output.shape));
        }
        known += 1;
    }
    Ok((known, outputs.len()))
}
