//! Culprits with one story: the same cause in repeated blocks, and what the outputs would be without it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Culprit, Real, Status, TensorResult};

/// The outputs of a run in which something was put right.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Effect {
    /// All of them agree.
    pub agree: bool,
    /// How many diverge.
    pub diverging: usize,
    /// Relative RMS error of the worst output.
    pub error: Real,
    /// SQNR of the worst output, in dB.
    pub sqnr_db: Real,
    /// Cosine of the worst output.
    pub cosine: Real,
}

/// One finding: culprits of the same operator and cause in nodes that are named alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// The culprits, by the tensors that they make, in topological order.
    pub tensors: Vec<String>,
    /// By name.
    pub nodes: Vec<String>,
    /// Of all of them.
    pub op_type: String,
    /// The code of their first cause; empty where none is known.
    pub code: String,
    /// The outputs with what these nodes make replaced by the reference's values, and nothing else; null where that was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without: Option<Effect>,
    /// The same for this finding and all before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub without_all_so_far: Option<Effect>,
}

impl Effect {
    /// Of these outputs; those that are put right themselves are not among them.
    pub fn of(outputs: &[TensorResult]) -> Effect {
        let metrics = || outputs.iter().filter_map(|o| o.metrics.as_ref());
        let most = |of: &dyn Fn(&super::Metrics) -> f64| metrics().map(of).fold(0.0, worse_above);
        let least = |of: &dyn Fn(&super::Metrics) -> f64, from: f64| metrics().map(of).fold(from, worse_below);
        Effect {
            agree: outputs.iter().all(|o| o.status == Status::Agrees),
            diverging: outputs.iter().filter(|o| o.status == Status::Diverges).count(),
            error: Real(most(&|m| m.relative())),
            sqnr_db: Real(least(&|m| m.decibels(), f64::INFINITY)),
            cosine: Real(least(&|m| m.cosine.0, 1.0)),
        }
    }

    /// `the outputs agree`, or how far off they still are.
    pub fn told(&self) -> String {
        if self.agree {
            return "all outputs agree".to_string();
        }
        let number = super::words::number;
        format!(
            "the outputs diverge: relative error {}, SQNR {} dB, cosine {}",
            number(self.error.0),
            super::words::decibels(self.sqnr_db.0),
            super::words::cosine(self.cosine.0)
        )
    }
}

/// NaN is worse than any number.
fn worse_above(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn worse_below(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

/// The culprits by finding: the same operator, the same first cause, names that differ in numbers only.
pub fn grouped(culprits: &[Culprit]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut known: HashMap<(String, String, String), usize> = HashMap::new();
    for culprit in culprits {
        let code = culprit.diagnosis.first().map_or(String::new(), |d| d.code.clone());
        let key = (culprit.node.op_type.clone(), code.clone(), pattern(&culprit.node.told()));
        let at = *known.entry(key).or_insert_with(|| {
            groups.push(Group { op_type: culprit.node.op_type.clone(), code, ..Group::default() });
            groups.len() - 1
        });
        groups[at].tensors.push(culprit.tensor.clone());
        groups[at].nodes.push(culprit.node.told());
    }
    groups
}

/// The name with `#` for each number.
fn pattern(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::{Diagnosis, NodeRef};

    fn culprit(name: &str, op_type: &str, code: &str) -> Culprit {
        let mut culprit = crate::show::sample::sample_report().culprits[0].clone();
        culprit.node = NodeRef { name: name.into(), op_type: op_type.into(), ..NodeRef::default() };
        culprit.tensor = format!("{name}_out");
        culprit.diagnosis = vec![Diagnosis { code: code.into(), ..Diagnosis::default() }];
        culprit
    }

    #[test]
    fn the_same_in_every_layer_is_one_finding() {
        let culprits = [
            culprit("layer.0/scores", "MatMul", "scale"),
            culprit("layer.11/scores", "MatMul", "scale"),
            culprit("layer.0/mask", "MatMul", "scale"),
            culprit("layer.2/scores", "MatMul", "other"),
        ];
        let nodes: Vec<Vec<String>> = grouped(&culprits).into_iter().map(|group| group.nodes).collect();
        assert_eq!(nodes, [vec!["layer.0/scores", "layer.11/scores"], vec!["layer.0/mask"], vec!["layer.2/scores"]]);
    }
}
