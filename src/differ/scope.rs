//! A graph of a file with all graphs around it: who makes a name, and which values stand in the file. Nothing is compared here.

use std::collections::HashMap;
use std::rc::Rc;

use super::held::Constant;
use crate::compare::to_f64;
use crate::graph::{Step, node_name};
use crate::load::Model;
use crate::load::sparse::dense;
use crate::load::testset::tensor_from_proto;
use crate::onnx::{GraphProto, NodeProto, SparseTensorProto, TensorProto};
use crate::precision;
use crate::qdq::{self, Pair};
use crate::tensor::{DType, Tensor};

/// Nodes between a value in the file and its reader that are looked through.
const DEEPEST: usize = 6;
/// Elements of a sparse or quantised constant that are written out to be compared.
const LARGEST: usize = 1 << 28;

/// Steps that are looked through nodes that change nothing, or only how a value is stored.
pub const THROUGH: usize = 4;

/// One graph, by name.
struct Indexed<'a> {
    graph: &'a GraphProto,
    makers: HashMap<&'a str, usize>,
    initializers: HashMap<&'a str, &'a TensorProto>,
    sparse: HashMap<&'a str, &'a SparseTensorProto>,
}

/// A graph and those around it, outermost first.
#[derive(Clone)]
pub struct Scope<'a> {
    model: &'a Model,
    chain: Vec<Rc<Indexed<'a>>>,
    /// The way from the main graph.
    pub path: Vec<Step>,
}

/// Who makes a name: how many graphs out it stands, and the node.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    /// 0: in this very graph.
    pub out: usize,
    /// Position in its graph.
    pub index: usize,
    /// The node.
    pub node: &'a NodeProto,
}

