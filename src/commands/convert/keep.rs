//! `--keep`: which nodes each means, and that each means one at least.

use anyhow::bail;

use crate::cli::Keep;
use crate::graph::inline::{Call, Inlined};
use crate::graph::{Node, node_name};
use crate::load::Model;
use crate::names::did_you_mean;
use crate::onnx::GraphProto;

impl Keep {
    /// Does it mean this node?
    pub fn means(&self, node: &Node) -> bool {
        let path = node.subgraph().map(|inside| format!("{inside}/{}", node.name));
        self.fits(&node.name, path.as_ref().unwrap_or(&node.name), &node.op_type)
    }

    /// Does it mean this call, and with it the body of the function?
    pub fn means_call(&self, call: &Call) -> bool {
        self.fits(&call.name, &call.path, &call.op_type)
    }

    fn fits(&self, name: &str, path: &str, op_type: &str) -> bool {
        match self {
            Keep::Name(wanted) => name == wanted || path == wanted,
            Keep::Operator(wanted) => op_type == wanted,
            Keep::Pattern(regex) => regex.is_match(name),
        }
    }

    fn means_one_of(&self, known: &[Known]) -> bool {
        known.iter().any(|node| self.fits(&node.name, &node.path, node.op_type))
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

/// Refuses a `--keep` that means no node, with what may have been meant. `inlined` is the model with what is in its functions.
pub fn check(keeps: &[Keep], model: &Model, inlined: Option<&Inlined>) -> anyhow::Result<()> {
    let mut known = Vec::new();
    let graphs = [model.proto.graph.as_ref(), inlined.and_then(|inlined| inlined.model.graph.as_ref())];
    graphs.into_iter().flatten().filter(|_| !keeps.is_empty()).for_each(|graph| collect(graph, "", &mut known));
    let calls = inlined.iter().flat_map(|inlined| inlined.calls());
    known.extend(calls.map(|call| Known {
        name: call.name.clone(),
        path: call.path.clone(),
        op_type: &call.op_type,
        outputs: &[],
    }));
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
