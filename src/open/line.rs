//! A pipeline instead of a pair: one reference and any number of stages, each loaded and run once on the same data; and how one
//! of these runs stands to another, judged by the rules that `compare` judges by. A stage that cannot be loaded or run has a
//! reason in the place of values, and keeps no other stage from its row.

use std::error::Error;
use std::io;

use anyhow::{bail, ensure};

use super::stand::{Pair, Stand};
use super::{data, named, opening, part, sides};
use crate::cli::{GlobalArgs, SetArgs, StageArg, StagesArgs};
use crate::found::{BackendInfo, Opening};
use crate::judge::Labels;
use crate::lab::first::{self, Plan};
use crate::lab::{Lowering, Side, Survey};
use crate::load::Model;
use crate::progress::Progress;
use crate::run::ort::{Runtime, library};
use crate::run::{Answer, RunError};
use crate::spec::Spec;
use crate::tensor::Tensors;

/// All that has run.
pub struct Line<'a> {
    args: &'a SetArgs,
    /// The model, the reference, the data and the machine.
    pub opening: Opening,
    /// The run that is believed.
    pub reference: Ran,
    /// In the order of the command line.
    pub stages: Vec<Ran>,
    /// One set of inputs a sample.
    pub feeds: Vec<Tensors>,
    /// Names of the tensors that decide.
    pub outputs: Vec<String>,
    /// What classes are called.
    pub labels: Labels,
    survey: Survey,
}

/// A run that is over.
pub struct Ran {
    /// What the user calls it.
    pub name: String,
    /// What it was to run.
    pub spec: Spec,
    /// What ran; `None` where it could not be loaded.
    pub side: Option<Side>,
    /// What it gave, by sample; else why it gave nothing, which is an answer that is told.
    pub values: Result<Vec<Tensors>, String>,
    /// By sample, as far as the backend tells.
    seconds: Vec<f64>,
}

/// Loads and runs everything, one after the other: engines and large models do not fit beside each other.
pub fn run<'a>(args: &'a StagesArgs, global: &GlobalArgs, progress: &Progress) -> anyhow::Result<Line<'a>> {
    let set = &args.set;
    check(args)?;
    let model = Model::open(&set.model, global.links())?;
    let specs: Vec<_> = args.stages.iter().map(|stage| &stage.spec).collect();
    sides::check_devices(&[&[&set.reference], &specs[..]].concat(), global, &set.engine)?;
    let mut reference = sides::side(&set.reference, &model, global, set)?;
    let (feeds, inputs) = data::feeds(set, &reference)?;
    let files = inputs.files.clone();
    let (feeds, inputs, shard) = part::samples(set, &fingerprint(args), feeds, inputs)?;
    // What the flags name must be there: a stage that has it not is told, and a misspelt name is no stage's fault.
    named::check(set, &reference, &reference)?;
    let outputs = data::outputs(set, &reference, &reference)?;
    named::metrics(set, &outputs, &reference)?;
    let labels = data::labels(set)?;
    let loading = Loading { model: &model, global, set, reference: &reference, files: &files, outputs: &outputs };
    let stages = args.stages.iter().map(|stage| loading.stage(stage)).collect::<anyhow::Result<Vec<_>>>()?;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let mut opening = opening::opening(&model, &reference, &ort, inputs);
    opening.shard = shard;
    opening.notes.extend(data::not_finite(&feeds));
    opening.model.sha256 = model.sha256();
    let plan = Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: set.memory(), everything: false };
    progress.step("reference");
    let rewritten = stages.iter().flatten().any(|side| side.rewrites() && side.spec.model.is_none());
    let ran = first::reference(&mut reference, rewritten, &plan);
    let (survey, answer) = match ran.and_then(|(survey, answer)| Ok((survey, answer?))) {
        Ok(ran) => ran,
        Err(RunError::Build { reason, .. }) => bail!("ONNX Runtime refuses {}: {reason}", set.model.display()),
        Err(RunError::Run { reason, .. }) => bail!("the reference fails on {}: {reason}", set.model.display()),
        Err(other) => return Err(other.into()),
    };
    let mut ran = Vec::new();
    for (stage, side) in args.stages.iter().zip(stages) {
        progress.step(format!("stage {} of {}: {}", ran.len() + 1, args.stages.len(), stage.name));
        let mut side = match side {
            Ok(side) => side,
            Err(why) => {
                ran.push(Ran::unloaded(stage, why));
                continue;
            }
        };
        // The reference once more would be no second opinion.
        let answer = match stage.spec == set.reference {
            true => Ok(Answer { values: answer.values.clone(), seconds: answer.seconds.clone(), ..Answer::default() }),
            false => first::candidate(&reference, &mut side, &survey, &plan),
        };
        if let Err(RunError::Interrupted) = answer {
            return Err(RunError::Interrupted.into());
        }
        ran.push(Ran::of(&stage.name, side, answer));
    }
    let reference = Ran::of("reference", reference, Ok(answer));
    Ok(Line { args: set, opening, reference, stages: ran, feeds, outputs, labels, survey })
}

/// What every stage is loaded with.
struct Loading<'a> {
    model: &'a Model,
    global: &'a GlobalArgs,
    set: &'a SetArgs,
    reference: &'a Side,
    /// What each sample was read from, of all shards.
    files: &'a [String],
    /// Names of the tensors that decide.
    outputs: &'a [String],
}