impl<'a> Scope<'a> {
    /// The main graph; the weights are those of `model`.
    pub fn main(model: &'a Model, graph: &'a GraphProto) -> Scope<'a> {
        Scope { model, chain: vec![Rc::new(Indexed::of(graph))], path: Vec::new() }
    }

    /// A graph in an attribute of the node at `index` of this one.
    pub fn body(&self, index: usize, attribute: &str, graph: &'a GraphProto) -> Scope<'a> {
        let mut inner = self.clone();
        inner.chain.push(Rc::new(Indexed::of(graph)));
        let name = self.graph().node.get(index).map(node_name).unwrap_or_default();
        inner.path.push(Step { node: index, name, attribute: attribute.to_string() });
        inner
    }

    /// The graph itself.
    pub fn graph(&self) -> &'a GraphProto {
        self.chain.last().map_or(self.chain[0].graph, |own| own.graph)
    }

    /// The graphs from the inside out.
    fn outwards(&self) -> impl Iterator<Item = (usize, &Rc<Indexed<'a>>)> {
        self.chain.iter().rev().enumerate()
    }

    /// The node that makes it; `None` for what is given.
    pub fn maker(&self, name: &str) -> Option<Maker<'a>> {
        let (out, at) = self.outwards().find(|(_, g)| g.makers.contains_key(name) || g.gives(name))?;
        let index = *at.makers.get(name)?;
        Some(Maker { out, index, node: &at.graph.node[index] })
    }

    /// Is there such a value here or further out?
    pub fn knows(&self, name: &str) -> bool {
        self.outwards().any(|(_, g)| g.makers.contains_key(name) || g.gives(name))
    }

    /// The value of a tensor in an attribute.
    pub fn read(&self, proto: &TensorProto) -> Option<Constant> {
        let value = tensor_from_proto(&self.model.inline(proto)).ok()?;
        Some(Constant { name: String::new(), value, half_step: 0.0 })
    }

    /// The value of `name`, where the file has it: a weight, dense or sparse, a Constant, or one of these behind nodes that only
    /// store it in another way.
    pub fn constant(&self, name: &str) -> Option<Constant> {
        let found = self.constant_within(name, DEEPEST)?;
        Some(Constant { name: name.to_string(), ..found })
    }

    fn constant_within(&self, name: &str, depth: usize) -> Option<Constant> {
        let (out, at) = self.outwards().find(|(_, g)| g.makers.contains_key(name) || g.gives(name))?;
        let exact = |value: Tensor| Constant { name: name.to_string(), value, half_step: 0.0 };
        if let Some(proto) = at.initializers.get(name) {
            return tensor_from_proto(&self.model.inline(proto)).ok().map(exact);
        }
        if let Some(sparse) = at.sparse.get(name) {
            return dense(sparse).map(exact);
        }
        let node = &at.graph.node[*at.makers.get(name)?];
        if let Some(proto) = node.constant() {
            return tensor_from_proto(&self.model.inline(&proto)).ok().map(exact);
        }
        if let Some(sparse) = node.attr("sparse_value").filter(|_| node.is("Constant")) {
            return dense(sparse.sparse_tensor.as_ref()?).map(exact);
        }
        let outer = self.outer(out);
        let before = || outer.constant_within(node.input.first()?, depth.checked_sub(1)?);
        match node.op_type() {
            "Identity" => before(),
            "Transpose" => {
                let Constant { value, half_step, .. } = before()?;
                let value = transposed(&value, &node.attr("perm")?.ints)?;
                Some(Constant { name: name.to_string(), value, half_step })
            }
            "Cast" => {
                let Constant { value, half_step, .. } = before()?;
                let to = DType::from_onnx(node.attr("to")?.i() as i32)?;
                (value.dtype.is_float() && to.is_float()).then_some(())?;
                let value = precision::cast(&value, to)?;
                Some(Constant { name: name.to_string(), value, half_step })
            }
            "DequantizeLinear" => outer.dequantised(node, depth.checked_sub(1)?),
            _ => None,
        }
    }

    /// Does the file have the value of `name`, or that of what only stores it in another way?
    pub fn stores(&self, name: &str) -> bool {
        let mut name = name;
        let mut scope = self.clone();
        for _ in 0..=DEEPEST {
            let Some((out, at)) = scope.outwards().find(|(_, g)| g.makers.contains_key(name) || g.gives(name)) else {
                return false;
            };
            if at.initializers.contains_key(name) || at.sparse.contains_key(name) {
                return true;
            }
            let Some(node) = at.makers.get(name).map(|index| &at.graph.node[*index]) else { return false };
            if node.is("Constant") {
                return true;
            }
            let stored = matches!(node.op_type(), "Identity" | "Transpose" | "Cast" | "DequantizeLinear");
            let Some(before) = node.input.first().filter(|_| stored) else { return false };
            name = before;
            scope = scope.outer(out);
        }
        false
    }

    /// The graph that is so many further out.
    pub fn outer(&self, out: usize) -> Scope<'a> {
        let keep = self.chain.len().saturating_sub(out).max(1);
        Scope { model: self.model, chain: self.chain[..keep].to_vec(), path: self.path[..keep - 1].to_vec() }
    }

    fn dequantised(&self, node: &NodeProto, depth: usize) -> Option<Constant> {
        let read = |slot: usize| node.input.get(slot).filter(|name| !name.is_empty());
        let stored = self.constant_within(read(0)?, depth)?.value;
        let scale = self.constant_within(read(1)?, depth)?.value;
        let zero_point = read(2).and_then(|name| self.constant_within(name, depth)).map(|c| c.value);
        if stored.elements() > LARGEST || stored.dtype.is_float() {
            return None;
        }
        let steps = to_f64(&scale).into_iter().fold(0.0, f64::max);
        let several = scale.elements() != 1;
        let pair = Pair {
            tensor: String::new(),
            quantize: None,
            dequantize: 0,
            quantizer: None,
            weight: true,
            consumers: Vec::new(),
            channels: None,
            slots: Pair::LINEAR,
            dtype: stored.dtype,
            axis: several.then(|| node.attr("axis").map_or(1, |a| a.i())),
            block: node.attr("block_size").map_or(0, |a| a.i()),
            stored: Some(stored),
            scale: Some(scale),
            zero_point,
        };
        Some(Constant { name: String::new(), value: qdq::dequantised(&pair)?, half_step: steps / 2.0 })
    }
}

/// What the node gives on as it is; `None` of nodes that compute.
pub fn passes(node: &NodeProto) -> Option<&String> {
    let same = match node.op_type() {
        "Identity" => true,
        // Training is asked for by an input, or by an attribute of old.
        "Dropout" => node.input.get(2).is_none_or(String::is_empty) && node.attr("is_test").is_none(),
        _ => false,
    };
    node.input.first().filter(|_| same && node.domain().trim_start_matches("ai.onnx").is_empty())
}

impl<'a> Indexed<'a> {
    fn of(graph: &'a GraphProto) -> Indexed<'a> {
        let made = |(index, node): (usize, &'a NodeProto)| {
            node.output.iter().filter(|name| !name.is_empty()).map(move |name| (name.as_str(), index))
        };
        let named = |s: &'a SparseTensorProto| Some((s.values.as_ref()?.name(), s));
        Indexed {
            graph,
            makers: graph.node.iter().enumerate().flat_map(made).collect(),
            initializers: graph.initializer.iter().map(|t| (t.name(), t)).collect(),
            sparse: graph.sparse_initializer.iter().filter_map(named).collect(),
        }
    }

    fn gives(&self, name: &str) -> bool {
        self.initializers.contains_key(name)
            || self.sparse.contains_key(name)
            || self.graph.input.iter().any(|input| input.name() == name)
    }
}

/// The elements in the order of the permuted axes; types of whole bytes only.
pub fn transposed(value: &Tensor, perm: &[i64]) -> Option<Tensor> {
    let perm: Vec<usize> = perm.iter().map(|p| usize::try_from(*p).ok()).collect::<Option<_>>()?;
    value.permuted(&perm)
}
