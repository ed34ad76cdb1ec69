//! Before the search: a model that decodes, step by step. The candidate is run on every state of the reference, and by itself; the
//! search goes on with the state of the first step that fails. `--steps`.

use anyhow::Context;

use super::sizes::each;
use super::stand::{Both, Pair, Stand};
use crate::found::Verdict;
use crate::found::steps::{Decoding, OwnStep, StepVerdict, Steps, Tokens};
use crate::lab::Side;
use crate::lab::first::{self, Plan};
use crate::load::decode::Decode;
use crate::run::RunError;
use crate::tensor::Tensors;

/// What became of the steps of both sides, and the inputs that the search goes on with.
pub fn decode(mut both: Both, decode: &Decode) -> anyhow::Result<(Steps, Tensors)> {
    let plan = Plan { ..both.plan };
    let (survey, answer) = both.survey(plan.feeds.get(..1).context("there is no first step")?)?;
    answer.map_err(|e| refused("the reference fails at step 0", e))?;
    let mut asked: Vec<String> = plan.outputs.to_vec();
    asked.extend(decode.needed().filter(|name| !plan.outputs.contains(name)).cloned());
    let Reached { right, failed } = reached(decode, |decode| {
        Ok(both.reference.perform(&both.reference.work(plan.feeds, &asked).decoding(decode))?.values)
    })?;
    let decode = &Decode { steps: right.len(), ..decode.clone() };
    let states = states(decode, plan.feeds, &right)?;
    let every = Plan { feeds: &states, outputs: &asked, ..plan };
    let answer = first::candidate(both.reference, both.candidate, &survey, &every);
    let got = each(answer, &every, |plan| first::unmarked(both.candidate, plan))?;
    let own = by_itself(both.candidate, decode, &every)?;
    let judged = Judged { pair: both.pair(&survey), decode, states: &states, right: &right, got: &got, own: &own };
    let mut steps = judged.steps()?;
    let chosen = chosen(&steps);
    if let Some(decoding) = &mut steps.decoding {
        decoding.searched = chosen;
    }
    steps.steps.extend(failed.map(|why| StepVerdict {
        step: right.len(),
        why: Some(format!("the reference fails at this step: {why}")),
        ..StepVerdict::default()
    }));
    let state = states.get(chosen).cloned().context("no step was decoded")?;
    Ok((steps, state))
}

/// How far the reference comes.
struct Reached {
    /// Its outputs, step by step.
    right: Vec<Tensors>,
    /// Why it does not come through the step behind them; `None` where there is none.
    failed: Option<RunError>,
}

/// All steps, else the most that run: which one fails is found by asking for fewer. A reference that fails at once is bad
/// input, and so is one whose outputs cannot be fed back.
fn reached(decode: &Decode, run: impl Fn(&Decode) -> Result<Vec<Tensors>, RunError>) -> anyhow::Result<Reached> {
    let of = |steps: usize| run(&Decode { steps, ..decode.clone() });
    let (mut right, mut bad) = (Vec::new(), decode.steps);
    let mut failed = match of(bad) {
        Ok(right) => return Ok(Reached { right, failed: None }),
        Err(e @ (RunError::Run { .. } | RunError::Crash { .. } | RunError::Garbage { .. })) => e,
        Err(e) => return Err(refused("the reference cannot decode", e)),
    };
    while bad - right.len() > 1 {
        let fewer = right.len() + (bad - right.len()) / 2;
        match of(fewer) {
            Ok(values) if values.len() == fewer => right = values,
            Ok(_) => break,
            Err(RunError::Interrupted) => return Err(RunError::Interrupted.into()),
            Err(e) => (bad, failed) = (fewer, e),
        }
    }
    let unwired = right.len() == 1 && matches!(failed, RunError::Garbage { .. });
    match right.is_empty() || unwired {
        true => Err(refused("the reference cannot decode", failed)),
        false => Ok(Reached { right, failed: Some(failed) }),
    }
}

/// A wish to stop is no bad input.
fn refused(what: &str, why: RunError) -> anyhow::Error {
    match why {
        RunError::Interrupted => why.into(),
        other => anyhow::anyhow!("{what}: {other}"),
    }
}

/// What the candidate decodes from its own outputs; nothing where it cannot.
fn by_itself(candidate: &Side, decode: &Decode, every: &Plan) -> Result<Vec<Tensors>, RunError> {
    if !candidate.runs() {
        return Ok(Vec::new());
    }
    match candidate.values(&candidate.work(every.feeds, every.outputs).decoding(decode)) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        other => Ok(other.unwrap_or_default()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_at_which_the_reference_fails_is_found() {
        let failed = |reason: &str| RunError::Run { backend: "ort".into(), reason: reason.into() };
        let check = |steps: usize, fails: Option<usize>, want: Option<usize>| {
            let run = |decode: &Decode| match fails.filter(|step| *step < decode.steps) {
                Some(step) => Err(failed(&format!("out of range at {step}"))),
                None => Ok(vec![Tensors::new(); decode.steps]),
            };
            let reached = reached(&Decode { steps, ..Decode::default() }, run).unwrap();
            assert_eq!(reached.right.len(), want.unwrap_or(steps));
            let why = want.map(|step| failed(&format!("out of range at {step}")));
            assert_eq!(reached.failed, why, "{steps} {fails:?}");
        };
        check(12, None, None);
        (1..12).for_each(|step| check(12, Some(step), Some(step)));
        let decode = Decode { steps: 12, ..Decode::default() };
        let why = |e: RunError| reached(&decode, |_| Err(e.clone())).err().unwrap();
        assert!(why(failed("no")).to_string().starts_with("the reference cannot decode: ort failed"));
        assert_eq!(why(RunError::Interrupted).downcast_ref(), Some(&RunError::Interrupted));
    }
}
