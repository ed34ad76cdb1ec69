//! Units left unquantised: float nodes in their place, under the names that their results have. What nobody reads any more goes.
//! Codes that others still read are made of the floats. Model -> model.

use std::collections::{HashMap, HashSet};

use super::{Code, Operand, Restored, Unit};
use crate::graph::{Graph, Node, Step, graph_at_mut};
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::qdq::mend::MOVES;
use crate::qdq::without::{is_read, sweep};

/// `model` without these units. `graph` is the file's; `model` may have more outputs than that.
pub fn without_units(model: &ModelProto, graph: &Graph, chosen: &[(&Unit, &Restored)]) -> ModelProto {
    let mut edited = model.clone();
    let Some(main) = edited.graph.as_mut() else { return edited };
    let mut edit =
        Edit { graph, floats: HashMap::new(), put: Vec::new(), goes: HashSet::new(), orphans: HashSet::new() };
    chosen.iter().filter(|(unit, _)| unit.codes.is_some()).for_each(|(unit, _)| edit.name_floats(unit.result));
    for (unit, restored) in chosen {
        edit.unit(main, unit, restored);
    }
    let Edit { put, goes, mut orphans, .. } = edit;
    place(main, put);
    retire(main, &goes, &mut orphans);
    sweep(main, &orphans);
    edited
}

/// The key of what the float operator of a unit makes in the model without it.
pub fn float_key(graph: &Graph, unit: &Unit, restored: &Restored) -> String {
    let result = &graph.tensors[unit.result];
    let made = if unit.codes.is_some() { codes_name(&result.name) } else { result.name.clone() };
    let name = if steps(unit, restored) == 0 { made } else { step_name(&result.name, 0) };
    let path = result.key.strip_suffix(&result.name).unwrap_or_default();
    format!("{path}{name}")
}

/// Nodes behind the float operator of a unit: its bias, and activations.
fn steps(unit: &Unit, restored: &Restored) -> usize {
    usize::from(unit.bias.is_some()) + restored.activations.len()
}

fn step_name(result: &str, step: usize) -> String {
    format!("{result}/step{step}")
}

/// The floats that codes of this name are made of.
fn codes_name(codes: &str) -> String {
    format!("{codes}/unquantised")
}

/// Nodes at a place: in front of the node that is there, or instead of it.
struct Put {
    scope: Vec<Step>,
    index: usize,
    instead: bool,
    nodes: Vec<NodeProto>,
}

struct Edit<'a> {
    graph: &'a Graph,
    /// By tensor that holds codes: the floats that they are made of now.
    floats: HashMap<usize, String>,
    put: Vec<Put>,
    /// What is made for the sake of units that go, by name.
    goes: HashSet<String>,
    /// What nodes read that have gone.
    orphans: HashSet<String>,
}

