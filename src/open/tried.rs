//! What both sides are tried on before one of it is looked into: the data as it is, other sizes of it (`sizes`), or the steps of a
//! decoder (`steps`). The reference runs once, and any number of candidates are set against what it gave. Builds no lab.

use std::thread;

use anyhow::Context;

use super::fit::given;
use super::gave::{Gave, Values, each, seconds};
use super::sizes::{self, Asked};
use super::stand::{Both, Pair};
use super::{specs, steps};
use crate::cli::SetArgs;
use crate::found::shard::Shard;
use crate::found::sizes::Sizes;
use crate::found::steps::Steps;
use crate::lab::first::{self, CANDIDATE, Plan};
use crate::lab::{Side, Survey};
use crate::load::decode::Decode;
use crate::run::{Answer, RunError, join};
use crate::tensor::Tensors;

/// What is tried.
pub enum Course {
    /// The data as it is.
    Data,
    /// Other sizes of it: `--sweep`, `--batch-check`.
    Sizes(Asked),
    /// Step by step: `--steps`.
    Steps(Decode),
}

/// The reference has run.
pub struct Right<'a> {
    course: &'a Course,
    /// What is known of its model.
    pub survey: Survey,
    /// What every candidate is fed with: by sample, size or step of the reference.
    pub feeds: Vec<Tensors>,
    /// The outputs that decide, and those that the next step needs.
    asked: Vec<String>,
    /// What it gave for each of `feeds`.
    pub values: Values,
    /// How long each took, where the backend tells.
    pub seconds: Vec<f64>,
    /// Why it does not come through the step behind them.
    failed: Option<RunError>,
}

/// A side that knows its model, on each of the samples.
fn alone(side: &Side, plan: &Plan) -> Result<Gave, RunError> {
    let answer = first::unmarked(side, plan);
    let seconds = seconds(&answer);
    Ok(Gave { values: each(answer, side, plan)?, own: Vec::new(), seconds, fitted: Vec::new() })
}

/// How a candidate stands to the reference in all that was tried.
#[derive(Default)]
pub struct Tried {
    /// Size by size, and row by row.
    pub sizes: Sizes,
    /// Step by step.
    pub steps: Steps,
    /// The size or step that is looked into; `None`: all of the data.
    pub chosen: Option<usize>,
}

impl Course {
    /// What the flags ask for, its samples, and which of its sizes are this shard's; `run` is what its shards have in common.
    pub fn of(
        args: &SetArgs,
        reference: &Side,
        feeds: &[Tensors],
        run: &str,
    ) -> anyhow::Result<(Course, Vec<Tensors>, Option<Shard>)> {
        if let Some(decode) = specs::decode(args, reference)? {
            return Ok((Course::Steps(decode), feeds.to_vec(), None));
        }
        if !sizes::is_asked(args) {
            return Ok((Course::Data, feeds.to_vec(), None));
        }
        let (tried, asked, shard) = sizes::asked(args, reference, feeds, run)?;
        Ok((Course::Sizes(asked), tried, shard))
    }

    /// What the n-th of all that is tried is called: `batch=2`, `step 4`.
    pub fn place(&self, n: usize) -> String {
        match self {
            Course::Data => format!("sample {n}"),
            Course::Sizes(asked) => asked.place(n),
            Course::Steps(_) => format!("step {n}"),
        }
    }
}

