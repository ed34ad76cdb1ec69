//! `layerdiff convert`: a model in FP16 or BF16 with explicit Casts, beside what must stay in FP32. Asks ONNX Runtime for
//! element types, and whether it loads what was written; runs nothing.

mod keep;
mod target;

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;

use crate::cli::{ConvertArgs, GlobalArgs, Keep, Low};
use crate::graph::inline::{Inlined, inline};
use crate::graph::{Graph, Node};
use crate::lab::Survey;
use crate::load::Model;
use crate::onnx::{GraphProto, ModelProto, NodeProto, TensorProto};
use crate::open::sides;
use crate::precision::convert::{self, Converted, Request};
use crate::run::RunError;
use crate::run::ort::{Loads, Runtime, library};
use crate::tensor::DType;
use crate::terminal;
use target::Target;

/// `layerdiff convert`: writes the model. An error where ONNX Runtime does not load what was written; the file stays.
pub fn run(args: &ConvertArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let model = Model::open(&args.model, global.links())?;
    let target = Target::new(output(args), &model)?;
    let inlined = inline(&model.proto);
    keep::check(&args.keep, &model, inlined.as_ref())?;
    let library = library::find(global.ort_library.as_deref())?;
    let ort = Runtime::start(&library.path)?;
    let converted = converted(args, &model, inlined.as_ref(), &ort)?;
    target.write(&model, &converted.model)?;
    writeln!(out, "{}", terminal::clean(&target.path.display().to_string()))?;
    writeln!(out, "{}", summary(&model, inlined.as_ref().map_or(&model.proto, |inlined| &inlined.model), &converted))?;
    // A refusal is one sentence; what else is to be known is of a file that can be used.
    loaded(args.to, &target, &ort, out)?;
    model.warnings.iter().chain(&converted.notes).for_each(terminal::say);
    Ok(())
}

/// Where functions are called, it is their bodies that are converted: the calls are `inlined`.
fn converted(args: &ConvertArgs, model: &Model, inlined: Option<&Inlined>, ort: &Runtime) -> anyhow::Result<Converted> {
    let flat = inlined.map_or_else(|| model.clone(), |inlined| model.edited(inlined.model.clone()));
    let graph = sides::named(model, Graph::new(&model.proto))?;
    let mut survey = Survey::of(ort, model, &graph, &[]).map_err(|e| match e {
        RunError::Build { reason, .. } => anyhow::anyhow!("ONNX Runtime refuses {}: {reason}", args.model.display()),
        other => other.into(),
    })?;
    survey.survey.add_functions(ort, model)?;
    let graph = if inlined.is_some() { sides::named(model, Graph::new(&flat.proto))? } else { graph };
    let low = if args.to == Low::Fp16 { DType::Float16 } else { DType::Bfloat16 };
    let in_a_call = |node: &Node, keep: &Keep| {
        let path = node.subgraph().map_or(node.name.clone(), |inside| format!("{inside}/{}", node.name));
        inlined.is_some_and(|inlined| inlined.calls_of(&path).any(|call| keep.means_call(call)))
    };
    let keep = |node: &Node| args.keep.iter().any(|keep| keep.means(node) || in_a_call(node, keep));
    let request = Request { low, keep: &keep, keep_io: args.keep_io, int32_inputs: args.int32_inputs };
    convert::convert(&flat, &graph, &survey.survey.types, &request)
}

/// Loads what was written, and says so. A file that ONNX Runtime refuses stays, since others may take it, but is no success.
/// Its CPU provider has next to no BF16 kernels: there a model whose types were found right is one.
fn loaded(to: Low, target: &Target, ort: &Runtime, out: &mut dyn Write) -> anyhow::Result<()> {
    let written = Model::load(&target.path)?;
    let refused = |reason: String| RunError::NotLoaded { path: target.path.display().to_string(), reason };
    match ort.loads(&written.lean(&written.proto))? {
        Loads::Yes => Ok(writeln!(out, "ONNX Runtime loads it on the CPU")?),
        Loads::NoKernel(reason) if to == Low::Bf16 => {
            Ok(writeln!(out, "not for the CPU, as most BF16 models; its types are right, says ONNX Runtime: {reason}")?)
        }
        Loads::NoKernel(reason) | Loads::Refused(reason) => Err(refused(reason).into()),
    }
}

/// `whole`: the model with the bodies of its functions where they are called.
fn summary(model: &Model, whole: &ModelProto, converted: &Converted) -> String {
    let weights = |proto: &ModelProto| proto.graph.as_ref().map_or(0, weight_bytes);
    let megabytes = |proto: &ModelProto| format!("{:.1} MB", weights(proto) as f64 / 1e6);
    format!(
        "{} nodes, {} of them in FP32; {} Casts added; weights {} -> {}",
        whole.graph.as_ref().map_or(0, |g| g.nodes_in_all()),
        converted.kept.len(),
        converted.casts,
        megabytes(&model.proto),
        megabytes(&converted.model)
    )
}

fn output(args: &ConvertArgs) -> PathBuf {
    let precision = if args.to == Low::Fp16 { "fp16" } else { "bf16" };
    let mut name = args.model.file_stem().unwrap_or(OsStr::new("model")).to_os_string();
    name.push(format!(".{precision}.onnx"));
    args.output.clone().unwrap_or_else(|| PathBuf::from(name))
}

/// Bytes of all initializers and constants.
fn weight_bytes(graph: &GraphProto) -> u64 {
    let bytes = |t: &TensorProto| t.payload_len().unwrap_or(0) as u64;
    let own: u64 = graph.initializer.iter().map(bytes).sum();
    let inside = |n: &NodeProto| {
        let constant = n.attribute.iter().filter_map(|a| a.t.as_ref()).map(bytes).sum::<u64>();
        constant + n.subgraphs().map(|(_, g)| weight_bytes(g)).sum::<u64>()
    };
    own + graph.node.iter().map(inside).sum::<u64>()
}
