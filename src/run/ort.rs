//! ONNX Runtime, in this process: the reference, and every candidate that lives in the same library.
//!
//! Graph optimisation is off, so that marking a tensor changes nothing (measured: exactly nothing), and prepacking is off,
//! so that weights stay mapped. Both hold for the reference and for the candidate.

mod capi;
mod cuda;
mod held;
pub mod known;
pub mod library;
pub mod operators;
mod optimised;
mod options;
mod placed;
mod provider;
mod reason;
mod round;
pub mod runtime;
mod session;
mod sums;
mod time;
mod value;
mod watch;

pub use provider::Provider;
pub use runtime::{Opened, Runtime};
pub use session::Session;

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ort::ErrorCode;
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use held::Held;
use reason::{Words, one_line};
use watch::Watch;

use super::cuda::compare::Comparer;
use super::cuda::{Cuda, CudaError};
use super::job;
use super::{About, Answer, Backend, Doubt, Job, Level, Question, RunError, SessionOptions, Told};
use crate::found::BackendInfo;
use crate::interrupt;
use crate::load::Lean;
use crate::precision::ROUND_DOMAIN;
use crate::tensor::Tensors;

/// ONNX Runtime with one execution provider.
pub struct Ort {
    environment: Environment,
    /// The file that was loaded.
    library: PathBuf,
    provider: Provider,
    /// Of a plug-in: its providers, by the runtime's names.
    plugs: Vec<String>,
    about: About,
    /// How its failures are told.
    words: Words,
    /// What compares on the GPU, from the first comparison on, or why nothing can.
    comparer: OnceLock<Result<Arc<Comparer>, String>>,
    /// The last session, while the same is asked for again.
    held: Held,
}

/// What ONNX Runtime says of a model that it is asked to load.
#[derive(Clone, Debug, PartialEq)]
pub enum Loads {
    /// It builds a session of it.
    Yes,
    /// The model is right, but the provider has no kernel for one of its nodes: which.
    NoKernel(String),
    /// It builds none, and not for lack of a kernel: its words.
    Refused(String),
}

/// Why no session was built.
enum Failure {
    /// By ONNX Runtime.
    Refused(ort::Error),
    /// By ourselves.
    Told(RunError),
}

impl From<ort::Error> for Failure {
    fn from(e: ort::Error) -> Failure {
        Failure::Refused(e)
    }
}

impl From<RunError> for Failure {
    fn from(e: RunError) -> Failure {
        Failure::Told(e)
    }
}

/// One environment a process: ONNX Runtime has no more.
static ENVIRONMENT: Mutex<Option<(Environment, PathBuf)>> = Mutex::new(None);

/// The entry that turns optimizers off, by their names.
const WITHOUT: &str = "optimization.disable_specified_optimizers";

/// Why a session is not built whose description cannot be read.
const IMPOSSIBLE: &str = "an output would have a dimension below zero (a kernel larger than its input, for one)";

/// Has a session with the rounding operator been built, and one with custom operators (or without any in the process)?
static KNOWN: Mutex<(bool, bool)> = Mutex::new((false, false));

impl Ort {
    /// Loads `library` (once a process: a second, different library is refused) and looks for the provider.
    pub fn new(library: &Path, provider: Provider) -> Result<Ort, RunError> {
        // What has no file of its own is asked for below, before anything is loaded for it.
        let beside = provider.name().is_some_and(|name| library::has_provider(library, name));
        let preload = provider.is_on_cuda() && (beside || matches!(provider, Provider::Cuda { .. }));
        let lacks = if preload { cuda::preload(library)? } else { None };
        let mut loaded = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
        let environment = match loaded.as_ref() {
            Some((environment, path)) if path == library => environment.clone(),
            Some((_, path)) => {
                let (a, b) = (path.display(), library.display());
                return Err(RunError::Missing(format!("this process runs {a}; {b} needs a process of its own")));
            }
            None => {
                let environment = load(library)?;
                *loaded = Some((environment.clone(), library.to_path_buf()));
                environment
            }
        };
        drop(loaded);
        let (about, comparer, held) = (about(&provider, version(library)), OnceLock::new(), Held::default());
        let (library, plugs) = (library.to_path_buf(), Vec::new());
        let words = Words { lacks, whole: matches!(provider, Provider::Built(_) | Provider::Plugin { .. }) };
        let mut ort = Ort { environment, library, provider, plugs, about, words, comparer, held };
        ort.has_provider()?;
        ort.plugs = ort.register()?;
        Ok(ort)
    }

    /// Names of the devices' providers that the library offers now.
    pub fn providers(&self) -> Vec<String> {
        let mut names: Vec<String> =
            self.environment.devices().filter_map(|d| d.ep().ok().map(str::to_string)).collect();
        names.dedup();
        names
    }

