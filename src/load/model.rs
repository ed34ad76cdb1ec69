//! An ONNX file becomes a [`Model`] whose weights stay in their files, and a [`Model`] becomes files again.
//!
//! The trick that keeps gigabytes out of memory: every initializer of a kilobyte or more is rewritten to `external_data`
//! that names the original file and the offset of its payload there. What is left (a [`Lean`]) is some kilobytes, cheap
//! to clone, edit and hand to a backend, which maps the weights itself.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use tempfile::TempDir;

use super::places::{Links, Places};
use super::{map, too_deep};
use crate::onnx::{ModelProto, NEWEST_IR, TensorProto};
use crate::scratch;

/// A serialised model without its weights, and the folder that its `external_data` locations are relative to.
#[derive(Clone, Debug, PartialEq)]
pub struct Lean {
    /// The protobuf.
    pub bytes: Vec<u8>,
    /// Absolute.
    pub folder: PathBuf,
}

impl Lean {
    /// Does this text, an operator domain say, occur in it?
    pub fn mentions(&self, text: &str) -> bool {
        occurs(text.as_bytes(), &self.bytes)
    }
}

/// Horspool's search: most of a model is weights, and most of their bytes are in no text, so that it goes on by the whole
/// length of the text.
fn occurs(text: &[u8], bytes: &[u8]) -> bool {
    let Some(last) = text.len().checked_sub(1) else { return true };
    let mut skip = [text.len(); 256];
    text[..last].iter().enumerate().for_each(|(i, byte)| skip[usize::from(*byte)] = last - i);
    let mut end = last;
    while let Some(byte) = bytes.get(end) {
        if *byte == text[last] && bytes[end - last..=end] == *text {
            return true;
        }
        end += skip[usize::from(*byte)];
    }
    false
}

/// A model as it was loaded: a proto without large weights, and where they are.
#[derive(Clone)]
pub struct Model {
    /// As the user wrote it.
    pub path: PathBuf,
    /// Without the payloads of large initializers: these are external, relative to `folder`.
    pub proto: ModelProto,
    /// What the locations in `proto` are relative to; absolute, and UTF-8: ONNX Runtime and workers are told it as text.
    pub folder: PathBuf,
    /// What holds the link that stands for a folder whose own path is no UTF-8.
    _link: Option<Arc<TempDir>>,
    /// The mapped model file.
    pub file: Bytes,
    /// Mapped weight files by location.
    weights: HashMap<String, Bytes>,
    /// What all initializers take, those of subgraphs and in other files too; strings are not counted.
    pub initializer_bytes: u64,
    /// What the user should know: fields that layerdiff does not know and would lose.
    pub warnings: Vec<String>,
    /// What is written of it is without metadata, documentation and producer: it is for strangers.
    pub bare: bool,
}

impl Model {
    /// As [`Model::open`], with external data from the model's own folder only.
    pub fn load(path: &Path) -> anyhow::Result<Model> {
        Model::open(path, Links::Inside)
    }

    /// Maps and parses `path`; every problem is one sentence that names the file.
    pub fn open(path: &Path, links: Links) -> anyhow::Result<Model> {
        let shown = path.display();
        let file = map(path)?;
        ensure!(!file.is_empty(), "{shown} is empty; an ONNX model was expected");
        let mut proto = decode(&file, path)?;
        check_header(&proto, path)?;
        let warnings = unknown_fields(&proto, file.len(), path).into_iter().collect();
        let canonical = path.canonicalize().with_context(|| format!("cannot resolve {shown}"))?;
        let places = Places::new(&canonical, path, &proto, links)?;
        let (folder, _link) = as_text(&places.folder)?;
        let mut weights = places.map_all()?;
        weights.extend(places.own.clone().map(|own| (own, file.clone())));
        let mut initializer_bytes = 0u64;
        let mut problem = None;
        if let Some(graph) = proto.graph.as_mut() {
            graph.each_initializer_mut(&mut |t| {
                initializer_bytes += t.payload_len().unwrap_or(0) as u64;
                if let Err(e) = places.move_out(t, &file, &weights) {
                    problem.get_or_insert(e);
                }
            });
        }
        if let Some(e) = problem {
            return Err(e);
        }
        Ok(Model {
            path: path.to_path_buf(),
            proto,
            folder,
            _link,
            file,
            weights,
            initializer_bytes,
            warnings,
            bare: false,
        })
    }

