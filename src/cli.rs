//! The command line, as clap types. What the flags mean is said here, once: `--help` and the manual are made from it.

mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use values::{parse_bound, parse_bytes, parse_devices, parse_library, parse_pattern, parse_profile, parse_seconds};

pub use values::Devices;

use crate::commands::convert::ConvertArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::inspect::InspectArgs;
use crate::commands::setup::SetupArgs;
use crate::load::synthetic::{parse_range, parse_shape};
use crate::run::Observe;
use crate::run::tensorrt::Range;
use crate::spec::Spec;
use crate::tolerance::OutputMetric;

/// Which node of an ONNX model is the first to go wrong, with proof.
#[derive(Parser, Debug)]
#[command(name = "layerdiff", version, about, propagate_version = true, subcommand_required = true)]
#[command(
    after_help = "Exit status, as diff(1): 0 they agree; 1 they diverge; 2 bad usage or input; 3 inconclusive, or a backend failed."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub global: GlobalArgs,
}

#[derive(Args, Debug, Clone, Default)]
pub struct GlobalArgs {
    /// ONNX Runtime's library, when not the one of `layerdiff setup`
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global")]
    pub ort_library: Option<PathBuf>,
    /// Plug-in library of an execution provider, for `ort-NAME` (repeatable)
    #[arg(long, global = true, value_name = "NAME=PATH", value_parser = parse_library, help_heading = "Global")]
    pub ep_library: Vec<(String, PathBuf)>,
    /// No progress on stderr
    #[arg(long, short, global = true, help_heading = "Global")]
    pub quiet: bool,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Find the first diverging node(s), prove it, write the report
    Bisect(Box<BisectArgs>),
    /// Cut the failure out: a minimal reproducer for a ticket, of wrong values or of whatever --check shows
    Reduce(Box<ReduceArgs>),
    /// Compare every tensor of two runs, in one table
    Compare(Box<CompareArgs>),
    /// Convert to FP16 or BF16 with explicit Casts; any node can stay in FP32
    Convert(Box<ConvertArgs>),
    /// Say what a model or an engine is made of, and whether two of them fit together
    Inspect(InspectArgs),
    /// Render a report again, or print the schema
    Report(ReportArgs),
    /// Fetch and verify ONNX Runtime for this user
    Setup(SetupArgs),
    /// Say what was found: ONNX Runtime, CUDA, TensorRT, GPUs; and how to get the rest
    Doctor(DoctorArgs),
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page (roff)
    Man,
    /// A backend in a process of its own; not for users
    #[command(name = "__worker", hide = true)]
    Worker,
}

/// What is compared with what, on which data, how closely.
#[derive(Args, Debug, Clone)]
pub struct SetArgs {
    /// The ONNX model under debugging
    pub model: PathBuf,
    /// The run under suspicion: BACKEND[:PRECISION][@MODEL], exec:'CMD {model} {inputs} {outputs}' or saved:FILE
    #[arg(long, short = 'c', value_name = "SPEC")]
    pub candidate: Option<Spec>,
    /// The run that is believed
    #[arg(long, value_name = "SPEC", default_value = "ort")]
    pub reference: Spec,

    /// Input data: .npz, .npy, Polygraphy JSON or a test_data_set folder (repeatable: each is a sample)
    #[arg(long, short = 'i', value_name = "PATH", help_heading = "Inputs")]
    pub inputs: Vec<PathBuf>,
    /// Shape of a synthetic input (repeatable)
    #[arg(long, value_name = "NAME=1x3x224x224", value_parser = parse_shape, help_heading = "Inputs")]
    pub shape: Vec<(String, Vec<usize>)>,
    /// Range of synthetic values, of one input or of all (repeatable)
    #[arg(long, value_name = "[NAME=]LO..HI", value_parser = parse_range, allow_hyphen_values = true, help_heading = "Inputs")]
    pub range: Vec<(Option<String>, f64, f64)>,
    /// Seed of synthetic data
    #[arg(long, default_value_t = 0, help_heading = "Inputs")]
    pub seed: u64,
    /// How many synthetic samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Inputs")]
    pub samples: Option<u64>,

