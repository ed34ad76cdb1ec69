//! What an emulation of FP16 adds up in, and what it makes of weights: the sentences.

use super::NAMED;
use crate::found::words::{number, plural};
use crate::names::few;

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

pub(super) fn inside(node: &str, op_type: &str, reaches: f64, more: usize) -> String {
    let more = if more > 0 { format!(", and so do those of {}", plural(more, "other node")) } else { String::new() };
    format!(
        "this agrees with FP32 accumulation; in FP16 the sum inside '{node}' ({op_type}) reaches {}, beyond its largest value, 65504{more}: try --accumulate fp16",
        number(reaches)
    )
}

pub(super) fn clamped(all: &[Beyond]) -> String {
    let one = |b: &Beyond| format!("'{}' ({}, up to {})", b.weight, plural(b.values, "value"), number(b.furthest));
    let of = plural(all.len(), "weight");
    let verb = if all.len() == 1 { "has" } else { "have" };
    format!(
        "{of} {verb} values beyond FP16's range, which were clamped to 65504 as TensorRT does: {}",
        few(all.iter().map(one), NAMED)
    )
}

pub(super) fn left(nodes: usize, operators: &[String]) -> String {
    let (verb, its) = if nodes == 1 { ("sums", "it is") } else { ("sum", "they are") };
    format!(
        "{} ({}) {verb} in FP32 as without --accumulate fp16: {its} not emulated otherwise",
        plural(nodes, "node"),
        few(operators, NAMED)
    )
}
