//! A pipeline instead of a pair: one reference and any number of stages, each loaded and run once on the same data; and how one
//! of these runs stands to another, judged by the rules that `compare` judges by.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};

use super::stand::{Pair, Stand};
use super::{data, named, opening, part, places, sides};
use crate::cli::{GlobalArgs, SetArgs, StageArg, StagesArgs};
use crate::found::{BackendInfo, Opening};
use crate::judge::Labels;
use crate::lab::first::{self, Plan};
use crate::lab::{Lowering, Side, Survey};
use crate::load::Model;
use crate::progress::Progress;
use crate::run::ort::{Runtime, library};
use crate::run::{Answer, RunError};
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
    /// Where the report goes.
    pub dir: PathBuf,
    survey: Survey,
}

/// A run that is over.
pub struct Ran {
    /// What the user calls it.
    pub name: String,
    /// What ran.
    pub side: Side,
    /// What it gave, by sample; its failure is an answer that is told.
    pub values: Result<Vec<Tensors>, RunError>,
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
    args.stages
        .iter()
        .try_for_each(|stage| part::stored(set, &stage.spec, &inputs.files).with_context(|| told(stage)))?;
    let (feeds, inputs, shard) = part::samples(set, &fingerprint(args), feeds, inputs)?;
    let mut stages = Vec::new();
    for stage in &args.stages {
        let side = sides::side(&stage.spec, &model, global, set).with_context(|| told(stage))?;
        data::check_inputs(&reference, &side).with_context(|| told(stage))?;
        named::check(set, &reference, &side).with_context(|| told(stage))?;
        data::outputs(set, &reference, &side).with_context(|| told(stage))?;
        stages.push(side);
    }
    let outputs = data::outputs(set, &reference, &reference)?;
    named::metrics(set, &outputs, &reference)?;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let mut opening = opening::opening(&model, &reference, &ort, inputs);
    opening.shard = shard;
    opening.notes.extend(data::not_finite(&feeds));
    opening.model.sha256 = model.sha256();
    let plan = Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: set.memory(), everything: false };
    progress.step("reference");
    let rewritten = stages.iter().any(|side| side.rewrites() && side.spec.model.is_none());
    let ran = first::reference(&mut reference, rewritten, &plan);
    let (survey, answer) = match ran.and_then(|(survey, answer)| Ok((survey, answer?))) {
        Ok(ran) => ran,
        Err(RunError::Build { reason, .. }) => bail!("ONNX Runtime refuses {}: {reason}", set.model.display()),
        Err(RunError::Run { reason, .. }) => bail!("the reference fails on {}: {reason}", set.model.display()),
        Err(other) => return Err(other.into()),
    };
    let mut ran = Vec::new();
    for (stage, mut side) in args.stages.iter().zip(stages) {
        progress.step(format!("stage {} of {}: {}", ran.len() + 1, args.stages.len(), stage.name));
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
    let (labels, dir) = (data::labels(set)?, places::dir(set));
    let reference = Ran::of("reference", reference, Ok(answer));
    Ok(Line { args: set, opening, reference, stages: ran, feeds, outputs, labels, dir, survey })
}

/// What all shards of one pipeline have in common.
fn fingerprint(args: &StagesArgs) -> String {
    let mut more: Vec<String> = args.stages.iter().map(|stage| format!("{}={}", stage.name, stage.spec)).collect();
    more.extend(args.truth.as_ref().map(|path| path.display().to_string()));
    args.set.fingerprint(&more)
}

fn told(stage: &StageArg) -> String {
    format!("stage '{}'", stage.name)
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
            Err(e) => (Err(e), Vec::new()),
        };
        Ran { name: name.to_string(), side, values, seconds }
    }

    /// How long each sample took; an emulation has no time of its own.
    pub fn times(&self) -> &[f64] {
        if matches!(self.side.lowering, Lowering::Emulate(_)) { &[] } else { &self.seconds }
    }

    /// For the report.
    pub fn info(&self) -> BackendInfo {
        sides::info(&self.side, None)
    }
}

impl Line<'_> {
    /// How `candidate` stands to `believed`, both of this line.
    pub fn stand(&self, believed: &Ran, candidate: &Ran) -> anyhow::Result<Stand> {
        let (right, got) = match (&believed.values, &candidate.values) {
            (_, Err(why)) => return Ok(Stand::without(why.to_string())),
            (Err(_), _) => {
                return Ok(Stand::without(format!("stage '{}' gave nothing to compare with", believed.name)));
            }
            (Ok(right), Ok(got)) => (right.clone(), got.clone()),
        };
        let pair = Pair {
            reference: &believed.side,
            candidate: &candidate.side,
            survey: &self.survey,
            args: self.args,
            labels: &self.labels,
            outputs: &self.outputs,
        };
        pair.stand(&self.feeds, right, got)
    }
}
