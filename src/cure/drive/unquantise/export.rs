//! The nodes to leave unquantised, told to every tool that can do so, and what each pair loses: one folder that appears
//! complete or not at all. Searches nothing and runs nothing.
//!
//! Each file of source is one export, and `folder()` lists them all: one more consumer is one more of both.

mod mixed;
mod modelopt;
mod nodes;
mod onnxruntime;
mod qdq_loss;
mod quantise;
mod readme;

use std::collections::BTreeMap;
use std::path::Path;

use super::Unquantised;
use crate::cure::export::{Folder, LIST};
use crate::found::Overrides;
use crate::graph::Node;
use crate::lab::quantised::keys;
use crate::qdq::{Exclusions, Pair, exclusions};

/// What was found, and how programs call it.
pub struct Told<'a> {
    remedy: &'a Unquantised<'a>,
    /// Left unquantised, by number in the float graph; empty where nothing cures the outputs.
    nodes: &'a [usize],
    found: &'a Overrides,
    /// The pairs that go.
    removed: Vec<&'a Pair>,
    excluded: Exclusions,
    /// Nodes that have no name in the float model.
    unnamed: Vec<String>,
}

/// The files in the order of the page.
fn folder<'a>() -> Folder<Told<'a>> {
    Folder {
        sign: LIST,
        exports: vec![
            mixed::export(),
            onnxruntime::export(),
            modelopt::export(),
            quantise::export(),
            quantise::modelopt(),
        ],
        lists: vec![qdq_loss::export(), nodes::export()],
        title: readme::title,
        head: readme::head,
        note: readme::note,
    }
}

/// Writes the folder `dir` as a whole, in place of an older one, and gives back the files by consumer. Where there is no
/// cure, the losses alone are worth a look.
pub fn write(dir: &Path, told: &Told) -> anyhow::Result<BTreeMap<String, String>> {
    folder().write(dir, told)
}

impl<'a> Told<'a> {
    /// Of these nodes, which `found` tells of as well.
    pub fn new(remedy: &'a Unquantised, nodes: &'a [usize], found: &'a Overrides) -> Told<'a> {
        let (names, unnamed) = names(remedy, nodes);
        let removed = remedy.quantised.removed(nodes);
        let excluded = exclusions(&remedy.candidate.graph, names, &removed);
        Told { remedy, nodes, found, removed, excluded, unnamed }
    }

    /// Is there a cure to tell programs of?
    fn cured(&self) -> bool {
        !self.nodes.is_empty()
    }

    fn is_removed(&self, pair: &Pair) -> bool {
        self.removed.iter().any(|removed| removed.dequantize == pair.dequantize)
    }
}

/// What the float model calls the tensor of a pair: an output of the model has its name behind the pair.
pub fn tensor_name(remedy: &Unquantised, pair: &Pair) -> String {
    let known = |key: &&String| remedy.reference.graph.tensor(key).is_some();
    let keys = keys(remedy.candidate, pair);
    keys.iter().find(known).unwrap_or(&pair.tensor).clone()
}

/// What to tell a quantiser so that it leaves these pairs out.
fn excluded(remedy: &Unquantised, pairs: &[usize]) -> Exclusions {
    let mut nodes: Vec<usize> = pairs.iter().flat_map(|n| remedy.quantised.owners[*n].iter().copied()).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let gone: Vec<&Pair> = pairs.iter().map(|n| &remedy.quantised.pairs[*n]).collect();
    exclusions(&remedy.candidate.graph, names(remedy, &nodes).0, &gone)
}

/// The nodes as the float model calls them, which is what quantisers read; and those that have no name there.
fn names(remedy: &Unquantised, nodes: &[usize]) -> (Vec<String>, Vec<String>) {
    let mut names = Vec::new();
    let mut unnamed = Vec::new();
    for number in nodes {
        let node = &remedy.quantised.float.nodes[*number];
        match float_name(remedy, *number) {
            Some(name) if name.is_empty() => unnamed.push(node.name.clone()),
            Some(name) => names.push(name),
            None => names.push(node.name.clone()),
        }
    }
    (names, unnamed)
}

/// The name in the reference's file: of the node that is called the same, else of the one that makes the same tensor.
fn float_name(remedy: &Unquantised, number: usize) -> Option<String> {
    let (float, graph) = (&remedy.quantised.float, &remedy.reference.graph);
    let node = &float.nodes[number];
    let named = |n: &&Node| n.name == node.name && n.op_type == node.op_type && n.scope.len() == node.scope.len();
    if let Some(proto) = graph.nodes.iter().find(named).and_then(|n| n.proto(&remedy.reference.model.proto)) {
        return Some(proto.name().to_string());
    }
    let made = float.nodes[number].writes.iter();
    // An output of the model has its name behind the Identity that stands for its pair.
    let behind = |t: &usize| float.children(*t).into_iter().filter(|c| float.producer(*c).op_type == "Identity");
    let keys = made.flat_map(|t| std::iter::once(*t).chain(behind(t)));
    let found = keys.filter_map(|t| graph.tensor(&float.tensors[t].key)).next()?;
    let proto = graph.producer(found).proto(&remedy.reference.model.proto)?;
    Some(proto.name().to_string())
}
