//! The nodes that must stay in FP32, told to every tool that can keep them there: one file per consumer, in one folder
//! that appears complete or not at all. Searches nothing and runs nothing.
//!
//! Each file of source is one export, and `folder()` lists them all: one more consumer is one more of both.

mod autocast;
mod float16;
mod folder;
mod mixed;
pub mod model;
mod names;
mod nodes;
mod outcome;
mod readme;
mod script;
mod trtexec;

pub use autocast::anchored;
pub use folder::{Content, Export, Folder, LIST, MIXED, coded, command, line, plain, plain_path, pretty};
pub use names::named;
pub use outcome::with_outcome;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use crate::graph::Graph;
use crate::load::Model;
use crate::mark::Types;
use crate::onnx::ModelProto;
use crate::spec::Precision;

/// What to keep, and in which model.
pub struct Override<'a> {
    /// The file under debugging.
    pub source: &'a Model,
    /// What `graph` was built from: the file's proto, or an edit that keeps the nodes.
    pub model: &'a ModelProto,
    /// Its nodes and tensors.
    pub graph: &'a Graph,
    /// Element types of its tensors, as far as they are known.
    pub types: &'a Types,
    /// Numbers in `graph.nodes`.
    pub kept: &'a [usize],
    /// What all other nodes run in.
    pub low: Precision,
    /// The model with explicit Casts, or (TF32) with split operands.
    pub mixed: Option<ModelProto>,
    /// What is said of the cure.
    pub story: Story,
}

/// What is known about the cure.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The candidate agreed with these nodes in FP32.
    pub verified: bool,
    /// The nodes are too many for a cure.
    pub limited: bool,
    /// What the errors are: "max abs of logits".
    pub measure: String,
    /// With nothing kept.
    pub error_before: f64,
    /// With these nodes kept.
    pub error_after: f64,
    /// The kept nodes, each in one group at most.
    pub groups: Vec<Group>,
}

/// Kept nodes that an engineer would name as one: "layer 3 attention mask".
#[derive(Clone, Debug)]
pub struct Group {
    /// As an engineer would name them.
    pub title: String,
    /// Numbers in `graph.nodes`.
    pub nodes: Vec<usize>,
}

/// A node to keep, as the exported files call it.
struct Kept {
    number: usize,
    name: String,
    op_type: String,
    outputs: Vec<String>,
    /// Position in the node list of its own graph.
    index: usize,
    subgraph: Option<String>,
    /// Every output is a float tensor.
    float: bool,
}

/// An override with what all files say alike: the names, and which model has them.
struct Told<'a> {
    o: &'a Override<'a>,
    /// The model with a name for every node.
    named: ModelProto,
    /// The names that are new in it.
    renamed: Vec<String>,
    kept: Vec<Kept>,
    /// The model that the files speak of, as a program is told of it.
    onnx: String,
}

/// The files in the order of the page.
fn folder<'a>() -> Folder<Told<'a>> {
    Folder {
        sign: LIST,
        exports: vec![
            names::export(),
            mixed::export(),
            trtexec::export(),
            script::export(),
            autocast::export(),
            float16::export(),
        ],
        lists: vec![nodes::export()],
        title: readme::title,
        head: readme::head,
        note: readme::note,
    }
}

/// Writes the folder `dir` as a whole, in place of an older one, and gives back the files by consumer.
pub fn write(dir: &Path, o: &Override) -> anyhow::Result<BTreeMap<String, String>> {
    folder().write(dir, &Told::new(o)?)
}

impl<'a> Told<'a> {
    fn new(o: &'a Override<'a>) -> anyhow::Result<Told<'a>> {
        let (named, renamed) = named(o.model);
        let kept = kept(o, &named)?;
        let own_path = plain_path(&o.source.path).filter(|_| renamed.is_empty());
        let onnx = own_path.unwrap_or_else(|| names::FILE.to_string());
        Ok(Told { o, named, renamed, kept, onnx })
    }

    /// No program can be told to leave TF32 at single nodes: there is the model alone.
    fn has_arguments(&self) -> bool {
        self.o.low != Precision::Tf32
    }
}

/// The nodes to keep in the model's order, by their names in `named`.
fn kept(o: &Override, named: &ModelProto) -> anyhow::Result<Vec<Kept>> {
    let mut numbers = o.kept.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let one = |number: usize| {
        let node = o.graph.nodes.get(number)?;
        let proto = node.proto(named)?;
        let float = |t: &usize| o.types.get(&o.graph.tensors[*t].key).is_none_or(|d| d.is_float());
        Some(Kept {
            number,
            name: proto.name().to_string(),
            op_type: node.op_type.clone(),
            outputs: proto.output.iter().filter(|o| !o.is_empty()).cloned().collect(),
            index: node.index,
            subgraph: node.subgraph(),
            float: node.writes.iter().all(float),
        })
    };
    numbers.into_iter().map(|n| one(n).with_context(|| format!("the model has no node number {n}"))).collect()
}

#[cfg(test)]
mod tests;
