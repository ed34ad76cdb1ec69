//! Which nodes decide whether a pair is there, and how quantisers are told to leave some of them in float.

use std::collections::{BTreeSet, HashMap};

use super::Pair;
use crate::cure::export::anchored;
use crate::graph::Graph;

/// What to tell a quantiser, so that it leaves some nodes in float.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exclusions {
    /// `nodes_to_exclude` of ONNX Runtime's quantiser: names.
    pub ort: Vec<String>,
    /// `OpTypesToExcludeOutputQuantization` of the same: it quantises a tensor for the sake of its maker as well.
    pub makers: Vec<String>,
    /// `--nodes_to_exclude` of ModelOpt: regular expressions of Python.
    pub modelopt: Vec<String>,
}

/// By pair: the nodes that must all be left unquantised for it to go, ascending. They are those that compute with the
/// result, behind pairs in a row; where there is none, because the model gives the result out, the node that makes it.
/// A quantiser that leaves one of two readers alone still quantises what both read.
pub fn owners(graph: &Graph, pairs: &[Pair]) -> Vec<Vec<usize>> {
    let mut behind: HashMap<usize, Vec<&Pair>> = HashMap::new();
    for pair in pairs {
        pair.quantize.iter().for_each(|q| behind.entry(*q).or_default().push(pair));
    }
    pairs.iter().map(|pair| owners_of(graph, pair, &behind)).collect()
}

fn owners_of(graph: &Graph, pair: &Pair, behind: &HashMap<usize, Vec<&Pair>>) -> Vec<usize> {
    let mut readers = BTreeSet::new();
    let mut open = vec![pair];
    while let Some(pair) = open.pop() {
        for reader in &pair.consumers {
            match behind.get(reader) {
                Some(next) => open.extend(next),
                None => drop(readers.insert(*reader)),
            }
        }
    }
    let sees_values = |n: &usize| !matches!(graph.nodes[*n].op_type.as_str(), "Shape" | "Size");
    if readers.iter().any(sees_values) {
        readers.retain(sees_values);
    }
    if readers.is_empty() {
        readers.extend(maker(graph, pair));
    }
    readers.into_iter().collect()
}

/// For nodes of these names, without which these pairs go.
pub fn exclusions(graph: &Graph, names: Vec<String>, pairs: &[&Pair]) -> Exclusions {
    let made = pairs.iter().filter(|p| !p.weight).filter_map(|p| maker(graph, p));
    let makers: BTreeSet<String> = made.map(|n| graph.nodes[n].op_type.clone()).collect();
    let modelopt = names.iter().map(|name| anchored(name)).collect();
    Exclusions { ort: names, makers: makers.into_iter().collect(), modelopt }
}

fn maker(graph: &Graph, pair: &Pair) -> Option<usize> {
    Some(graph.tensors[graph.tensor(&pair.tensor)?].node)
}
