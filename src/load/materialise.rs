//! A [`Lean`] becomes files that any tool can read, its weights with it. Streams: no weight is ever copied in memory.
//! The counterpart of `model`, which moves the weights out.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use bytes::Bytes;
use prost::{Message, encode_length_delimiter, length_delimiter_len};

use super::own::Copies;
use super::{Lean, map};
use crate::onnx::{EXTERNAL, ModelProto, StringStringEntryProto, TensorProto};

/// Larger models keep their weights in a second file: a protobuf message ends at 2 GiB, and many readers stop earlier.
const LARGEST_FILE: u64 = 1_500_000_000;

/// The file of the weights, beside the model.
const DATA: &str = "model.onnx.data";

/// Payloads in the second file start at multiples of this, so that tools can map them.
const ALIGNMENT: u64 = 4096;

/// Writes `dir/model.onnx`, complete; above 1.5 GB with its weights beside it in `model.onnx.data`. Gives back the path
/// of the model. No file is shared with the user's.
pub fn write_model(lean: &Lean, dir: &Path) -> anyhow::Result<PathBuf> {
    write_limited(lean, dir, None, LARGEST_FILE)
}

/// The same for one of many programs of a run. Large weights of one file are a second name for their one copy.
pub fn write_for_program(lean: &Lean, dir: &Path, copies: &Copies) -> anyhow::Result<PathBuf> {
    write_limited(lean, dir, Some(copies), LARGEST_FILE)
}

fn write_limited(lean: &Lean, dir: &Path, copies: Option<&Copies>, limit: u64) -> anyhow::Result<PathBuf> {
    let mut model = ModelProto::decode(Bytes::from(lean.bytes.clone())).context("the edited model is damaged")?;
    let path = dir.join("model.onnx");
    let weights = Weights::map(&model, &lean.folder)?;
    let total = lean.bytes.len() as u64 + weights.total;
    if total < limit {
        each_external(&mut model, |t| weights.inline(t))?;
        write_file(&path, |out| stream(model, out))?;
    } else {
        match copies.and_then(|copies| weights.link(dir, copies)) {
            Some(()) => each_external(&mut model, |t| relocate(t, None))?,
            None => write_file(&dir.join(DATA), |out| weights.pack(&mut model, out))?,
        }
        write_file(&path, |out| Ok(out.write_all(&model.encode_to_vec())?))?;
    }
    Ok(path)
}

fn write_file(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut out = BufWriter::with_capacity(1 << 16, File::create(path).with_context(failed)?);
    fill(&mut out).with_context(failed)?;
    out.flush().with_context(failed)
}

fn each_external(
    model: &mut ModelProto,
    mut f: impl FnMut(&mut TensorProto) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut result = Ok(());
    if let Some(graph) = model.graph.as_mut() {
        graph.each_initializer_mut(&mut |t| {
            if t.is_external() && result.is_ok() {
                result = f(t);
            }
        });
    }
    result
}

/// The files that a model's initializers are in, mapped, by location.
struct Weights {
    files: HashMap<String, (PathBuf, Bytes)>,
    /// Bytes of all payloads.
    total: u64,
}

impl Weights {
    fn map(model: &ModelProto, folder: &Path) -> anyhow::Result<Weights> {
        let mut external = Vec::new();
        if let Some(graph) = &model.graph {
            graph.each_initializer(&mut |t| external.extend(t.is_external().then_some(t)));
        }
        let mut weights = Weights { files: HashMap::new(), total: 0 };
        for t in external {
            let location = t.external("location").unwrap_or_default();
            if !weights.files.contains_key(location) {
                let path = folder.join(location);
                let mapped = map(&path)?;
                weights.files.insert(location.to_string(), (path, mapped));
            }
            weights.total += weights.payload(t)?.len() as u64;
        }
        Ok(weights)
    }