    /// Largest absolute difference that agrees [default: scale-aware]
    #[arg(long, value_name = "[TENSOR=]X", value_parser = parse_bound, help_heading = "Tolerance")]
    pub atol: Vec<(Option<String>, f64)>,
    /// Largest relative difference that agrees [default: by precision]
    #[arg(long, value_name = "[TENSOR=]X", value_parser = parse_bound, help_heading = "Tolerance")]
    pub rtol: Vec<(Option<String>, f64)>,
    /// Judge final outputs by cosine=0.999, sqnr=30 or topk=5 instead
    #[arg(long, value_name = "METRIC=THRESHOLD", help_heading = "Tolerance")]
    pub metric: Option<OutputMetric>,
    /// Judge these tensors instead of the model's outputs
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Tolerance")]
    pub outputs: Vec<String>,

    /// Bytes of tensors held at once, both sides together (1G, 500M) [default: half of what is free]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// Keep both runs' values of the measured tensors
    #[arg(long, value_name = "FILE.npz")]
    pub save_tensors: Option<PathBuf>,
    /// Where the report goes [default: MODEL_STEM.layerdiff]
    #[arg(short = 'o', long = "output-dir", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Print the report as JSON on stdout
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub engine: EngineArgs,
}

/// How engines are built.
#[derive(Args, Debug, Clone, Default)]
pub struct EngineArgs {
    /// TensorRT's library or its folder, when not the one that is found: see `layerdiff doctor`
    #[arg(long, value_name = "PATH", help_heading = "TensorRT")]
    pub trt_library: Option<PathBuf>,
    /// Shapes of an input that the engine is built for (repeatable) [default: those of the data]
    #[arg(long, value_name = "NAME=MIN:OPT:MAX", value_parser = parse_profile, help_heading = "TensorRT")]
    pub profile: Vec<Range>,
    /// On TensorRT 10, take precisions from a converted model too, as TensorRT 11 and RTX do
    #[arg(long, help_heading = "TensorRT")]
    pub strongly_typed: bool,
    /// Timings of earlier builds, shared by all builds [default: in layerdiff's cache]
    #[arg(long, value_name = "FILE", help_heading = "TensorRT")]
    pub timing_cache: Option<PathBuf>,
    /// Device memory that the builder may use (1G, 500M)
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, help_heading = "TensorRT")]
    pub workspace: Option<u64>,
    /// Builder optimisation level [default: TensorRT's own]
    #[arg(long, value_name = "0..5", value_parser = clap::value_parser!(u64).range(0..=5), help_heading = "TensorRT")]
    pub builder_level: Option<u64>,
    /// GPUs of ort-cuda and trt by their numbers; with several, builds and runs go on side by side [default: 0]
    #[arg(long, visible_alias = "device", value_name = "N,...", value_parser = parse_devices, help_heading = "GPUs")]
    pub devices: Option<Devices>,
}

impl EngineArgs {
    /// The numbers of the GPUs to use: one at least.
    pub fn gpus(&self) -> &[usize] {
        self.devices.as_ref().map_or(&[0], Devices::numbers)
    }
}

#[derive(Args, Debug)]
pub struct BisectArgs {
    #[command(flatten)]
    pub set: SetArgs,
    #[command(flatten)]
    pub search: SearchArgs,
    #[command(flatten)]
    pub reproducer: ReproducerArgs,
    /// Find and prove, but cut nothing out
    #[arg(long, help_heading = "Reproducer")]
    pub no_reduce: bool,
    #[command(flatten)]
    pub cure: CureArgs,
}

/// The smallest set of nodes to keep in float32.
#[derive(Args, Debug, Clone)]
pub struct CureArgs {
    /// Look for no precision overrides
    #[arg(long, help_heading = "Overrides")]
    pub no_overrides: bool,
    /// Candidate builds that the search may cost
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Overrides")]
    pub builds: u64,
    /// Samples held back from the search, which must agree as well in the end
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Overrides")]
    pub holdout: u64,
    /// Nodes of which it is tried what each alone does to the outputs
    #[arg(long, value_name = "N", default_value_t = 8, help_heading = "Overrides")]
    pub sensitivity: u64,
}

#[derive(Args, Debug)]
pub struct ReduceArgs {
    #[command(flatten)]
    pub set: SetArgs,
    #[command(flatten)]
    pub search: SearchArgs,
    #[command(flatten)]
    pub reproducer: ReproducerArgs,
    #[command(flatten)]
    pub check: CheckArgs,
}

