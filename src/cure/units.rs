//! What may be kept in FP32, in three grains: groups and lone nodes, parts of all groups of a kind, single nodes. Which
//! goes first, who is next to whom, and how a set reads. Nothing is tried here.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::groups::{Group, Kind};
use crate::graph::{Graph, Source};

/// Nodes: ascending numbers in [`Graph::nodes`], each once.
pub type Set = Vec<usize>;

/// The nodes that may be kept in FP32. All numbers are those of [`Graph::nodes`].
pub struct Units {
    /// Nodes that may be kept.
    pub nodes: Set,
    /// Groups among all nodes; those that may not be kept are passed over.
    pub groups: Vec<Group>,
    /// By node, how much it matters; infinite (or NaN): its value leaves the range of the low precision, so that its
    /// readers must be kept with it. Missing: 0.
    pub rank: Vec<f64>,
    /// By node: the nodes that read what it makes.
    pub readers: Vec<Vec<usize>>,
    /// By node: its name and its operator.
    pub names: Vec<(String, String)>,
}

impl Units {
    /// `nodes` of the graph, with the readers and names that it has.
    pub fn new(graph: &Graph, groups: Vec<Group>, nodes: Vec<usize>, rank: Vec<f64>) -> Units {
        let mut readers = vec![Vec::new(); graph.nodes.len()];
        for (number, node) in graph.nodes.iter().enumerate() {
            let reads = node.reads.iter().filter_map(|read| match read.source {
                Source::Tensor(tensor) => Some(tensor),
                Source::Input | Source::Initializer => None,
            });
            for tensor in reads.chain(node.results.iter().copied()) {
                readers[graph.tensors[tensor].node].push(number);
            }
        }
        let names = graph.nodes.iter().map(|n| (n.name.clone(), n.op_type.clone())).collect();
        Units { nodes: set(nodes), groups, rank, readers, names }
    }

    /// How a set reads: groups by their names, with the operators where not all of a group is in the set; lone nodes by
    /// theirs. In the order of the model.
    pub fn describe(&self, nodes: &[usize]) -> Vec<String> {
        let (parts, group_of) = (self.parts(nodes), self.group_of());
        let read = parts.iter().map(|part| match group_of.get(&part[0]) {
            Some(&number) => self.describe_group(number, part),
            None => {
                let (name, op_type) = self.name(part[0]);
                format!("{op_type} '{name}'")
            }
        });
        read.collect()
    }

    fn describe_group(&self, number: usize, part: &[usize]) -> String {
        let Group { name, kind, .. } = &self.groups[number];
        let whole = self.members(number).len() == part.len();
        // A mask is what its operators do; a whole LayerNorm is known to everybody.
        if whole && (*kind != Kind::AttentionMask || part.len() == 1) {
            return name.clone();
        }
        let mut ops: Vec<(&str, usize)> = Vec::new();
        for &node in part {
            let (_, op_type) = self.name(node);
            match ops.iter_mut().find(|(op, _)| *op == op_type) {
                Some((_, times)) => *times += 1,
                None => ops.push((op_type, 1)),
            }
        }
        let ops: Vec<String> =
            ops.iter().map(|(op, times)| if *times == 1 { op.to_string() } else { format!("{times} {op}") }).collect();
        format!("{name}: {}", ops.join(", "))
    }

    fn name(&self, node: usize) -> (&str, &str) {
        self.names.get(node).map_or(("", ""), |(name, op_type)| (name, op_type))
    }

    /// The group's nodes that may be kept.
    fn members(&self, group: usize) -> Set {
        set(self.groups[group].nodes.iter().copied().filter(|n| self.nodes.binary_search(n).is_ok()).collect())
    }

    /// By node: its group.
    fn group_of(&self) -> HashMap<usize, usize> {
        let numbered = self.groups.iter().enumerate();
        numbered.flat_map(|(number, group)| group.nodes.iter().map(move |n| (*n, number))).collect()
    }

    /// The set in groups and lone nodes, by their first nodes.
    pub fn parts(&self, nodes: &[usize]) -> Vec<Set> {
        let group_of = self.group_of();
        let mut parts: BTreeMap<(bool, usize), Set> = BTreeMap::new();
        for &node in nodes {
            let key = group_of.get(&node).map_or((false, node), |group| (true, *group));
            parts.entry(key).or_default().push(node);
        }
        let mut parts: Vec<Set> = parts.into_values().map(set).collect();
        parts.sort();
        parts
    }

