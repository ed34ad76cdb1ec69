//! One of the two runs that are set against each other: a backend, the model it runs, and what is done to the model first.

use crate::graph::{Graph, Node};
use crate::load::{Lean, Model};
use crate::mark::{self, Types};
use crate::onnx::{AttributeProto, ModelProto};
use crate::precision::{self, Kept, convert};
use crate::run::{Against, Answer, Backend, How, Observe, RunError};
use crate::spec::{Low, Place, Spec};
use crate::tensor::{DType, Tensors};

/// How a side computes in a lower precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lowering {
    /// It runs models as they are.
    None,
    /// Models are rewritten so that float32 operations round as this precision does.
    Emulate(Low),
    /// Models are converted, with explicit Casts, before they run: it computes in this very type.
    Convert(DType),
    /// The backend itself lowers float32 models: a weakly typed TensorRT engine.
    Backend(DType),
    /// The backend multiplies in TF32, all of a session's products or none: kept ones are computed of split operands.
    Products,
}

impl Lowering {
    /// The lower precision, if single nodes can be kept out of it.
    pub fn low(self) -> Option<Low> {
        match self {
            Lowering::None => None,
            Lowering::Emulate(low) => Some(low),
            Lowering::Convert(storage) | Lowering::Backend(storage) => Low::stored_as(storage),
            Lowering::Products => Some(Low::Tf32),
        }
    }
}

