//! Culprits with one story: the same cause in repeated blocks, and what the outputs would be without it.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Culprit, Diagnosis, Real, Status, TensorResult};

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
    /// The culprits, by the tensors that they make, in topological order; behind them those in which the same cause is, and
    /// whose inputs are wrong already for its sake.
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
    /// The outputs of the candidate's own file with the cause undone in all of these, and nothing else; null where that was not
    /// tried. Unlike in `without`, these nodes compute from what they are given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Effect>,
    /// The cause, where it is that of no culprit: what these nodes are given is wrong already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Diagnosis>,
}

impl Group {
    /// `layers 0 to 5`, where these nodes are named by layers.
    pub fn layers(&self) -> Option<String> {
        let numbers: Vec<u64> = self.nodes.iter().map(|name| layer(name)).collect::<Option<_>>()?;
        let (first, last) = (*numbers.iter().min()?, *numbers.iter().max()?);
        let mut each = numbers.clone();
        each.sort_unstable();
        each.dedup();
        let count = each.len() as u64;
        if count < 2 {
            return None;
        }
        Some(match last - first + 1 == count {
            true => format!("layers {first} to {last}"),
            false => format!("layers {}", each.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
        })
    }
}

/// The number behind the word: 3 of `/encoder/layer.3/attention/Add`.
fn layer(name: &str) -> Option<u64> {
    let lower = name.to_ascii_lowercase();
    let behind = |word: &str| lower.find(word).map(|at| &lower[at + word.len()..]);
    let rest = ["layers", "layer", "blocks", "block"].iter().find_map(|word| behind(word))?;
    let digits: String = rest.trim_start_matches(['.', '_', '/']).chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
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

    /// Of one output in every sample, and of several: numbers are those of the worst sample, whichever it is.
    pub fn of_samples(outputs: &[Vec<TensorResult>]) -> Effect {
        let all: Vec<TensorResult> = outputs.iter().flatten().cloned().collect();
        let diverges = |samples: &&Vec<TensorResult>| samples.iter().any(|one| one.status == Status::Diverges);
        Effect { diverging: outputs.iter().filter(diverges).count(), ..Effect::of(&all) }
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
pub fn pattern(name: &str) -> String {
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
    fn layers_are_told_by_number() {
        let of = |names: &[&str]| {
            let nodes = names.iter().map(|name| name.to_string()).collect();
            Group { nodes, ..Group::default() }.layers()
        };
        assert_eq!(of(&["/layer.0/a/Add", "/layer.1/a/Add", "/layer.2/a/Add"]).as_deref(), Some("layers 0 to 2"));
        assert_eq!(of(&["m/layers.7/Add", "m/layers.1/Add"]).as_deref(), Some("layers 1, 7"));
        assert_eq!(of(&["/layer.0/Add", "/layer.0/Add_1"]), None);
        assert_eq!(of(&["/layer.0/Add", "Add_3"]), None);
        assert_eq!(of(&["Add_1", "Add_2"]), None);
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
