//! A decision becomes a model: types, names, weights and Casts. Values in, values out.

use anyhow::Context;

use super::attributes::{self, NodeNames};
use super::decide::Decision;
use super::plan::{Origin, Plan};
use super::weights::{self, Loss, Weights};
use super::{Options, opset};
use crate::load::Model;
use crate::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TypeValue, ValueInfoProto,
};
use crate::tensor::DType;

/// The model that a decision describes.
pub struct Rewritten {
    /// The whole model.
    pub proto: ModelProto,
    /// How many Casts it has more than before.
    pub casts: usize,
    /// Fill values of ConstantOfShape nodes that changed, by node.
    pub fills: Vec<(usize, Loss)>,
}

/// Writes down what `decision` says; `weights` hold the lowered values. An error where there is no main graph or a
/// value is missing.
pub fn rewrite(
    model: &Model,
    plan: &Plan,
    options: &Options,
    decision: &Decision,
    weights: &Weights,
) -> anyhow::Result<Rewritten> {
    let mut proto = model.proto.clone();
    let mut writer = Writer {
        model,
        plan,
        options,
        decision,
        weights,
        opset: opset(&model.proto),
        names: NodeNames::default(),
        values: vec![Vec::new(); plan.scopes.len()],
        casts: 0,
        fills: Vec::new(),
    };
    for (id, value) in plan.values.iter().enumerate() {
        writer.values[value.scope].push(id);
    }
    let main = proto.graph.as_mut().context("the model has no graph")?;
    writer.graph(main, 0)?;
    if !proto.opset_import.iter().any(|o| matches!(o.domain(), "" | "ai.onnx")) {
        proto.opset_import.push(OperatorSetIdProto { domain: None, version: Some(writer.opset) });
    }
    Ok(Rewritten { casts: writer.casts, fills: writer.fills, proto })
}

struct Writer<'a> {
    model: &'a Model,
    plan: &'a Plan<'a>,
    options: &'a Options,
    decision: &'a Decision,
    weights: &'a Weights,
    opset: i64,
    names: NodeNames,
    /// The values of each scope.
    values: Vec<Vec<usize>>,
    casts: usize,
    fills: Vec<(usize, Loss)>,
}

