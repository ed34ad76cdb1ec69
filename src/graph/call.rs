//! A call of a model-local function: its body with the caller's attributes in place of its own references.

use crate::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, ValueInfoProto,
};

/// The function of `model` that `node` calls.
pub fn function<'a>(model: &'a ModelProto, node: &NodeProto) -> Option<&'a FunctionProto> {
    model.functions.iter().find(|f| {
        f.name() == node.op_type() && domain(f.domain()) == domain(node.domain()) && f.overload() == node.overload()
    })
}

/// The body of `function` as `node` calls it, without inputs. `None` if an attribute is a graph: it belongs to the scope of
/// the caller, whose names may mean something else in the function.
pub fn bound(node: &NodeProto, function: &FunctionProto) -> Option<GraphProto> {
    let mut body = GraphProto {
        node: function.node.clone(),
        output: function.output.iter().map(|name| ValueInfoProto::bare(name)).collect(),
        value_info: function.value_info.clone(),
        ..Default::default()
    };
    let attributes: Vec<&AttributeProto> = node.attribute.iter().chain(&function.attribute_proto).collect();
    let given: Vec<&str> = arguments(node, function).map(|(formal, _)| formal).collect();
    let omitted: Vec<&str> =
        function.input.iter().map(String::as_str).filter(|formal| !given.contains(formal)).collect();
    bind(&mut body.node, &attributes, &omitted)?;
    Some(body)
}

/// Formal inputs that the caller gives, each with what it gives.
pub fn arguments<'a>(
    node: &'a NodeProto,
    function: &'a FunctionProto,
) -> impl Iterator<Item = (&'a str, &'a str)> + 'a {
    let pairs = function.input.iter().zip(&node.input);
    pairs.filter(|(_, actual)| !actual.is_empty()).map(|(formal, actual)| (formal.as_str(), actual.as_str()))
}

/// The model's operator sets with the function's; `None` if they disagree about a version.
pub fn opsets(model: &ModelProto, function: &FunctionProto) -> Option<Vec<OperatorSetIdProto>> {
    let mut merged = model.opset_import.clone();
    for own in &function.opset_import {
        match merged.iter().find(|o| domain(o.domain()) == domain(own.domain())) {
            Some(known) if known.version() != own.version() => return None,
            Some(_) => {}
            None => merged.push(own.clone()),
        }
    }
    Some(merged)
}

/// Replaces references to attributes of the function and empties the names of omitted inputs, in subgraphs too (ONNX allows
/// no subgraph to shadow a name).
fn bind(nodes: &mut [NodeProto], attributes: &[&AttributeProto], omitted: &[&str]) -> Option<()> {
    for node in nodes {
        node.input.iter_mut().filter(|name| omitted.contains(&name.as_str())).for_each(String::clear);
        for graph in node.subgraphs_mut() {
            bind(&mut graph.node, attributes, omitted)?;
        }
        for attribute in std::mem::take(&mut node.attribute) {
            let Some(wanted) = attribute.ref_attr_name.as_ref().filter(|name| !name.is_empty()) else {
                node.attribute.push(attribute);
                continue;
            };
            // The caller's come before the defaults. Where there is neither, the operator's own default holds.
            let Some(found) = attributes.iter().find(|a| a.name() == wanted) else {
                continue;
            };
            if found.g.is_some() || !found.graphs.is_empty() {
                return None;
            }
            let r#type = found.r#type.or(attribute.r#type);
            node.attribute.push(AttributeProto { name: attribute.name, r#type, ..(*found).clone() });
        }
    }
    Some(())
}

fn domain(name: &str) -> &str {
    if name == "ai.onnx" { "" } else { name }
}
