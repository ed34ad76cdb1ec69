//! The flags of `layerdiff inspect`.

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use super::session::SessionArgs;
use super::values::{Misplaced, parse_pattern, second_to_inspect, spec};
use crate::load::synthetic::parse_shape;
use crate::spec::Spec;

/// What `layerdiff inspect` takes.
#[derive(Args, Clone, Debug)]
#[command(group(ArgGroup::new("shaped").arg("nodes").arg("placement").multiple(true)))]
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
    /// List every node with its inputs and outputs, and a table with FLOPs and bytes (of an engine: every layer)
    #[arg(long)]
    pub nodes: bool,
    /// Of --nodes, those whose name matches, or those of one operator
    #[arg(long, value_name = "REGEX|op:TYPE", value_parser = parse_filter, requires = "nodes")]
    pub filter: Option<NodeFilter>,
    /// Shape of an input, for FLOPs and bytes, or to run it (repeatable)
    #[arg(long, value_name = "NAME=1x3x224x224", value_parser = parse_shape, requires = "shaped")]
    pub shape: Vec<(String, Vec<usize>)>,
    /// The values of an initializer, a constant or an array: statistics, histogram, ranges by channel (repeatable)
    #[arg(long, value_name = "NAME")]
    pub tensor: Vec<String>,
    /// What is quantised by operator, what is not and why, and the scales and ranges of every pair
    #[arg(long)]
    pub coverage: bool,
    /// What bites later: versions, names, values that FP16 lacks, operators that runtimes do differently, and what the parser
    /// of a TensorRT that is found refuses, node by node (exit status 1 for errors)
    #[arg(long)]
    pub lint: bool,
    /// Which execution provider runs which node: of `ort-NAME`, as ONNX Runtime tells, in one run
    #[arg(long, value_name = "SPEC", value_parser = spec())]
    pub placement: Option<Spec>,
    /// Of --placement, the data of the run, as `compare` takes it [default: synthetic]
    #[arg(long, short = 'i', value_name = "PATH", requires = "placement")]
    pub inputs: Vec<PathBuf>,
    /// Names of the classes, one a line or as JSON: is there a head of as many?
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
    /// TensorRT's library or its folder, when not the one that is found: see `layerdiff doctor`; what its parser refuses is
    /// an error of --lint then
    #[arg(long, value_name = "PATH", help_heading = "TensorRT")]
    pub trt_library: Option<PathBuf>,
    /// How the session of --placement is made.
    #[command(flatten)]
    pub session: SessionArgs,
}

/// Which nodes `--filter` means.
#[derive(Clone, Debug)]
pub enum NodeFilter {
    /// All of this operator, of whatever domain.
    Operator(String),
    /// All whose name it matches somewhere.
    Name(regex::Regex),
}

impl NodeFilter {
    /// Does it mean a node of this name and operator?
    pub fn means(&self, name: &str, op_type: &str) -> bool {
        match self {
            NodeFilter::Operator(wanted) => op_type == wanted,
            NodeFilter::Name(pattern) => pattern.is_match(name),
        }
    }
}

impl std::fmt::Display for NodeFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            NodeFilter::Operator(op_type) => write!(f, "op:{op_type}"),
            NodeFilter::Name(pattern) => write!(f, "{pattern}"),
        }
    }
}

fn parse_filter(text: &str) -> Result<NodeFilter, String> {
    match text.strip_prefix("op:") {
        Some(op_type) => Ok(NodeFilter::Operator(op_type.to_string())),
        None => parse_pattern(text).map(NodeFilter::Name),
    }
}
