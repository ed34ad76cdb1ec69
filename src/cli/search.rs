//! How to look, what to cut out, what to keep in FP32.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::{parse_pattern, parse_seconds};
use crate::run::Observe;

/// Nodes of which it is tried what each alone does, where nobody says otherwise.
const EACH_ALONE: u64 = 8;

/// Where and how to look for culprits.
#[derive(Args, Debug, Clone)]
pub struct SearchArgs {
    /// How to look: measure everything at once, or narrow down with few marks a run
    #[arg(long, value_enum, default_value_t = Strategy::Auto, help_heading = "Search")]
    pub strategy: Strategy,
    /// Tensors observable in one candidate build
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Search")]
    pub marks: Option<u64>,
    /// What to look for: tensors that go wrong, nodes to keep in FP32, or what of the compiler is to blame
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
    /// Leave metadata (stack traces and their paths), documentation and producer out of every model that is written
    #[arg(long, help_heading = "Reproducer")]
    pub no_metadata: bool,
}

/// How culprits are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// scan, unless --marks is given or marking disturbs the candidate
    Auto,
    /// Every tensor, in batches that fit into memory
    Scan,
    /// At most --marks tensors a run
    Bisect,
}

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The first tensors that diverge
    Tensors,
    /// The smallest set of nodes that must stay in FP32; no tensor inside is looked at
    Precision,
    /// The knobs of the compiler that make it appear (TensorRT 11.1 or newer)
    BuildRoute,
    /// The optimizers of ONNX Runtime, or its prepacking, that make it appear
    Optimizer,
    /// The tensors that, made outputs so that nothing is fused across them, make it go away
    Fusion,
}

/// How tensors inside an engine are made visible.
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
    /// Nodes of which it is tried what each alone does to the outputs; told where the outputs agree as well [default: 8]
    #[arg(long, value_name = "N", help_heading = "Overrides")]
    pub sensitivity: Option<u64>,
}

impl CureArgs {
    /// Nodes of which it is tried what each alone does: as asked, or as many as are worth telling.
    pub fn each_alone(&self) -> usize {
        self.sensitivity.unwrap_or(EACH_ALONE) as usize
    }
}

impl CheckArgs {
    /// How the check is judged, as words of a command line.
    pub fn flags(&self) -> Vec<String> {
        let codes = |flag: &str, codes: &[i32]| -> Vec<String> {
            codes.iter().flat_map(|code| [flag.to_string(), code.to_string()]).collect()
        };
        let regexes = self.fail_regex.iter().flat_map(|r| ["--fail-regex".to_string(), r.to_string()]);
        let all = codes("--fail-code", &self.fail_code).into_iter().chain(codes("--pass-code", &self.pass_code));
        all.chain(regexes).collect()
    }
}

#[cfg(test)]
impl SearchArgs {
    /// For tests: by tensors, with room for a hundred culprits.
    pub fn by_tensors(strategy: Strategy, marks: Option<u64>) -> SearchArgs {
        SearchArgs {
            strategy,
            marks,
            by: By::Tensors,
            observe: See::Auto,
            max_culprits: 100,
            resume: false,
            no_metadata: false,
        }
    }
}
