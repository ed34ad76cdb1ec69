//! What a model says of itself: versions, inputs and outputs, operators, subgraphs, functions, quantisation. Runs nothing; element
//! types come from `types`, weights from `weights`.

use std::collections::HashMap;

use super::facts::{Cost, Count, Function, ModelFacts, NodeFacts, Operand, Operator, Opset, Port, Quantised, Subgraph};
use super::file::Source;
use super::port;
use super::types::Typing;
use super::{defects, tensorrt, weights};
use crate::graph::node_name;
use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::qdq;

/// `nodes`: list them all.
pub fn facts(source: &Source, typing: &Typing, nodes: bool) -> ModelFacts {
    let mut facts = ModelFacts {
        path: source.path.display().to_string(),
        bytes: source.bytes,
        ir_version: source.proto.ir_version(),
        opsets: opsets(&source.proto),
        producer: producer(&source.proto),
        metadata: metadata(&source.proto),
        functions: functions(&source.proto),
        weights: weights::weights(source),
        quantised: quantised(source),
        defects: defects::defects(&source.proto),
        ..ModelFacts::default()
    };
    facts.defects.extend(source.model.iter().flat_map(|m| m.warnings.clone()));
    // A cycle is no matter of names.
    if let (Err(why), true) = (&source.graph, facts.defects.is_empty()) {
        facts.defects.push(why.clone());
    }
    let Some(main) = source.main() else { return facts };
    each_node(main, &mut |n| facts.unnamed_nodes += usize::from(n.name().is_empty()));
    facts.graph = main.name().to_string();
    facts.inputs = inputs(main);
    facts.outputs = main.output.iter().map(|v| typed(port::of(v), typing)).collect();
    facts.nodes = main.nodes_in_all();
    facts.operators = operators(main);
    facts.computes = typing.computes(main);
    each_subgraph(main, "", &mut |at| facts.subgraphs.push(at));
    facts.tensorrt = tensorrt::notes(source, typing, &facts);
    facts.node_list = nodes.then(|| {
        let mut list = Vec::new();
        list_nodes(main, "", typing, &mut list);
        list
    });
    facts
}

/// Those that a caller must feed: older models list their initializers as inputs, too.
fn inputs(main: &GraphProto) -> Vec<Port> {
    let default = |name: &str| main.initializer.iter().any(|t| t.name() == name);
    main.input.iter().filter(|v| !default(v.name())).map(port::of).collect()
}

/// The type of an output that only inference knows.
fn typed(mut port: Port, typing: &Typing) -> Port {
    if port.dtype.is_none() && port.other.is_none() {
        port.dtype = typing.of("", &port.name);
    }
    port
}

fn opsets(model: &ModelProto) -> Vec<Opset> {
    let domain = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_string() };
    let mut opsets: Vec<Opset> =
        model.opset_import.iter().map(|o| Opset { domain: domain(o.domain()), version: o.version() }).collect();
    opsets.sort_by(|a, b| a.domain.cmp(&b.domain));
    opsets
}

fn producer(model: &ModelProto) -> Option<String> {
    let text = format!("{} {}", model.producer_name(), model.producer_version());
    Some(text.trim().to_string()).filter(|text| !text.is_empty())
}

fn metadata(model: &ModelProto) -> Vec<(String, String)> {
    model.metadata_props.iter().map(|e| (e.key().to_string(), e.value().to_string())).collect()
}

fn operators(main: &GraphProto) -> Vec<Operator> {
    let mut counts: HashMap<(String, String), usize> = HashMap::new();
    each_node(main, &mut |node| {
        let domain = if node.domain() == "ai.onnx" { "" } else { node.domain() };
        *counts.entry((node.op_type().to_string(), domain.to_string())).or_default() += 1;
    });
    let mut operators: Vec<Operator> =
        counts.into_iter().map(|((op_type, domain), count)| Operator { op_type, domain, count }).collect();
    operators.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.op_type, &a.domain).cmp(&(&b.op_type, &b.domain))));
    operators
}

fn functions(model: &ModelProto) -> Vec<Function> {
    let calls = |name: &str, domain: &str| {
        let mut calls = 0;
        if let Some(main) = &model.graph {
            each_node(main, &mut |n| calls += usize::from(n.op_type() == name && n.domain() == domain));
        }
        calls
    };
    let function = |f: &crate::onnx::FunctionProto| Function {
        name: f.name().to_string(),
        domain: f.domain().to_string(),
        nodes: f.node.len(),
        calls: calls(f.name(), f.domain()),
    };
    model.functions.iter().map(function).collect()
}

fn quantised(source: &Source) -> Option<Quantised> {
    let model = source.model.as_ref().ok()?;
    // The numbers of nodes are the same in both forms of the model.
    let pairs = qdq::pairs(model, source.graph.as_ref().ok()?);
    let weights = pairs.iter().filter(|p| p.weight).count();
    let unequal = pairs.iter().filter(|p| p.quantizer.is_some()).map(|p| p.tensor.clone()).collect();
    let per_channel = pairs.iter().filter(|p| p.axis.is_some()).count();
    let types = Count::each(pairs.iter().map(|p| p.dtype.to_string()));
    Some(Quantised { weights, activations: pairs.len() - weights, per_channel, unequal, types })
}

/// Calls `f` on every node of `graph` and of all graphs inside it, outer ones first.
pub fn each_node<'a>(graph: &'a GraphProto, f: &mut impl FnMut(&'a NodeProto)) {
    for node in &graph.node {
        f(node);
        node.subgraphs().for_each(|(_, inner)| each_node(inner, f));
    }
}

fn each_subgraph(graph: &GraphProto, prefix: &str, f: &mut impl FnMut(Subgraph)) {
    for node in &graph.node {
        for (attribute, inner) in node.subgraphs() {
            let name = format!("{prefix}{}", node_name(node));
            let path = format!("{name}/{attribute}/");
            let (op_type, attribute) = (node.op_type().to_string(), attribute.to_string());
            f(Subgraph { node: name, op_type, attribute, nodes: inner.node.len() });
            each_subgraph(inner, &path, f);
        }
    }
}

fn list_nodes(graph: &GraphProto, prefix: &str, typing: &Typing, list: &mut Vec<NodeFacts>) {
    let operand = |name: &String| Operand {
        name: name.clone(),
        dtype: typing.of(prefix, name),
        shape: typing.shape(prefix, name),
    };
    for node in &graph.node {
        list.push(NodeFacts {
            name: node_name(node),
            op_type: node.op_type().to_string(),
            domain: node.domain().to_string(),
            subgraph: prefix.strip_suffix('/').map(str::to_string),
            inputs: node.input.iter().map(operand).collect(),
            outputs: node.output.iter().map(operand).collect(),
            cost: Cost::default(),
        });
        for (attribute, inner) in node.subgraphs() {
            list_nodes(inner, &format!("{prefix}{}/{attribute}/", node_name(node)), typing, list);
        }
    }
}
