//! From a SPEC to a [`Side`]: which model it runs, and what the report says of it. Which backend serves it: `backends`.

use std::sync::Arc;

use anyhow::ensure;

use super::{backends, cut, engine};
use crate::cli::{ArithmeticArgs, EngineArgs, GlobalArgs, SetArgs};
use crate::differ::{self, Renamed};
use crate::found::{BackendInfo, Note};
use crate::graph::Graph;
use crate::lab::{Lowering, Side};
use crate::load::{Model, sparse};
use crate::mark::Types;
use crate::precision::Kept;
use crate::qdq;
use crate::run::{SessionOptions, Tf32};
use crate::spec::{Accumulate, Arithmetic, Low, Place, Precision, Spec, Weights};

/// The side that `spec` asks for; `model` is the model under debugging, which it runs unless it names another.
pub fn side(spec: &Spec, model: &Model, global: &GlobalArgs, args: &SetArgs) -> anyhow::Result<Side> {
    let ready = spec.place == Place::TensorRt && engine::is_ready(spec);
    let model = match &spec.model {
        Some(path) if !ready => {
            let model = Model::open(path, global.links())?;
            match spec.place.is_onnx_runtime() {
                true => cut::runnable(model, &args.outputs, global)?.0,
                false => model,
            }
        }
        _ => model.clone(),
    };
    let graph = named(&model, Graph::new(&model.proto))?;
    let (backend, lowering) = backends::start(spec, &model, &graph, global, args)?;
    Ok(Side {
        spec: spec.clone(),
        backend: backend.into(),
        model,
        graph: graph.into(),
        lowering,
        arithmetic: Default::default(),
        kept: Kept::new(),
        half: false,
        session: SessionOptions::default(),
        deploys: None,
        deployed: None,
        types: Types::new(),
    })
}

/// The same as a candidate: the verdict comes from the session that people deploy, unless an emulation has none or the user
/// wants none.
pub fn candidate(spec: &Spec, model: &Model, global: &GlobalArgs, args: &SetArgs) -> anyhow::Result<Side> {
    let args = &SetArgs { engine: args.engine.of_candidate(), ..args.clone() };
    let side = match &args.session.candidate_ort_library {
        None => side(spec, model, global, args)?,
        Some(_) => {
            ensure!(
                spec.place.is_onnx_runtime(),
                "--candidate-ort-library is another ONNX Runtime, and '{spec}' is none; leave it out, or use ort or ort-NAME"
            );
            side(spec, model, &global_of_candidate(args, global), args)?
        }
    };
    let arithmetic = if spec.emulates_half() { args.arithmetic.arithmetic() } else { Arithmetic::default() };
    let side = Side { arithmetic, ..side };
    match has_sessions(&side) {
        true => Ok(Side { session: args.session.plain(), deploys: args.session.deployed(), ..side }),
        false => Ok(side),
    }
}

/// What every subcommand takes, as it is for the candidate.
pub fn global_of_candidate(args: &SetArgs, global: &GlobalArgs) -> GlobalArgs {
    let ort_library = args.session.candidate_ort_library.clone().or_else(|| global.ort_library.clone());
    GlobalArgs { ort_library, ..global.clone() }
}

/// Does ONNX Runtime run its files as they are?
fn has_sessions(side: &Side) -> bool {
    side.spec.place.is_onnx_runtime() && !matches!(side.lowering, Lowering::Emulate(_))
}

/// `--once` is for commands, whose runs may be dear.
pub fn check_once(args: &SetArgs, specs: &[&Spec]) -> anyhow::Result<()> {
    ensure!(
        !args.once || specs.iter().any(|spec| matches!(spec.place, Place::Exec(_))),
        "--once is for exec:, whose runs may be dear, and there is none; leave it out"
    );
    Ok(())
}

/// A candidate's file that is the model under other names is looked at under the model's: what was renamed is told.
pub fn show_renamed(reference: &Side, candidate: &mut Side) -> anyhow::Result<Option<Note>> {
    if candidate.spec.model.is_none() || !candidate.runs() || !reference.runs() {
        return Ok(None);
    }
    let [mine, theirs] =
        [reference, &*candidate].map(|side| differ::File { model: &side.model, proto: &side.model.proto, name: "" });
    let Some(Renamed { model, tensors, ends }) = differ::renamed(mine, theirs) else { return Ok(None) };
    // What is fed and read has the names of the model: then the renamed file is what runs.
    match ends.is_empty() {
        true => candidate.show(model)?,
        false => {
            candidate.graph = Arc::new(Graph::new(&model)?);
            candidate.model.proto = model;
        }
    }
    Ok(Some(Note::Renamed { tensors, ends }))
}

