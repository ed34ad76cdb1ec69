//! The flags of `layerdiff inspect`.

use std::path::PathBuf;

use clap::Args;

use super::values::{Misplaced, second_to_inspect};

/// What `layerdiff inspect` takes.
#[derive(Args, Clone, Debug)]
pub struct InspectArgs {
    /// An ONNX model, a TensorRT engine, or data (.npz, .npy, Polygraphy JSON, test_data_set folder)
    #[arg(value_name = "MODEL|ENGINE|DATA")]
    pub file: PathBuf,
    /// A second one has another place
    #[arg(hide = true, value_parser = second_to_inspect)]
    pub second: Option<Misplaced>,
    /// Another one: what differs, and whether their inputs and outputs fit; of data, what makes the other of the first
    /// (exit status 1 if they do not fit, or are not equal)
    #[arg(long, value_name = "MODEL|ENGINE|DATA")]
    pub against: Option<PathBuf>,
    /// List every node with its inputs and outputs (of an engine: every layer)
    #[arg(long)]
    pub nodes: bool,
    /// The values of an initializer, a constant or an array: statistics, histogram, ranges by channel (repeatable)
    #[arg(long, value_name = "NAME")]
    pub tensor: Vec<String>,
    /// What is quantised by operator, what is not and why, and the scales and ranges of every pair
    #[arg(long)]
    pub coverage: bool,
    /// Names of the classes, one a line or as JSON: is there a head of as many?
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// TensorRT's library or its folder, when not the one that is found: see `layerdiff doctor`
    #[arg(long, value_name = "PATH", help_heading = "TensorRT")]
    pub trt_library: Option<PathBuf>,
}
