//! Which of the tensors that stand for each other in two graphs are one thing, so that one may have the other's name.

use std::collections::{HashMap, HashSet};

use crate::differ::File;
use crate::differ::scope::{Scope, passes};
use crate::onnx::{GraphProto, NodeProto};

/// What each tensor of two graphs is made by and read by: the believed one, then the other one.
pub struct Places<'a> {
    /// The graphs.
    pub graphs: [&'a GraphProto; 2],
    makers: [HashMap<&'a String, &'a NodeProto>; 2],
    readers: [HashMap<&'a String, Vec<&'a NodeProto>>; 2],
    scopes: [Scope<'a>; 2],
    /// All that stand for each other, mine first.
    pairs: HashSet<(&'a String, &'a String)>,
}

/// The nodes by what they make.
pub fn makers(graph: &GraphProto) -> HashMap<&String, &NodeProto> {
    graph.node.iter().flat_map(|node| node.output.iter().map(move |name| (name, node))).collect()
}

/// The same operator?
pub fn is_same(a: &NodeProto, b: &NodeProto) -> bool {
    (a.op_type(), a.domain()) == (b.op_type(), b.domain())
}

impl<'a> Places<'a> {
    /// Of what is paired so far.
    pub fn of(pairs: &'a [(String, String)], files: [File<'a>; 2], graphs: [&'a GraphProto; 2]) -> Places<'a> {
        let [mine, theirs] = files;
        Places {
            graphs,
            makers: graphs.map(makers),
            readers: graphs.map(readers),
            scopes: [Scope::main(mine.model, graphs[0]), Scope::main(theirs.model, graphs[1])],
            pairs: pairs.iter().map(|(mine, theirs)| (mine, theirs)).collect(),
        }
    }

    /// The same operator makes both, or another one does that stands in its place, as whatever reads it shows. Constants are one
    /// where they are the same bits: what computes with another one is at fault, not the file that stores it.
    pub fn are_one(&self, mine: &String, theirs: &String) -> bool {
        let (Some(a), Some(b)) = (self.makers[0].get(mine), self.makers[1].get(theirs)) else { return false };
        match (is_same(a, b), a.op_type() == "Constant" || b.op_type() == "Constant") {
            (true, true) => {
                let [own, other] = [(0, mine), (1, theirs)].map(|(side, name)| self.scopes[side].constant(name));
                own.zip(other).is_some_and(|(own, other)| own.value.identical(&other.value))
            }
            (true, false) => true,
            (false, false) => self.is_read_alike(mine, theirs),
            (false, true) => false,
        }
    }

    /// Do two nodes of one operator, which stand for each other, read them in the same place? A product with a constant and one of
    /// two tensors do not stand for each other, whatever follows them.
    fn is_read_alike(&self, mine: &String, theirs: &String) -> bool {
        let reads = |side: usize, name: &String| self.readers[side].get(name).map(Vec::as_slice).unwrap_or_default();
        let paired = |a: &NodeProto, b: &NodeProto| {
            let both = a.output.first().zip(b.output.first());
            let alike = is_same(a, b) && self.operands(0, a) == self.operands(1, b);
            alike && both.is_some_and(|both| self.pairs.contains(&both))
        };
        reads(0, mine).iter().any(|a| reads(1, theirs).iter().any(|b| paired(a, b)))
    }

    /// How many tensors a node reads that are no constants.
    fn operands(&self, side: usize, node: &NodeProto) -> usize {
        let computed = |name: &&String| !name.is_empty() && self.scopes[side].constant(name).is_none();
        node.input.iter().filter(computed).count()
    }
}

/// The nodes by what they read, as it is behind nodes that change nothing.
fn readers(graph: &GraphProto) -> HashMap<&String, Vec<&NodeProto>> {
    let makers = makers(graph);
    let behind = |name: &'_ String| {
        let mut last = makers.get_key_value(name).map(|(name, _)| *name);
        let mut left = graph.node.len();
        while let Some(before) = last.and_then(|name| passes(makers.get(name)?)).filter(|_| left > 0) {
            (last, left) = (makers.get_key_value(before).map(|(name, _)| *name), left - 1);
        }
        last
    };
    let mut readers: HashMap<&String, Vec<&NodeProto>> = HashMap::new();
    for node in graph.node.iter().filter(|node| passes(node).is_none()) {
        node.input.iter().filter_map(behind).for_each(|name| readers.entry(name).or_default().push(node));
    }
    readers
}
