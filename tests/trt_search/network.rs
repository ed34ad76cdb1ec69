//! A deep network for searches: blocks of MatMul, Add and LeakyRelu that lose no error on the way, and data for it.

use std::path::{Path, PathBuf};

use layerdiff::load::testset::tensor_to_proto;
use layerdiff::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use layerdiff::tensor::{DType, Tensor, Tensors};
use prost::Message;

use crate::common::model_of;

const WIDTH: usize = 8;

/// Three nodes a block: `matmul_0`, `add_0`, `relu_0`, `matmul_1`, ...; every ninth block reads the one three before too.
pub fn deep(folder: &Path, nodes: usize) -> (PathBuf, PathBuf) {
    let (mut graph, mut last) = (GraphProto { name: Some("deep".into()), ..Default::default() }, "x".to_string());
    for block in 0..nodes / 3 {
        let (w, b) = (format!("w_{block}"), format!("b_{block}"));
        graph.initializer.push(tensor_to_proto(&w, &turn(block)));
        graph.initializer.push(tensor_to_proto(&b, &bias(block)));
        let residual = if block % 9 == 8 { format!("relu_out_{}", block - 3) } else { b };
        let names = [format!("matmul_out_{block}"), format!("add_out_{block}"), format!("relu_out_{block}")];
        let alpha = AttributeProto { name: Some("alpha".into()), f: Some(0.99), r#type: Some(1), ..Default::default() };
        let node = |op: &str, name: &str, inputs: &[&str], output: &str| {
            NodeProto::new(op, &format!("{name}_{block}"), inputs, &[output])
        };
        graph.node.push(node("MatMul", "matmul", &[&last, &w], &names[0]));
        graph.node.push(node("Add", "add", &[&names[0], &residual], &names[1]));
        graph.node.push(node("LeakyRelu", "relu", &[&names[1]], &names[2]).with(alpha));
        last = names[2].clone();
    }
    graph.input.push(ValueInfoProto::tensor("x", DType::Float32, &[2, WIDTH]));
    graph.output.push(ValueInfoProto::tensor(&last, DType::Float32, &[2, WIDTH]));
    let model = folder.join("deep.onnx");
    std::fs::write(&model, model_of(graph).encode_to_vec()).unwrap();
    let data = folder.join("deep.npz");
    let x: Vec<f32> = (0..2 * WIDTH).map(|i| ((i * 29 % 17) as f32 - 8.0) / 5.0).collect();
    let feed = Tensors::from([("x".to_string(), Tensor::f32(&[2, WIDTH], &x))]);
    layerdiff::load::npz::write(&data, &feed).unwrap();
    (model, data)
}

/// Turns pairs of values by an angle of the block's own: nothing shrinks, nothing grows.
fn turn(block: usize) -> Tensor {
    let mut w = vec![0f32; WIDTH * WIDTH];
    for pair in 0..WIDTH / 2 {
        let (sin, cos) = (0.3 + 0.1 * ((block * 7 + pair * 3) % 11) as f32).sin_cos();
        let (i, j) = (pair, WIDTH - 1 - pair);
        w[i * WIDTH + i] = cos;
        w[i * WIDTH + j] = sin;
        w[j * WIDTH + i] = -sin;
        w[j * WIDTH + j] = cos;
    }
    Tensor::f32(&[WIDTH, WIDTH], &w)
}

fn bias(block: usize) -> Tensor {
    let b: Vec<f32> = (0..WIDTH).map(|i| ((block * 5 + i * 3) % 7) as f32 * 0.01 - 0.03).collect();
    Tensor::f32(&[WIDTH], &b)
}
