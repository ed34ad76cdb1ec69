//! An ONNX file becomes a [`Model`] whose weights stay in their files, and a [`Model`] becomes files again.
//!
//! The trick that keeps gigabytes out of memory: every initializer of a kilobyte or more is rewritten to `external_data`
//! that names the original file and the offset of its payload there. What is left (a [`Lean`]) is some kilobytes, cheap
//! to clone, edit and hand to a backend, which maps the weights itself.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};

use super::map;
use crate::onnx::{EXTERNAL, ModelProto, NEWEST_IR, StringStringEntryProto, TensorProto};

/// Initializers smaller than this stay inline: shape inference reads them, and they cost nothing.
const INLINE_BELOW: usize = 1024;

/// A serialised model without its weights, and the folder that its `external_data` locations are relative to.
#[derive(Clone, Debug, PartialEq)]
pub struct Lean {
    pub bytes: Vec<u8>,
    pub folder: PathBuf,
}

impl Lean {
    /// Does this text, an operator domain say, occur in it?
    pub fn mentions(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }
}

/// A model as it was loaded: a proto without large weights, and where they are.
#[derive(Clone)]
pub struct Model {
    /// As the user wrote it.
    pub path: PathBuf,
    pub proto: ModelProto,
    /// What the locations in `proto` are relative to; absolute, without symbolic links.
    pub folder: PathBuf,
    /// The mapped model file.
    pub file: Bytes,
    /// Mapped weight files by location.
    weights: HashMap<String, Bytes>,
    pub initializer_bytes: u64,
    /// What the user should know: fields that layerdiff does not know and would lose.
    pub warnings: Vec<String>,
}

impl Model {
    /// Maps and parses `path`; every problem is one sentence that names the file.
    pub fn load(path: &Path) -> anyhow::Result<Model> {
        let shown = path.display();
        let file = map(path)?;
        ensure!(!file.is_empty(), "{shown} is empty; an ONNX model was expected");
        let mut proto = ModelProto::decode(file.clone()).map_err(|_| {
            anyhow::anyhow!(
                "{shown} is not an ONNX model or is truncated ({} bytes); export or copy it again",
                file.len()
            )
        })?;
        check_header(&proto, path)?;
        let warnings = unknown_fields(&proto, file.len(), path).into_iter().collect();
        let canonical = path.canonicalize().with_context(|| format!("cannot resolve {shown}"))?;
        let places = Places::new(&canonical, path, &proto)?;
        let mut weights = places.map_all()?;
        weights.insert(places.own.clone(), file.clone());
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
        let folder = places.folder;
        Ok(Model { path: path.to_path_buf(), proto, folder, file, weights, initializer_bytes, warnings })
    }

