//! From a SPEC to a [`Side`]: which backend serves it, which model it runs, what it cannot do yet.

use anyhow::{bail, ensure};

use crate::cli::{EngineArgs, GlobalArgs, SetArgs};
use crate::found::BackendInfo;
use crate::graph::Graph;
use crate::lab::{Lowering, Side};
use crate::load::Model;
use crate::mark::Types;
use crate::names::{either, nearest};
use crate::open::engine;
use crate::precision::Kept;
use crate::run::Backend;
use crate::run::exec::Exec;
use crate::run::ort::{Provider, Runtime, library};
use crate::run::pool::Pool;
use crate::run::saved::Saved;
use crate::run::worker::{Task, Worker};
use crate::spec::{Low, Place, Precision, Spec};

/// The side that `spec` asks for; `model` is the model under debugging, which it runs unless it names another.
pub fn side(spec: &Spec, model: &Model, global: &GlobalArgs, args: &SetArgs) -> anyhow::Result<Side> {
    let ready = spec.place == Place::TensorRt && engine::is_ready(spec);
    let model = match &spec.model {
        Some(path) if !ready => Model::open(path, global.links())?,
        _ => model.clone(),
    };
    let graph = named(&model, Graph::new(&model.proto))?;
    let (backend, lowering) = backend(spec, &model, &graph, global, args)?;
    let runs_its_file = backend.runs();
    Ok(Side {
        spec: spec.clone(),
        backend,
        model,
        graph,
        lowering,
        kept: Kept::new(),
        route: None,
        half: false,
        runs_its_file,
        types: Types::new(),
    })
}

/// An error about a model, with its file's name in front.
pub fn named<T>(model: &Model, result: anyhow::Result<T>) -> anyhow::Result<T> {
    result.map_err(|e| anyhow::anyhow!("{}: {e:#}", model.path.display()))
}

/// GPUs are named for a side that has them.
pub fn check_devices(specs: &[&Spec], global: &GlobalArgs, engine: &EngineArgs) -> anyhow::Result<()> {
    let Some(devices) = &engine.devices else { return Ok(()) };
    let sides: Vec<String> = specs.iter().map(|spec| spec.to_string()).collect();
    ensure!(
        specs.iter().any(|spec| spec.place == Place::TensorRt || is_cuda(spec, global)),
        "--devices {devices} names GPUs for ort-cuda and trt, and here runs {}; leave it out",
        sides.join(" and ")
    );
    Ok(())
}

/// The provider `cuda` of ONNX Runtime itself; a plug-in chooses its device by itself.
fn is_cuda(spec: &Spec, global: &GlobalArgs) -> bool {
    let plugin = || global.ep_library.iter().any(|(name, _)| name.eq_ignore_ascii_case("cuda"));
    matches!(&spec.place, Place::Provider(name) if name == "cuda") && !plugin()
}

/// For the report.
pub fn info(side: &Side, why: Option<String>) -> BackendInfo {
    let (info, precision) = (side.backend.info(), side.spec.precision);
    let computes = Some(precision);
    let precision = match side.lowering {
        Lowering::None | Lowering::Products => format!("{precision}{}", products(&info.provider, precision)),
        Lowering::Emulate(Low::Tf32) => format!("{precision} (emulated: products of 10-bit mantissas)"),
        Lowering::Emulate(_) => format!("{precision} (emulated: every value rounded where it is made)"),
        Lowering::Convert(_) => format!("{precision} (the model converted, with explicit Casts)"),
        Lowering::Backend(_) => format!("{precision} (chosen by the builder: weakly typed)"),
    };
    BackendInfo { spec: side.spec.to_string(), precision, computes, why, ..info }
}

/// NVIDIA's libraries may compute float32 products with mantissas of 10 bits: said, since a reference must not.
fn products(provider: &str, precision: Precision) -> &'static str {
    let nvidia = ["cuda (built in)", "tensorrt (built in)"].iter().any(|theirs| provider.starts_with(theirs));
    match precision {
        Precision::Fp32 if nvidia => " (TF32 off)",
        Precision::Tf32 if nvidia => " (TF32 on: products of 10-bit mantissas)",
        _ => "",
    }
}

/// What serves `spec`, and how it comes to its precision.
fn backend(
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
            (Box::new(Runtime::start(&library.path)?), low.map_or(Lowering::None, Lowering::Emulate))
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
        Place::Saved(path) => (Box::new(Saved::load(path, &outputs(), args.memory())?), Lowering::None),
    })
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
