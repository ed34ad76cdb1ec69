//! A backend's process died of a model: of which node? The model cut off behind its first nodes is run again and again, and
//! the number of nodes at which it begins to die is searched for by halves. Says only what was seen: with this node it
//! dies, cut off before it it does not.

use crate::found::{Crash, Who};
use crate::graph::node_name;
use crate::lab::Side;
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::run::RunError;
use crate::tensor::Tensors;

/// The failure of a whole model as an error that tells whose it was, and, where it was a crash, as the report has it.
pub fn told(who: Who, side: &Side, feeds: &[Tensors], error: RunError) -> (RunError, Option<Crash>) {
    let RunError::Crash { backend, reason: ended } = error else { return (error, None) };
    let crash = dissect(side, feeds, Crash { side: who.to_string(), ended, ..Crash::default() });
    let doing = crash.doing.as_deref().unwrap_or("building or running");
    let mut reason = format!("while {doing} {}", side.model.path.display());
    if let (Some(node), Some(op_type)) = (&crash.node, &crash.op_type) {
        reason += &format!(": with node '{node}' ({op_type}) it dies, cut off before that node it does not");
    }
    reason += &format!("; {}", crash.ended);
    (RunError::Crash { backend: format!("the {who} ({backend})"), reason }, Some(crash))
}

/// Looks for the node. An engine takes minutes to build, and what was built elsewhere cannot be cut.
fn dissect(side: &Side, feeds: &[Tensors], crash: Crash) -> Crash {
    if side.is_engine() || !side.runs() {
        return crash;
    }
    let model = &side.model.proto;
    let Some(index) = dies_at(model, |part| crashes(side, part, feeds)) else { return crash };
    let doing = if builds(side, &cut_off(model, index + 1)) { "running" } else { "building" };
    let node = model.graph.as_ref().and_then(|g| g.node.get(index));
    Crash {
        doing: Some(doing.to_string()),
        node: node.map(node_name),
        op_type: node.map(|n| n.op_type().to_string()),
        ..crash
    }
}

/// The number of the first main-graph node with which the model dies; `None` where no such cut of it does. Whether a cut
/// dies depends on its nodes alone, so that a longer one dies as well.
fn dies_at(model: &ModelProto, dies: impl Fn(&ModelProto) -> bool) -> Option<usize> {
    let nodes = model.graph.as_ref()?.node.len();
    if nodes == 0 || !dies(&cut_off(model, nodes)) {
        return None;
    }
    let (mut lives, mut dead) = (0, nodes);
    while dead - lives > 1 {
        let middle = lives + (dead - lives) / 2;
        match dies(&cut_off(model, middle)) {
            true => dead = middle,
            false => lives = middle,
        }
    }
    Some(dead - 1)
}

/// The first `nodes` nodes of the main graph as a model that hands out what the last of them makes.
fn cut_off(model: &ModelProto, nodes: usize) -> ModelProto {
    let mut part = model.clone();
    if let Some(graph) = part.graph.as_mut() {
        graph.node.truncate(nodes);
        let made = graph.node.last().into_iter().flat_map(|node| node.output.iter().filter(|o| !o.is_empty()));
        graph.output = made.map(|name| ValueInfoProto::bare(name)).collect();
    }
    part
}

fn crashes(side: &Side, part: &ModelProto, feeds: &[Tensors]) -> bool {
    let outputs: Vec<String> = part.graph.iter().flat_map(|g| &g.output).map(|o| o.name().to_string()).collect();
    let ran = side.run_model(part, &side.types, feeds, &outputs);
    matches!(ran, Err(RunError::Crash { .. }))
}

fn builds(side: &Side, part: &ModelProto) -> bool {
    !matches!(side.builds(&side.work(&[], &[]).on(part, &side.types)), Err(RunError::Crash { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, NodeProto};

    fn chain(nodes: usize) -> ModelProto {
        let node = |i: usize| NodeProto { output: vec![format!("t{i}")], ..NodeProto::default() };
        let graph = GraphProto { node: (0..nodes).map(node).collect(), ..GraphProto::default() };
        ModelProto { graph: Some(graph), ..ModelProto::default() }
    }

    fn length(model: &ModelProto) -> usize {
        model.graph.as_ref().map_or(0, |g| g.node.len())
    }

    #[test]
    fn the_node_that_kills_is_found_by_few_runs() {
        for nodes in 1..40 {
            for deadly in 0..nodes {
                let runs = std::cell::Cell::new(0);
                let dies = |part: &ModelProto| {
                    runs.set(runs.get() + 1);
                    length(part) > deadly
                };
                assert_eq!(dies_at(&chain(nodes), dies), Some(deadly), "{nodes} nodes");
                assert!(runs.get() <= 2 + nodes.ilog2(), "{} runs for {nodes} nodes", runs.get());
            }
        }
    }

    #[test]
    fn a_model_that_lives_has_none() {
        assert_eq!(dies_at(&chain(5), |_| false), None);
        assert_eq!(dies_at(&chain(0), |_| true), None);
    }

    #[test]
    fn a_cut_hands_out_what_its_last_node_makes() {
        let part = cut_off(&chain(5), 2);
        assert_eq!(length(&part), 2);
        assert_eq!(part.graph.unwrap().output[0].name(), "t1");
    }
}
