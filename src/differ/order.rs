//! A graph in order again after nodes were added, and without what nobody reads any more.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::node_name;
use crate::onnx::{GraphProto, NodeProto};

/// Every node behind what it reads, otherwise in the order that was; an error where a node reads what follows from it.
pub fn sort(graph: &mut GraphProto) -> Result<(), String> {
    let makers: HashMap<&str, usize> =
        graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i))).collect();
    let mut waits: Vec<HashSet<usize>> = Vec::new();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.node.len()];
    for (i, node) in graph.node.iter().enumerate() {
        let before: HashSet<usize> =
            read_by(node).iter().filter_map(|name| makers.get(name.as_str()).copied()).collect();
        before.iter().for_each(|b| readers[*b].push(i));
        waits.push(before);
    }
    let mut ready: BTreeSet<usize> = (0..waits.len()).filter(|i| waits[*i].is_empty()).collect();
    let mut order = Vec::new();
    while let Some(next) = ready.pop_first() {
        order.push(next);
        for reader in &readers[next] {
            waits[*reader].remove(&next);
            if waits[*reader].is_empty() {
                ready.insert(*reader);
            }
        }
    }
    if let Some(stuck) = (0..waits.len()).find(|i| !waits[*i].is_empty()) {
        return Err(format!("'{}' would read what is computed from it", node_name(&graph.node[stuck])));
    }
    let mut nodes: Vec<Option<NodeProto>> = std::mem::take(&mut graph.node).into_iter().map(Some).collect();
    graph.node = order.into_iter().filter_map(|i| nodes[i].take()).collect();
    Ok(())
}

/// Names that the node reads, those of its bodies among them (whatever these make themselves too).
fn read_by(node: &NodeProto) -> HashSet<String> {
    let mut names: HashSet<String> = node.input.iter().filter(|name| !name.is_empty()).cloned().collect();
    for (_, body) in node.subgraphs() {
        body.node.iter().for_each(|inner| names.extend(read_by(inner)));
        names.extend(body.output.iter().map(|output| output.name().to_string()));
    }
    names
}

/// Takes out nodes and weights that nobody reads any more, though somebody did in the graph as it `was`; and what was told of shapes in
/// between, which may be others now.
pub fn tidy(main: &mut GraphProto, was: Option<&GraphProto>) {
    let unread_before: HashSet<String> = was.map_or(HashSet::new(), |was| {
        let read = all_read(was);
        let weights = was.initializer.iter().map(|t| t.name().to_string());
        let made = was.node.iter().flat_map(|n| n.output.iter().cloned());
        made.chain(weights).filter(|name| !read.contains(name)).collect()
    });
    loop {
        let read = all_read(main);
        let dead = |node: &NodeProto| node.output.iter().all(|o| !read.contains(o) && !unread_before.contains(o));
        let before = main.node.len();
        main.node.retain(|node| !dead(node));
        if main.node.len() == before {
            break;
        }
    }
    let read = all_read(main);
    let inputs: HashSet<String> = main.input.iter().map(|i| i.name().to_string()).collect();
    let needed = |name: &str| read.contains(name) || unread_before.contains(name) || inputs.contains(name);
    main.initializer.retain(|t| needed(t.name()));
    main.value_info.clear();
}

fn all_read(graph: &GraphProto) -> HashSet<String> {
    let mut names: HashSet<String> = graph.node.iter().flat_map(read_by).collect();
    names.extend(graph.output.iter().map(|output| output.name().to_string()));
    names
}