impl Edit<'_> {
    /// The floats of codes that will be made of floats, and of those that operators only move.
    fn name_floats(&mut self, codes: usize) {
        let name = codes_name(&self.graph.tensors[codes].name);
        if self.floats.insert(codes, name).is_some() {
            return;
        }
        for child in self.moved(codes) {
            self.name_floats(child);
        }
    }

    /// What operators that only move codes make of these, in the same graph.
    fn moved(&self, codes: usize) -> Vec<usize> {
        let graph = self.graph;
        let home = graph.producer(codes);
        let moves = |child: &usize| {
            let node = graph.producer(*child);
            let data = node.reads.first().is_some_and(|r| r.name == graph.tensors[codes].name);
            data && MOVES.contains(&node.op_type.as_str()) && node.scope == home.scope && node.writes.len() == 1
        };
        graph.children(codes).into_iter().filter(moves).collect()
    }

    fn unit(&mut self, main: &mut GraphProto, unit: &Unit, restored: &Restored) {
        let [own, last] = [unit.node, unit.last].map(|n| &self.graph.nodes[n]);
        let Some(home) = graph_at_mut(main, &last.scope) else { return };
        let Some(NodeProto { input, output: outputs, .. }) = home.node.get(last.index).cloned() else { return };
        self.orphans.extend(input);
        let result = self.graph.tensors[unit.result].name.clone();
        let mut new = New { scope: &last.scope, home, nodes: Vec::new(), result: &result };
        let inputs: Vec<String> = unit
            .operands
            .iter()
            .enumerate()
            .map(|(slot, operand)| self.read(&mut new, operand, restored.weights.get(&slot), &slot.to_string(), own))
            .collect();
        let bias = unit.bias.as_ref().map(|bias| self.read(&mut new, bias, None, "bias", own));
        let made = unit.codes.as_ref().and_then(|_| self.floats.get(&unit.result).cloned()).unwrap_or(result.clone());
        new.compute(unit, restored, inputs, bias, (&made, &outputs));
        if let Some(code) = &unit.codes {
            new.nodes.push(linear("QuantizeLinear", &made, code, &result));
        }
        let nodes = new.nodes;
        self.put.push(Put { scope: last.scope.clone(), index: last.index, instead: true, nodes });
        if unit.codes.is_some() {
            self.goes.insert(result);
            self.hand_on(main, unit.result, &made);
        }
        for number in unit.around.iter().filter(|n| **n != unit.last) {
            let writes = self.graph.nodes[*number].writes.iter();
            self.goes.extend(writes.map(|t| self.graph.tensors[*t].name.clone()));
        }
    }

    /// The name under which `operand` is read as floats, as the node `at` reads it.
    fn read(&self, new: &mut New, operand: &Operand, weight: Option<&TensorProto>, what: &str, at: &Node) -> String {
        match operand {
            Operand::Name(name) => name.clone(),
            Operand::Weight(stored) => match weight {
                Some(weight) => {
                    let name = format!("{}/{what}/unquantised", new.result);
                    new.home.initializer.push(TensorProto { name: Some(name.clone()), ..weight.clone() });
                    name
                }
                None => stored.name.clone(),
            },
            Operand::Codes(name, code) => {
                if let Some(float) = self.float_of(at, name, new.scope) {
                    return float;
                }
                let float = format!("{}/{what}/dequantised", new.result);
                new.nodes.push(linear("DequantizeLinear", name, code, &float));
                float
            }
        }
    }

    /// The floats that are there of the codes that a unit reads: those of another unit that goes, or what was quantised.
    fn float_of(&self, at: &Node, name: &str, scope: &[Step]) -> Option<String> {
        let tensor = at.reads.iter().find(|r| r.name == name).and_then(|r| match r.source {
            crate::graph::Source::Tensor(t) => Some(t),
            _ => None,
        })?;
        if let Some(float) = self.floats.get(&tensor) {
            return Some(float.clone());
        }
        let maker = self.graph.producer(tensor);
        let quantizes = maker.op_type == "QuantizeLinear" && scope.starts_with(&maker.scope);
        maker.reads.first().filter(|_| quantizes).map(|r| r.name.clone())
    }

    /// Those who made floats of the codes, or moved them, do so with the floats.
    fn hand_on(&mut self, main: &mut GraphProto, codes: usize, float: &str) {
        let graph = self.graph;
        for child in graph.children(codes) {
            let node = graph.producer(child);
            let Some(proto) = graph_at_mut(main, &node.scope).and_then(|g| g.node.get(node.index)) else { continue };
            let reads_codes = proto.input.first() == Some(&graph.tensors[codes].name);
            if node.op_type == "DequantizeLinear" && reads_codes && proto.output.len() == 1 {
                let same = NodeProto::new("Identity", proto.name(), &[float], &[&proto.output[0]]);
                self.put.push(Put { scope: node.scope.clone(), index: node.index, instead: true, nodes: vec![same] });
            }
        }
        for child in self.moved(codes) {
            let (node, Some(moved)) = (graph.producer(child), self.floats.get(&child).cloned()) else { continue };
            let Some(mut proto) = graph_at_mut(main, &node.scope).and_then(|g| g.node.get(node.index)).cloned() else {
                continue;
            };
            proto.name = Some(format!("{}/unquantised", proto.name()));
            proto.input[0] = float.to_string();
            proto.output = vec![moved.clone()];
            // Whichever of the two nobody reads.
            self.goes.extend([graph.tensors[child].name.clone(), moved.clone()]);
            self.put.push(Put { scope: node.scope.clone(), index: node.index, instead: false, nodes: vec![proto] });
            self.hand_on(main, child, &moved);
        }
    }
}

