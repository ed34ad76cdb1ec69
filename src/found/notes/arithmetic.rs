//! What an emulation of FP16 adds up in, and what it makes of weights: the sentences.

use std::fmt;

use super::NAMED;
use crate::found::words::{number, plural};
use crate::names::few;

/// Remarks on the arithmetic of an emulation.
#[derive(Clone, Debug, PartialEq)]
pub enum Arithmetic {
    /// Everything agrees, and in these nodes it does so because the emulation adds up in FP32.
    SumInside {
        /// The first of them, by name.
        node: String,
        /// Its operator.
        op_type: String,
        /// How far a partial sum goes from zero, by the reference's values.
        reaches: f64,
        /// Others.
        more: usize,
    },
    /// Nodes that add up in FP32 where FP16 was asked for.
    SumsLeft {
        /// How many.
        nodes: usize,
        /// Of which operators, each once.
        operators: Vec<String>,
    },
    /// Weights beyond FP16's range that were made its largest value.
    Clamped(Vec<Beyond>),
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&match self {
            Arithmetic::SumInside { node, op_type, reaches, more } => inside(node, op_type, *reaches, *more),
            Arithmetic::SumsLeft { nodes, operators } => left(*nodes, operators),
            Arithmetic::Clamped(weights) => clamped(weights),
        })
    }
}

/// A weight with values beyond FP16's range.
#[derive(Clone, Debug, PartialEq)]
pub struct Beyond {
    /// By name.
    pub weight: String,
    /// Finite values that FP16 has no finite number for.
    pub values: usize,
    /// The furthest of them from zero.
    pub furthest: f64,
}

fn inside(node: &str, op_type: &str, reaches: f64, more: usize) -> String {
    let more = if more > 0 { format!(", and so do those of {}", plural(more, "other node")) } else { String::new() };
    format!(
        "this agrees with FP32 accumulation; in FP16 the sum inside '{node}' ({op_type}) reaches {}, beyond its largest value, 65504{more}: try --accumulate fp16",
        number(reaches)
    )
}

fn clamped(all: &[Beyond]) -> String {
    let one = |b: &Beyond| format!("'{}' ({}, up to {})", b.weight, plural(b.values, "value"), number(b.furthest));
    let of = plural(all.len(), "weight");
    let verb = if all.len() == 1 { "has" } else { "have" };
    format!(
        "{of} {verb} values beyond FP16's range, which were clamped to 65504 as TensorRT does: {}",
        few(all.iter().map(one), NAMED)
    )
}

fn left(nodes: usize, operators: &[String]) -> String {
    let (verb, its) = if nodes == 1 { ("sums", "it is") } else { ("sum", "they are") };
    format!(
        "{} ({}) {verb} in FP32 as without --accumulate fp16: {its} not emulated otherwise",
        plural(nodes, "node"),
        few(operators, NAMED)
    )
}
