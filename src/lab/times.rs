//! What runs take, of sides as they are deployed: several runs after one to warm up, and where the time goes. A price that
//! cannot be told takes nothing from the answer.

use super::{Lab, Lowering, Side, Work};
use crate::found::{Latency, NodeShare, Real, Times, shares};
use crate::run::{NodeTime, RunError, Timed};

/// What one side takes.
pub struct Took {
    /// Of a whole run.
    pub latency: Latency,
    /// Where it goes; empty where nobody tells.
    pub nodes: Vec<NodeTime>,
}

/// `runs` of `work`; `None` where the side has no time of its own, as an emulation and what was stored have not.
pub fn time(side: &Side, work: &Work, runs: usize) -> Result<Option<Took>, RunError> {
    if matches!(side.lowering, Lowering::Emulate(_)) || !side.has_time() {
        return Ok(None);
    }
    match side.latency(work, runs, true) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(None),
        Ok(timed) => Ok(timed.and_then(took)),
    }
}

fn took(timed: Timed) -> Option<Took> {
    Some(Took { latency: Latency::of(&timed.runs)?, nodes: timed.nodes })
}

impl Lab {
    /// Both sides on the first sample.
    pub fn times(&self, runs: usize) -> Result<Times, RunError> {
        let feeds = self.feeds.get(..1).unwrap_or_default();
        let of = |side: &Side| time(side, &side.work(feeds, &self.outputs_of(side)), runs);
        let (candidate, reference) = (of(&self.candidate)?, of(&self.reference)?);
        let lacking = [("candidate", &self.candidate, &candidate), ("reference", &self.reference, &reference)];
        let why: Vec<String> =
            lacking.iter().filter(|(_, _, took)| took.is_none()).map(|(who, side, _)| without(who, side)).collect();
        let nodes = candidate.as_ref().map(|took| took.nodes.iter().map(share).collect()).unwrap_or_default();
        Ok(Times {
            candidate: candidate.map(|took| took.latency),
            reference: reference.map(|took| took.latency),
            nodes: shares(nodes),
            why: (!why.is_empty()).then(|| why.join("; ")),
        })
    }

    /// Graph outputs of its own model: a command gives back what it is asked for.
    fn outputs_of(&self, side: &Side) -> Vec<String> {
        side.graph.outputs.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Why it has no time.
fn without(who: &str, side: &Side) -> String {
    match side.lowering {
        Lowering::Emulate(low) => format!(
            "the {who} emulates {} on the CPU, which takes other times than a device",
            low.precision().to_string().to_uppercase()
        ),
        _ if !side.has_time() => format!("the {who} was stored, and runs nothing"),
        _ => format!("the {who} could not be timed"),
    }
}

fn share(node: &NodeTime) -> NodeShare {
    NodeShare {
        node: node.node.clone(),
        op_type: node.op_type.clone(),
        from: node.from.clone(),
        provider: node.provider.clone(),
        seconds: Real(node.seconds),
        share: Real(0.0),
    }
}
