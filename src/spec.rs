//! `BACKEND[:PRECISION][@MODEL]`: what to run, as the user writes it. Parsing only.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::names::did_you_mean;
use crate::tensor::DType;

/// A reference or a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Who runs it.
    pub place: Place,
    /// What it computes in; FP32 where nothing is said, and always for `exec:` and `saved:`.
    pub precision: Precision,
    /// `@MODEL`: another file than the one under debugging.
    pub model: Option<PathBuf>,
    /// As text, which a path may be no more than nearly.
    text: String,
}

/// A backend, with what it needs to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// `ort`: ONNX Runtime on the CPU.
    Cpu,
    /// `ort-NAME`: another execution provider.
    Provider(String),
    /// `trt`
    TensorRt,
    /// `exec:CMD`
    Exec(String),
    /// `saved:FILE`
    Saved(PathBuf),
}

impl Place {
    /// `ort` and `ort-NAME`.
    pub fn is_onnx_runtime(&self) -> bool {
        matches!(self, Place::Cpu | Place::Provider(_))
    }
}

/// The backend alone, as users write it.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Cpu => f.write_str("ort"),
            Place::Provider(name) => write!(f, "ort-{name}"),
            Place::TensorRt => f.write_str("trt"),
            Place::Exec(_) => f.write_str("exec"),
            Place::Saved(_) => f.write_str("saved"),
        }
    }
}

/// What a side computes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// float32 everywhere.
    #[default]
    Fp32,
    /// float32, but products take 10 bits of mantissa of each operand (NVIDIA's).
    Tf32,
    /// float16.
    Fp16,
    /// bfloat16.
    Bf16,
    /// Quantised to 8-bit integers, which the model or the engine has the scales for.
    Int8,
    /// Quantised to 8-bit floats, which the model or the engine has the scales for.
    Fp8,
}

/// A precision below float32, as far as the CPU can emulate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Low {
    /// Values are stored in float16.
    Float16,
    /// Values are stored in bfloat16.
    Bfloat16,
    /// NVIDIA's: float32 everywhere, but products take 10 bits of mantissa of each operand.
    Tf32,
}

impl Low {
    /// The one that stores values so.
    pub fn stored_as(dtype: DType) -> Option<Low> {
        [Low::Float16, Low::Bfloat16].into_iter().find(|low| low.storage() == Some(dtype))
    }

    /// The type that values are stored in; TF32 is a way to multiply, and stores float32.
    pub fn storage(self) -> Option<DType> {
        match self {
            Low::Float16 => Some(DType::Float16),
            Low::Bfloat16 => Some(DType::Bfloat16),
            Low::Tf32 => None,
        }
    }

    /// What a spec calls it.
    pub fn precision(self) -> Precision {
        match self {
            Low::Float16 => Precision::Fp16,
            Low::Bfloat16 => Precision::Bf16,
            Low::Tf32 => Precision::Tf32,
        }
    }
}

/// What an emulation of FP16 adds up in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Accumulate {
    /// Products, reductions and normalisations sum in FP32
    #[default]
    Fp32,
    /// Partial sums are rounded to FP16
    Fp16,
}

/// What becomes of weights beyond FP16's range in an emulation of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Weights {
    /// Infinity, as a cast makes of them
    #[default]
    Inf,
    /// FP16's largest value, as TensorRT makes of them
    Clamp,
}

/// A precision to be emulated, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Emulation {
    /// What values are rounded to.
    pub low: Low,
    /// Of FP16.
    pub arithmetic: Arithmetic,
}

impl From<Low> for Emulation {
    fn from(low: Low) -> Emulation {
        Emulation { low, arithmetic: Arithmetic::default() }
    }
}

/// How an emulation of FP16 computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arithmetic {
    /// What sums are taken in.
    pub accumulate: Accumulate,
    /// What becomes of weights that are too large.
    pub weights: Weights,
}

impl Precision {
    const ALL: [(&str, Precision); 6] = [
        ("fp32", Precision::Fp32),
        ("tf32", Precision::Tf32),
        ("fp16", Precision::Fp16),
        ("bf16", Precision::Bf16),
        ("int8", Precision::Int8),
        ("fp8", Precision::Fp8),
    ];