/// A side, ready to run with any tensors marked.
pub struct Side {
    pub spec: Spec,
    pub backend: Box<dyn Backend>,
    pub model: Model,
    pub graph: Graph,
    /// How the side comes to its precision.
    pub lowering: Lowering,
    /// Nodes that stay in float32 in a lower precision.
    pub kept: Kept,
    /// Knobs of the candidate's compiler, for all its builds.
    pub route: Option<String>,
    /// A file of half-precision tensors on the CPU: keep ONNX Runtime from cancelling its casts.
    pub half: bool,
    /// Does it run the constants of `model`, or something that somebody stored or built elsewhere?
    pub runs_its_file: bool,
    /// Element types of the side's own model, where `lowering`, `half` or a branch needs them.
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
        self.lowering != Lowering::None || (self.on_cpu() && self.mentions_half())
    }

    /// Runs the model with `tensors` (numbers in `graph`) observable; gives back those named in `outputs`, by sample.
    pub fn run(&self, tensors: &[usize], feeds: &[Tensors], outputs: &[String]) -> Result<Vec<Tensors>, RunError> {
        Ok(self.see(tensors, feeds, outputs, Observe::Outputs)?.values)
    }

    /// The same, with the tensors made visible in a certain way.
    pub fn see(
        &self,
        tensors: &[usize],
        feeds: &[Tensors],
        outputs: &[String],
        observe: Observe,
    ) -> Result<Answer, RunError> {
        let how = How { observe, route: self.route.clone(), ..How::default() };
        if observe != Observe::Outputs {
            return self.build(&how, &self.kept, &self.model.proto, &self.types, feeds, outputs);
        }
        let marked = mark::mark(&self.model.proto, &self.graph, tensors, &self.types);
        self.build(&how, &self.kept, &marked, &self.types, feeds, outputs)
    }

    /// As [`Side::run`], with what the backend can compare compared where it lies.
    pub fn run_against(
        &self,
        tensors: &[usize],
        feeds: &[Tensors],
        outputs: &[String],
        against: &Against,
    ) -> Result<Answer, RunError> {
        let marked = mark::mark(&self.model.proto, &self.graph, tensors, &self.types);
        let feeds: Vec<Tensors> = feeds.iter().map(|feed| as_declared(&marked, feed)).collect();
        self.backend.run_against(&self.lean(&self.kept, &marked, &self.types)?, &feeds, outputs, against)
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

    /// Does it compute in float32 exactly what its model says?
    pub fn is_plain(&self) -> bool {
        self.lowering == Lowering::None
    }

    /// The same, with these nodes (by the keys of what they write) left in float32 where the side has a lower precision.
    pub fn run_kept(
        &self,
        kept: &Kept,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        let how = How { route: self.route.clone(), ..How::default() };
        Ok(self.build(&how, kept, model, types, feeds, outputs)?.values)
    }

    /// The one way to the backend: lowers the model, casts the feeds, builds and runs.
    pub fn build(
        &self,
        how: &How,
        kept: &Kept,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Answer, RunError> {
        let feeds: Vec<Tensors> = feeds.iter().map(|feed| as_declared(model, feed)).collect();
        let how = match self.lowering {
            Lowering::Backend(_) => &How { float32: names_of(kept, model), ..how.clone() },
            _ => how,
        };
        self.backend.build(&self.lean(kept, model, types)?, &feeds, outputs, how)
    }

    /// Seconds of one run of the built model, where the backend can tell: the median over `runs`.
    pub fn latency(
        &self,
        kept: &Kept,
        model: &ModelProto,
        types: &Types,
        feed: &Tensors,
        runs: usize,
    ) -> Result<Option<f64>, RunError> {
        let feed = as_declared(model, feed);
        self.backend.latency(&self.lean(kept, model, types)?, &feed, runs)
    }

    /// Builds a model the way this side runs its own, and runs nothing.
    pub fn builds(&self, model: &ModelProto, types: &Types) -> Result<(), RunError> {
        self.backend.outputs(&self.lean(&self.kept, model, types)?).map(drop)
    }

    /// What the backend gets for `model`.
    fn lean(&self, kept: &Kept, model: &ModelProto, types: &Types) -> Result<Lean, RunError> {
        Ok(self.model.lean(self.lowered(kept, model, types)?.as_ref().unwrap_or(model)))
    }

    /// What is run in place of `model`; `None`: the model as it is.
    fn lowered(&self, kept: &Kept, model: &ModelProto, types: &Types) -> Result<Option<ModelProto>, RunError> {
        Ok(match self.lowering {
            Lowering::Emulate(low) => Some(precision::emulate(model, types, low, kept)),
            Lowering::Convert(low) => Some(self.converted(low, kept, model, types).map_err(|e| RunError::Build {
                backend: self.spec.to_string(),
                reason: format!("it cannot be converted: {e:#}"),
            })?),
            Lowering::Products => (!kept.is_empty()).then(|| precision::split(model, types, kept)),
            Lowering::None | Lowering::Backend(_) if self.half => Some(precision::expose(model, types)),
            Lowering::None | Lowering::Backend(_) => None,
        })
    }

    /// `model` in mixed precision; its inputs and outputs stay float32, as in the files that users get.
    fn converted(&self, low: DType, kept: &Kept, model: &ModelProto, types: &Types) -> anyhow::Result<ModelProto> {
        let source = self.model.edited(model.clone());
        let graph = Graph::new(&source.proto)?;
        let mut known = self.types.clone();
        known.extend(types.iter().map(|(name, dtype)| (name.clone(), *dtype)));
        let keep = |node: &Node| node.writes.iter().any(|t| kept.contains(&graph.tensors[*t].key));
        let request = convert::Request { low, keep: &keep, keep_io: true, int32_inputs: false };
        Ok(convert::convert(&source, &graph, &known, &request)?.model)
    }

    /// Runs a model of float32 tensors as a device computes it in `low`.
    pub fn run_as(
        &self,
        low: Low,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        let emulated = precision::emulate(model, types, low, &Kept::new());
        self.backend.run(&self.model.lean(&emulated), feeds, outputs)
    }
}

/// The nodes of `model` that write one of these tensors (by key).
fn names_of(kept: &Kept, model: &ModelProto) -> Vec<String> {
    let Ok(graph) = Graph::new(model) else { return Vec::new() };
    let writes = |node: &&Node| node.writes.iter().any(|t| kept.contains(&graph.tensors[*t].key));
    if kept.is_empty() { Vec::new() } else { graph.nodes.iter().filter(writes).map(|n| n.name.clone()).collect() }
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
