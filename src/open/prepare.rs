//! What every comparing command does first: load the models and the data, start both sides, check that they fit.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::{autopsy, choose, named, opening, sides, untouched};
use crate::cli::{GlobalArgs, SetArgs};
use crate::files;
use crate::found::experiment::Experiment;
use crate::found::{InputTensor, InputsInfo, Report};
use crate::judge::Rules;
use crate::lab::Side;
use crate::lab::first::{self, First, Plan};
use crate::load::samples::{self, InputSpec};
use crate::load::{Model, synthetic};
use crate::onnx::ValueInfoProto;
use crate::open::asked::{Asked, Found};
use crate::run::RunError;
use crate::run::ort::{Runtime, library, runtime};
use crate::spec::Precision;
use crate::tensor::Tensors;

/// Two sides and the data to compare them on.
pub struct Prepared {
    pub reference: Side,
    pub candidate: Side,
    pub feeds: Vec<Tensors>,
    pub rules: Rules,
    /// Names of the tensors that decide the verdict.
    pub outputs: Vec<String>,
    /// Where report and journal go.
    pub dir: PathBuf,
    /// Everything that is known before the first run.
    pub report: Report,
    /// What was asked, by contents.
    pub experiment: Experiment,
}

/// Loads and checks everything, and runs both models for the first time; `everything` says that all tensors will be asked
/// for if the outputs diverge.
pub fn prepare(args: &SetArgs, global: &GlobalArgs, everything: bool) -> anyhow::Result<(Prepared, First)> {
    let model = Model::open(&args.model, global.links())?;
    let hashing = std::thread::spawn({
        let model = model.clone();
        move || model.sha256()
    });
    let (candidate_spec, why) = match &args.candidate {
        Some(spec) => (spec.clone(), None),
        None => choose::best(global.ort_library.as_deref()).map(|(spec, why)| (spec, Some(why)))?,
    };
    sides::check_devices(&[&args.reference, &candidate_spec], global, &args.engine)?;
    let reference = sides::side(&args.reference, &model, global, args)?;
    let (feeds, inputs) = feeds(args, &reference)?;
    let candidate = sides::side(&candidate_spec, &model, global, args)?;
    check_inputs(&reference, &candidate)?;
    named::check(args, &reference, &candidate)?;
    untouched::files(args, &[&reference, &candidate])?;
    let outputs = outputs(args, &reference, &candidate)?;
    let library = library::find(global.ort_library.as_deref())?;
    let ort = Runtime::start(&library.path)?;
    let mut prepared = Prepared {
        rules: rules(args, &candidate),
        dir: dir(args),
        report: Report::default(),
        experiment: Experiment::default(),
        reference,
        candidate,
        feeds,
        outputs,
    };
    let asked =
        Asked { args, global, model: &model, feeds: &prepared.feeds, inputs: &inputs, outputs: &prepared.outputs };
    let theirs = Found::of(&prepared.candidate, global, &args.engine);
    let reading = asked.read(&prepared.reference, theirs, Some(&prepared.rules));
    prepared.report = header(&prepared, &model, &ort, inputs, why);
    opening::so_far(&prepared.dir, &prepared.report);
    let first = first_runs(&mut prepared, &ort, args.memory(), everything)?;
    prepared.report.model.sha256 = hashing.join().unwrap_or_default();
    prepared.experiment = reading.done(&prepared.report.model);
    Ok((prepared, first))
}

/// The first runs, and what their failures mean: a reference that cannot be built or run is bad input; one that crashes is
/// an answer, and so is a candidate that cannot be run.
fn first_runs(prepared: &mut Prepared, ort: &Runtime, memory: u64, everything: bool) -> anyhow::Result<First> {
    let Prepared { reference, candidate, feeds, outputs, report, .. } = prepared;
    let plan = Plan { ort, feeds, outputs, memory, everything };
    match first::run(reference, candidate, &plan) {
        Ok(mut first) => {
            first.unmarked = first.unmarked.map_err(|e| {
                let (e, crash) = autopsy::told("candidate", candidate, feeds, e);
                report.crash = crash;
                e
            });
            Ok(first)
        }
        Err(RunError::Build { reason, .. }) => {
            bail!("ONNX Runtime refuses {}: {reason}", reference.model.path.display())
        }
        Err(RunError::Run { reason, .. }) => {
            bail!("the reference fails on {}: {reason}", reference.model.path.display())
        }
        Err(e @ RunError::Crash { .. }) => {
            let (e, crash) = autopsy::told("reference", reference, feeds, e);
            report.crash = crash;
            Ok(First::failed(e, memory))
        }
        Err(other) => Err(other.into()),
    }
}

