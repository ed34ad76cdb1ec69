//! A file that is another one under other names: its tensors and nodes are called as what stands for them in the believed file,
//! so far as that is known by structure and weights. What it computes stays.

mod places;

use std::collections::{HashMap, HashSet};

use super::captured::{made, rename};
use places::{Places, is_same, makers};

use super::{File, Two};
use crate::onnx::{DimValue, GraphProto, ModelProto, TypeValue, ValueInfoProto};

/// The other file with the names of the believed one.
#[derive(Debug)]
pub struct Renamed {
    /// It computes the same.
    pub model: ModelProto,
    /// Tensors inside that have another name now.
    pub tensors: usize,
    /// Inputs and outputs that have another name now: theirs, and that of the believed file.
    pub ends: Vec<(String, String)>,
}

/// `None` where the names are mostly the same already, or nothing stands for anything.
pub fn renamed(mine: File, theirs: File) -> Option<Renamed> {
    let (own, other) = (mine.proto.graph.as_ref()?, theirs.proto.graph.as_ref()?);
    let ends = ends(own, other);
    if ends.is_empty() && !strangers(own, other) {
        return None;
    }
    let swapped: Vec<(String, String)> = ends.iter().map(|(theirs, mine)| (mine.clone(), theirs.clone())).collect();
    let two = Two::new(mine, theirs, &swapped);
    let pairs = two.names.pairs();
    let places = Places::of(&pairs, [mine, theirs], [own, other]);
    let names = one_to_one(pairs.clone(), &ends, &places);
    if names.is_empty() {
        return None;
    }
    let tensors = names.keys().filter(|name| !ends.iter().any(|(theirs, _)| theirs == *name)).count();
    let mut model = theirs.proto.clone();
    call(model.graph.as_mut()?, &names, own);
    Some(Renamed { model, tensors, ends })
}

/// Does the other file know fewer than half of the names of what is made here?
fn strangers(mine: &GraphProto, theirs: &GraphProto) -> bool {
    let known: HashSet<&String> = theirs.node.iter().flat_map(|node| &node.output).collect();
    let own: Vec<&String> = mine.node.iter().flat_map(|node| &node.output).filter(|name| !name.is_empty()).collect();
    2 * own.iter().filter(|name| known.contains(*name)).count() < own.len()
}

/// Inputs and outputs under other names, in pairs of theirs and mine: what is left when equal names are taken away, by position,
/// where type and rank do not speak against it.
fn ends(mine: &GraphProto, theirs: &GraphProto) -> Vec<(String, String)> {
    let fed = |graph: &GraphProto| -> Vec<ValueInfoProto> {
        let stored = |name: &str| graph.initializer.iter().any(|t| t.name() == name);
        graph.input.iter().filter(|input| !stored(input.name())).cloned().collect()
    };
    let mut found = unequal(&fed(mine), &fed(theirs));
    found.extend(unequal(&mine.output, &theirs.output));
    found
}

fn unequal(mine: &[ValueInfoProto], theirs: &[ValueInfoProto]) -> Vec<(String, String)> {
    let rest = |these: &[ValueInfoProto], others: &[ValueInfoProto]| -> Vec<ValueInfoProto> {
        these.iter().filter(|one| !others.iter().any(|other| other.name() == one.name())).cloned().collect()
    };
    let (own, other) = (rest(mine, theirs), rest(theirs, mine));
    if own.len() != other.len() || !own.iter().zip(&other).all(|(a, b)| fits(a, b)) {
        return Vec::new();
    }
    own.iter().zip(&other).map(|(a, b)| (b.name().to_string(), a.name().to_string())).collect()
}

/// The same element type, the same rank, and no dimension that is another number. What a file does not say speaks against nothing.
fn fits(a: &ValueInfoProto, b: &ValueInfoProto) -> bool {
    let dims = |info: &ValueInfoProto| -> Option<Vec<Option<i64>>> {
        let Some(TypeValue::Tensor(tensor)) = info.r#type.as_ref()?.value.as_ref() else { return None };
        let shape = tensor.shape.as_ref()?;
        Some(
            shape
                .dim
                .iter()
                .map(|dim| if let Some(DimValue::DimValue(n)) = dim.value { Some(n) } else { None })
                .collect(),
        )
    };
    let types = a.dtype().is_none() || b.dtype().is_none() || a.dtype() == b.dtype();
    let shapes = match (dims(a), dims(b)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(x, y)| x.is_none() || y.is_none() || x == y),
        _ => true,
    };
    types && shapes
}

/// From their names to mine, each once, and none that is another thing in their file.
fn one_to_one(pairs: Vec<(String, String)>, ends: &[(String, String)], places: &Places) -> HashMap<String, String> {
    let [mine, theirs] = places.graphs;
    let mut names: HashMap<String, String> = ends.iter().cloned().collect();
    let mut taken: HashSet<String> = ends.iter().map(|(_, mine)| mine.clone()).collect();
    let order: HashMap<&String, usize> = mine.node.iter().flat_map(|node| &node.output).zip(0..).collect();
    let mut pairs = pairs;
    pairs.sort_by_key(|(mine, _)| order.get(mine).copied().unwrap_or(usize::MAX));
    for (mine, theirs) in pairs {
        let free = mine != theirs && !names.contains_key(&theirs) && places.are_one(&mine, &theirs);
        if free && taken.insert(mine.clone()) {
            names.insert(theirs, mine);
        }
    }
    // A name that something else has, and keeps, cannot be given away. Each that stays keeps another one back.
    let all = made(theirs);
    loop {
        let kept: HashSet<&String> = all.iter().filter(|name| !names.contains_key(*name)).collect();
        let clash: Vec<String> =
            names.iter().filter(|(_, mine)| kept.contains(mine)).map(|(theirs, _)| theirs.clone()).collect();
        if clash.is_empty() {
            return names;
        }
        clash.iter().for_each(|theirs| drop(names.remove(theirs)));
    }
}

/// Calls everything in the graph so; a node whose first output has a new name is called as its counterpart.
fn call(graph: &mut GraphProto, names: &HashMap<String, String>, mine: &GraphProto) {
    let makers = makers(mine);
    let mut used: HashSet<String> = graph.node.iter().map(|node| node.name().to_string()).collect();
    let called = |name: &mut String| {
        if let Some(other) = names.get(name.as_str()) {
            name.clone_from(other);
        }
    };
    for node in &mut graph.node {
        let moved = node.output.first().is_some_and(|name| names.contains_key(name));
        node.input.iter_mut().chain(&mut node.output).for_each(called);
        rename(node, names, &mut |name| name.to_string());
        // Another operator in its place is no node of that name.
        let maker = node.output.first().and_then(|name| makers.get(name)).filter(|maker| is_same(maker, node));
        let own = maker.map(|maker| maker.name().to_string());
        if let Some(own) = own.filter(|own| moved && !own.is_empty() && !used.contains(own)) {
            used.insert(own.clone());
            node.name = Some(own);
        }
    }
    let infos = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    infos.filter_map(|info| info.name.as_mut()).for_each(called);
}

#[cfg(test)]
mod tests;
