//! From arguments and two sides to the experiment that they are. What is in the files is read beside the first runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use crate::cli::{
    By, CheckArgs, EngineArgs, GlobalArgs, ReproducerArgs, SearchArgs, See, SessionArgs, SetArgs, Strategy,
};
use crate::found::InputsInfo;
use crate::found::experiment::contents::{named_in, of_library, of_path, of_samples};
use crate::found::experiment::{Data, Experiment, Participant, Source};
use crate::judge::Rules;
use crate::lab::Side;
use crate::load::sizes::Sweep;
use crate::load::{Model, samples};
use crate::open::{backends, engine};
use crate::run::RunError;
use crate::run::tensorrt;
use crate::spec::Place;
use crate::tensor::Tensors;

/// Variables that change what the libraries compute, and how long a command may take.
const VARIABLES: [&str; 7] = [
    "CUBLAS_WORKSPACE_CONFIG",
    "CUDA_VISIBLE_DEVICES",
    "LAYERDIFF_EXEC_TIMEOUT",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "ORT_TENSORRT_FP16_ENABLE",
    "ORT_TENSORRT_INT8_ENABLE",
];

/// What is compared: both sides, the data, what is judged.
pub struct Asked<'a> {
    /// The flags that both sides were made of.
    pub args: &'a SetArgs,
    /// The flags of every command.
    pub global: &'a GlobalArgs,
    /// The model under debugging.
    pub model: &'a Model,
    /// One set of inputs a sample.
    pub feeds: &'a [Tensors],
    /// What the report says of them.
    pub inputs: &'a InputsInfo,
    /// Names of the outputs that decide the verdict.
    pub outputs: &'a [String],
}

/// The contents of files, while they are being read.
pub struct Reading {
    /// All but what is in the files.
    pub known: Experiment,
    thread: JoinHandle<Experiment>,
}

impl Asked<'_> {
    /// Starts to read. `rules` are those of the tolerance, where that decides.
    pub fn read(&self, reference: &Side, candidate: Found, rules: Option<&Rules>) -> Reading {
        let weights = self.model.weight_files();
        let judges = self.args.metric_command.iter().flat_map(|command| named_in(command));
        let judges = judges.map(|path| (path, "--metric-command"));
        let judges: Vec<_> = judges.chain(self.args.fit.file().map(|path| (path.to_path_buf(), "--map"))).collect();
        let (reference, feeds) = (Found::of(reference, self.global, &self.args.engine), self.feeds.to_vec());
        let known = Experiment {
            layerdiff: env!("CARGO_PKG_VERSION").to_string(),
            outputs: self.outputs.to_vec(),
            data: Data { source: self.inputs.source.clone(), samples: feeds.len(), ..Data::default() },
            tolerance: rules.map(tolerance).unwrap_or_default(),
            flags: flags(self.args),
            environment: VARIABLES
                .into_iter()
                .filter_map(|name| Some((name.to_string(), std::env::var_os(name)?.to_string_lossy().into_owned())))
                .collect(),
            ..Experiment::default()
        };
        let first = known.clone();
        let thread = thread::spawn(move || Experiment {
            model: weights.iter().map(|path| of_path(path)).collect(),
            reference: reference.read(),
            candidate: candidate.read(),
            data: Data { contents: of_samples(&feeds), ..known.data },
            flags: known.flags.into_iter().chain(judges.iter().map(|(path, flag)| of_judge(path, flag))).collect(),
            ..known
        });
        Reading { known: first, thread }
    }
}

impl Reading {
    /// All that was asked; the file at `model` goes by its SHA-256.
    pub fn done(self, model: &str, sha256: String) -> Experiment {
        let mut experiment = self.thread.join().unwrap_or(self.known);
        let own = Source { path: model.to_string(), contents: sha256 };
        experiment.model.insert(0, own);
        experiment
    }
}

/// A side, and where its contents are.
pub struct Found {
    known: Participant,
    files: Vec<PathBuf>,
    /// Asked late: it may take a while to find them.
    libraries: Box<dyn FnOnce() -> Result<Vec<PathBuf>, RunError> + Send>,
}

/// Its kind; of stored results those of one runner.
fn place(place: &Place) -> String {
    let runner = if let Place::Saved(path) = place { samples::of_runner(path).1 } else { None };
    runner.map_or_else(|| place.to_string(), |runner| format!("{place}@{runner}"))
}

impl Found {
    /// What is known of a side at once, and where the rest is to be read.
    pub fn of(side: &Side, global: &GlobalArgs, args: &EngineArgs) -> Found {
        let spec = side.spec.clone();
        let mut files = match &spec.model {
            Some(engine) if engine::is_ready(&spec) => vec![engine.clone()],
            Some(_) => files_of(&side.model),
            None => Vec::new(),
        };
        let command = if let Place::Exec(command) = &spec.place { Some(command.clone()) } else { None };
        if let Place::Saved(path) = &spec.place {
            files.push(samples::of_runner(path).0);
        }
        files.extend(command.iter().flat_map(|command| named_in(command)));
        let (precision, version) = (spec.precision.to_string(), side.about().info.version.clone());
        let known = Participant { place: place(&spec.place), precision, version, command, ..Participant::default() };
        let (global, args) = (global.clone(), args.clone());
        Found { known, files, libraries: Box::new(move || backends::libraries(&spec, &global, &args)) }
    }

