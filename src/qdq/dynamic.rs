//! Quantised operators that are no QDQ pairs: products of integers whose activations are quantised while the model runs
//! (`quantize_dynamic`), QOperator files, n-bit weights. Each is one unit that can be left unquantised. Finds them by what reads
//! what, never by names, and puts float nodes in their place. Model -> model; runs nothing.
//!
//! ```text
//! units (find) -> restored (partner: the reference's weight and name) -> without_units (edit)
//! ```

mod edit;
mod find;
mod partner;
mod stored;

pub use edit::{float_key, without_units};
pub use find::units;
pub use partner::{Partners, Restored};
pub use stored::Stored;

use crate::onnx::AttributeProto;

/// One quantised operator with everything around it that exists for its sake.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Number of the quantised operator in `graph.nodes`.
    pub node: usize,
    /// Number of the node that makes `result`: the operator itself, or the last product with a scale.
    pub last: usize,
    /// Numbers of the nodes that go with it where nobody else reads them.
    pub around: Vec<usize>,
    /// The float operator: `MatMul`.
    pub float: &'static str,
    /// Its attributes.
    pub attributes: Vec<AttributeProto>,
    /// What it reads, by input.
    pub operands: Vec<Operand>,
    /// What is added to its result.
    pub bias: Option<Operand>,
    /// What it makes, by number in `graph.tensors`: floats, or codes where `codes` says so.
    pub result: usize,
    /// How `result` is to be quantised again for those who read codes.
    pub codes: Option<Code>,
    /// Does it quantise its activations while the model runs?
    pub dynamic: bool,
    /// Bits of its weights, where these are fewer than eight or the only thing that is quantised.
    pub bits: Option<i64>,
}

/// Names of a scale and a zero point (empty: none).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Of the scale.
    pub scale: String,
    /// Of the zero point.
    pub zero_point: String,
}

/// What a float operator reads.
#[derive(Clone, Debug)]
pub enum Operand {
    /// A tensor that is there, under its name in the graph of the unit's last node; empty: none.
    Name(String),
    /// Integers of this name, that stand for floats.
    Codes(String, Code),
    /// A weight that is stored quantised.
    Weight(Box<Stored>),
}

impl Unit {
    /// The stored weights, with the inputs of the float operator that they are.
    pub fn weights(&self) -> impl Iterator<Item = (usize, &Stored)> {
        self.operands.iter().enumerate().filter_map(|(slot, operand)| match operand {
            Operand::Weight(stored) => Some((slot, &**stored)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests;