impl<'a> Right<'a> {
    /// Runs the reference on the samples of `plan`; `rewritten`: a candidate will run its model rewritten by element type.
    pub fn of(reference: &mut Side, rewritten: bool, course: &'a Course, plan: &Plan) -> anyhow::Result<Right<'a>> {
        if let Course::Steps(decode) = course {
            let decoded = steps::reference(reference, rewritten, decode, plan)?;
            let steps::Decoded { survey, states, asked, values, seconds, failed } = decoded;
            return Ok(Right { course, survey, feeds: states, asked, values, seconds, failed });
        }
        let (survey, answer) = first::reference(reference, rewritten, plan)?;
        Right::ran(reference, course, plan, (survey, answer))
    }

    /// Both sides, at the same time where the candidate need not wait for what the reference gives, nor for what is found out about
    /// its model; `known`: that was found out before, and both have been told.
    pub fn beside(
        both: &mut Both,
        course: &'a Course,
        plan: &Plan,
        known: Option<Survey>,
    ) -> anyhow::Result<(Right<'a>, Gave)> {
        let rewritten = both.rewritten();
        let Both { reference, candidate, args, .. } = both;
        let waits = known.is_none() && (reference.needs_types() || candidate.needs_types());
        if waits || !matches!(course, Course::Sizes(_)) {
            let right = Right::of(reference, rewritten, course, plan)?;
            let gave = right.run(reference, candidate, args, plan)?;
            return Ok((right, gave));
        }
        let told = known.is_some();
        let (right, gave) = thread::scope(|scope| {
            let gave = scope.spawn(|| alone(candidate, plan));
            let right = match known {
                Some(survey) => Right::ran(reference, course, plan, (survey, first::unmarked(reference, plan))),
                None => Right::of(reference, rewritten, course, plan),
            };
            (right, join(gave, CANDIDATE))
        });
        let right = right?;
        if !told {
            first::inform(reference, candidate, &right.survey, plan)?;
        }
        let mut gave = gave?;
        gave.fitted = given::undone(&args.fit, &candidate.spec, &right.values, &mut gave.values, false).told;
        Ok((right, gave))
    }

    fn ran(
        reference: &Side,
        course: &'a Course,
        plan: &Plan,
        (survey, answer): (Survey, Result<Answer, RunError>),
    ) -> anyhow::Result<Right<'a>> {
        let seconds = seconds(&answer);
        let values = match course {
            Course::Data => answer?.values.into_iter().map(Ok).collect(),
            _ => each(answer, reference, plan)?,
        };
        Ok(Right {
            course,
            survey,
            feeds: plan.feeds.to_vec(),
            asked: plan.outputs.to_vec(),
            values,
            seconds,
            failed: None,
        })
    }

    /// Runs a candidate on the same, in one session as far as it can, and puts its layouts right. Of the data as it is, a failure
    /// is that of all samples.
    pub fn run(&self, reference: &Side, candidate: &mut Side, args: &SetArgs, plan: &Plan) -> Result<Gave, RunError> {
        let plan = Plan { feeds: &self.feeds, outputs: &self.asked, ..*plan };
        let answer = first::candidate(reference, candidate, &self.survey, &plan);
        let (seconds, mut own) = (seconds(&answer), Vec::new());
        let mut values = match self.course {
            Course::Data => answer?.values.into_iter().map(Ok).collect(),
            _ => each(answer, candidate, &plan)?,
        };
        let alike = matches!(self.course, Course::Data);
        let undone = given::undone(&args.fit, &candidate.spec, &self.values, &mut values, alike);
        if let Course::Steps(decode) = self.course {
            let decode = Decode { steps: self.feeds.len(), ..decode.clone() };
            own = steps::by_itself(candidate, undone.how, &decode, &plan)?;
        }
        Ok(Gave { values, own, seconds, fitted: undone.told })
    }

    /// As if the reference had been the candidate, too.
    pub fn again(&self) -> Gave {
        let own = match self.course {
            Course::Steps(_) => self.values.iter().flatten().cloned().collect(),
            _ => Vec::new(),
        };
        Gave { values: self.values.clone(), own, seconds: self.seconds.clone(), fitted: Vec::new() }
    }

    /// How a candidate stands to it, of all that it gave.
    pub fn judged(&self, pair: Pair, gave: &Gave) -> anyhow::Result<Tried> {
        match self.course {
            Course::Data => Ok(Tried::default()),
            Course::Sizes(asked) => {
                let (sizes, chosen) = sizes::judged(pair, &self.feeds, (&self.values, &gave.values), asked)?;
                Ok(Tried { sizes, chosen: Some(chosen), ..Tried::default() })
            }
            Course::Steps(decode) => {
                let right: Vec<Tensors> = self.values.iter().flatten().cloned().collect();
                let (mut steps, chosen) = steps::judged(pair, decode, &self.feeds, &right, gave)?;
                steps.steps.extend(self.failed.iter().map(|why| steps::unreached(right.len(), why)));
                Ok(Tried { steps, chosen: Some(chosen), ..Tried::default() })
            }
        }
    }

    /// The inputs of what is looked into.
    pub fn state(&self, tried: &Tried) -> anyhow::Result<Tensors> {
        tried.chosen.and_then(|chosen| self.feeds.get(chosen)).cloned().context("nothing was tried")
    }
}
