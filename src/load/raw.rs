//! Raw files: the bytes of a tensor and nothing else, as `trtexec --loadInputs` and many vendors' tools read and write them. What
//! they are says a list, a line each, or the model's input of that name.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::map;
use super::npz::atomically;
use super::samples::{Dim, InputSpec};
use crate::tensor::{DType, Tensor, Tensors};

/// Short names of types, as vendors write them.
const SHORT: [(&str, DType); 14] = [
    ("fp32", DType::Float32),
    ("float", DType::Float32),
    ("f32", DType::Float32),
    ("fp16", DType::Float16),
    ("half", DType::Float16),
    ("f16", DType::Float16),
    ("bf16", DType::Bfloat16),
    ("fp64", DType::Float64),
    ("double", DType::Float64),
    ("i8", DType::Int8),
    ("u8", DType::Uint8),
    ("i32", DType::Int32),
    ("int", DType::Int32),
    ("i64", DType::Int64),
];

/// A line of a list.
#[derive(Debug, PartialEq)]
struct Line<'a> {
    name: &'a str,
    dtype: DType,
    shape: Vec<usize>,
    file: &'a str,
}

/// Is this text a list, by its first line that says something?
pub fn is_list(text: &[u8]) -> bool {
    let start = String::from_utf8_lossy(&text[..text.len().min(4096)]).into_owned();
    let first = start.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line_of(line).is_some())
}

/// The tensors of a list: lines `NAME DTYPE SHAPE FILE`, as in `y float32 1x3x224x224 y.bin`; `scalar` is a shape too. Files
/// stand beside the list.
pub fn read_list(path: &Path) -> anyhow::Result<Tensors> {
    let shown = path.display();
    let bytes = map(path)?;
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{shown} is no text"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut tensors = Tensors::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(Line { name, dtype, shape, file }) = line_of(line) else {
            bail!("{shown}: line {} is not NAME DTYPE SHAPE FILE, as in 'y float32 1x10 y.bin': '{line}'", number + 1)
        };
        let file = folder.join(file);
        let tensor = Tensor::new(dtype, shape, map(&file)?).with_context(|| file.display().to_string())?;
        ensure!(tensors.insert(name.to_string(), tensor).is_none(), "{shown}: '{name}' stands there twice");
    }
    Ok(tensors)
}

/// Writes a list, and each tensor into a file of its own beside it: first those, so that a list is never of files that are not there.
pub fn write_list(path: &Path, tensors: &Tensors) -> anyhow::Result<()> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut list = String::new();
    for (number, (name, tensor)) in tensors.iter().enumerate() {
        ensure!(
            tensor.dtype != DType::String
                && !name.is_empty()
                && !name.contains(char::is_whitespace)
                && !name.starts_with('#'),
            "{}: '{name}' cannot stand in a list of raw files (texts, and names with spaces); save an .npz instead",
            path.display()
        );
        let file = format!("{stem}_{number}.bin");
        atomically(&path.with_file_name(&file), |out| Ok(out.write_all(tensor.bytes())?))?;
        let sizes: Vec<String> = tensor.shape.iter().map(usize::to_string).collect();
        let shape = if sizes.is_empty() { "scalar".to_string() } else { sizes.join("x") };
        list += &format!("{name} {} {shape} {file}\n", tensor.dtype);
    }
    atomically(path, |out| Ok(out.write_all(list.as_bytes())?))
}

fn line_of(line: &str) -> Option<Line<'_>> {
    let (name, rest) = word(line)?;
    let (dtype, rest) = word(rest)?;
    let (shape, rest) = word(rest)?;
    let file = rest.trim();
    (!file.is_empty()).then_some(Line { name, dtype: dtype_of(dtype)?, shape: shape_of(shape)?, file })
}

/// The first word, and the rest.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn dtype_of(text: &str) -> Option<DType> {
    let text = text.to_ascii_lowercase();
    let short = SHORT.iter().find(|(name, _)| *name == text).map(|(_, dtype)| *dtype);
    short.or_else(|| DType::from_name(&text)).filter(|dtype| *dtype != DType::String)
}

