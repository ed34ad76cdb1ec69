//! How long a session takes, run by run, and where the time goes: node by node, as the runtime's own profile tells.

use std::fs;
use std::time::Instant;

use indexmap::IndexMap;
use serde::Deserialize;

use super::{Ort, Session, Watch};
use crate::run::question::{NodeTime, Timed};
use crate::run::{Job, PlacedNode, RunError};
use crate::scratch;
use crate::tensor::Tensors;

/// Runs that are profiled.
const PROFILED: usize = 5;

/// Behind the name of a node, in the profile.
const KERNEL: &str = "_kernel_time";

/// One event of a profile, as far as it is read here.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    /// Of the node, with what stands behind it; see [`Event::into_node`].
    #[serde(default)]
    name: String,
    /// Microseconds.
    #[serde(default)]
    dur: f64,
    /// What else is told of it.
    #[serde(default)]
    args: Args,
}

/// What a profile tells of a node that ran.
#[derive(Default, Deserialize)]
struct Args {
    #[serde(default)]
    op_name: String,
    #[serde(default)]
    provider: String,
    /// Bytes that it wrote, as a decimal number.
    #[serde(default)]
    output_size: String,
}

impl Event {
    /// The node, and who ran it.
    fn into_node(self) -> PlacedNode {
        let name = self.name.trim_end_matches(KERNEL).to_string();
        PlacedNode { name, op_type: self.args.op_name, provider: self.args.provider }
    }
}

/// What a call of a node took: seconds, and bytes that it wrote.
pub(super) type Call = (f64, u64);

/// The nodes in a profile, in the order in which they first ran, each with its calls in order; nothing of a text that is none.
pub(super) fn calls(profile: &str) -> Vec<(PlacedNode, Vec<Call>)> {
    let events: Vec<Event> = serde_json::from_str(profile).unwrap_or_default();
    let mut found: IndexMap<String, (PlacedNode, Vec<Call>)> = IndexMap::new();
    for event in events.into_iter().filter(|event| event.cat == "Node" && event.name.ends_with(KERNEL)) {
        let call = (event.dur * 1e-6, event.args.output_size.parse().unwrap_or_default());
        found.entry(event.name.clone()).or_insert_with(|| (event.into_node(), Vec::new())).1.push(call);
    }
    found.into_values().collect()
}

/// Of `runs` of the job's model on its first feed, after one to warm up; `None` without a feed. The nodes are those that the
/// session has: what was fused is one, under the name that the runtime gives it.
pub(super) fn time(ort: &Ort, job: &Job, runs: usize, by_node: bool) -> Result<Option<Timed>, RunError> {
    let Some(feed) = job.feeds.first() else { return Ok(None) };
    let runs = seconds(&mut ort.open_as(&job.model, &job.how.session, Watch::Nothing)?, feed, runs)?;
    let nodes = if by_node { nodes(ort, job, feed)? } else { Vec::new() };
    Ok(Some(Timed { runs, nodes }))
}

fn seconds(session: &mut Session, feed: &Tensors, runs: usize) -> Result<Vec<f64>, RunError> {
    session.run(feed, &[])?;
    let mut seconds = Vec::with_capacity(runs);
    for _ in 0..runs {
        let started = Instant::now();
        session.run(feed, &[])?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok(seconds)
}

/// The same session once more, with the runtime's profile on: it costs time itself, so that the runs above are without it.
fn nodes(ort: &Ort, job: &Job, feed: &Tensors) -> Result<Vec<NodeTime>, RunError> {
    let folder = scratch::folder().map_err(|e| RunError::exchange("the profile of ONNX Runtime")(e.into()))?;
    let mut session = ort.open_as(&job.model, &job.how.session, Watch::Profile(&folder.path().join("profile")))?;
    for _ in 0..=PROFILED {
        session.run(feed, &[])?;
    }
    let text = fs::read_to_string(session.end_profiling()?).unwrap_or_default();
    // A profile that cannot be read tells nothing; the runs were measured all the same.
    Ok(read(&text, PROFILED))
}

/// The median of the last `runs` of every node.
fn read(profile: &str, runs: usize) -> Vec<NodeTime> {
    calls(profile).into_iter().map(|(node, calls)| told(node, &calls, runs)).collect()
}

/// A node in a loop runs more than once a run: its times are added up.
fn told(node: PlacedNode, calls: &[Call], runs: usize) -> NodeTime {
    let seconds = |calls: &[Call]| calls.iter().map(|(seconds, _)| seconds).sum();
    let each = (calls.len() / (runs + 1)).max(1);
    let mut of_runs: Vec<f64> = calls.chunks(each).skip(1).map(seconds).collect();
    if of_runs.is_empty() {
        of_runs = vec![seconds(calls)];
    }
    of_runs.sort_by(f64::total_cmp);
    let PlacedNode { name: node, op_type, provider } = node;
    NodeTime { node, op_type, provider, from: Vec::new(), seconds: of_runs[of_runs.len() / 2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, us: u32) -> String {
        format!(
            r#"{{"cat":"Node","pid":1,"dur":{us},"ts":1,"ph":"X","name":"{name}_kernel_time","args":{{"op_name":"Conv","provider":"CPUExecutionProvider","node_index":"3"}}}}"#
        )
    }

    #[test]
    fn the_first_run_is_to_warm_up_and_the_middle_one_counts() {
        let events: Vec<String> = [90, 5, 1, 2].iter().flat_map(|us| [event("a", *us), event("b", us + 1)]).collect();
        let text = format!(r#"[{{"cat":"Session","name":"model_run","dur":7,"args":{{}}}},{}]"#, events.join(","));
        let told: Vec<_> = read(&text, 3).into_iter().map(|n| (n.node, n.op_type, (n.seconds * 1e6).round())).collect();
        assert_eq!(told, [("a".into(), "Conv".into(), 2.0), ("b".into(), "Conv".to_string(), 3.0)]);
    }

    #[test]
    fn a_node_in_a_loop_is_added_up() {
        let events: Vec<String> = [9, 9, 1, 2, 3, 4].iter().map(|us| event("a", *us)).collect();
        let told = read(&format!("[{}]", events.join(",")), 2);
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].seconds * 1e6).round(), 7.0);
    }

    #[test]
    fn what_is_no_profile_tells_nothing() {
        assert!(read("[{", 3).is_empty() && read("", 3).is_empty());
    }
}