    /// What it is below float32, if it is and can be emulated.
    pub fn low(self) -> Option<Low> {
        match self {
            Precision::Tf32 => Some(Low::Tf32),
            Precision::Fp16 => Some(Low::Float16),
            Precision::Bf16 => Some(Low::Bfloat16),
            Precision::Fp32 | Precision::Int8 | Precision::Fp8 => None,
        }
    }

    /// The storage type that emulates it by casts, if one does.
    pub fn storage(self) -> Option<DType> {
        self.low()?.storage()
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Precision::ALL.iter().find(|(_, p)| p == self).map_or("fp32", |(n, _)| n);
        f.write_str(name)
    }
}

impl Spec {
    /// Is FP16 emulated for it?
    pub fn emulates_half(&self) -> bool {
        self.place == Place::Cpu && self.precision == Precision::Fp16
    }

    /// The same for the model at hand, without `@MODEL`.
    pub fn for_this_model(&self) -> String {
        let head = self.model.as_ref().and_then(|_| self.text.split_once('@'));
        head.map_or(self.text.as_str(), |(head, _)| head).to_string()
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Spec, String> {
        Spec::parse(OsStr::new(text))
    }
}

impl Spec {
    /// From the command line, where paths may be no UTF-8; all else is.
    pub fn parse(given: &OsStr) -> Result<Spec, String> {
        let text = given.to_string_lossy().into_owned();
        let rest = |from: usize| PathBuf::from(files::part(given, from..given.len()));
        let plain = |place| Spec { place, precision: Precision::Fp32, model: None, text: text.clone() };
        if let Some(command) = text.strip_prefix("exec:") {
            return exec(command, given).map(plain);
        }
        if text.starts_with("saved:") {
            return Ok(plain(Place::Saved(rest("saved:".len()))));
        }
        let (head, model) = match text.split_once('@') {
            Some((_, "")) => return Err(format!("'{text}' names no model after '@'")),
            // What is before it is the same bytes in both, unless it is no backend anyway.
            Some((head, _)) => (head, given.as_encoded_bytes().iter().position(|b| *b == b'@').map(|at| rest(at + 1))),
            None => (text.as_str(), None),
        };
        let (backend, precision) = match head.split_once(':') {
            Some((backend, name)) => (backend, parse_precision(name)?),
            None => (head, Precision::Fp32),
        };
        Ok(Spec { place: place(&text, backend)?, precision, model, text: text.clone() })
    }
}

/// The command after `exec:`.
fn exec(command: &str, given: &OsStr) -> Result<Place, String> {
    if given.to_str().is_none() {
        return Err(format!("the command of 'exec:{command}' is no UTF-8; give the files in it names that are"));
    }
    let missing: Vec<&str> =
        ["{model}", "{inputs}", "{outputs}"].into_iter().filter(|p| !command.contains(p)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "the command of 'exec:{command}' lacks {}; it reads an .onnx and an .npz and writes an .npz",
            missing.join(", ")
        ));
    }
    Ok(Place::Exec(command.to_string()))
}

fn place(text: &str, backend: &str) -> Result<Place, String> {
    let provider = backend.strip_prefix("ort-").filter(|name| !name.is_empty());
    match (backend, provider) {
        ("ort" | "ort-cpu", _) => Ok(Place::Cpu),
        ("trt", _) => Ok(Place::TensorRt),
        (_, Some(name)) => Ok(Place::Provider(name.to_string())),
        (_, None) => Err(no_backend(text, backend)),
    }
}

/// A file in the place of a backend is told from a misspelt backend.
fn no_backend(text: &str, backend: &str) -> String {
    if Path::new(text)
        .extension()
        .is_some_and(|e| !text.contains('@') && RUNNERS.iter().any(|(ending, _)| e == *ending))
    {
        return format!("'{text}' is a file, and a run starts with its backend; write {}", runner_of(text));
    }
    let meant = did_you_mean(backend, BACKENDS);
    let meant = if meant.is_empty() { ";".to_string() } else { format!("{meant} Otherwise") };
    format!(
        "'{backend}' is no backend{meant} use ort, ort-NAME, trt, exec:'CMD {{model}} {{inputs}} {{outputs}}' or saved:FILE"
    )
}

