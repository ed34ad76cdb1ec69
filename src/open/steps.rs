//! Before the search: a model that decodes, step by step. The candidate is run on every state of the reference, and by itself; the
//! search goes on with the state of the first step that fails. `--steps`.

mod reached;

use std::sync::Arc;

use anyhow::Context;

use super::fit;
use super::gave::{Gave, Values};
use super::stand::{Pair, Stand};
use crate::found::Verdict;
use crate::found::steps::{Decoding, OwnStep, StepVerdict, Steps, Tokens};
use crate::lab::first::{self, Plan};
use crate::lab::{Side, Survey};
use crate::load::decode::Decode;
use crate::run::arranged::Arrangement;
use crate::run::{Answer, RunError};
use crate::tensor::Tensors;
use reached::{Reached, reached, refused};

/// The reference, decoded.
pub struct Decoded {
    /// What is known of its model.
    pub survey: Survey,
    /// The inputs of every step, as the reference has them.
    pub states: Vec<Tensors>,
    /// The outputs that decide, and those that the next step needs.
    pub asked: Vec<String>,
    /// Its outputs, by step.
    pub values: Values,
    /// How long each step took, where the backend tells.
    pub seconds: Vec<f64>,
    /// Why it does not come through the step behind them; `None` where there is none.
    pub failed: Option<RunError>,
}

/// Decodes with the reference; `rewritten`: a candidate will run its model rewritten by element type.
pub fn reference(reference: &mut Side, rewritten: bool, decode: &Decode, plan: &Plan) -> anyhow::Result<Decoded> {
    let first = plan.feeds.get(..1).context("there is no first step")?;
    let (survey, answer) = first::reference(reference, rewritten, &Plan { feeds: first, ..*plan })?;
    answer.map_err(|e| refused("the reference fails at step 0", e))?;
    let mut asked: Vec<String> = plan.outputs.to_vec();
    asked.extend(decode.needed().filter(|name| !plan.outputs.contains(name)).cloned());
    let Reached { right, failed } =
        reached(decode, |decode| decoded(reference, decode, &Plan { outputs: &asked, ..*plan }))?;
    let states = states(&Decode { steps: right.values.len(), ..decode.clone() }, plan.feeds, &right.values)?;
    Ok(Decoded {
        survey,
        states,
        asked,
        values: right.values.into_iter().map(Ok).collect(),
        seconds: right.seconds,
        failed,
    })
}

/// What the candidate decodes from its own outputs, which are put right so; nothing where it cannot.
pub fn by_itself(
    candidate: &mut Side,
    how: Arrangement,
    decode: &Decode,
    every: &Plan,
) -> Result<Vec<Tensors>, RunError> {
    if !candidate.runs() {
        return Ok(Vec::new());
    }
    // The state that is looked into says for itself how it is laid out.
    let as_it_is = Arc::clone(&candidate.backend);
    fit::arrange(candidate, how);
    let own = decoded(candidate, decode, every);
    candidate.backend = as_it_is;
    match own {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        other => Ok(other.map(|answer| answer.values).unwrap_or_default()),
    }
}

/// Step by step from its own outputs, with what is asked for inside of the model visible.
fn decoded(side: &Side, decode: &Decode, plan: &Plan) -> Result<Answer, RunError> {
    let marked = side.marked(&first::inner(side, plan.outputs));
    side.perform(&side.work(plan.feeds, plan.outputs).on(&marked, &side.types).decoding(decode))
}

/// What became of the steps of a candidate, and the step that is looked into.
pub fn judged(
    pair: Pair,
    decode: &Decode,
    states: &[Tensors],
    right: &[Tensors],
    gave: &Gave,
) -> anyhow::Result<(Steps, usize)> {
    let judged = Judged { pair, decode, states, right, got: &gave.values, own: &gave.own };
    let mut steps = judged.steps()?;
    let chosen = chosen(&steps);
    if let Some(decoding) = &mut steps.decoding {
        decoding.searched = chosen;
    }
    Ok((steps, chosen))
}

