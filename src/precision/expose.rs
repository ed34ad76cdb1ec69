//! A file of half-precision tensors, kept from being computed in float32. Graph -> graph.

use crate::mark::Types;
use crate::onnx::{ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::DType;

/// `model` with every half-precision value handed through an Identity, which is an output: without that, ONNX Runtime's
/// CPU provider cancels the casts around its FP32 kernels, and an FP16 file is not computed in FP16.
pub fn expose(model: &ModelProto, types: &Types) -> ModelProto {
    let mut exposed = model.clone();
    let Some(main) = exposed.graph.as_mut() else { return exposed };
    let half = |name: &str| matches!(types.get(name), Some(DType::Float16 | DType::Bfloat16));
    let mut copies = Vec::new();
    for node in &mut main.node {
        for output in node.output.iter_mut().filter(|o| half(o)) {
            let (raw, name) = (format!("{output}/raw"), output.clone());
            copies.push(NodeProto::new("Identity", &format!("{name}/exposed"), &[&raw], &[&name]));
            *output = raw;
        }
    }
    for copy in &copies {
        if !main.output.iter().any(|o| o.name() == copy.output[0]) {
            main.output.push(ValueInfoProto::bare(&copy.output[0]));
        }
    }
    // Readers may stand before the copies in the list: put each behind its maker.
    let mut nodes = Vec::with_capacity(main.node.len() + copies.len());
    let mut copies = copies.into_iter().peekable();
    for node in std::mem::take(&mut main.node) {
        let made = node.output.clone();
        nodes.push(node);
        while let Some(copy) = copies.next_if(|c| made.contains(&c.input[0])) {
            nodes.push(copy);
        }
    }
    main.node = nodes;
    exposed
}
