//! Names that are missing, doubled or unknown: every defect of a model's graphs, not only the first. Pure: a proto in, sentences out.

use std::collections::{HashMap, HashSet};

use crate::graph::node_name;
use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// A model can have one mistake in thousands of places.
const SAME: usize = 8;

/// One sentence each, in the order of the file; of one kind eight at most, then how many more.
pub fn defects(model: &ModelProto) -> Vec<String> {
    let mut found = Found::default();
    if let Some(main) = &model.graph {
        found.graph(main, &HashSet::new(), "");
        found.node_names(main);
        found.domains(model, main);
    }
    found.sentences()
}

/// Defects by what they have in common, in the order of the file.
#[derive(Default)]
struct Found {
    sentences: Vec<String>,
    more: HashMap<&'static str, usize>,
    names: HashMap<String, usize>,
}

impl Found {
    fn say(&mut self, kind: &'static str, sentence: String) {
        let count = self.more.entry(kind).or_default();
        *count += 1;
        if *count <= SAME {
            self.sentences.push(sentence);
        }
    }

    fn sentences(mut self) -> Vec<String> {
        let mut rest: Vec<(&str, usize)> = self.more.into_iter().filter(|(_, n)| *n > SAME).collect();
        rest.sort_unstable();
        self.sentences.extend(rest.into_iter().map(|(kind, n)| format!("{} more: {kind}", n - SAME)));
        self.sentences
    }

    fn graph(&mut self, graph: &GraphProto, outer: &HashSet<&str>, place: &str) {
        let mut known = outer.clone();
        self.given(graph, &mut known, place);
        let mut makers: HashMap<&str, &NodeProto> = HashMap::new();
        for node in &graph.node {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if let Some(first) = makers.insert(output, node) {
                    let (a, b) = (node_name(first), node_name(node));
                    self.say(
                        "tensors made twice",
                        format!("tensor '{output}'{place} is made twice, by '{a}' and '{b}'"),
                    );
                } else if !known.insert(output) && !outer.contains(output.as_str()) {
                    let name = node_name(node);
                    let text = format!("node '{name}'{place} writes '{output}', already an input or initializer");
                    self.say("tensors that are already inputs", text);
                }
            }
        }
        for node in &graph.node {
            for input in node.input.iter().filter(|i| !i.is_empty() && !known.contains(i.as_str())) {
                let (name, op) = (node_name(node), node.op_type());
                self.say(
                    "inputs that nothing makes",
                    format!("node '{name}' ({op}){place} reads '{input}', which nothing makes"),
                );
            }
            for (attribute, inner) in node.subgraphs() {
                self.graph(inner, &known, &format!(" in {}/{attribute}", node_name(node)));
            }
        }
        for output in graph.output.iter().filter(|o| !known.contains(o.name())) {
            self.say("outputs that nothing makes", format!("output '{}'{place} is made by nothing", output.name()));
        }
    }

    fn given<'a>(&mut self, graph: &'a GraphProto, known: &mut HashSet<&'a str>, place: &str) {
        let sparse = graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
        let initializers = graph.initializer.iter().chain(sparse).map(|t| ("initializer", t.name()));
        let inputs = graph.input.iter().map(|v| ("input", v.name()));
        let mut seen = HashSet::new();
        for (what, name) in inputs.chain(initializers) {
            if name.is_empty() {
                self.say("things without a name", format!("an {what}{place} has no name"));
            } else if !seen.insert((what, name)) {
                self.say("inputs and initializers that exist twice", format!("{what} '{name}'{place} exists twice"));
            }
            known.insert(name);
        }
    }

    fn node_names(&mut self, main: &GraphProto) {
        self.count_names(main);
        let mut twice: Vec<(String, usize)> =
            std::mem::take(&mut self.names).into_iter().filter(|(_, n)| *n > 1).collect();
        twice.sort_unstable();
        for (name, n) in twice {
            self.say(
                "node names that exist several times",
                format!("{n} nodes have the name '{name}'; TensorRT and overrides by name need it once"),
            );
        }
    }

    fn count_names(&mut self, graph: &GraphProto) {
        for node in &graph.node {
            if !node.name().is_empty() {
                *self.names.entry(node.name().to_string()).or_default() += 1;
            }
            node.subgraphs().for_each(|(_, inner)| self.count_names(inner));
        }
    }

    /// A domain without a version is refused by every runtime.
    fn domains(&mut self, model: &ModelProto, graph: &GraphProto) {
        let canonical = |domain: &str| if domain == "ai.onnx" { String::new() } else { domain.to_string() };
        let imported: HashSet<String> = model.opset_import.iter().map(|o| canonical(o.domain())).collect();
        let mut used = Vec::new();
        domains_of(graph, &mut used);
        for domain in used.into_iter().filter(|d| !imported.contains(&canonical(d))) {
            let name = if domain.is_empty() { "ai.onnx" } else { domain };
            self.say(
                "domains without an opset",
                format!("operators of the domain '{name}' are used, but no opset of it is imported"),
            );
        }
    }
}

