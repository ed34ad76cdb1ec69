//! Tensors of two graphs that are made alike, whatever they are called: by the same operators with the same settings and weights, from
//! tensors that are the same. They are paired before anything is compared, so that a wire that differs is not taken for a name that does.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::held::{Constant, Held, Setting, is_neutral};
use super::names::Names;
use super::schemas::{Schema, plain_name};
use super::scope::{Scope, passes};
use super::slots::{COMMUTE, slots};
use super::{Schemas, version};
use crate::onnx::{GraphProto, ModelProto, NodeProto};

/// Elements of a constant that may be an attribute in the other file.
const FEW: usize = 64;

/// One of the two files, while keys are made.
struct Side<'s, 'a> {
    schemas: &'s Schemas,
    /// This file and the other one: what these declare decides which settings both know.
    protos: [&'s ModelProto; 2],
    scope: &'s Scope<'a>,
    /// What the believed file calls a tensor that is known in both.
    named: &'s dyn Fn(&str) -> Option<String>,
}

/// Pairs what is made alike in these two graphs, as far as their names do not say so already.
pub fn pair(schemas: &Schemas, protos: [&ModelProto; 2], scopes: [&Scope; 2], names: &Names) {
    let [mine, theirs] = scopes.map(|scope| made(scope.graph()));
    let unknown_mine: Vec<&String> = mine.iter().filter(|name| names.to_theirs(name).is_none()).collect();
    let unknown_theirs: Vec<&String> = theirs.iter().filter(|name| names.to_mine(name).is_none()).collect();
    if unknown_mine.is_empty() || unknown_theirs.is_empty() {
        return;
    }
    let known = |name: &str| names.to_theirs(name).map(|_| name.to_string());
    let [a, b] = protos;
    let own = Side { schemas, protos: [a, b], scope: scopes[0], named: &known };
    let other = Side { schemas, protos: [b, a], scope: scopes[1], named: &|name| names.to_mine(name) };
    let (own, other) = (own.keys(), other.keys());
    let mut groups: HashMap<u64, [Vec<&String>; 2]> = HashMap::new();
    for (side, unknown, keys) in [(0, unknown_mine, &own), (1, unknown_theirs, &other)] {
        for name in unknown {
            if let Some(key) = keys.get(name.as_str()) {
                groups.entry(*key).or_default()[side].push(name);
            }
        }
    }
    for [mine, theirs] in groups.into_values() {
        let (Some(first), Some(other)) = (mine.first(), theirs.first()) else { continue };
        mine.iter().zip(&theirs).for_each(|(s, u)| {
            names.pair(s, u);
        });
        // What is computed twice in one file only is the same thing all the same.
        mine.iter().skip(theirs.len()).for_each(|s| names.also_mine(s, other));
        theirs.iter().skip(mine.len()).for_each(|u| names.also_theirs(first, u));
    }
}

/// What the nodes of the graph make, in their order.
fn made(graph: &GraphProto) -> Vec<String> {
    graph.node.iter().flat_map(|n| n.output.iter()).filter(|name| !name.is_empty()).cloned().collect()
}

impl Side<'_, '_> {
    fn keys(&self) -> HashMap<String, u64> {
        self.within(self.scope, &HashMap::new(), true)
    }

    /// Keys of all tensors of the scope's graph, on top of those `outside`. The names of bodies say nothing: `main` is false there.
    fn within(&self, scope: &Scope, outside: &HashMap<String, u64>, main: bool) -> HashMap<String, u64> {
        let mut keys = outside.clone();
        for (index, node) in scope.graph().node.iter().enumerate() {
            let whole = self.node(scope, (index, node), &keys);
            let through = passes(node).and_then(|name| self.key(name, &keys));
            for (position, output) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
                let named = (self.named)(output).filter(|_| main).map(|name| hashed(&("named", name)));
                let own = || through.filter(|_| position == 0).or(whole.map(|key| hashed(&(key, position))));
                if let Some(key) = named.or_else(own) {
                    keys.insert(output.clone(), key);
                }
            }
        }
        keys
    }

    fn key(&self, name: &str, keys: &HashMap<String, u64>) -> Option<u64> {
        keys.get(name).copied().or_else(|| (self.named)(name).map(|name| hashed(&("named", name))))
    }

    /// `None` where something that the node reads has no key.
    fn node(&self, scope: &Scope, (index, node): (usize, &NodeProto), keys: &HashMap<String, u64>) -> Option<u64> {
        let schema = |proto: &ModelProto| self.schemas.of(node.domain(), node.op_type(), version(proto, node.domain()));
        let [own, other] = self.protos.map(schema);
        let commutes = COMMUTE.contains(&node.op_type());
        let mut tokens = Vec::new();
        for slot in slots(scope, node, own) {
            let token = match &slot.held {
                Held::Absent => continue,
                Held::Setting(setting, _) if is_unsaid(&slot.name, setting, own, other) => continue,
                Held::Setting(setting, _) => hashed(&setting.text()),
                Held::Constant(constant) => of_constant(constant),
                Held::Wire(name) => self.key(name, keys)?,
            };
            // Inputs go by their position, as versions call them differently, but for those that were attributes once.
            let is_attribute = other.is_some_and(|schema| schema.has(&plain_name(&slot.name)));
            let name = match slot.input {
                Some(_) if commutes => String::new(),
                Some(at) if !is_attribute => at.to_string(),
                _ => plain_name(&slot.name),
            };
            tokens.push((name, token));
        }
        tokens.sort();
        let mut bodies = Vec::new();
        for (attribute, body) in node.subgraphs() {
            let inner = scope.body(index, attribute, body);
            let mut known = keys.clone();
            for (position, input) in body.input.iter().enumerate() {
                known.insert(input.name().to_string(), hashed(&("given", position)));
            }
            let inside = self.within(&inner, &known, false);
            for output in &body.output {
                let constant = || inner.constant(output.name()).map(|c| of_constant(&c));
                bodies.push((attribute, self.key(output.name(), &inside).or_else(constant)?));
            }
        }
        Some(hashed(&(node.op_type(), node.domain().trim_start_matches("ai.onnx"), tokens, bodies)))
    }
}

/// A setting that says nothing: it is neutral, or it is its default and the other file's version of the operator has no such thing.
fn is_unsaid(name: &str, setting: &Setting, own: Option<&Schema>, other: Option<&Schema>) -> bool {
    let default = own.and_then(|schema| schema.default(name));
    let shared = other.is_none_or(|schema| schema.has(name) || schema.slot(name).is_some());
    is_neutral(name, setting) || (default == Some(setting) && !shared)
}

/// The value; a small one as the attribute that it may be.
fn of_constant(constant: &Constant) -> u64 {
    let value = &constant.value;
    let setting = Setting::of_tensor(value).filter(|_| value.elements() <= FEW && value.shape.len() < 2);
    match (setting, value.as_strings()) {
        (Some(setting), _) => hashed(&setting.text()),
        (_, Some(texts)) => hashed(&texts),
        _ => hashed(&(&value.shape, value.dtype.onnx(), value.bytes())),
    }
}

fn hashed(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
