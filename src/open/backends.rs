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
use crate::run::ort::{Provider, Runtime, library};
use crate::run::pool::Pool;
use crate::run::saved::Saved;
use crate::run::worker::{Task, Worker};
use crate::run::{Backend, RunError, tensorrt};
use crate::spec::{Low, Place, Precision, Spec};

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
            let task = task(name, spec.precision, global)?;
            let devices = if is_cuda(spec, global) { args.engine.gpus() } else { &[0] };
            let pool = Pool::start(devices, |device| Worker::start(&task.clone().on(device)))?;
            let lowering = match storage {
                Some(storage) => Lowering::Convert(storage),
                None if low == Some(Low::Tf32) && name == "cuda" => Lowering::Products,
                None => Lowering::None,
            };
            (Box::new(pool), lowering)
        }
        Place::TensorRt => engine::start(spec, &args.engine, model, graph)?,
        Place::Exec(command) => (Box::new(Exec::new(command)?), Lowering::None),
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
        Place::Provider(name) => match global.ep_library.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some((_, plugin)) => vec![library::find(ort)?.path, plugin.clone()],
            None => {
                let library = library::find_with_provider(ort, name)?.path;
                let provider = library::provider_file(&library, name);
                vec![library, provider]
            }
        },
        Place::TensorRt => {
            let found = tensorrt::library::find(args.trt_library.as_deref())?;
            found.into_iter().flat_map(|found| [Some(found.library), found.parser]).flatten().collect()
        }
        Place::Exec(_) | Place::Saved(_) => Vec::new(),
    };
    if matches!(spec.place, Place::Cpu | Place::Provider(_)) {
        libraries.extend(global.custom_ops.iter().cloned());
    }
    Ok(libraries)
}

/// The provider `cuda` of ONNX Runtime itself; a plug-in chooses its device by itself.
pub fn is_cuda(spec: &Spec, global: &GlobalArgs) -> bool {
    let plugin = || global.ep_library.iter().any(|(name, _)| name.eq_ignore_ascii_case("cuda"));
    matches!(&spec.place, Place::Provider(name) if name == "cuda") && !plugin()
}

/// Execution providers of ONNX Runtime itself that layerdiff knows how to start.
const BUILT_IN: [&str; 3] = ["cuda", "tensorrt", "openvino"];

/// What a worker process must load for `ort-NAME`. A name that nobody knows is wrong usage; a known provider that is not
/// installed is a backend that failed.
fn task(name: &str, precision: Precision, global: &GlobalArgs) -> anyhow::Result<Task> {
    let given = global.ep_library.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, path)| path.clone());
    if let Some(plugin) = given {
        ensure!(
            precision != Precision::Tf32,
            "ort-{name}:tf32: layerdiff cannot tell a plug-in provider to use TF32; leave --ep-library out"
        );
        let library = library::find(global.ort_library.as_deref())?;
        return Ok(Task::new(library.path, Provider::Plugin { name: name.to_string(), library: plugin }));
    }
    if !BUILT_IN.contains(&name) {
        let known = global.ep_library.iter().map(|(name, _)| name.as_str()).chain(BUILT_IN);
        let known: Vec<String> = nearest(name, known).iter().map(|near| format!("ort-{near}")).collect();
        let near: Vec<&str> = known.iter().map(String::as_str).collect();
        let meant = if near.is_empty() { String::new() } else { format!("did you mean {}? Otherwise ", either(&near)) };
        bail!(
            "'ort-{name}': execution provider '{name}' is unknown; {meant}use ort-cuda, ort-tensorrt or ort-openvino, or name its plug-in library with --ep-library {name}=PATH"
        );
    }
    let library = library::find_with_provider(global.ort_library.as_deref(), name)?;
    Ok(match name {
        "cuda" => Task::new(library.path, Provider::Cuda { tf32: precision == Precision::Tf32, device: 0 }),
        // Its ONNX Runtime has no switch for TF32, but NVIDIA's libraries have.
        "tensorrt" if precision != Precision::Tf32 => {
            Task::new(library.path, Provider::Built(name.to_string())).with("NVIDIA_TF32_OVERRIDE", "0")
        }
        _ => Task::new(library.path, Provider::Built(name.to_string())),
    })
}
