//! The nodes that must stay in FP32, told to every tool that can keep them there: one file per consumer, in one folder
//! that appears complete or not at all. Searches nothing and runs nothing.

mod autocast;
mod lists;
mod model;
mod names;
pub(crate) mod readme;
mod script;
mod trtexec;

pub use autocast::anchored;
pub use names::named;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::graph::Graph;
use crate::load::{Lean, Model, folder};
use crate::mark::Types;
use crate::onnx::ModelProto;
use crate::spec::Precision;

/// What to keep, and in which model.
pub struct Override<'a> {
    /// The file under debugging.
    pub source: &'a Model,
    /// What `graph` was built from: the file's proto, or an edit that keeps the nodes.
    pub model: &'a ModelProto,
    pub graph: &'a Graph,
    pub types: &'a Types,
    /// Numbers in `graph.nodes`.
    pub kept: &'a [usize],
    /// What all other nodes run in.
    pub low: Precision,
    /// The model with explicit Casts, or (TF32) with split operands, ready to be written.
    pub mixed: Option<Lean>,
    pub story: Story,
}

/// What is known about the cure.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The candidate agreed with these nodes in FP32.
    pub verified: bool,
    /// What the errors are: "max abs of logits".
    pub measure: String,
    pub error_before: f64,
    pub error_after: f64,
    pub groups: Vec<Group>,
}

/// Kept nodes that an engineer would name as one: "layer 3 attention mask".
#[derive(Clone, Debug)]
pub struct Group {
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

/// The file that shows that the folder was written here.
pub const LIST: &str = "nodes.json";
pub const MIXED: &str = "model.mixed.onnx";
const NAMED: &str = "model.named.onnx";

/// Writes the folder `dir` as a whole, in place of an older one, and gives back the files by consumer.
pub fn write(dir: &Path, o: &Override) -> anyhow::Result<BTreeMap<String, String>> {
    let (named, renamed) = named(o.model);
    let kept = kept(o, &named)?;
    let patterns = autocast::patterns(o, &named, &kept);
    let own_path = plain_path(&o.source.path);
    let copied = !renamed.is_empty() || own_path.is_none();
    let onnx = own_path.filter(|_| !copied).unwrap_or_else(|| NAMED.to_string());
    let trtexec = trtexec::arguments(&onnx, o.low, &kept);
    let page = readme::Page { o, kept: &kept, onnx: &onnx, renamed: &renamed, refused: &trtexec.refused };
    let mut texts = vec![("nodes", LIST, lists::nodes(o, &kept, &onnx)?)];
    // No program can be told to leave TF32 at single nodes: there is the model alone.
    if o.low != Precision::Tf32 {
        texts.extend([
            ("trtexec", "trtexec.args", trtexec.text),
            ("polygraphy", "trt_network.py", script::network(o.low, &kept)?),
            ("modelopt", "modelopt_autocast.args", autocast::arguments(&onnx, o.low, &patterns)),
        ]);
    }
    if o.low == Precision::Fp16 {
        texts.push(("onnxruntime", "ort_float16.json", lists::float16(&onnx, &kept)?));
    }
    texts.push(("readme", "README.md", readme::page(&page)));
    let copy = copied.then(|| o.source.lean(&named));
    let models = [copy.as_ref().map(|lean| ("named", NAMED, lean)), o.mixed.as_ref().map(|lean| ("onnx", MIXED, lean))];
    write_files(dir, &texts, &models.into_iter().flatten().collect::<Vec<_>>())
}

/// Writes texts and models, each with its consumer and its name, into `dir` as a whole, in place of an older folder of
/// overrides; gives back the files by consumer. One of the texts is [`LIST`].
pub fn write_files(
    dir: &Path,
    texts: &[(&str, &str, String)],
    models: &[(&str, &str, &Lean)],
) -> anyhow::Result<BTreeMap<String, String>> {
    folder::replaced(dir, LIST, |at| {
        for (_, file, text) in texts {
            fs::write(at.join(file), text).with_context(|| format!("cannot write {file}"))?;
        }
        models.iter().try_for_each(|(_, file, lean)| model::write(lean, at, file))
    })?;
    let named = texts.iter().map(|(consumer, file, _)| (consumer, file));
    let all = named.chain(models.iter().map(|(consumer, file, _)| (consumer, file)));
    Ok(all.map(|(consumer, file)| (consumer.to_string(), dir.join(file).to_string_lossy().into_owned())).collect())
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

/// The absolute path of the model, unless some tool could not read it from a file of arguments.
pub fn plain_path(path: &Path) -> Option<String> {
    let absolute = path.canonicalize().ok()?;
    absolute.to_str().filter(|p| !p.contains(char::is_control)).map(str::to_string)
}

#[cfg(test)]
mod tests;
