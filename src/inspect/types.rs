//! Element types of everything in a model: ONNX Runtime's inference where it is there and takes the model, else what the file declares.

use std::collections::HashMap;
use std::path::Path;

use super::facts::{Computes, Count, Dim, Inferred};
use super::file::Source;
use super::port;
use crate::graph::node_name;
use crate::lab::{Survey, Surveyed};
use crate::mark::Types;
use crate::onnx::{GraphProto, NodeProto};
use crate::run::RunError;
use crate::run::ort::{Runtime, library};
use crate::tensor::{DType, Tensors};

/// Types and declared shapes by tensor key (`if_3/then_branch/y`).
#[derive(Default)]
pub struct Typing {
    types: Types,
    shapes: HashMap<String, Vec<Dim>>,
    /// Why ONNX Runtime was not asked, or did not answer.
    why: Option<String>,
}

/// Asks the ONNX Runtime that `ort` names, or the one of this user; with `feeds` shapes are those for inputs like these.
pub fn typing(source: &Source, ort: Option<&Path>, feeds: &[Tensors]) -> Typing {
    let mut typing = Typing::default();
    if let Some(main) = source.main() {
        typing.declare(main, "");
    }
    typing.shapes.extend(feeds.iter().flatten().map(|(name, fed)| (name.clone(), fixed(&fed.shape))));
    match infer(source, ort, feeds) {
        Ok(surveyed) => typing.learn(source, surveyed, feeds),
        Err(why) => typing.why = Some(why),
    }
    typing
}

fn infer(source: &Source, ort: Option<&Path>, feeds: &[Tensors]) -> Result<Surveyed, String> {
    let model = source.model.as_ref().map_err(String::clone)?;
    let graph = source.graph.as_ref().map_err(String::clone)?;
    let library = library::find(ort).map_err(|e| e.to_string())?;
    let ort = Runtime::start(&library.path).map_err(|e| e.to_string())?;
    match Survey::of(&ort, model, graph, feeds) {
        Ok(surveyed) => Ok(surveyed),
        Err(RunError::Build { reason, .. }) => Err(format!("ONNX Runtime refuses the model: {}", first_line(&reason))),
        Err(other) => Err(other.to_string()),
    }
}

fn fixed(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|d| Dim::Fixed(*d as i64)).collect()
}

fn open(shape: &[Option<usize>]) -> Vec<Dim> {
    shape.iter().map(|d| d.map_or(Dim::Open, |d| Dim::Fixed(d as i64))).collect()
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default().trim()
}

impl Typing {
    /// What was inferred is more than what is declared; what only a run tells, a run on the feeds tells.
    fn learn(&mut self, source: &Source, surveyed: Surveyed, feeds: &[Tensors]) {
        let Surveyed { survey, session } = surveyed;
        let Ok(graph) = &source.graph else { return };
        let mut unknown = Vec::new();
        for (number, tensor) in graph.tensors.iter().enumerate() {
            // ONNX Runtime says the same of a scalar and of a shape that it does not know.
            match survey.shape(&tensor.key).filter(|shape| !shape.is_empty()) {
                Some(shape) => drop(self.shapes.insert(tensor.key.clone(), fixed(shape))),
                None if graph.producer(number).scope.is_empty() => unknown.push(tensor.key.clone()),
                None => {}
            }
            if let Some(shape) = survey.open_shape(&tensor.key) {
                self.shapes.entry(tensor.key.clone()).or_insert_with(|| open(shape));
            }
        }
        self.types.extend(survey.types);
        if let Some(feed) = feeds.first().filter(|_| !unknown.is_empty())
            && let Ok(ran) = session.shapes(feed, &unknown)
        {
            self.shapes.extend(ran.into_iter().map(|(key, shape)| (key, fixed(&shape))));
        }
    }

    /// The element type of what `name` means in the subgraph `prefix` (`if_3/then_branch/`; empty in the main graph).
    pub fn of(&self, prefix: &str, name: &str) -> Option<DType> {
        visible(prefix, name).find_map(|key| self.types.get(&key).copied())
    }

    /// The declared shape of what `name` means there.
    pub fn shape(&self, prefix: &str, name: &str) -> Option<Vec<Dim>> {
        visible(prefix, name).find_map(|key| self.shapes.get(&key).cloned())
    }

    /// The types of what nodes compute: constants are only written down.
    pub fn computes(&self, main: &GraphProto) -> Computes {
        let mut made = Vec::new();
        self.made(main, "", &mut made);
        let unknown = made.iter().filter(|dtype| dtype.is_none()).count();
        let types = Count::each(made.into_iter().flatten().map(|dtype| dtype.to_string()));
        let source = if self.why.is_none() { Inferred::Onnxruntime } else { Inferred::Declared };
        Computes { source, why: self.why.clone(), types, unknown }
    }

    fn made(&self, graph: &GraphProto, prefix: &str, made: &mut Vec<Option<DType>>) {
        for node in graph.node.iter().filter(|n| !n.is("Constant")) {
            let outputs = node.output.iter().filter(|o| !o.is_empty());
            made.extend(outputs.map(|o| self.types.get(&format!("{prefix}{o}")).copied()));
        }
        each_body(graph, prefix, |inner, path| self.made(inner, path, made));
    }

    fn declare(&mut self, graph: &GraphProto, prefix: &str) {
        for value in graph.input.iter().chain(&graph.value_info).chain(&graph.output) {
            let key = format!("{prefix}{}", value.name());
            if let Some(shape) = value.as_tensor().and_then(|t| t.shape.as_ref()) {
                self.shapes.insert(key.clone(), port::dims(shape));
            }
            self.types.extend(value.dtype().map(|dtype| (key, dtype)));
        }
        let constants: Vec<_> =
            graph.node.iter().filter_map(|n| Some((n.output.first()?.as_str(), n.constant()?))).collect();
        let held = constants.iter().map(|(name, t)| (*name, t));
        for (name, t) in graph.initializer.iter().map(|t| (t.name(), t)).chain(held) {
            let key = format!("{prefix}{name}");
            self.shapes.insert(key.clone(), t.dims.iter().map(|d| Dim::Fixed(*d)).collect());
            self.types.extend(t.dtype().map(|dtype| (key, dtype)));
        }
        each_body(graph, prefix, |inner, path| self.declare(inner, path));
    }
}

fn each_body(graph: &GraphProto, prefix: &str, mut f: impl FnMut(&GraphProto, &str)) {
    let bodies = |node: &NodeProto| -> Vec<String> {
        node.subgraphs().map(|(attribute, _)| format!("{prefix}{}/{attribute}/", node_name(node))).collect()
    };
    for node in &graph.node {
        for (path, (_, inner)) in bodies(node).iter().zip(node.subgraphs()) {
            f(inner, path);
        }
    }
}

/// The keys that `name` may have, seen from the subgraph `prefix`: its own first, then those of the graphs around it.
pub fn visible<'a>(prefix: &'a str, name: &'a str) -> impl Iterator<Item = String> + 'a {
    let mut around = Some(prefix);
    std::iter::from_fn(move || {
        let here = around?;
        // A prefix is `node/attribute/`, several times; names may have slashes, so each cut is tried.
        around = here.strip_suffix('/').map(|inner| inner.rfind('/').map_or("", |at| &inner[..=at]));
        Some(format!("{here}{name}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_for_inside_out() {
        let keys: Vec<String> = visible("if/then_branch/", "y").collect();
        assert_eq!(keys, ["if/then_branch/y", "if/y", "y"]);
        assert_eq!(visible("", "y").collect::<Vec<_>>(), ["y"]);
    }
}
