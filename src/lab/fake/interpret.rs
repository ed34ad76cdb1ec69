//! A few operators on float32 and nothing else: enough of ONNX to run the graphs of tests without any library.

use crate::load::testset::tensor_from_proto;
use crate::onnx::{GraphProto, NodeProto};
use crate::precision;
use crate::run::RunError;
use crate::tensor::{DType, Tensor, Tensors};

/// What a device makes of the right results of a node.
pub type Spoil<'a> = dyn Fn(&NodeProto, Vec<Tensor>) -> Result<Vec<Tensor>, RunError> + 'a;

/// Every value of `graph` by name, those that were `given` to it among them.
pub fn run(graph: &GraphProto, given: &Tensors, spoil: &Spoil) -> Result<Tensors, RunError> {
    let mut values = given.clone();
    for weight in &graph.initializer {
        let value = tensor_from_proto(weight).map_err(|e| failed(format!("{e:#}")))?;
        values.insert(weight.name().to_string(), value);
    }
    for node in &graph.node {
        let results = match node.op_type() {
            "If" => branch(node, &values, spoil)?,
            _ => compute(node, &values)?,
        };
        let results = spoil(node, results)?;
        values.extend(node.output.iter().cloned().zip(results));
    }
    Ok(values)
}

fn failed(reason: String) -> RunError {
    RunError::Run { backend: "fake".to_string(), reason }
}

fn value<'a>(values: &'a Tensors, name: &str) -> Result<&'a Tensor, RunError> {
    values.get(name).ok_or_else(|| failed(format!("'{name}' has no value")))
}

/// The outputs of the branch that the condition chooses.
fn branch(node: &NodeProto, values: &Tensors, spoil: &Spoil) -> Result<Vec<Tensor>, RunError> {
    let taken = match value(values, &node.input[0])?.bytes().iter().all(|byte| *byte == 0) {
        true => "else_branch",
        false => "then_branch",
    };
    let body = node.subgraphs().find(|(attribute, _)| *attribute == taken).map(|(_, body)| body);
    let body = body.ok_or_else(|| failed(format!("there is no {taken}")))?;
    let inner = run(body, values, spoil)?;
    body.output.iter().map(|output| value(&inner, output.name()).cloned()).collect()
}

/// The right results of a node.
fn compute(node: &NodeProto, values: &Tensors) -> Result<Vec<Tensor>, RunError> {
    let inputs: Vec<&Tensor> = node.input.iter().map(|name| value(values, name)).collect::<Result<_, _>>()?;
    let each = |f: fn(f32) -> f32| {
        vec![Tensor::f32(&inputs[0].shape, &floats(inputs[0]).into_iter().map(f).collect::<Vec<_>>())]
    };
    Ok(match node.op_type() {
        "Constant" => {
            let constant = node.constant().ok_or_else(|| failed("an empty Constant".to_string()))?;
            vec![tensor_from_proto(&constant).map_err(|e| failed(format!("{e:#}")))?]
        }
        "Identity" => vec![inputs[0].clone()],
        "Relu" => each(|x| if x > 0.0 || x.is_nan() { x } else { 0.0 }),
        "Neg" => each(|x| -x),
        "Add" => vec![pairwise(inputs[0], inputs[1], |a, b| a + b)],
        "Mul" => vec![pairwise(inputs[0], inputs[1], |a, b| a * b)],
        "MatMul" => vec![product(inputs[0], inputs[1])],
        "ReduceMax" => {
            let most = floats(inputs[0]).into_iter().fold(f32::NEG_INFINITY, f32::max);
            vec![Tensor::f32(&[1, 1], &[most])]
        }
        "Split" => halves(inputs[0]),
        // Of the emulation of a lower precision.
        "Round" => {
            let to = node.attr("to").and_then(|a| DType::from_onnx(a.i() as i32));
            vec![precision::rounded(inputs[0], to.ok_or_else(|| failed("a Round to nothing".to_string()))?)]
        }
        "Cast" => {
            let to = node.attr("to").and_then(|a| DType::from_onnx(a.i() as i32));
            let cast = to.and_then(|to| {
                if inputs[0].dtype == to { Some(inputs[0].clone()) } else { precision::cast(inputs[0], to) }
            });
            vec![cast.ok_or_else(|| failed("a Cast to something else".to_string()))?]
        }
        other => return Err(failed(format!("no {other} here"))),
    })
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    assert_eq!(tensor.dtype, DType::Float32);
    tensor.view::<f32>().to_vec()
}

/// A tensor of one element goes with every other.
fn pairwise(a: &Tensor, b: &Tensor, f: fn(f32, f32) -> f32) -> Tensor {
    let (left, right) = (floats(a), floats(b));
    let length = left.len().max(right.len());
    let at = |values: &[f32], i: usize| if values.len() == 1 { values[0] } else { values[i] };
    let results: Vec<f32> = (0..length).map(|i| f(at(&left, i), at(&right, i))).collect();
    Tensor::f32(if left.len() == length { &a.shape } else { &b.shape }, &results)
}

/// Of two matrices.
fn product(a: &Tensor, b: &Tensor) -> Tensor {
    let (rows, inner, columns) = (a.shape[0], a.shape[1], b.shape[1]);
    let (left, right) = (floats(a), floats(b));
    let cell = |at: usize| (0..inner).map(|k| left[at / columns * inner + k] * right[k * columns + at % columns]).sum();
    Tensor::f32(&[rows, columns], &(0..rows * columns).map(cell).collect::<Vec<f32>>())
}

/// Of the first axis.
fn halves(tensor: &Tensor) -> Vec<Tensor> {
    let (values, mut shape) = (floats(tensor), tensor.shape.clone());
    shape[0] /= 2;
    values.chunks(values.len() / 2).map(|half| Tensor::f32(&shape, half)).collect()
}
