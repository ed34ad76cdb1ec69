//! What to say of a name that the graph does not have: users take a node for its tensors, and misspell.

use std::collections::HashSet;

use super::{Graph, Node, Read, Source};
use crate::names::{did_you_mean, nearest};

impl Graph {
    /// Is it a tensor that a node makes, or an output of the model?
    pub fn knows(&self, tensor: &str) -> bool {
        self.tensor(tensor).is_some() || self.outputs.iter().any(|(output, _)| output == tensor)
    }

    /// "no tensor 'X'", and what may have been meant: the tensors of the node of that name, or names that are near.
    pub fn no_tensor(&self, name: &str) -> String {
        let what = format!("no tensor '{name}'");
        if let Some(node) = self.nodes.iter().find(|node| node.name == name) {
            return format!("{what}, but a node of that name, which makes {}", self.made(node));
        }
        if self.inputs.iter().any(|input| input == name) {
            return format!("{what} that a node makes: it is an input, the same on both sides");
        }
        if self.weights().any(|weight| weight == name) {
            return format!("{what} that a node makes: it is an initializer");
        }
        what + &self.near(name)
    }

    /// "; did you mean ...?" with tensors, or with those of a node whose name is near.
    fn near(&self, name: &str) -> String {
        let outputs = self.outputs.iter().map(|(output, _)| output.as_str());
        let near = did_you_mean(name, outputs.chain(self.tensors.iter().map(|tensor| tensor.key.as_str())));
        if !near.is_empty() {
            return near;
        }
        let meant = nearest(name, self.nodes.iter().map(|node| node.name.as_str())).into_iter().next();
        match meant.and_then(|near| self.nodes.iter().find(|node| node.name == near)) {
            Some(node) => format!("; did you mean {} of the node '{}'?", self.made(node), node.name),
            None => "; `layerdiff inspect MODEL --nodes` lists the names".to_string(),
        }
    }

    /// `'a', 'b'`
    fn made(&self, node: &Node) -> String {
        let made: Vec<String> = node.writes.iter().map(|t| format!("'{}'", self.tensors[*t].key)).collect();
        if made.is_empty() { "no tensor".to_string() } else { made.join(", ") }
    }

    /// Initializers that nodes read, by the names in their own graphs.
    pub fn weights(&self) -> impl Iterator<Item = &str> {
        let weight = |read: &Read| read.source == Source::Initializer;
        let read: HashSet<&str> =
            self.nodes.iter().flat_map(|n| &n.reads).filter(|r| weight(r)).map(|r| r.name.as_str()).collect();
        read.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};

    fn graph() -> Graph {
        let graph = GraphProto {
            node: vec![
                NodeProto::new("Split", "split", &["x", "w"], &["left", "right"]),
                NodeProto::new("Add", "/layer/sum", &["left", "right"], &["y"]),
            ],
            input: vec![ValueInfoProto::bare("x")],
            initializer: vec![TensorProto { name: Some("w".into()), ..Default::default() }],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        };
        Graph::new(&ModelProto { graph: Some(graph), ..Default::default() }).unwrap()
    }

    #[test]
    fn a_name_leads_to_the_tensor() {
        let check = |name: &str, want: &str| assert_eq!(graph().no_tensor(name), want);
        check("split", "no tensor 'split', but a node of that name, which makes 'left', 'right'");
        check("rihgt", "no tensor 'rihgt'; did you mean 'right'?");
        check("/layer/smu", "no tensor '/layer/smu'; did you mean 'y' of the node '/layer/sum'?");
        check("x", "no tensor 'x' that a node makes: it is an input, the same on both sides");
        check("w", "no tensor 'w' that a node makes: it is an initializer");
        check("nothing", "no tensor 'nothing'; `layerdiff inspect MODEL --nodes` lists the names");
        assert!(graph().knows("y") && graph().knows("left") && !graph().knows("x"));
    }
}
