//! Graphs as lines, for tests: `name: out, out = Op(in, in)`, ended by a line or a semicolon. Without a name a node is called
//! `make_` and its first output; `-` leaves it nameless. What nobody makes is an input if it is one letter, else a weight.

use std::collections::{BTreeSet, HashSet};

use crate::onnx::NodeProto;

/// A graph as a test writes it.
pub struct Lines {
    /// In the order of the text.
    pub nodes: Vec<NodeProto>,
    /// By name, sorted.
    pub inputs: Vec<String>,
    /// By name, sorted.
    pub weights: Vec<String>,
    /// Tensors that nobody reads, in the order of the text.
    pub ends: Vec<String>,
}

/// Panics on what is no such text: it is the test's own.
pub fn read(text: &str) -> Lines {
    let lines = text.split(['\n', ';']).map(str::trim).filter(|line| !line.is_empty());
    let nodes: Vec<NodeProto> = lines.map(node).collect();
    let made: HashSet<&String> = nodes.iter().flat_map(|n| &n.output).collect();
    let read: HashSet<&String> = nodes.iter().flat_map(|n| &n.input).collect();
    let free: BTreeSet<&String> = read.iter().copied().filter(|name| !made.contains(name)).collect();
    let (inputs, weights) = free.into_iter().cloned().partition(|name: &String| name.len() == 1);
    let ends = nodes.iter().flat_map(|n| &n.output).filter(|name| !read.contains(name)).cloned().collect();
    Lines { inputs, weights, ends, nodes }
}

fn node(line: &str) -> NodeProto {
    let parts = || {
        let (outputs, call) = line.split_once(" = ")?;
        let (name, outputs) = outputs.split_once(": ").map_or((None, outputs), |(name, rest)| (Some(name), rest));
        let (op_type, inputs) = call.strip_suffix(')')?.split_once('(')?;
        let inputs: Vec<&str> = inputs.split(", ").filter(|input| !input.is_empty()).collect();
        Some((name, outputs.split(", ").collect::<Vec<&str>>(), op_type, inputs))
    };
    let Some((name, outputs, op_type, inputs)) = parts() else { panic!("no node: {line}") };
    let name = name.map_or(format!("make_{}", outputs[0]), |name| name.trim_matches('-').to_string());
    NodeProto::new(op_type, &name, &inputs, &outputs)
}
