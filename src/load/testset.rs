//! Tensors as ONNX's protobuf: one `TensorProto`, and the `test_data_set_N` folders that models are published with.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use prost::Message;

use super::npz::atomically;
use super::{map, npy};
use crate::onnx::TensorProto;
use crate::tensor::{DType, Tensor, Tensors};

/// The inputs of each test data set of `folder`: itself, or the `test_data_set_N` in it by number. A file that does not
/// name its tensor gets the name in its place of `names`, the model's inputs.
pub fn read_inputs(folder: &Path, names: &[String]) -> anyhow::Result<Vec<Tensors>> {
    sets(folder)?.iter().map(|set| part(set, "input_", names)).collect()
}

/// As [`read_inputs`], for the outputs, which must be there.
pub fn read_outputs(folder: &Path, names: &[String]) -> anyhow::Result<Vec<Tensors>> {
    let outputs = |set: &PathBuf| {
        let tensors = part(set, "output_", names)?;
        ensure!(!tensors.is_empty(), "{} holds no output_0.pb; name a folder with stored outputs", set.display());
        Ok(tensors)
    };
    sets(folder)?.iter().map(outputs).collect()
}

/// The tensor in one `.pb` file and the name it gives itself, if any.
pub fn read_tensor(path: &Path) -> anyhow::Result<(Option<String>, Tensor)> {
    let bytes = map(path)?;
    let parsed = || {
        ensure!(!bytes.is_empty(), "the file is empty; an ONNX TensorProto was expected");
        let Ok(proto) = TensorProto::decode(bytes) else {
            bail!("not an ONNX TensorProto, or truncated; save it with onnx.save_tensor (sequences are not supported)");
        };
        Ok((proto.name.clone().filter(|n| !n.is_empty()), tensor_from_proto(&proto)?))
    };
    parsed().with_context(|| path.display().to_string())
}

