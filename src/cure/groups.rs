//! Groups of nodes that are one thing to an engineer: a decomposed LayerNorm, a Softmax, a GELU, an attention mask.
//! Found by structure (operators and edges); names only label what was found. No values, no element types, no search.

mod mask;
mod name;
mod net;
mod pattern;

use crate::graph::Graph;
use mask::Mask;
use net::Net;
use pattern::Match;

/// Nodes that are kept in FP32, or given back, together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// As an engineer would say it: `layer 3 attention mask`, `LayerNorm 'encoder/layer.0/ln'`; unique in the model.
    pub name: String,
    /// What the nodes are together.
    pub kind: Kind,
    /// Numbers in [`Graph::nodes`], ascending.
    pub nodes: Vec<usize>,
}

/// What a group is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Mean and variance over the last dimensions, taken out.
    LayerNorm,
    /// The same without the mean.
    RmsNorm,
    /// Batch, group and instance normalisation, division by a norm.
    Normalisation,
    /// LogSoftmax included.
    Softmax,
    /// With erf or with tanh.
    Gelu,
    /// What makes the mask, what adds it to the scores, and the Softmax behind it.
    AttentionMask,
    /// A whole attention in one operator.
    Attention,
}

/// All groups of the model, in the order of their first nodes. A node is in one of them at most. The time is linear in
/// the size of the model: each pattern looks at a few nodes around one operator that it cannot do without.
pub fn groups(graph: &Graph) -> Vec<Group> {
    let net = Net::new(graph);
    let mut taken = vec![false; graph.nodes.len()];
    let mut found: Vec<Match> = Vec::new();
    for pattern in [pattern::norm, pattern::softmax, pattern::gelu, pattern::fused] {
        for node in 0..graph.nodes.len() {
            found.extend(pattern(&net, node).filter(|m| claim(&mut taken, &m.nodes)));
        }
    }
    let masks = mask::masks(&net, &found, &taken);
    for Mask { softmax, nodes } in masks {
        match softmax {
            Some(number) => {
                found[number].kind = Kind::AttentionMask;
                found[number].nodes.extend(nodes);
            }
            None => found.push(Match { kind: Kind::AttentionMask, nodes, input: None }),
        }
    }
    let mut group: Vec<Option<usize>> = vec![None; graph.nodes.len()];
    for (number, found) in found.iter().enumerate() {
        found.nodes.iter().for_each(|&n| group[n] = Some(number));
    }
    net.join_handed(&mut group);
    found.iter_mut().for_each(|m| m.nodes.clear());
    for (node, number) in group.iter().enumerate().filter_map(|(node, number)| Some((node, (*number)?))) {
        found[number].nodes.push(node);
    }
    found.sort_by_key(|m| m.nodes.first().copied());
    let names = name::names(graph, &found);
    let named = found.into_iter().zip(names);
    named.map(|(Match { kind, nodes, .. }, name)| Group { name, kind, nodes }).collect()
}

/// Takes the nodes, unless one of them is taken.
fn claim(taken: &mut [bool], nodes: &[usize]) -> bool {
    let free = nodes.iter().all(|&n| !taken[n]);
    if free {
        nodes.iter().for_each(|&n| taken[n] = true);
    }
    free
}

#[cfg(test)]
mod tests;
