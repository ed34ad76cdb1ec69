//! What a reproducer tells its reader, and the proof that its files show the failure: a new process runs the very command
//! that they tell to run.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cli::{CheckArgs, EngineArgs, GlobalArgs, SetArgs};
use crate::compare::Tolerance;
use crate::found::experiment::Experiment;
use crate::found::words::file_name;
use crate::found::{Culprit, Exit, Metrics, Opening};
use crate::graph::Graph;
use crate::judge;
use crate::load::Model;
use crate::onnx::ModelProto;
use crate::reduce::drive::deliver::{LOST, Proof, UNPROVED};
use crate::reduce::story::{Bound, How, Story, TEST_SET};
use crate::reduce::{self, Case};
use crate::run::RunError;
use crate::run::child::{PARENT, Running, own_program};
use crate::scratch;
use crate::spec::{Accumulate, Spec};
use crate::tensor::Tensor;

/// What a reproducer tells of the run that it comes from.
#[derive(Clone, Copy)]
pub struct About<'a> {
    /// The model, the machine, both sides.
    pub opening: &'a Opening,
    /// What was asked.
    pub experiment: &'a Experiment,
}

/// What both the story and the proof say of the two sides.
pub struct Told<'a> {
    /// The flags that both sides are made of: models, data, tolerance.
    pub args: &'a SetArgs,
    /// The flags of every command: libraries, devices, where things are.
    pub global: &'a GlobalArgs,
    /// As the user wrote it.
    pub reference: &'a Spec,
    /// As the user wrote it, or as it was chosen.
    pub candidate: &'a Spec,
    /// What tensors were judged by.
    pub tolerance: &'a judge::Rules,
    /// The truth is what was stored, since the candidate's model is another.
    pub own_model: bool,
    /// How the candidate's session is made, as words of a command line.
    pub session: &'a [String],
}

impl Told<'_> {
    /// Tolerance, session and engine as words of a command line about `case`.
    fn flags(&self, case: &ModelProto) -> Vec<String> {
        flags(self.args, case).into_iter().chain(self.session.iter().cloned()).collect()
    }
}

/// The story of a wrong tensor.
pub fn of_culprit(culprit: &Culprit, about: &About, told: &Told, case: &Case, notes: &[String]) -> Story {
    let node = culprit.node.told();
    let sums = if told.args.arithmetic.accumulate == Accumulate::Fp16 { " with FP16 accumulation" } else { "" };
    let candidate = told.candidate.for_this_model();
    let title = format!("{} '{node}' gives wrong values in {candidate}{sums}", culprit.node.operator());
    let why = culprit.why.clone().unwrap_or_default();
    let sentences = format!("'{node}' {}. Proof: {why}.", culprit.deed());
    let mut error = rows("in the whole model", &culprit.accumulated);
    if let Some(local) = &culprit.local {
        error.extend(rows("alone, on reference inputs", local));
    }
    Story {
        title,
        how: How::Compare {
            reference: told.reference.to_string(),
            candidate: told.candidate.to_string(),
            flags: told.flags(&case.model),
            bounds: bounds(told.tolerance, case),
            own_model: told.own_model,
        },
        culprit: Some(sentences),
        error,
        ..common(about, case, notes)
    }
}

/// The story of a failure that a command shows.
pub fn of_check(args: &CheckArgs, about: &About, case: &Case, notes: &[String]) -> Story {
    let command = args.check.clone().unwrap_or_default();
    let title = match reduce::names(&case.model).as_slice() {
        [one] => format!("'{one}' alone fails the check"),
        several => format!("{} nodes fail the check together", several.len()),
    };
    Story { title, how: How::Check { command, flags: args.flags() }, ..common(about, case, notes) }
}

fn common(about: &About, case: &Case, notes: &[String]) -> Story {
    let About { opening, experiment } = about;
    let env = &opening.environment;
    let sha256 = experiment.model.first().map(|own| own.contents.as_str()).unwrap_or_default();
    let row = |name: &str, value: &str| (!value.is_empty()).then(|| (name.to_string(), value.to_string()));
    let rows = [
        row("layerdiff", &experiment.layerdiff),
        row("ONNX Runtime", &env.onnxruntime),
        row("CUDA", env.cuda.as_deref().unwrap_or_default()),
        row("TensorRT", env.tensorrt.as_deref().unwrap_or_default()),
        row("GPU", env.gpu.as_deref().unwrap_or_default()),
        row("CPU", &env.cpu),
        row("system", &env.os),
        row("cut out of", &format!("{} (SHA-256 {})", file_name(&opening.model.path), sha256)),
        row("reference", &opening.reference.described()),
        row("candidate", &opening.candidate.described()),
    ];
    Story {
        environment: rows.into_iter().flatten().collect(),
        nodes: reduce::kinds(&case.model),
        notes: notes.to_vec(),
        ..Story::default()
    }
}

/// What the report shows of one error.
fn rows(which: &str, metrics: &Metrics) -> Vec<(String, String)> {
    vec![(which.to_string(), metrics.told())]
}

/// What each output may differ by.
fn bounds(rules: &judge::Rules, case: &Case) -> Vec<Bound> {
    let outputs = case.expected.iter().flatten();
    let bound = |(name, value): (&String, &Tensor)| {
        let Tolerance { atol, rtol } = rules.tolerance(name, value);
        Bound { output: name.clone(), atol, rtol }
    };
    outputs.map(bound).collect()
}