impl Loading<'_> {
    /// The stage, or why it cannot be loaded or fed; only Ctrl-C ends the pipeline here.
    fn stage(&self, stage: &StageArg) -> anyhow::Result<Result<Side, String>> {
        let side = self.side(&stage.spec);
        let absent = |cause: &(dyn Error + 'static)| {
            cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
        };
        let absent = side.as_ref().is_err_and(|e| e.chain().any(absent));
        let advice = if absent { "; make that file, or correct its path in --stage" } else { "" };
        Ok(told(side)?.map_err(|why| why + advice))
    }

    fn side(&self, spec: &Spec) -> anyhow::Result<Side> {
        part::stored(self.set, spec, self.files)?;
        let side = sides::side(spec, self.model, self.global, self.set)?;
        data::check_inputs(self.reference, &side)?;
        named::check(self.set, self.reference, &side)?;
        data::outputs(self.set, self.reference, &side)?;
        ensure!(
            side.runs() || self.outputs.iter().any(|name| side.stores(name)),
            "'{spec}' holds none of {}; store the tensors under the names of the model's outputs",
            self.outputs.join(", ")
        );
        Ok(side)
    }
}

/// A failure as the reason that is told; Ctrl-C is none.
fn told<T>(answer: anyhow::Result<T>) -> anyhow::Result<Result<T, String>> {
    match answer {
        Ok(value) => Ok(Ok(value)),
        Err(e) if e.chain().any(|cause| matches!(cause.downcast_ref(), Some(RunError::Interrupted))) => Err(e),
        Err(e) => Ok(Err(format!("{e:#}"))),
    }
}

/// What all shards of one pipeline have in common.
fn fingerprint(args: &StagesArgs) -> String {
    let mut more: Vec<String> = args.stages.iter().map(|stage| format!("{}={}", stage.name, stage.spec)).collect();
    more.extend(args.truth.as_ref().map(|path| path.display().to_string()));
    args.set.fingerprint(&more)
}

fn check(args: &StagesArgs) -> anyhow::Result<()> {
    ensure!(
        args.set.candidate.is_none(),
        "`stages` takes each run under suspicion as a --stage [NAME=]SPEC; leave --candidate out"
    );
    ensure!(
        args.set.metric_command.is_none() && args.set.save_tensors.is_none(),
        "--metric-command and --save-tensors are for two runs; use them with `layerdiff compare`"
    );
    ensure!(
        args.set.sweep.is_empty() && !args.set.batch_check && args.set.steps.is_none(),
        "--sweep, --batch-check and --steps are for two runs; use them with `layerdiff compare` or `bisect`"
    );
    let mut names: Vec<&str> = args.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => bail!("two stages are called '{}'; name them apart: --stage NAME=SPEC", two[0]),
        None => Ok(()),
    }
}

impl Ran {
    fn of(name: &str, side: Side, answer: Result<Answer, RunError>) -> Ran {
        let (values, seconds) = match answer {
            Ok(Answer { values, seconds, .. }) => (Ok(values), seconds),
            Err(e) => (Err(e.to_string()), Vec::new()),
        };
        Ran { name: name.to_string(), spec: side.spec.clone(), side: Some(side), values, seconds }
    }

    fn unloaded(stage: &StageArg, why: String) -> Ran {
        let (name, spec) = (stage.name.clone(), stage.spec.clone());
        Ran { name, spec, side: None, values: Err(why), seconds: Vec::new() }
    }

    /// How long each sample took; an emulation has no time of its own.
    pub fn times(&self) -> &[f64] {
        let emulated = self.side.as_ref().is_some_and(|side| matches!(side.lowering, Lowering::Emulate(_)));
        if emulated { &[] } else { &self.seconds }
    }

    /// For the report: of what could not be loaded, what was asked for.
    pub fn info(&self) -> BackendInfo {
        match &self.side {
            Some(side) => sides::info(side, None),
            None => BackendInfo { spec: self.spec.to_string(), ..BackendInfo::default() },
        }
    }

    /// Can it stand in the reference's place, with any tensor marked at no cost?
    pub fn is_open(&self) -> bool {
        self.side.as_ref().is_some_and(|side| side.runs() && !side.is_engine())
    }

    /// What it gave, and what gave it.
    fn given(&self) -> Result<(&Side, &Vec<Tensors>), String> {
        let values = self.values.as_ref().map_err(String::clone)?;
        let side = self.side.as_ref().ok_or("it could not be loaded")?;
        Ok((side, values))
    }
}

impl Line<'_> {
    /// How `candidate` stands to `believed`, both of this line.
    pub fn stand(&self, believed: &Ran, candidate: &Ran) -> anyhow::Result<Stand> {
        let ((reference, right), (candidate, got)) = match (believed.given(), candidate.given()) {
            (_, Err(why)) => return Ok(Stand::without(why)),
            (Err(_), _) => {
                return Ok(Stand::without(format!("stage '{}' gave nothing to compare with", believed.name)));
            }
            (Ok(right), Ok(got)) => (right, got),
        };
        let (survey, labels) = (&self.survey, &self.labels);
        let pair = Pair { reference, candidate, survey, args: self.args, labels, outputs: &self.outputs };
        let stand = told(pair.stand(&self.feeds, right.clone(), got.clone()))?;
        Ok(stand.unwrap_or_else(Stand::without))
    }
}
