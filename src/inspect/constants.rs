//! Every tensor whose values a model's file holds: initializers and what Constant nodes make, of all graphs, with the nodes that
//! read them. A proto in, names and protos out; values are read by whoever asks.

use std::borrow::Cow;

use super::file::Source;
use crate::graph::node_name;
use crate::onnx::{GraphProto, NodeProto, TensorProto};
use crate::tensor::Tensor;

/// A tensor of the file.
pub struct Constant<'a> {
    /// Unique in the model: the name, behind the path of its subgraph (`if_3/then_branch/w`).
    pub key: String,
    /// The path alone, `if_3/then_branch/`; empty in the main graph.
    pub prefix: String,
    /// The name in its own graph.
    pub name: &'a str,
    /// A Constant node makes it; otherwise it is an initializer.
    pub made: bool,
    /// Its type and shape, and where its values are.
    pub proto: Cow<'a, TensorProto>,
    /// Nodes that read it, with the place among their inputs.
    pub readers: Vec<(&'a NodeProto, usize)>,
    /// It is an output of its graph.
    pub given_out: bool,
}

impl Constant<'_> {
    /// Its values; `None` where they cannot be read.
    pub fn value(&self, source: &Source) -> Option<Tensor> {
        source.value(&self.proto)
    }
}

/// All of them, in the order of the file, those of outer graphs first.
pub fn constants(source: &Source) -> Vec<Constant<'_>> {
    let mut all = Vec::new();
    if let Some(main) = source.main() {
        add(main, "", &mut all);
    }
    all
}

fn add<'a>(graph: &'a GraphProto, prefix: &str, all: &mut Vec<Constant<'a>>) {
    let reads = Reads::of(graph);
    let mut one = |name: &'a str, proto: Cow<'a, TensorProto>, made: bool| {
        all.push(Constant {
            key: format!("{prefix}{name}"),
            prefix: prefix.to_string(),
            name,
            made,
            proto,
            readers: reads.readers(name),
            given_out: graph.output.iter().any(|o| o.name() == name),
        });
    };
    graph.initializer.iter().for_each(|t| one(t.name(), Cow::Borrowed(t), false));
    for node in &graph.node {
        if let (Some(name), Some(value)) = (node.output.first(), node.constant()) {
            one(name, Cow::Owned(value), true);
        }
    }
    for node in &graph.node {
        for (attribute, inner) in node.subgraphs() {
            add(inner, &format!("{prefix}{}/{attribute}/", node_name(node)), all);
        }
    }
}

/// Who reads what, in a graph and in those inside it, which see its names.
struct Reads<'a>(std::collections::HashMap<&'a str, Vec<(&'a NodeProto, usize)>>);

impl<'a> Reads<'a> {
    fn of(graph: &'a GraphProto) -> Reads<'a> {
        let mut reads = Reads(Default::default());
        reads.add(graph);
        reads
    }

    fn add(&mut self, graph: &'a GraphProto) {
        for node in &graph.node {
            for (slot, input) in node.input.iter().enumerate().filter(|(_, input)| !input.is_empty()) {
                self.0.entry(input).or_default().push((node, slot));
            }
            node.subgraphs().for_each(|(_, inner)| self.add(inner));
        }
    }

    fn readers(&self, name: &str) -> Vec<(&'a NodeProto, usize)> {
        self.0.get(name).cloned().unwrap_or_default()
    }
}
