//! TensorRT as a backend: builds an engine of a model, keeps the last one, and runs it. Lives in a worker process, which may crash.
//!
//! `build` makes a plan and needs no GPU; CUDA is started when something is to be run, and `session` runs it. Marks, shapes, timings and
//! conversions have modules of their own, which know no search and no tolerance.

mod bindings;
mod build;
mod memory;
mod observe;
mod parse;
mod precision;
mod prepare;
mod profiles;
mod session;
mod times;
mod timings;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use prost::Message;

use self::build::{Build, Made};
use self::memory::Device;
use self::profiles::Ranges;
use self::session::Session;
use self::timings::Timings;
use super::library::{self, Places};
use super::{Builder, Library, Options, Runtime, Selector, layers};
use crate::found::BackendInfo;
use crate::load::Lean;
use crate::onnx::{GraphProto, ModelProto};
use crate::run::cuda::{self, Cuda, CudaError};
use crate::run::job::each;
use crate::run::{
    About, Answer, Backend, Binding, Built, Doubt, Engine, Job, Layer, Observe, Question, RunError, Timed, Told,
};

/// A library that builds engines on one GPU, or one ready engine.
pub struct TensorRt {
    library: Library,
    options: Options,
    about: About,
    state: Mutex<State>,
}

struct State {
    timings: Timings,
    cuda: Option<Cuda>,
    last: Option<Ready>,
}

/// An engine that can run, and what it is the engine of.
struct Ready {
    /// Of the model and the way in which it was built.
    key: u64,
    /// It is built for these shapes; a ready engine tells by itself what it takes.
    ranges: Option<Ranges>,
    built: Built,
    session: Session,
}

impl TensorRt {
    /// Loads the library. An error where it is not there, is of no known version, or has not what `options` ask for; a
    /// GPU is not needed yet.
    pub fn start(options: Options) -> Result<TensorRt, RunError> {
        let found = library::find_in(Some(&options.library), &Places::default())?;
        let mut found =
            found.ok_or_else(|| RunError::Missing(format!("{} is not there", options.library.display())))?;
        found.parser.clone_from(&options.parser);
        let library = Library::open(&found)?;
        if options.weak.is_some() && !library.weakly_typed() {
            let name = library.name();
            let what = "takes precisions from the model only; convert the model instead";
            return Err(RunError::Missing(format!("{name} {what}")));
        }
        // A GPU that does not start is told when something is to be run.
        let cuda = Cuda::open(options.device).ok();
        let gpu = cuda.as_ref().and_then(|cuda| cuda.device().ok());
        // `NVIDIA H200, compute capability 9.0`
        let gpu = gpu.map(|gpu| format!("{}, compute capability {}.{}", gpu.name, gpu.capability.0, gpu.capability.1));
        let timings = Timings::load(options.timing_cache.as_deref());
        Ok(TensorRt {
            about: about(&library, gpu),
            library,
            options,
            state: Mutex::new(State { timings, cuda, last: None }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine of the job's model: the last one, if it was built for the same.
    fn ready<'s>(&self, state: &'s mut State, job: &Job) -> Result<&'s mut Ready, RunError> {
        let key = key(job);
        let fits = |last: &Ready| {
            last.key == key && last.ranges.as_ref().is_none_or(|ranges| job.feeds.iter().all(|feed| ranges.hold(feed)))
        };
        let ready = match state.last.take().filter(fits) {
            Some(last) => last,
            // The last engine and its memory are gone by now.
            None => self.prepare(state, job, key)?,
        };
        Ok(state.last.insert(ready))
    }

    fn prepare(&self, state: &mut State, job: &Job, key: u64) -> Result<Ready, RunError> {
        if let Some(plan) = &self.options.plan {
            return self.load(state, plan, job, key);
        }
        let Made { plan, ranges, seconds } =
            Build { library: &self.library, options: &self.options, job }.build(&mut state.timings)?;
        let mut session = self.open(state, &plan)?;
        let layers = read_layers(&session);
        let graph = if job.how.observe == Observe::Unfused { graph(&job.model) } else { None };
        session.observe(job.how.observe, &job.outputs, &layers, graph.as_ref())?;
        let built = Built { seconds, layers: layers.into_iter().map(told).collect() };
        Ok(Ready { key, ranges: Some(ranges), built, session })
    }

    /// A ready engine, if it is one of this model.
    fn load(&self, state: &mut State, path: &Path, job: &Job, key: u64) -> Result<Ready, RunError> {
        let refused = |reason: String| RunError::Build { backend: self.library.name(), reason };
        let session = self.open_plan(state, path)?;
        let graph =
            graph(&job.model).ok_or_else(|| refused("the model beside the engine cannot be read".to_string()))?;
        let bounds = |input: &str| shapes(&session, input, 0).map(|[min, _, max]| (min, max));
        let mismatches = bindings::mismatches(session.bindings(), &bounds, &graph, &job.feeds);
        if !mismatches.is_empty() {
            let reason = format!("{} does not fit the model: {}", path.display(), mismatches.join("; "));
            return Err(refused(reason));
        }
        let built = Built { seconds: 0.0, layers: read_layers(&session).into_iter().map(told).collect() };
        Ok(Ready { key, ranges: None, built, session })
    }

    fn open_plan(&self, state: &mut State, path: &Path) -> Result<Session, RunError> {
        let refused = |reason: String| RunError::Build { backend: self.library.name(), reason };
        let plan = std::fs::read(path).map_err(|e| refused(format!("{} cannot be read: {e}", path.display())))?;
        self.open(state, &plan).map_err(|e| match e {
            // Nothing was built here, and nothing has run yet.
            RunError::Run { reason, .. } => {
                RunError::Missing(format!("{} cannot load {}: {reason}", self.library.name(), path.display()))
            }
            other => other,
        })
    }

    fn open(&self, state: &mut State, plan: &[u8]) -> Result<Session, RunError> {
        let cuda = match &state.cuda {
            Some(cuda) => cuda.clone(),
            None => state.cuda.insert(Cuda::open(self.options.device).map_err(|e| self.cannot_run(&e))?).clone(),
        };
        let device = Device::new(cuda, &self.library);
        device.enter()?;
        Session::new(Runtime::new(&self.library)?.engine(plan)?, device)
    }

    fn cannot_run(&self, error: &CudaError) -> RunError {
        RunError::Missing(match error {
            CudaError::NoDriver if self.options.plan.is_none() => {
                format!("{error}; {} builds engines, but cannot run them", self.library.name())
            }
            CudaError::NoDriver => format!("{error}; an engine needs a GPU to run"),
            _ => error.to_string(),
        })
    }
}

impl Backend for TensorRt {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let mut state = self.state();
        let ready = self.ready(&mut state, job)?;
        let (values, seconds) = each(job, |feed| ready.session.run(feed, &job.outputs))?;
        Ok(Answer { values, built: Some(ready.built.clone()), seconds, ..Answer::default() })
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        match question {
            // It says nothing of outputs before it has built for data.
            Question::Outputs(_) | Question::Optimised(_) | Question::Placement(_) | Question::Offers => {
                Ok(Told::Nothing)
            }
            Question::Latency { job, runs, by_node } => {
                let Some(feed) = job.feeds.first() else { return Ok(Told::Nothing) };
                let mut state = self.state();
                let ready = self.ready(&mut state, job)?;
                let runs = ready.session.latency(feed, *runs)?;
                let nodes =
                    if *by_node { times::nodes(&mut ready.session, feed, &ready.built.layers) } else { Vec::new() };
                Ok(Told::Time(Timed { runs, nodes }))
            }
            Question::Parse(job) => parse::told(&self.library, &self.options, job),
            Question::Engine => self.told_engine(),
            Question::Routes => self.told_routes(),
        }
    }
}

impl TensorRt {
    fn told_engine(&self) -> Result<Told, RunError> {
        let Some(plan) = &self.options.plan else { return Ok(Told::Nothing) };
        let session = self.open_plan(&mut self.state(), plan)?;
        Ok(Told::Engine(Engine {
            bindings: session.bindings().iter().map(|binding| known(&session, binding)).collect(),
            layers: read_layers(&session).into_iter().map(told).collect(),
            device_memory: session.engine().device_memory().map(|bytes| bytes as u64),
        }))
    }