/// The tolerance, and how an engine is built, as words of a command line. What is said of tensors that the case lost is
/// left out, and a name that begins like a flag cannot be taken for one.
fn flags(args: &SetArgs, case: &ModelProto) -> Vec<String> {
    let graph = Graph::new(case).ok();
    let word = |flag: &str, (name, x): &(Option<String>, f64)| match name {
        None => vec![flag.to_string(), x.to_string()],
        Some(name) if graph.as_ref().is_some_and(|graph| graph.knows(name)) => vec![format!("{flag}={name}={x}")],
        Some(_) => Vec::new(),
    };
    let atol = args.atol.iter().flat_map(|bound| word("--atol", bound));
    let rtol = args.rtol.iter().flat_map(|bound| word("--rtol", bound));
    let engine = &args.engine;
    let number = |flag: &str, n: Option<u64>| n.map(|n| [flag.to_string(), n.to_string()]).into_iter().flatten();
    let built = number("--builder-level", engine.builder_level).chain(number("--workspace", engine.workspace));
    let typed = engine.strongly_typed.then(|| "--strongly-typed".to_string());
    atol.chain(rtol).chain(args.arithmetic.words()).chain(built).chain(typed).chain(versions(engine)).collect()
}

/// Two versions of TensorRT: the failure is of both libraries, whoever sees it again.
fn versions(engine: &EngineArgs) -> Vec<String> {
    let path = |flag: &str, path: &Option<PathBuf>| {
        let absolute = path.as_ref().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        absolute.map(|path| [flag.to_string(), path.display().to_string()]).into_iter().flatten()
    };
    match &engine.candidate_trt_library {
        None => Vec::new(),
        other => path("--trt-library", &engine.trt_library).chain(path("--candidate-trt-library", other)).collect(),
    }
}

/// Runs `layerdiff compare` on the written files in a new process. `Err` of the inner result: what it said instead.
pub fn prove(told: &Told, model: &Path) -> Result<Proof, RunError> {
    let failed = |reason: String| RunError::Unproved { reason };
    let program = own_program().map_err(|e| failed(format!("this program cannot be found: {e}")))?;
    let data = model.with_file_name(TEST_SET);
    let out = scratch::folder().map_err(|e| failed(e.to_string()))?;
    let reference = match told.own_model {
        true => [OsStr::new("saved:"), data.as_os_str()].into_iter().collect(),
        false => OsString::from(told.reference.for_this_model()),
    };
    let mut command = Command::new(program);
    command.arg("compare").arg(model);
    command.args(["--candidate", &told.candidate.for_this_model(), "--reference"]).arg(&reference);
    let written = Model::load(model).map_err(|e| failed(format!("{e:#}")))?;
    command.arg("--inputs").arg(&data).args(told.flags(&written.proto));
    command.arg("-o").arg(out.path()).arg("--quiet").args(libraries(told.global, &told.args.engine));
    // It needs no process that outlives it: we do, and a crash of it is an answer to us.
    command.env(PARENT, std::process::id().to_string());
    let running = Running::spawn(command.stdin(Stdio::null())).map_err(|e| failed(format!("it did not start: {e}")))?;
    let status = running.wait_interruptibly(None)?;
    Ok(match status.and_then(|status| status.code()) {
        Some(code) if code == Exit::Diverged as i32 => Ok(()),
        Some(code) if code == Exit::Agreed as i32 => Err(format!("{LOST}both sides agree")),
        Some(code) => {
            let [_, stderr] = running.output();
            Err(format!(
                "{UNPROVED}layerdiff compare ends with status {code}: {}",
                String::from_utf8_lossy(&stderr).trim()
            ))
        }
        None => Err(format!("{UNPROVED}layerdiff compare was killed")),
    })
}

/// What is where on this very machine: for the proof, not for the reader of the reproducer.
fn libraries(global: &GlobalArgs, engine: &EngineArgs) -> Vec<OsString> {
    let path = |flag: &str, path: &Option<PathBuf>| {
        let absolute = path.as_ref().map(|p| std::path::absolute(p).unwrap_or_else(|_| p.clone()));
        absolute.map(|p| [flag.into(), p.into_os_string()]).into_iter().flatten()
    };
    // One of several is enough.
    let chosen = engine.devices.as_ref().and_then(|devices| devices.numbers().first());
    let device = chosen.map(|number| ["--devices".into(), number.to_string().into()]).into_iter().flatten();
    // Where there are two, the flags of the reproducer name them.
    let library = engine.trt_library.clone().filter(|_| engine.candidate_trt_library.is_none());
    let trt = path("--trt-library", &library).chain(path("--timing-cache", &engine.timing_cache));
    let ort = global.ort_library.iter().flat_map(|path| ["--ort-library".into(), path.clone().into_os_string()]);
    let named = |name: &str, path: &Path| [OsStr::new(name), OsStr::new("="), path.as_os_str()].into_iter().collect();
    let plugin = |(name, path): &(String, PathBuf)| ["--ep-library".into(), named(name, path)];
    ort.chain(trt).chain(device).chain(global.ep_library.iter().flat_map(plugin)).collect()
}
