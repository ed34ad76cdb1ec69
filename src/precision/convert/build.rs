//! From a model to its plan: graph by graph, node by node.

use std::collections::HashMap;

use super::plan::{Known, Op, Origin, Plan, Scope, Value};
use super::{Options, judge, shapes};
use crate::graph::{Graph, Node, Step, node_name};
use crate::mark::Types;
use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::tensor::DType;

/// `None`: the model has no graph.
pub fn plan<'a>(model: &'a ModelProto, graph: &'a Graph, types: &Types, options: &Options) -> Option<Plan<'a>> {
    let known = graph.nodes.iter().map(|n| ((n.subgraph(), n.index), n)).collect();
    let plan = Plan { scopes: Vec::new(), ops: Vec::new(), values: Vec::new() };
    let mut builder = Builder { plan, model, types, options, known };
    let main = model.graph.as_ref()?;
    builder.graph(main, None, None, &[]);
    for output in main.output.iter() {
        if let Some(value) = builder.find(0, output.name()) {
            builder.plan.values[value].output = true;
        }
    }
    let mut plan = builder.plan;
    shapes::keep_shapes(&mut plan);
    Some(plan)
}

struct Builder<'a, 'b> {
    plan: Plan<'a>,
    model: &'a ModelProto,
    types: &'b Types,
    options: &'b Options,
    known: HashMap<(Option<String>, usize), &'a Node>,
}

impl<'a> Builder<'a, '_> {
    fn graph(&mut self, graph: &'a GraphProto, outer: Option<usize>, holder: Option<usize>, path: &[Step]) -> usize {
        let scope = self.plan.scopes.len();
        self.plan.scopes.push(Scope { outer, holder, ..Scope::default() });
        self.given(graph, scope);
        // All names first: the file need not be in order.
        let prefix: String = path.iter().map(|s| format!("{}/{}/", s.name, s.attribute)).collect();
        let first = self.plan.ops.len();
        for (index, proto) in graph.node.iter().enumerate() {
            let id = first + index;
            let made = proto.output.iter().enumerate().map(|(slot, name)| {
                let origin = if proto.is("Constant") { Origin::Constant(id) } else { Origin::Made(id, slot) };
                let told = self.types.get(&format!("{prefix}{name}")).copied();
                let dtype = told.or_else(|| proto.constant()?.dtype());
                (!name.is_empty()).then(|| (name.clone(), dtype, origin))
            });
            let made: Vec<_> = made.collect();
            let writes = made.into_iter().map(|m| m.map(|(n, dtype, origin)| self.add(scope, &n, dtype, origin)));
            let writes = writes.collect();
            let node = self.node(proto, index, path);
            let (reads, takes, gives, bodies) = Default::default();
            self.plan.ops.push(Op { node, proto, reads, writes, takes, gives, bodies, stays: None });
            self.plan.scopes[scope].ops.push(id);
        }
        for (index, proto) in graph.node.iter().enumerate() {
            self.plan.ops[first + index].reads = proto.input.iter().map(|name| self.find(scope, name)).collect();
            self.bodies(proto, first + index, index, scope, path);
            judge::judge(&mut self.plan, first + index, self.model, self.options.low);
        }
        self.plan.scopes[scope].outputs = graph.output.iter().map(|o| self.find(scope, o.name())).collect();
        scope
    }

    /// What the graph has before any node runs.
    fn given(&mut self, graph: &GraphProto, scope: usize) {
        let holder = self.plan.scopes[scope].holder;
        // Before IR version 4 every initializer had to be an input, and was none.
        let replaceable = self.model.ir_version() >= 4;
        let weights: HashMap<&str, usize> =
            graph.initializer.iter().enumerate().map(|(position, t)| (t.name(), position)).collect();
        for (slot, input) in graph.input.iter().enumerate() {
            if weights.contains_key(input.name()) && !replaceable {
                continue;
            }
            let origin = if holder.is_none() { Origin::Input } else { Origin::Body };
            let given = || self.plan.values[self.argument(holder?, slot)?].dtype;
            let dtype = input.dtype().or_else(given);
            self.add(scope, input.name(), dtype, origin);
        }
        for (position, t) in graph.initializer.iter().enumerate() {
            if !self.plan.scopes[scope].names.contains_key(t.name()) {
                self.add(scope, t.name(), t.dtype(), Origin::Initializer(position));
            }
        }
        for t in graph.sparse_initializer.iter().filter_map(|s| s.values.as_ref()) {
            self.add(scope, t.name(), t.dtype(), Origin::Sparse);
        }
    }

    /// The value that Loop or Scan gives to an input of its body.
    fn argument(&self, holder: usize, slot: usize) -> Option<usize> {
        let op = &self.plan.ops[holder];
        let shift = usize::from(op.proto.is("Scan") && self.model.opset() < 9);
        op.reads.get(slot + shift).copied().flatten()
    }

    fn add(&mut self, scope: usize, name: &str, dtype: Option<DType>, origin: Origin) -> usize {
        let id = self.plan.values.len();
        self.plan.values.push(Value { name: name.to_string(), scope, dtype, origin, output: false });
        self.plan.scopes[scope].names.insert(name.to_string(), id);
        id
    }

    fn find(&self, scope: usize, name: &str) -> Option<usize> {
        let mut at = Some(scope).filter(|_| !name.is_empty());
        while let Some(scope) = at {
            let scope = &self.plan.scopes[scope];
            if let Some(value) = scope.names.get(name) {
                return Some(*value);
            }
            at = scope.outer;
        }
        None
    }

    fn node(&self, proto: &NodeProto, index: usize, path: &[Step]) -> Known<'a> {
        let steps: Vec<String> = path.iter().map(|s| format!("{}/{}", s.name, s.attribute)).collect();
        let place = (!steps.is_empty()).then(|| steps.join("/"));
        if let Some(node) = self.known.get(&(place, index)) {
            return Known::Of(node);
        }
        let (name, op_type, domain) = (node_name(proto), proto.op_type().to_string(), proto.domain().to_string());
        let (reads, results, writes) = Default::default();
        Known::Own(Box::new(Node { name, op_type, domain, index, scope: path.to_vec(), reads, results, writes }))
    }

    fn bodies(&mut self, proto: &'a NodeProto, id: usize, index: usize, scope: usize, path: &[Step]) {
        for (attribute, body) in proto.subgraphs() {
            let step = Step { node: index, name: node_name(proto), attribute: attribute.to_string() };
            let inner = self.graph(body, Some(scope), Some(id), &[path, &[step]].concat());
            self.plan.ops[id].bodies.push(inner);
        }
    }
}
