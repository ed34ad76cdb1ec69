//! Tensors as Hugging Face's safetensors: eight bytes of length, a JSON header of name, type, shape and place, then the bytes. What
//! is read points into the map.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::npz::atomically;
use super::too_deep;
use crate::tensor::{DType, Tensor, Tensors};

/// Types by their names in a header.
const TYPES: [(&str, DType); 15] = [
    ("F64", DType::Float64),
    ("F32", DType::Float32),
    ("F16", DType::Float16),
    ("BF16", DType::Bfloat16),
    ("I64", DType::Int64),
    ("I32", DType::Int32),
    ("I16", DType::Int16),
    ("I8", DType::Int8),
    ("U64", DType::Uint64),
    ("U32", DType::Uint32),
    ("U16", DType::Uint16),
    ("U8", DType::Uint8),
    ("BOOL", DType::Bool),
    ("F8_E4M3", DType::Float8e4m3fn),
    ("F8_E5M2", DType::Float8e5m2),
];

#[derive(Serialize, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// Not a tensor: words of whoever wrote the file.
const WORDS: &str = "__metadata__";

/// Does the file begin as one of these?
pub fn begins(bytes: &[u8]) -> bool {
    header(bytes).is_some_and(|header| header.first() == Some(&b'{'))
}

/// The tensors, in the order of the header.
pub fn parse(bytes: &Bytes) -> anyhow::Result<Tensors> {
    let header = header(bytes).context("it is no safetensors, or truncated: it ends in its header; save it again")?;
    let data = bytes.slice(8 + header.len()..);
    let fields: IndexMap<String, Value> = serde_json::from_slice(header).map_err(|e| match too_deep(&e) {
        true => anyhow::anyhow!("its header is nested deeper than 128 levels, so it is no safetensors; save it again"),
        false => anyhow::anyhow!("its header is no safetensors' ({e}); save it again"),
    })?;
    let read = |(name, field): (String, Value)| {
        let entry = serde_json::from_value(field).with_context(|| format!("tensor '{name}' in the header"))?;
        let value = tensor(&entry, &data).with_context(|| format!("tensor '{name}'"))?;
        Ok((name, value))
    };
    fields.into_iter().filter(|(name, _)| name != WORDS).map(read).collect()
}

/// The JSON in front of the data.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let len = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    bytes.get(8..)?.get(..usize::try_from(len).ok()?)
}

fn tensor(entry: &Entry, data: &Bytes) -> anyhow::Result<Tensor> {
    let Some((_, dtype)) = TYPES.iter().find(|(name, _)| *name == entry.dtype) else {
        bail!("its type '{}' is unknown; save it in a type of NumPy", entry.dtype)
    };
    let [from, to] = entry.data_offsets;
    ensure!(from <= to && to <= data.len(), "its bytes {from}..{to} are not in the file; save it again");
    Ok(Tensor::new(*dtype, entry.shape.clone(), data.slice(from..to))?)
}

/// Writes a file that safetensors' libraries read. An error for a type that they do not have.
pub fn write(path: &Path, tensors: &Tensors) -> anyhow::Result<()> {
    let mut entries: IndexMap<&String, Entry> = IndexMap::new();
    let mut at = 0;
    for (name, tensor) in tensors {
        let known = TYPES.iter().find(|(_, dtype)| *dtype == tensor.dtype);
        let (dtype, _) = known.with_context(|| format!("'{name}' is {}, which safetensors has not", tensor.dtype))?;
        let end = at + tensor.bytes().len();
        let (dtype, shape) = (dtype.to_string(), tensor.shape.clone());
        entries.insert(name, Entry { dtype, shape, data_offsets: [at, end] });
        at = end;
    }
    let mut header = serde_json::to_vec(&entries)?;
    // Data begin at a multiple of eight, so that they can be mapped.
    header.resize(header.len().next_multiple_of(8), b' ');
    atomically(path, |out| {
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        tensors.values().try_for_each(|tensor| out.write_all(tensor.bytes()))?;
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::map;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let tensors = Tensors::from_iter([
            ("a/b".to_string(), Tensor::f32(&[2, 1], &[1.0, -2.0])),
            ("mask".to_string(), Tensor::from_vec(DType::Bool, vec![3], vec![1u8, 0, 1])),
            ("id".to_string(), Tensor::i64(&[], &[7])),
        ]);
        write(&path, &tensors).unwrap();
        let bytes = map(&path).unwrap();
        assert!(begins(&bytes));
        let read = parse(&bytes).unwrap();
        assert!(read.keys().eq(tensors.keys()) && read.iter().all(|(name, value)| value.identical(&tensors[name])));
        let noted = br#"{"__metadata__": {"format": "pt"}}"#;
        let noted = [&(noted.len() as u64).to_le_bytes()[..], noted].concat();
        assert!(parse(&noted.into()).unwrap().is_empty());
        let words = Tensors::from([("s".to_string(), Tensor::strings(vec![1], vec!["x".into()]).unwrap())]);
        assert!(write(&path, &words).unwrap_err().to_string().contains("'s' is string"));
    }

    #[test]
    fn damage_is_told() {
        let check = |header: &str, data: usize, why: &str| {
            let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
            bytes.extend_from_slice(header.as_bytes());
            bytes.resize(bytes.len() + data, 0);
            let told = format!("{:#}", parse(&bytes.into()).unwrap_err());
            assert!(told.contains(why), "{told}");
        };
        check(r#"{"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}"#, 4, "bytes 0..8 are not in the file");
        check(
            r#"{"x": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}"#,
            8,
            "3 elements of float32 take 12 bytes",
        );
        check(r#"{"x": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}"#, 1, "its type 'F4' is unknown");
        check("{", 0, "no safetensors'");
        assert!(parse(&Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xff{}")).is_err());
        let told = parse(&Bytes::from_static(b"\x02\0\0\0\0\0\0\0{}")).unwrap();
        assert!(told.is_empty());
    }
}
