//! From protobuf to [`Graph`]: names are resolved scope by scope, order is checked, every defect is one sentence.

use std::collections::{HashMap, HashSet};

use anyhow::bail;
use petgraph::graph::{DiGraph, NodeIndex};

use super::{Graph, Node, Read, Source, Step, Value, node_name};
use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// Names that a graph can see: its own, then those of the graphs around it.
struct Scope<'a> {
    names: HashMap<&'a str, Source>,
    outer: Option<&'a Scope<'a>>,
}

impl Scope<'_> {
    fn find(&self, name: &str) -> Option<&Source> {
        self.names.get(name).or_else(|| self.outer?.find(name))
    }
}

struct Builder {
    nodes: Vec<Node>,
    tensors: Vec<Value>,
    by_key: HashMap<String, usize>,
}

/// Orders and numbers everything; the first thing that is wrong is the error.
pub fn build(model: &ModelProto) -> anyhow::Result<Graph> {
    let Some(main) = &model.graph else { bail!("the model has no graph") };
    let mut builder = Builder { nodes: Vec::new(), tensors: Vec::new(), by_key: HashMap::new() };
    let scope = builder.graph(main, None, &[])?;
    let initializers: HashSet<&str> = main.initializer.iter().map(|t| t.name()).collect();
    let inputs =
        main.input.iter().map(|v| v.name()).filter(|n| !initializers.contains(n)).map(str::to_string).collect();
    let mut outputs = Vec::new();
    for output in &main.output {
        match scope.find(output.name()) {
            Some(Source::Tensor(t)) => outputs.push((output.name().to_string(), Some(*t))),
            Some(_) => outputs.push((output.name().to_string(), None)),
            None => bail!("the graph output '{}' is made by no node; the model is damaged", output.name()),
        }
    }
    let dag = builder.dag();
    let Builder { nodes, tensors, by_key } = builder;
    Ok(Graph { nodes, tensors, inputs, outputs, by_key, dag })
}

impl Builder {
    /// Adds the nodes of `graph`, those of its If branches before the If, and gives back the names it defines.
    fn graph<'a>(
        &mut self,
        graph: &'a GraphProto,
        outer: Option<&'a Scope<'a>>,
        path: &[Step],
    ) -> anyhow::Result<Scope<'a>> {
        let mut scope = Scope { names: HashMap::new(), outer };
        let initializers: HashSet<&str> = graph.initializer.iter().map(|t| t.name()).collect();
        for name in graph.given() {
            let source = if initializers.contains(name) { Source::Initializer } else { Source::Input };
            scope.names.insert(name, source);
        }
        for sparse in graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()) {
            scope.names.insert(sparse.name(), Source::Initializer);
        }
        check_makers(graph, &scope)?;
        for index in execution_order(graph)? {
            self.node(graph, index, &mut scope, path)?;
        }
        Ok(scope)
    }

    fn node<'a>(
        &mut self,
        graph: &'a GraphProto,
        index: usize,
        scope: &mut Scope<'a>,
        path: &[Step],
    ) -> anyhow::Result<()> {
        let proto = &graph.node[index];
        let name = node_name(proto);
        let mut reads: Vec<Read> = Vec::new();
        for input in captured(proto) {
            let Some(source) = scope.find(input) else {
                bail!(
                    "node '{name}' ({}) reads '{input}', which nothing makes: no input, no initializer, no node; the model is damaged",
                    proto.op_type()
                );
            };
            if !reads.iter().any(|r| r.name == input) {
                reads.push(Read { name: input.to_string(), source: source.clone() });
            }
        }
        let results = if proto.is("If") { self.branches(proto, index, scope, path)? } else { Vec::new() };
        let id = self.nodes.len();
        let mut writes = Vec::new();
        for output in proto.output.iter().filter(|o| !o.is_empty()) {
            let tensor = self.tensors.len();
            let key = match path.last() {
                None => output.clone(),
                Some(_) => path.iter().map(|s| format!("{}/{}/", s.name, s.attribute)).collect::<String>() + output,
            };
            self.by_key.insert(key.clone(), tensor);
            self.tensors.push(Value { key, name: output.clone(), node: id });
            scope.names.insert(output, Source::Tensor(tensor));
            writes.push(tensor);
        }
        let domain = match proto.domain() {
            "ai.onnx" => "",
            other => other,
        };
        let (op_type, domain, scope) = (proto.op_type().to_string(), domain.to_string(), path.to_vec());
        self.nodes.push(Node { name, op_type, domain, index, scope, reads, results, writes });
        Ok(())
    }

    /// The branches of an If; gives back the tensors that they hand to it.
    fn branches(&mut self, node: &NodeProto, index: usize, scope: &Scope, path: &[Step]) -> anyhow::Result<Vec<usize>> {
        let mut results = Vec::new();
        for (attribute, branch) in node.subgraphs() {
            let step = Step { node: index, name: node_name(node), attribute: attribute.to_string() };
            let inner = self.graph(branch, Some(scope), &[path, &[step]].concat())?;
            for output in &branch.output {
                match inner.find(output.name()) {
                    Some(Source::Tensor(t)) => results.push(*t),
                    Some(_) => {}
                    None => bail!(
                        "'{}', an output of {attribute} of node '{}', is made by no node",
                        output.name(),
                        node_name(node)
                    ),
                }
            }
        }
        Ok(results)
    }

    fn dag(&self) -> DiGraph<(), ()> {
        let mut dag = DiGraph::with_capacity(self.tensors.len(), self.tensors.len() * 2);
        for _ in &self.tensors {
            dag.add_node(());
        }
        for node in &self.nodes {
            let read = node.reads.iter().filter_map(|r| match r.source {
                Source::Tensor(t) => Some(t),
                Source::Input | Source::Initializer => None,
            });
            for parent in read.chain(node.results.iter().copied()) {
                for &child in &node.writes {
                    dag.update_edge(NodeIndex::new(parent), NodeIndex::new(child), ());
                }
            }
        }
        dag
    }
}

