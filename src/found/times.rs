//! What runs take: a side by itself, node by node where it can tell, and what a cure costs. Values and the questions that
//! follow from them; the words are `show`'s.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Real;

/// Seconds of one run without its build, over the samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// In the middle of all.
    pub median: Real,
    /// The quickest.
    pub least: Real,
    /// The slowest; the first run is among them.
    pub most: Real,
    /// How many runs.
    pub runs: usize,
    /// Each of them, by sample.
    pub each: Vec<Real>,
}

/// How long both sides take, as they are deployed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Times {
    /// The candidate; null where it has no time of its own: `why`.
    pub candidate: Option<Latency>,
    /// The reference, likewise.
    pub reference: Option<Latency>,
    /// Where the candidate's time goes, the most first; empty where its backend does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodeShare>,
    /// What a side lacks a time for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a node of what was built takes of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeShare {
    /// As the backend calls it: what was fused is one, under a name of the backend's.
    pub node: String,
    /// Its operator, or the kind of its layer.
    pub op_type: String,
    /// Nodes of the model that it was made of, where the backend tells.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// What runs it, where the backend has several.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub provider: String,
    /// Of one run, of several the one in the middle.
    pub seconds: Real,
    /// Of the seconds of all nodes together, from 0 to 1.
    pub share: Real,
}

/// What a cure costs where the candidate has a time of its own; each is of repeated runs after one to warm up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Price {
    /// The candidate with nothing kept.
    pub before: Latency,
    /// The candidate with these nodes kept.
    pub after: Latency,
    /// The reference, in the session that is deployed where it is ONNX Runtime's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Latency>,
    /// Of the nodes of the cure, those that both profiles know by their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<NodePrice>,
}

/// What one node of a cure takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodePrice {
    /// Which.
    pub node: String,
    /// With nothing kept.
    pub before: Real,
    /// As part of the cure.
    pub after: Real,
}

impl Latency {
    /// Of these runs; `None` without any.
    pub fn of(seconds: &[f64]) -> Option<Latency> {
        let mut sorted = seconds.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 };
        let each = seconds.iter().copied().map(Real).collect();
        Some(Latency { median: Real(median), least: Real(least), most: Real(most), runs: sorted.len(), each })
    }

    /// The runs in the middle: a quarter took less, a quarter took more. Seconds.
    pub fn middle(&self) -> (f64, f64) {
        let mut sorted: Vec<f64> = self.each.iter().map(|seconds| seconds.0).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |part: usize| sorted.get((sorted.len().saturating_sub(1)) * part / 4).copied();
        (at(1).unwrap_or(self.median.0), at(3).unwrap_or(self.median.0))
    }

    /// Does this take more or less than `other` by more than single runs scatter: do the
    /// middle halves of both not meet?
    pub fn differs(&self, other: &Latency) -> bool {
        let ((least, most), (low, high)) = (self.middle(), other.middle());
        most < low || high < least
    }
}

impl Price {
    /// Seconds that the cure adds to a run; `None` where that is less than single runs scatter.
    pub fn added(&self) -> Option<f64> {
        self.after.differs(&self.before).then_some(self.after.median.0 - self.before.median.0)
    }
}

/// The nodes of one run with their shares, the most first.
pub fn shares(mut found: Vec<NodeShare>) -> Vec<NodeShare> {
    let all: f64 = found.iter().map(|node| node.seconds.0).sum();
    if all > 0.0 {
        found.iter_mut().for_each(|node| node.share = Real(node.seconds.0 / all));
    }
    found.sort_by(|a, b| b.seconds.0.total_cmp(&a.seconds.0));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(seconds: &[f64]) -> Latency {
        Latency::of(seconds).unwrap()
    }

    #[test]
    fn only_more_than_the_scatter_is_a_price() {
        let price = |before: &[f64], after: &[f64]| {
            let (before, after) = (latency(before), latency(after));
            Price { before, after, ..Price::default() }.added()
        };
        assert_eq!(price(&[1.0, 1.0, 1.1, 1.1, 9.0], &[2.0, 2.0, 2.0, 2.1, 2.1]), Some(2.0 - 1.1));
        assert_eq!(price(&[1.0, 1.2, 1.4, 1.6, 1.8], &[1.1, 1.3, 1.5, 1.7, 1.9]), None);
        assert_eq!(price(&[2.0, 2.0, 2.0], &[1.0, 1.0, 1.0]), Some(-1.0), "a cure may be cheaper");
        assert_eq!(price(&[1.0], &[1.0]), None);
    }

    #[test]
    fn shares_add_up_to_one_and_the_most_comes_first() {
        let node =
            |name: &str, seconds| NodeShare { node: name.into(), seconds: Real(seconds), ..NodeShare::default() };
        let found = shares(vec![node("a", 1.0), node("b", 3.0)]);
        let told: Vec<_> = found.iter().map(|n| (n.node.as_str(), n.share.0)).collect();
        assert_eq!(told, [("b", 0.75), ("a", 0.25)]);
        assert_eq!(shares(vec![node("a", 0.0)])[0].share.0, 0.0);
    }
}