fn domains_of<'a>(graph: &'a GraphProto, used: &mut Vec<&'a str>) {
    for node in &graph.node {
        if !used.contains(&node.domain()) {
            used.push(node.domain());
        }
        node.subgraphs().for_each(|(_, inner)| domains_of(inner, used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::{OperatorSetIdProto, ValueInfoProto};

    fn check(nodes: Vec<NodeProto>, output: &str, want: &[&str]) {
        let (input, output) = (vec![ValueInfoProto::bare("x")], vec![ValueInfoProto::bare(output)]);
        let graph = GraphProto { node: nodes, input, output, ..Default::default() };
        let opset = OperatorSetIdProto { domain: None, version: Some(17) };
        let got = defects(&ModelProto { graph: Some(graph), opset_import: vec![opset], ..Default::default() });
        assert_eq!(got.len(), want.len(), "{got:?}");
        for (got, want) in got.iter().zip(want) {
            assert!(got.contains(want), "{got} lacks {want}");
        }
    }

    fn node(name: &str, inputs: &[&str], output: &str) -> NodeProto {
        NodeProto::new("Relu", name, inputs, &[output])
    }

    #[test]
    fn every_defect_is_named() {
        check(vec![node("a", &["x"], "y")], "y", &[]);
        check(vec![node("a", &["p", "", "q"], "y")], "y", &["'a' (Relu) reads 'p'", "reads 'q'"]);
        check(vec![node("a", &["x"], "y"), node("b", &["x"], "y")], "y", &["made twice, by 'a' and 'b'"]);
        check(vec![node("a", &["x"], "x")], "z", &["writes 'x', already", "output 'z' is made by nothing"]);
        check(vec![node("a", &["x"], "y"), node("a", &["y"], "z")], "z", &["2 nodes have the name 'a'"]);
        check(vec![node("", &["x"], "y"), node("", &["x"], "z")], "y", &[]);
        let foreign = NodeProto { domain: Some("com.acme".into()), ..node("a", &["x"], "y") };
        check(vec![foreign], "y", &["domain 'com.acme'"]);
    }

    #[test]
    fn a_body_sees_what_is_around_it() {
        let body = |input: &str| GraphProto {
            node: vec![node("in", &[input], "t")],
            output: vec![ValueInfoProto::bare("t")],
            ..Default::default()
        };
        let branch = |input: &str| crate::onnx::AttributeProto {
            name: Some("then_branch".into()),
            g: Some(body(input)),
            ..Default::default()
        };
        check(vec![NodeProto::new("If", "if", &["x"], &["y"]).with(branch("x"))], "y", &[]);
        check(
            vec![NodeProto::new("If", "if", &["x"], &["y"]).with(branch("w"))],
            "y",
            &["'in' (Relu) in if/then_branch reads 'w'"],
        );
    }

    #[test]
    fn the_same_mistake_a_thousand_times_is_short() {
        let nodes = (0..1000).map(|i| node(&i.to_string(), &["p"], &format!("y{i}"))).collect();
        check(nodes, "y0", &["p"; 8].into_iter().chain(["992 more"]).collect::<Vec<_>>());
    }
}