    /// SHA-256 of the model file, in hexadecimal (the external data files are not part of it).
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.file).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The files beside it that hold weights, by their paths.
    pub fn weight_files(&self) -> Vec<PathBuf> {
        let own = self.file.as_ptr();
        let others = self.weights.iter().filter(|(_, bytes)| bytes.as_ptr() != own);
        let mut paths: Vec<PathBuf> = others.map(|(location, _)| self.folder.join(location)).collect();
        paths.sort();
        paths
    }

    /// The files it is read from: its own, and those of its weights.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        std::iter::once(self.path.clone()).chain(self.weight_files())
    }

    /// The same files under an edited form of this model.
    pub fn edited(&self, proto: ModelProto) -> Model {
        Model { proto, ..self.clone() }
    }

    /// `proto`, an edited form of this model, ready for a backend.
    pub fn lean(&self, proto: &ModelProto) -> Lean {
        Lean { bytes: proto.encode_to_vec(), folder: self.folder.clone() }
    }

    /// `proto`, an edited form of this model, ready to be written for whoever reads it.
    pub fn written(&self, proto: &ModelProto) -> Lean {
        if self.bare { self.lean(&proto.clone().bare()) } else { self.lean(proto) }
    }

    /// The payload of an initializer, wherever it is; `None` for typed fields and strings.
    pub fn payload(&self, t: &TensorProto) -> Option<Bytes> {
        if !t.is_external() {
            return t.raw_data.clone();
        }
        let file = self.weights.get(t.external("location")?)?;
        let start: usize = t.external("offset").unwrap_or("0").parse().ok()?;
        let end = start.checked_add(t.payload_len()?)?;
        (end <= file.len()).then(|| file.slice(start..end))
    }

    /// The initializer with its payload inline again.
    pub fn inline(&self, t: &TensorProto) -> TensorProto {
        match self.payload(t) {
            Some(raw) if t.is_external() => {
                let (data_location, external_data) = (None, Vec::new());
                TensorProto { raw_data: Some(raw), data_location, external_data, ..t.clone() }
            }
            _ => t.clone(),
        }
    }
}

fn decode(file: &Bytes, path: &Path) -> anyhow::Result<ModelProto> {
    let shown = path.display();
    match ModelProto::decode(file.clone()) {
        Ok(proto) => Ok(proto),
        Err(e) if too_deep(&e) => bail!(
            "{shown} is nested deeper than layerdiff reads (100 messages of protobuf, about 30 subgraphs inside each other); export it with fewer levels"
        ),
        Err(_) => bail!("{shown} is not an ONNX model or is truncated ({} bytes); export or copy it again", file.len()),
    }
}

/// The folder under a path that is UTF-8: its own, or a link to it.
fn as_text(folder: &Path) -> anyhow::Result<(PathBuf, Option<Arc<TempDir>>)> {
    if folder.to_str().is_some() {
        return Ok((folder.to_path_buf(), None));
    }
    let failed = || format!("cannot make a link to {}, whose name is no UTF-8; rename the folder", folder.display());
    let home = scratch::folder().with_context(failed)?;
    let link = home.path().join("model");
    ensure!(link.to_str().is_some(), "{}: neither it nor TMPDIR is UTF-8; set another TMPDIR", folder.display());
    link_to(folder, &link).with_context(failed)?;
    Ok((link, Some(Arc::new(home))))
}

#[cfg(unix)]
fn link_to(folder: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(folder, link)
}

#[cfg(not(unix))]
fn link_to(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn check_header(proto: &ModelProto, path: &Path) -> anyhow::Result<()> {
    let shown = path.display();
    // Random bytes can parse as a message without any known field.
    let empty = proto.graph.as_ref().is_none_or(|g| g.node.is_empty() && g.output.is_empty());
    ensure!(!empty || proto.ir_version.is_some(), "{shown} is not an ONNX model: it has no IR version and no graph");
    ensure!(!empty, "{shown} has no graph with nodes and outputs; nothing can be compared");
    let ir = proto.ir_version();
    ensure!(ir >= 1, "{shown} has no IR version; it is not a complete ONNX model");
    ensure!(
        ir <= NEWEST_IR,
        "{shown} has IR version {ir}, newer than {NEWEST_IR}, the newest that layerdiff reads; convert it with onnx.version_converter or save it with an older onnx"
    );
    Ok(())
}

fn unknown_fields(proto: &ModelProto, file_len: usize, path: &Path) -> Option<String> {
    let known = proto.encoded_len();
    (known < file_len).then(|| {
        let lost = file_len - known;
        format!(
            "{} has about {lost} bytes in fields that layerdiff does not know; models it writes lack them",
            path.display()
        )
    })
}
