//! What groups are called: by the layer or the path that their nodes' names share, by a number where they share none.

use std::collections::HashMap;

use super::Kind;
use super::pattern::Match;
use crate::graph::Graph;

/// One name for each match; no two are equal.
pub fn names(graph: &Graph, found: &[Match]) -> Vec<String> {
    let computing = graph.nodes.iter().filter(|n| n.op_type != "Constant");
    let everywhere = place(computing.map(|n| n.name.as_str()));
    let place_of = |m: &Match| {
        let names = m.nodes.iter().map(|n| graph.nodes[*n].name.as_str());
        // A start that all nodes of the model have says nothing.
        place(names).filter(|p| m.nodes.len() == 1 || Some(p) != everywhere.as_ref())
    };
    let plain: Vec<String> = found.iter().map(|m| label(what(graph, m), place_of(m).as_deref())).collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    plain.iter().for_each(|name| *times.entry(name).or_default() += 1);
    let mut so_far: HashMap<&str, usize> = HashMap::new();
    let numbered = plain.iter().map(|name| {
        let number = so_far.entry(name).or_default();
        *number += 1;
        if times[name.as_str()] == 1 { name.clone() } else { format!("{name} #{number}") }
    });
    numbered.collect()
}

/// The pattern; the operator, where one does it all.
fn what<'a>(graph: &'a Graph, found: &Match) -> &'a str {
    match (found.kind, &found.nodes[..]) {
        (Kind::AttentionMask, _) => MASK,
        (_, [node]) => &graph.nodes[*node].op_type,
        (Kind::LayerNorm, _) => "LayerNorm",
        (Kind::RmsNorm, _) => "RMSNorm",
        (Kind::Normalisation, _) => "normalisation",
        (Kind::Softmax, _) => "Softmax",
        (Kind::Gelu, _) => "GELU",
        (Kind::Attention, _) => "attention",
    }
}

const MASK: &str = "attention mask";

fn label(what: &str, place: Option<&str>) -> String {
    match place {
        None => what.to_string(),
        Some(place) => match layer(place).filter(|_| what == MASK) {
            Some(layer) => format!("layer {layer} {what}"),
            None => format!("{what} '{place}'"),
        },
    }
}

/// What all names start with, up to a separator; the whole name, if there is only one.
fn place<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<String> {
    const SEPARATORS: [char; 4] = ['/', '.', '_', ':'];
    let first = names.next()?;
    let mut shared = first.len();
    let mut alone = true;
    for name in names {
        let same = first.char_indices().zip(name.chars()).take_while(|((_, a), b)| a == b);
        let same = same.last().map_or(0, |((at, c), _)| at + c.len_utf8());
        shared = shared.min(same);
        alone = false;
    }
    let cut = if alone { first } else { &first[..first[..shared].rfind(SEPARATORS)?] };
    // The model calls such nodes nothing; their outputs' names may still share a path.
    let cut = if alone { cut } else { cut.strip_prefix("node_of").unwrap_or(cut) };
    let place = cut.trim_matches(SEPARATORS);
    (!place.is_empty()).then(|| place.to_string())
}

/// The 3 of `encoder/layer.3/attention`, `h.3`, `blocks_3`.
fn layer(place: &str) -> Option<u32> {
    let words: Vec<&str> = place.split(['/', '.', '_', ':']).collect();
    let of = |pair: &[&str]| {
        let is_layer = matches!(pair[0], "layer" | "layers" | "block" | "blocks" | "h" | "resblocks");
        pair[1].parse().ok().filter(|_| is_layer)
    };
    words.windows(2).find_map(of)
}