/// Both in the form in which they are looked at.
pub fn show(reference: &mut Side, candidate: &mut Side) -> anyhow::Result<()> {
    show_sparse(reference)?;
    show_sparse(candidate)?;
    show_integers(reference, candidate)
}

/// Sparse constants are looked at as what they stand for.
pub fn show_sparse(side: &mut Side) -> anyhow::Result<()> {
    match sparse::written_out(&side.model.proto) {
        Some(shown) if side.runs() => side.show(shown),
        _ => Ok(()),
    }
}

/// Where one side brings a quantised model of integer operators and the other one holds the floats, both are looked at as
/// floats.
pub fn show_integers(reference: &mut Side, candidate: &mut Side) -> anyhow::Result<()> {
    if [&*reference, &*candidate].iter().all(|side| side.spec.model.is_none()) {
        return Ok(());
    }
    let shown = [(&*reference, &*candidate), (&*candidate, &*reference)]
        .map(|(side, other)| qdq::reveal(&side.model.proto, &other.model.proto).filter(|_| side.runs()));
    for (side, shown) in [reference, candidate].into_iter().zip(shown) {
        if let Some(shown) = shown {
            side.show(shown)?;
        }
    }
    Ok(())
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
        specs.iter().any(|spec| spec.place == Place::TensorRt || backends::is_cuda(spec, global)),
        "--devices {devices} names GPUs for ort-cuda and trt, and here runs {}; leave it out",
        sides.join(" and ")
    );
    Ok(())
}

/// Another TensorRT is named for a candidate that runs in one.
pub fn check_library(candidate: &Spec, engine: &EngineArgs) -> anyhow::Result<()> {
    ensure!(
        engine.candidate_trt_library.is_none() || candidate.place == Place::TensorRt,
        "--candidate-trt-library is another TensorRT, and '{candidate}' runs in none; leave it out, or use trt"
    );
    Ok(())
}

/// Arithmetic is chosen for an emulation that has a choice.
pub fn check_arithmetic(specs: &[&Spec], args: &ArithmeticArgs) -> anyhow::Result<()> {
    let words = args.words();
    let sides: Vec<String> = specs.iter().map(|spec| format!("'{spec}'")).collect();
    ensure!(
        words.is_empty() || specs.iter().any(|spec| spec.emulates_half()),
        "{} is for an emulation of FP16 (ort:fp16, ort:fp16@MODEL), and {} is none; leave it out, or take that as the candidate",
        words.join(" "),
        sides.join(" or ")
    );
    Ok(())
}

/// For the report.
pub fn info(side: &Side, why: Option<String>) -> BackendInfo {
    let (info, precision) = (side.about().info.clone(), side.spec.precision);
    let computes = Some(precision);
    let precision = match side.lowering {
        Lowering::None | Lowering::Products => format!("{precision}{}", products(side.about().tf32, precision)),
        Lowering::Emulate(Low::Tf32) => format!("{precision} (emulated: products of 10-bit mantissas)"),
        Lowering::Emulate(_) => format!("{precision} (emulated: {})", emulated(side.arithmetic)),
        Lowering::Convert(_) => format!("{precision} (the model converted, with explicit Casts)"),
        Lowering::Backend(_) => format!("{precision} (chosen by the builder: weakly typed)"),
    };
    let Arithmetic { accumulate, weights } = side.arithmetic;
    let accumulate = (accumulate != Accumulate::default()).then_some(accumulate);
    let weights = (weights != Weights::default()).then_some(weights);
    BackendInfo { spec: side.spec.to_string(), precision, computes, accumulate, weights, why, ..info }
}

/// What an emulation does, in words.
fn emulated(arithmetic: Arithmetic) -> String {
    let sums = match arithmetic.accumulate {
        Accumulate::Fp32 => "",
        Accumulate::Fp16 => ", sums accumulated in FP16",
    };
    let weights = match arithmetic.weights {
        Weights::Inf => "",
        Weights::Clamp => ", weights clamped to its range",
    };
    format!("every value rounded where it is made{sums}{weights}")
}

/// NVIDIA's libraries may compute float32 products with mantissas of 10 bits: said where they were told, since a reference
/// must not.
fn products(tf32: Tf32, precision: Precision) -> &'static str {
    match (precision, tf32) {
        (Precision::Fp32, Tf32::Told) => " (TF32 off)",
        (Precision::Tf32, Tf32::Told) => " (TF32 on: products of 10-bit mantissas)",
        _ => "",
    }
}
