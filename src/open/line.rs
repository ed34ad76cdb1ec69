//! A pipeline instead of a pair: one reference and any number of stages, each loaded and run once on the same data; and how one
//! of these runs stands to another, judged by the rules that `compare` judges by. A stage that cannot be loaded or run has a
//! reason in the place of values, and keeps no other stage from its row.

mod loading;
mod running;

use anyhow::{bail, ensure};

use super::gave::Values;
use super::stand::{Pair, Stand};
use super::tried::{Course, Right, Tried};
use super::{cut, data, fit, named, opening, part, sides};
use crate::cli::{GlobalArgs, SetArgs, StagesArgs};
use crate::found::fitted::Fitted;
use crate::found::{BackendInfo, Latency, Note, Opening, Placement, Verdict};
use crate::judge::Labels;
use crate::lab::first::Plan;
use crate::lab::{Lowering, Side, Survey};
use crate::load::Model;
use crate::progress::Progress;
use crate::run::RunError;
use crate::run::ort::{Runtime, library};
use crate::spec::Spec;
use crate::tensor::Tensors;
use loading::{Loading, told};
use running::{Running, deciding};

/// All that has run.
pub struct Line<'a> {
    args: &'a SetArgs,
    /// The model, the reference, the data and the machine.
    pub opening: Opening,
    /// The run that is believed.
    pub reference: Ran,
    /// In the order of the command line.
    pub stages: Vec<Ran>,
    /// One set of inputs a sample, size or step.
    pub feeds: Vec<Tensors>,
    /// Names of the tensors that decide.
    pub outputs: Vec<String>,
    /// What classes are called.
    pub labels: Labels,
    course: Course,
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
    /// The outputs that decide, by sample, size or step; else why it gave nothing at all, which is an answer that is told.
    pub values: Result<Values, String>,
    /// Against the reference, where sizes or steps are asked for.
    pub tried: Tried,
    /// By sample, as far as the backend tells.
    seconds: Vec<f64>,
    /// Of repeated runs of the first sample as it is deployed, where they were asked for.
    repeated: Option<Latency>,
    /// Which execution provider ran what, where there are several.
    pub placement: Option<Placement>,
    /// What was done about its layouts.
    fitted: Vec<Fitted>,
}

/// Loads and runs everything, one after the other: engines and large models do not fit beside each other.
pub fn run<'a>(args: &'a StagesArgs, global: &GlobalArgs, progress: &Progress) -> anyhow::Result<Line<'a>> {
    let set = &args.set;
    check(args)?;
    let model = Model::open(&set.model, global.links())?;
    let (model, shortened) = cut::runnable(model, &set.outputs, global)?;
    let specs: Vec<_> = args.stages.iter().map(|stage| &stage.spec).collect();
    sides::check_devices(&[&[&set.reference], &specs[..]].concat(), global, &set.engine)?;
    sides::check_arithmetic(&specs, &set.arithmetic)?;
    sides::check_once(set, &specs)?;
    fit::check_stages(set, &specs)?;
    let mut reference = sides::side(&set.reference, &model, global, set)?;
    let (feeds, inputs) = data::feeds(set, &reference)?;
    part::stored(set, &set.reference, &inputs.files, feeds.len())?;
    let files = inputs.files.clone();
    let (feeds, inputs, shard) = part::samples(set, &fingerprint(args), feeds, inputs)?;
    let notes = data::not_finite(&feeds);
    let (course, feeds, sizes) = Course::of(set, &reference, &feeds, &fingerprint(args))?;
    // A stage that lacks what a flag names is told; a misspelt name is no stage's fault.
    named::check(set, &reference, &reference)?;
    let outputs = data::outputs(set, &reference, &reference)?;
    named::metrics(set, &outputs, &reference)?;
    let labels = data::labels(set)?;
    let loading =
        Loading { model: &model, global, set, reference: &reference, feeds: &feeds, files: &files, outputs: &outputs };
    let loaded = args.stages.iter().map(|stage| loading.stage(stage)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut fitted = Vec::new();
    let apart = |stage: Result<(Side, Vec<Note>), String>| {
        let (side, told) = stage?;
        fitted.extend(told);
        Ok(side)
    };
    let stages: Vec<Result<Side, String>> = loaded.into_iter().map(apart).collect();
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let mut opening = opening::opening(&model, &reference, &ort, inputs);
    opening.shard = shard.or(sizes);
    opening.notes.extend(shortened.into_iter().chain(notes).chain(fitted));
    opening.model.sha256 = model.sha256();
    let plan =
        Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: set.memory(), everything: false, held: false };
    progress.step("reference");
    let rewritten = stages.iter().flatten().any(|side| side.rewrites() && side.spec.model.is_none());
    let right = Right::of(&mut reference, rewritten, &course, &plan).map_err(|e| refused(set, e))?;
    if right.values.iter().all(Result::is_err)
        && let Some(Err(e)) = right.values.first()
    {
        return Err(refused(set, e.clone().into()));
    }
    let running = Running { set, labels: &labels, reference: &reference, right: &right, plan };
    let ran = args.stages.iter().zip(stages).enumerate().map(|(at, (stage, side))| {
        progress.step(format!("stage {} of {}: {}", at + 1, args.stages.len(), stage.name));
        running.stage(stage, side)
    });
    let ran = ran.collect::<anyhow::Result<Vec<_>>>()?;
    let of_stage = |ran: &Ran, told: &Fitted| Note::Fitted(Fitted::Stage(ran.name.clone(), Box::new(told.clone())));
    opening.notes.extend(ran.iter().flat_map(|ran| ran.fitted.iter().map(move |told| of_stage(ran, told))));
    let Right { survey, feeds, values, seconds, .. } = right;
    let (name, spec) = ("reference".to_string(), set.reference.clone());
    let values = Ok(deciding(values, &outputs));
    let reference = Ran {
        name,
        spec,
        side: Some(reference),
        values,
        tried: Tried::default(),
        seconds,
        repeated: None,
        placement: None,
        fitted: Vec::new(),
    };
    Ok(Line { args: set, opening, reference, stages: ran, feeds, outputs, labels, course, survey })
}