    fn payload(&self, t: &TensorProto) -> anyhow::Result<Bytes> {
        let location = t.external("location").unwrap_or_default();
        let (_, file) = self.files.get(location).ok_or_else(|| anyhow!("{location} is not mapped"))?;
        let offset: usize = t.external("offset").unwrap_or("0").parse().unwrap_or(usize::MAX);
        let end = t.payload_len().and_then(|n| offset.checked_add(n)).filter(|end| *end <= file.len());
        let end = end.ok_or_else(|| {
            anyhow!("the data of initializer '{}' is not all in {location}; was the file changed meanwhile?", t.name())
        })?;
        Ok(file.slice(offset..end))
    }

    fn inline(&self, t: &mut TensorProto) -> anyhow::Result<()> {
        t.raw_data = Some(self.payload(t)?);
        t.data_location = None;
        t.external_data.clear();
        Ok(())
    }

    /// All weights in one file: a second name for a copy of it costs nothing. Never for the file itself, which is the user's:
    /// what is written to one name is written to both.
    fn link(&self, dir: &Path, copies: &Copies) -> Option<()> {
        let mut files = self.files.values();
        match (files.next(), files.next()) {
            (Some((path, _)), None) => fs::hard_link(copies.of(path).ok()?, dir.join(DATA)).ok(),
            _ => None,
        }
    }

    /// Copies the payloads, one after the other.
    fn pack(&self, model: &mut ModelProto, out: &mut impl Write) -> anyhow::Result<()> {
        let mut at = 0u64;
        each_external(model, |t| {
            let payload = self.payload(t)?;
            let start = at.next_multiple_of(ALIGNMENT);
            out.write_all(&vec![0; (start - at) as usize])?;
            out.write_all(&payload)?;
            at = start + payload.len() as u64;
            relocate(t, Some(start))
        })
    }
}

/// The payload is in [`DATA`] now, at `offset` or where it was in the old file.
fn relocate(t: &mut TensorProto, offset: Option<u64>) -> anyhow::Result<()> {
    let offset = offset.map_or_else(|| t.external("offset").unwrap_or("0").to_string(), |o| o.to_string());
    let length = t.payload_len().unwrap_or(0).to_string();
    t.external_data = vec![
        StringStringEntryProto::new("location", DATA),
        StringStringEntryProto::new("offset", offset),
        StringStringEntryProto::new("length", length),
    ];
    t.data_location = Some(EXTERNAL);
    Ok(())
}

/// Protobuf keys of the fields that are streamed: number * 8 + 2, "bytes with a length before them".
const GRAPH: u8 = 7 << 3 | 2;
const INITIALIZER: u8 = 5 << 3 | 2;
const RAW_DATA: u8 = 9 << 3 | 2;

/// What prost would write, in another order of fields, without a buffer for the whole: payloads go from their map to `out`.
fn stream(mut model: ModelProto, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(mut graph) = model.graph.take() else { return Ok(out.write_all(&model.encode_to_vec())?) };
    out.write_all(&model.encode_to_vec())?;
    let tensors = std::mem::take(&mut graph.initializer);
    // A key is one byte here.
    let framed = |len: usize| 1 + length_delimiter_len(len) + len;
    let total = graph.encoded_len() + tensors.iter().map(|t| framed(t.encoded_len())).sum::<usize>();
    frame(GRAPH, total, out)?;
    out.write_all(&graph.encode_to_vec())?;
    drop(graph);
    for mut t in tensors {
        frame(INITIALIZER, t.encoded_len(), out)?;
        let raw = t.raw_data.take();
        out.write_all(&t.encode_to_vec())?;
        if let Some(raw) = raw {
            frame(RAW_DATA, raw.len(), out)?;
            out.write_all(&raw)?;
        }
    }
    Ok(())
}

