//! A lower precision, emulated exactly on a backend that has none. Graph -> graph.
//!
//! Behind every float input, initializer and node output comes a Round: to the storage type and back to float32. What a
//! node computes is then what a device with that storage type and FP32 accumulation computes: overflow, subnormals and
//! NaN included. No weight is rounded in memory. Tensors keep their names: `t` is the rounded value, `t/raw` what the
//! node gave.

use std::collections::HashMap;

use crate::mark::Types;
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto};
use crate::tensor::{DType, Tensor};

/// The operator behind every value, and its domain; `run::ort` implements it.
pub const ROUND: &str = "Round";
pub const ROUND_DOMAIN: &str = "ai.layerdiff";

/// `model` with every float32 value rounded to `low` ([`DType::Float16`] or [`DType::Bfloat16`]) where it is made.
/// `types` must hold the element types of all tensors, inputs and initializers; what it lacks is left alone.
pub fn emulate(model: &ModelProto, types: &Types, low: DType) -> ModelProto {
    let mut emulated = model.clone();
    if let Some(main) = emulated.graph.as_mut() {
        round_graph(main, "", types, low, &HashMap::new(), true);
        emulated.opset_import.push(OperatorSetIdProto { domain: Some(ROUND_DOMAIN.to_string()), version: Some(1) });
    }
    emulated
}

/// What a name is called now: rounded, and as it was given.
#[derive(Clone)]
struct Names {
    rounded: String,
    raw: String,
}

fn round_graph(
    graph: &mut GraphProto,
    prefix: &str,
    types: &Types,
    low: DType,
    outer: &HashMap<String, Names>,
    is_main: bool,
) {
    let mut names = outer.clone();
    let mut nodes = Vec::with_capacity(graph.node.len() * 3);
    let weights: Vec<String> =
        graph.initializer.iter().filter(|t| t.dtype() == Some(DType::Float32)).map(|t| t.name().to_string()).collect();
    // The inputs of a loop's body come rounded from outside and shadow outer names.
    for input in &graph.input {
        names.remove(input.name());
    }
    let inputs =
        graph.input.iter().filter(|v| is_main && v.dtype() == Some(DType::Float32)).map(|v| v.name().to_string());
    let mut given: Vec<String> = inputs.collect();
    given.extend(weights);
    given.sort();
    given.dedup();
    for name in given {
        let rounded = format!("{prefix}{name}/rounded");
        round(&name, &rounded, low, &mut nodes);
        names.insert(name.clone(), Names { rounded, raw: name });
    }
    for mut node in std::mem::take(&mut graph.node) {
        let path = crate::graph::node_name(&node);
        for (slot, input) in node.input.iter_mut().enumerate() {
            if let Some(known) = names.get(input.as_str()) {
                *input = if stays(&node.op_type, slot) { known.raw.clone() } else { known.rounded.clone() };
            }
        }
        for attribute in node.attribute.iter_mut() {
            let inner = format!("{prefix}{path}/{}/", attribute.name());
            for body in attribute.g.iter_mut().chain(attribute.graphs.iter_mut()) {
                round_graph(body, &inner, types, low, &names, false);
            }
        }
        let mut rounds = Vec::new();
        for output in node.output.iter_mut().filter(|o| !o.is_empty()) {
            let name = output.clone();
            if types.get(&format!("{prefix}{name}")) == Some(&DType::Float32) {
                *output = format!("{prefix}{name}/raw");
                round(output, &name, low, &mut rounds);
                names.insert(name.clone(), Names { rounded: name, raw: output.clone() });
            } else {
                names.remove(&name);
            }
        }
        nodes.push(node);
        nodes.append(&mut rounds);
    }
    // An output may be an outer value, handed through.
    for output in &mut graph.output {
        if let (false, Some(known)) = (is_main, names.get(output.name())) {
            output.name = Some(known.rounded.clone());
        }
    }
    graph.node = nodes;
}

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

/// A float32 tensor as `low` stores it, widened again; other types are given back as they are.
pub fn rounded(tensor: &Tensor, low: DType) -> Tensor {
    let round: fn(f32) -> f32 = match low {
        DType::Float16 => |x| half::f16::from_f32(x).to_f32(),
        DType::Bfloat16 => |x| half::bf16::from_f32(x).to_f32(),
        _ => return tensor.clone(),
    };
    if tensor.dtype != DType::Float32 {
        return tensor.clone();
    }
    let values = tensor.view::<f32>().iter().map(|x| round(*x)).collect();
    Tensor::from_vec::<f32>(DType::Float32, tensor.shape.clone(), values)
}

