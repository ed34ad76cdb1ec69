//! What a unit was in the float model: the node, its name, its weights, and the activation that saturation stands for. Found by the
//! name of the result, by the names of weights, else by what the weights are. A unit without such a node keeps the floats that
//! are stored.

mod alike;

use std::collections::{HashMap, HashSet};

use super::stored::turned;
use super::{Stored, Unit};
use crate::graph::{Graph, Node};
use crate::load::Model;
use crate::load::testset::tensor_to_proto;
use crate::onnx::{AttributeProto, TensorProto};
use crate::precision::cast;
use crate::qdq::Activation;
use crate::qdq::find::constant;
use crate::tensor::Tensor;

/// A unit as float nodes.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Name of the float node: that of the float model's, else the unit's own.
    pub name: String,
    /// Number of that node in the float model's graph.
    pub reference: Option<usize>,
    /// Float weights by input, as the unit's operator reads them.
    pub weights: HashMap<usize, TensorProto>,
    /// What a quantiser left out behind it because saturation does its work.
    pub activations: Vec<Activation>,
}

/// The float model, to look for partners in.
pub struct Partners<'a> {
    model: &'a Model,
    graph: &'a Graph,
}

/// Steps behind a unit in which its name in the float model may stand: a DequantizeLinear, the bias of a Gemm.
const BEHIND: usize = 3;

