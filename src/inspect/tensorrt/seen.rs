//! A node as the checks see it: its operands with their types, shapes and constant values.

use std::collections::HashMap;

use crate::inspect::constants::constants;
use crate::inspect::facts::Dim;
use crate::inspect::file::Source;
use crate::inspect::lint::each_named;
use crate::inspect::statistics::statistics;
use crate::inspect::types::{Typing, visible};
use crate::onnx::{NodeProto, TensorProto};
use crate::tensor::DType;

/// What is known of the model around its nodes.
pub struct Around<'a> {
    source: &'a Source,
    typing: &'a Typing,
    constants: HashMap<String, TensorProto>,
}

/// A node of any graph.
pub struct Seen<'a> {
    /// As users know it.
    pub name: String,
    /// Its operator and attributes.
    pub node: &'a NodeProto,
    prefix: String,
    around: &'a Around<'a>,
}

impl<'a> Around<'a> {
    /// Of the whole model.
    pub fn of(source: &'a Source, typing: &'a Typing) -> Around<'a> {
        let constants = constants(source).into_iter().map(|c| (c.key.clone(), c.proto.into_owned())).collect();
        Around { source, typing, constants }
    }

    /// In the order of the file.
    pub fn nodes(&'a self) -> Vec<Seen<'a>> {
        let mut all = Vec::new();
        if let Some(main) = self.source.main() {
            each_named(main, "", &mut |name, prefix, node| {
                all.push(Seen { name, node, prefix: prefix.to_string(), around: self });
            });
        }
        all
    }
}

impl Seen<'_> {
    /// Is it one of these operators of ONNX's?
    pub fn is(&self, operators: &[&str]) -> bool {
        operators.iter().any(|op_type| self.node.is(op_type))
    }

    /// What it reads there; `None` where that is left out.
    pub fn input(&self, at: usize) -> Option<&str> {
        self.node.input.get(at).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// Are there outputs after the first?
    pub fn has_more_outputs(&self) -> bool {
        self.node.output.iter().skip(1).any(|name| !name.is_empty())
    }

    /// The type of an input.
    pub fn reads(&self, at: usize) -> Option<DType> {
        self.around.typing.of(&self.prefix, self.input(at)?)
    }

    /// The types of what it makes.
    pub fn makes(&self) -> impl Iterator<Item = DType> {
        self.node.output.iter().filter_map(|name| self.around.typing.of(&self.prefix, name))
    }

    /// The shape of an input.
    pub fn shape(&self, at: usize) -> Option<Vec<Dim>> {
        self.around.typing.shape(&self.prefix, self.input(at)?)
    }

    /// The constant that it reads there.
    pub fn constant(&self, at: usize) -> Option<&TensorProto> {
        let name = self.input(at)?;
        visible(&self.prefix, name).find_map(|key| self.around.constants.get(&key))
    }

    /// The least and the largest value of that constant.
    pub fn range(&self, at: usize) -> Option<[f64; 2]> {
        let values = statistics(&self.around.source.value(self.constant(at)?)?)?;
        Some([values.min.0, values.max.0])
    }

    /// Does an input of the model come in there as it is?
    pub fn is_fed(&self, at: usize) -> bool {
        let main = self.around.source.main();
        let fed = |name: &str| main.is_some_and(|main| main.input.iter().any(|input| input.name() == name));
        self.input(at).is_some_and(fed) && self.constant(at).is_none()
    }

    /// Is an initializer that it reads sparse?
    pub fn reads_sparse(&self) -> bool {
        let sparse = self.around.source.main().into_iter().flat_map(|main| &main.sparse_initializer);
        let mut names = sparse.filter_map(|s| s.values.as_ref()).map(|values| values.name());
        names.any(|name| self.node.input.iter().any(|input| input == name))
    }

    /// An attribute that is an integer.
    pub fn int(&self, name: &str) -> Option<i64> {
        self.node.attr(name).map(|attribute| attribute.i())
    }

    /// An attribute that is a text; empty where it is not there.
    pub fn text(&self, name: &str) -> String {
        self.node.attr(name).map(|a| String::from_utf8_lossy(a.s()).into_owned()).unwrap_or_default()
    }
}
