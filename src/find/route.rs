//! `--by build-route`: which knobs of the engine's compiler make the failure appear. A knob is turned off, the engine is built
//! again, and the outputs tell.

use serde::Deserialize;

use crate::found::Routes;
use crate::lab::first::inner;
use crate::lab::{Lab, Probe};
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::{Answer, ddmin};

/// A pass of the compiler that can be left out, and how.
#[derive(Clone, Debug, PartialEq)]
struct Knob {
    off: String,
    help: String,
}

/// A smallest set of knobs that, turned off, makes the outputs agree.
pub fn route(probe: &Probe, builds: u64, progress: &Progress) -> Result<Routes, RunError> {
    let told = probe.lab.candidate.routes()?;
    let Some(knobs) = told.as_deref().and_then(knobs).filter(|knobs| !knobs.is_empty()) else {
        return Err(RunError::Missing(
            "--by build-route turns the knobs of TensorRT's compiler, which this candidate does not have; TensorRT 11.1 and newer do"
                .to_string(),
        ));
    };
    let mut tried = 0;
    let mut off = |set: &[usize]| -> Result<Answer, RunError> {
        tried += 1;
        progress.step(format!("build routes, build {tried}: {} of {} knobs off", set.len(), knobs.len()));
        let route = set.iter().map(|k| knobs[*k].off.as_str()).collect::<Vec<_>>().join(" ");
        cured(probe, route)
    };
    let all: Vec<usize> = (0..knobs.len()).collect();
    let mut found = match off(&all)? {
        // What is looked for here is the cure: a set that cures is one that `ddmin` may make smaller.
        Answer::Good => {
            let mut left = builds.saturating_sub(1);
            let smallest = ddmin(&all, &[], 1, |sets| {
                let Some(set) = sets.first().filter(|_| left > 0) else { return Ok(vec![Answer::Unknown]) };
                left -= 1;
                let cures = off(set)? == Answer::Good;
                Ok::<_, RunError>(vec![if cures { Answer::Bad } else { Answer::Good }])
            })?;
            Some(smallest.items)
        }
        Answer::Bad => None,
        // They cannot be turned off together: each alone, then.
        Answer::Unknown => {
            let mut single = None;
            for knob in all.iter().take(builds.saturating_sub(1) as usize) {
                if off(&[*knob])? == Answer::Good {
                    single = Some(vec![*knob]);
                    break;
                }
            }
            single
        }
    };
    let verified = match &found {
        Some(set) => off(set)? == Answer::Good,
        None => false,
    };
    let set = found.take().unwrap_or_default();
    Ok(Routes {
        knobs: set.iter().map(|k| knobs[*k].off.clone()).collect(),
        help: set.iter().map(|k| knobs[*k].help.clone()).collect(),
        verified,
        builds: tried,
        of: knobs.len(),
    })
}

/// Good: with this route every output of every sample agrees. A build that fails is no answer.
fn cured(probe: &Probe, route: String) -> Result<Answer, RunError> {
    let Lab { candidate: side, outputs, feeds, .. } = probe.lab;
    let model = side.marked(&inner(side, outputs));
    match side.values(&side.work(feeds, outputs).on(&model, &side.types).routed(route)) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(Answer::Unknown),
        Ok(values) => Ok(probe.lab.tried(outputs, &probe.finals.right, &values, 0)?.answer),
    }
}

/// Knobs that are on by themselves and can be turned off: `on` to `off`, or a level to 0.
fn knobs(json: &str) -> Option<Vec<Knob>> {
    #[derive(Deserialize)]
    struct Told {
        tuner_options: Vec<Choice>,
    }
    #[derive(Deserialize)]
    struct Choice {
        option: String,
        #[serde(default)]
        allowed_values: String,
        #[serde(default)]
        default_value: String,
        #[serde(default)]
        help: String,
    }
    let told: Told = serde_json::from_str(json).ok()?;
    let knob = |choice: Choice| {
        let (_, values) = choice.allowed_values.split_once("=[")?;
        let allowed = |value: &str| values.trim_end_matches(']').split('|').any(|v| v == value);
        let off = ["off", "0"].into_iter().find(|v| allowed(v) && choice.default_value != *v)?;
        Some(Knob { off: format!("{}={off}", choice.option), help: choice.help })
    };
    Some(told.tuner_options.into_iter().filter_map(knob).collect())
}

#[cfg(test)]
mod tests;
