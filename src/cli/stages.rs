//! What `layerdiff stages` takes.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::SetArgs;
use crate::files;
use crate::spec::Spec;

/// What `layerdiff stages` takes.
#[derive(Args, Debug)]
pub struct StagesArgs {
    /// Data, tolerance, and the run that is believed.
    #[command(flatten)]
    pub set: SetArgs,
    /// A stage of the pipeline, in its order (repeatable): saved outputs of the framework, the float model, the quantised one, the engine
    #[arg(long = "stage", value_name = "[NAME=]SPEC", value_parser = stage(), required = true, help_heading = "Stages")]
    pub stages: Vec<StageArg>,
    /// True classes, one a row of the data: names of --labels or numbers, one a line or JSON
    #[arg(long, value_name = "FILE", help_heading = "Stages")]
    pub truth: Option<PathBuf>,
    /// Where a stage breaks, find the node at once, between it and the last good stage
    #[arg(long, help_heading = "Stages")]
    pub bisect: bool,
}

/// One stage, as the user writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct StageArg {
    /// What it is called.
    pub name: String,
    /// What runs it.
    pub spec: Spec,
}

fn stage() -> impl TypedValueParser<Value = StageArg> {
    OsStringValueParser::new().try_map(|text| parse(&text))
}

/// `NAME=SPEC`, or a SPEC that is its own name. A SPEC may have an equals sign too, but behind something that no name has.
fn parse(text: &OsStr) -> Result<StageArg, String> {
    let bytes = text.as_encoded_bytes();
    let named = |b: &u8| !matches!(b, b':' | b'@' | b'=');
    let equals = bytes.iter().position(|b| !named(b)).filter(|at| *at > 0 && bytes[*at] == b'=');
    match equals {
        Some(at) => {
            let name = files::part(text, 0..at).to_string_lossy().trim().to_string();
            Ok(StageArg { name, spec: Spec::parse(&files::part(text, at + 1..text.len()))? })
        }
        None => {
            let spec = Spec::parse(text)?;
            Ok(StageArg { name: spec.to_string(), spec })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_in_front_of_its_spec() {
        let check = |text: &str, name: &str, spec: &str| {
            let stage = parse(OsStr::new(text)).unwrap();
            assert_eq!((stage.name.as_str(), stage.spec.to_string().as_str()), (name, spec), "{text}");
        };
        check("fp16=ort:fp16", "fp16", "ort:fp16");
        check("QDQ model=ort@a=b.onnx", "QDQ model", "ort@a=b.onnx");
        check("ort@a=b.onnx", "ort@a=b.onnx", "ort@a=b.onnx");
        check(
            "exec:env A=1 run {model} {inputs} {outputs}",
            "exec:env A=1 run {model} {inputs} {outputs}",
            "exec:env A=1 run {model} {inputs} {outputs}",
        );
        assert!(parse(OsStr::new("fp16=")).is_err());
        assert!(parse(OsStr::new("fp16=orrt")).unwrap_err().contains("orrt"));
    }
}
