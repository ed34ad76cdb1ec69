//! Before the search: which models, which data, which two sides, what may be written where; and the first runs. Gives a
//! [`Lab`], and what is known by then.

mod allow;
mod asked;
mod autopsy;
mod backends;
pub mod choose;
pub mod crashed;
mod cut;
pub mod data;
mod deployed;
pub mod early;
mod engine;
mod fit;
mod gave;
pub mod line;
mod named;
pub mod opening;
pub mod part;
pub mod placed;
pub mod places;
mod same;
pub mod sides;
mod sizes;
mod specs;
pub mod stand;
mod steps;
pub mod tried;
mod truth;
pub mod untouched;

pub use asked::{Asked, Found, of_check, of_reproducer, of_search};

use std::path::PathBuf;
use std::thread;

use anyhow::bail;

use crate::cli::{GlobalArgs, SetArgs};
use crate::found::experiment::Experiment;
use crate::found::shard::Shard;
use crate::found::sizes::Sizes;
use crate::found::{Crash, Findings, InputsInfo, Note, Opening, Wanted, Who};
use crate::judge::Rules;
use crate::lab::first::{self, First, Plan};
use crate::lab::{Lab, Side, Survey};
use crate::load::Model;
use crate::run::RunError;
use crate::run::ort::{Runtime, library, runtime};
use crate::tensor::Tensors;
use fit::Names;
use sizes::sweep::{Sweep, Swept};
use stand::Both;
use tried::{Course, Right};

/// Two sides that have run for the first time.
pub struct Opened {
    /// What was set up.
    pub lab: Lab,
    /// What the first runs gave.
    pub first: First,
    /// What was asked, by contents.
    pub experiment: Experiment,
    /// What is known by now.
    pub findings: Findings,
    /// Where report and journal go.
    pub dir: PathBuf,
}

/// What the search goes on with.
struct Chosen {
    feeds: Vec<Tensors>,
    opening: Opening,
    /// What is known of the model and what both sides put out, where they agree on that data.
    agreed: Option<(Survey, First)>,
}

/// Two sides that were loaded and checked, and have not run.
struct Loaded {
    model: Model,
    reference: Side,
    candidate: Side,
    /// Why this candidate, where the user named none.
    why: Option<String>,
    feeds: Vec<Tensors>,
    inputs: InputsInfo,
    shard: Option<Shard>,
    /// Names of the tensors that decide.
    outputs: Vec<String>,
    /// What arrays of other names were taken for.
    names: Names,
    /// What was done about tensors of other names, and then about types and operators.
    notes: [Vec<Note>; 2],
}

/// Everything that can be refused before a model runs is refused here.
fn load(args: &SetArgs, global: &GlobalArgs, wanted: Wanted, model: Model) -> anyhow::Result<Loaded> {
    let (model, shortened) = cut::runnable(model, &args.outputs, global)?;
    let (candidate, why) = match &args.candidate {
        Some(spec) => (spec.clone(), None),
        None => choose::best(global.ort_library.as_deref()).map(|(spec, why)| (spec, Some(why)))?,
    };
    sides::check_devices(&[&args.reference, &candidate], global, &args.engine)?;
    sides::check_library(&candidate, &args.engine)?;
    sides::check_arithmetic(&[&candidate], &args.arithmetic)?;
    let mut reference = sides::side(&args.reference, &model, global, args)?;
    let (feeds, inputs) = data::feeds(args, &reference)?;
    part::stored(args, &args.reference, &inputs.files, feeds.len())?;
    part::stored(args, &candidate, &inputs.files, feeds.len())?;
    let (feeds, inputs, shard) = match wanted {
        Wanted::Table => part::samples(args, &args.fingerprint(&[]), feeds, inputs)?,
        _ => (feeds, inputs, None),
    };
    let mut candidate = sides::candidate(&candidate, &model, global, args)?;
    let renamed = sides::show_renamed(&reference, &mut candidate)?;
    same::check_inputs(&reference, &candidate)?;
    let retyped = same::check_types(&candidate, &feeds)?;
    fit::check(&args.fit, &candidate.spec)?;
    fit::check_course(args)?;
    sides::check_once(args, &[&args.reference, &candidate.spec])?;
    let names = fit::names(&args.fit, &mut candidate)?;
    sides::show(&mut reference, &mut candidate)?;
    named::check(args, &reference, &candidate)?;
    untouched::files(args, &[&reference, &candidate])?;
    let outputs = data::outputs(args, &reference, &candidate)?;
    named::metrics(args, &outputs, &reference)?;
    let of_file = shortened.into_iter().chain(retyped.into_iter().map(Note::Fitted)).collect();
    let notes = [renamed.into_iter().collect(), of_file];
    Ok(Loaded { model, reference, candidate, why, feeds, inputs, shard, outputs, names, notes })
}