impl Writer<'_> {
    fn graph(&mut self, graph: &mut GraphProto, scope: usize) -> anyhow::Result<()> {
        let mut nodes = Vec::with_capacity(graph.node.len() * 2);
        self.declared(graph, scope);
        for id in std::mem::take(&mut self.values[scope]) {
            self.given(graph, id, &mut nodes)?;
        }
        let ops = self.plan.scopes[scope].ops.clone();
        for (mut node, id) in std::mem::take(&mut graph.node).into_iter().zip(ops) {
            node.name = Some(self.names.unique(&node));
            if node.is("Constant") {
                self.constant(node, id, &mut nodes)?;
            } else {
                self.node(node, id, &mut nodes)?;
            }
        }
        graph.node = nodes;
        let outside = match self.plan.scopes[scope].holder {
            Some(holder) => self.decision.low[holder],
            None => !self.options.keep_io,
        };
        for (output, value) in graph.output.iter_mut().zip(&self.plan.scopes[scope].outputs) {
            let Some(value) = *value else { continue };
            output.name = Some(self.decision.name(value, outside).to_string());
            if self.plan.values[value].is_float() {
                set_type(output, if outside { self.options.low } else { DType::Float32 });
            }
        }
        Ok(())
    }

    /// What the graph has before any node runs.
    fn given(&mut self, graph: &mut GraphProto, id: usize, nodes: &mut Vec<NodeProto>) -> anyhow::Result<()> {
        let (value, stored) = (&self.plan.values[id], &self.decision.values[id]);
        if stored.narrowed {
            self.cast(id, nodes);
        }
        if !value.is_float() {
            return Ok(());
        }
        match value.origin {
            Origin::Initializer(position) => self.initializer(graph, id, position)?,
            Origin::Input | Origin::Body | Origin::Sparse => {
                let default = graph.initializer.iter_mut().find(|t| t.name() == value.name);
                if let Some(t) = default.filter(|_| stored.low) {
                    let low = weights::convert(self.model, t, self.options.low)?;
                    *t = low.tensor;
                    t.name = Some(value.name.clone());
                }
                for values in graph.sparse_initializer.iter_mut().filter_map(|s| s.values.as_mut()) {
                    if values.name() == value.name {
                        values.name = Some(stored.name.clone());
                    }
                }
                self.cast(id, nodes);
            }
            Origin::Constant(_) | Origin::Made(..) => {}
        }
        Ok(())
    }

    /// Declared types, of inputs and of whatever the file tells the type of.
    fn declared(&self, graph: &mut GraphProto, scope: usize) {
        for info in graph.input.iter_mut().chain(&mut graph.value_info) {
            let Some(id) = self.plan.scopes[scope].own(info.name()) else { continue };
            let (value, stored) = (&self.plan.values[id], &self.decision.values[id]);
            if stored.narrowed {
                set_type(info, DType::Int32);
            } else if value.is_float() {
                // Of a value that was renamed, the copy in the other type has the name.
                let renamed = stored.name != value.name;
                set_type(info, if stored.low != renamed { self.options.low } else { DType::Float32 });
            }
        }
    }

    fn initializer(&mut self, graph: &mut GraphProto, id: usize, position: usize) -> anyhow::Result<()> {
        let stored = &self.decision.values[id];
        let original = graph.initializer[position].clone();
        let low = |name: &str| {
            let low = self.weights.get(id).with_context(|| format!("'{name}' was not converted"))?;
            anyhow::Ok(TensorProto { name: Some(name.to_string()), ..low.tensor })
        };
        if stored.low {
            graph.initializer[position] = low(&stored.name)?;
        }
        let Some(other) = &stored.other else { return Ok(()) };
        let copy = if stored.low { TensorProto { name: Some(other.clone()), ..original } } else { low(other)? };
        // Before IR version 4 an initializer has to be an input as well.
        if let Some(input) = graph.input.iter().find(|v| v.name() == stored.name) {
            let mut input = ValueInfoProto { name: Some(other.clone()), ..input.clone() };
            set_type(&mut input, if stored.low { DType::Float32 } else { self.options.low });
            graph.input.push(input);
        }
        graph.initializer.push(copy);
        Ok(())
    }

    /// A Constant, in the precisions that its readers want.
    fn constant(&mut self, node: NodeProto, id: usize, nodes: &mut Vec<NodeProto>) -> anyhow::Result<()> {
        let Some(value) = self.plan.ops[id].writes.first().copied().flatten() else {
            nodes.push(node);
            return Ok(());
        };
        let stored = &self.decision.values[value];
        let named = |name: &str, low: bool| {
            let mut node = NodeProto { output: vec![name.to_string()], ..node.clone() };
            if low {
                let converted = self.weights.get(value).with_context(|| format!("'{name}' was not converted"))?;
                node.attribute = vec![AttributeProto::tensor("value", converted.tensor)];
            }
            anyhow::Ok(node)
        };
        nodes.push(named(&stored.name, stored.low)?);
        if let Some(other) = &stored.other {
            let mut copy = named(other, !stored.low)?;
            copy.name = Some(other.clone());
            copy.name = Some(self.names.unique(&copy));
            nodes.push(copy);
        }
        Ok(())
    }

    fn node(&mut self, mut node: NodeProto, id: usize, nodes: &mut Vec<NodeProto>) -> anyhow::Result<()> {
        let (plan, decision) = (self.plan, self.decision);
        let op = &plan.ops[id];
        for (slot, (name, value)) in node.input.iter_mut().zip(&op.reads).enumerate() {
            if let Some(value) = *value {
                *name = decision.read(plan, id, slot, value).to_string();
            }
        }
        for (body, graph) in op.bodies.iter().zip(node.subgraphs_mut()) {
            self.graph(graph, *body)?;
        }
        for (name, value) in node.output.iter_mut().zip(&op.writes) {
            if let Some(value) = *value {
                *name = decision.values[value].name.clone();
            }
        }
        let lowered = op.writes.iter().flatten().any(|v| plan.values[*v].is_float() && decision.values[*v].low);
        if lowered {
            let fill = attributes::lower(&mut node, self.options.low, self.model)
                .with_context(|| format!("cannot convert node '{}'", op.node.node().name))?;
            self.fills.extend(fill.map(|loss| (id, loss)));
        }
        nodes.push(node);
        for value in op.writes.iter().flatten() {
            self.cast(*value, nodes);
        }
        Ok(())
    }

    /// The Cast behind a value, if a reader wants the other type.
    fn cast(&mut self, id: usize, nodes: &mut Vec<NodeProto>) {
        let stored = &self.decision.values[id];
        let Some(other) = &stored.other else { return };
        let dtype = match (stored.narrowed, stored.low) {
            (true, _) => DType::Int64,
            (_, true) => DType::Float32,
            (_, false) => self.options.low,
        };
        let mut cast = attributes::cast(&stored.name, other, dtype, self.opset);
        cast.name = Some(self.names.unique(&cast));
        nodes.push(cast);
        self.casts += 1;
    }
}

fn set_type(info: &mut ValueInfoProto, dtype: DType) {
    if let Some(TypeValue::Tensor(tensor)) = info.r#type.as_mut().and_then(|t| t.value.as_mut()) {
        tensor.elem_type = Some(dtype.onnx());
    }
}
