//! Fewer nodes: from a culprit outwards, or from the whole model inwards. A set of nodes becomes a case whose boundary is fed
//! with captured values; `search::ddmin` decides which set comes next.

use std::collections::{HashMap, HashSet};

use super::sound::Sound;
use super::{Attempt, Case};
use crate::graph::{Graph, Outputs, boundary, describe, extract};
use crate::onnx::{ModelProto, ValueInfoProto};
use crate::search::{Answer, ddmin};
use crate::tensor::{DType, Tensors};

/// The model that is cut, and what is known of its tensors. Tensors go by their keys.
pub struct Whole<'a> {
    /// As it was loaded: large initializers lie in files.
    pub model: &'a ModelProto,
    /// Of `model`: numbers of nodes and tensors are this graph's.
    pub graph: &'a Graph,
    /// Values to feed to a cut, as far as there are any; all that one cut needs is asked for at once.
    pub values: &'a dyn Fn(&[String]) -> Tensors,
    /// Type and shape of a tensor, as far as they are known.
    pub told: &'a dyn Fn(&str) -> Option<ValueInfoProto>,
    /// The tensor that is wrong, with the value it should have; `None` for a failure of any kind.
    pub target: Option<(usize, Option<Tensors>)>,
    /// In front of every attempt's name.
    pub label: String,
}

/// Nodes that fail together.
pub struct Found {
    /// Numbers in the graph, in execution order.
    pub nodes: Vec<usize>,
    /// They and nothing else, fed at their boundary.
    pub case: Case,
    /// Without any single one of them it was seen to pass. Nodes between which the reference has no value are never apart:
    /// nobody knows what to feed there.
    pub minimal: bool,
}