/// A reference that cannot be built or run is bad input; whatever else ended it is told as it is.
fn refused(set: &SetArgs, e: anyhow::Error) -> anyhow::Error {
    let model = set.model.display();
    match e.downcast_ref() {
        Some(RunError::Build { reason, .. }) => anyhow::anyhow!("ONNX Runtime refuses {model}: {reason}"),
        Some(RunError::Run { reason, .. }) => anyhow::anyhow!("the reference fails on {model}: {reason}"),
        _ => e,
    }
}

/// What all shards of one pipeline have in common.
fn fingerprint(args: &StagesArgs) -> String {
    let mut more: Vec<String> = args.stages.iter().map(|stage| format!("{}={}", stage.name, stage.spec)).collect();
    more.extend(args.truth.as_ref().map(|path| path.display().to_string()));
    args.set.fingerprint(&more)
}

fn check(args: &StagesArgs) -> anyhow::Result<()> {
    let set = &args.set;
    ensure!(
        set.candidate.is_none(),
        "`stages` takes each run under suspicion as a --stage [NAME=]SPEC; leave --candidate out"
    );
    ensure!(
        set.metric_command.is_none() && set.save_tensors.is_none(),
        "--metric-command and --save-tensors are for two runs; use them with `layerdiff compare`"
    );
    ensure!(
        args.truth.is_none() || set.sweep.is_empty() && !set.batch_check && set.steps.is_none(),
        "--truth counts the rows of the data as it is; leave it out, or leave --sweep, --batch-check and --steps out"
    );
    ensure!(
        set.shard.is_none() || !set.batch_check && set.steps.is_none(),
        "--shard splits samples and sizes, and the steps of a decoder or the rows of a batch belong together; leave it out"
    );
    ensure!(
        set.shard.is_none() || set.latency.is_none(),
        "--latency repeats the runs of one sample, and --shard splits samples, each of which is timed once anyway; leave one of them out"
    );
    let mut names: Vec<&str> = args.stages.iter().map(|stage| stage.name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => bail!("two stages are called '{}'; name them apart: --stage NAME=SPEC", two[0]),
        None => Ok(()),
    }
}

impl Ran {
    /// How long each sample took; an emulation has no time of its own.
    pub fn times(&self) -> &[f64] {
        let emulated = self.side.as_ref().is_some_and(|side| matches!(side.lowering, Lowering::Emulate(_)));
        if emulated { &[] } else { &self.seconds }
    }

    /// How long a run takes: of repeated runs where they were asked for, else of one a sample.
    pub fn latency(&self) -> Option<Latency> {
        self.repeated.clone().or_else(|| Latency::of(self.times()))
    }

    /// For the report: of what could not be loaded, what was asked for.
    pub fn info(&self) -> BackendInfo {
        match &self.side {
            Some(side) => sides::info(side, None),
            None => BackendInfo { spec: self.spec.to_string(), ..BackendInfo::default() },
        }
    }

