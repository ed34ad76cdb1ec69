//! The graph as patterns see it: constants folded away, Casts and changes of shape looked through, readers by tensor.

use std::collections::{HashMap, HashSet};

use crate::graph::{Graph, Source};

/// A graph, and what its tensors come from.
pub struct Net<'a> {
    graph: &'a Graph,
    /// By tensor: where its value comes from, behind the nodes that only hand it on.
    origin: Vec<Operand<'a>>,
    /// By tensor: the nodes that compute with it; those that only hand it on are not among them.
    readers: Vec<Vec<usize>>,
    /// The nodes that only hand a value on, and whose.
    handed: Vec<(usize, Operand<'a>)>,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand<'a> {
    /// Known before the model runs.
    Constant,
    /// Fed, by this name.
    Input(&'a str),
    /// Computed: number in [`Graph::tensors`].
    Tensor(usize),
}

impl<'a> Net<'a> {
    /// In time linear in the size of the graph.
    pub fn new(graph: &'a Graph) -> Net<'a> {
        let tensors = graph.tensors.len();
        let readers = vec![Vec::new(); tensors];
        let mut net = Net { graph, origin: Vec::with_capacity(tensors), readers, handed: Vec::new() };
        // Nodes and their tensors are numbered in execution order: what a node reads has its origin already.
        for (number, node) in graph.nodes.iter().enumerate() {
            let operands: Vec<Operand> = net.operands(number).collect();
            let folded = !operands.is_empty() && operands.iter().all(|o| *o == Operand::Constant);
            let constant = node.op_type == "Constant" || folded && node.results.is_empty();
            let passed = match (net.op(number), &operands[..]) {
                ("Cast" | "Identity" | "Reshape" | "Expand" | "Squeeze" | "Unsqueeze", [data, ..]) => Some(*data),
                _ => None,
            };
            for &tensor in &node.writes {
                let origin = if constant { Operand::Constant } else { passed.unwrap_or(Operand::Tensor(tensor)) };
                net.origin.push(origin);
            }
            if let Some(data) = passed {
                net.handed.push((number, data));
            } else {
                for operand in operands {
                    if let Operand::Tensor(tensor) = operand {
                        net.readers[tensor].push(number);
                    }
                }
            }
        }
        net
    }

    /// The graph as it is.
    pub fn graph(&self) -> &'a Graph {
        self.graph
    }

    /// Gives the nodes that only hand on a value from one node of a group to others of it to the group.
    pub fn join_handed(&self, group: &mut [Option<usize>]) {
        let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
        let handing: HashSet<usize> = self.handed.iter().map(|(node, _)| *node).collect();
        for (number, node) in self.graph.nodes.iter().enumerate() {
            for read in &node.reads {
                if let Source::Tensor(tensor) = read.source {
                    let maker = self.graph.tensors[tensor].node;
                    if handing.contains(&maker) {
                        readers.entry(maker).or_default().push(number);
                    }
                }
            }
        }
        // The last of several in a row knows its readers first.
        for &(node, data) in self.handed.iter().rev() {
            let from = self.maker(data).and_then(|maker| group[maker]);
            let to = readers.get(&node).map_or(&[][..], Vec::as_slice);
            if group[node].is_none() && from.is_some() && !to.is_empty() && to.iter().all(|r| group[*r] == from) {
                group[node] = from;
            }
        }
    }

    /// The operator; empty if it is not one of ONNX's own.
    pub fn op(&self, node: usize) -> &'a str {
        let node = &self.graph.nodes[node];
        if node.domain.is_empty() { &node.op_type } else { "" }
    }

    /// What a node computes with, each value once: `Mul(x, x)` has one operand.
    pub fn operands(&self, node: usize) -> impl Iterator<Item = Operand<'a>> {
        self.graph.nodes[node].reads.iter().map(|read| match read.source {
            Source::Tensor(tensor) => self.origin[tensor],
            Source::Input => Operand::Input(&read.name),
            Source::Initializer => Operand::Constant,
        })
    }

    /// The operands that are computed while the model runs.
    pub fn varying(&self, node: usize) -> Vec<Operand<'a>> {
        self.operands(node).filter(|o| *o != Operand::Constant).collect()
    }

    /// The only operand that is not constant.
    pub fn sole(&self, node: usize) -> Option<Operand<'a>> {
        let mut varying = self.operands(node).filter(|o| *o != Operand::Constant);
        let sole = varying.next()?;
        varying.next().is_none().then_some(sole)
    }

    /// Does the node compute with nothing but this one value?
    pub fn unary(&self, node: usize) -> bool {
        self.operands(node).count() == 1
    }

    /// The node that computes the value, if any does.
    pub fn maker(&self, operand: Operand) -> Option<usize> {
        match operand {
            Operand::Tensor(tensor) => Some(self.graph.tensors[tensor].node),
            Operand::Constant | Operand::Input(_) => None,
        }
    }

    /// The node's first output, as others read it.
    pub fn output(&self, node: usize) -> Option<Operand<'a>> {
        self.graph.nodes[node].writes.first().map(|tensor| self.origin[*tensor])
    }

    /// The nodes that compute with the first output.
    pub fn readers(&self, node: usize) -> &[usize] {
        match self.output(node) {
            Some(Operand::Tensor(tensor)) => &self.readers[tensor],
            _ => &[],
        }
    }
}
