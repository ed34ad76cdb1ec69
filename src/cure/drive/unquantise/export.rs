//! The nodes to leave unquantised, told to every tool that can do so, and what each pair loses: one folder that appears
//! complete or not at all. Searches nothing and runs nothing.

mod readme;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use super::Quantised;
use super::losses::Loss;
use super::misfits::Misfit;
use crate::cure::export::{LIST, MIXED, plain_path, write_files};
use crate::found::{Overrides, TensorResult};
use crate::graph::Node;
use crate::lab::Side;
use crate::qdq::{Exclusions, exclusions};
use crate::tensor::DType;

/// What was found.
pub struct Export<'a> {
    pub reference: &'a Side,
    pub candidate: &'a Side,
    pub quantised: &'a Quantised,
    /// Left unquantised, by number in `quantised.float`; empty where nothing cures the outputs.
    pub nodes: &'a [usize],
    pub overrides: &'a Overrides,
    /// By pair.
    pub losses: &'a [Option<Loss>],
    /// Pairs whose parameters do not fit, the largest loss first.
    pub misfits: &'a [Misfit],
    /// What was measured in both models.
    pub accumulated: &'a [TensorResult],
}

/// Writes the folder `dir` as a whole, in place of an older one, and gives back the files by consumer. Where there is no
/// cure, the losses alone are worth a look.
pub fn write(dir: &Path, e: &Export) -> anyhow::Result<BTreeMap<String, String>> {
    let cured = !e.nodes.is_empty();
    let (names, unnamed) = names(e);
    let told = exclusions(&e.candidate.graph, names, &e.quantised.removed(e.nodes));
    let mut texts = vec![("nodes", LIST, tables::nodes(e)?), ("qdq_loss", "qdq_loss.json", tables::losses(e)?)];
    if cured {
        texts.push(("onnxruntime", "ort_quantize.json", tables::onnxruntime(&told)?));
        texts.push(("modelopt", "modelopt_quantize.args", arguments(e, &told)));
    }
    texts.push(("readme", "README.md", readme::page(e, &unnamed)));
    let without = || e.quantised.without(&e.candidate.model.proto, e.candidate, e.nodes);
    let mixed = cured.then(|| e.candidate.model.lean(&without()));
    let models: Vec<_> = mixed.iter().map(|lean| ("onnx", MIXED, lean)).collect();
    write_files(dir, &texts, &models)
}

/// The nodes as the float model calls them, which is what quantisers read; and those that have no name there.
fn names(e: &Export) -> (Vec<String>, Vec<String>) {
    let mut names = Vec::new();
    let mut unnamed = Vec::new();
    for number in e.nodes {
        let node = &e.quantised.float.nodes[*number];
        match float_name(e, *number) {
            Some(name) if name.is_empty() => unnamed.push(node.name.clone()),
            Some(name) => names.push(name),
            None => names.push(node.name.clone()),
        }
    }
    (names, unnamed)
}

/// The name in the reference's file: of the node that is called the same, else of the one that makes the same tensor.
fn float_name(e: &Export, number: usize) -> Option<String> {
    let (float, graph) = (&e.quantised.float, &e.reference.graph);
    let node = &float.nodes[number];
    let named = |n: &&Node| n.name == node.name && n.op_type == node.op_type && n.scope.len() == node.scope.len();
    if let Some(proto) = graph.nodes.iter().find(named).and_then(|n| n.proto(&e.reference.model.proto)) {
        return Some(proto.name().to_string());
    }
    let made = float.nodes[number].writes.iter();
    // An output of the model has its name behind the Identity that stands for its pair.
    let behind = |t: &usize| float.children(*t).into_iter().filter(|c| float.producer(*c).op_type == "Identity");
    let keys = made.flat_map(|t| std::iter::once(*t).chain(behind(t)));
    let found = keys.filter_map(|t| graph.tensor(&float.tensors[t].key)).next()?;
    let proto = graph.producer(found).proto(&e.reference.model.proto)?;
    Some(proto.name().to_string())
}

/// For ModelOpt, one argument a line.
fn arguments(e: &Export, told: &Exclusions) -> String {
    let onnx = plain_path(&e.reference.model.path).unwrap_or_else(|| "model.onnx".to_string());
    let activations = e.quantised.pairs.iter().filter(|p| !p.weight).chain(&e.quantised.pairs);
    let mode = match activations.map(|p| p.dtype).next() {
        Some(DType::Float8e4m3fn | DType::Float8e5m2) => "fp8",
        Some(DType::Int4 | DType::Uint4) => "int4",
        _ => "int8",
    };
    let mut lines = vec![
        format!("--onnx_path={onnx}"),
        "--output_path=model.quantised.onnx".to_string(),
        format!("--quantize_mode={mode}"),
        "--nodes_to_exclude".to_string(),
    ];
    lines.extend_from_slice(&told.modelopt);
    lines.join("\n") + "\n"
}
