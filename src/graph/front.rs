//! What of a model stands in front of some of its nodes: the model without them, and without all that needs them. Graph -> graph.

use std::collections::HashSet;

use super::Graph;
use crate::onnx::{ModelProto, ValueInfoProto};

/// A model that ends in front of some nodes.
pub struct Front {
    /// Its outputs are those of the whole that are left, and the tensors that the nodes left out read.
    pub model: ModelProto,
    /// Nodes of the main graph that are left out.
    pub without: usize,
    /// The outputs that it did not have before, by name.
    pub outputs: Vec<String>,
}

/// `model` in front of these nodes (numbers in `graph`; of one in a branch, the node that holds the branch is left out). Where
/// tensors are `wanted`, these become its outputs in place of what the nodes left out read. An error names the tensor that needs
/// one of them; `None`: nothing is left to look at.
pub fn front(model: &ModelProto, graph: &Graph, nodes: &[usize], wanted: &[String]) -> Result<Option<Front>, String> {
    let away = away(graph, nodes);
    let left: HashSet<usize> =
        graph.nodes.iter().filter(|node| !is_away(node, &away)).flat_map(|n| n.writes.iter().copied()).collect();
    if let Some(behind) = wanted.iter().find(|name| graph.tensor(name).is_some_and(|tensor| !left.contains(&tensor))) {
        return Err(behind.clone());
    }
    let own = |name: &str| graph.outputs.iter().find(|(output, _)| output == name).map(|(_, tensor)| tensor);
    let kept: Vec<String> = graph
        .outputs
        .iter()
        .filter(|(_, t)| t.is_none_or(|t| left.contains(&t)))
        .map(|(name, _)| name.clone())
        .collect();
    let new: Vec<String> = match wanted.is_empty() {
        true => edge(graph, &away, &left),
        false => wanted.to_vec(),
    };
    let new: Vec<String> = new.into_iter().filter(|name| own(name).is_none()).collect();
    let mut model = model.clone();
    let Some(main) = model.graph.as_mut() else { return Ok(None) };
    if new.is_empty() && kept.is_empty() {
        return Ok(None);
    }
    let mut at = 0;
    main.node.retain(|_| {
        at += 1;
        !away.contains(&(at - 1))
    });
    main.output.retain(|output| kept.iter().any(|name| name == output.name()));
    let described = |name: &String| {
        let told = main.value_info.iter().find(|value| value.name() == name);
        told.cloned().unwrap_or_else(|| ValueInfoProto::bare(name))
    };
    let added: Vec<ValueInfoProto> = new.iter().map(described).collect();
    main.output.extend(added);
    let made: HashSet<&str> = main.node.iter().flat_map(|node| node.output.iter().map(String::as_str)).collect();
    let known = |name: &str| made.contains(name);
    main.value_info.retain(|value| known(value.name()));
    Ok(Some(Front { model, without: away.len(), outputs: new }))
}

/// Positions, in the node list of the main graph, of these nodes and of all that need them.
fn away(graph: &Graph, nodes: &[usize]) -> HashSet<usize> {
    let position = |node: &super::Node| node.scope.first().map_or(node.index, |step| step.node);
    let mut away: HashSet<usize> = nodes.iter().map(|id| position(&graph.nodes[*id])).collect();
    // In the order of the graph every reader comes behind what it reads.
    loop {
        let before = away.len();
        let reads_away = |node: &&super::Node| {
            node.reads.iter().any(
                |read| matches!(read.source, super::Source::Tensor(t) if away.contains(&position(graph.producer(t)))),
            )
        };
        let more: Vec<usize> = graph.nodes.iter().filter(reads_away).map(position).collect();
        away.extend(more);
        if away.len() == before {
            return away;
        }
    }
}

fn is_away(node: &super::Node, away: &HashSet<usize>) -> bool {
    away.contains(&node.scope.first().map_or(node.index, |step| step.node))
}

/// Tensors that nodes left out read from those that are left, without constants, in the order of the graph.
fn edge(graph: &Graph, away: &HashSet<usize>, left: &HashSet<usize>) -> Vec<String> {
    let gone = graph.nodes.iter().filter(|node| is_away(node, away));
    let read = gone.flat_map(|node| &node.reads).filter_map(|read| match read.source {
        super::Source::Tensor(t) if left.contains(&t) && graph.producer(t).scope.is_empty() => Some(t),
        _ => None,
    });
    let mut tensors: Vec<usize> = read.filter(|t| !graph.is_constant(*t)).collect::<HashSet<_>>().into_iter().collect();
    tensors.sort_unstable();
    graph.keys(&tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{GraphProto, NodeProto};

    fn model() -> ModelProto {
        let node =
            |op: &str, reads: &[&str], writes: &[&str]| NodeProto::new(op, &writes[0].to_uppercase(), reads, writes);
        let nodes = vec![
            node("Relu", &["x"], &["boxes"]),
            node("Sigmoid", &["x"], &["scores"]),
            node("Nms", &["boxes", "scores"], &["det", "num"]),
            node("Cast", &["num"], &["count"]),
            node("Neg", &["scores"], &["aside"]),
        ];
        let value = |name: &&str| ValueInfoProto::bare(name);
        let graph = GraphProto {
            node: nodes,
            input: ["x"].iter().map(value).collect(),
            output: ["det", "count", "aside"].iter().map(value).collect(),
            ..Default::default()
        };
        ModelProto { graph: Some(graph), ..Default::default() }
    }

    fn names(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_string).collect()
    }

    #[test]
    fn what_stands_in_front() {
        let model = model();
        let graph = Graph::new(&model).unwrap();
        let nms = graph.nodes.iter().position(|node| node.op_type == "Nms").unwrap();
        let front = |wanted: &str| front(&model, &graph, &[nms], &names(wanted));
        let whole = front("").unwrap().unwrap();
        assert_eq!((whole.without, whole.outputs), (2, names("boxes scores")));
        let main = whole.model.graph.unwrap();
        assert_eq!(main.output.iter().map(|o| o.name()).collect::<Vec<_>>(), ["aside", "boxes", "scores"]);
        assert_eq!(main.node.len(), 3);
        assert_eq!(front("scores aside").unwrap().unwrap().outputs, names("scores"));
        assert_eq!(front("scores count").err(), Some("count".to_string()));
        // Nothing stands in front of the first nodes.
        assert!(super::front(&model, &graph, &[0, 1], &[]).unwrap().is_none());
    }
}
