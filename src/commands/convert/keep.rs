//! `--keep`: which nodes each means, and that each means one at least.

use anyhow::bail;

use crate::cli::Keep;
use crate::graph::{Node, node_name};
use crate::load::Model;
use crate::names::did_you_mean;
use crate::onnx::GraphProto;

impl Keep {
    /// Does it mean this node?
    pub fn means(&self, node: &Node) -> bool {
        let path = || node.subgraph().map(|inside| format!("{inside}/{}", node.name));
        match self {
            Keep::Name(name) => node.name == *name || path().as_ref() == Some(name),
            Keep::Operator(op_type) => node.op_type == *op_type,
            Keep::Pattern(regex) => regex.is_match(&node.name),
        }
    }

    fn means_one_of(&self, known: &[Known]) -> bool {
        known.iter().any(|node| match self {
            Keep::Name(name) => node.name == *name || node.path == *name,
            Keep::Operator(op_type) => node.op_type == op_type,
            Keep::Pattern(regex) => regex.is_match(&node.name),
        })
    }
}

/// A node of any graph of the model, bodies of loops included.
struct Known<'a> {
    name: String,
    /// The name behind the way to its graph.
    path: String,
    op_type: &'a str,
    outputs: &'a [String],
}

/// Refuses a `--keep` that means no node, with what may have been meant.
pub fn check(keeps: &[Keep], model: &Model) -> anyhow::Result<()> {
    let mut known = Vec::new();
    if let (Some(graph), false) = (&model.proto.graph, keeps.is_empty()) {
        collect(graph, "", &mut known);
    }
    match keeps.iter().find(|keep| !keep.means_one_of(&known)) {
        Some(keep) => bail!("--keep {keep} matches no node of {}{}", model.path.display(), meant(keep, &known)),
        None => Ok(()),
    }
}

/// What may have been meant by one that means nothing.
fn meant(keep: &Keep, known: &[Known]) -> String {
    let listed = "; `layerdiff inspect MODEL --nodes` lists the names".to_string();
    match keep {
        Keep::Name(name) => match known.iter().find(|node| node.outputs.contains(name)) {
            Some(maker) => format!(": '{name}' is a tensor, and the node '{}' makes it", maker.path),
            None => some(did_you_mean(name, known.iter().map(|node| node.path.as_str()))).unwrap_or(listed),
        },
        Keep::Operator(op_type) => {
            let mut operators: Vec<&str> = known.iter().map(|node| node.op_type).collect();
            operators.sort_unstable();
            operators.dedup();
            let all = || format!("; its operators are {}", operators.join(", "));
            some(did_you_mean(op_type, operators.iter().copied())).unwrap_or_else(all)
        }
        Keep::Pattern(_) => listed,
    }
}

fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn collect<'a>(graph: &'a GraphProto, prefix: &str, known: &mut Vec<Known<'a>>) {
    for node in &graph.node {
        let name = node_name(node);
        let path = format!("{prefix}{name}");
        for (attribute, body) in node.subgraphs() {
            collect(body, &format!("{path}/{attribute}/"), known);
        }
        known.push(Known { name, path, op_type: node.op_type(), outputs: &node.output });
    }
}
