//! Calls of model-local functions, replaced by their bodies: every value of a body becomes one of the graph that calls.
//! Graph -> graph; the outer tensors keep their names. Says which functions could not be replaced, and never guesses: a body
//! of other operator versions than the model's stays a function.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};

use super::{call, node_name};
use crate::onnx::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

/// A model whose calls are replaced.
pub struct Inlined {
    /// Without the functions that nothing calls any more.
    pub model: ModelProto,
    /// Functions that are called still, by name, each once.
    pub left: Vec<String>,
    calls: Vec<Call>,
}

/// A call that is no more.
pub struct Call {
    /// The node's name, as [`node_name`] says it.
    pub name: String,
    /// The same behind the way to its graph: `if_3/then_branch/norm`.
    pub path: String,
    /// The function's name.
    pub op_type: String,
    /// The nodes in its place, each as `path` has it.
    nodes: Vec<String>,
    /// The keys of what it gave.
    outputs: Vec<String>,
    /// The keys of all that nodes make in its place; what is in bodies of those nodes is not listed.
    made: Vec<String>,
}

impl Inlined {
    /// The keys of all values that have come in, and of what the calls gave. What is in bodies is not among them.
    pub fn made(&self) -> impl Iterator<Item = &String> {
        self.calls.iter().flat_map(|call| &call.made)
    }

    /// `keys` of values that nodes make, with those of whole bodies in place of the calls among them.
    pub fn with_bodies(&self, keys: &HashSet<String>) -> HashSet<String> {
        let called = self.calls.iter().filter(|call| call.outputs.iter().any(|o| keys.contains(o)));
        keys.iter().chain(called.flat_map(|call| &call.made)).cloned().collect()
    }

    /// The calls in whose place the node stands whose name, behind the way to its graph, is `path`: the innermost first.
    pub fn calls_of(&self, path: &str) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.nodes.iter().any(|node| node == path))
    }

    /// All calls, those inside functions among them.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }
}

/// `None`: no node calls a function.
pub fn inline(model: &ModelProto) -> Option<Inlined> {
    let main = model.graph.as_ref().filter(|main| !model.functions.is_empty() && calls(&main.node, model))?;
    let mut taken = BTreeSet::new();
    names(main, &mut taken);
    let opsets = model.opset_import.clone();
    let mut inliner =
        Inliner { model, taken, opsets, within: Vec::new(), nodes: 0, calls: Vec::new(), left: BTreeSet::new() };
    let mut graph = main.clone();
    inliner.graph(&mut graph, "");
    let Inliner { opsets, calls, left, .. } = inliner;
    let mut inlined =
        ModelProto { graph: Some(graph), opset_import: opsets, functions: Vec::new(), ..model.clone_without_graph() };
    if !left.is_empty() {
        inlined.functions = model.functions.clone();
    }
    Some(Inlined { model: inlined, left: left.into_iter().collect(), calls })
}

/// Nodes that all bodies together may become.
const MOST: usize = 1 << 20;
/// Calls inside each other that are followed: exporters nest modules, and a file that goes deeper was made to.
const DEEPEST: usize = 64;

struct Inliner<'a> {
    model: &'a ModelProto,
    /// Names of the values of the model.
    taken: BTreeSet<String>,
    opsets: Vec<OperatorSetIdProto>,
    /// The functions whose bodies are being put in, outermost first, and what the new names of each begin with.
    within: Vec<(&'a FunctionProto, String)>,
    nodes: usize,
    calls: Vec<Call>,
    left: BTreeSet<String>,
}

impl Inliner<'_> {
    fn graph(&mut self, graph: &mut GraphProto, prefix: &str) {
        let mut nodes = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            self.node(node, prefix, &mut nodes);
        }
        graph.node = nodes;
    }

    /// Puts the node among `nodes`, or what it calls.
    fn node(&mut self, mut node: NodeProto, prefix: &str, nodes: &mut Vec<NodeProto>) {
        if let Some(function) = call::function(self.model, &node) {
            let home = self.home(&node);
            if let Some(body) = self.body(&node, function, home.clone()) {
                let first = nodes.len();
                self.within.push((function, home));
                body.into_iter().for_each(|inner| self.node(inner, prefix, nodes));
                self.within.pop();
                let keys = |names: &[String]| -> Vec<String> {
                    names.iter().filter(|o| !o.is_empty()).map(|o| format!("{prefix}{o}")).collect()
                };
                let made = nodes[first..].iter().flat_map(|n| keys(&n.output)).collect();
                let (name, op_type) = (node_name(&node), node.op_type().to_string());
                let path = |name: String| format!("{prefix}{name}");
                let places = nodes[first..].iter().map(|n| path(node_name(n))).collect();
                let (path, outputs) = (path(name.clone()), keys(&node.output));
                self.calls.push(Call { name, path, op_type, nodes: places, outputs, made });
                return;
            }
            self.left.insert(function.name().to_string());
        }
        let path = node_name(&node);
        for attribute in &mut node.attribute {
            let inner = format!("{prefix}{path}/{}/", attribute.name());
            attribute.g.iter_mut().chain(&mut attribute.graphs).for_each(|body| self.graph(body, &inner));
        }
        nodes.push(node);
    }

    /// The nodes of `function` as `node` calls it, under names of their own; `None` where they cannot stand in its place.
    fn body(&mut self, node: &NodeProto, function: &FunctionProto, home: String) -> Option<Vec<NodeProto>> {
        let again = self.within.iter().any(|(outer, _)| std::ptr::eq(*outer, function));
        self.nodes += function.node.len();
        if again || self.nodes > MOST || self.within.len() >= DEEPEST {
            return None;
        }
        let body = call::bound(node, function)?;
        let known = ModelProto { opset_import: self.opsets.clone(), ..Default::default() };
        let opsets = call::opsets(&known, function)?;
        let names = Names::of(node, function, home)?;
        self.opsets = opsets;
        Some(names.put_on(body.node))
    }

    /// What new names begin with: nobody else's do.
    fn home(&self, node: &NodeProto) -> String {
        let first = node.output.iter().find(|o| !o.is_empty()).map_or("nothing", String::as_str);
        let mut home = format!("{first}/{}/", node.op_type());
        let taken = |home: &String| {
            let by_a_value = self.taken.range(home.clone()..).next().is_some_and(|name| name.starts_with(home));
            by_a_value || self.within.iter().any(|(_, outer)| outer == home)
        };
        while taken(&home) {
            home = format!("{}_/", &home[..home.len() - 1]);
        }
        home
    }
}

