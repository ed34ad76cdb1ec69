//! How a side runs something: its own model or another, whole or cut, lowered and built as the side does. One value says
//! what, and there is one way to the backend. Compares nothing.

use std::sync::Arc;

use super::{Lowering, Side};
use crate::graph::inline::inline;
use crate::graph::{Graph, Node};
use crate::load::Lean;
use crate::load::decode::Decode;
use crate::mark::{self, Types};
use crate::onnx::ModelProto;
use crate::precision::{self, Kept, convert};
use crate::run::{Against, Answer, How, Job, Observe, Optimised, Placement, RunError, SessionOptions, Timed, question};
use crate::spec::{Emulation, Low};
use crate::tensor::{DType, Tensors};
use crate::types;

/// What a side is to run.
#[derive(Clone)]
pub struct Work<'a> {
    /// As the user has it: the side lowers it.
    pub model: &'a ModelProto,
    /// Element types of the model's tensors, as far as they are known.
    pub types: &'a Types,
    /// Nodes (by the keys of what they write) left in float32 where the side has a lower precision.
    pub kept: &'a Kept,
    /// By sample.
    pub feeds: &'a [Tensors],
    /// Names of the tensors to give back.
    pub outputs: &'a [String],
    /// How it is built; the names of the kept nodes are filled in by the side.
    pub how: How,
    /// What the backend may compare with where its values lie.
    pub against: Option<&'a Against>,
    /// The model decodes, step by step.
    pub decode: Option<&'a Decode>,
}

impl<'a> Work<'a> {
    /// Another model in place of the side's own: a cut of it, or one with tensors marked.
    pub fn on(self, model: &'a ModelProto, types: &'a Types) -> Work<'a> {
        Work { model, types, ..self }
    }

    /// With these nodes left in float32.
    pub fn keeping(self, kept: &'a Kept) -> Work<'a> {
        Work { kept, ..self }
    }

    /// With its tensors made visible in this way.
    pub fn observing(self, observe: Observe) -> Work<'a> {
        Work { how: How { observe, ..self.how }, ..self }
    }

    /// Step by step, each from its own outputs.
    pub fn decoding(self, decode: &'a Decode) -> Work<'a> {
        Work { decode: Some(decode), ..self }
    }

    /// In a session of ONNX Runtime that is made like this.
    pub fn in_session(self, session: SessionOptions) -> Work<'a> {
        Work { how: How { session, ..self.how }, ..self }
    }

    /// Again on other feeds soon, in the same session.
    pub fn held(self, held: bool) -> Work<'a> {
        Work { how: How { held, ..self.how }, ..self }
    }

    /// With these knobs of the compiler.
    pub fn routed(self, route: String) -> Work<'a> {
        Work { how: How { route: Some(route), ..self.how }, ..self }
    }
}

