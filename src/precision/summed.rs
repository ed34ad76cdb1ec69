//! What adds up, as an operator that does so in FP16. Graph -> graph; how it adds up stands in `sums`.

use std::collections::HashMap;

use prost::Message;

use super::emulate::ROUND_DOMAIN;
use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};
use crate::sums::{self, SINCE};
use crate::tensor::DType;

/// The operator that adds up in FP16, of [`ROUND_DOMAIN`]. Its attribute of the same name is the node that it computes, as bytes; its
/// inputs and outputs are those of the node that are there.
pub const SUMS: &str = "Sums";

/// Whole numbers that are written in a model: axes of reductions.
pub(super) type Constants = HashMap<String, Vec<i64>>;

/// Adds those of a graph.
pub(super) fn learn(graph: &GraphProto, constants: &mut Constants) {
    let weights = graph.initializer.iter().filter_map(|t| Some((t.name().to_string(), whole(t)?)));
    let nodes = graph.node.iter().filter_map(|n| Some((n.output.first()?.clone(), whole(&n.constant()?)?)));
    constants.extend(weights.chain(nodes));
}

/// The values of a short int64 tensor that lie in the model itself.
fn whole(tensor: &TensorProto) -> Option<Vec<i64>> {
    const MOST: usize = 16;
    if tensor.dtype() != Some(DType::Int64) || tensor.is_external() {
        return None;
    }
    let values = match tensor.raw_data.as_deref() {
        Some(raw) if !raw.is_empty() => {
            raw.as_chunks::<8>().0.iter().take(MOST + 1).map(|b| i64::from_le_bytes(*b)).collect()
        }
        _ => tensor.int64_data.clone(),
    };
    (values.len() <= MOST).then_some(values)
}

/// The node as its sums are taken in FP16: with its axes as an attribute, and the opset that it is of. `None` where it adds up
/// nothing, or not known what.
pub fn summed(node: &NodeProto, opset: i64, constant: impl Fn(&str) -> Option<Vec<i64>>) -> Option<NodeProto> {
    if !sums::takes(node) {
        return None;
    }
    let mut node = node.clone();
    let reduces = node.op_type().starts_with("Reduce");
    if let (true, Some(name)) = (reduces, node.input.get(1).filter(|name| !name.is_empty())) {
        let axes = constant(name)?;
        node.attribute.push(AttributeProto {
            name: Some("axes".into()),
            r#type: Some(attribute_type::INTS),
            ints: axes,
            ..AttributeProto::default()
        });
    }
    node.input.truncate(if reduces { 1 } else { usize::MAX });
    let all = node.attr("axes").is_none_or(|axes| axes.ints.is_empty());
    let nothing = reduces && all && node.attr("noop_with_empty_axes").is_some_and(|a| a.i() != 0);
    node.attribute.push(AttributeProto::int(SINCE, opset));
    (!nothing).then_some(node)
}

/// Puts the node among `nodes`, so that it adds up in FP16 where it adds up floats of this type; else as it is.
pub(super) fn put(node: NodeProto, of: (i64, DType), constants: &Constants, nodes: &mut Vec<NodeProto>) {
    let (opset, dtype) = of;
    let known = matches!(dtype, DType::Float32 | DType::Float16);
    match summed(&node, opset, |name| constants.get(name).cloned()).filter(|_| known) {
        None => nodes.push(node),
        Some(summed) if dtype == DType::Float32 => nodes.push(custom(summed)),
        Some(summed) => widened(summed, nodes),
    }
}

/// The node as an operator of our own.
fn custom(node: NodeProto) -> NodeProto {
    let given = |names: &[String]| names.iter().filter(|name| !name.is_empty()).cloned().collect::<Vec<String>>();
    let (input, output) = (given(&node.input), given(&node.output));
    let name = node.name.clone();
    // Of the names only whether they are there counts.
    let short = |names: &[String]| names.iter().map(|n| if n.is_empty() { "" } else { "t" }.to_string()).collect();
    let bare =
        NodeProto { input: short(&node.input), output: short(&node.output), name: None, doc_string: None, ..node };
    let bytes = AttributeProto {
        name: Some(SUMS.into()),
        r#type: Some(attribute_type::INTS),
        ints: bare.encode_to_vec().into_iter().map(i64::from).collect(),
        ..AttributeProto::default()
    };
    let domain = Some(ROUND_DOMAIN.to_string());
    NodeProto { op_type: Some(SUMS.into()), name, domain, input, output, ..NodeProto::default() }.with(bytes)
}

/// Of half-precision tensors, between casts: the operator itself has float32.
fn widened(mut node: NodeProto, nodes: &mut Vec<NodeProto>) {
    let Some(first) = node.output.iter().find(|name| !name.is_empty()).cloned() else { return };
    let cast = |from: &str, to: &str, dtype: DType| {
        let cast = NodeProto::new("Cast", &format!("{to}/cast"), &[from], &[to]);
        cast.with(AttributeProto::int("to", dtype.onnx().into()))
    };
    for (slot, input) in node.input.iter_mut().enumerate().filter(|(_, input)| !input.is_empty()) {
        let wide = format!("{first}/sums/{slot}");
        nodes.push(cast(input, &wide, DType::Float32));
        *input = wide;
    }
    let mut casts = Vec::new();
    for output in node.output.iter_mut().filter(|output| !output.is_empty()) {
        let wide = format!("{output}/sums");
        casts.push(cast(&wide, output, DType::Float16));
        *output = wide;
    }
    nodes.push(custom(node));
    nodes.append(&mut casts);
}
