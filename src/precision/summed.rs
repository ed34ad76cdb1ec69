//! What adds up, as an operator that does so in FP16. Graph -> graph; how it adds up stands in `sums`.

use std::collections::HashMap;

use prost::Message;

use crate::onnx::{AttributeProto, GraphProto, NodeProto, TensorProto, attribute_type};
use crate::sums::{self, SINCE};
use crate::tensor::DType;

/// The domain of the operators that emulate; `run::ort` implements them.
pub const ROUND_DOMAIN: &str = "ai.layerdiff";

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testset::tensor_to_proto;
    use crate::mark::Types;
    use crate::onnx::{ModelProto, OperatorSetIdProto, ValueInfoProto};
    use crate::precision::{Kept, emulate};
    use crate::spec::{Accumulate, Arithmetic, Emulation, Low};
    use crate::tensor::Tensor;

    /// Nodes of tensors of this type that add up in FP16, as text; those of `Round` left out.
    fn text(nodes: Vec<NodeProto>, axes: &[(&str, &[i64])], dtype: DType, kept: &[&str]) -> Vec<String> {
        let tensors = nodes.iter().flat_map(|n| n.input.iter().chain(&n.output));
        let types: Types = tensors.map(|t| (t.clone(), dtype)).collect();
        let input = vec![ValueInfoProto::tensor("x", dtype, &[2, 2]), ValueInfoProto::tensor("w", dtype, &[2, 2])];
        let initializer = axes.iter().map(|(name, axes)| tensor_to_proto(name, &Tensor::i64(&[axes.len()], axes)));
        let graph = GraphProto { node: nodes, input, initializer: initializer.collect(), ..Default::default() };
        let opset_import = vec![OperatorSetIdProto { domain: None, version: Some(18) }];
        let model = ModelProto { graph: Some(graph), opset_import, ..Default::default() };
        let arithmetic = Arithmetic { accumulate: Accumulate::Fp16, ..Arithmetic::default() };
        let kept: Kept = kept.iter().map(|key| key.to_string()).collect();
        let nodes = emulate(&model, &types, Emulation { low: Low::Float16, arithmetic }, &kept).graph.unwrap().node;
        let node = |n: &NodeProto| format!("{}({}) -> {}", n.op_type(), n.input.join(","), n.output.join(","));
        nodes.iter().filter(|n| n.op_type() != "Round").map(node).collect()
    }

    #[test]
    fn what_adds_up_is_ours_and_what_is_kept_is_not() {
        let product = |name: &str, to: &str| NodeProto::new("MatMul", name, &["x", "w"], &[to]);
        let nodes = || vec![product("a", "y"), product("b", "z"), NodeProto::new("Relu", "r", &["y"], &["v"])];
        let want = ["Sums(x/rounded,w/rounded) -> y/raw", "MatMul(x,w) -> z", "Relu(y) -> v/raw"];
        assert_eq!(text(nodes(), &[], DType::Float32, &["z"]), want);
        // Few devices add up doubles at all.
        assert!(text(nodes(), &[], DType::Float64, &[]).iter().all(|line| !line.starts_with("Sums")));
    }

    #[test]
    fn halves_are_widened_around_it() {
        let product = vec![NodeProto::new("MatMul", "a", &["x", "w"], &["y"])];
        let want =
            ["Cast(x) -> y/sums/0", "Cast(w) -> y/sums/1", "Sums(y/sums/0,y/sums/1) -> y/sums", "Cast(y/sums) -> y"];
        assert_eq!(text(product, &[], DType::Float16, &[]), want);
    }

    #[test]
    fn axes_are_known_or_it_stays_as_it_is() {
        let sum = |axes: &str| vec![NodeProto::new("ReduceSum", "s", &["x", axes], &["y"])];
        assert_eq!(text(sum("one"), &[("one", &[1])], DType::Float32, &[]), ["Sums(x/rounded) -> y/raw"]);
        assert_eq!(text(sum("asked"), &[], DType::Float32, &[]), ["ReduceSum(x/rounded,asked) -> y/raw"]);
        let nothing = sum("none").remove(0).with(AttributeProto::int("noop_with_empty_axes", 1));
        assert_eq!(text(vec![nothing], &[("none", &[])], DType::Float32, &[]), ["ReduceSum(x/rounded,none) -> y/raw"]);
        let summed = summed(&sum("a")[0], 18, |_| Some(vec![-1])).unwrap();
        assert_eq!((summed.attr("axes").unwrap().ints.as_slice(), summed.input.len()), (&[-1][..], 1));
    }

    /// An input that is left out has its place in the node that is computed.
    #[test]
    fn what_is_left_out_is_no_input() {
        let node = NodeProto::new("SkipLayerNormalization", "n", &["x", "w", "g", "", "b"], &["y", "", "", "s"]);
        let node = custom(NodeProto { domain: Some("com.microsoft".into()), ..node });
        assert_eq!((node.input.len(), node.output.len()), (4, 2));
        let bytes: Vec<u8> = node.attr(SUMS).unwrap().ints.iter().map(|byte| *byte as u8).collect();
        let inner = NodeProto::decode(bytes.as_slice()).unwrap();
        assert_eq!((inner.input.join(","), inner.output.join(",")), ("t,t,t,,t".to_string(), "t,,,t".to_string()));
    }
}