/// Every tensor has one maker.
fn check_makers(graph: &GraphProto, given: &Scope) -> anyhow::Result<()> {
    let mut makers: HashMap<&str, &NodeProto> = HashMap::new();
    for node in &graph.node {
        for output in node.output.iter().filter(|o| !o.is_empty()) {
            if given.names.contains_key(output.as_str()) {
                bail!(
                    "node '{}' writes '{output}', which is already an input or initializer; the model is damaged",
                    node_name(node)
                );
            }
            if let Some(first) = makers.insert(output, node) {
                bail!(
                    "tensor '{output}' is made twice, by nodes '{}' and '{}'; make the names unique",
                    node_name(first),
                    node_name(node)
                );
            }
        }
    }
    Ok(())
}

/// Positions of the nodes so that each comes after what it reads: the file's own order wherever that is one.
fn execution_order(graph: &GraphProto) -> anyhow::Result<Vec<usize>> {
    let makers: HashMap<&str, usize> =
        graph.node.iter().enumerate().flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i))).collect();
    let mut order = DiGraph::<(), ()>::with_capacity(graph.node.len(), graph.node.len());
    for _ in &graph.node {
        order.add_node(());
    }
    let mut in_order = true;
    for (i, node) in graph.node.iter().enumerate() {
        for maker in captured(node).filter_map(|name| makers.get(name)) {
            in_order &= *maker < i;
            order.add_edge(NodeIndex::new(*maker), NodeIndex::new(i), ());
        }
    }
    if in_order {
        return Ok((0..graph.node.len()).collect());
    }
    match petgraph::algo::toposort(&order, None) {
        Ok(sorted) => Ok(sorted.into_iter().map(NodeIndex::index).collect()),
        Err(cycle) => {
            let node = &graph.node[cycle.node_id().index()];
            bail!(
                "the graph has a cycle through node '{}' ({}); no runtime can order it",
                node_name(node),
                node.op_type()
            )
        }
    }
}