fn shape_of(text: &str) -> Option<Vec<usize>> {
    match text {
        "scalar" | "[]" => Some(Vec::new()),
        _ => text.trim_matches(['[', ']']).split(['x', ',']).map(|size| size.parse().ok()).collect(),
    }
}

/// The files of `NAME=FILE.bin,...`, or of trtexec's `NAME:FILE.raw,...`, where all of them are raw.
pub fn named(path: &Path) -> Option<Vec<(String, PathBuf)>> {
    if path.exists() {
        return None;
    }
    let text = path.to_str()?;
    let pair = |part: &str| {
        let (name, file) = part.rsplit_once('=').filter(|(_, file)| is_raw(file)).or_else(|| part.rsplit_once(':'))?;
        is_raw(file).then(|| (name.to_string(), PathBuf::from(file)))
    };
    text.split(',').map(pair).collect()
}

/// The raw files of a folder, as Polygraphy's `--save-input-blob` writes one for each iteration: `NAME.bin`, in folders where a
/// name has slashes. `None` where there are none, or where it is a test data set.
pub fn in_folder(folder: &Path) -> Option<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    add(folder, "", DEEPEST, &mut files)?;
    files.sort();
    (!files.is_empty()).then_some(files)
}

/// Slashes in a name of a tensor.
const DEEPEST: usize = 16;

fn add(folder: &Path, prefix: &str, deepest: usize, files: &mut Vec<(String, PathBuf)>) -> Option<()> {
    for entry in std::fs::read_dir(folder).ok()? {
        let path = entry.ok()?.path();
        let part = |name: Option<&std::ffi::OsStr>| Some(format!("{prefix}{}", name?.to_str()?));
        if path.is_dir() {
            add(&path, &format!("{}/", part(path.file_name())?), deepest.checked_sub(1)?, files)?;
        } else if is_raw(path.to_str()?) {
            files.push((part(path.file_stem())?, path));
        } else if path.extension().is_some_and(|ending| ending == "pb") {
            return None;
        }
    }
    Some(())
}

fn is_raw(file: &str) -> bool {
    let ending = Path::new(file).extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    matches!(ending.as_str(), "bin" | "raw" | "dat")
}

/// A sample of raw files, each of the type and shape of the model's input of its name.
pub fn read_inputs(files: &[(String, PathBuf)], specs: &[InputSpec]) -> anyhow::Result<Tensors> {
    let one = |(name, file): &(String, PathBuf)| {
        let spec = specs.iter().find(|spec| spec.name == *name);
        let spec = spec.ok_or_else(|| super::samples::no_such_input(name, specs))?;
        let bytes = map(file)?;
        let shape = sized(spec, bytes.len()).with_context(|| file.display().to_string())?;
        Ok((name.clone(), Tensor::new(spec.dtype, shape, bytes).with_context(|| file.display().to_string())?))
    };
    files.iter().map(one).collect()
}

