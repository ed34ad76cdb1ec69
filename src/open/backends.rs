//! Every backend of layerdiff, by the SPEC that asks for it: how it starts, and the libraries that it loads. A new one is an
//! arm in each of the two; what has many flags of its own has a file of its own (`engine`).

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};

use super::engine;
use crate::cli::{EngineArgs, GlobalArgs, SetArgs};
use crate::graph::Graph;
use crate::lab::Lowering;
use crate::load::Model;
use crate::names::{either, nearest};
use crate::run::exec::Exec;
use crate::run::ort::{Provider, Runtime, known, library};
use crate::run::pool::Pool;
use crate::run::saved::Saved;
use crate::run::worker::{Task, Worker};
use crate::run::{Backend, RunError, tensorrt};
use crate::spec::{Low, Place, Precision, Spec};

/// Providers that are named to a user whose word is none.
const NAMED: usize = 5;

/// What serves `spec`, and how it comes to its precision.
pub fn start(
    spec: &Spec,
    model: &Model,
    graph: &Graph,
    global: &GlobalArgs,
    args: &SetArgs,
) -> anyhow::Result<(Box<dyn Backend>, Lowering)> {
    let (low, storage) = (spec.precision.low(), spec.precision.storage());
    let outputs = || graph.outputs.iter().map(|(name, _)| name.clone()).collect::<Vec<String>>();
    Ok(match &spec.place {
        Place::Cpu => {
            ensure!(
                spec.precision == Precision::Fp32 || low.is_some(),
                "'{spec}': on the CPU {} cannot be emulated; use ort:fp16, ort:bf16 or ort:tf32, or a quantised model with ort@MODEL",
                spec.precision
            );
            let library = library::find(global.ort_library.as_deref())?;
            let other = global.ort_library.is_some() && global.ort_library == args.session.candidate_ort_library;
            let backend: Box<dyn Backend> = match other {
                true => Box::new(Worker::start(&Task::new(library.path, Provider::Cpu))?),
                false => Box::new(Runtime::start(&library.path)?),
            };
            (backend, low.map_or(Lowering::None, Lowering::Emulate))
        }
        Place::Provider(name) => {
            ensure!(
                spec.precision != Precision::Tf32 || matches!(name.as_str(), "cuda" | "tensorrt"),
                "'{spec}': TF32 is NVIDIA's; use ort-cuda:tf32 or trt:tf32, or ort:tf32 to emulate it"
            );
            let known = !matches!(spec.precision, Precision::Int8 | Precision::Fp8);
            ensure!(
                known,
                "'{spec}': layerdiff cannot make a model of {} by itself; give one with ort-{name}@MODEL",
                spec.precision
            );
            let devices = if is_cuda(spec, global) { args.engine.gpus() } else { &[0] };
            let pool = provider(name, devices, spec.precision, global)?;
            let lowering = match storage {
                Some(storage) => Lowering::Convert(storage),
                None if low == Some(Low::Tf32) && name == "cuda" => Lowering::Products,
                None => Lowering::None,
            };
            (Box::new(pool), lowering)
        }
        Place::TensorRt => engine::start(spec, &args.engine, model, graph)?,
        Place::Exec(command) => (Box::new(Exec::new(command, args.once)?), Lowering::None),
        Place::Saved(path) => (Box::new(stored(path, &outputs(), args)?), Lowering::None),
    })
}

/// Stored tensors; a shard of the inputs has the same shard of what was stored for them.
fn stored(path: &Path, outputs: &[String], args: &SetArgs) -> anyhow::Result<Saved> {
    let saved = Saved::load(path, outputs, args.memory())?;
    Ok(match args.shard.filter(|_| args.sweep.is_empty()) {
        Some(part) => saved.every(part.index - 1, part.of),
        None => saved,
    })
}

/// What is loaded for a side.
pub fn libraries(spec: &Spec, global: &GlobalArgs, args: &EngineArgs) -> Result<Vec<PathBuf>, RunError> {
    let ort = global.ort_library.as_deref();
    let mut libraries = match &spec.place {
        Place::Cpu => vec![library::find(ort)?.path],
        Place::Provider(name) => match plugin(name, global) {
            Some(plugin) => vec![library::find(ort)?.path, plugin.clone()],
            None => {
                let Ok(found) = library::find_with_provider(ort, name) else {
                    return Ok(library::every(ort)?.into_iter().map(|library| library.path).take(1).collect());
                };
                let provider = library::provider_file(&found.path, name);
                [found.path, provider].into_iter().filter(|path| path.is_file()).collect()
            }
        },
        Place::TensorRt => {
            let found = tensorrt::library::find_by(args.library_flag(), args.trt_library.as_deref())?;
            found.into_iter().flat_map(|found| [Some(found.library), found.parser]).flatten().collect()
        }
        Place::Exec(_) | Place::Saved(_) => Vec::new(),
    };
    if spec.place.is_onnx_runtime() {
        libraries.extend(global.custom_ops.iter().cloned());
    }
    Ok(libraries)
}

