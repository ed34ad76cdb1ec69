//! What is compared with what: the flags that every comparing command has.

use std::path::PathBuf;

use clap::Args;

use super::arithmetic::ArithmeticArgs;
use super::fit::FitArgs;
use super::session::SessionArgs;
use super::values::{
    Devices, Misplaced, parse_bound, parse_bytes, parse_devices, parse_pair, parse_profile, second_of_two, spec,
};
use crate::found::shard::{Part, parse_part};
use crate::judge::NamedMetric;
use crate::load::images::{Recipe, parse_recipe};
use crate::load::sizes::{Sweep, parse_sweep};
use crate::load::synthetic::{parse_range, parse_shape};
use crate::run::metric;
use crate::run::tensorrt::Range;
use crate::spec::{Precision, Spec, parse_precision};

/// What is compared with what, on which data, how closely.
#[derive(Args, Debug, Clone)]
pub struct SetArgs {
    /// The ONNX model under debugging
    pub model: PathBuf,
    /// A second model has another place
    #[arg(hide = true, value_parser = second_of_two)]
    pub second: Option<Misplaced>,
    /// The run under suspicion. (Square brackets of a help text would be links in the documentation.)
    #[arg(
        long,
        short = 'c',
        value_name = "SPEC",
        value_parser = spec(),
        help = "The run under suspicion: BACKEND[:PRECISION][@MODEL], exec:'CMD {model} {inputs} {outputs}' or saved:FILE[@RUNNER]"
    )]
    pub candidate: Option<Spec>,
    /// The run that is believed
    #[arg(long, value_name = "SPEC", value_parser = spec(), default_value = "ort")]
    pub reference: Spec,

    /// Input data: .npz, .npy, .safetensors, JSON of Polygraphy or trtexec, a list of raw files, NAME=FILE,..., a test_data_set folder, or a folder of such files, of raw inputs or of pictures (repeatable: each file is a sample)
    #[arg(long, short = 'i', value_name = "PATH", help_heading = "Inputs")]
    pub inputs: Vec<PathBuf>,
    /// How pictures (.png, .jpg) become inputs: imagenet, yolo or plain, then what is otherwise: size=224, channels=bgr, layout=nhwc, scale=1/255, mean=0.5, std=0.5
    #[arg(long, value_name = "RECIPE", value_parser = parse_recipe, help_heading = "Inputs")]
    pub preprocess: Option<Recipe>,
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
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000), help_heading = "Inputs")]
    pub samples: Option<u64>,

    /// Sizes of a dynamic dimension, all of which are compared; the smallest that fails is searched (repeatable)
    #[arg(long, value_name = "DIM=1,2,4|1..64/8", value_parser = parse_sweep, help_heading = "Inputs")]
    pub sweep: Vec<Sweep>,
    /// Is each row of a batch what it is alone, on both sides?
    #[arg(long, conflicts_with = "sweep", help_heading = "Inputs")]
    pub batch_check: bool,
    /// Decode so many steps, fed by the reference and by its own outputs; the first step that fails is searched
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000), conflicts_with_all = ["sweep", "batch_check"], help_heading = "Decoding")]
    pub steps: Option<u64>,
    /// An output that is an input of the next step (repeatable) [default: by their names]
    #[arg(long, value_name = "OUT=IN", value_parser = parse_pair, requires = "steps", num_args = 1.., help_heading = "Decoding")]
    pub feedback: Vec<(String, String)>,
    /// Scores of the next token, and the input of token ids [default: by their names]
    #[arg(long, value_name = "LOGITS=IDS", value_parser = parse_pair, requires = "steps", help_heading = "Decoding")]
    pub token: Option<(String, String)>,

    /// Largest absolute difference that agrees [default: scale-aware]
    #[arg(long, value_name = "[TENSOR=]X", value_parser = parse_bound, help_heading = "Tolerance")]
    pub atol: Vec<(Option<String>, f64)>,
    /// Largest relative difference that agrees [default: by precision]
    #[arg(long, value_name = "[TENSOR=]X", value_parser = parse_bound, help_heading = "Tolerance")]
    pub rtol: Vec<(Option<String>, f64)>,
    /// What the candidate computes in, where its SPEC does not say: fp32 tf32 fp16 bf16 int8 fp8 [default: by what is seen]
    #[arg(long, value_name = "P", value_parser = parse_precision, help_heading = "Tolerance")]
    pub candidate_precision: Option<Precision>,
    /// Judge final outputs, all or one, by cosine, sqnr, psnr, topk, l2, p99, mean or max instead (repeatable)
    #[arg(long, value_name = "[OUTPUT:]METRIC=X", help_heading = "Tolerance")]
    pub metric: Vec<NamedMetric>,
    /// Judge all final outputs together by a command: exit status 0 agrees, 1 diverges, anything else is inconclusive
    #[arg(long, value_name = "'CMD {reference} {candidate}'", value_parser = metric::parse, conflicts_with = "metric", help_heading = "Tolerance")]
    pub metric_command: Option<String>,
    /// What classes are called: one a line, or JSON; changed decisions are told by these names
    #[arg(long, value_name = "FILE", help_heading = "Tolerance")]
    pub labels: Option<PathBuf>,
    /// Judge these tensors instead of the model's outputs
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', help_heading = "Tolerance")]
    pub outputs: Vec<String>,

    /// Do a part of the work, for `layerdiff merge`: every N-th sample, or size of a --sweep, or node of --sensitivity
    #[arg(long, value_name = "I/N", value_parser = parse_part)]
    pub shard: Option<Part>,
    /// Bytes of tensors held at once, both sides together (1G, 500M) [default: half of what is free]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub memory: Option<u64>,
    /// How long do both sides take, as they are deployed: the median of so many runs [default: 15]
    #[arg(long, value_name = "RUNS", num_args = 0..=1, require_equals = true, default_missing_value = "15", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub latency: Option<u64>,
    /// Run an exec: command no second time on the same data: then nobody knows whether it answers the same twice
    #[arg(long)]
    pub once: bool,
    /// Keep both runs' values of the measured tensors: as .npz, .safetensors, Polygraphy's .json, or a .txt that lists raw files beside it
    #[arg(long, value_name = "FILE")]
    pub save_tensors: Option<PathBuf>,
    /// Where the report goes [default: MODEL_STEM.layerdiff]
    #[arg(short = 'o', long = "output-dir", value_name = "DIR")]
    pub output_dir: Option<PathBuf>,
    /// Print the report as JSON on stdout
    #[arg(long)]
    pub json: bool,

    /// How the candidate's tensors are found among the model's.
    #[command(flatten)]
    pub fit: FitArgs,
    /// How an emulation computes.
    #[command(flatten)]
    pub arithmetic: ArithmeticArgs,
    /// How the candidate's session is made.
    #[command(flatten)]
    pub session: SessionArgs,
    /// How engines are built.
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// How engines are built.
#[derive(Args, Debug, Clone, Default)]
pub struct EngineArgs {
    /// TensorRT's library or its folder, when not the one that is found: see `layerdiff doctor`
    #[arg(long, value_name = "PATH", help_heading = "TensorRT")]
    pub trt_library: Option<PathBuf>,
    /// Another TensorRT for the candidate, in a process of its own: two versions against each other
    #[arg(long, value_name = "PATH", help_heading = "TensorRT")]
    pub candidate_trt_library: Option<PathBuf>,
    /// Shapes of an input that the engine is built for (repeatable) [default: those of the data]
    #[arg(long, value_name = "NAME=MIN:OPT:MAX", value_parser = parse_profile, help_heading = "TensorRT")]
    pub profile: Vec<Range>,
    /// On TensorRT 10, take precisions from a converted model too, as TensorRT 11 and RTX do (8.6 cannot)
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
    /// The same as it is for the candidate.
    pub fn of_candidate(&self) -> EngineArgs {
        let other = self.candidate_trt_library.clone();
        EngineArgs { trt_library: other.or_else(|| self.trt_library.clone()), ..self.clone() }
    }

    /// The flag that names the library.
    pub fn library_flag(&self) -> &'static str {
        let other = self.candidate_trt_library.is_some() && self.trt_library == self.candidate_trt_library;
        if other { "--candidate-trt-library" } else { "--trt-library" }
    }

    /// The numbers of the GPUs to use: one at least.
    pub fn gpus(&self) -> &[usize] {
        self.devices.as_ref().map_or(&[0], Devices::numbers)
    }
}

impl SetArgs {
    /// Bytes of tensors that may be held: `--memory`, else half of what the system says is free.
    pub fn memory(&self) -> u64 {
        let free = || {
            let text = std::fs::read_to_string("/proc/meminfo").ok()?;
            let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
            Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024 / 2)
        };
        self.memory.or_else(free).unwrap_or(2 << 30)
    }
}