impl<'a> Partners<'a> {
    /// `graph` is that of `model.proto`.
    pub fn new(model: &'a Model, graph: &'a Graph) -> Partners<'a> {
        Partners { model, graph }
    }

    /// By unit, what it was; `None` where nobody knows its weights. `theirs` is the file of the units.
    pub fn restored(&self, units: &[Unit], theirs: (&Model, &Graph)) -> Vec<Option<Restored>> {
        let mut used = HashSet::new();
        units.iter().map(|unit| self.one(unit, theirs, &mut used)).collect()
    }

    fn one(&self, unit: &Unit, theirs: (&Model, &Graph), used: &mut HashSet<usize>) -> Option<Restored> {
        let named = self.by_result(unit, theirs.1).or_else(|| self.by_weight(unit, used));
        let partner = named.or_else(|| self.by_values(unit, used));
        used.extend(partner);
        let mut weights = HashMap::new();
        for (slot, stored) in unit.weights() {
            let theirs = partner.and_then(|p| self.weight(p, slot, unit, stored));
            let floats = theirs.or_else(|| stored.floats())?;
            weights.insert(slot, tensor_to_proto("", &floats));
        }
        let own = &theirs.1.nodes[unit.node].name;
        let name = partner.map(|p| &self.graph.nodes[p].name).unwrap_or(own);
        let activations = partner.map(|p| self.lost(p, unit, theirs.1)).unwrap_or_default();
        Some(Restored { name: name.clone(), reference: partner, weights, activations })
    }

    /// The node that makes what the unit makes, under the same name.
    fn by_result(&self, unit: &Unit, theirs: &Graph) -> Option<usize> {
        keys(unit, theirs).iter().find_map(|key| {
            let mut node = self.graph.tensors[self.graph.tensor(key)?].node;
            while matches!(self.graph.nodes[node].op_type.as_str(), "Relu" | "Clip") {
                let first = self.graph.nodes[node].reads.first()?;
                let crate::graph::Source::Tensor(t) = first.source else { return None };
                node = self.graph.tensors[t].node;
            }
            may_be(unit.float, &self.graph.nodes[node]).then_some(node)
        })
    }

    /// The node that reads a weight of which the stored one has its name.
    fn by_weight(&self, unit: &Unit, used: &HashSet<usize>) -> Option<usize> {
        let (slot, stored) = unit.weights().next()?;
        let rated = self.products(unit).filter_map(|n| {
            let name = self.input(n, slot).filter(|name| !name.is_empty() && stored.name.starts_with(name.as_str()))?;
            self.weight(n, slot, unit, stored)?;
            Some((name.len(), !used.contains(&n), std::cmp::Reverse(n)))
        });
        rated.max().map(|(_, _, n)| n.0)
    }

    /// The node of which the weight is what the stored one stands for.
    fn by_values(&self, unit: &Unit, used: &HashSet<usize>) -> Option<usize> {
        let (slot, stored) = unit.weights().next()?;
        let mut floats = None;
        let mut best: Option<(bool, f64, usize)> = None;
        for n in self.products(unit) {
            let Some(theirs) = self.weight(n, slot, unit, stored) else { continue };
            let mine = floats.get_or_insert_with(|| stored.floats()).as_ref()?;
            let (new, near) = (!used.contains(&n), alike::cosine(mine, &theirs));
            let better = best.is_none_or(|(other, nearest, _)| (new, near) > (other, nearest));
            if near > alike::SAME && better {
                best = Some((new, near, n));
            }
        }
        best.map(|(.., n)| n)
    }

    /// Nodes that may be what the unit was.
    fn products(&self, unit: &Unit) -> impl Iterator<Item = usize> {
        (0..self.graph.nodes.len()).filter(|n| may_be(unit.float, &self.graph.nodes[*n]))
    }

    fn input(&self, node: usize, slot: usize) -> Option<&'a String> {
        self.graph.nodes[node].proto(&self.model.proto)?.input.get(slot)
    }

    /// The constant that node `n` has in this input, as the unit's operator reads it; `None` where it has another shape.
    fn weight(&self, n: usize, slot: usize, unit: &Unit, stored: &Stored) -> Option<Tensor> {
        let node = &self.graph.nodes[n];
        let proto = node.proto(&self.model.proto)?;
        let scaled = |name: &str| proto.attr(name).is_some_and(|a| a.f() != 1.0);
        if node.op_type == "Gemm"
            && ((slot == 1 && unit.float != "Gemm" && scaled("alpha")) || (slot == 2 && scaled("beta")))
        {
            return None;
        }
        let value = constant(self.model, self.graph, node, proto.input.get(slot)?)?;
        let exchanged = |attributes: &[AttributeProto]| attributes.iter().any(|a| a.name() == "transB" && a.i() != 0);
        let other_way = slot == 1 && exchanged(&proto.attribute) != exchanged(&unit.attributes);
        let value = if other_way { turned(&value)? } else { value };
        let value = cast(&value, stored.dtype)?;
        (value.shape == stored.shape()).then_some(value)
    }

    /// The Relu or Clip behind node `n` that the quantised model has not: its codes end where that would cut.
    fn lost(&self, n: usize, unit: &Unit, theirs: &Graph) -> Vec<Activation> {
        let clamps = |node: &Node| matches!(node.op_type.as_str(), "Relu" | "Clip");
        let behind = around(theirs, unit.result);
        if unit.codes.is_none()
            || behind.iter().any(|t| theirs.children(*t).iter().any(|c| clamps(theirs.producer(*c))))
        {
            return Vec::new();
        }
        let mut found = Vec::new();
        let mut tensor = self.graph.nodes[n].writes.first().copied();
        while let Some([child]) = tensor.map(|t| self.graph.children(t)).as_deref() {
            let node = self.graph.producer(*child);
            let Some(activation) = Some(node).filter(|n| clamps(n)).and_then(|n| self.activation(n)) else { break };
            found.push(activation);
            tensor = Some(*child);
        }
        found
    }

    fn activation(&self, node: &Node) -> Option<Activation> {
        let proto = node.proto(&self.model.proto)?.clone();
        let named = proto.input.iter().enumerate().skip(1).filter(|(_, name)| !name.is_empty());
        let bound = |(slot, name): (usize, &String)| {
            let value = constant(self.model, self.graph, node, name)?;
            Some((slot, tensor_to_proto(name, &value)))
        };
        let bounds: Option<Vec<_>> = named.map(bound).collect();
        Some(Activation { bounds: bounds?, node: proto })
    }
}

/// May a node of the float model have become a unit that stands for `float`?
fn may_be(float: &str, node: &Node) -> bool {
    match float {
        "MatMul" | "Gemm" => matches!(node.op_type.as_str(), "MatMul" | "Gemm"),
        float => node.op_type == float,
    }
}

/// What the float model may call the unit's result, the most likely first.
fn keys(unit: &Unit, theirs: &Graph) -> Vec<String> {
    let mut keys = Vec::new();
    for tensor in around(theirs, unit.result) {
        let key = &theirs.tensors[tensor].key;
        keys.push(key.clone());
        keys.extend(key.strip_suffix("_quantized").map(str::to_string));
    }
    keys
}

/// A tensor, and those that are the same in other words, or with a bias.
fn around(graph: &Graph, tensor: usize) -> Vec<usize> {
    let same = |t: &usize| {
        let op = graph.producer(*t).op_type.as_str();
        matches!(op, "DequantizeLinear" | "QuantizeLinear" | "Add" | "Identity" | "Cast")
    };
    let mut all = vec![tensor];
    let mut front = vec![tensor];
    for _ in 0..BEHIND {
        front = front.iter().flat_map(|t| graph.children(*t)).filter(same).collect();
        all.extend(&front);
    }
    all
}