    /// The set by the parts that nodes play: the first ReduceMean of all LayerNorms, the lone Adds. Networks repeat their
    /// layers, and what is superfluous in one is mostly superfluous in all.
    pub(super) fn roles(&self, nodes: &[usize]) -> Vec<Set> {
        let group_of = self.group_of();
        let mut roles: BTreeMap<(Option<Kind>, &str, usize), Set> = BTreeMap::new();
        for part in self.parts(nodes) {
            let group = group_of.get(&part[0]).copied();
            let mut so_far: HashMap<&str, usize> = HashMap::new();
            // Counted in the whole group: the second ReduceMean is the second one without the first as well.
            for node in group.map_or(part.clone(), |g| self.members(g)) {
                let (_, op_type) = self.name(node);
                let number = so_far.entry(op_type).or_default();
                if part.binary_search(&node).is_ok() {
                    roles.entry((group.map(|g| self.groups[g].kind), op_type, *number)).or_default().push(node);
                }
                *number += 1;
            }
        }
        let mut roles: Vec<Set> = roles.into_values().map(set).collect();
        roles.sort();
        roles
    }

    /// What grows together, the most important first: groups and lone nodes, joined where the value of a node leaves the
    /// range. With equal ranks whole groups go first, then the order of the model decides.
    pub(super) fn steps(&self) -> Vec<Set> {
        let parts = self.parts(&self.nodes);
        let part_of = number(&parts);
        let mut joined = petgraph::unionfind::UnionFind::new(parts.len());
        for &node in self.nodes.iter().filter(|n| self.rank(**n) == f64::INFINITY) {
            for reader in self.readers_of(node).iter().filter_map(|r| part_of.get(r)) {
                joined.union(part_of[&node], *reader);
            }
        }
        let mut steps: BTreeMap<usize, Set> = BTreeMap::new();
        for (number, part) in parts.iter().enumerate() {
            steps.entry(joined.find(number)).or_default().extend(part);
        }
        let mut steps: Vec<(f64, f64, bool, Set)> = steps.into_values().map(|nodes| self.rated(set(nodes))).collect();
        steps.sort_by(|a, b| {
            let ranks = b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1));
            ranks.then_with(|| (a.2, &a.3).cmp(&(b.2, &b.3)))
        });
        steps.into_iter().map(|rated| rated.3).collect()
    }

    /// Highest rank, sum of the ranks, is it a lone node.
    fn rated(&self, nodes: Set) -> (f64, f64, bool, Set) {
        let ranks = || nodes.iter().map(|n| self.rank(*n));
        (ranks().fold(f64::NEG_INFINITY, f64::max), ranks().sum(), nodes.len() == 1, nodes)
    }

    fn rank(&self, node: usize) -> f64 {
        let rank = self.rank.get(node).copied().unwrap_or(0.0);
        if rank.is_nan() { f64::INFINITY } else { rank }
    }

    fn readers_of(&self, node: usize) -> &[usize] {
        self.readers.get(node).map_or(&[], Vec::as_slice)
    }

    /// The set with the groups and lone nodes next to it, above and below.
    pub(super) fn with_neighbours(&self, nodes: &[usize]) -> Set {
        let parts = self.parts(&self.nodes);
        let part_of = number(&parts);
        let mut near: BTreeSet<usize> = nodes.iter().filter_map(|n| part_of.get(n).copied()).collect();
        let inside: BTreeSet<usize> = nodes.iter().copied().collect();
        for (&node, &part) in &part_of {
            for reader in self.readers_of(node) {
                if inside.contains(&node) {
                    near.extend(part_of.get(reader));
                }
                if inside.contains(reader) {
                    near.insert(part);
                }
            }
        }
        set(near.into_iter().flat_map(|part| parts[part].iter().copied()).collect())
    }

    /// The set with everything on the ways from one of its nodes to another.
    pub(super) fn with_between(&self, nodes: &[usize]) -> Set {
        let inside: BTreeSet<usize> = nodes.iter().copied().collect();
        let count = self.readers.len();
        let mut below: Vec<bool> = (0..count).map(|n| inside.contains(&n)).collect();
        let mut above = below.clone();
        // Numbers are in execution order, so one pass each way sees all ways.
        for node in 0..count {
            if below[node] {
                self.readers[node].iter().for_each(|r| below[*r] = true);
            }
        }
        for node in (0..count).rev() {
            above[node] |= self.readers[node].iter().any(|r| above[*r]);
        }
        let between = |n: &usize| inside.contains(n) || *n < count && below[*n] && above[*n];
        self.nodes.iter().copied().filter(between).collect()
    }
}

/// By node: which of the parts it is in.
fn number(parts: &[Set]) -> HashMap<usize, usize> {
    parts.iter().enumerate().flat_map(|(number, part)| part.iter().map(move |n| (*n, number))).collect()
}

/// A set of these nodes, in any order and perhaps some of them twice.
pub(super) fn set(mut nodes: Vec<usize>) -> Set {
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests;
