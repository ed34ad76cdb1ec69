//! The branch of an If that is not taken shrinks to Constant nodes of the same element types: its body cannot matter to
//! the values, but what it captures and holds is most of some cases.

use std::collections::HashSet;

use prost::Message;

use super::{apply, edit_graph, graphs, tidy};
use crate::graph::node_name;
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
use crate::reduce::{Attempt, Case};
use crate::search::Answer;
use crate::tensor::{DType, Tensor};

/// A body that never runs, and what can stand in its place.
#[derive(Clone)]
struct Idle {
    /// Position in [`graphs`].
    graph: usize,
    node: usize,
    attribute: &'static str,
    label: String,
    stub: GraphProto,
}

/// `case` with the bodies that never run made as small as the failure allows.
pub fn empty<E>(case: Case, test: &mut impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>) -> Result<Case, E> {
    let idle = idle(&case);
    let what = |idle: &[Idle]| {
        let each: Vec<String> = idle.iter().map(|i| format!("{} of {}", i.attribute, i.label)).collect();
        format!("empty {}", each.join(", "))
    };
    apply(case, &idle, what, replace, test)
}

fn idle(case: &Case) -> Vec<Idle> {
    let Some(main) = &case.model.graph else { return Vec::new() };
    let mut found = Vec::new();
    let mut number = 0;
    for (graph, holder) in graphs(main).into_iter().enumerate() {
        for (node, proto) in holder.node.iter().enumerate() {
            let label = format!("node {number} '{}'", node_name(proto));
            number += 1;
            let taken = proto.input.first().filter(|_| proto.is("If")).and_then(|name| condition(case, holder, name));
            let Some(taken) = taken else { continue };
            let attribute = if taken { "else_branch" } else { "then_branch" };
            let Some(body) = proto.attr(attribute).and_then(|a| a.g.as_ref()) else { continue };
            if let Some(stub) = stub(case, holder, proto, body)
                && stub.encoded_len() < body.encoded_len()
            {
                found.push(Idle { graph, node, attribute, label, stub });
            }
        }
    }
    // An idle body inside an idle body goes with the outer one: the inner ones first, while their positions hold.
    found.reverse();
    found
}

/// The value of a condition that is fed or written in the model.
fn condition(case: &Case, holder: &GraphProto, name: &str) -> Option<bool> {
    let main = case.model.graph.as_ref()?;
    let given = |graph: &GraphProto| graph.initializer.iter().find(|t| t.name() == name).cloned();
    let hidden = |graph: &&GraphProto| {
        let made = graph.node.iter().any(|n| n.output.iter().any(|o| o == name));
        made || (!std::ptr::eq(*graph, main) && graph.input.iter().any(|v| v.name() == name))
    };
    if graphs(main).iter().any(hidden) {
        return None;
    }
    let value = match (case.feeds.get(name), given(holder).or_else(|| given(main))) {
        (Some(fed), _) => fed.clone(),
        (None, Some(proto)) => tensor_from_proto(&proto).ok()?,
        (None, None) => return None,
    };
    (value.dtype == DType::Bool && value.elements() == 1).then(|| value.bytes()[0] != 0)
}

/// The smallest body with the outputs of `body`; `None` where an element type is unknown.
fn stub(case: &Case, holder: &GraphProto, node: &NodeProto, body: &GraphProto) -> Option<GraphProto> {
    let made: HashSet<&String> = body.node.iter().flat_map(|n| &n.output).collect();
    let mut stub = GraphProto { name: body.name.clone(), ..Default::default() };
    for (position, output) in body.output.iter().enumerate() {
        let outer = node.output.get(position).map(String::as_str).unwrap_or_default();
        let declared = holder.output.iter().chain(&holder.value_info).find(|v| v.name() == outer);
        let expected = || case.expected.as_ref()?.get(outer).map(|t| t.dtype);
        let dtype = output.dtype().or_else(|| declared?.dtype()).or_else(expected)?;
        let rank = output.as_tensor().and_then(|t| Some(t.shape.as_ref()?.dim.len())).unwrap_or(0);
        let zero = zero(dtype, vec![1; rank])?;
        // A value handed through from outside has a maker there: the stub's gets a name of its own.
        let name = output.name().to_string();
        let name = if made.contains(&name) { name } else { format!("{name}/unused") };
        let value = AttributeProto::tensor("value", tensor_to_proto("", &zero));
        stub.node.push(NodeProto::new("Constant", &name, &[], &[&name]).with(value));
        stub.output.push(ValueInfoProto::tensor(&name, dtype, &zero.shape));
    }
    Some(stub)
}

fn zero(dtype: DType, shape: Vec<usize>) -> Option<Tensor> {
    match dtype.byte_len(1) {
        Some(bytes) => Tensor::new(dtype, shape, vec![0u8; bytes]).ok(),
        None => Tensor::strings(shape, vec![String::new()]).ok(),
    }
}

fn replace(mut case: Case, idle: &[Idle]) -> Case {
    for one in idle {
        let Some(main) = case.model.graph.as_mut() else { break };
        edit_graph(main, one.graph, &mut |graph| {
            let node = graph.node.get_mut(one.node);
            let attribute = node.and_then(|n| n.attribute.iter_mut().find(|a| a.name() == one.attribute));
            if let Some(attribute) = attribute {
                attribute.g = Some(one.stub.clone());
            }
        });
    }
    tidy(case)
}
