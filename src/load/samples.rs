//! Feeds from whatever file the user has, and whether they fit the model's inputs. One `Tensors` is one sample.
//! Knows the formats' modules, no backend; nothing is cast or renamed to make it fit.

mod check;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::{map, members, npy, npz, polygraphy, raw, safetensors, testset, trtexec};
use crate::files;
use crate::tensor::{Tensor, Tensors};

pub(super) use check::{Bound, fit, no_such_input};
pub use check::{Dim, InputSpec, check};

/// The samples in `path`: a folder of test data, .npz, .npy, .pb, .safetensors, the JSON of
/// Polygraphy or trtexec, a list of raw files; or the arrays of one sample as
/// `NAME=FILE.npy[,NAME=FILE.npy]...`. `names` are the model's inputs, in order: they name what names itself not. What is
/// packed may take `most` bytes unpacked.
pub fn read(path: &Path, names: &[String], most: u64) -> anyhow::Result<Vec<Tensors>> {
    match kind(path)? {
        Kind::Folder => testset::read_inputs(path, names),
        Kind::Json => polygraphy::read_inputs(path),
        Kind::Npz => Ok(vec![npz::read_within(path, most)?]),
        Kind::Npy | Kind::Pb => only(path, names, "input"),
        Kind::Files => Ok(vec![by_name(path)?]),
        Kind::Trtexec | Kind::Safetensors | Kind::List => Ok(vec![of_one_run(path)?]),
    }
}

/// The stored outputs in `path`, one `Tensors` per sample: a folder, or a file as [`read`] takes it; `FILE@RUNNER` where several of
/// Polygraphy's runners stored theirs in one.
/// `names` are the model's outputs, in order: they name what names itself not. What is packed may take `most` bytes.
pub fn read_outputs(path: &Path, names: &[String], most: u64) -> anyhow::Result<Vec<Tensors>> {
    let (path, runner) = of_runner(path);
    let (path, runner) = (path.as_path(), runner.as_deref());
    match kind(path)? {
        Kind::Folder => of_folder(path, runner, names, most),
        Kind::Json => polygraphy::read_outputs(path, runner),
        _ if runner.is_some() => {
            bail!("{} is no file of Polygraphy's results, and has no runners; leave the @ out", path.display())
        }
        Kind::Npz => Ok(vec![npz::read_within(path, most)?]),
        Kind::Npy | Kind::Pb => only(path, names, "output"),
        Kind::Files => Ok(vec![by_name(path)?]),
        Kind::Trtexec | Kind::Safetensors | Kind::List => Ok(vec![of_one_run(path)?]),
    }
}

/// A file or folder and, behind the last `@`, the runner that is meant in it; all of it where something has that name.
pub fn of_runner(path: &Path) -> (PathBuf, Option<String>) {
    let text = path.as_os_str();
    let whole = || (path.to_path_buf(), None);
    let Some(at) = text.as_encoded_bytes().iter().rposition(|b| *b == b'@').filter(|_| !path.exists()) else {
        return whole();
    };
    let file = PathBuf::from(files::part(text, 0..at));
    match files::part(text, at + 1..text.len()).into_string() {
        Ok(runner) if file.exists() => (file, Some(runner)),
        _ => whole(),
    }
}

/// What has the tensors of one run in it, each with its name.
fn of_one_run(path: &Path) -> anyhow::Result<Tensors> {
    match kind(path)? {
        Kind::Trtexec => trtexec::parse(&map(path)?, path),
        Kind::Safetensors => safetensors::parse(&map(path)?).with_context(|| path.display().to_string()),
        _ => raw::read_list(path),
    }
}

/// Writes tensors as the ending says: `.safetensors`, `.json` (Polygraphy's results), `.txt` (a list of raw files beside it), else
/// .npz.
pub fn write(path: &Path, tensors: &Tensors) -> anyhow::Result<()> {
    match path.extension().and_then(|e| e.to_str()).unwrap_or_default() {
        "safetensors" => safetensors::write(path, tensors).with_context(|| path.display().to_string()),
        "json" => polygraphy::write_outputs(path, "layerdiff", std::slice::from_ref(tensors)),
        "txt" => raw::write_list(path, tensors),
        _ => npz::write(path, tensors),
    }
}