/// The samples that the arguments ask for, and how the report describes them.
pub fn feeds(args: &SetArgs, reference: &Side) -> anyhow::Result<(Vec<Tensors>, InputsInfo)> {
    let specs = input_specs(reference)?;
    let names: Vec<String> = specs.iter().map(|s| s.name.clone()).collect();
    let synthetic = args.inputs.is_empty();
    let (feeds, source) = if synthetic {
        let (shapes, ranges) = (args.shape.clone(), args.range.clone());
        let samples = args.samples.unwrap_or(1) as usize;
        let request = synthetic::Request { shapes, ranges, seed: args.seed, samples };
        (sides::named(&reference.model, synthetic::feeds(&specs, &request))?, format!("synthetic (seed {})", args.seed))
    } else {
        ensure!(
            args.shape.is_empty() && args.range.is_empty() && args.samples.is_none(),
            "--shape, --range and --samples are for synthetic data; leave them out, or leave --inputs out"
        );
        let mut all = Vec::new();
        for path in &args.inputs {
            let mut read = samples::read(path, &names, args.memory())?;
            samples::check(&mut read, &specs).with_context(|| path.display().to_string())?;
            all.extend(read);
        }
        let paths: Vec<String> = args.inputs.iter().map(|p| p.display().to_string()).collect();
        (all, paths.join(", "))
    };
    let first = feeds.first().context("the inputs hold no sample; give at least one")?;
    let tensors = first
        .iter()
        .map(|(name, t)| InputTensor { name: name.clone(), dtype: t.dtype.to_string(), shape: t.shape.clone() })
        .collect();
    let info = InputsInfo { source, synthetic, samples: feeds.len(), tensors };
    Ok((feeds, info))
}

fn input_specs(side: &Side) -> anyhow::Result<Vec<InputSpec>> {
    let declared = side.model.proto.graph.iter().flat_map(|g| &g.input);
    let fed = declared.filter(|v| side.graph.inputs.iter().any(|n| n == v.name()));
    let spec = |v: &ValueInfoProto| {
        let (model, name) = (side.model.path.display(), v.name());
        InputSpec::of(v).with_context(|| {
            format!("{model}: input '{name}' is not a tensor of a known type; layerdiff cannot feed it")
        })
    };
    fed.map(spec).collect()
}

/// Both models must take the same inputs: the same data goes into both.
fn check_inputs(reference: &Side, candidate: &Side) -> anyhow::Result<()> {
    for name in &candidate.graph.inputs {
        ensure!(
            reference.graph.inputs.contains(name),
            "{} needs the input '{name}', which {} does not have; compare models with the same inputs",
            candidate.model.path.display(),
            reference.model.path.display()
        );
    }
    Ok(())
}

fn outputs(args: &SetArgs, reference: &Side, candidate: &Side) -> anyhow::Result<Vec<String>> {
    let own: Vec<String> = reference.graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    if args.outputs.is_empty() {
        let theirs = |name: &String| candidate.graph.outputs.iter().any(|(o, _)| o == name);
        ensure!(
            own.iter().any(theirs),
            "{} and {} have no output of the same name; name tensors that both have with --outputs",
            reference.model.path.display(),
            candidate.model.path.display()
        );
        return Ok(own);
    }
    Ok(args.outputs.clone())
}

fn rules(args: &SetArgs, candidate: &Side) -> Rules {
    let quantised =
        candidate.graph.nodes.iter().any(|n| n.op_type == "QuantizeLinear" || n.op_type == "DequantizeLinear");
    let half = candidate.mentions_half() && candidate.spec.model.is_some();
    let precision = match candidate.spec.precision {
        Precision::Fp32 if quantised => Precision::Int8,
        Precision::Fp32 if half => Precision::Fp16,
        other => other,
    };
    let mut rules = Rules { precision, metric: args.metric, ..Rules::default() };
    for (given, all, named) in
        [(&args.atol, &mut rules.atol, &mut rules.atol_of), (&args.rtol, &mut rules.rtol, &mut rules.rtol_of)]
    {
        for (name, x) in given {
            match name {
                Some(name) => drop(named.insert(name.clone(), *x)),
                None => *all = Some(*x),
            }
        }
    }
    rules
}

/// `-o`, else MODEL_STEM.layerdiff; never what a command would take for a flag.
pub fn dir(args: &SetArgs) -> PathBuf {
    let by_model = || {
        let mut name = args.model.file_stem().unwrap_or(OsStr::new("model")).to_os_string();
        name.push(".layerdiff");
        PathBuf::from(name)
    };
    let dir = args.output_dir.clone().unwrap_or_else(by_model);
    if dir.as_os_str().as_encoded_bytes().starts_with(b"-") { Path::new(".").join(dir) } else { dir }
}

/// The journal in the folder of a report, where nothing but a file may stand.
pub fn journal(dir: &Path) -> anyhow::Result<PathBuf> {
    let path = dir.join("journal.jsonl");
    files::ensure_writable(&path).map(|()| path)
}

/// What the reader must know of a run that is the second.
fn apart(died: &str) -> String {
    format!(
        "ONNX Runtime ended the process of the first run ({died}); everything was run again with it in processes of its own, where its crashes end nothing else"
    )
}

fn header(prepared: &Prepared, model: &Model, ort: &Runtime, inputs: InputsInfo, why: Option<String>) -> Report {
    let Prepared { reference, candidate, rules, .. } = prepared;
    let mut report = opening::report(model, reference, ort, inputs);
    report.warnings.extend(runtime::died().map(apart));
    if candidate.spec.model.is_some() {
        report.warnings.extend(candidate.model.warnings.clone());
    }
    report.candidate = sides::info(candidate, why);
    report.tolerance = rules.info();
    report
}