    /// Can it stand in the reference's place, with any tensor marked at no cost? A decoder must say what the reference says.
    pub fn is_open(&self) -> bool {
        let says_else = self.tried.steps.decoding.as_ref().is_some_and(|decoding| decoding.first_token.is_some());
        !says_else && self.side.as_ref().is_some_and(|side| side.runs() && !side.is_engine())
    }

    /// What it gave for all of the data, if it did.
    pub fn all(&self) -> Option<Vec<Tensors>> {
        self.values.as_ref().ok()?.iter().map(|values| values.clone().ok()).collect()
    }

    /// Of these samples: what it gave, and what gave it; else why there is nothing.
    fn given(&self, samples: &[usize]) -> Result<(&Side, Vec<Tensors>), String> {
        let values = self.values.as_ref().map_err(String::clone)?;
        let side = self.side.as_ref().ok_or("it could not be loaded")?;
        let one = |n: &usize| match values.get(*n) {
            Some(values) => values.clone().map_err(|e| e.to_string()),
            None => Err("it gave too few answers".to_string()),
        };
        Ok((side, samples.iter().map(one).collect::<Result<Vec<_>, _>>()?))
    }
}

impl Line<'_> {
    /// How a stage stands to the reference: in all of the data, or in the size or step that tells most of it.
    pub fn against_reference(&self, ran: &Ran) -> anyhow::Result<Stand> {
        let stand = self.beside_reference(ran)?;
        match ran.placement.as_ref().filter(|placement| placement.took_nothing()) {
            Some(placement) if stand.verdict == Verdict::Agreed => {
                Ok(Stand { verdict: Verdict::Inconclusive, why: Some(placement.nothing_compared()), ..stand })
            }
            _ => Ok(stand),
        }
    }

    fn beside_reference(&self, ran: &Ran) -> anyhow::Result<Stand> {
        let share = ran.tried.steps.share();
        let Some(chosen) = ran.tried.chosen.filter(|_| ran.values.is_ok()) else {
            return self.stand((&self.reference, ran), &self.every(), share);
        };
        let stand = self.at(chosen, (&self.reference, ran), share)?;
        let Tried { sizes, steps, .. } = &ran.tried;
        let (verdict, why) = steps.verdict(sizes.verdict((stand.verdict, stand.why)));
        Ok(Stand { verdict, why, ..stand })
    }

    /// How a stage stands to the one before: in all of the data, or in the first size or step where they part; where they part
    /// nowhere, in the one that its own row is about.
    pub fn against_previous(&self, before: &Ran, ran: &Ran) -> anyhow::Result<Stand> {
        let Some(chosen) = ran.tried.chosen else { return self.stand((before, ran), &self.every(), None) };
        let mut shown = self.at(chosen, (before, ran), None)?;
        for n in 0..self.feeds.len() {
            if shown.verdict == Verdict::Diverged {
                break;
            }
            let stand = self.at(n, (before, ran), None)?;
            if stand.verdict == Verdict::Diverged || shown.verdict == Verdict::Agreed {
                shown = if stand.verdict == Verdict::Agreed { shown } else { stand };
            }
        }
        Ok(shown)
    }

    fn every(&self) -> Vec<usize> {
        (0..self.feeds.len()).collect()
    }

    /// In one size or step.
    fn at(&self, n: usize, two: (&Ran, &Ran), share: Option<f64>) -> anyhow::Result<Stand> {
        let stand = self.stand(two, &[n], share)?;
        // What was compared says where it is.
        let why = stand
            .why
            .map(|why| if stand.outputs.is_empty() { format!("{}: {why}", self.course.place(n)) } else { why });
        Ok(Stand { why, ..stand })
    }

    /// In these samples.
    fn stand(&self, two: (&Ran, &Ran), samples: &[usize], share: Option<f64>) -> anyhow::Result<Stand> {
        let ((reference, right), (candidate, got)) = match (two.0.given(samples), two.1.given(samples)) {
            (_, Err(why)) => return Ok(Stand::without(why)),
            (Err(_), _) => {
                return Ok(Stand::without(format!("'{}' gave nothing to compare with", two.0.name)));
            }
            (Ok(right), Ok(got)) => (right, got),
        };
        let (survey, labels) = (&self.survey, &self.labels);
        let pair = Pair { reference, candidate, survey, args: self.args, labels, outputs: &self.outputs, share };
        let feeds: Vec<Tensors> = samples.iter().filter_map(|n| self.feeds.get(*n).cloned()).collect();
        Ok(told(pair.stand(&feeds, right, got))?.unwrap_or_else(Stand::without))
    }
}