    /// What was built elsewhere has a compiler no more.
    fn told_routes(&self) -> Result<Told, RunError> {
        if self.options.plan.is_some() || !self.library.has_build_routes() || !self.library.builds() {
            return Ok(Told::Nothing);
        }
        Builder::new(&self.library)?.config()?.build_routes().map(Told::Routes)
    }
}

/// What is known of a library before any model; `gpu` is the one that it would run on.
fn about(library: &Library, gpu: Option<String>) -> About {
    let builder = crate::run::Builder {
        rtx: library.family().is_rtx(),
        weakly_typed: library.weakly_typed(),
        strongly_typed: library.strongly_typed(),
    };
    let none = || if cuda::driver_is_present() { "no usable GPU" } else { "no NVIDIA driver" }.to_string();
    let info = BackendInfo {
        backend: if builder.rtx { "tensorrt-rtx" } else { "tensorrt" }.to_string(),
        version: library.version().to_string(),
        provider: gpu.unwrap_or_else(none),
        ..BackendInfo::default()
    };
    let listened = library.has_listener().then_some(Observe::Debug);
    let unfused = library.has_unfused().then_some(Observe::Unfused);
    About {
        builder: Some(builder),
        observes: listened.into_iter().chain(unfused).collect(),
        doubt: Doubt::Always,
        ..About::plain(info)
    }
}

/// What an engine depends on. Outputs of the model are in the model; other tensors matter where they are observed.
fn key(job: &Job) -> u64 {
    let (model, how, mut hasher) = (&job.model, &job.how, DefaultHasher::new());
    (&model.bytes, &model.folder, &how.float32, &how.route, how.observe as u8).hash(&mut hasher);
    if how.observe != Observe::Outputs {
        job.outputs.hash(&mut hasher);
    }
    hasher.finish()
}

fn graph(model: &Lean) -> Option<GraphProto> {
    ModelProto::decode(model.bytes.as_slice()).ok()?.graph
}

/// The smallest, the usual and the largest shape of a profile.
fn shapes(session: &Session, input: &str, profile: usize) -> Option<[Vec<i64>; 3]> {
    let shape = |which| session.engine().profile_shape(input, profile, which);
    Some([shape(Selector::Min)?, shape(Selector::Opt)?, shape(Selector::Max)?])
}

fn known(session: &Session, binding: &super::Binding) -> Binding {
    let super::Binding { name, input, dtype, shape, .. } = binding.clone();
    let profiles = if input { 0..session.engine().profiles() } else { 0..0 };
    Binding {
        profiles: profiles.filter_map(|profile| shapes(session, &name, profile)).collect(),
        name,
        input,
        dtype,
        shape,
    }
}

/// What the engine tells about itself: nothing, if its inspector does not.
fn read_layers(session: &Session) -> Vec<layers::Layer> {
    session.engine().information().ok().and_then(|json| layers::read(&json).ok()).unwrap_or_default()
}

fn told(layer: layers::Layer) -> Layer {
    let types = layer.outputs.into_iter().map(|port| port.format).filter(|format| !format.is_empty()).collect();
    Layer { name: layer.name, kind: layer.kind, types, nodes: layer.onnx_nodes }
}
