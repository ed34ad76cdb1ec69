//! How two files differ, as values: node for node, slot for slot, with what an operator means in the opset of its file; and one file
//! with some of these differences undone. Files in, values out: nothing here runs a model or decides what a difference is to blame for.

mod alike;
mod captured;
mod compared;
mod edit;
mod fused;
mod held;
mod names;
mod order;
mod pair;
mod renamed;
mod restate;
pub mod schemas;
mod scope;
mod slots;
#[cfg(test)]
mod tests;
mod upward;
mod words;

pub use compared::{all, at};
pub use edit::undone;
pub use renamed::{Renamed, renamed};
pub use schemas::Schemas;

use crate::graph::Step;
use crate::load::Model;
use crate::onnx::ModelProto;
use held::Held;
use names::Names;

/// A file to be set against another.
#[derive(Clone, Copy)]
pub struct File<'a> {
    /// Whose weights are meant.
    pub model: &'a Model,
    /// Its graph, in the form in which it is compared.
    pub proto: &'a ModelProto,
    /// As sentences call it.
    pub name: &'a str,
}

/// Two files, and which names of one are which of the other.
pub struct Two<'a> {
    /// The one that is believed.
    pub mine: File<'a>,
    /// The one under suspicion.
    pub theirs: File<'a>,
    schemas: Schemas,
    names: Names,
}

/// A node of a file.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// The way from the main graph.
    pub path: Vec<Step>,
    /// Position in its own graph.
    pub index: usize,
    /// As users know it.
    pub name: String,
    /// Its operator.
    pub op_type: String,
}

/// One difference between the files.
#[derive(Clone, Debug)]
pub struct Difference {
    /// The tensor of the believed file whose maker differs.
    pub tensor: String,
    /// Its maker there.
    pub mine: At,
    /// Its maker in the other file.
    pub theirs: At,
    /// In what.
    pub what: What,
}

/// In what two nodes differ.
#[derive(Clone, Debug)]
pub enum What {
    /// The files declare other versions of a domain, and the operator changed in between.
    Opset {
        /// Empty for ONNX's own operators.
        domain: String,
        /// What the believed file declares.
        mine: i64,
        /// What the other one declares.
        theirs: i64,
    },
    /// An attribute, or an input, by the name that the operator has for it.
    Slot {
        /// That name.
        name: String,
        /// Position among the inputs, in the other file; `None` where it is an attribute there or not there at all.
        input: Option<usize>,
        /// What the believed file has there.
        mine: Held,
        /// What the other file has there.
        theirs: Held,
    },
    /// The same tensors are read in another order.
    Order {
        /// In the believed file.
        mine: Vec<String>,
        /// What the other file has in these slots.
        theirs: Vec<String>,
        /// The slots.
        slots: Vec<usize>,
    },
    /// The tensor is another output of the node.
    Output {
        /// Which one, in the believed file.
        mine: usize,
        /// In the other one.
        theirs: usize,
    },
    /// The body gives other values, or the same in another order.
    Result {
        /// The attribute that holds the body.
        attribute: String,
        /// Which of its outputs: one, or several that have changed places.
        positions: Vec<usize>,
        /// Their names in the believed file.
        mine: Vec<String>,
        /// In the other one.
        theirs: Vec<String>,
    },
    /// Other nodes make it.
    Nodes {
        /// In the believed file, the last first.
        mine: Vec<At>,
        /// In the other one.
        theirs: Vec<At>,
    },
}

impl Difference {
    /// Is it the same difference? A file declares the version of a domain once, whichever node shows it.
    pub fn is_same(&self, other: &Difference) -> bool {
        match (&self.what, &other.what) {
            (What::Opset { domain: a, .. }, What::Opset { domain: b, .. }) => a == b,
            (What::Slot { name: a, .. }, What::Slot { name: b, .. }) => self.mine == other.mine && a == b,
            (What::Result { positions: a, attribute: x, .. }, What::Result { positions: b, attribute: y, .. }) => {
                self.mine == other.mine && a == b && x == y
            }
            (a, b) => self.mine == other.mine && std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }
}

impl<'a> Two<'a> {
    /// `pairs` are tensors of the main graphs, mine and theirs, that stand for each other although their names differ; every other name is
    /// taken for the same thing in both, and so is what is made alike.
    pub fn new(mine: File<'a>, theirs: File<'a>, pairs: &[(String, String)]) -> Two<'a> {
        let names = Names::of(mine.proto.graph.as_ref(), theirs.proto.graph.as_ref(), pairs);
        let two = Two { mine, theirs, schemas: Schemas::new(), names };
        upward::pair(&two);
        two
    }
}

/// The version of `domain` that the model declares; 1 where it declares none.
fn version(model: &ModelProto, domain: &str) -> i64 {
    let plain = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_string() };
    let found = model.opset_import.iter().find(|import| plain(import.domain()) == plain(domain));
    found.map_or(1, |import| import.version())
}