/// A test data set, or a file of outputs for each sample.
fn of_folder(path: &Path, runner: Option<&str>, names: &[String], most: u64) -> anyhow::Result<Vec<Tensors>> {
    let files = members::members(path)?;
    if files == [path] {
        return testset::read_outputs(path, names);
    }
    let read = |file: &PathBuf| match runner.filter(|_| kind(file).is_ok_and(|kind| kind == Kind::Json)) {
        Some(runner) => polygraphy::read_outputs(file, Some(runner)),
        None => read_outputs(file, names, most),
    };
    let all = files.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().collect())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Folder,
    Npz,
    Npy,
    /// Polygraphy's.
    Json,
    /// What `trtexec --exportOutput` writes.
    Trtexec,
    Safetensors,
    /// Of raw files.
    List,
    Pb,
    /// `NAME=FILE,...`
    Files,
}

/// By the name's ending; by the first bytes where that says nothing.
fn kind(path: &Path) -> anyhow::Result<Kind> {
    if path.is_dir() {
        return Ok(Kind::Folder);
    }
    if !named_files(path).is_empty() {
        return Ok(Kind::Files);
    }
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    let by_name = match ending.as_str() {
        "npz" => Some(Kind::Npz),
        "npy" => Some(Kind::Npy),
        "safetensors" => Some(Kind::Safetensors),
        "pb" => Some(Kind::Pb),
        _ => None,
    };
    if let Some(kind) = by_name {
        return Ok(kind);
    }
    let bytes = map(path)?;
    match bytes.iter().find(|c| !c.is_ascii_whitespace()) {
        _ if bytes.starts_with(b"\x93NUMPY") => Ok(Kind::Npy),
        _ if bytes.starts_with(b"PK") => Ok(Kind::Npz),
        _ if trtexec::is_export(&bytes) => Ok(Kind::Trtexec),
        _ if ending == "json" => Ok(Kind::Json),
        Some(b'[' | b'{') => Ok(Kind::Json),
        _ if safetensors::begins(&bytes) => Ok(Kind::Safetensors),
        _ if raw::is_list(&bytes) => Ok(Kind::List),
        _ => bail!(
            "{} is no file of tensors; give .npz, .npy, .pb, .safetensors, the JSON of Polygraphy or trtexec, a test_data_set folder, or a list of raw files with lines NAME DTYPE SHAPE FILE",
            path.display()
        ),
    }
}

/// The pairs of `NAME=FILE,...`; none if a file has just this name or a part is no such pair. A file's name may be no UTF-8.
fn named_files(path: &Path) -> Vec<(String, PathBuf)> {
    if path.exists() {
        return Vec::new();
    }
    let text = path.as_os_str();
    let mut pairs = Vec::new();
    let mut start = 0;
    for pair in text.as_encoded_bytes().split(|b| *b == b',') {
        let end = start + pair.len();
        let Some(at) = pair.iter().rposition(|b| *b == b'=') else { return Vec::new() };
        let Ok(name) = files::part(text, start..start + at).into_string() else { return Vec::new() };
        pairs.push((name, files::part(text, start + at + 1..end).into()));
        start = end + 1;
    }
    pairs
}

/// The arrays of `NAME=FILE,...` under these names.
fn by_name(path: &Path) -> anyhow::Result<Tensors> {
    named_files(path).into_iter().map(|(name, file)| Ok((name, one(&file)?.1))).collect()
}

/// The array of a .npy or .pb, and its own name if it has one.
fn one(path: &Path) -> anyhow::Result<(Option<String>, Tensor)> {
    match kind(path)? {
        Kind::Npy => Ok((None, npy::parse(map(path)?).with_context(|| path.display().to_string())?)),
        Kind::Pb => testset::read_tensor(path),
        _ => bail!("{} is neither .npy nor .pb; give one array by name", path.display()),
    }
}

/// The one array of `path` as a sample, under its own name or the only one of `names`.
fn only(path: &Path, names: &[String], what: &str) -> anyhow::Result<Vec<Tensors>> {
    let (own, tensor) = one(path)?;
    let name = match (own, names) {
        (Some(name), _) => name,
        (None, [name]) => name.clone(),
        (None, _) => {
            let shown = path.display();
            ensure!(!names.is_empty(), "{shown} holds one array without a name; save it by name in an .npz");
            bail!(
                "{shown} holds one array, but the model has the {what}s {}; write NAME={shown} or save an .npz",
                check::list(names.iter().map(String::as_str))
            )
        }
    };
    Ok(vec![Tensors::from([(name, tensor)])])
}

#[cfg(test)]
mod tests;