fn frame(key: u8, length: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let mut head = vec![key];
    encode_length_delimiter(length, &mut head).map_err(|e| anyhow!(e))?;
    ensure!(length <= i32::MAX as usize, "a protobuf message of {length} bytes is too long");
    Ok(out.write_all(&head)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Model;
    use crate::onnx::{AttributeProto, GraphProto, NodeProto, ValueInfoProto};
    use crate::tensor::DType;

    fn weight(name: &str, floats: usize, seed: u8) -> TensorProto {
        let raw: Vec<u8> = (0..floats * 4).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
        TensorProto {
            name: Some(name.to_string()),
            dims: vec![floats as i64],
            data_type: Some(DType::Float32.onnx()),
            raw_data: Some(raw.into()),
            ..Default::default()
        }
    }

    /// Weights above and below the size that stays inline, one of them in a subgraph.
    fn model() -> ModelProto {
        let branch = GraphProto { initializer: vec![weight("inner", 700, 3)], ..Default::default() };
        let then = AttributeProto { name: Some("then_branch".to_string()), g: Some(branch), ..Default::default() };
        let graph = GraphProto {
            name: Some("g".to_string()),
            node: vec![NodeProto::new("If", "n", &["c"], &["y"]).with(then)],
            initializer: vec![weight("big", 5000, 1), weight("small", 3, 2), weight("empty", 0, 0)],
            output: vec![ValueInfoProto::bare("y")],
            ..Default::default()
        };
        ModelProto { ir_version: Some(8), graph: Some(graph), ..Default::default() }
    }

    /// `model()` as layerdiff holds it: loaded from a file, without weights.
    fn lean(dir: &Path) -> Lean {
        let path = dir.join("given.onnx");
        fs::write(&path, model().encode_to_vec()).unwrap();
        let loaded = Model::load(&path).unwrap();
        loaded.lean(&loaded.proto)
    }

    /// Loads what was written, and takes all weights inline again.
    fn read_back(path: &Path) -> ModelProto {
        let mut loaded = Model::load(path).unwrap();
        let mut proto = std::mem::take(&mut loaded.proto);
        proto.graph.as_mut().unwrap().each_initializer_mut(&mut |t| *t = loaded.inline(t));
        proto
    }

    #[test]
    fn a_small_model_becomes_one_complete_file() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lean = lean(from.path());
        assert!(lean.bytes.len() < 1000);
        let path = write_model(&lean, to.path()).unwrap();
        drop(from);
        assert!(ModelProto::decode(map(&path).unwrap()).unwrap() == model());
        assert_eq!(fs::read_dir(to.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_large_model_gets_a_link_to_a_copy_of_its_weights() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let copies = Copies::default();
        let path = write_limited(&lean(from.path()), to.path(), Some(&copies), 1000).unwrap();
        assert!(fs::metadata(&path).unwrap().len() < 1000);
        assert!(read_back(&path) == model());
        // Whoever writes to it writes to no file of the user's, and the next program gets it as it was.
        fs::write(to.path().join(DATA), "damaged").unwrap();
        assert!(read_back(&from.path().join("given.onnx")) == model());
        let next = tempfile::tempdir().unwrap();
        let path = write_limited(&lean(from.path()), next.path(), Some(&copies), 1000).unwrap();
        assert!(read_back(&path) == model());
    }

    #[test]
    fn weights_of_several_files_become_one() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut proto = model();
        proto.graph.as_mut().unwrap().each_initializer_mut(&mut |t| {
            let Some(raw) = t.raw_data.take_if(|raw| !raw.is_empty()) else { return };
            fs::write(from.path().join(t.name()), raw).unwrap();
            t.external_data = vec![StringStringEntryProto::new("location", t.name())];
            t.data_location = Some(EXTERNAL);
        });
        let lean = Lean { bytes: proto.encode_to_vec(), folder: from.path().to_path_buf() };
        let path = write_limited(&lean, to.path(), None, 1000).unwrap();
        drop(from);
        assert!(read_back(&path) == model());
        assert_eq!(fs::metadata(to.path().join(DATA)).unwrap().len(), 6 * ALIGNMENT + 2800);
    }

    #[test]
    fn weights_that_have_gone_are_named() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let lean = lean(from.path());
        fs::write(from.path().join("given.onnx"), [0; 100]).unwrap();
        let error = write_model(&lean, to.path()).unwrap_err().to_string();
        assert!(error.contains("the data of initializer") && error.contains("given.onnx"), "{error}");
        drop(from);
        let error = write_model(&lean, to.path()).unwrap_err().to_string();
        assert!(error.contains("cannot open") && error.contains("given.onnx"), "{error}");
    }
}