/// The provider `cuda` of ONNX Runtime itself; a plug-in chooses its device by itself.
pub fn is_cuda(spec: &Spec, global: &GlobalArgs) -> bool {
    matches!(&spec.place, Place::Provider(name) if name == "cuda") && plugin("cuda", global).is_none()
}

/// Workers for `ort-NAME`, of the first library that has the provider. A name that neither layerdiff nor any library knows is
/// wrong usage; a known provider that is not installed is a backend that failed.
fn provider(name: &str, devices: &[usize], precision: Precision, global: &GlobalArgs) -> anyhow::Result<Pool<Worker>> {
    let mut refused = None;
    for task in tasks(name, precision, global)? {
        match Pool::start(devices, |device| Worker::start(&task.clone().on(device))) {
            Ok(pool) => return Ok(pool),
            Err(e @ RunError::Missing(_)) => refused = refused.or(Some(e)),
            Err(e) => return Err(e.into()),
        }
    }
    let plugged = global.ep_library.iter().map(|(name, _)| name.as_str());
    let (given, plugged): (bool, Vec<&str>) = (plugin(name, global).is_some(), plugged.collect());
    match refused {
        Some(e) if given || known::by_name(name).is_some() => Err(e.into()),
        refused => bail!(unknown(name, &plugged, refused)),
    }
}

/// That nobody knows it, what may have been meant, and what there is.
fn unknown(name: &str, plugged: &[&str], refused: Option<RunError>) -> String {
    let all = plugged.iter().copied().chain(known::ALL.iter().map(|known| known.name));
    let near: Vec<String> = nearest(name, all).iter().map(|near| format!("ort-{near}")).collect();
    let near: Vec<&str> = near.iter().map(String::as_str).collect();
    let meant = if near.is_empty() { String::new() } else { format!("did you mean {}? Otherwise ", either(&near)) };
    let some: Vec<String> = known::ALL.iter().map(|known| format!("ort-{}", known.name)).take(NAMED).collect();
    let refused = refused.map_or(String::new(), |e| format!(" ({e})"));
    format!(
        "'ort-{name}': execution provider '{name}' is unknown; {meant}use {} or another of ONNX Runtime's, or name its plug-in library with --ep-library {name}=PATH{refused}",
        some.join(", ")
    )
}

/// The user's library for it, where it is a plug-in.
fn plugin<'a>(name: &str, global: &'a GlobalArgs) -> Option<&'a PathBuf> {
    let of_name = |(given, _): &&'a (String, PathBuf)| given.eq_ignore_ascii_case(name);
    global.ep_library.iter().find(of_name).map(|(_, library)| library)
}

/// What a worker process may load for `ort-NAME`: the plug-in, the build that has a file for it, or else every build, for some
/// providers are no files.
fn tasks(name: &str, precision: Precision, global: &GlobalArgs) -> anyhow::Result<Vec<Task>> {
    if let Some(plugin) = plugin(name, global) {
        ensure!(
            precision != Precision::Tf32,
            "ort-{name}:tf32: layerdiff cannot tell a plug-in provider to use TF32; leave --ep-library out"
        );
        let library = library::find(global.ort_library.as_deref())?;
        return Ok(vec![Task::new(library.path, Provider::Plugin { name: name.to_string(), library: plugin.clone() })]);
    }
    let name = known::by_name(name).map_or(name, |known| known.name);
    let flag = global.ort_library.as_deref();
    let libraries = match library::find_with_provider(flag, name) {
        Ok(library) => return Ok(vec![task(name, library.path, precision, true)]),
        Err(e) => {
            let every = library::every(flag)?;
            if every.is_empty() {
                return Err(e.into());
            }
            every
        }
    };
    Ok(libraries.into_iter().map(|library| task(name, library.path, precision, false)).collect())
}

/// What a worker loads for a provider that is built into a library; `found`: it was seen to have it, or the user says so.
fn task(name: &str, library: PathBuf, precision: Precision, found: bool) -> Task {
    match name {
        "cuda" if found => Task::new(library, Provider::Cuda { tf32: precision == Precision::Tf32, device: 0 }),
        // Its ONNX Runtime has no switch for TF32, but NVIDIA's libraries have.
        "tensorrt" if precision != Precision::Tf32 => {
            Task::new(library, Provider::Built(name.to_string())).with("NVIDIA_TF32_OVERRIDE", "0")
        }
        _ => Task::new(library, Provider::Built(name.to_string())),
    }
}
