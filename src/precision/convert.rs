//! FP32 -> FP16 or BF16 with explicit Casts: a strongly typed model that computes in the low type except where it is told
//! to stay. Graph -> graph. Nothing is guessed: element types come from the caller, permitted types from ONNX's schemas.
//!
//! Every value has one precision, its producer's, and keeps its name in it; where a reader wants the other, one Cast gives
//! `NAME/fp32` or `NAME/fp16` to all such readers. Weights have the precision of their readers. No file is written here.

mod attributes;
mod build;
mod decide;
mod judge;
mod notes;
mod plan;
mod rewrite;
pub mod schema;
mod shapes;
#[cfg(test)]
mod tests;
mod weights;

use anyhow::{Context, ensure};

use crate::graph::{Graph, Node};
use crate::load::Model;
use crate::mark::Types;
use crate::onnx::{ModelProto, OperatorSetIdProto};
use crate::tensor::DType;
use decide::Decision;
use plan::{Plan, Takes, Why};
use weights::Weights;

/// What to convert to, and what to leave.
pub struct Request<'a> {
    /// [`DType::Float16`] or [`DType::Bfloat16`].
    pub low: DType,
    /// Nodes that stay in FP32, with all that is inside them. Asked once for every node, those in bodies included.
    pub keep: &'a dyn Fn(&Node) -> bool,
    /// Inputs and outputs of the model stay float32.
    pub keep_io: bool,
    /// int64 inputs of the model become int32.
    pub int32_inputs: bool,
}

/// What a [`Converter`] does with every set of kept nodes.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// float16 or bfloat16; anything else is an error.
    pub low: DType,
    /// Inputs and outputs of the model stay as they are, behind Casts.
    pub keep_io: bool,
    /// int64 inputs become int32, behind Casts.
    pub int32_inputs: bool,
}

/// A model in mixed precision.
pub struct Converted {
    /// Converted weights are inline; those that stay are where they were.
    pub model: ModelProto,
    /// What the user should know, one sentence each.
    pub notes: Vec<String>,
    /// Casts that were added.
    pub casts: usize,
    /// Names of the nodes that compute in FP32: those that were asked for, and those that cannot do otherwise.
    pub kept: Vec<String>,
}

/// `model` in mixed precision. `types` must hold the element types of all tensors; what it lacks stays as it is.
pub fn convert(model: &Model, graph: &Graph, types: &Types, request: &Request) -> anyhow::Result<Converted> {
    let Request { low, keep_io, int32_inputs, .. } = *request;
    Converter::new(model, graph, types, Options { low, keep_io, int32_inputs })?.convert(request.keep)
}

/// The opset of ONNX's own operators, Casts among them. A model of other domains alone need not import any; it gets one
/// that knows every Cast.
fn opset(model: &ModelProto) -> i64 {
    let own = |o: &OperatorSetIdProto| matches!(o.domain(), "" | "ai.onnx");
    if model.opset_import.iter().any(own) { model.opset() } else { ADDED_OPSET }
}

const ADDED_OPSET: i64 = 13;

/// Converts one model for many sets of kept nodes; each weight is converted once.
pub struct Converter<'a> {
    model: &'a Model,
    plan: Plan<'a>,
    options: Options,
    weights: Weights,
}

impl<'a> Converter<'a> {
    /// Reads the model once. An error for a type that is no low one, for bfloat16 below opset 13, and for a model
    /// without a graph.
    pub fn new(model: &'a Model, graph: &'a Graph, types: &Types, options: Options) -> anyhow::Result<Converter<'a>> {
        let (path, opset) = (model.path.display(), opset(&model.proto));
        ensure!(
            matches!(options.low, DType::Float16 | DType::Bfloat16),
            "{} is no precision to convert to; use float16 or bfloat16",
            options.low
        );
        ensure!(
            options.low == DType::Float16 || opset >= 13,
            "{path} is of opset {opset}, whose Cast knows no bfloat16; convert it to opset 13 or newer first (onnx.version_converter), or use fp16"
        );
        let plan = build::plan(&model.proto, graph, types, &options).context("the model has no graph")?;
        let mut converter = Converter { model, plan, options, weights: Weights::default() };
        converter.keep_small_scales()?;
        Ok(converter)
    }

    /// The model with the nodes that `keep` means in FP32. An error where a weight cannot be read.
    pub fn convert(&self, keep: &dyn Fn(&Node) -> bool) -> anyhow::Result<Converted> {
        let decision = Decision::new(&self.plan, &self.options, keep);
        let lowered = self.lowered(&decision);
        self.weights.prepare(self.model, &self.plan, &lowered, self.options.low)?;
        let rewritten = rewrite::rewrite(self.model, &self.plan, &self.options, &decision, &self.weights)?;
        let losses = lowered.iter().filter_map(|v| Some((*v, self.weights.get(*v)?.loss))).collect();
        let notes = notes::notes(&self.plan, &self.options, &decision, losses, &rewritten.fills);
        let floats = self.plan.ops.iter().enumerate().filter(|(_, op)| self.plan.touches_float(op));
        let computing = floats.filter(|(id, op)| !decision.low[*id] && !op.proto.is("Constant"));
        let kept = computing.map(|(_, op)| op.node.node().name.clone()).collect();
        Ok(Converted { model: rewritten.proto, notes, casts: rewritten.casts, kept })
    }

    /// The weights that are wanted in the low type.
    fn lowered(&self, decision: &Decision) -> Vec<usize> {
        let values = self.plan.values.iter().zip(&decision.values).enumerate();
        let weights = values.filter(|(_, (value, _))| value.is_weight() && value.is_float());
        weights.filter(|(_, (_, stored))| stored.low || stored.other.is_some()).map(|(id, _)| id).collect()
    }

    /// A scale that is subnormal, zero or infinite in the low type would ruin all that is quantised with it.
    fn keep_small_scales(&mut self) -> anyhow::Result<()> {
        let scale = |op: &plan::Op| {
            let quantises = op.proto.is("QuantizeLinear") || op.proto.is("DequantizeLinear");
            let value = op.reads.get(1).copied().flatten().filter(|_| quantises && op.takes[1] == Takes::Mode)?;
            (self.plan.values[value].is_weight() && op.stays.is_none()).then_some(value)
        };
        let scales: Vec<(usize, usize)> =
            self.plan.ops.iter().enumerate().filter_map(|(id, op)| Some((id, scale(op)?))).collect();
        let values: Vec<usize> = scales.iter().map(|(_, value)| *value).collect();
        self.weights.prepare(self.model, &self.plan, &values, self.options.low)?;
        for (op, value) in scales {
            let loss = self.weights.get(value).map(|w| w.loss).unwrap_or_default();
            if loss.overflow + loss.subnormal > 0 {
                self.plan.ops[op].stays = Some(Why::Scale);
            }
        }
        Ok(())
    }
}