    /// A command that judges.
    pub fn check(command: &str) -> Found {
        let known =
            Participant { place: "check".to_string(), command: Some(command.to_string()), ..Participant::default() };
        Found { known, files: named_in(command), libraries: Box::new(|| Ok(Vec::new())) }
    }

    fn read(self) -> Participant {
        let files = self.files.iter().map(|path| of_path(path)).collect();
        let libraries: Vec<Source> =
            (self.libraries)().unwrap_or_default().iter().map(|path| of_library(path)).collect();
        Participant { files, libraries, ..self.known }
    }
}

fn files_of(model: &Model) -> Vec<PathBuf> {
    [model.path.clone()].into_iter().chain(model.weight_files()).collect()
}

/// A file that the command reads which judges, or that says which array is which tensor.
fn of_judge(path: &Path, flag: &str) -> (String, String) {
    let Source { path, contents } = of_path(path);
    (format!("the contents of {path} ({flag})"), contents)
}

type Words = BTreeMap<String, String>;

fn tolerance(rules: &Rules) -> Words {
    let mut words = Words::from([("the precision of the tolerance".to_string(), rules.precision.to_string())]);
    for (flag, all, named) in [("--atol", rules.atol, &rules.atol_of), ("--rtol", rules.rtol, &rules.rtol_of)] {
        words.extend(all.map(|x| (flag.to_string(), x.to_string())));
        words.extend(named.iter().map(|(name, x)| (format!("{flag} {name}"), x.to_string())));
    }
    words.extend((!rules.metrics.is_empty()).then(|| ("--metric".to_string(), rules.metrics.to_string())));
    words
}

/// Of the data that is made up, of what judges outputs, and of how engines are built.
fn flags(args: &SetArgs) -> Words {
    let mut words = Words::new();
    let mut add = |flag: &str, value: Option<String>| words.extend(value.map(|value| (flag.to_string(), value)));
    let all = |values: Vec<String>| (!values.is_empty()).then(|| values.join(" "));
    if args.inputs.is_empty() {
        add("--seed", Some(args.seed.to_string()));
        let range = |(name, lo, hi): &(Option<String>, f64, f64)| {
            name.as_ref().map_or_else(|| format!("{lo}..{hi}"), |name| format!("{name}={lo}..{hi}"))
        };
        add("--range", all(args.range.iter().map(range).collect()));
        add("--shape", all(args.shape.iter().map(|(name, dims)| format!("{name}={dims:?}")).collect()));
    }
    let sizes = |sweep: &Sweep| format!("{}={:?}", sweep.dim, sweep.sizes);
    add("--sweep", all(args.sweep.iter().map(sizes).collect()));
    let pair = |(out, to): &(String, String)| format!("{out}={to}");
    add("--steps", args.steps.map(|n| n.to_string()));
    add("--feedback", all(args.feedback.iter().map(pair).collect()));
    add("--token", args.token.as_ref().map(pair));
    add("--batch-check", args.batch_check.then(|| "on".to_string()));
    add("--preprocess", args.preprocess.as_ref().map(|recipe| recipe.to_string()));
    add("--metric-command", args.metric_command.clone());
    add("--map and --layout", all(args.fit.words()));
    for word in args.arithmetic.words().as_chunks::<2>().0 {
        add(&word[0], Some(word[1].clone()));
    }
    // Another library is known by its contents.
    let session = SessionArgs { candidate_ort_library: None, ..args.session.clone() };
    add("ONNX Runtime's session", all(session.words()));
    let engine = &args.engine;
    let profile = |r: &tensorrt::Range| format!("{}={:?}:{:?}:{:?}", r.input, r.min, r.opt, r.max);
    add("--profile", all(engine.profile.iter().map(profile).collect()));
    add("--strongly-typed", engine.strongly_typed.then(|| "on".to_string()));
    add("--workspace", engine.workspace.map(|n| n.to_string()));
    add("--builder-level", engine.builder_level.map(|n| n.to_string()));
    add("--devices", engine.devices.as_ref().map(|d| d.to_string()));
    words
}

/// How the search looks: what is marked together decides what an engine makes of it.
pub fn of_search(args: &SearchArgs) -> Words {
    let given = |flag: &str, given: bool, value: String| given.then(|| (flag.to_string(), value.to_lowercase()));
    let flags = [
        given("--strategy", args.strategy != Strategy::Auto, format!("{:?}", args.strategy)),
        given("--marks", args.marks.is_some(), args.marks.unwrap_or_default().to_string()),
        given("--by", args.by != By::Tensors, format!("{:?}", args.by)),
        given("--observe", args.observe != See::Auto, format!("{:?}", args.observe)),
    ];
    flags.into_iter().flatten().collect()
}

/// What attempts at a reproducer depend on. None where none are made: those that measured go on with those that cut out.
pub fn of_reproducer(args: &ReproducerArgs) -> Words {
    let on = |flag: &str, given: bool| given.then(|| (flag.to_string(), "on".to_string()));
    [on("--freeze", args.freeze), on("--shrink-weights", args.shrink_weights)].into_iter().flatten().collect()
}

/// How a check is judged.
pub fn of_check(args: &CheckArgs) -> Words {
    let rules = args.flags().join(" ");
    let rules = (!rules.is_empty()).then(|| ("the rules of --check".to_string(), rules));
    let limit = args.check_timeout.map(|limit| ("--check-timeout".to_string(), limit.as_secs_f64().to_string()));
    rules.into_iter().chain(limit).collect()
}