/// The nodes of one unit, as they come.
struct New<'m> {
    scope: &'m [Step],
    home: &'m mut GraphProto,
    nodes: Vec<NodeProto>,
    /// What they make, and name their own tensors by.
    result: &'m str,
}

impl New<'_> {
    /// The float operator, its bias, and what saturation stood for: the last one makes `made`.
    fn compute(
        &mut self,
        unit: &Unit,
        restored: &Restored,
        inputs: Vec<String>,
        bias: Option<String>,
        (made, outputs): (&str, &[String]),
    ) {
        let steps = steps(unit, restored);
        let name = |step: usize| if step == steps { made.to_string() } else { step_name(self.result, step) };
        let names: Vec<String> = (0..=steps).map(name).collect();
        let mut node = NodeProto {
            op_type: Some(unit.float.to_string()),
            name: Some(restored.name.clone()),
            output: std::iter::once(names[0].clone()).chain(outputs.iter().skip(1).cloned()).collect(),
            attribute: unit.attributes.clone(),
            domain: (unit.float == "Attention").then(|| "com.microsoft".to_string()),
            ..Default::default()
        };
        node.input = inputs;
        while node.input.last().is_some_and(String::is_empty) {
            node.input.pop();
        }
        self.nodes.push(node);
        if let Some(bias) = &bias {
            let label = format!("{}/bias", restored.name);
            self.nodes.push(NodeProto::new("Add", &label, &[&names[0], bias], &[&names[1]]));
        }
        let first = usize::from(bias.is_some());
        for (number, activation) in restored.activations.iter().enumerate() {
            let mut node = activation.node.clone();
            if let Some(input) = node.input.first_mut() {
                input.clone_from(&names[first + number]);
            }
            for (slot, value) in &activation.bounds {
                let name = format!("{}/{}", names[first + number + 1], if *slot == 1 { "min" } else { "max" });
                if let Some(input) = node.input.get_mut(*slot) {
                    input.clone_from(&name);
                }
                self.home.initializer.push(TensorProto { name: Some(name), ..value.clone() });
            }
            node.output = vec![names[first + number + 1].clone()];
            self.nodes.push(node);
        }
    }
}

/// A QuantizeLinear or a DequantizeLinear.
fn linear(op: &str, from: &str, code: &Code, to: &str) -> NodeProto {
    let zero_point = Some(code.zero_point.as_str()).filter(|name| !name.is_empty());
    let inputs: Vec<&str> = [from, &code.scale].into_iter().chain(zero_point).collect();
    NodeProto::new(op, &format!("{to}/made"), &inputs, &[to])
}

/// Puts nodes where they belong: from the inside out, from the back to the front, so that places stay what they are.
fn place(main: &mut GraphProto, mut put: Vec<Put>) {
    put.sort_by_key(|p| std::cmp::Reverse((p.scope.len(), p.index, p.instead)));
    for Put { scope, index, instead, nodes } in put {
        let Some(home) = graph_at_mut(main, &scope) else { continue };
        let end = if instead { index + 1 } else { index };
        if end <= home.node.len() {
            home.node.splice(index..end, nodes);
        }
    }
}

/// Takes out the nodes of which everything that they make may go and is read by nobody, again and again. `orphans`: what they read.
fn retire(graph: &mut GraphProto, goes: &HashSet<String>, orphans: &mut HashSet<String>) {
    for node in &mut graph.node {
        node.subgraphs_mut().for_each(|body| retire(body, goes, orphans));
    }
    loop {
        let unread = |n: &NodeProto| {
            let mut outputs = n.output.iter().filter(|o| !o.is_empty()).peekable();
            outputs.peek().is_some() && outputs.all(|o| goes.contains(o) && !is_read(graph, o))
        };
        let gone: Vec<bool> = graph.node.iter().map(unread).collect();
        if !gone.contains(&true) {
            return;
        }
        for (node, _) in graph.node.iter().zip(&gone).filter(|(_, gone)| **gone) {
            orphans.extend(node.input.iter().chain(&node.output).cloned());
        }
        let mut gone = gone.into_iter();
        graph.node.retain(|_| gone.next() != Some(true));
    }
}
