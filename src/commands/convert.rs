//! `layerdiff convert`: a model in FP16 or BF16 with explicit Casts, beside what must stay in FP32. Asks ONNX Runtime for
//! element types, runs nothing.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use prost::Message;

use crate::cli::{ConvertArgs, GlobalArgs, Keep, Low};
use crate::files;
use crate::graph::{Graph, Node};
use crate::load::{Lean, Model, materialise};
use crate::onnx::{EXTERNAL, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto};
use crate::precision::convert::{self, Request};
use crate::probe::Survey;
use crate::run::RunError;
use crate::run::ort::{Ort, Provider, library};
use crate::steps::sides;
use crate::tensor::DType;
use crate::terminal;

/// Converted weights of more than this are written to a file before the model is: protobuf messages end at 2 GiB.
const INLINE: u64 = 1 << 30;

pub fn run(args: &ConvertArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let path = output(args);
    files::ensure_writable(&path)?;
    let model = Model::open(&args.model, global.links())?;
    let graph = sides::named(&model, Graph::new(&model.proto))?;
    let library = library::find(global.ort_library.as_deref())?;
    let ort = Ort::new(&library.path, Provider::Cpu)?;
    let survey = Survey::of(&ort, &model, &graph, &[]).map_err(|e| match e {
        RunError::Build { reason, .. } => anyhow::anyhow!("ONNX Runtime refuses {}: {reason}", args.model.display()),
        other => other.into(),
    })?;
    let met = RefCell::new(vec![false; args.keep.len()]);
    let keep = |node: &Node| {
        let mut any = false;
        for (keep, met) in args.keep.iter().zip(met.borrow_mut().iter_mut()) {
            if keep.means(node) {
                (any, *met) = (true, true);
            }
        }
        any
    };
    let low = if args.to == Low::Fp16 { DType::Float16 } else { DType::Bfloat16 };
    let request = Request { low, keep: &keep, keep_io: args.keep_io, int32_inputs: args.int32_inputs };
    let converted = convert::convert(&model, &graph, &survey.survey.types, &request)?;
    if let Some((keep, _)) = args.keep.iter().zip(met.borrow().iter()).find(|(_, met)| !**met) {
        bail!("--keep {keep} matches no node of {}; see `layerdiff compare` for the names", args.model.display());
    }
    for note in model.warnings.iter().chain(&converted.notes) {
        terminal::say(note);
    }
    write(&model, &converted.model, &path)?;
    let weights = |proto: &ModelProto| proto.graph.as_ref().map_or(0, weight_bytes);
    let (before, after) = (weights(&model.proto), weights(&converted.model));
    let nodes = model.proto.graph.as_ref().map_or(0, |g| g.nodes_in_all());
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    writeln!(out, "{}", terminal::clean(&path.display().to_string()))?;
    writeln!(
        out,
        "{nodes} nodes, {} of them in FP32; {} Casts added; weights {} -> {}",
        converted.kept.len(),
        converted.casts,
        megabytes(before),
        megabytes(after)
    )?;
    Ok(())
}

impl Keep {
    fn means(&self, node: &Node) -> bool {
        let path = || node.subgraph().map(|inside| format!("{inside}/{}", node.name));
        match self {
            Keep::Name(name) => node.name == *name || path().as_ref() == Some(name),
            Keep::Operator(op_type) => node.op_type == *op_type,
            Keep::Pattern(regex) => regex.is_match(&node.name),
        }
    }
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

/// Writes into a folder beside the target, then renames: nobody sees half a model.
fn write(model: &Model, converted: &ModelProto, path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}; name another place with -o", path.display());
    let name = path.file_name().with_context(failed)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().with_context(failed)?;
    let work = tempfile::Builder::new().prefix(".convert-").tempdir_in(&folder).with_context(failed)?;
    let lean = lean(model, converted, work.path()).with_context(failed)?;
    let written = materialise::write_model(&lean, work.path()).with_context(failed)?;
    let data = work.path().join("model.onnx.data");
    if data.is_file() {
        let beside = format!("{}.data", name.to_string_lossy());
        // It may be a link to the weights of the given model, which are the user's.
        let copy = work.path().join("copy");
        fs::copy(&data, &copy).with_context(failed)?;
        relocate(&written, &beside).with_context(failed)?;
        fs::rename(&copy, folder.join(beside)).with_context(failed)?;
    }
    fs::rename(&written, folder.join(name)).with_context(failed)
}

/// `converted` without its large weights. Where converted weights are too many for one message, they go to a file in
/// `work`, and locations become relative to the root, the one folder that holds both files.
fn lean(model: &Model, converted: &ModelProto, work: &Path) -> anyhow::Result<Lean> {
    if converted.graph.as_ref().map_or(0, weight_bytes) < INLINE {
        return Ok(model.lean(converted));
    }
    let mut proto = converted.clone();
    let spilled = work.canonicalize()?.join("converted");
    let mut file = BufWriter::new(File::create(&spilled)?);
    let (mut at, mut result) = (0u64, Ok(()));
    let rooted = |path: &Path| path.strip_prefix("/").unwrap_or(path).to_string_lossy().into_owned();
    if let Some(graph) = proto.graph.as_mut() {
        graph.each_initializer_mut(&mut |t| {
            if t.is_external() {
                let location = model.folder.join(t.external("location").unwrap_or_default());
                set_location(t, &rooted(&location));
            } else if let Some(raw) = t.raw_data.take_if(|raw| raw.len() >= 1024) {
                result = std::mem::replace(&mut result, Ok(())).and_then(|()| file.write_all(&raw));
                t.external_data = vec![
                    StringStringEntryProto::new("location", rooted(&spilled)),
                    StringStringEntryProto::new("offset", at.to_string()),
                    StringStringEntryProto::new("length", raw.len().to_string()),
                ];
                t.data_location = Some(EXTERNAL);
                at += raw.len() as u64;
            }
        });
    }
    result?;
    file.flush()?;
    Ok(Lean { bytes: proto.encode_to_vec(), folder: PathBuf::from("/") })
}

fn set_location(t: &mut TensorProto, location: &str) {
    for entry in t.external_data.iter_mut().filter(|e| e.key() == "location") {
        entry.value = Some(location.to_string());
    }
}

/// Makes the model at `path` look for its weights in `location`.
fn relocate(path: &Path, location: &str) -> anyhow::Result<()> {
    let mut proto = ModelProto::decode(Bytes::from(fs::read(path)?)).context("the converted model is damaged")?;
    if let Some(graph) = proto.graph.as_mut() {
        graph.each_initializer_mut(&mut |t| set_location(t, location));
    }
    Ok(fs::write(path, proto.encode_to_vec())?)
}