/// From the culprit outwards: `start` alone, then more and more of what it is computed from, until it fails; then as few of
/// these as possible. `known` says that `start` alone was seen to fail. `None`: not even all of it fails.
pub fn around<E>(
    whole: &Whole,
    start: &[usize],
    known: bool,
    jobs: usize,
    test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Option<Found>, E> {
    let mut sets = Sets::new(whole, test);
    let grown = growth(whole, start);
    if known {
        sets.memory.insert(sets.alive(&grown[0]), Answer::Bad);
    }
    for set in grown {
        if sets.ask(std::slice::from_ref(&set))? == [Answer::Bad] {
            let least = ddmin(&set, &[start.to_vec()], jobs, |asked| sets.ask(asked))?;
            let nodes = sets.alive(&least.items);
            let minimal = sets.is_minimal(&nodes);
            return Ok(whole.cut(&nodes).map(|case| Found { nodes, case, minimal }));
        }
    }
    Ok(None)
}

/// From the whole inwards, for a failure of any kind: as few of `nodes`, which fail together, as possible.
pub fn among<E>(
    whole: &Whole,
    nodes: &[usize],
    jobs: usize,
    test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Option<Found>, E> {
    let mut sets = Sets::new(whole, test);
    let least = ddmin(nodes, &[], jobs, |asked| sets.ask(asked))?;
    Ok(whole.cut(&least.items).map(|case| Found { nodes: least.items, case, minimal: least.unknown == 0 }))
}

/// Does the case of these nodes fail?
pub fn fails<E>(
    whole: &Whole,
    nodes: &[usize],
    test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Answer, E> {
    let answers = Sets::new(whole, test).ask(&[nodes.to_vec()])?;
    Ok(answers.first().copied().unwrap_or(Answer::Unknown))
}

/// The nodes of the main graph, in execution order.
pub fn main_nodes(graph: &Graph) -> Vec<usize> {
    (0..graph.nodes.len()).filter(|n| graph.nodes[*n].scope.is_empty()).collect()
}

/// `start`, then twice as many nodes each time, the nearest first, up to everything of its scope that it is computed from.
fn growth(whole: &Whole, start: &[usize]) -> Vec<Vec<usize>> {
    let graph = whole.graph;
    let mut near: Vec<usize> = start.to_vec();
    let mut seen: HashSet<usize> = start.iter().copied().collect();
    let mut next = 0;
    while let Some(&node) = near.get(next) {
        next += 1;
        let mut makers: Vec<usize> = graph.nodes[node]
            .writes
            .iter()
            .flat_map(|t| graph.parents(*t))
            .filter(|t| !graph.is_constant(*t))
            .map(|t| graph.tensors[t].node)
            .filter(|n| graph.nodes[*n].scope == graph.nodes[start[0]].scope)
            .collect();
        makers.sort_unstable_by(|a, b| b.cmp(a));
        near.extend(makers.into_iter().filter(|n| seen.insert(*n)));
    }
    let mut sets = Vec::new();
    let mut size = start.len();
    while size < near.len() {
        sets.push(near[..size].to_vec());
        size *= 2;
    }
    sets.push(near);
    sets.iter_mut().for_each(|set| set.sort_unstable());
    sets
}

/// What is known of sets of nodes.
struct Sets<'a, T> {
    whole: &'a Whole<'a>,
    sound: Sound,
    test: T,
    memory: HashMap<Vec<usize>, Answer>,
    /// Could not be cut out.
    uncut: HashSet<Vec<usize>>,
}

impl<'a, T> Sets<'a, T> {
    fn new(whole: &'a Whole<'a>, test: T) -> Sets<'a, T> {
        let sound = Sound::like(whole.model, &Tensors::new());
        Sets { whole, sound, test, memory: HashMap::new(), uncut: HashSet::new() }
    }

    fn ask<E>(&mut self, sets: &[Vec<usize>]) -> Result<Vec<Answer>, E>
    where
        T: FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
    {
        let alive: Vec<Vec<usize>> = sets.iter().map(|set| self.alive(set)).collect();
        let (mut asked, mut attempts) = (Vec::new(), Vec::new());
        for set in &alive {
            if self.memory.contains_key(set) || asked.contains(set) {
                continue;
            }
            // Without the maker of the wrong tensor, there is nothing to be wrong.
            if set.is_empty() {
                self.memory.insert(set.clone(), Answer::Good);
            } else if let Some(case) = self.whole.cut(set) {
                attempts.push(Attempt { what: format!("{}nodes {}", self.whole.label, ranges(set)), case });
                asked.push(set.clone());
            } else {
                self.memory.insert(set.clone(), Answer::Unknown);
                self.uncut.insert(set.clone());
            }
        }
        if !attempts.is_empty() {
            let answers = self.sound.ask(&attempts, &mut self.test)?;
            self.memory.extend(asked.into_iter().zip(answers));
        }
        Ok(alive.iter().map(|set| self.memory.get(set).copied().unwrap_or(Answer::Unknown)).collect())
    }

    /// Does it pass without any single one of `nodes`, as far as it can be taken apart?
    fn is_minimal(&self, nodes: &[usize]) -> bool {
        let without = |node: &usize| self.alive(&nodes.iter().copied().filter(|n| n != node).collect::<Vec<_>>());
        let passes = |rest: Vec<usize>| self.memory.get(&rest) == Some(&Answer::Good) || self.uncut.contains(&rest);
        nodes.iter().map(without).all(|rest| rest.is_empty() || passes(rest))
    }

    /// Those of `set` that the wrong tensor is computed from within the set; all of them where no tensor is the aim.
    fn alive(&self, set: &[usize]) -> Vec<usize> {
        let graph = self.whole.graph;
        let Some((target, _)) = &self.whole.target else { return set.to_vec() };
        let mut wanted: HashSet<usize> = HashSet::from([*target]);
        let mut alive: Vec<usize> = Vec::new();
        for &node in set.iter().rev() {
            if graph.nodes[node].writes.iter().any(|t| wanted.contains(t)) {
                alive.push(node);
                wanted.extend(graph.nodes[node].writes.iter().flat_map(|t| graph.parents(*t)));
            }
        }
        alive.reverse();
        alive
    }
}

impl Whole<'_> {
    /// These nodes as a case; `None` where something crosses the boundary whose type or shape nobody knows.
    pub fn cut(&self, nodes: &[usize]) -> Option<Case> {
        let values = (self.values)(&boundary(self.model, self.graph, nodes));
        let typed = |key: &str| -> Option<(DType, Vec<usize>)> {
            let told = || (self.told)(key).and_then(|info| Some((info.dtype()?, info.concrete_shape()?)));
            values.get(key).map(|t| (t.dtype, t.shape.clone())).or_else(told)
        };
        let only = self.target.as_ref().map(|(tensor, _)| [*tensor]);
        let outputs = only.as_ref().map_or(Outputs::Leaving, |only| Outputs::Only(only));
        let mut cut = extract(self.model, self.graph, nodes, outputs, typed)?;
        let made = nodes.iter().flat_map(|n| &self.graph.nodes[*n].writes);
        let keys: HashMap<&str, &str> =
            made.map(|t| (self.graph.tensors[*t].name.as_str(), self.graph.tensors[*t].key.as_str())).collect();
        let told = |name: &str| {
            let info = (self.told)(keys.get(name)?)?;
            Some(ValueInfoProto { name: Some(name.to_string()), ..info })
        };
        describe(cut.proto.graph.as_mut()?, told);
        super::trim::clean(&mut cut.proto);
        let feed = |(name, key): (String, String)| values.get(&key).map(|value| (name, value.clone()));
        let feeds: Tensors = cut.feeds.into_iter().filter_map(feed).collect();
        let expected = self.target.as_ref().and_then(|(_, expected)| expected.clone());
        Some(Case { model: cut.proto, feeds, expected })
    }
}

/// `3,7-9`
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let part = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    parts.iter().map(part).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
