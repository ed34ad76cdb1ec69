//! A file of half-precision tensors, kept from being computed in float32. Graph -> graph.

use crate::mark::{Types, absent};
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::DType;

/// `model` with every half-precision value handed through an Identity, which is an output: without that, ONNX Runtime's
/// CPU provider cancels the casts around its FP32 kernels, and an FP16 file is not computed in FP16. Values in If branches
/// are handed out through the If; the bodies of Loop and Scan, which have no room for more outputs, stay as they are.
pub fn expose(model: &ModelProto, types: &Types) -> ModelProto {
    let mut exposed = model.clone();
    if let Some(main) = exposed.graph.as_mut() {
        for (name, _) in expose_graph(main, "", types) {
            if !main.output.iter().any(|o| *o.name() == name) {
                main.output.push(ValueInfoProto::bare(&name));
            }
        }
    }
    exposed
}

/// Rewrites `graph`; gives back the names of its half-precision values, those from branches inside it too.
fn expose_graph(graph: &mut GraphProto, prefix: &str, types: &Types) -> Vec<(String, DType)> {
    let mut values = Vec::new();
    let mut nodes = Vec::with_capacity(graph.node.len() * 2);
    for mut node in std::mem::take(&mut graph.node) {
        if node.is("If") {
            values.extend(expose_branches(&mut node, prefix, types));
        }
        let mut copies = Vec::new();
        for output in &mut node.output {
            let dtype = types.get(&format!("{prefix}{output}")).copied();
            if let Some(dtype @ (DType::Float16 | DType::Bfloat16)) = dtype {
                let (raw, name) = (format!("{prefix}{output}/raw"), output.clone());
                copies.push(NodeProto::new("Identity", &format!("{prefix}{name}/exposed"), &[&raw], &[&name]));
                *output = raw;
                values.push((name, dtype));
            }
        }
        nodes.push(node);
        nodes.extend(copies);
    }
    graph.node = nodes;
    values
}

/// The values of an If's branches become outputs of the If; each branch gives empty ones for those of the other.
fn expose_branches(node: &mut NodeProto, prefix: &str, types: &Types) -> Vec<(String, DType)> {
    let path = crate::graph::node_name(node);
    let mut handed: Vec<(String, DType)> = Vec::new();
    let attributes: Vec<String> =
        node.attribute.iter().filter(|a| a.g.is_some()).map(|a| a.name().to_string()).collect();
    for own in &attributes {
        let inner = format!("{prefix}{path}/{own}/");
        let branch = node.attribute.iter_mut().find(|a| a.name() == own).and_then(|a| a.g.as_mut());
        let values = branch.map(|branch| expose_graph(branch, &inner, types)).unwrap_or_default();
        for (name, dtype) in values {
            let key = format!("{inner}{name}/handed");
            for attribute in node.attribute.iter_mut() {
                let is_own = attribute.name() == own;
                let Some(branch) = attribute.g.as_mut() else { continue };
                // Under a name of its own: the value may already be an output of the branch.
                branch.node.push(match is_own {
                    true => NodeProto::new("Identity", &key, &[&name], &[&key]),
                    false => absent(&key, dtype),
                });
                branch.output.push(ValueInfoProto::bare(&key));
            }
            node.output.push(key.clone());
            handed.push((key, dtype));
        }
    }
    handed
}