/// Where and how to look for culprits.
#[derive(Args, Debug, Clone)]
pub struct SearchArgs {
    /// How to look: measure everything at once, or narrow down with few marks a run
    #[arg(long, value_enum, default_value_t = Strategy::Auto, help_heading = "Search")]
    pub strategy: Strategy,
    /// Tensors observable in one candidate build
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Search")]
    pub marks: Option<u64>,
    /// What to look for: tensors that go wrong, the nodes that must stay in FP32, or the compiler's knob
    #[arg(long, value_enum, default_value_t = By::Tensors, help_heading = "Search")]
    pub by: By,
    /// How an engine's tensors become visible
    #[arg(long, value_enum, default_value_t = See::Auto, help_heading = "Search")]
    pub observe: See,
    /// Stop after this many culprits
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Search")]
    pub max_culprits: u64,
    /// Go on from the journal of a run that was cut short
    #[arg(long, help_heading = "Search")]
    pub resume: bool,
}

/// What the reproducer is like.
#[derive(Args, Debug, Clone)]
pub struct ReproducerArgs {
    /// Make the reproducer's inputs constants of its model
    #[arg(long, help_heading = "Reproducer")]
    pub freeze: bool,
    /// Replace large weights by small generators, where the failure survives it
    #[arg(long, help_heading = "Reproducer")]
    pub shrink_weights: bool,
    /// The failure must show this many times in a row
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Reproducer")]
    pub stability: u64,
}

/// A failure of any kind, shown by a command.
#[derive(Args, Debug, Clone, Default)]
pub struct CheckArgs {
    /// The command that shows the failure: exit status 0 passes, 1 fails, anything else is inconclusive
    #[arg(long, value_name = "'CMD {model} {inputs}'", help_heading = "Check")]
    pub check: Option<String>,
    /// Exit statuses that fail, instead of 1; 128 + N is signal N
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        allow_negative_numbers = true,
        requires = "check",
        help_heading = "Check"
    )]
    pub fail_code: Vec<i32>,
    /// Exit statuses that pass, besides 0
    #[arg(
        long,
        value_name = "N,...",
        value_delimiter = ',',
        allow_negative_numbers = true,
        requires = "check",
        help_heading = "Check"
    )]
    pub pass_code: Vec<i32>,
    /// It fails only if this matches what it prints (repeatable: any of them)
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern, requires = "check", help_heading = "Check")]
    pub fail_regex: Vec<regex::Regex>,
    /// Longer than this is inconclusive [default: ten times what the full model takes, a minute at least]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, requires = "check", help_heading = "Check")]
    pub check_timeout: Option<Duration>,
    /// Checks that run at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024), help_heading = "Check")]
    pub jobs: u64,
}

#[derive(Args, Debug)]
pub struct CompareArgs {
    #[command(flatten)]
    pub set: SetArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// scan, unless --marks is given or marking disturbs the candidate
    Auto,
    /// Every tensor, in batches that fit into memory
    Scan,
    /// At most --marks tensors a run
    Bisect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The first tensors that diverge
    Tensors,
    /// The smallest set of nodes that must stay in FP32; no tensor inside is looked at
    Precision,
    /// The knobs of the compiler that make it appear (TensorRT 11.1 or newer)
    BuildRoute,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum See {
    /// Outputs, and where marking disturbs the engine, what survives fusion
    Auto,
    /// Each is an extra output of the engine
    Outputs,
    /// Each is a debug tensor
    Debug,
    /// What survives fusion is reported
    Unfused,
}

impl See {
    /// `None`: whatever disturbs least.
    pub fn wish(self) -> Option<Observe> {
        match self {
            See::Auto => None,
            See::Outputs => Some(Observe::Outputs),
            See::Debug => Some(Observe::Debug),
            See::Unfused => Some(Observe::Unfused),
        }
    }
}

#[derive(Args, Debug)]
pub struct ReportArgs {
    /// A report.json
    #[arg(required_unless_present = "schema")]
    pub report: Option<PathBuf>,
    /// Write it as one self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write it as Markdown, for a ticket
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Print the JSON Schema of reports
    #[arg(long)]
    pub schema: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