/// Names a node reads from its own graph: its inputs, and what its subgraphs take from outside.
fn captured(node: &NodeProto) -> impl Iterator<Item = &str> {
    let mut names: Vec<&str> = node.input.iter().map(String::as_str).filter(|n| !n.is_empty()).collect();
    for (_, graph) in node.subgraphs() {
        let own: HashSet<&str> =
            graph.given().chain(graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str))).collect();
        let inside = graph.node.iter().flat_map(captured).chain(graph.output.iter().map(|o| o.name()));
        names.extend(inside.filter(|n| !own.contains(n)));
    }
    names.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::ValueInfoProto;

    fn model(nodes: Vec<NodeProto>, outputs: &[&str]) -> ModelProto {
        let output = outputs.iter().map(|o| ValueInfoProto::bare(o)).collect();
        let graph = GraphProto { node: nodes, input: vec![ValueInfoProto::bare("x")], output, ..Default::default() };
        ModelProto { graph: Some(graph), ..Default::default() }
    }

    fn node(name: &str, op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
        NodeProto::new(op, name, inputs, outputs)
    }

    fn check(nodes: Vec<NodeProto>, outputs: &[&str], want: Result<&[&str], &str>) {
        let got = Graph::new(&model(nodes, outputs));
        match (got, want) {
            (Ok(g), Ok(keys)) => assert_eq!(g.tensors.iter().map(|t| t.key.as_str()).collect::<Vec<_>>(), keys),
            (Err(e), Err(want)) => assert!(e.to_string().contains(want), "{e}"),
            (Ok(_), Err(want)) => panic!("built, but '{want}' was expected"),
            (Err(e), Ok(_)) => panic!("{e}"),
        }
    }

    #[test]
    fn nodes_out_of_order_are_ordered() {
        let nodes = vec![node("b", "Relu", &["y"], &["z"]), node("a", "Relu", &["x"], &["y"])];
        check(nodes, &["z"], Ok(&["y", "z"]));
    }

    #[test]
    fn defects_are_named() {
        check(vec![node("a", "Relu", &["q"], &["y"])], &["y"], Err("node 'a' (Relu) reads 'q', which nothing makes"));
        check(vec![node("a", "Relu", &["x"], &["y"])], &["z"], Err("graph output 'z' is made by no node"));
        let twice = vec![node("a", "Relu", &["x"], &["y"]), node("b", "Relu", &["x"], &["y"])];
        check(twice, &["y"], Err("'y' is made twice, by nodes 'a' and 'b'"));
        let cycle = vec![node("a", "Relu", &["z"], &["y"]), node("b", "Relu", &["y"], &["z"])];
        check(cycle, &["z"], Err("cycle"));
        check(vec![node("a", "Relu", &["x"], &["x"])], &["x"], Err("already an input"));
    }

    #[test]
    fn branches_come_before_their_if_and_capture_from_outside() {
        let branch = |name: &str| GraphProto {
            node: vec![node("inner", "Neg", &["y"], &[name])],
            output: vec![ValueInfoProto::bare(name)],
            ..Default::default()
        };
        let attr =
            |name: &str, g| crate::onnx::AttributeProto { name: Some(name.into()), g: Some(g), ..Default::default() };
        let choose = node("if", "If", &["x"], &["z"])
            .with(attr("then_branch", branch("t")))
            .with(attr("else_branch", branch("e")));
        let m = model(vec![node("a", "Relu", &["x"], &["y"]), choose], &["z"]);
        let g = Graph::new(&m).unwrap();
        let keys: Vec<&str> = g.tensors.iter().map(|t| t.key.as_str()).collect();
        assert_eq!(keys, ["y", "if/then_branch/t", "if/else_branch/e", "z"]);
        assert_eq!(g.parents(3), [0, 1, 2]);
        assert_eq!(g.parents(1), [0]);
        assert_eq!(g.ancestors(&[1]), [true, true, false, false]);
        assert_eq!(g.nodes[1].subgraph().unwrap(), "if/then_branch");
        assert_eq!(g.nodes[1].proto(&m).unwrap().op_type(), "Neg");
    }
}