/// What runs files of each ending; all others are taken for models.
const RUNNERS: [(&str, &str); 6] =
    [("onnx", "ort@"), ("plan", "trt@"), ("engine", "trt@"), ("trt", "trt@"), ("npz", "saved:"), ("json", "saved:")];

/// The SPEC that runs `file`, or reads what somebody stored in it.
pub fn runner_of(file: &str) -> String {
    let extension = Path::new(file).extension();
    let runner = RUNNERS.iter().find(|(ending, _)| extension.is_some_and(|e| e == *ending));
    format!("{}{file}", runner.map_or("ort@", |(_, runner)| runner))
}

/// Names of backends, as far as they are known without a machine.
const BACKENDS: [&str; 8] = ["ort", "ort-cpu", "ort-cuda", "ort-tensorrt", "ort-openvino", "trt", "exec:", "saved:"];

/// `fp16`; the error lists all there are.
pub fn parse_precision(name: &str) -> Result<Precision, String> {
    let found = Precision::ALL.into_iter().find(|(n, _)| *n == name).map(|(_, p)| p);
    found.ok_or_else(|| format!("'{name}' is no precision; use fp32, tf32, fp16, bf16, int8 or fp8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, place: Place, precision: Precision, model: Option<&str>) {
        let spec: Spec = text.parse().unwrap();
        assert_eq!((spec.place, spec.precision, spec.model), (place, precision, model.map(PathBuf::from)), "{text}");
    }

    #[test]
    fn specs() {
        check("ort", Place::Cpu, Precision::Fp32, None);
        check("ort:bf16", Place::Cpu, Precision::Bf16, None);
        check("ort@a:b@c.onnx", Place::Cpu, Precision::Fp32, Some("a:b@c.onnx"));
        check("ort-openvino:fp16@m.onnx", Place::Provider("openvino".into()), Precision::Fp16, Some("m.onnx"));
        check("saved:out@1.npz", Place::Saved("out@1.npz".into()), Precision::Fp32, None);
        let command = "run {model} {inputs} {outputs}";
        check(&format!("exec:{command}"), Place::Exec(command.into()), Precision::Fp32, None);
    }

    #[cfg(unix)]
    #[test]
    fn paths_keep_their_bytes() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        let parse = |bytes: &[u8]| Spec::parse(OsStr::from_bytes(bytes));
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
        let spec = parse(b"ort:fp16@a\xff@b.onnx").unwrap();
        assert_eq!((spec.model.as_ref(), spec.for_this_model().as_str()), (Some(&path(b"a\xff@b.onnx")), "ort:fp16"));
        assert_eq!(spec.to_string(), "ort:fp16@a\u{fffd}@b.onnx");
        assert_eq!(parse(b"saved:\xff.npz").unwrap().place, Place::Saved(path(b"\xff.npz")));
        assert!(parse(b"exec:\xff {model} {inputs} {outputs}").unwrap_err().contains("is no UTF-8"));
        assert!(parse(b"\xff@m.onnx").unwrap_err().contains("is no backend"));
    }

    #[test]
    fn without_its_model() {
        for (text, want) in [("ort:fp16@a@b.onnx", "ort:fp16"), ("ort", "ort"), ("saved:a@b.npz", "saved:a@b.npz")] {
            assert_eq!(text.parse::<Spec>().unwrap().for_this_model(), want);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let fails = |text: &str, want: &str| {
            let e = text.parse::<Spec>().unwrap_err();
            assert!(e.contains(want), "{e}");
        };
        fails("orz", "'orz' is no backend; did you mean 'ort'");
        fails("otr-cuda:fp16", "'otr-cuda' is no backend; did you mean 'ort-cuda'");
        fails("tensorrt:fp16", "did you mean 'ort-tensorrt'");
        fails("zzz", "'zzz' is no backend; use ort");
        fails("dir/b.onnx", "write ort@dir/b.onnx");
        fails("m.plan", "write trt@m.plan");
        fails("out.npz", "write saved:out.npz");
        fails("ort:fp12", "'fp12' is no precision");
        fails("ort@", "no model after '@'");
        fails("exec:run {model}", "lacks {inputs}, {outputs}");
        fails("ort-", "is no backend");
    }
}
