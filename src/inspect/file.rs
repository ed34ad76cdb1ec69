//! The file that is inspected: an ONNX model, damaged or incomplete ones too, an engine, or data. Maps files; judges nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use prost::Message;

use super::arrays;
use crate::graph::Graph;
use crate::load::places::Search;
use crate::load::testset::tensor_from_proto;
use crate::load::{Links, Model, map, samples};
use crate::onnx::{GraphProto, ModelProto, TensorProto};
use crate::tensor::{Tensor, Tensors};

/// What the file is.
pub enum File {
    /// An ONNX model.
    Model(Box<Source>),
    /// A TensorRT engine: only TensorRT can read it.
    Engine {
        /// As the user named it.
        path: PathBuf,
        /// Of the file.
        bytes: u64,
    },
    /// Arrays by name.
    Data {
        /// As the user named it.
        path: PathBuf,
        /// By name; several where the file holds several.
        samples: Vec<Tensors>,
    },
}

/// A model as its file has it, with as much around it as can be had.
pub struct Source {
    /// As the user named it.
    pub path: PathBuf,
    /// Of the model file itself.
    pub bytes: u64,
    /// Nothing is moved out: payloads are slices of the mapped file.
    pub proto: ModelProto,
    /// What runs use, or why they would refuse it.
    pub model: Result<Model, String>,
    /// Of `proto`, or why it cannot be followed.
    pub graph: Result<Graph, String>,
    /// External data by location: the mapped file, or why not.
    pub external: HashMap<String, Result<Bytes, String>>,
}

impl File {
    /// Maps it and looks at its first bytes. An error for what is neither, and for a file that cannot be read.
    pub fn open(path: &Path, links: Links) -> anyhow::Result<File> {
        let (real, _) = samples::of_runner(path);
        let bytes = if real.is_dir() { Bytes::new() } else { map(&real)? };
        // A model may be called .pb as well.
        let model = || ModelProto::decode(bytes.clone()).is_ok_and(|m| is_model(&m));
        if real.is_dir() || (arrays::is_data(&real, &bytes) && !model()) {
            return Ok(File::Data { path: path.to_path_buf(), samples: arrays::read(path)? });
        }
        if is_engine(path, &bytes) {
            return Ok(File::Engine { path: path.to_path_buf(), bytes: bytes.len() as u64 });
        }
        let model = Model::open(path, links);
        let proto = ModelProto::decode(bytes.clone()).ok().filter(is_model);
        let (Some(proto), model) = (proto, model) else { return Err(not_a_model(path)) };
        let graph = Graph::new(&proto).map_err(|e| format!("{e:#}"));
        let external = external(path, &proto, links);
        let model = model.map_err(|e| format!("{e:#}"));
        let source = Source { path: path.to_path_buf(), bytes: bytes.len() as u64, proto, model, graph, external };
        Ok(File::Model(Box::new(source)))
    }
}

impl File {
    /// Of data, which does not run.
    pub fn samples(&self) -> Option<&[Tensors]> {
        if let File::Data { samples, .. } = self { Some(samples) } else { None }
    }
}

impl Source {
    /// The main graph.
    pub fn main(&self) -> Option<&GraphProto> {
        self.proto.graph.as_ref()
    }

    /// An initializer's value, without a copy wherever it lies in a file as it is in memory.
    pub fn value(&self, t: &TensorProto) -> Option<Tensor> {
        if !t.is_external() {
            return tensor_from_proto(t).ok();
        }
        let file = self.external.get(t.external("location")?)?.as_ref().ok()?;
        let start: usize = t.external("offset").unwrap_or("0").parse().ok()?;
        let end = start.checked_add(t.payload_len()?).filter(|end| *end <= file.len())?;
        let shape: Option<Vec<usize>> = t.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
        Tensor::new(t.dtype()?, shape?, file.slice(start..end)).ok()
    }
}

/// By what it begins with (`vtrt`, `ftrt`, ...), else by its name, if it is no model.
fn is_engine(path: &Path, bytes: &Bytes) -> bool {
    let called = path.extension().and_then(|e| e.to_str()).is_some_and(|e| matches!(e, "plan" | "engine" | "trt"));
    bytes.get(1..4) == Some(b"trt") || (called && !ModelProto::decode(bytes.clone()).is_ok_and(|m| is_model(&m)))
}

/// Random bytes can parse as a message without any known field.
fn is_model(proto: &ModelProto) -> bool {
    proto.ir_version() >= 1 && proto.graph.as_ref().is_some_and(|g| !g.node.is_empty() || !g.output.is_empty())
}

/// The sentence that every other command has for it.
fn not_a_model(path: &Path) -> anyhow::Error {
    let why = Model::load(path).err();
    why.unwrap_or_else(|| anyhow::anyhow!("{} is neither an ONNX model nor a TensorRT engine", path.display()))
}

fn external(path: &Path, proto: &ModelProto, links: Links) -> HashMap<String, Result<Bytes, String>> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let search = Search::new(&real, path, links);
    let mapped = |location: &str| map(&search.resolve(location)?).map_err(|e| format!("{e:#}"));
    let mut files: HashMap<String, Result<Bytes, String>> = HashMap::new();
    if let Some(graph) = &proto.graph {
        graph.each_initializer(&mut |t| {
            let location = t.external("location").unwrap_or_default();
            if t.is_external() && !files.contains_key(location) {
                files.insert(location.to_string(), mapped(location));
            }
        });
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_are_known_by_content_then_by_name() {
        let model = crate::onnx::ModelProto {
            ir_version: Some(8),
            graph: Some(GraphProto { output: vec![crate::onnx::ValueInfoProto::bare("y")], ..Default::default() }),
            ..Default::default()
        };
        let model = Bytes::from(model.encode_to_vec());
        let check = |name: &str, bytes: &Bytes, want| assert_eq!(is_engine(Path::new(name), bytes), want, "{name}");
        check("a.onnx", &Bytes::from_static(b"vtrt\0\0"), true);
        check("a.engine", &Bytes::from_static(b"whatever"), true);
        check("a.engine", &model, false);
        check("a.onnx", &model, false);
        check("a.bin", &Bytes::from_static(b"whatever"), false);
    }
}