/// A float tensor in another float type, rounded to nearest even; `None` between other types.
pub fn cast(tensor: &Tensor, to: DType) -> Option<Tensor> {
    use half::{bf16, f16};
    let wide: Vec<f64> = match tensor.dtype {
        DType::Float64 => tensor.view::<f64>().to_vec(),
        DType::Float32 => tensor.view::<f32>().iter().map(|x| f64::from(*x)).collect(),
        DType::Float16 => tensor.view::<f16>().iter().map(|x| x.to_f64()).collect(),
        DType::Bfloat16 => tensor.view::<bf16>().iter().map(|x| x.to_f64()).collect(),
        _ => return None,
    };
    let shape = tensor.shape.clone();
    Some(match to {
        DType::Float64 => Tensor::from_vec(to, shape, wide),
        DType::Float32 => Tensor::from_vec(to, shape, wide.into_iter().map(|x| x as f32).collect::<Vec<f32>>()),
        DType::Float16 => Tensor::from_vec(to, shape, wide.into_iter().map(f16::from_f64).collect::<Vec<f16>>()),
        DType::Bfloat16 => Tensor::from_vec(to, shape, wide.into_iter().map(bf16::from_f64).collect::<Vec<bf16>>()),
        _ => return None,
    })
}

/// `to` = `from`, rounded to `low`.
fn round(from: &str, to: &str, low: DType, nodes: &mut Vec<NodeProto>) {
    let mut node = NodeProto::new(ROUND, &format!("{to}/round"), &[from], &[to]);
    node.domain = Some(ROUND_DOMAIN.to_string());
    nodes.push(node.with(AttributeProto::int("to", low.onnx().into())));
}

/// Inputs that are float32 in every precision: coordinates and quantisation scales.
fn stays(op_type: &Option<String>, slot: usize) -> bool {
    match op_type.as_deref() {
        Some("Resize") => slot == 1 || slot == 2,
        Some("Upsample" | "QuantizeLinear" | "DequantizeLinear") => slot == 1,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_cast_and_nothing_else() {
        let x = Tensor::f32(&[3], &[1.0, 1e6, -0.1]);
        let low = cast(&x, DType::Float16).unwrap();
        assert_eq!((low.dtype, low.bytes().len()), (DType::Float16, 6));
        let back = cast(&low, DType::Float32).unwrap();
        assert_eq!(back.view::<f32>().as_ref(), [1.0, f32::INFINITY, -0.099_975_586]);
        assert!(cast(&Tensor::i64(&[1], &[1]), DType::Float32).is_none());
    }

    #[test]
    fn values_are_rounded_where_they_are_made_and_keep_their_names() {
        let nodes = vec![
            NodeProto::new("Relu", "a", &["x"], &["y"]),
            NodeProto::new("Shape", "s", &["y"], &["n"]),
            NodeProto::new("Resize", "r", &["y", "", "scales"], &["z"]),
        ];
        let input = vec![
            ValueInfoProto::tensor("x", DType::Float32, &[1]),
            ValueInfoProto::tensor("scales", DType::Float32, &[4]),
        ];
        let graph = GraphProto { node: nodes, input, output: vec![ValueInfoProto::bare("z")], ..Default::default() };
        let model = ModelProto { graph: Some(graph), ..Default::default() };
        let types = [("y", DType::Float32), ("n", DType::Int64), ("z", DType::Float32)];
        let types = types.into_iter().map(|(k, d)| (k.to_string(), d)).collect();
        let got = emulate(&model, &types, DType::Float16).graph.unwrap();
        let text: Vec<String> = got
            .node
            .iter()
            .map(|n| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(",")))
            .collect();
        assert_eq!(
            text,
            [
                "Round(scales) -> scales/rounded",
                "Round(x) -> x/rounded",
                "Relu(x/rounded) -> y/raw",
                "Round(y/raw) -> y",
                "Shape(y) -> n",
                "Resize(y,,scales) -> z/raw",
                "Round(z/raw) -> z",
            ]
        );
    }
}
