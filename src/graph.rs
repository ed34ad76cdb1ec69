//! The ONNX graph in petgraph: nodes in execution order, who makes and who reads each tensor, ancestors, cuts.
//! Values in, values out: nothing here runs a model or opens a file.
//!
//! The nodes of If branches are part of the graph, before the If that holds them: a fault inside a branch is found there.
//! The bodies of Loop and Scan run many times and are not; the loop is one node that reads what its body captures.

mod build;
pub mod call;
mod extract;
pub mod front;
pub mod inline;
mod named;

pub use extract::{Extract, Outputs, boundary, describe, extract, initializer};

use std::collections::HashMap;

use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, Reversed};

use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// A model's graph. Tensors and nodes are numbered in execution order, so a number is a topological position.
pub struct Graph {
    /// In execution order; numbers of nodes are positions here.
    pub nodes: Vec<Node>,
    /// In the order in which nodes make them; numbers of tensors are positions here.
    pub tensors: Vec<Value>,
    /// Names of the model's inputs that a caller must feed (initializers with defaults left out).
    pub inputs: Vec<String>,
    /// The model's outputs, by tensor where a node makes them.
    pub outputs: Vec<(String, Option<usize>)>,
    by_key: HashMap<String, usize>,
    /// The tensors again: an edge from each tensor to those computed from it.
    dag: DiGraph<(), ()>,
}

/// A node of the main graph, or of a branch of an If.
pub struct Node {
    /// As in the file; `node_of_<first output>` where the file has none (TensorRT's rule).
    pub name: String,
    /// Of the operator or function.
    pub op_type: String,
    /// As in the file, so "ai.onnx" stays apart from an empty one.
    pub domain: String,
    /// Position in the node list of its own graph.
    pub index: usize,
    /// The way to its graph: position and attribute of each holding node, outermost first. Empty in the main graph.
    pub scope: Vec<Step>,
    /// What it reads, captured values of its subgraphs included, without omitted inputs.
    pub reads: Vec<Read>,
    /// For an If: the tensors its branches give it.
    pub results: Vec<usize>,
    /// Tensors it makes.
    pub writes: Vec<usize>,
}

/// One step into a subgraph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    /// Position of the holding node in the node list of its own graph.
    pub node: usize,
    /// Of the holding node, as [`node_name`] says it.
    pub name: String,
    /// Of the holding node: the one whose value is the subgraph.
    pub attribute: String,
}

/// A value that a node reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// The name in the node's own graph.
    pub name: String,
    /// Where the value comes from.
    pub source: Source,
}

/// Who gives a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A node does: this tensor's, by number.
    Tensor(usize),
    /// The caller does; the name is the main graph's.
    Input,
    /// The file does, in the graph of the reader or in one around it.
    Initializer,
}

/// A tensor that a node makes.
pub struct Value {
    /// Unique in the model: the name, behind the path of its subgraph (`if_3/then_branch/y`).
    pub key: String,
    /// The name in its own graph.
    pub name: String,
    /// The number of the node that makes it.
    pub node: usize,
}

impl Graph {
    /// Checks and orders the graph; a cycle, a tensor made twice or by nobody is one sentence.
    pub fn new(model: &ModelProto) -> anyhow::Result<Graph> {
        build::build(model)
    }

    /// The number of the tensor with this key; `None` for inputs, initializers and what is not in the graph.
    pub fn tensor(&self, key: &str) -> Option<usize> {
        self.by_key.get(key).copied()
    }

    /// The keys of these tensors, in the same order.
    pub fn keys(&self, tensors: &[usize]) -> Vec<String> {
        tensors.iter().map(|t| self.tensors[*t].key.clone()).collect()
    }

    /// The node that makes it; panics for a number that is not of this graph.
    pub fn producer(&self, tensor: usize) -> &Node {
        &self.nodes[self.tensors[tensor].node]
    }

    /// The tensors that `tensor` is computed from, one step up.
    pub fn parents(&self, tensor: usize) -> Vec<usize> {
        let up = self.dag.neighbors_directed(NodeIndex::new(tensor), petgraph::Incoming);
        let mut parents: Vec<usize> = up.map(NodeIndex::index).collect();
        parents.sort_unstable();
        parents
    }

    /// The tensors computed directly from `tensor`.
    pub fn children(&self, tensor: usize) -> Vec<usize> {
        let mut children: Vec<usize> = self.dag.neighbors(NodeIndex::new(tensor)).map(NodeIndex::index).collect();
        children.sort_unstable();
        children
    }

    /// Everything that is computed from `tensor`, itself included, as one flag a tensor.
    pub fn descendants(&self, tensor: usize) -> Vec<bool> {
        let mut seen = vec![false; self.tensors.len()];
        let mut dfs = Dfs::new(&self.dag, NodeIndex::new(tensor));
        while let Some(i) = dfs.next(&self.dag) {
            seen[i.index()] = true;
        }
        seen
    }

    /// `tensor` and everything it is computed from, as one flag a tensor.
    pub fn ancestors(&self, tensors: &[usize]) -> Vec<bool> {
        let mut seen = vec![false; self.tensors.len()];
        let up = Reversed(&self.dag);
        let mut dfs = Dfs::empty(up);
        for &t in tensors {
            dfs.move_to(NodeIndex::new(t));
            while let Some(i) = dfs.next(up) {
                seen[i.index()] = true;
            }
        }
        seen
    }

    /// Is the value written in the file (a Constant node) rather than computed?
    pub fn is_constant(&self, tensor: usize) -> bool {
        let node = self.producer(tensor);
        node.op_type == "Constant" && node.domain.is_empty()
    }
}

impl Node {
    /// `if_3/then_branch` of the innermost graph that holds it, joined outermost first; `None` in the main graph.
    pub fn subgraph(&self) -> Option<String> {
        let steps: Vec<String> = self.scope.iter().map(|s| format!("{}/{}", s.name, s.attribute)).collect();
        (!steps.is_empty()).then(|| steps.join("/"))
    }

    /// This node in `model`, which must be the model the graph was built from (or an edit that keeps node positions).
    pub fn proto<'a>(&self, model: &'a ModelProto) -> Option<&'a NodeProto> {
        graph_at(model.graph.as_ref()?, &self.scope)?.node.get(self.index)
    }
}

/// The subgraph that `scope` leads to.
pub fn graph_at<'a>(main: &'a GraphProto, scope: &[Step]) -> Option<&'a GraphProto> {
    scope.iter().try_fold(main, |graph, step| graph.node.get(step.node)?.attr(&step.attribute)?.g.as_ref())
}

/// The subgraph that `scope` leads to, to be edited.
pub fn graph_at_mut<'a>(main: &'a mut GraphProto, scope: &[Step]) -> Option<&'a mut GraphProto> {
    scope.iter().try_fold(main, |graph, step| {
        let node = graph.node.get_mut(step.node)?;
        node.attribute.iter_mut().find(|a| a.name() == step.attribute)?.g.as_mut()
    })
}

/// The name by which users know a node.
pub fn node_name(node: &NodeProto) -> String {
    match node.name() {
        "" => format!("node_of_{}", node.output.iter().find(|o| !o.is_empty()).map_or("nothing", String::as_str)),
        name => name.to_string(),
    }
}

#[cfg(test)]
pub mod lines;