/// What the values of a body are called where it is put in.
struct Names {
    home: String,
    new: HashMap<String, String>,
    /// Outputs that no node makes under their name: an input handed through, a value given out twice.
    copies: Vec<(String, String)>,
}

impl Names {
    /// `None`: an output of the function is nobody's.
    fn of(node: &NodeProto, function: &FunctionProto, home: String) -> Option<Names> {
        let own = |(formal, actual): (&str, &str)| (formal.to_string(), actual.to_string());
        let mut names = Names { home, new: call::arguments(node, function).map(own).collect(), copies: Vec::new() };
        let made: HashSet<&String> = function.node.iter().flat_map(|n| &n.output).collect();
        for (formal, actual) in function.output.iter().zip(&node.output).filter(|(_, actual)| !actual.is_empty()) {
            if let Some(known) = names.new.get(formal) {
                names.copies.push((known.clone(), actual.clone()));
            } else if made.contains(formal) {
                names.new.insert(formal.clone(), actual.clone());
            } else {
                return None;
            }
        }
        made.into_iter().for_each(|name| names.add(name));
        Some(names)
    }

    fn add(&mut self, name: &str) {
        if !name.is_empty() && !self.new.contains_key(name) {
            self.new.insert(name.to_string(), format!("{}{name}", self.home));
        }
    }

    fn put_on(self, mut nodes: Vec<NodeProto>) -> Vec<NodeProto> {
        for node in &mut nodes {
            let name = node_name(node);
            node.name = Some(format!("{}{name}", self.home));
            self.rename(node, &self.new);
        }
        let copy = |(from, to): &(String, String)| {
            NodeProto::new("Identity", &format!("{}{to}/copy", self.home), &[from], &[to])
        };
        nodes.extend(self.copies.iter().map(copy));
        nodes
    }

    fn rename(&self, node: &mut NodeProto, names: &HashMap<String, String>) {
        node.input.iter_mut().chain(&mut node.output).for_each(|name| replace(name, names));
        for graph in node.subgraphs_mut() {
            let mut inner = names.clone();
            let made = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
            let own = graph.given().chain(made).filter(|name| !name.is_empty());
            inner.extend(own.map(|name| (name.to_string(), format!("{}{name}", self.home))).collect::<Vec<_>>());
            for value in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
                value.name.iter_mut().for_each(|name| replace(name, &inner));
            }
            let sparse = graph.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut());
            let weights: Vec<&mut TensorProto> = graph.initializer.iter_mut().chain(sparse).collect();
            weights.into_iter().flat_map(|t| &mut t.name).for_each(|name| replace(name, &inner));
            graph.quantization_annotation.clear();
            graph.node.iter_mut().for_each(|node| self.rename(node, &inner));
        }
    }
}

fn replace(name: &mut String, names: &HashMap<String, String>) {
    if let Some(new) = names.get(name) {
        name.clone_from(new);
    }
}

/// Does one of the nodes, or one inside them, call a function?
fn calls(nodes: &[NodeProto], model: &ModelProto) -> bool {
    let inside = |n: &NodeProto| n.subgraphs().any(|(_, body)| calls(&body.node, model));
    nodes.iter().any(|n| call::function(model, n).is_some() || inside(n))
}

/// Of all values of the graph and of those inside.
fn names(graph: &GraphProto, into: &mut BTreeSet<String>) {
    let made = graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str));
    into.extend(graph.given().chain(made).map(str::to_string));
    graph.node.iter().flat_map(|n| n.subgraphs()).for_each(|(_, body)| names(body, into));
}
