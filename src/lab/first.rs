//! The first runs: a survey of the reference's model, both models unmarked, and, where everything will be asked for and fits
//! into memory, both with every tensor marked. They do not wait for each other where they need not: most of the time of a
//! run on the CPU is spent building sessions, which is single-threaded.

use std::collections::HashSet;

use super::Side;
use super::again::{self, Again};
use super::survey::{Survey, Surveyed};
use crate::mark;
use crate::run::ort::Runtime;
use crate::run::{Answer, Built, RunError, join};
use crate::tensor::Tensors;

/// What a thread that runs it is called.
pub const CANDIDATE: &str = "the candidate";
/// And the one that asks about the reference's model.
const SURVEY: &str = "the survey";

/// What is wanted of the first runs.
pub struct Plan<'a> {
    /// The library that is asked about models.
    pub ort: &'a Runtime,
    /// One set of inputs a sample.
    pub feeds: &'a [Tensors],
    /// The tensors that decide the verdict.
    pub outputs: &'a [String],
    /// Bytes of tensors that may be held, both sides together.
    pub memory: u64,
    /// Every tensor will be asked for if the outputs diverge.
    pub everything: bool,
    /// The unmarked models will run on more data, in the same sessions.
    pub held: bool,
}

/// What they gave.
pub struct First {
    /// All values of the reference, where they fit; or its outputs alone, where nothing else will be asked for.
    pub reference: Option<Vec<Tensors>>,
    /// The candidate's outputs, unmarked, in the session that gives the verdict; its failure is an answer that the report tells.
    pub unmarked: Result<Vec<Tensors>, RunError>,
    /// What it gave when it was asked once more, in the same session.
    pub again: Again,
    /// Its outputs in the session that its tensors are looked at in, where that is another one and was run.
    pub plain: Option<Vec<Tensors>>,
    /// What the unmarked candidate was built of, where it tells.
    pub built: Option<Built>,
    /// All values of the candidate, where they were asked for and fit.
    pub marked: Option<Result<Vec<Tensors>, RunError>>,
}

impl First {
    /// Of two unmarked runs that came through, of which the outputs are known.
    pub fn ran(right: Vec<Tensors>, got: Vec<Tensors>) -> First {
        First { reference: Some(right), ..First::of(got) }
    }

    /// Of a candidate that gave these outputs, and was asked nothing else.
    pub fn of(unmarked: Vec<Tensors>) -> First {
        First {
            reference: None,
            unmarked: Ok(unmarked),
            again: Again::default(),
            plain: None,
            built: None,
            marked: None,
        }
    }

    /// Of a run that ended before there were any values.
    pub fn failed(why: RunError) -> First {
        First { unmarked: Err(why), ..First::of(Vec::new()) }
    }
}

/// Runs both sides. Tells each side what the survey found out about its model. An error is the reference's.
pub fn run(reference: &mut Side, candidate: &mut Side, plan: &Plan) -> Result<(Survey, First), RunError> {
    // A candidate that needs no element types can start before the survey is there.
    let early = !candidate.needs_types() && !reference.needs_types();
    if early {
        let (survey, first) = std::thread::scope(|scope| {
            let unmarked = scope.spawn(|| twice(candidate, plan));
            let surveyed = survey(reference, plan)?;
            finish(reference, candidate, plan, surveyed, || join(unmarked, CANDIDATE))
        })?;
        reference.types = survey.types.clone();
        if candidate.spec.model.is_none() {
            candidate.types = reference.types.clone();
        }
        return Ok((survey, first));
    }
    let mut surveyed = survey(reference, plan)?;
    if reference.rewrites() || candidate.rewrites() && candidate.spec.model.is_none() {
        surveyed.survey.add_functions(plan.ort, &reference.model)?;
    }
    inform_reference(reference, &surveyed.survey);
    if let Err(e) = inform(reference, candidate, &surveyed.survey, plan) {
        return Ok((surveyed.survey, First::failed(e)));
    }
    let (reference, candidate) = (&*reference, &*candidate);
    std::thread::scope(|scope| {
        let unmarked = scope.spawn(|| twice(candidate, plan));
        finish(reference, candidate, plan, surveyed, || join(unmarked, CANDIDATE))
    })
}

fn inform_reference(reference: &mut Side, survey: &Survey) {
    reference.types = survey.types.clone();
    reference.half = reference.on_cpu() && survey.has_half(&reference.graph);
}

/// Tells the candidate of the element types in its model, as far as it must know them.
pub fn inform(reference: &Side, candidate: &mut Side, survey: &Survey, plan: &Plan) -> Result<(), RunError> {
    if candidate.spec.model.is_none() {
        candidate.types = survey.types.clone();
        candidate.half = candidate.on_cpu() && reference.half;
    } else if !candidate.rewrites() {
        // Only branches ask for types, and only for tensors that the reference has too.
        candidate.types = survey.types.clone();
    } else {
        let mut theirs = Survey::of(plan.ort, &candidate.model, &candidate.graph, plan.feeds)?;
        theirs.survey.add_functions(plan.ort, &candidate.model)?;
        candidate.half = candidate.on_cpu() && theirs.survey.has_half(&candidate.graph);
        candidate.types = theirs.survey.types;
    }
    Ok(())
}

