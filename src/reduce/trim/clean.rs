//! What nobody reads leaves a model: no question is needed, because no value can change. Inputs and outputs stay.

use std::collections::HashSet;

use crate::onnx::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

/// The first IR version whose initializers need not be inputs as well.
const LONE_INITIALIZERS: i64 = 4;

/// Removes unused initializers, functions and opset imports, types of tensors that are gone, documentation, metadata
/// and training information. An initializer that was also an input leaves as both. What an exporter wrote beside a node stays: it says
/// where in somebody's program the node comes from.
pub fn clean(model: &mut ModelProto) {
    model.doc_string = None;
    model.metadata_props.clear();
    model.training_info.clear();
    if let Some(main) = model.graph.as_mut() {
        clean_graph(main);
        drop_initializers(main, true);
        let input = |name: &str| main.input.iter().any(|v| v.name() == name);
        if main.initializer.iter().any(|t| !input(t.name())) && model.ir_version() < LONE_INITIALIZERS {
            model.ir_version = Some(LONE_INITIALIZERS);
        }
    }
    drop_functions(model);
    for function in &mut model.functions {
        clean_function(function);
    }
    drop_opsets(model);
}

/// Names that nodes of `graph` or of graphs inside it read, and names of all their outputs.
pub fn reads(graph: &GraphProto) -> HashSet<String> {
    let mut names = HashSet::new();
    collect_reads(graph, &mut names);
    names
}

fn collect_reads(graph: &GraphProto, names: &mut HashSet<String>) {
    names.extend(graph.output.iter().map(|v| v.name().to_string()));
    for node in &graph.node {
        names.extend(node.input.iter().filter(|i| !i.is_empty()).cloned());
        node.subgraphs().for_each(|(_, inner)| collect_reads(inner, names));
    }
}

fn clean_graph(graph: &mut GraphProto) {
    graph.doc_string = None;
    graph.metadata_props.clear();
    for node in &mut graph.node {
        clean_node(node);
    }
    for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
        value.doc_string = None;
        value.metadata_props.clear();
    }
    for tensor in &mut graph.initializer {
        tensor.doc_string = None;
        tensor.metadata_props.clear();
    }
    let made: HashSet<&String> = graph.node.iter().flat_map(|n| &n.output).collect();
    graph.value_info.retain(|v| v.name.as_ref().is_some_and(|name| made.contains(name)));
}

fn clean_node(node: &mut NodeProto) {
    node.doc_string = None;
    // Loop counts its two first inputs even where they are left out; other domains may do so as well.
    if matches!(node.domain(), "" | "ai.onnx") && !node.is("Loop") {
        while node.input.last().is_some_and(String::is_empty) {
            node.input.pop();
        }
    }
    node.attribute.iter_mut().for_each(clean_attribute);
    for inner in node.subgraphs_mut() {
        clean_graph(inner);
        drop_initializers(inner, false);
    }
}

fn clean_attribute(attribute: &mut AttributeProto) {
    attribute.doc_string = None;
    for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
        tensor.doc_string = None;
        tensor.metadata_props.clear();
    }
}

fn clean_function(function: &mut FunctionProto) {
    function.doc_string = None;
    function.metadata_props.clear();
    function.node.iter_mut().for_each(clean_node);
    let made: HashSet<&String> = function.node.iter().flat_map(|n| &n.output).collect();
    let exists = |name: &String| made.contains(name) || function.input.contains(name);
    function.value_info.retain(|v| v.name.as_ref().is_some_and(exists));
}

/// The inputs of a body are arguments, by position: there they stay.
fn drop_initializers(graph: &mut GraphProto, is_main: bool) {
    let mut read = reads(graph);
    let made: HashSet<&String> = graph.node.iter().flat_map(|n| &n.output).collect();
    let input = |name: &str| graph.input.iter().any(|v| v.name() == name);
    let annotated = |name: &String| read.contains(name) || made.contains(name) || input(name);
    graph.quantization_annotation.retain(|a| a.tensor_name.as_ref().is_some_and(annotated));
    let parameters = graph.quantization_annotation.iter().flat_map(|a| &a.quant_parameter_tensor_names);
    read.extend(parameters.map(|p| p.value().to_string()));
    let gone: HashSet<String> =
        graph.initializer.iter().map(|t| t.name().to_string()).filter(|name| !read.contains(name)).collect();
    graph.initializer.retain(|t| !gone.contains(t.name()));
    graph.sparse_initializer.retain(|s| s.values.as_ref().is_some_and(|v| read.contains(v.name())));
    if is_main {
        graph.input.retain(|v| !gone.contains(v.name()));
    }
}

/// Domain, name and overload: what a node calls and a function is known by.
type Callee = (String, String, String);

fn drop_functions(model: &mut ModelProto) {
    let mut called: HashSet<Callee> = HashSet::new();
    let main = model.graph.iter().flat_map(|g| &g.node);
    main.for_each(|n| calls(n, &mut called));
    let mut before = 0;
    while before < called.len() {
        before = called.len();
        let kept: Vec<&FunctionProto> = model.functions.iter().filter(|f| called.contains(&callee(f))).collect();
        kept.iter().flat_map(|f| &f.node).for_each(|n| calls(n, &mut called));
    }
    model.functions.retain(|f| called.contains(&callee(f)));
}

fn calls(node: &NodeProto, called: &mut HashSet<Callee>) {
    called.insert((plain(node.domain()).to_string(), node.op_type().to_string(), node.overload().to_string()));
    node.subgraphs().flat_map(|(_, g)| &g.node).for_each(|n| calls(n, called));
}

fn callee(function: &FunctionProto) -> Callee {
    (plain(function.domain()).to_string(), function.name().to_string(), function.overload().to_string())
}

fn drop_opsets(model: &mut ModelProto) {
    let mut called = HashSet::new();
    let main = model.graph.iter().flat_map(|g| &g.node);
    main.chain(model.functions.iter().flat_map(|f| &f.node)).for_each(|n| calls(n, &mut called));
    let used: HashSet<&str> = called.iter().map(|(domain, ..)| domain.as_str()).collect();
    let needed = |o: &OperatorSetIdProto| plain(o.domain()).is_empty() || used.contains(o.domain());
    model.opset_import.retain(needed);
}

/// The default domain has two names.
fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
