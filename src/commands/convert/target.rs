//! Where the converted model goes: a place that can be written and is no file that is read, which is said before any work.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use prost::Message;

use super::weight_bytes;
use crate::files;
use crate::load::own::same_file;
use crate::load::{Lean, Model, materialise};
use crate::onnx::{EXTERNAL, ModelProto, StringStringEntryProto, TensorProto};

/// Converted weights of more than this are written to a file before the model is: protobuf messages end at 2 GiB.
const INLINE: u64 = 1 << 30;

/// The file that is written, and where its weights go.
pub struct Target {
    /// As the user wrote it.
    pub path: PathBuf,
    folder: PathBuf,
    name: OsString,
    /// Weights of a large model go here.
    data: PathBuf,
}

impl Target {
    /// An error where nothing can be written there, or where the model itself would be written over.
    pub fn new(path: PathBuf, model: &Model) -> anyhow::Result<Target> {
        let shown = path.display();
        let failed = || format!("cannot write {shown}; name another place with -o");
        ensure!(!path.is_dir(), "{shown} is a folder; name the file to write with -o");
        let name = path.file_name().with_context(failed)?.to_os_string();
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        ensure!(folder.is_dir(), "cannot write {shown}: there is no folder {}; make it first", folder.display());
        let folder = folder.canonicalize().with_context(failed)?;
        // A location in the model is text, whatever bytes the file's name is of.
        let data = folder.join(format!("{}.data", name.to_string_lossy()));
        for place in [&path, &data] {
            // A rename would put a file in the place of a device or a pipe.
            files::ensure_writable(place)?;
            if let Some(read) = model.files().find(|read| same_file(read, place)) {
                match place == &path {
                    true => bail!(
                        "{shown} is the file {} itself, which is read; name another place with -o",
                        read.display()
                    ),
                    false => bail!(
                        "weights beside {shown} would be written over {}, which is read; name another place with -o",
                        read.display()
                    ),
                }
            }
        }
        // Permission and space are asked of the system.
        drop(work(&folder).with_context(failed)?);
        Ok(Target { folder, name, data, path })
    }

    /// Writes into a folder beside the target, then renames: nobody sees half a model.
    pub fn write(&self, model: &Model, converted: &ModelProto) -> anyhow::Result<()> {
        let failed = || format!("cannot write {}; name another place with -o", self.path.display());
        let work = work(&self.folder).with_context(failed)?;
        let lean = lean(model, converted, work.path()).with_context(failed)?;
        let written = materialise::write_model(&lean, work.path()).with_context(failed)?;
        let data = work.path().join("model.onnx.data");
        if data.is_file() {
            let beside = self.data.file_name().unwrap_or_default().to_string_lossy().into_owned();
            relocate(&written, &beside).with_context(failed)?;
            fs::rename(&data, &self.data).with_context(failed)?;
        }
        fs::rename(&written, self.folder.join(&self.name)).with_context(failed)
    }
}

fn work(folder: &Path) -> std::io::Result<tempfile::TempDir> {
    tempfile::Builder::new().prefix(".convert-").tempdir_in(folder)
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
