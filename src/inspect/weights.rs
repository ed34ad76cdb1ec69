//! The weights of a model: how many, of which types, in which files, and int64 values that int32 cannot hold.
//! Reads int64 values only; no other payload is touched.

use std::collections::{BTreeMap, HashSet};

use super::facts::{Typed, Weight, WeightFile, Weights, Wide};
use super::file::Source;
use crate::onnx::{GraphProto, NodeProto, TensorProto};
use crate::tensor::DType;

/// How many of the largest are named.
const LARGEST: usize = 8;

/// Values of more than this are not read for the sake of a warning.
const SCANNED: u64 = 1 << 28;

/// Of the main graph and of all graphs inside it.
pub fn weights(source: &Source) -> Weights {
    let mut weights = Weights::default();
    let Some(main) = source.main() else { return weights };
    let mut all = Vec::new();
    main.each_initializer(&mut |t| all.push(t));
    weights.initializers = all.len();
    let mut types: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    let mut files: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for t in &all {
        let bytes = bytes(t);
        weights.bytes += bytes;
        add(types.entry(type_name(t)).or_default(), bytes);
        match t.is_external() {
            true => add(files.entry(t.external("location").unwrap_or_default()).or_default(), bytes),
            false => weights.inline_bytes += bytes,
        }
    }
    weights.by_type = types.into_iter().map(|(dtype, (count, bytes))| Typed { dtype, count, bytes }).collect();
    weights.by_type.sort_by_key(|t| std::cmp::Reverse(t.bytes));
    weights.files = files.into_iter().map(|(location, used)| file(source, location, used, &all)).collect();
    // A few scalars are no weights to speak of.
    all.sort_by_key(|t| std::cmp::Reverse(bytes(t)));
    weights.largest = all.iter().take(LARGEST).map(|t| weight(t)).collect();
    constants(main, &mut weights);
    wide(source, main, &mut weights.wide);
    weights
}

/// `float32`, or `type N` for a number that is not known.
pub fn type_name(t: &TensorProto) -> String {
    t.dtype().map_or_else(|| format!("type {}", t.data_type()), |d| d.to_string())
}

/// Strings have no length in the shape: theirs is counted.
fn bytes(t: &TensorProto) -> u64 {
    let strings = || t.string_data.iter().map(|s| s.len()).sum();
    t.payload_len().unwrap_or_else(strings) as u64
}

fn add((count, sum): &mut (usize, u64), bytes: u64) {
    *count += 1;
    *sum += bytes;
}

fn weight(t: &TensorProto) -> Weight {
    Weight { name: t.name().to_string(), dtype: type_name(t), shape: t.dims.clone(), bytes: bytes(t) }
}

fn file(source: &Source, location: &str, (initializers, bytes): (usize, u64), all: &[&TensorProto]) -> WeightFile {
    let (size, problem) = match source.external.get(location) {
        Some(Ok(file)) => {
            let inside = |t: &&&TensorProto| t.external("location").unwrap_or_default() == location && t.is_external();
            let short = all.iter().filter(inside).filter(|t| t.dtype().is_some() && source.value(t).is_none()).count();
            let problem = (short > 0).then(|| format!("ends before the data of {short} of its initializers"));
            (Some(file.len() as u64), problem)
        }
        Some(Err(why)) => (None, Some(why.clone())),
        None => (None, Some("missing".to_string())),
    };
    WeightFile { location: location.to_string(), size, initializers, bytes, problem }
}

fn constants(graph: &GraphProto, weights: &mut Weights) {
    weights.sparse += graph.sparse_initializer.len();
    for node in &graph.node {
        if let Some(t) = node.constant() {
            weights.constants += 1;
            weights.constant_bytes += bytes(&t);
        }
        for (_, inner) in node.subgraphs() {
            constants(inner, weights);
        }
    }
}

fn wide(source: &Source, graph: &GraphProto, found: &mut Vec<Wide>) {
    let constants = graph.node.iter().filter_map(|n| Some((n.output.first()?.as_str(), n.constant()?)));
    let held: Vec<(&str, TensorProto)> = constants.collect();
    let named = graph.initializer.iter().map(|t| (t.name(), t)).chain(held.iter().map(|(name, t)| (*name, t)));
    for (name, t) in named.filter(|(_, t)| t.dtype() == Some(DType::Int64) && bytes(t) <= SCANNED) {
        let Some(value) = source.value(t) else { continue };
        let values = value.view::<i64>();
        let beyond: Vec<i64> = values.iter().copied().filter(|v| i32::try_from(*v).is_err()).collect();
        if let Some(extreme) = beyond.iter().copied().max_by_key(|v| v.unsigned_abs()) {
            found.push(Wide { name: name.to_string(), values: beyond.len(), extreme, bound: is_bound(graph, name) });
        }
    }
    for (_, inner) in graph.node.iter().flat_map(NodeProto::subgraphs) {
        wide(source, inner, found);
    }
}

/// Is it read as the starts or ends of Slice, and as nothing else?
fn is_bound(graph: &GraphProto, name: &str) -> bool {
    let reads = graph
        .node
        .iter()
        .flat_map(|n| n.input.iter().enumerate().filter(|(_, i)| *i == name).map(move |(at, _)| (n, at)));
    let uses: HashSet<bool> = reads.map(|(n, at)| n.is("Slice") && (1..=2).contains(&at)).collect();
    let handed_out = graph.output.iter().any(|o| o.name() == name);
    !handed_out && uses.iter().all(|bound| *bound) && !uses.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_slice_is_no_value_to_worry_about() {
        let graph = |op: &str, slot: usize| {
            let mut inputs = vec!["x", "a", "b"];
            inputs[slot] = "big";
            GraphProto { node: vec![NodeProto::new(op, "n", &inputs, &["y"])], ..Default::default() }
        };
        assert!(is_bound(&graph("Slice", 2), "big"));
        assert!(!is_bound(&graph("Slice", 0), "big"));
        assert!(!is_bound(&graph("Add", 1), "big"));
        assert!(!is_bound(&graph("Slice", 2), "unread"));
    }
}