/// Writes one test data set: input_0.pb, ..., output_0.pb, ... Files of an earlier, larger set are removed.
pub fn write(folder: &Path, inputs: &Tensors, outputs: &Tensors) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (prefix, tensors) in [("input_", inputs), ("output_", outputs)] {
        let mut stale = numbered(folder, prefix, ".pb")?;
        for (i, (name, tensor)) in tensors.iter().enumerate() {
            let path = folder.join(format!("{prefix}{i}.pb"));
            stale.retain(|p| *p != path);
            let proto = tensor_to_proto(name, tensor);
            let len = proto.encoded_len();
            ensure!(len <= i32::MAX as usize, "tensor '{name}' is too large for protobuf ({len} bytes); write an .npz");
            atomically(&path, |out| Ok(std::io::Write::write_all(out, &proto.encode_to_vec())?))?;
        }
        for path in stale {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// The value of `proto`, which holds it itself: `raw_data` is shared, typed fields are copied.
pub fn tensor_from_proto(proto: &TensorProto) -> anyhow::Result<Tensor> {
    ensure!(!proto.is_external(), "its values are in another file; save the tensor without external data");
    ensure!(proto.segment.is_none(), "it is one segment of a tensor; save the tensor in one piece");
    let code = proto.data_type();
    let dtype =
        proto.dtype().with_context(|| format!("its element type has the number {code}, which is none of ONNX"))?;
    let shape: Option<Vec<usize>> = proto.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let shape = shape.filter(|dims| npy::count(dims).is_some());
    let shape = shape.with_context(|| format!("its shape {:?} makes no sense", proto.dims))?;
    if dtype == DType::String {
        return Ok(Tensor::strings(shape, strings(proto)?)?);
    }
    let bytes = match &proto.raw_data {
        Some(raw) if !raw.is_empty() => raw.clone(),
        _ => typed(proto, dtype)?,
    };
    Ok(Tensor::new(dtype, shape, bytes)?)
}

/// `tensor` as a `TensorProto` whose `raw_data` shares its bytes.
pub fn tensor_to_proto(name: &str, tensor: &Tensor) -> TensorProto {
    let string_data = tensor.as_strings().unwrap_or_default().iter().map(|s| Bytes::from(s.clone().into_bytes()));
    TensorProto {
        dims: tensor.shape.iter().map(|d| *d as i64).collect(),
        data_type: Some(tensor.dtype.onnx()),
        string_data: string_data.collect(),
        name: Some(name.to_string()),
        raw_data: tensor.shared(),
        ..Default::default()
    }
}

fn sets(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let own = numbered(folder, "input_", ".pb")?.len() + numbered(folder, "output_", ".pb")?.len();
    let sets = if own > 0 { vec![folder.to_path_buf()] } else { numbered(folder, "test_data_set_", "")? };
    let shown = folder.display();
    ensure!(!sets.is_empty(), "{shown} holds neither input_0.pb nor test_data_set_0; name a folder of test data");
    Ok(sets)
}

/// The tensors of `PREFIX0.pb`, `PREFIX1.pb`, ... under their own names, else under those of `names` by number. What ONNX itself
/// publishes goes by number alone, and some of its files have names of their own: where none of them is of the model, none counts.
fn part(set: &Path, prefix: &str, names: &[String]) -> anyhow::Result<Tensors> {
    let read = |path: PathBuf| read_tensor(&path).map(|(own, tensor)| (path, own, tensor));
    let files = numbered(set, prefix, ".pb")?.into_iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    let known = files.iter().filter_map(|(_, own, _)| own.as_ref()).any(|own| names.contains(own));
    let strangers = !known && files.len() == names.len();
    let mut tensors = Tensors::new();
    for (path, own, tensor) in files {
        let shown = path.display();
        let place = number(&path, prefix, ".pb").and_then(|n| usize::try_from(n).ok());
        let name = own.filter(|_| !strangers).or_else(|| names.get(place?).cloned());
        let name =
            name.with_context(|| format!("{shown} does not name its tensor, and the model has none in its place"))?;
        ensure!(
            !tensors.contains_key(&name),
            "{shown} is the second file with the tensor '{name}'; remove one of them"
        );
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// What is called `PREFIX<number>SUFFIX` in `folder`, by number.
fn numbered(folder: &Path, prefix: &str, suffix: &str) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let entries: Result<Vec<_>, _> = fs::read_dir(folder).with_context(unreadable)?.collect();
    let paths = entries.with_context(unreadable)?.into_iter().map(|e| e.path());
    let mut found: Vec<(u64, PathBuf)> = paths.filter_map(|p| Some((number(&p, prefix, suffix)?, p))).collect();
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

fn number(path: &Path, prefix: &str, suffix: &str) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(prefix)?.strip_suffix(suffix)?.parse().ok()
}

fn strings(proto: &TensorProto) -> anyhow::Result<Vec<String>> {
    let decoded = proto.string_data.iter().enumerate().map(|(i, bytes)| {
        let text = std::str::from_utf8(bytes).with_context(|| format!("its string {i} is not valid UTF-8"))?;
        Ok(text.to_string())
    });
    decoded.collect()
}

/// Bytes of the field that holds elements of `dtype`, by the rules of onnx.proto.
fn typed(proto: &TensorProto, dtype: DType) -> anyhow::Result<Bytes> {
    use DType::*;
    let bytes: Vec<u8> = match dtype {
        Float32 | Complex64 => proto.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Float64 | Complex128 => proto.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Int64 => proto.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Uint64 => proto.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Uint32 => integers(&proto.uint64_data, 4)?,
        // Each number is one element, or one byte of packed 4-bit or 2-bit elements.
        _ => integers(&proto.int32_data, dtype.bits().div_ceil(8))?,
    };
    Ok(bytes.into())
}

/// The `width` low bytes of every number, which must not be wider, signed or not.
fn integers<T: Copy + Into<i128>>(numbers: &[T], width: usize) -> anyhow::Result<Vec<u8>> {
    let bits = 8 * width as u32;
    let mut out = Vec::with_capacity(numbers.len() * width);
    for number in numbers {
        let number: i128 = (*number).into();
        let fits = (-(1i128 << (bits - 1))..1i128 << bits).contains(&number);
        ensure!(fits, "it holds the number {number}, which does not fit {bits} bits; save the tensor again");
        out.extend_from_slice(&number.to_le_bytes()[..width]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