    /// Names of the providers that the library was built with, as the runtime calls them.
    pub fn offered(&self) -> Vec<String> {
        capi::offered()
    }

    /// Of the library.
    pub fn version(&self) -> String {
        self.about.info.version.clone()
    }

    /// Builds a session; its weights stay in their files.
    pub fn open(&self, model: &Lean) -> Result<Session, RunError> {
        self.open_as(model, &SessionOptions::default(), Watch::Nothing)
    }

    /// The same as `options` say, watched.
    fn open_as(&self, model: &Lean, options: &SessionOptions, watch: Watch) -> Result<Session, RunError> {
        self.build_session(model, options, watch).map_err(|e| self.told(e))
    }

    /// Is a model one that it can load? Nothing is run.
    pub fn loads(&self, model: &Lean) -> Result<Loads, RunError> {
        match self.build_session(model, &SessionOptions::default(), Watch::Nothing) {
            Ok(_) => Ok(Loads::Yes),
            Err(Failure::Refused(e)) if e.code() == ErrorCode::NotImplemented => Ok(Loads::NoKernel(self.words.of(&e))),
            Err(e) => match self.told(e) {
                RunError::Build { reason, .. } => Ok(Loads::Refused(reason)),
                other => Err(other),
            },
        }
    }

    fn told(&self, failure: Failure) -> RunError {
        match failure {
            Failure::Told(e) => e,
            Failure::Refused(_) if interrupt::requested() => RunError::Interrupted,
            Failure::Refused(e) => RunError::Build { backend: self.name(), reason: self.words.of(&e) },
        }
    }

    fn build_session(&self, model: &Lean, options: &SessionOptions, watch: Watch) -> Result<Session, Failure> {
        let mut builder = watch.over(self.builder(model, options)?)?;
        let emulated = model.mentions(ROUND_DOMAIN);
        if emulated {
            let domain = round::domain()?;
            builder = builder.with_operators(domain).map_err(|e| Failure::Refused(e.into()))?;
        }
        for library in operators::libraries() {
            builder = builder.with_operator_library(library).map_err(|e| no_operators(library, &e.into()))?;
        }
        builder = self.provide(builder, &options.provider)?;
        let canceler = builder.canceler();
        let busy = interrupt::busy(move || drop(canceler.cancel()));
        // ONNX Runtime checks whether a domain of operators is known, then adds it: two first sessions at a time collide.
        let first = (emulated || !operators::libraries().is_empty())
            .then(|| KNOWN.lock().unwrap_or_else(PoisonError::into_inner))
            .filter(|known| emulated && !known.0 || !known.1);
        // The crate panics where ONNX Runtime infers a dimension below zero, as of a kernel larger than its input.
        let built = panic::catch_unwind(AssertUnwindSafe(|| builder.commit_from_memory(&model.bytes)));
        let impossible = |_| RunError::Build { backend: self.name(), reason: IMPOSSIBLE.to_string() };
        let session = built.map_err(impossible)??;
        if let Some(mut known) = first {
            *known = (known.0 || emulated, true);
        }
        drop(busy);
        Ok(Session::new(session, self.name(), self.words.clone()))
    }

    fn name(&self) -> String {
        self.provider.name().map_or("ONNX Runtime".to_string(), |name| format!("ONNX Runtime with {name}"))
    }

    fn builder(&self, model: &Lean, options: &SessionOptions) -> ort::Result<SessionBuilder> {
        let folder = model.folder.to_string_lossy();
        let level = match options.level {
            Level::Off => GraphOptimizationLevel::Disable,
            Level::Basic => GraphOptimizationLevel::Level1,
            Level::Extended => GraphOptimizationLevel::Level2,
            Level::All => GraphOptimizationLevel::All,
        };
        let mut builder = SessionBuilder::new(&self.environment)?
            .with_log_level(LogLevel::Fatal)?
            .with_optimization_level(level)?
            .with_prepacking(options.prepack)?
            .with_intra_op_spinning(false)?
            .with_config_entry("session.model_external_initializers_file_folder_path", folder)?;
        if !options.without.is_empty() {
            builder = builder.with_config_entry(WITHOUT, options.without.join(";"))?;
        }
        for (key, value) in &options.entries {
            builder = builder.with_config_entry(key, value)?;
        }
        Ok(builder)
    }
}

