//! The units to leave unquantised, told to the quantisers that made them, and the file without them: one folder that appears
//! complete or not at all. Searches nothing and runs nothing.

mod lists;
mod readme;

use std::collections::BTreeMap;
use std::path::Path;

use super::{File, Undynamic};
use crate::cure::export::{Content, Export, Folder, LIST, MIXED, line};
use crate::found::Overrides;
use crate::qdq::dynamic::Unit;

/// What was found.
pub struct Told<'a> {
    /// Whose units they are.
    pub remedy: &'a Undynamic<'a>,
    /// Left unquantised, by number in the float graph; empty where nothing cures the outputs.
    pub nodes: &'a [usize],
    /// What is said of them.
    pub found: &'a Overrides,
}

/// The files in the order of the page.
fn folder<'a>() -> Folder<Told<'a>> {
    Folder {
        sign: LIST,
        exports: vec![mixed(), lists::dynamic(), lists::n_bits(), lists::operators()],
        lists: vec![lists::nodes()],
        title: readme::title,
        head: readme::head,
        note: readme::note,
    }
}

/// Writes the folder `dir` as a whole, in place of an older one, and gives back the files by consumer.
pub fn write(dir: &Path, told: &Told) -> anyhow::Result<BTreeMap<String, String>> {
    folder().write(dir, told)
}

/// model.mixed.onnx: the quantised file without these units, for every program.
fn mixed<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "onnx",
        file: MIXED,
        content: |told| {
            let model = || told.remedy.candidate.model.written(&told.remedy.file.without(told.nodes));
            Ok((!told.nodes.is_empty()).then(|| Content::Model(model())))
        },
        section: |_| {
            vec![line(
                "**model.mixed.onnx** is the quantised model with these nodes in float; weights are those of the float model.",
            )]
        },
    }
}

impl Told<'_> {
    /// The units of the nodes, by number.
    fn units(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().filter_map(|n| self.remedy.file.unit(*n))
    }

    /// The names of these units as their quantiser reads them; those without a name are left out.
    fn names(&self, kind: Kind) -> Vec<String> {
        let (remedy, file) = (self.remedy, self.remedy.file);
        let of_kind = self.units().filter(|u| Kind::of(file, *u) == kind && remedy.is_named(*u));
        of_kind.flat_map(|u| std::iter::once(file.restored[u].name.clone()).chain(remedy.other_name(u))).collect()
    }
}

/// Who made a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `quantize_dynamic`.
    Dynamic,
    /// `MatMulNBitsQuantizer`.
    Bits,
    /// `quantize_static` with `QuantFormat.QOperator`.
    Operators,
}

impl Kind {
    /// By the operators of the file: both of the last two quantise tables in the same way.
    fn of(file: &File, unit: usize) -> Kind {
        let op = |unit: &Unit| file.graph.nodes[unit.node].op_type.as_str();
        let operators = || file.units.iter().any(|u| op(u).starts_with("QLinear") || op(u) == "QGemm");
        match file.units[unit].bits {
            Some(_) => Kind::Bits,
            None if operators() => Kind::Operators,
            None => Kind::Dynamic,
        }
    }
}