/// Loads and checks everything, and runs both models for the first time; `everything` says that all tensors will be asked
/// for if the outputs diverge.
pub fn open(args: &SetArgs, global: &GlobalArgs, wanted: Wanted, everything: bool) -> anyhow::Result<Opened> {
    let model = Model::open(&args.model, global.links())?;
    let hashing = thread::spawn({
        let model = model.clone();
        move || model.sha256()
    });
    let loaded = load(args, global, wanted, model)?;
    let Loaded { model, mut reference, mut candidate, why, feeds, inputs, shard, outputs, names, notes } = loaded;
    let [renamed, of_file] = notes;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let plan =
        Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: args.memory(), everything: false, held: false };
    let labels = data::labels(args)?;
    let (command, dir) = (data::command(args)?, places::dir(args));
    let known = opening::opening(&model, &reference, &ort, inputs);
    let opening = Opening {
        wanted,
        candidate: sides::info(&candidate, why),
        tolerance: data::rules(args, &candidate).told(&outputs),
        shard,
        ..with_candidate(known, &candidate)
    };
    let tell = |opening: &Opening| {
        let experiment = Experiment { layerdiff: env!("CARGO_PKG_VERSION").to_string(), ..Experiment::default() };
        early::so_far(&dir, &experiment, &Findings { opening: opening.clone(), ..Findings::default() });
    };
    let both = Both { reference: &mut reference, candidate: &mut candidate, args, labels: &labels, plan };
    let Chosen { feeds, mut opening, agreed } = chosen(both, opening, &tell)?;
    let rules = Rules { labels, share: opening.steps.share(), ..data::rules(args, &candidate) };
    opening.tolerance = rules.told(&outputs);
    let inputs = opening.inputs.clone();
    let asked = Asked { args, global, model: &model, feeds: &feeds, inputs: &inputs, outputs: &outputs };
    let libraries = sides::global_of_candidate(args, global);
    let reading = asked.read(&reference, Found::of(&candidate, &libraries, &args.engine.of_candidate()), Some(&rules));
    let mut findings = Findings { opening, ..Findings::default() };
    findings.opening.notes.extend(renamed);
    findings.opening.notes.extend(data::not_finite(&feeds));
    findings.opening.notes.extend(of_file);
    early::so_far(&dir, &reading.known, &findings);
    let plan = Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: args.memory(), everything, held: false };
    // Who wants to see every tensor, or lets a command judge, sees them run once more.
    let agreed = agreed.filter(|_| wanted != Wanted::Table && command.is_none());
    let (survey, mut first, crash) = match agreed {
        Some((survey, first)) => (survey, first, None),
        None => first_runs(&mut reference, &mut candidate, &plan)?,
    };
    let gave = fit::Gave { reference: &reference, survey: &survey, plan };
    findings.opening.notes.extend(gave.settle(&args.fit, &mut candidate, names, &mut first)?);
    findings.opening.first.crash = crash;
    let known = allow::Known {
        reference: &reference,
        candidate: &candidate,
        survey: &survey,
        first: &first,
        feeds: &feeds,
        outputs: &outputs,
    };
    let loose = known.optimised(rules.clone());
    let rules = known.rules(rules);
    findings.opening.notes.extend(truth::notes(&reference, &candidate, &survey.types));
    let experiment = reading.done(&findings.opening.model.path, hashing.join().unwrap_or_default());
    let lab = Lab::new((reference, candidate), (feeds, outputs), rules, survey, args.memory()).judged_by(command);
    settled(Opened { lab, first, experiment, findings, dir }, loose)
}

