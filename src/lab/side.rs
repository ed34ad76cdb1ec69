//! One of the two runs that are set against each other: a backend, the model it runs, and what is done to the model first.
//! How it runs something stands in `work`.

use std::sync::Arc;

use crate::graph::Graph;
use crate::load::Model;
use crate::mark::Types;
use crate::onnx::{AttributeProto, ModelProto};
use crate::precision::Kept;
use crate::run::saved::Saved;
use crate::run::{About, Backend, Observe, RunError, SessionOptions, question};
use crate::spec::{Accumulate, Arithmetic, Low, Place, Spec};
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
    /// As the user asked for it.
    pub spec: Spec,
    /// What runs it. Who stands outside the lab asks the side.
    pub backend: Arc<dyn Backend>,
    /// The model that it runs, or that what it stores comes from.
    pub model: Model,
    /// Of the model; shared with what was recorded of the side, once for each size or step.
    pub graph: Arc<Graph>,
    /// The file as it is, where `model` shows more of it: what is run as long as nothing is to be seen inside.
    pub deployed: Option<ModelProto>,
    /// How the side comes to its precision.
    pub lowering: Lowering,
    /// How it computes, where that is emulated FP16.
    pub arithmetic: Arithmetic,
    /// Nodes that stay in float32 in a lower precision.
    pub kept: Kept,
    /// A file of half-precision tensors on the CPU: keep ONNX Runtime from cancelling its casts.
    pub half: bool,
    /// How its sessions are made where its tensors are looked at: the plain one, unless only what is deployed fails.
    pub session: SessionOptions,
    /// How the session is made that gives the verdict, where it is not the one above: as people deploy it.
    pub deploys: Option<SessionOptions>,
    /// Element types of the side's own model, where `lowering`, `half` or a branch needs them.
    pub types: Types,
}

impl Side {
    /// The same after its run: what is asked of it again are these outputs, by sample, and nothing runs.
    pub fn recorded(&self, values: Vec<Tensors>) -> anyhow::Result<Side> {
        Ok(Side {
            spec: self.spec.clone(),
            backend: Arc::new(Saved::recorded(self.about().clone(), values)),
            model: self.model.clone(),
            graph: Arc::clone(&self.graph),
            deployed: self.deployed.clone(),
            lowering: self.lowering,
            arithmetic: self.arithmetic,
            kept: self.kept.clone(),
            half: self.half,
            session: self.session.clone(),
            deploys: self.deploys.clone(),
            types: self.types.clone(),
        })
    }

    /// Its model in a form that computes the same and shows more: tensors are looked at in `shown`, and the verdict is the
    /// file's. An error where `shown` has no graph.
    pub fn show(&mut self, shown: ModelProto) -> anyhow::Result<()> {
        self.graph = Graph::new(&shown)?.into();
        let file = std::mem::replace(&mut self.model.proto, shown);
        self.deployed.get_or_insert(file);
        Ok(())
    }

    /// The same side with another model, a part of its own or one made of that, whose element types are these.
    pub fn with(&self, part: ModelProto, types: Types) -> anyhow::Result<Side> {
        Ok(Side {
            spec: self.spec.clone(),
            backend: Arc::clone(&self.backend),
            graph: Graph::new(&part)?.into(),
            model: self.model.edited(part),
            deployed: None,
            lowering: self.lowering,
            arithmetic: self.arithmetic,
            kept: Kept::new(),
            half: self.half,
            session: self.session.clone(),
            deploys: None,
            types,
        })
    }

    /// How the session is made that gives the verdict.
    pub fn judged_session(&self) -> &SessionOptions {
        self.deploys.as_ref().unwrap_or(&self.session)
    }

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

    /// Is it an emulation that computes inside of nodes in float32: nothing but its rounding makes it wrong?
    pub fn only_rounds(&self) -> bool {
        matches!(self.lowering, Lowering::Emulate(_)) && self.arithmetic.accumulate == Accumulate::Fp32
    }

    /// Does it compute in float32 exactly what its model says?
    pub fn is_plain(&self) -> bool {
        self.lowering == Lowering::None
    }
}

/// What its backend is and can do.
impl Side {
    /// All of it.
    pub fn about(&self) -> &About {
        self.backend.about()
    }

    /// Does marking cost it something?
    pub fn is_engine(&self) -> bool {
        self.about().is_engine()
    }

    /// What it makes of a model, in words.
    pub fn built(&self) -> &'static str {
        if self.is_engine() { "the engine" } else { "the session" }
    }

    /// May marking change what it computes? An engine is built anew around whatever is marked, and so is a session that
    /// optimises.
    pub fn fuses(&self) -> bool {
        self.is_engine() || !self.session.is_plain()
    }

    /// Does it run models, parts of models included? Stored tensors and ready engines do not.
    pub fn runs(&self) -> bool {
        self.about().runs()
    }

    /// Does anything run, so that it takes a time?
    pub fn has_time(&self) -> bool {
        self.runs() || self.is_engine()
    }

    /// Calls that run at the same time.
    pub fn width(&self) -> usize {
        self.about().width
    }

    /// Can it compare values where they lie?
    pub fn compares(&self) -> bool {
        self.about().compares
    }

    /// Can it give a value for the tensor of this key?
    pub fn stores(&self, key: &str) -> bool {
        self.about().stores(key)
    }

    /// Can it make tensors visible in this way?
    pub fn observes(&self, way: Observe) -> bool {
        self.about().observes(way)
    }

    /// The knobs of its compiler; none where it has no such thing.
    pub fn routes(&self) -> Result<Option<String>, RunError> {
        question::routes(&*self.backend)
    }
}
