//! The stages of a pipeline, run one after the other and set against the reference: one that fails has a reason in the place of
//! values, and ends nothing else.

use super::Ran;
use super::loading::told;
use crate::cli::{SetArgs, StageArg};
use crate::found::Latency;
use crate::judge::Labels;
use crate::lab::first::Plan;
use crate::lab::{Side, times};
use crate::open::gave::{Gave, Values};
use crate::open::placed;
use crate::open::stand::Pair;
use crate::open::tried::{Right, Tried};

/// What every stage is run with: the reference has run.
pub struct Running<'a> {
    /// The flags of every comparison.
    pub set: &'a SetArgs,
    /// What classes are called.
    pub labels: &'a Labels,
    /// The run that is believed.
    pub reference: &'a Side,
    /// What it gave.
    pub right: &'a Right<'a>,
    /// The data, and what is asked for.
    pub plan: Plan<'a>,
}

impl Running<'_> {
    /// Runs a stage, and sets it against the reference in all that is tried; only Ctrl-C ends the pipeline here.
    pub fn stage(&self, stage: &StageArg, side: Result<Side, String>) -> anyhow::Result<Ran> {
        let (name, spec) = (stage.name.clone(), stage.spec.clone());
        let none = |side: Option<Side>, why: String| {
            let (name, spec) = (stage.name.clone(), stage.spec.clone());
            let (values, tried) = (Err(why), Tried::default());
            Ran {
                name,
                spec,
                side,
                values,
                tried,
                seconds: Vec::new(),
                repeated: None,
                placement: None,
                fitted: Vec::new(),
            }
        };
        let mut side = match side {
            Ok(side) => side,
            Err(why) => return Ok(none(None, why)),
        };
        // The reference once more would be no second opinion.
        let gave = match spec == self.set.reference {
            true => self.right.again(),
            false => match told(self.right.run(self.reference, &mut side, self.set, &self.plan).map_err(Into::into))? {
                Ok(gave) => gave,
                Err(why) => return Ok(none(Some(side), why)),
            },
        };
        match told(self.right.judged(self.pair(&side), &gave))? {
            Ok(tried) => {
                let Gave { values, seconds, fitted, .. } = gave;
                let values = some(deciding(values, self.plan.outputs));
                let (placement, _) = placed::ask(&side, self.reference, self.plan.feeds)?;
                let repeated = self.repeated(&side)?;
                Ok(Ran { name, spec, side: Some(side), values, tried, seconds, repeated, placement, fitted })
            }
            Err(why) => Ok(none(Some(side), why)),
        }
    }

    /// What runs of the first sample take, as `--latency` asks.
    fn repeated(&self, side: &Side) -> anyhow::Result<Option<Latency>> {
        let Some(runs) = self.set.latency else { return Ok(None) };
        let work = side.work(self.right.feeds.get(..1).unwrap_or_default(), self.plan.outputs);
        Ok(times::time(side, &work, runs as usize)?.map(|took| took.latency))
    }

    fn pair<'b>(&'b self, candidate: &'b Side) -> Pair<'b> {
        Pair {
            reference: self.reference,
            candidate,
            survey: &self.right.survey,
            args: self.set,
            labels: self.labels,
            outputs: self.plan.outputs,
            share: None,
        }
    }
}

/// Of what was given, the outputs that decide: caches of many steps and stages would not fit beside each other.
pub fn deciding(mut values: Values, outputs: &[String]) -> Values {
    values.iter_mut().flatten().for_each(|values| values.retain(|name, _| outputs.contains(name)));
    values
}

/// Values, if there are any; else what the first failure says stands for all.
fn some(values: Values) -> Result<Values, String> {
    match values.first() {
        Some(Err(e)) if values.iter().all(Result::is_err) => Err(e.to_string()),
        _ => Ok(values),
    }
}
