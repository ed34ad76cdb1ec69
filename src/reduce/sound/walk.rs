//! Follows shapes through a model, bodies and functions included.

use std::collections::HashMap;

use super::call::Call;
use super::fact::{Fact, Facts};
use super::rules;
use crate::graph::call;
use crate::graph::node_name;
use crate::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

/// What shapes tell of a model.
#[derive(Default)]
pub struct Told {
    /// In the order in which nodes are followed; empty where all that is known fits.
    pub misfits: Vec<Misfit>,
    /// Of the main graph's tensors.
    pub facts: Facts,
}

/// A node that cannot work.
#[derive(Debug, PartialEq)]
pub struct Misfit {
    /// Its name in its own graph or function.
    pub node: String,
    /// What does not fit, without a full stop.
    pub why: String,
}

/// Bodies and functions inside each other at most; deeper ones are not looked at.
const DEPTH: usize = 16;

/// Everything that follows for `model` from what its main graph is given.
pub fn follow(model: &ModelProto, given: Facts) -> Told {
    let Some(main) = &model.graph else { return Told::default() };
    let mut walk = Walk { model, opsets: versions(&model.opset_import), misfits: Vec::new(), depth: DEPTH };
    let mut given = given;
    let sparse = main.sparse_initializer.iter().filter_map(|s| s.values.as_ref());
    sparse.for_each(|t| _ = given.entry(t.name().to_string()).or_default());
    let mut scopes = vec![given];
    walk.nodes(&main.node, &mut scopes);
    Told { misfits: walk.misfits, facts: scopes.pop().unwrap_or_default() }
}

struct Walk<'a> {
    model: &'a ModelProto,
    /// Of the graph or function that is looked at.
    opsets: HashMap<String, i64>,
    misfits: Vec<Misfit>,
    depth: usize,
}

impl Walk<'_> {
    /// Adds what `nodes` make to the innermost of `scopes`.
    fn nodes(&mut self, nodes: &[NodeProto], scopes: &mut Vec<Facts>) {
        for node in nodes {
            let made = self.node(node, scopes).unwrap_or_else(|why| {
                self.misfits.push(Misfit { node: node_name(node), why });
                Vec::new()
            });
            let Some(innermost) = scopes.last_mut() else { return };
            let mut made = made.into_iter();
            for output in &node.output {
                innermost.insert(output.clone(), made.next().unwrap_or_default());
            }
        }
    }

    fn node(&mut self, node: &NodeProto, scopes: &mut Vec<Facts>) -> Result<Vec<Fact>, String> {
        for name in node.input.iter().filter(|name| !name.is_empty()) {
            if !scopes.iter().any(|s| s.contains_key(name)) {
                return Err(format!("nobody makes its input '{name}'"));
            }
        }
        for (branch, body) in node.subgraphs() {
            let before = self.misfits.len();
            self.body(body, scopes);
            // Many exporters write branches that would not fit where they are not taken.
            if node.is("If") && taken(node, scopes) != Some(branch) {
                self.misfits.truncate(before);
            }
        }
        if let Some(function) = call::function(self.model, node) {
            if let Some(body) = call::bound(node, function).filter(|_| self.depth > 0) {
                let actual: Vec<(String, String)> =
                    call::arguments(node, function).map(|(f, a)| (f.to_string(), a.to_string())).collect();
                let versions = versions(&function.opset_import);
                return Ok(self.call(body, &actual, versions, scopes));
            }
            return Ok(Vec::new());
        }
        let known = |name: &String| scopes.iter().rev().find_map(|s| s.get(name));
        let inputs = node.input.iter().map(known).collect();
        let opset = self.opsets.get(plain(node.domain())).copied().unwrap_or(1);
        rules::apply(&Call { node, opset, inputs })
    }

    /// A graph inside a node. What its arguments are is not known: they change from one iteration to the next.
    fn body(&mut self, body: &GraphProto, scopes: &mut Vec<Facts>) {
        if self.depth == 0 {
            return;
        }
        let mut own: Facts = body.given().map(|name| (name.to_string(), Fact::default())).collect();
        own.extend(body.initializer.iter().map(|t| (t.name().to_string(), Fact::of_proto(t))));
        scopes.push(own);
        self.depth -= 1;
        self.nodes(&body.node, scopes);
        self.depth += 1;
        scopes.pop();
    }

    fn call(
        &mut self,
        body: GraphProto,
        arguments: &[(String, String)],
        versions: HashMap<String, i64>,
        scopes: &[Facts],
    ) -> Vec<Fact> {
        let known = |name: &String| scopes.iter().rev().find_map(|s| s.get(name)).cloned().unwrap_or_default();
        let mut own = vec![arguments.iter().map(|(formal, actual)| (formal.clone(), known(actual))).collect()];
        let outside = std::mem::replace(&mut self.opsets, versions);
        self.depth -= 1;
        self.nodes(&body.node, &mut own);
        self.depth += 1;
        self.opsets = outside;
        body.output.iter().map(|o| own[0].get(o.name()).cloned().unwrap_or_default()).collect()
    }
}

/// The branch of an If that runs, where its condition is known.
fn taken(node: &NodeProto, scopes: &[Facts]) -> Option<&'static str> {
    let condition = scopes.iter().rev().find_map(|s| s.get(node.input.first()?))?;
    match condition.as_ints()? {
        [0] => Some("else_branch"),
        [_] => Some("then_branch"),
        _ => None,
    }
}

fn versions(opsets: &[OperatorSetIdProto]) -> HashMap<String, i64> {
    opsets.iter().map(|o| (plain(o.domain()).to_string(), o.version())).collect()
}

/// The default domain has two names.
fn plain(domain: &str) -> &str {
    if domain == "ai.onnx" { "" } else { domain }
}