/// The reference alone, unmarked: what is known of its model, and what became of its run. `rewritten`: somebody will run its
/// model rewritten by element type.
pub fn reference(
    reference: &mut Side,
    rewritten: bool,
    plan: &Plan,
) -> Result<(Survey, Result<Answer, RunError>), RunError> {
    let known = |reference: &Side| -> Result<Survey, RunError> {
        let mut survey = survey(reference, plan)?.survey;
        if reference.rewrites() || rewritten {
            survey.add_functions(plan.ort, &reference.model)?;
        }
        Ok(survey)
    };
    if reference.needs_types() {
        let survey = known(reference)?;
        inform_reference(reference, &survey);
        let answer = unmarked(reference, plan);
        return Ok((survey, answer));
    }
    let (survey, answer) = std::thread::scope(|scope| {
        let survey = scope.spawn(|| known(reference));
        let answer = unmarked(reference, plan);
        (join(survey, SURVEY), answer)
    });
    let survey = survey?;
    inform_reference(reference, &survey);
    Ok((survey, answer))
}

/// A candidate alone, unmarked, when the reference has run.
pub fn candidate(reference: &Side, candidate: &mut Side, survey: &Survey, plan: &Plan) -> Result<Answer, RunError> {
    inform(reference, candidate, survey, plan)?;
    unmarked(candidate, plan)
}

/// A side whose model is known by then, on all of the data.
pub fn unmarked(candidate: &Side, plan: &Plan) -> Result<Answer, RunError> {
    candidate.see_deployed(&inner(candidate, plan.outputs), plan.feeds, plan.outputs, plan.held)
}

/// The same, and once more: may it be built on?
fn twice(candidate: &Side, plan: &Plan) -> Result<(Answer, Again), RunError> {
    again::twice(candidate, plan.feeds, |feeds| unmarked(candidate, &Plan { feeds, ..*plan }))
}

/// Once more, where it ran on the data of `plan` before.
pub fn again(candidate: &Side, plan: &Plan) -> Result<Again, RunError> {
    again::once(candidate, plan.feeds, |feeds| unmarked(candidate, &Plan { feeds, ..*plan }))
}

fn survey(reference: &Side, plan: &Plan) -> Result<Surveyed, RunError> {
    Survey::of(plan.ort, &reference.model, &reference.graph, plan.feeds)
}

/// The reference's values and the candidate's marked run, side by side, while the unmarked run goes on.
fn finish(
    reference: &Side,
    candidate: &Side,
    plan: &Plan,
    surveyed: Surveyed,
    unmarked: impl FnOnce() -> Result<(Answer, Again), RunError>,
) -> Result<(Survey, First), RunError> {
    let fits = surveyed.survey.total(plan.feeds.len()) <= plan.memory;
    let plain = reference.on_cpu() && reference.is_plain();
    let speculate = fits && plan.everything && candidate.on_cpu();
    std::thread::scope(|scope| {
        let marked = speculate.then(|| scope.spawn(|| all_values(reference, candidate, plan)));
        let Surveyed { survey, session } = surveyed;
        let values = (plain && fits).then(|| session.values(reference, plan.feeds)).transpose();
        let (unmarked, again, built) = match unmarked() {
            Ok((Answer { values, built, .. }, again)) => (Ok(values), again, built),
            Err(e) => (Err(e), Again::default(), None),
        };
        let marked = marked.map(|thread| join(thread, CANDIDATE));
        Ok((survey, First { reference: values?, unmarked, again, plain: None, built, marked }))
    })
}

/// Every tensor of the candidate that stands for one of the reference, and the outputs.
fn all_values(reference: &Side, candidate: &Side, plan: &Plan) -> Result<Vec<Tensors>, RunError> {
    let stands = reference.graph.tensors.iter().filter_map(|t| mark::counterpart(&candidate.graph, &t.key));
    let mut tensors: Vec<usize> = stands.collect::<HashSet<_>>().into_iter().collect();
    tensors.sort_unstable();
    let mut names = candidate.graph.keys(&tensors);
    names.extend(plan.outputs.iter().filter(|o| candidate.graph.tensor(o).is_none()).cloned());
    candidate.run(&tensors, plan.feeds, &names)
}

/// Those of `outputs` that are no outputs of the side's model (`--outputs`), to be marked.
pub fn inner(side: &Side, outputs: &[String]) -> Vec<usize> {
    let own = |name: &String| side.graph.outputs.iter().any(|(o, _)| o == name);
    outputs.iter().filter(|o| !own(o)).filter_map(|o| side.graph.tensor(o)).collect()
}