impl Side {
    /// Its own model as it stands.
    pub fn work<'a>(&'a self, feeds: &'a [Tensors], outputs: &'a [String]) -> Work<'a> {
        let model = self.deployed.as_ref().unwrap_or(&self.model.proto);
        let (types, kept) = (&self.types, &self.kept);
        let how = How { session: self.session.clone(), ..How::default() };
        Work { model, types, kept, feeds, outputs, how, against: None, decode: None }
    }

    /// Builds and runs.
    pub fn perform(&self, work: &Work) -> Result<Answer, RunError> {
        self.backend.run(&self.job(work)?)
    }

    /// The same, where only the values matter; by sample.
    pub fn values(&self, work: &Work) -> Result<Vec<Tensors>, RunError> {
        Ok(self.perform(work)?.values)
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
        let work = self.work(feeds, outputs).observing(observe);
        if observe != Observe::Outputs {
            return self.perform(&work);
        }
        self.perform(&work.on(&self.marked(tensors), &self.types))
    }

    /// The same in the session that gives the verdict; `held`: it will be asked again.
    pub fn see_deployed(
        &self,
        tensors: &[usize],
        feeds: &[Tensors],
        outputs: &[String],
        held: bool,
    ) -> Result<Answer, RunError> {
        let marked = self.marked(tensors);
        let work = self.work(feeds, outputs).on(&marked, &self.types);
        self.perform(&work.in_session(self.judged_session().clone()).held(held))
    }

    /// As [`Side::run`], with what the backend can compare compared where it lies.
    pub fn run_against(
        &self,
        tensors: &[usize],
        feeds: &[Tensors],
        outputs: &[String],
        against: &Against,
    ) -> Result<Answer, RunError> {
        let marked = self.marked(tensors);
        self.perform(&Work { against: Some(against), ..self.work(feeds, outputs).on(&marked, &self.types) })
    }

    /// Its model with these tensors (numbers in `graph`) as outputs; the file as it is, where there are none.
    pub fn marked(&self, tensors: &[usize]) -> ModelProto {
        if let (Some(file), []) = (&self.deployed, tensors) {
            return file.clone();
        }
        mark::mark(&self.model.proto, &self.graph, tensors, &self.types)
    }

    /// Runs another model (a cut of this one) the way this side runs its own.
    pub fn run_model(
        &self,
        model: &ModelProto,
        types: &Types,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        self.values(&self.work(feeds, outputs).on(model, types))
    }

    /// Runs a model of float32 tensors as a device computes it in `low`, whatever the side does with its own.
    pub fn run_as(&self, low: Low, work: &Work) -> Result<Vec<Tensors>, RunError> {
        let nothing = Kept::new();
        let emulated =
            self.rewritten(&work.clone().keeping(&nothing), |m, types, kept| precision::emulate(m, types, low, kept))?;
        self.run_untouched(&emulated, work.feeds, work.outputs)
    }

    /// Runs a model as it is, whatever the side does with its own.
    pub fn run_untouched(
        &self,
        model: &ModelProto,
        feeds: &[Tensors],
        outputs: &[String],
    ) -> Result<Vec<Tensors>, RunError> {
        let feeds: Vec<Tensors> = feeds.iter().map(|feed| as_declared(model, feed)).collect();
        Ok(self.backend.run(&Job::new(self.model.lean(model), &feeds, outputs))?.values)
    }

    /// What `runs` of the model take on the first feed, as it is deployed; `None` where the backend has no time of its own.
    pub fn latency(&self, work: &Work, runs: usize, by_node: bool) -> Result<Option<Timed>, RunError> {
        let work = work.clone().in_session(SessionOptions::deployed());
        question::latency(&*self.backend, self.job(&work)?, runs, by_node)
    }

    /// What the session of `work` makes of its model; an error where the backend has no sessions.
    pub fn optimised(&self, work: &Work) -> Result<Optimised, RunError> {
        let none = || RunError::Missing(format!("{} has no optimizers that can be told apart", self.spec));
        question::optimised(&*self.backend, self.job(work)?)?.ok_or_else(none)
    }

    /// Which execution provider runs what of `work`; `None` where the backend has one only.
    pub fn placed(&self, work: &Work) -> Result<Option<Placement>, RunError> {
        question::placement(&*self.backend, self.job(work)?)
    }

    /// Builds a model the way this side runs its own, and runs nothing.
    pub fn builds(&self, work: &Work) -> Result<(), RunError> {
        question::outputs(&*self.backend, self.job(work)?).map(drop)
    }

    /// What the backend is asked to do: the model lowered, the feeds cast.
    fn job(&self, work: &Work) -> Result<Job, RunError> {
        let how = match self.lowering {
            Lowering::Backend(_) => How { float32: names_of(work.kept, work.model), ..work.how.clone() },
            _ => work.how.clone(),
        };
        Ok(Job {
            model: self.lean(work)?.into(),
            feeds: work.feeds.iter().map(|feed| as_declared(work.model, feed)).collect(),
            outputs: work.outputs.to_vec(),
            how,
            against: work.against.cloned(),
            decode: work.decode.cloned().map(Arc::new),
        })
    }

    fn lean(&self, work: &Work) -> Result<Lean, RunError> {
        Ok(self.model.lean(self.lowered(work)?.as_ref().unwrap_or(work.model)))
    }

    /// The work's model in the form in which the backend gets it.
    pub fn as_run(&self, work: &Work) -> Result<ModelProto, RunError> {
        Ok(self.lowered(work)?.unwrap_or_else(|| work.model.clone()))
    }

    /// What is run in place of the work's model; `None`: the model as it is.
    fn lowered(&self, work: &Work) -> Result<Option<ModelProto>, RunError> {
        Ok(match self.lowering {
            Lowering::Emulate(low) => Some(self.rewritten(work, |m, types, kept| {
                let emulated = precision::emulate(m, types, Emulation { low, arithmetic: self.arithmetic }, kept);
                if self.half { precision::expose(&emulated, types) } else { emulated }
            })?),
            Lowering::Convert(low) => {
                Some(self.rewritten(work, |m, types, kept| self.converted(low, m, types, kept))??)
            }
            Lowering::Products if work.kept.is_empty() => None,
            Lowering::Products => Some(self.rewritten(work, precision::split)?),
            // In a session that optimises, nothing is to be seen: it runs the file.
            Lowering::None | Lowering::Backend(_) if self.half && work.how.session.is_plain() => {
                Some(self.rewritten(work, |m, types, _| precision::expose(m, types))?)
            }
            Lowering::None | Lowering::Backend(_) => None,
        })
    }

    /// What `rewrite` makes of the work's model, its types and its kept nodes. Functions are gone by then: their bodies stand
    /// where they were called, so that they are rewritten as everything else.
    fn rewritten<R>(&self, work: &Work, rewrite: impl Fn(&ModelProto, &Types, &Kept) -> R) -> Result<R, RunError> {
        let Some(inlined) = inline(work.model) else { return Ok(rewrite(work.model, work.types, work.kept)) };
        let mut known = self.types.clone();
        known.extend(work.types.iter().map(|(name, dtype)| (name.clone(), *dtype)));
        if inlined.made().any(|key| !known.contains_key(key)) {
            types::add_all(&inlined.model, &mut known, &|model: &ModelProto| self.outputs_of(model))?;
        }
        Ok(rewrite(&inlined.model, &known, &inlined.with_bodies(work.kept)))
    }

    /// What the backend says of the outputs of a model, untouched.
    pub fn outputs_of(&self, model: &ModelProto) -> Result<types::Outputs, RunError> {
        let outputs = question::outputs(&*self.backend, Job::new(self.model.lean(model), &[], &[]))?;
        Ok(outputs.into_iter().map(|o| (o.name, o.dtype)).collect())
    }

    /// A model in mixed precision; its inputs and outputs stay float32, as in the files that users get.
    fn converted(&self, low: DType, model: &ModelProto, types: &Types, kept: &Kept) -> Result<ModelProto, RunError> {
        let convert = || {
            let source = self.model.edited(model.clone());
            let graph = Graph::new(&source.proto)?;
            let mut known = self.types.clone();
            known.extend(types.iter().map(|(name, dtype)| (name.clone(), *dtype)));
            let keep = |node: &Node| node.writes.iter().any(|t| kept.contains(&graph.tensors[*t].key));
            let request = convert::Request { low, keep: &keep, keep_io: true, int32_inputs: false };
            anyhow::Ok(convert::convert(&source, &graph, &known, &request)?.model)
        };
        convert().map_err(|e| RunError::Build {
            backend: self.spec.to_string(),
            reason: format!("it cannot be converted: {e:#}"),
        })
    }
}

/// The nodes of `model` that write one of these tensors (by key).
fn names_of(kept: &Kept, model: &ModelProto) -> Vec<String> {
    let Ok(graph) = Graph::new(model) else { return Vec::new() };
    let writes = |node: &&Node| node.writes.iter().any(|t| kept.contains(&graph.tensors[*t].key));
    if kept.is_empty() { Vec::new() } else { graph.nodes.iter().filter(writes).map(|n| n.name.clone()).collect() }
}

/// Values in the types that the model's inputs have: a converted model takes FP16 where the original takes float32, and an
/// engine's file int32 for int64. What does not fit stays as it is, and is refused by whoever runs it.
pub(super) fn as_declared(model: &ModelProto, feeds: &Tensors) -> Tensors {
    let mut feeds = feeds.clone();
    for input in model.graph.iter().flat_map(|g| &g.input) {
        let (Some(wanted), Some(value)) = (input.dtype(), feeds.get_mut(input.name())) else { continue };
        if let (true, Some(cast)) = (value.dtype != wanted, precision::cast(value, wanted)) {
            *value = cast;
        }
    }
    feeds
}
