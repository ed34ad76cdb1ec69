//! A backend of one's own for `exec:`: reads an .onnx and an .npz, writes an .npz of the model's outputs.
//!
//!     layerdiff bisect model.onnx --candidate "exec:exec_backend {model} {inputs} {outputs}"
//!
//! With `--wrong OP FACTOR` every operator of that type is off by a factor, like a faulty kernel: layerdiff must find it.

use std::path::Path;

use anyhow::Context;
use layerdiff::load::{Model, npz, testset};
use layerdiff::onnx::NodeProto;
use layerdiff::run::ort::{Ort, Provider, library};
use layerdiff::run::{Backend, Job};
use layerdiff::tensor::Tensor;

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, inputs, outputs, rest @ ..] = args.as_slice() else {
        anyhow::bail!("usage: exec_backend MODEL INPUTS OUTPUTS [--wrong OP FACTOR]");
    };
    let mut model = Model::load(Path::new(model))?;
    if let [_, op, factor] = rest {
        break_kernels(&mut model, op, factor.parse().context("FACTOR is a number")?);
    }
    let graph = model.proto.graph.as_ref().context("the model has no graph")?;
    let names: Vec<String> = graph.output.iter().map(|o| o.name().to_string()).collect();
    let ort = Ort::new(&library::find(None)?.path, Provider::Cpu)?;
    let job = Job::new(model.lean(&model.proto), &[npz::read(Path::new(inputs))?], &names);
    npz::write(Path::new(outputs), &ort.run(&job)?.values[0])
}

/// Multiplies the first output of every `op` of the main graph.
fn break_kernels(model: &mut Model, op: &str, factor: f32) {
    let Some(graph) = model.proto.graph.as_mut() else { return };
    let nodes = std::mem::take(&mut graph.node);
    graph.initializer.push(testset::tensor_to_proto("wrong/factor", &Tensor::f32(&[], &[factor])));
    for mut node in nodes {
        let wrong = node.op_type() == op;
        let name = node.output.first().cloned().unwrap_or_default();
        if wrong {
            node.output[0] = format!("{name}/right");
        }
        graph.node.push(node);
        if wrong {
            let right = format!("{name}/right");
            graph.node.push(NodeProto::new("Mul", &format!("{name}/wrong"), &[&right, "wrong/factor"], &[&name]));
        }
    }
}