/// The step that the reference does not come through has no answer.
pub fn unreached(step: usize, why: &RunError) -> StepVerdict {
    let why = Some(format!("the reference fails at this step: {why}"));
    StepVerdict { step, why, ..StepVerdict::default() }
}

/// The inputs of every step, as the reference has them.
fn states(decode: &Decode, feeds: &[Tensors], right: &[Tensors]) -> anyhow::Result<Vec<Tensors>> {
    let mut states: Vec<Tensors> = feeds.first().cloned().into_iter().collect();
    for (step, outputs) in right.iter().enumerate().take(decode.steps.saturating_sub(1)) {
        let next = decode.next(&states[step], outputs, feeds.get(step + 1));
        states.push(next.map_err(|why| anyhow::anyhow!("step {step}: {why}"))?);
    }
    Ok(states)
}

/// The step that the search goes on with: where the candidate drifts, that with the largest error of its own.
fn chosen(steps: &Steps) -> usize {
    if let Some(bad) = steps.steps.iter().find(|step| step.verdict == Verdict::Diverged) {
        return bad.step;
    }
    let drifts = steps.decoding.as_ref().is_some_and(|decoding| decoding.drifts_from.is_some());
    let error = |step: &StepVerdict| {
        let errors = step.outputs.iter().filter_map(|output| output.metrics.as_ref()?.relative_rms());
        errors.fold(0.0, f64::max)
    };
    let worst = steps.steps.iter().max_by(|a, b| error(a).total_cmp(&error(b)));
    match drifts {
        true => worst.map_or(0, |step| step.step),
        false => steps.steps.last().map_or(0, |step| step.step),
    }
}

/// Everything has run.
struct Judged<'a> {
    pair: Pair<'a>,
    decode: &'a Decode,
    states: &'a [Tensors],
    right: &'a [Tensors],
    got: &'a [Result<Tensors, RunError>],
    own: &'a [Tensors],
}

impl Judged<'_> {
    fn steps(&self) -> anyhow::Result<Steps> {
        let mut steps = Vec::new();
        let mut alike = !self.own.is_empty();
        let rules = self.states.first().map(|first| self.decode.told(first)).unwrap_or_default();
        let mut decoding = Decoding { rules, ..Decoding::default() };
        for step in 0..self.states.len() {
            let Stand { verdict, why, outputs, .. } = match &self.got[step] {
                Ok(got) => self.stand(step, got)?,
                Err(e) => Stand::without(e.to_string()),
            };
            let mut row = StepVerdict { step, verdict, why, outputs, ..StepVerdict::default() };
            if let Some(own) = self.own.get(step).filter(|_| alike) {
                let Stand { verdict, outputs, .. } = self.stand(step, own)?;
                row.own = Some(OwnStep { verdict, outputs });
            }
            row.tokens = self.tokens(step);
            // What follows from another token is another text.
            if let Some(tokens) = row.tokens.as_ref().filter(|tokens| alike && tokens.own != tokens.reference) {
                alike = tokens.own.is_empty();
                decoding.first_token = decoding.first_token.or(Some(step));
            }
            steps.push(row);
        }
        let own = |step: &StepVerdict| step.own.as_ref().is_some_and(|own| own.verdict == Verdict::Diverged);
        let forced = steps.iter().any(|step| step.verdict == Verdict::Diverged);
        decoding.drifts_from = steps.iter().find(|step| !forced && own(step)).map(|step| step.step);
        Ok(Steps { steps, decoding: Some(decoding) })
    }

    fn stand(&self, step: usize, got: &Tensors) -> anyhow::Result<Stand> {
        self.pair.stand(&self.states[step..=step], vec![self.right[step].clone()], vec![got.clone()])
    }

    fn tokens(&self, step: usize) -> Option<Tokens> {
        self.decode.token.as_ref()?;
        let of = |outputs: Option<&Tensors>| outputs.map(|outputs| self.decode.tokens(outputs)).unwrap_or_default();
        Some(Tokens {
            reference: of(self.right.get(step)),
            candidate: of(self.got[step].as_ref().ok()),
            own: of(self.own.get(step)),
        })
    }
}
