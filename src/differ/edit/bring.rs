//! What the believed file has and the other one has not: brought over under names of its own, with the nodes that make it.

use std::collections::HashMap;

use super::Edit;
use crate::differ::captured::{captured, rename};
use crate::differ::names::Names;
use crate::differ::restate::restated;
use crate::differ::scope::Scope;
use crate::differ::{Difference, version};
use crate::graph::{Step, graph_at, node_name};
use crate::onnx::{GraphProto, ModelProto, NodeProto, OperatorSetIdProto};

/// Nodes that are taken over for one difference at most.
const MOST: usize = 64;

/// What the believed file has, on its way to the other one.
pub(super) struct Bringing<'a> {
    pub(super) mine: Scope<'a>,
    theirs: Scope<'a>,
    pub(super) names: Names,
    /// The graph of the other file that it is brought to.
    pub(super) path: Vec<Step>,
    /// Names of the believed file that were brought so far.
    pub(super) known: HashMap<String, String>,
}

impl<'a> Edit<'_, 'a> {
    /// The name under which the other file has what the believed one calls `name`; taken over with the nodes that make it, where it has not.
    pub(super) fn brought(&mut self, d: &Difference, name: &str) -> Result<String, String> {
        let mut bringing = self.bringing(d)?;
        self.bring(&mut bringing, name)
    }

    pub(super) fn bringing(&self, d: &Difference) -> Result<Bringing<'a>, String> {
        let (mine, theirs) = (self.two.mine.proto.graph.as_ref(), self.two.theirs.proto.graph.as_ref());
        let (mine, theirs) = mine.zip(theirs).ok_or("a file has no graph")?;
        let (mut scope, mut other) =
            (Scope::main(self.two.mine.model, mine), Scope::main(self.two.theirs.model, theirs));
        let mut names = self.two.names.clone();
        for depth in 0..d.mine.path.len().min(d.theirs.path.len()) {
            let at = |graph, path: &'_ [Step]| graph_at(graph, &path[..=depth]).ok_or("the body is not there");
            let (inner, counterpart) = (at(mine, &d.mine.path)?, at(theirs, &d.theirs.path)?);
            let (own, their) = (&d.mine.path[depth], &d.theirs.path[depth]);
            scope = scope.body(own.node, &own.attribute, inner);
            other = other.body(their.node, &their.attribute, counterpart);
            names = names.inside((own.attribute.clone(), own.node, their.node), inner, counterpart);
        }
        Ok(Bringing { mine: scope, theirs: other, names, path: d.theirs.path.clone(), known: HashMap::new() })
    }

    fn bring(&mut self, from: &mut Bringing<'a>, name: &str) -> Result<String, String> {
        if name.is_empty() {
            return Ok(String::new());
        }
        if let Some(own) = from.names.to_theirs(name).filter(|own| from.theirs.knows(own)) {
            return Ok(own);
        }
        if let Some(own) = from.known.get(name) {
            return Ok(own.clone());
        }
        if let Some(constant) = from.mine.constant(name) {
            let own = self.added(&from.path.clone(), name, &constant.value)?;
            from.known.insert(name.to_string(), own.clone());
            return Ok(own);
        }
        let maker = from.mine.maker(name).filter(|maker| maker.out == 0);
        let maker = maker.ok_or_else(|| format!("nothing in the other file stands for '{name}'"))?;
        if from.known.len() >= MOST {
            return Err(format!("more than {MOST} nodes would have to be taken over"));
        }
        for output in maker.node.output.iter().filter(|output| !output.is_empty()) {
            let own = self.fresh(output);
            from.known.insert(output.clone(), own);
        }
        self.take_over(from, maker.node)?;
        from.known.get(name).cloned().ok_or_else(|| format!("'{name}' was not taken over"))
    }

    /// A node of the believed file in the other one; its outputs have their names already.
    pub(super) fn take_over(&mut self, from: &mut Bringing<'a>, node: &NodeProto) -> Result<(), String> {
        let domain = node.domain();
        let opsets = [self.two.mine.proto, self.two.theirs.proto].map(|proto| version(proto, domain));
        let imports = |proto: &ModelProto| proto.opset_import.iter().any(|i| i.domain() == domain);
        if !imports(&self.proto) && !matches!(domain, "" | "ai.onnx") {
            let import = OperatorSetIdProto { domain: Some(domain.to_string()), version: Some(opsets[0]) };
            self.proto.opset_import.push(import);
        }
        let schema = |version| self.two.schemas.of(domain, node.op_type(), version);
        let mut said = node.clone();
        self.take_bodies(from, &mut said)?;
        let mut inputs = Vec::new();
        for input in &node.input {
            inputs.push(self.bring(from, input)?);
        }
        let path = from.path.clone();
        if let (Some(mine), Some(theirs)) = (schema(opsets[0]), schema(opsets[1])) {
            let constant = |name: &str| from.mine.constant(name).map(|c| c.value);
            let mut values = Vec::new();
            said = restated(node, (mine, theirs), &constant, &mut |value, name| {
                values.push((format!("{}/{name}", node_name(node)), value));
                format!("\u{0}{}", values.len() - 1)
            })?;
            let mut names = Vec::new();
            for (like, value) in values {
                names.push(self.added(&path, &like, &value)?);
            }
            let own: HashMap<&String, &String> = node.input.iter().zip(&inputs).collect();
            for input in &mut said.input {
                match input.strip_prefix('\u{0}').and_then(|i| i.parse::<usize>().ok()) {
                    Some(i) => input.clone_from(names.get(i).ok_or("a value is missing")?),
                    None => *input = own.get(input).map_or(String::new(), |name| (*name).clone()),
                }
            }
        } else {
            said.input = inputs;
        }
        for output in said.output.iter_mut().filter(|output| !output.is_empty()) {
            output.clone_from(from.known.get(output).ok_or("an output has no name")?);
        }
        said.name = Some(self.fresh(&node_name(node)));
        self.graph(&path)?.node.push(said);
        Ok(())
    }

    /// The bodies of a node that is taken over, under names that nothing has here; what they read from outside is brought.
    fn take_bodies(&mut self, from: &mut Bringing<'a>, said: &mut NodeProto) -> Result<(), String> {
        if said.subgraphs().next().is_none() {
            return Ok(());
        }
        if !said.subgraphs().all(|(_, body)| self.says_the_same(body)) {
            return Err(format!("'{}' has a body with operators that changed between the opsets", node_name(said)));
        }
        let mut known = HashMap::new();
        for name in captured(said) {
            known.insert(name.clone(), self.bring(from, &name)?);
        }
        for body in said.subgraphs_mut() {
            for weight in &mut body.initializer {
                *weight = self.two.mine.model.inline(weight);
            }
        }
        rename(said, &known, &mut |like| self.fresh(like));
        Ok(())
    }

    /// All nodes of a body mean in the other file's opset what they mean in their own.
    fn says_the_same(&self, body: &GraphProto) -> bool {
        body.node.iter().all(|node| {
            let schema = |proto| self.two.schemas.of(node.domain(), node.op_type(), version(proto, node.domain()));
            let same = match (schema(self.two.mine.proto), schema(self.two.theirs.proto)) {
                (Some(own), Some(other)) => own.is_like(other),
                (None, None) => true,
                _ => false,
            };
            same && node.subgraphs().all(|(_, inner)| self.says_the_same(inner))
        })
    }
}
