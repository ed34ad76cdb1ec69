//! Who ran what: a session is built once more, with the runtime's record of its assignment, its profile and its log on.

use std::fs;

use super::time::{Call, calls};
use super::watch::Ear;
use super::{Ort, Provider, Watch};
use crate::run::placement::{Kernel, PlacedNode, Placement};
use crate::run::{Job, RunError};
use crate::scratch;

/// Lines of the log that are kept: a provider may have a word for every node.
const LINES: usize = 400;

/// What lines of the log are about placement, in lower case: of the runtime's partitioning, and of what providers say of nodes
/// that they do not take (CUDA, TensorRT, CoreML, QNN, NNAPI, WebNN).
const ABOUT: [&str; 9] = [
    "getcapability",
    "fallback",
    "fall back",
    "kernel not found",
    "not supported",
    "unsupported",
    "supported: [",
    "memcpy nodes are added",
    "subgraphs running on",
];

/// Of one run of the job's first feed, after one to warm up (some providers compile only then), in the session that the job
/// has. Nothing on the CPU, where there is one provider.
pub(super) fn placement(ort: &Ort, job: &Job) -> Result<Option<Placement>, RunError> {
    let Some(asked) = ort.asked() else { return Ok(None) };
    let folder = scratch::folder().map_err(|e| RunError::exchange("the profile of ONNX Runtime")(e.into()))?;
    let ear = Ear::default();
    let log = ear.listening(|line, heard| {
        if heard.len() < LINES && is_about_placement(line) {
            heard.push(line.trim().to_string());
        }
    });
    let profile = folder.path().join("profile");
    let mut session = ort.open_as(&job.model, &job.how.session, Watch::Placement { log, profile: &profile })?;
    for feed in job.feeds.first().into_iter().flat_map(|feed| [feed, feed]) {
        session.run(feed, &[])?;
    }
    let assigned = session.assigned(&ort.library);
    let profile = fs::read_to_string(session.end_profiling()?).unwrap_or_default();
    drop(session);
    Ok(Some(Placement { asked, assigned, kernels: kernels(&profile), log: ear.heard() }))
}

fn is_about_placement(line: &str) -> bool {
    let line = line.to_lowercase();
    ABOUT.iter().any(|about| line.contains(about))
}

/// Of the second half of every node's calls: the second run.
fn kernels(profile: &str) -> Vec<Kernel> {
    let second = |(node, calls): (PlacedNode, Vec<Call>)| {
        let calls = &calls[calls.len() / 2..];
        Kernel { node, seconds: calls.iter().map(|c| c.0).sum(), bytes: calls.iter().map(|c| c.1).sum() }
    };
    calls(profile).into_iter().map(second).collect()
}

impl Ort {
    /// The provider that sessions ask for, by the runtime's name; `None`: the CPU's alone.
    fn asked(&self) -> Option<String> {
        match &self.provider {
            Provider::Cpu => None,
            Provider::Cuda { .. } => Some("CUDAExecutionProvider".to_string()),
            Provider::Built(name) | Provider::Plugin { name, .. } => Some(self.full_name(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_placement() {
        for line in [
            "CUDA kernel not found in registries for Op type: Unique node name: u",
            "Force fallback to CPU execution for node: shape because the CPU execution path is deemed faster",
            "Operator type: [Unique] index: [3] name: [u] supported: [false]",
            "2 Memcpy nodes are added to the graph main_graph for CUDAExecutionProvider.",
            "CoreMLExecutionProvider::GetCapability, number of partitions supported by CoreML: 2",
        ] {
            assert!(is_about_placement(line), "{line}");
        }
        assert!(!is_about_placement("GraphTransformer MemcpyTransformer modified: 0 with status: OK"));
    }

    #[test]
    fn the_second_run_counts_and_calls_in_a_loop_are_added_up() {
        let event = |name: &str, us: u32| {
            format!(
                r#"{{"cat":"Node","dur":{us},"name":"{name}_kernel_time","args":{{"op_name":"Add","provider":"P","output_size":"8"}}}}"#
            )
        };
        let text = format!(
            "[{}]",
            [event("a", 90), event("l", 70), event("a", 1), event("l", 2), event("a", 3), event("a", 4)].join(",")
        );
        let told: Vec<_> = kernels(&text);
        let told: Vec<_> = told.iter().map(|k| (k.node.name.as_str(), (k.seconds * 1e6).round(), k.bytes)).collect();
        assert_eq!(told, [("a", 7.0, 16), ("l", 2.0, 8)]);
    }
}