/// The shape of an input of so many bytes: at most one size may be open.
fn sized(spec: &InputSpec, bytes: usize) -> anyhow::Result<Vec<usize>> {
    let name = &spec.name;
    let fixed: usize = spec.dims.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { 1 }).product();
    let open = spec.dims.iter().filter(|dim| !matches!(dim, Dim::Fixed(_))).count();
    let list = "give a list of lines NAME DTYPE SHAPE FILE instead";
    ensure!(
        open <= 1 && !spec.dims.contains(&Dim::Rest),
        "the model leaves more than one size of '{name}' open; {list}"
    );
    let unit = spec.dtype.byte_len(fixed).filter(|unit| *unit > 0);
    let whole = unit.filter(|unit| bytes.is_multiple_of(*unit) && (open == 1 || bytes == *unit));
    let (Some(unit), Some(_)) = (unit, whole) else {
        bail!("{bytes} bytes are no '{name}' of {}, as the model has it; {list}", spec.dtype)
    };
    Ok(spec.dims.iter().map(|dim| if let Dim::Fixed(n) = dim { *n } else { bytes / unit }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a b.bin"), [0u8, 0, 128, 63, 0, 0, 0, 64]).unwrap();
        std::fs::write(folder.path().join("n.bin"), [7u8, 0, 0, 0]).unwrap();
        let list = folder.path().join("list.txt");
        let read = |text: &str| {
            std::fs::write(&list, text).unwrap();
            read_list(&list).map_err(|e| format!("{e:#}"))
        };
        let text = "# of the board\n1x2 fp32 1x2 a b.bin\nn int32 scalar n.bin\n";
        assert!(is_list(text.as_bytes()) && !is_list(b"hello there, all of you") && !is_list(b""));
        let tensors = read(text).unwrap();
        assert_eq!(tensors["1x2"].view::<f32>().as_ref(), [1.0, 2.0]);
        assert_eq!((tensors["n"].view::<i32>()[0], tensors["n"].shape.len()), (7, 0));
        assert!(read("y f32 1x3 a b.bin\n").unwrap_err().contains("take 12 bytes, but there are 8"));
        assert!(read("y f32 1x2 a b.bin\ny f32\n").unwrap_err().contains("line 2 is not NAME DTYPE SHAPE FILE"));
        assert!(read("y f32 1x2 a b.bin\ny i32 1 n.bin\n").unwrap_err().contains("'y' stands there twice"));
    }

    #[test]
    fn what_is_written_as_a_list_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("made.txt");
        let tensors = Tensors::from([
            ("a/b:0".to_string(), Tensor::f32(&[1, 2], &[1.0, -0.0])),
            ("n".to_string(), Tensor::i64(&[], &[7])),
            ("e".to_string(), Tensor::f32(&[0, 3], &[])),
        ]);
        write_list(&list, &tensors).unwrap();
        let read = read_list(&list).unwrap();
        assert!(tensors.iter().all(|(name, tensor)| read[name].identical(tensor)) && read.len() == 3);
        let spaced = Tensors::from([("a b".to_string(), Tensor::f32(&[1], &[1.0]))]);
        assert!(write_list(&list, &spaced).unwrap_err().to_string().contains("names with spaces"));
    }

    #[test]
    fn a_folder_of_raw_files() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let file = folder.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, [0u8; 4]).unwrap();
        };
        assert!(in_folder(folder.path()).is_none());
        put("x.bin");
        put("model/in:0.bin");
        let names: Vec<String> = in_folder(folder.path()).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["model/in:0", "x"]);
        put("input_0.pb");
        assert!(in_folder(folder.path()).is_none());
    }

    #[test]
    fn inputs_by_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.bin");
        std::fs::write(&file, [0u8; 24]).unwrap();
        let path = |sign: &str| PathBuf::from(format!("im:0{sign}{}", file.display()));
        let spec = |dims: &[Dim]| [InputSpec { name: "im:0".into(), dtype: DType::Float32, dims: dims.to_vec() }];
        let batch = || Dim::Named("n".into());
        for sign in ["=", ":"] {
            let files = named(&path(sign)).unwrap();
            let read = read_inputs(&files, &spec(&[batch(), Dim::Fixed(3)])).unwrap();
            assert_eq!(read["im:0"].shape, [2, 3]);
        }
        let files = named(&path("=")).unwrap();
        let told = |dims: &[Dim]| format!("{:#}", read_inputs(&files, &spec(dims)).unwrap_err());
        assert!(told(&[batch(), Dim::Unknown]).contains("more than one size of 'im:0' open"));
        assert!(told(&[Dim::Fixed(5)]).contains("24 bytes are no 'im:0' of float32"));
        assert!(told(&[batch(), Dim::Fixed(5)]).contains("24 bytes are no"));
        assert!(named(Path::new("a=b.npy")).is_none() && named(&file).is_none());
    }
}
