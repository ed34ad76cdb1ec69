//! The flags of `layerdiff convert`.

use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, ValueEnum};

use super::values::{Misplaced, no_pattern, second_to_convert};

/// What `layerdiff convert` takes.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "ONNX Runtime loads what was written. Exit status: 0 it does, or (bf16) finds the types right and has no kernel for the CPU; 2 bad usage or input, and nothing was written; 3 it does not: the file stays, for another runtime may."
)]
pub struct ConvertArgs {
    /// The ONNX model to convert
    pub model: PathBuf,
    /// The file to write has another place
    #[arg(hide = true, value_parser = second_to_convert)]
    pub second: Option<Misplaced>,
    /// The precision to convert to; bf16 runs on devices only: ONNX Runtime's CPU provider has no kernels for it
    #[arg(long, value_enum)]
    pub to: Low,
    /// A node that stays in FP32: its name, op:TYPE for all of an operator, or re:REGEX for names that match (repeatable)
    #[arg(long, value_name = "NODE|op:TYPE|re:REGEX", value_parser = parse_keep)]
    pub keep: Vec<Keep>,
    /// Inputs and outputs of the model stay float32
    #[arg(long)]
    pub keep_io: bool,
    /// int64 inputs become int32, with a Cast behind each: for engines that misread 64-bit token ids
    #[arg(long)]
    pub int32_inputs: bool,
    /// Where the model goes [default: MODEL_STEM.fp16.onnx or MODEL_STEM.bf16.onnx]
    #[arg(short = 'o', long = "output", value_name = "OUT.onnx")]
    pub output: Option<PathBuf>,
}

/// What a model is converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Low {
    /// float16
    #[value(help = Resettable::Reset)]
    Fp16,
    /// bfloat16
    #[value(help = Resettable::Reset)]
    Bf16,
}

/// Which nodes a `--keep` means.
#[derive(Clone, Debug)]
pub enum Keep {
    /// By name, or by name behind the path of its subgraph (`if_3/then_branch/add`).
    Name(String),
    /// All nodes of this operator, of whatever domain.
    Operator(String),
    /// All nodes whose name it matches somewhere.
    Pattern(regex::Regex),
}

impl std::fmt::Display for Keep {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Keep::Name(name) => write!(f, "{name}"),
            Keep::Operator(op_type) => write!(f, "op:{op_type}"),
            Keep::Pattern(regex) => write!(f, "re:{regex}"),
        }
    }
}

fn parse_keep(text: &str) -> Result<Keep, String> {
    if let Some(op_type) = text.strip_prefix("op:") {
        return Ok(Keep::Operator(op_type.to_string()));
    }
    match text.strip_prefix("re:") {
        Some(pattern) => regex::Regex::new(pattern).map(Keep::Pattern).map_err(|e| no_pattern(&e)),
        None => Ok(Keep::Name(text.to_string())),
    }
}