    /// SHA-256 of the model file, in hexadecimal (the external data files are not part of it).
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.file).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The files it is read from: its own, and those of its weights.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let weights = self.weights.keys().map(|location| self.folder.join(location));
        std::iter::once(self.path.clone()).chain(weights)
    }

    /// The same files under an edited form of this model.
    pub fn edited(&self, proto: ModelProto) -> Model {
        Model { proto, ..self.clone() }
    }

    /// `proto`, an edited form of this model, ready for a backend.
    pub fn lean(&self, proto: &ModelProto) -> Lean {
        Lean { bytes: proto.encode_to_vec(), folder: self.folder.clone() }
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

/// Where the payloads of a model are: locations as the model writes them, resolved to real files.
struct Places {
    /// The common folder of all files.
    folder: PathBuf,
    /// The model file itself, relative to `folder`.
    own: String,
    /// Location as written -> (relative to `folder`, real path).
    files: HashMap<String, (String, PathBuf)>,
}

impl Places {
    fn new(canonical: &Path, given: &Path, proto: &ModelProto) -> anyhow::Result<Places> {
        let home = canonical.parent().unwrap_or(Path::new("/")).to_path_buf();
        let beside = given.parent().map(Path::to_path_buf).unwrap_or_default();
        let mut real = HashMap::new();
        let mut problem = None;
        if let Some(graph) = &proto.graph {
            graph.each_initializer(&mut |t| {
                if t.is_external() && problem.is_none() {
                    let location = t.external("location").unwrap_or_default();
                    if !real.contains_key(location) {
                        match resolve(location, &beside, &home, t.name(), given) {
                            Ok(path) => drop(real.insert(location.to_string(), path)),
                            Err(e) => problem = Some(e),
                        }
                    }
                }
            });
        }
        if let Some(e) = problem {
            return Err(e);
        }
        // Caches of model hubs keep the model and its data in different folders behind links: take the folder above all.
        let mut folder = home;
        for path in real.values() {
            while !path.starts_with(&folder) {
                folder.pop();
            }
        }
        let relative = |p: &Path| p.strip_prefix(&folder).unwrap_or(p).to_string_lossy().into_owned();
        let own = relative(canonical);
        let files = real.into_iter().map(|(location, path)| (location, (relative(&path), path))).collect();
        Ok(Places { own, files, folder })
    }

    fn map_all(&self) -> anyhow::Result<HashMap<String, Bytes>> {
        self.files.values().map(|(relative, path)| Ok((relative.clone(), map(path)?))).collect()
    }

    /// Makes the payload of `t` external, or, where it is already, checks and renames its location.
    fn move_out(&self, t: &mut TensorProto, file: &Bytes, weights: &HashMap<String, Bytes>) -> anyhow::Result<()> {
        if t.is_external() {
            let Some((relative, path)) = self.files.get(t.external("location").unwrap_or_default()) else {
                bail!("initializer '{}' has external data without a location", t.name());
            };
            let size = weights.get(relative).map_or(0, Bytes::len);
            let offset: usize = t.external("offset").unwrap_or("0").parse().unwrap_or(usize::MAX);
            let fits = t.payload_len().and_then(|n| offset.checked_add(n)).is_some_and(|end| end <= size);
            ensure!(
                fits,
                "{} ends at {size} bytes, before the data of initializer '{}'; copy the file again",
                path.display(),
                t.name()
            );
            for entry in t.external_data.iter_mut().filter(|e| e.key() == "location") {
                entry.value = Some(relative.clone());
            }
            return Ok(());
        }
        let Some(raw) = t.raw_data.as_ref().filter(|raw| raw.len() >= INLINE_BELOW) else { return Ok(()) };
        let Some(want) = t.payload_len() else { return Ok(()) };
        ensure!(
            want == raw.len(),
            "initializer '{}' has {} bytes where its shape needs {want}; the model is damaged, export it again",
            t.name(),
            raw.len()
        );
        let offset = (raw.as_ptr() as usize).wrapping_sub(file.as_ptr() as usize);
        if offset.checked_add(want).is_none_or(|end| end > file.len()) {
            return Ok(()); // not a slice of the map: leave it inline
        }
        t.external_data = vec![
            StringStringEntryProto::new("location", &self.own),
            StringStringEntryProto::new("offset", offset.to_string()),
            StringStringEntryProto::new("length", want.to_string()),
        ];
        t.data_location = Some(EXTERNAL);
        t.raw_data = None;
        Ok(())
    }
}

fn resolve(location: &str, beside: &Path, home: &Path, tensor: &str, model: &Path) -> anyhow::Result<PathBuf> {
    let escapes = Path::new(location).components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir));
    ensure!(
        !escapes && !location.is_empty(),
        "initializer '{tensor}' of {} keeps its data in '{location}', which is not a path beside the model; refused",
        model.display()
    );
    let found = beside.join(location).canonicalize().or_else(|_| home.join(location).canonicalize());
    found.map_err(|_| {
        anyhow::anyhow!(
            "{} needs the external data file '{location}' (initializer '{tensor}'), which is not beside it; copy it there",
            model.display()
        )
    })
}
