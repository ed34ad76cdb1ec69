//! Names that every tool can tell apart: none empty, none twice, subgraphs included. Model -> model, and that model as an
//! export, where the files cannot speak of the user's own.

use std::collections::HashSet;

use super::{Content, Export, Told, line};
use crate::graph::node_name;
use crate::onnx::{GraphProto, ModelProto};
use crate::show::page::{Block, Words};

/// The model with the new names.
pub const FILE: &str = "model.named.onnx";

/// For the other files, where a name lacks or the path of the model cannot be written in a file of arguments.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "named",
        file: FILE,
        content: |told| Ok((told.onnx == FILE).then(|| Content::Model(told.o.source.written(&told.named)))),
        section,
    }
}

fn section(told: &Told) -> Vec<Block> {
    match (told.renamed.len(), told.has_arguments()) {
        // Only its path was in the way.
        (0, _) => Vec::new(),
        (renamed, true) => vec![line(Words::from(format!("{renamed} nodes")).then(
            " had no name or one that another node has. `model.named.onnx` is the same model with a name for each; the \
             other files speak of that one.",
        ))],
        (_, false) => {
            vec![line("`model.named.onnx` is the same model with a name for every node, which nodes.json speaks of.")]
        }
    }
}

/// `model` with a unique name for every node, and the names that are new. Names that are there stay with the first node
/// that has them. The rule is TensorRT's: `node_of_<output>` for none, a counter behind it for the same again.
pub fn named(model: &ModelProto) -> (ModelProto, Vec<String>) {
    let mut named = model.clone();
    let mut renamed = Vec::new();
    if let Some(main) = named.graph.as_mut() {
        let mut taken = HashSet::new();
        collect(main, &mut taken);
        rename(main, &mut taken, &mut HashSet::new(), &mut renamed);
    }
    (named, renamed)
}

fn collect(graph: &GraphProto, names: &mut HashSet<String>) {
    for node in &graph.node {
        names.insert(node.name().to_string());
        node.subgraphs().for_each(|(_, body)| collect(body, names));
    }
}

/// `taken` holds all names of the model, old and new; `seen` those of the nodes before.
fn rename(graph: &mut GraphProto, taken: &mut HashSet<String>, seen: &mut HashSet<String>, renamed: &mut Vec<String>) {
    for node in &mut graph.node {
        if node.name().is_empty() || !seen.insert(node.name().to_string()) {
            let base = node_name(node);
            let numbered = (1u64..).map(|n| format!("{base}_{n}"));
            let free = std::iter::once(base.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
            let name = free.unwrap_or(base);
            renamed.push(name.clone());
            node.name = Some(name);
        }
        node.subgraphs_mut().for_each(|body| rename(body, taken, seen, renamed));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::onnx::{AttributeProto, NodeProto};

    fn all(graph: &GraphProto) -> Vec<String> {
        let inside = |n: &NodeProto| n.subgraphs().flat_map(|(_, g)| all(g)).collect::<Vec<_>>();
        graph.node.iter().flat_map(|n| [vec![n.name().to_string()], inside(n)].concat()).collect()
    }

    /// Nodes of these names, a second list in a branch of the first node.
    fn model(names: &[&str], inner: &[&str]) -> ModelProto {
        let node = |i: usize, name: &str| NodeProto::new("Neg", name, &["x"], &[&format!("y{i}")]);
        let nodes = |names: &[&str]| names.iter().enumerate().map(|(i, n)| node(i, n)).collect();
        let mut graph = GraphProto { node: nodes(names), ..Default::default() };
        let body = GraphProto { node: nodes(inner), ..Default::default() };
        let branch = AttributeProto { name: Some("then_branch".into()), g: Some(body), ..Default::default() };
        graph.node.iter_mut().take(1).for_each(|n| n.attribute.push(branch.clone()));
        ModelProto { graph: Some(graph), ..Default::default() }
    }

    fn check(names: &[&str], inner: &[&str], want: &[&str], new: &[&str]) {
        let (got, renamed) = named(&model(names, inner));
        assert_eq!((all(&got.graph.unwrap()), renamed), (want.map_all(), new.map_all()));
    }

    trait MapAll {
        fn map_all(&self) -> Vec<String>;
    }

    impl MapAll for &[&str] {
        fn map_all(&self) -> Vec<String> {
            self.iter().map(|s| s.to_string()).collect()
        }
    }

    #[test]
    fn the_first_of_a_name_keeps_it() {
        check(&["a", "b"], &["c"], &["a", "c", "b"], &[]);
        check(&["a", "a", "a"], &[], &["a", "a_1", "a_2"], &["a_1", "a_2"]);
        check(&["a", "a_1"], &["a"], &["a", "a_2", "a_1"], &["a_2"]);
        check(
            &["", "node_of_y0"],
            &[""],
            &["node_of_y0_1", "node_of_y0_2", "node_of_y0"],
            &["node_of_y0_1", "node_of_y0_2"],
        );
    }

    proptest! {
        #[test]
        fn all_are_unique_and_none_is_empty(names in prop::collection::vec("(a|b)?(_1)?(_2)?", 1..12),
                                            inner in prop::collection::vec("(a|b)?(_1)?", 0..6)) {
            let (names, inner): (Vec<&str>, Vec<&str>) =
                (names.iter().map(String::as_str).collect(), inner.iter().map(String::as_str).collect());
            let given = model(&names, &inner);
            let (got, renamed) = named(&given);
            let (old, new) = (all(given.graph.as_ref().unwrap()), all(got.graph.as_ref().unwrap()));
            let set: HashSet<&String> = new.iter().collect();
            prop_assert_eq!(set.len(), new.len());
            prop_assert!(!new.iter().any(String::is_empty));
            let changed: Vec<String> = old.iter().zip(&new).filter(|(o, n)| o != n).map(|(_, n)| n.clone()).collect();
            prop_assert_eq!(changed, renamed);
            // No name that was there is lost.
            prop_assert!(old.iter().filter(|o| !o.is_empty()).all(|o| set.contains(o)));
        }
    }
}
