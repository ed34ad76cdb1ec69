//! The bodies of a node, as far as names go: what they read from outside, and the same bodies under other names. Nothing is compared here.

use std::collections::{BTreeSet, HashMap};

use crate::onnx::{GraphProto, NodeProto};

/// Names that the bodies of the node read and do not make themselves.
pub fn captured(node: &NodeProto) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, body) in node.subgraphs() {
        let own: BTreeSet<String> = made(body).into_iter().collect();
        let results = body.output.iter().map(|output| output.name().to_string());
        let inner = body.node.iter().flat_map(|n| n.input.iter().cloned().chain(captured(n)));
        names.extend(results.chain(inner).filter(|name| !name.is_empty() && !own.contains(name)));
    }
    names
}

/// Names that the graph itself gives: inputs, weights, what its nodes make.
pub fn made(graph: &GraphProto) -> Vec<String> {
    let inputs = graph.input.iter().map(|input| input.name());
    let weights = graph.initializer.iter().map(|t| t.name());
    let sparse = graph.sparse_initializer.iter().filter_map(|s| Some(s.values.as_ref()?.name()));
    let nodes = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    let all = inputs.chain(weights).chain(sparse).chain(nodes);
    all.filter(|name| !name.is_empty()).map(str::to_string).collect()
}

/// Calls everything in the bodies of the node by the names of `known`, and what they make themselves by those of `fresh`.
pub fn rename(node: &mut NodeProto, known: &HashMap<String, String>, fresh: &mut dyn FnMut(&str) -> String) {
    for body in node.subgraphs_mut() {
        let mut names = known.clone();
        names.extend(made(body).into_iter().map(|name| (name.clone(), fresh(&name))));
        let called = |name: &mut String| {
            if let Some(other) = names.get(name.as_str()) {
                name.clone_from(other);
            }
        };
        let infos = body.input.iter_mut().chain(&mut body.output).filter_map(|info| info.name.as_mut());
        let weights = body.initializer.iter_mut().filter_map(|t| t.name.as_mut());
        let sparse = body.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut()?.name.as_mut());
        infos.chain(weights).chain(sparse).for_each(called);
        body.value_info.clear();
        for inner in &mut body.node {
            inner.input.iter_mut().chain(&mut inner.output).for_each(called);
            rename(inner, &names, fresh);
        }
    }
}
