//! One of the two runs that are set against each other: a backend, the model it runs, and what is done to the model first.

use crate::graph::Graph;
use crate::load::Model;
use crate::mark::{self, Types};
use crate::onnx::{AttributeProto, ModelProto};
use crate::precision::{self, Kept};
use crate::run::{Backend, RunError};
use crate::spec::{Place, Spec};
use crate::tensor::{DType, Tensors};

/// A side, ready to run with any tensors marked.
pub struct Side {
    pub spec: Spec,
    pub backend: Box<dyn Backend>,
    pub model: Model,
    pub graph: Graph,
    /// Emulate this storage type by casts.
    pub storage: Option<DType>,
    /// Nodes that the emulation leaves in float32.
    pub kept: Kept,
    /// A file of half-precision tensors on the CPU: keep ONNX Runtime from cancelling its casts.
    pub half: bool,
    /// Does it run the constants of `model`, or something that somebody stored or built elsewhere?
    pub runs_its_file: bool,
    /// Element types of the side's own model, where `storage`, `half` or a branch needs them.
    pub types: Types,
}

impl Side {
    /// ONNX Runtime on the CPU, in this process?
    pub fn on_cpu(&self) -> bool {
        self.spec.place == Place::Cpu
    }

    /// Could the model hold half-precision tensors? Cheap, and wrong only on the careful side.
    pub fn mentions_half(&self) -> bool {
        let half = |d: Option<DType>| matches!(d, Some(DType::Float16 | DType::Bfloat16));
        let Some(graph) = &self.model.proto.graph else { return false };
        let mut found = graph.input.iter().chain(&graph.value_info).chain(&graph.output).any(|v| half(v.dtype()));
        graph.each_initializer(&mut |t| found |= half(t.dtype()));
        let casts = |a: &AttributeProto| a.name() == "to" && half(DType::from_onnx(a.i() as i32));
        found || graph.node.iter().any(|n| n.attribute.iter().any(casts))
    }

    /// Must the element types of its own model be known before it runs with tensors marked?
    pub fn needs_types(&self) -> bool {
        self.graph.nodes.iter().any(|n| !n.scope.is_empty()) || self.rewrites()
    }

    /// Is its model rewritten by element type before it runs?
    pub fn rewrites(&self) -> bool {
        self.storage.is_some() || (self.on_cpu() && self.mentions_half())
    }

    /// Runs the model with `tensors` (numbers in `graph`) observable; gives back those named in `outputs`, by sample.
    pub fn run(&self, tensors: &[usize], feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        let marked = mark::mark(&self.model.proto, &self.graph, tensors, &self.types);
        self.run_model(&marked, &self.types, feeds, outputs)
    }

    /// Runs another model (a cut of this one) the way this side runs its own.
    pub fn run_model(
        &self,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        self.run_kept(&self.kept, model, types, feeds, outputs)
    }

    /// The same, with these nodes left in float32 where the side emulates a lower precision.
    pub fn run_kept(
        &self,
        kept: &Kept,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        let feeds: Vec<Tensors> = feeds.iter().map(|feed| as_declared(model, feed)).collect();
        let changed = match (self.storage, self.half) {
            (Some(low), _) => Some(precision::emulate(model, types, low, kept)),
            (None, true) => Some(precision::expose(model, types)),
            (None, false) => None,
        };
        self.backend.run(&self.model.lean(changed.as_ref().unwrap_or(model)), &feeds, outputs)
    }

    /// Runs a model of float32 tensors as if they were stored as `low`.
    pub fn run_as(
        &self,
        low: DType,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        let emulated = precision::emulate(model, types, low, &Kept::new());
        self.backend.run(&self.model.lean(&emulated), feeds, outputs)
    }
}

/// Floats in the types that the model's inputs have: a converted model takes FP16 where the original takes float32.
fn as_declared(model: &ModelProto, feeds: &Tensors) -> Tensors {
    let mut feeds = feeds.clone();
    for input in model.graph.iter().flat_map(|g| &g.input) {
        let (Some(wanted), Some(value)) = (input.dtype(), feeds.get_mut(input.name())) else { continue };
        if let (true, Some(cast)) = (value.dtype != wanted, precision::cast(value, wanted)) {
            *value = cast;
        }
    }
    feeds
}
