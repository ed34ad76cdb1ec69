//! The command line, as clap types. What the flags mean is said here, once: `--help` and the manual are made from it.

mod argv;
mod arithmetic;
mod convert;
mod fit;
mod inspect;
mod search;
mod session;
mod set;
mod stages;
mod values;

use std::path::PathBuf;

use crate::load::Links;
use clap::builder::Resettable;
use clap::{Args, Parser, Subcommand};

pub use arithmetic::ArithmeticArgs;
pub use convert::{ConvertArgs, Keep, Low};
pub use fit::{FitArgs, Layout, Map};
pub use inspect::{InspectArgs, NodeFilter};
pub use search::{By, CheckArgs, CureArgs, ReproducerArgs, SearchArgs, See, Strategy};
pub use session::{Level, SessionArgs};
pub use set::{EngineArgs, SetArgs};
pub use stages::{StageArg, StagesArgs};
pub use values::Devices;

/// Which node of an ONNX model is the first to go wrong, with proof.
#[derive(Parser, Debug)]
#[command(name = "layerdiff", version, about, propagate_version = true, subcommand_required = true)]
#[command(
    after_help = "Exit status, as diff(1): 0 they agree; 1 they diverge; 2 bad usage or input; 3 inconclusive, or a backend failed."
)]
pub struct Cli {
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
    /// What every subcommand takes.
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// What every subcommand takes.
#[derive(Args, Debug, Clone, Default)]
pub struct GlobalArgs {
    /// ONNX Runtime's library, when not the one of `layerdiff setup`
    #[arg(long, global = true, value_name = "PATH", help_heading = "Global")]
    pub ort_library: Option<PathBuf>,
    /// Plug-in library of an execution provider, for `ort-NAME` (repeatable)
    #[arg(long, global = true, value_name = "NAME=PATH", value_parser = values::library(), help_heading = "Global")]
    pub ep_library: Vec<(String, PathBuf)>,
    /// A library of custom operators, for both sides (repeatable)
    #[arg(long, global = true, value_name = "LIB", value_parser = values::operators(), help_heading = "Global")]
    pub custom_ops: Vec<PathBuf>,
    /// Read external data through links that leave the folder of the model's real file and the one it is named in
    #[arg(long, global = true, help_heading = "Global")]
    pub allow_outside: bool,
    /// No progress on stderr
    #[arg(long, short, global = true, help_heading = "Global")]
    pub quiet: bool,
}

impl GlobalArgs {
    /// Where links may lead to external data.
    pub fn links(&self) -> Links {
        if self.allow_outside { Links::Anywhere } else { Links::Inside }
    }
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Find the first diverging node(s), prove it, write the report
    Bisect(Box<BisectArgs>),
    /// Cut the failure out: a minimal reproducer for a ticket, of wrong values or of whatever --check shows
    Reduce(Box<ReduceArgs>),
    /// Compare every tensor of two runs, in one table
    Compare(Box<CompareArgs>),
    /// Run a pipeline (framework, float model, quantised model, engine), and say which stage is the first to break
    Stages(Box<StagesArgs>),
    /// Convert to FP16 or BF16 with explicit Casts; any node can stay in FP32
    Convert(Box<ConvertArgs>),
    /// Say what a model, an engine or data is made of, and whether two of them fit together
    Inspect(Box<InspectArgs>),
    /// Make one report of those of all shards (--shard I/N)
    Merge(MergeArgs),
    /// Render a report again, or print the schema
    Report(ReportArgs),
    /// Fetch and verify ONNX Runtime for this user
    Setup(SetupArgs),
    /// Say what was found: ONNX Runtime, CUDA, TensorRT, GPUs; and how to get the rest
    Doctor(DoctorArgs),
    /// Print a completion script
    Completions {
        /// Whose script: its own name for itself.
        #[arg(help = Resettable::Reset)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff)
    Man,
    /// A backend in a process of its own; not for users
    #[command(name = "__worker", hide = true)]
    Worker,
}

/// What `layerdiff bisect` takes.
#[derive(Args, Debug)]
pub struct BisectArgs {
    /// Both sides, data, tolerance.
    #[command(flatten)]
    pub set: SetArgs,
    /// How to look for culprits.
    #[command(flatten)]
    pub search: SearchArgs,
    /// What the reproducer is to be like.
    #[command(flatten)]
    pub reproducer: ReproducerArgs,
    /// Find and prove, but cut nothing out
    #[arg(long, help_heading = "Reproducer")]
    pub no_reduce: bool,
    /// Which overrides to look for.
    #[command(flatten)]
    pub cure: CureArgs,
}

/// What `layerdiff reduce` takes.
#[derive(Args, Debug)]
pub struct ReduceArgs {
    /// Both sides, data, tolerance.
    #[command(flatten)]
    pub set: SetArgs,
    /// How to look for culprits.
    #[command(flatten)]
    pub search: SearchArgs,
    /// What the reproducer is to be like.
    #[command(flatten)]
    pub reproducer: ReproducerArgs,
    /// A command that decides in place of values.
    #[command(flatten)]
    pub check: CheckArgs,
}

/// What `layerdiff compare` takes.
#[derive(Args, Debug)]
pub struct CompareArgs {
    /// Both sides, data, tolerance.
    #[command(flatten)]
    pub set: SetArgs,
}

/// What `layerdiff merge` takes.
#[derive(Args, Debug)]
pub struct MergeArgs {
    /// The reports of all shards of one run, or their folders
    #[arg(required = true, value_name = "REPORT|DIR")]
    pub reports: Vec<PathBuf>,
    /// Where the merged report goes
    #[arg(short = 'o', long = "output-dir", value_name = "DIR", default_value = "merged.layerdiff")]
    pub output_dir: PathBuf,
    /// Print the report as JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// What `layerdiff report` takes.
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

/// What `layerdiff setup` takes.
#[derive(Args, Clone, Debug, Default)]
pub struct SetupArgs {
    /// Fetch and install again, even if it is there already
    #[arg(long)]
    pub force: bool,
    /// Install into this folder instead of the user's cache
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What `layerdiff doctor` takes.
#[derive(Args, Clone, Debug, Default)]
pub struct DoctorArgs {
    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
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