impl Backend for Ort {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let mut session = match self.held.take(job) {
            Some(session) => session,
            None => self.open_as(&job.model, &job.how.session, Watch::Nothing)?,
        };
        let answer = self.run_in(&mut session, job)?;
        self.held.keep(job, session);
        Ok(answer)
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        Ok(match question {
            Question::Outputs(job) => Told::Outputs(self.open(&job.model)?.outputs),
            Question::Latency { job, runs, by_node } => {
                time::time(self, job, *runs, *by_node)?.map_or(Told::Nothing, Told::Time)
            }
            Question::Optimised(job) => Told::Optimised(optimised::optimised(self, job)?),
            Question::Placement(job) => placed::placement(self, job)?.map_or(Told::Nothing, Told::Placement),
            Question::Offers => Told::Offers(self.offered()),
            Question::Parse(_) | Question::Engine | Question::Routes => Told::Nothing,
        })
    }
}

impl Ort {
    fn run_in(&self, session: &mut Session, job: &Job) -> Result<Answer, RunError> {
        let Job { feeds, outputs, .. } = job;
        let (against, comparer) = match job.against.as_ref().map(|against| (against, self.comparer())) {
            Some((against, Ok(comparer))) => (against, comparer),
            plain => {
                let (values, seconds) = job::each(job, |feed| session.run(feed, outputs))?;
                let unjudged = plain.and_then(|(_, no)| no.err()?);
                return Ok(Answer { values, unjudged, seconds, ..Answer::default() });
            }
        };
        let mut answer = Answer::default();
        let nothing = (Tensors::new(), HashMap::new());
        for (sample, feed) in feeds.iter().enumerate() {
            let reference = against.reference.get(sample).unwrap_or(&nothing.0);
            let tolerance = against.tolerance.get(sample).unwrap_or(&nothing.1);
            let (values, judged) = session.run_bound(feed, outputs, reference, tolerance, &comparer)?;
            answer.values.push(values);
            answer.judged.push(judged);
        }
        Ok(answer)
    }
}

/// What is known of the provider before any model.
fn about(provider: &Provider, version: String) -> About {
    let words = match (provider.name(), provider) {
        (None, _) => "CPUExecutionProvider".to_string(),
        (Some(name), Provider::Plugin { .. }) => name.to_string(),
        (Some(name), _) => format!("{name} (built in)"),
    };
    let info = BackendInfo { backend: "onnxruntime".to_string(), version, provider: words, ..Default::default() };
    About {
        compares: matches!(provider, Provider::Cuda { .. }),
        tf32: provider.tf32(),
        doubt: if *provider == Provider::Cpu { Doubt::Never } else { Doubt::Always },
        ..About::plain(info)
    }
}

impl Ort {
    /// What compares on the GPU that the provider runs on. Where there is one and nothing can compare on it: why.
    fn comparer(&self) -> Result<Arc<Comparer>, Option<String>> {
        let Provider::Cuda { device, .. } = self.provider else { return Err(None) };
        let open = || Ok(Arc::new(Comparer::new(&Cuda::open(device)?)?));
        self.comparer.get_or_init(|| open().map_err(|e: CudaError| e.to_string())).clone().map_err(Some)
    }
}

/// A library that ONNX Runtime cannot take operators from.
fn no_operators(library: &Path, e: &ort::Error) -> RunError {
    RunError::Missing(format!(
        "{} (--custom-ops) cannot be used as a library of custom operators: {}",
        library.display(),
        one_line(&e.to_string())
    ))
}

fn load(library: &Path) -> Result<Environment, RunError> {
    let refused = |reason: String| {
        RunError::Missing(format!(
            "{} cannot be used as ONNX Runtime: {}; run `layerdiff setup` for one that can",
            library.display(),
            one_line(&reason)
        ))
    };
    // Always by path: the lazy way of loading panics on a library that is too old.
    let builder = ort::init_from(library).map_err(|e| refused(e.to_string()))?;
    // Mostly it is at its lowest level; a provider that does not start tells why here only.
    let builder = builder.with_logger(Arc::new(|_, _: &str, _: &str, _: &str, text: &str| watch::hear(text)));
    let environment = builder.with_telemetry(false).build().map_err(|e| refused(e.to_string()))?;
    environment.set_log_level(LogLevel::Fatal);
    Ok(environment)
}

/// The version in the library's file name (`libonnxruntime.so.1.31.1`), or in its build information.
pub fn version(library: &Path) -> String {
    let name = library.canonicalize().unwrap_or_else(|_| library.to_path_buf());
    let name = name.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let digits = |s: &str| s.chars().all(|c| c.is_ascii_digit() || c == '.') && s.contains('.');
    let from_name = name.split_once(".so.").map(|(_, v)| v.to_string()).filter(|v| digits(v));
    from_name
        .or_else(|| {
            let rest = ort::info().split("rel-").nth(1)?;
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            Some(rest[..end].to_string()).filter(|v| digits(v))
        })
        .unwrap_or_else(|| "unknown".to_string())
}
