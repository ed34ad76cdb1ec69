//! From a SPEC and flags to a TensorRT in a worker process: which library, which precision, which shapes.

use std::path::PathBuf;

use anyhow::ensure;

use crate::cli::EngineArgs;
use crate::files;
use crate::graph::Graph;
use crate::lab::Lowering;
use crate::load::Model;
use crate::open::named;
use crate::run::ort::library::{Env, cache_folder};
use crate::run::pool::Pool;
use crate::run::ready::Ready;
use crate::run::tensorrt::Options;
use crate::run::tensorrt::library::{self, Found};
use crate::run::worker::{Task, Worker};
use crate::run::{Backend, Builder, RunError};
use crate::spec::{Precision, Spec};

/// Files that hold a ready engine.
const ENGINES: [&str; 3] = ["plan", "engine", "trt"];

/// Does `@MODEL` name a ready engine?
pub fn is_ready(spec: &Spec) -> bool {
    let extension = spec.model.as_ref().and_then(|path| path.extension()?.to_str());
    extension.is_some_and(|e| ENGINES.contains(&e))
}

/// TensorRT, started, and how it comes to the precision of `spec`, for a model of this `graph`.
pub fn start(
    spec: &Spec,
    args: &EngineArgs,
    model: &Model,
    graph: &Graph,
) -> anyhow::Result<(Box<dyn Backend>, Lowering)> {
    let low = spec.precision.storage();
    for profile in &args.profile {
        named::input("--profile", &profile.input, &graph.inputs, model)?;
    }
    ensure!(
        low.is_some() || matches!(spec.precision, Precision::Fp32 | Precision::Tf32),
        "'{spec}': {} needs scales, which only a quantised model has; give it with trt@MODEL",
        spec.precision
    );
    let found = found(args)?;
    let mut options = options(&found, args, spec);
    options.timing_cache.as_deref().map(files::ensure_writable).transpose()?;
    if is_ready(spec) {
        ensure!(
            low.is_none(),
            "'{spec}': the precisions of a ready engine are built in; leave ':{}' out",
            spec.precision
        );
        options.plan = spec.model.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        options.plan.as_deref().map(files::open).transpose()?;
        return Ok((
            Box::new(Ready::new(pool(&options, args)?, graph.outputs.iter().map(|(name, _)| name.clone()).collect())),
            Lowering::None,
        ));
    }
    let workers = pool(&options, args)?;
    // Which precisions a builder may choose by itself is known once its library has told its version.
    let builder = workers.about().builder;
    ensure!(
        !args.strongly_typed || builder.is_none_or(|builder| builder.strongly_typed),
        "--strongly-typed: TensorRT {} has no strongly typed networks; leave it out, and the builder is left to choose",
        workers.about().info.version
    );
    let chooses = builder.is_some_and(leaves_precisions) && !args.strongly_typed;
    Ok(match low {
        Some(low) if chooses => {
            drop(workers);
            options.weak = Some(low);
            (Box::new(pool(&options, args)?), Lowering::Backend(low))
        }
        Some(low) => (Box::new(workers), Lowering::Convert(low)),
        None => (Box::new(workers), Lowering::None),
    })
}

/// TensorRT 8.6 and 10 are left to choose; TensorRT-RTX gets a model converted, in whichever version.
fn leaves_precisions(builder: Builder) -> bool {
    builder.weakly_typed && !builder.rtx
}

/// A worker for each GPU.
fn pool(options: &Options, args: &EngineArgs) -> Result<Pool<Worker>, RunError> {
    Pool::start(args.gpus(), |device| Worker::start(&Task::tensorrt(options.clone()).on(device)))
}

fn found(args: &EngineArgs) -> Result<Found, RunError> {
    library::find_by(args.library_flag(), args.trt_library.as_deref())?.ok_or_else(|| {
        RunError::Missing(
            "TensorRT was not found; name its library with --trt-library, or run `python3 -m pip install tensorrt`: see `layerdiff doctor`"
                .to_string(),
        )
    })
}

fn options(found: &Found, args: &EngineArgs, spec: &Spec) -> Options {
    Options {
        tf32: spec.precision == Precision::Tf32,
        profiles: args.profile.clone(),
        timing_cache: args.timing_cache.clone().or_else(|| timing_cache(found)),
        workspace: args.workspace,
        level: args.builder_level.map(|level| level as i32),
        ..Options::new(found)
    }
}

/// Beside layerdiff's other cached files, one for each library: builds of different versions share no timings.
fn timing_cache(found: &Found) -> Option<PathBuf> {
    let folder = cache_folder(&Env::process())?;
    let library = found.library.canonicalize().ok()?;
    Some(folder.with_file_name(format!("{}.timing", library.file_name()?.to_str()?)))
}
