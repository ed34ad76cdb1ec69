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
use crate::found::steps::Steps;
use crate::found::{Crash, Findings, InputsInfo, Note, Opening, Wanted, Who};
use crate::judge::Rules;
use crate::lab::first::{self, First, Plan};
use crate::lab::{Lab, Side, Survey};
use crate::load::Model;
use crate::run::RunError;
use crate::run::ort::{Runtime, library, runtime};
use crate::tensor::Tensors;
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

/// Loads and checks everything, and runs both models for the first time; `everything` says that all tensors will be asked
/// for if the outputs diverge.
pub fn open(args: &SetArgs, global: &GlobalArgs, wanted: Wanted, everything: bool) -> anyhow::Result<Opened> {
    let model = Model::open(&args.model, global.links())?;
    let hashing = thread::spawn({
        let model = model.clone();
        move || model.sha256()
    });
    let (model, shortened) = cut::runnable(model, &args.outputs, global)?;
    let (candidate, why) = match &args.candidate {
        Some(spec) => (spec.clone(), None),
        None => choose::best(global.ort_library.as_deref()).map(|(spec, why)| (spec, Some(why)))?,
    };
    sides::check_devices(&[&args.reference, &candidate], global, &args.engine)?;
    let mut reference = sides::side(&args.reference, &model, global, args)?;
    let (feeds, inputs) = data::feeds(args, &reference)?;
    part::stored(args, &args.reference, &inputs.files)?;
    part::stored(args, &candidate, &inputs.files)?;
    let (feeds, inputs, shard) = match wanted {
        Wanted::Table => part::samples(args, &args.fingerprint(&[]), feeds, inputs)?,
        _ => (feeds, inputs, None),
    };
    let mut candidate = sides::candidate(&candidate, &model, global, args)?;
    same::check_inputs(&reference, &candidate)?;
    let retyped = same::check_types(&candidate, &feeds)?;
    fit::check(&args.fit, &candidate.spec)?;
    let names = fit::names(&args.fit, &mut candidate)?;
    sides::show_sparse(&mut reference)?;
    sides::show_sparse(&mut candidate)?;
    sides::show_integers(&mut reference, &mut candidate)?;
    named::check(args, &reference, &candidate)?;
    untouched::files(args, &[&reference, &candidate])?;
    let outputs = data::outputs(args, &reference, &candidate)?;
    named::metrics(args, &outputs, &reference)?;
    let ort = Runtime::start(&library::find(global.ort_library.as_deref())?.path)?;
    let plan = Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: args.memory(), everything: false };
    let labels = data::labels(args)?;
    let both = Both { reference: &mut reference, candidate: &mut candidate, args, labels: &labels, plan };
    let Chosen { feeds, inputs, sizes, steps, sizes_shared } = chosen(both, inputs)?;
    let rules = Rules { labels, share: steps.share(), ..data::rules(args, &candidate) };
    let (command, dir) = (data::command(args)?, places::dir(args));
    let asked = Asked { args, global, model: &model, feeds: &feeds, inputs: &inputs, outputs: &outputs };
    let reading =
        asked.read(&reference, Found::of(&candidate, &args.session.of_candidate(global), &args.engine), Some(&rules));
    let opening = Opening {
        wanted,
        candidate: sides::info(&candidate, why),
        tolerance: rules.told(&outputs),
        sizes,
        steps,
        shard: shard.or(sizes_shared),
        ..with_candidate(opening::opening(&model, &reference, &ort, inputs), &candidate)
    };
    let mut findings = Findings { opening, ..Findings::default() };
    findings.opening.notes.extend(data::not_finite(&feeds));
    findings.opening.notes.extend(shortened.into_iter().chain(retyped.into_iter().map(Note::Fitted)));
    early::so_far(&dir, &reading.known, &findings);
    let plan = Plan { ort: &ort, feeds: &feeds, outputs: &outputs, memory: args.memory(), everything };
    let (survey, mut first, crash) = first_runs(&mut reference, &mut candidate, &plan)?;
    let gave = fit::Gave { reference: &reference, survey: &survey, plan };
    findings.opening.notes.extend(gave.settle(&args.fit, &mut candidate, names, &mut first)?);
    findings.opening.crash = crash;
    let known = allow::Known {
        reference: &reference,
        candidate: &candidate,
        survey: &survey,
        first: &first,
        feeds: &feeds,
        outputs: &outputs,
    };
    let rules = known.rules(rules);
    findings.opening.tolerance = rules.told(&outputs);
    findings.opening.notes.extend(truth::notes(&reference, &candidate, &survey.types));
    let experiment = reading.done(&findings.opening.model.path, hashing.join().unwrap_or_default());
    let mut lab = Lab::new((reference, candidate), (feeds, outputs), rules, survey, args.memory()).judged_by(command);
    let (session, note) = deployed::settle(&mut lab, &mut first)?;
    findings.opening.session = session;
    findings.opening.notes.extend(note);
    Ok(Opened { lab, first, experiment, findings, dir })
}

/// The data that the search goes on with, and what became of all that was tried before.
struct Chosen {
    feeds: Vec<Tensors>,
    inputs: InputsInfo,
    sizes: Sizes,
    steps: Steps,
    sizes_shared: Option<Shard>,
}

/// All of the data as it is, unless other sizes or steps are asked for: then the one that fails first.
fn chosen(both: Both, inputs: InputsInfo) -> anyhow::Result<Chosen> {
    let feeds = both.plan.feeds;
    let all = |feeds: Vec<Tensors>, inputs: InputsInfo| Chosen {
        feeds,
        inputs,
        sizes: Sizes::default(),
        steps: Steps::default(),
        sizes_shared: None,
    };
    let one = |feed: Tensors, inputs: InputsInfo| {
        let told = InputsInfo { samples: 1, tensors: data::described(&feed), files: Vec::new(), ..inputs };
        all(vec![feed], told)
    };
    let (course, tried, sizes_shared) = Course::of(both.args, both.reference, feeds, &both.args.fingerprint(&[]))?;
    if let Course::Data = course {
        return Ok(all(tried, inputs));
    }
    let plan = Plan { feeds: &tried, ..both.plan };
    let right = Right::of(both.reference, both.rewritten(), &course, &plan)?;
    let gave = right.run(both.reference, both.candidate, &plan)?;
    let tried = right.judged(both.pair(&right.survey), &gave)?;
    let state = right.state(&tried)?;
    Ok(Chosen { sizes: tried.sizes, steps: tried.steps, sizes_shared, ..one(state, inputs) })
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
