//! Models to ask about: the whole without some nodes, and one node alone. What was made outside is an input of its own type and
//! shape; constants stay constants.

use std::collections::{BTreeSet, HashSet};

use super::Known;
use super::items::{Item, Items, reads};
use crate::inspect::facts::Dim;
use crate::inspect::types::visible;
use crate::onnx::{
    DimValue, Dimension, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, ValueInfoProto,
};
use crate::tensor::DType;

/// The model without the nodes `gone` of its main graph, and without what nobody reads then; `Ok(None)` where no node is left. An
/// error names nodes that cannot stay: they read something whose type nobody knows.
pub fn without(items: &Items, gone: &HashSet<usize>, known: &Known) -> Result<Option<ModelProto>, BTreeSet<usize>> {
    let Some(whole) = &items.model.graph else { return Ok(None) };
    if gone.is_empty() {
        return Ok(Some(items.model.clone()));
    }
    let (out, stay): (Vec<_>, Vec<_>) = whole.node.iter().enumerate().partition(|(at, _)| gone.contains(at));
    let lost: HashSet<&str> = out.iter().flat_map(|(_, node)| node.output.iter().map(String::as_str)).collect();
    let (mut read, mut stuck) = (HashSet::new(), BTreeSet::new());
    for (at, node) in &stay {
        let needs = reads(node);
        let unknown = |name: &String| lost.contains(name.as_str()) && known.input("", name).is_none();
        if needs.iter().any(unknown) {
            stuck.insert(*at);
        }
        read.extend(needs);
    }
    if !stuck.is_empty() {
        return Err(stuck);
    }
    if stay.is_empty() {
        return Ok(None);
    }
    let made = lost.iter().filter(|name| read.contains(**name)).filter_map(|name| known.input("", name));
    let is_read = |name: &str| read.contains(name);
    let graph = GraphProto {
        name: whole.name.clone(),
        node: stay.into_iter().map(|(_, node)| node.clone()).collect(),
        initializer: whole.initializer.iter().filter(|t| is_read(t.name())).cloned().collect(),
        sparse_initializer: whole.sparse_initializer.clone(),
        input: whole.input.iter().filter(|v| is_read(v.name())).cloned().chain(made).collect(),
        output: whole.output.iter().filter(|v| !lost.contains(v.name())).cloned().collect(),
        ..Default::default()
    };
    Ok(Some(ModelProto { graph: Some(graph), ..items.model.clone() }))
}

/// One node as a model; `None` where the type of something that it reads is not known.
pub fn alone(items: &Items, item: &Item, known: &Known) -> Option<ModelProto> {
    let (mut input, mut initializer) = (Vec::new(), Vec::new());
    let mut names: Vec<String> = reads(&item.node).into_iter().collect();
    names.sort_unstable();
    for name in names {
        match known.constant(&item.prefix, &name) {
            Some(value) => initializer.push(TensorProto { name: Some(name), ..value.clone() }),
            None => input.push(known.input(&item.prefix, &name)?),
        }
    }
    let made = item.node.output.iter().filter(|name| !name.is_empty());
    let output = made.filter_map(|name| known.input(&item.prefix, name)).collect();
    let node: Vec<NodeProto> = vec![item.node.clone()];
    let graph = GraphProto { name: Some("layerdiff".into()), node, initializer, input, output, ..Default::default() };
    Some(ModelProto { graph: Some(graph), ..items.model.clone() })
}

impl Known<'_> {
    fn constant(&self, prefix: &str, name: &str) -> Option<&TensorProto> {
        visible(prefix, name).find_map(|key| self.constants.get(&key))
    }

    /// As an input of a cut: open dimensions stay open, and lose their names, which may not hold there.
    fn input(&self, prefix: &str, name: &str) -> Option<ValueInfoProto> {
        let size = |dim: &Dim| match dim {
            Dim::Fixed(n) => Dimension { value: Some(DimValue::DimValue(*n)), denotation: None },
            Dim::Symbol(_) | Dim::Open => Dimension::default(),
        };
        let is = |keys: &HashSet<String>| visible(prefix, name).any(|key| keys.contains(&key));
        let dtype = self.typing.of(prefix, name)?;
        let dtype = if dtype == DType::Uint8 && is(&self.quantised) { DType::Int8 } else { dtype };
        let shape = if is(&self.scalars) { Vec::new() } else { self.typing.shape(prefix, name)? };
        Some(ValueInfoProto::typed(name, dtype, Some(TensorShapeProto { dim: shape.iter().map(size).collect() })))
    }
}