/// With the session that is searched, its rules, and which provider ran what.
fn settled(mut opened: Opened, loose: Rules) -> anyhow::Result<Opened> {
    let Opened { lab, first, findings: Findings { opening, .. }, .. } = &mut opened;
    let (session, note) = deployed::settle(lab, first, loose)?;
    opening.tolerance = lab.rules.told(&lab.outputs);
    opening.first.session = session;
    opening.notes.extend(note);
    if first.unmarked.is_ok() {
        let (placement, note) = placed::ask(&lab.candidate, &lab.reference, &lab.feeds)?;
        opening.first.placement = placement;
        opening.notes.extend(note);
    }
    Ok(opened)
}

/// The data that the search goes on with: all of it as it is, unless other sizes or steps are asked for: then that of the one
/// that fails first. What became of the others is in the opening, and `tell` hears of it as it comes.
fn chosen(mut both: Both, opening: Opening, tell: &dyn Fn(&Opening)) -> anyhow::Result<Chosen> {
    let feeds = both.plan.feeds;
    let one = |feed: Tensors, opening: Opening| {
        let tensors = data::described(&feed);
        let inputs = InputsInfo { samples: 1, tensors, files: Vec::new(), ..opening.inputs.clone() };
        Chosen { feeds: vec![feed], opening: Opening { inputs, ..opening }, agreed: None }
    };
    let run = both.args.fingerprint(&[]);
    if !both.args.sweep.is_empty() {
        let (sweep, shard) = Sweep::asked(both.args, specs::input_specs(both.reference)?, feeds, &run)?;
        let opening = Opening { shard: opening.shard.clone().or(shard), ..opening };
        tell(&opening);
        let of = sweep.sizes.len();
        let tell = |sizes: &Sizes| {
            let mut so_far = Opening { sizes: sizes.clone(), ..opening.clone() };
            so_far.notes.push(Note::Swept { done: sizes.sweep.len(), of });
            tell(&so_far);
        };
        let Swept { sizes, sample, agreed } = sweep.run(both, &tell)?;
        return Ok(Chosen { agreed, ..one(sample, Opening { sizes, ..opening }) });
    }
    let (course, tried, _) = Course::of(both.args, both.reference, feeds, &run)?;
    if let Course::Data = course {
        return Ok(Chosen { feeds: tried, opening, agreed: None });
    }
    tell(&opening);
    let plan = Plan { feeds: &tried, ..both.plan };
    let (right, gave) = Right::beside(&mut both, &course, &plan, None)?;
    let tried = right.judged(both.pair(&right.survey), &gave)?;
    let state = right.state(&tried)?;
    Ok(one(state, Opening { sizes: tried.sizes, steps: tried.steps, ..opening }))
}

/// What else is to be known before the first run.
fn with_candidate(mut opening: Opening, candidate: &Side) -> Opening {
    opening.notes.extend(runtime::died().map(|died| Note::RunAgain(died.to_string())));
    if candidate.spec.model.is_some() {
        opening.notes.extend(opening::notes(&candidate.model));
    }
    opening
}

/// The first runs, and what their failures mean: a reference that cannot be built or run is bad input; one that crashes is
/// an answer, and so is a candidate that cannot be run.
fn first_runs(
    reference: &mut Side,
    candidate: &mut Side,
    plan: &Plan,
) -> anyhow::Result<(Survey, First, Option<Crash>)> {
    match first::run(reference, candidate, plan) {
        Ok((survey, mut first)) => {
            let mut crash = None;
            first.unmarked = first.unmarked.map_err(|e| {
                let (e, seen) = autopsy::told(Who::Candidate, candidate, plan.feeds, e);
                crash = seen;
                e
            });
            Ok((survey, first, crash))
        }
        Err(RunError::Build { reason, .. }) => {
            bail!("ONNX Runtime refuses {}: {reason}", reference.model.path.display())
        }
        Err(RunError::Run { reason, .. }) => {
            bail!("the reference fails on {}: {reason}", reference.model.path.display())
        }
        Err(e @ RunError::Crash { .. }) => {
            let (e, crash) = autopsy::told(Who::Reference, reference, plan.feeds, e);
            Ok((Survey::default(), First::failed(e), crash))
        }
        Err(other) => Err(other.into()),
    }
}
