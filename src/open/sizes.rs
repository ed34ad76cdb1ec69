//! Before the search: the data in other sizes, all of which both sides run, and the one that the search is to go on with: the
//! smallest that fails. `--sweep` and `--batch-check`.

mod rows;
mod sweep;

use anyhow::{bail, ensure};

use super::specs;
use super::stand::{Both, Pair, Stand};
use crate::cli::SetArgs;
use crate::found::Verdict;
use crate::found::shard::{Shard, Shared};
use crate::found::sizes::{Size, Sizes};
use crate::lab::first::{self, Plan};
use crate::lab::{Side, Survey};
use crate::load::sizes;
use crate::run::{Answer, RunError};
use crate::tensor::Tensors;
use rows::Rows;
use sweep::Sweep;

/// What is to be tried besides the data as it is.
pub enum Asked {
    /// Every size of a sweep.
    Sweep(Sweep),
    /// A batch, then each row alone, then each row repeated.
    Rows(Rows),
}

impl Asked {
    /// How many sizes of a sweep there are.
    pub fn sizes(&self) -> usize {
        if let Asked::Sweep(sweep) = self { sweep.count() } else { 0 }
    }
}

/// Is anything to be tried besides the data as it is?
pub fn is_asked(args: &SetArgs) -> bool {
    args.batch_check || !args.sweep.is_empty()
}

/// All that is to be tried, and which part of it is this run's.
pub fn asked(args: &SetArgs, reference: &Side, feeds: &[Tensors]) -> anyhow::Result<(Asked, Option<Shard>)> {
    let specs = specs::input_specs(reference)?;
    if args.batch_check {
        return Ok((Asked::Rows(Rows::of(feeds, &specs)?), None));
    }
    let [sample] = feeds else {
        bail!("--sweep makes one sample larger and smaller, and there are {}; give one", feeds.len())
    };
    let sizes = sizes::combinations(&args.sweep);
    let shard = args.shard.map(|part| part.shard(Shared::Sizes, sizes.len(), &args.fingerprint(&[])));
    let sizes: Vec<Size> = match &shard {
        Some(shard) => shard.members.iter().filter_map(|number| sizes.get(*number).cloned()).collect(),
        None => sizes,
    };
    ensure!(!sizes.is_empty(), "--shard: there are fewer sizes than shards; use fewer shards");
    Ok((Asked::Sweep(Sweep::of(sample.clone(), specs, sizes)?), shard))
}

/// Runs both sides on every size, and gives back the sample that the search goes on with. `tell` hears of what is known by then.
pub fn try_all(mut both: Both, asked: &Asked, tell: &dyn Fn(&Sizes)) -> anyhow::Result<(Sizes, Tensors)> {
    match asked {
        Asked::Sweep(sweep) => sweep.run(both, tell),
        Asked::Rows(rows) => {
            let mut samples = rows.samples()?;
            let plan = Plan { feeds: &samples, ..both.plan };
            let mut survey = None;
            let (right, got) = runs(&mut both, &plan, &mut survey)?;
            let survey = survey.unwrap_or_default();
            let (sizes, chosen) = Judged { pair: both.pair(&survey), plan: &plan, right, got }.rows(rows)?;
            Ok((sizes, samples.swap_remove(chosen)))
        }
    }
}

/// By sample, what a side gave.
type Ran = Vec<Result<Tensors, RunError>>;

/// Both sides on these samples; what is known of the reference's model is asked the first time.
fn runs(both: &mut Both, plan: &Plan, survey: &mut Option<Survey>) -> Result<(Ran, Ran), RunError> {
    let (answer, begun) = match survey {
        Some(_) => (first::unmarked(both.reference, plan), true),
        None => {
            let (known, answer) = both.survey(plan.feeds)?;
            *survey = Some(known);
            (answer, false)
        }
    };
    let right = each(answer, plan, |plan| first::unmarked(both.reference, plan))?;
    let answer = match survey {
        Some(known) if !begun => first::candidate(both.reference, both.candidate, known, plan),
        _ => first::unmarked(both.candidate, plan),
    };
    Ok((right, each(answer, plan, |plan| first::unmarked(both.candidate, plan))?))
}

/// By sample: its outputs, or why there are none. Where all together fail, each is tried alone.
pub fn each(
    answer: Result<Answer, RunError>,
    plan: &Plan,
    run: impl Fn(&Plan) -> Result<Answer, RunError>,
) -> Result<Vec<Result<Tensors, RunError>>, RunError> {
    let one = |feed: &Tensors| {
        let plan = Plan { feeds: std::slice::from_ref(feed), ..*plan };
        match run(&plan) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(e) => Ok(Err(e)),
            Ok(mut answer) => Ok(Ok(answer.values.pop().unwrap_or_default())),
        }
    };
    match answer {
        Ok(answer) => Ok(answer.values.into_iter().map(Ok).collect()),
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => plan.feeds.iter().map(one).collect(),
    }
}

/// Both sides have run.
struct Judged<'a> {
    pair: Pair<'a>,
    plan: &'a Plan<'a>,
    right: Vec<Result<Tensors, RunError>>,
    got: Vec<Result<Tensors, RunError>>,
}

impl Judged<'_> {
    fn stand(&self, sample: usize) -> anyhow::Result<Stand> {
        let feed = std::slice::from_ref(&self.plan.feeds[sample]);
        Ok(match (&self.right[sample], &self.got[sample]) {
            (Err(e), _) => Stand::without(format!("the reference fails at this size: {e}")),
            (_, Err(e)) => Stand::without(e.to_string()),
            (Ok(right), Ok(got)) => self.pair.stand(feed, vec![right.clone()], vec![got.clone()])?,
        })
    }

    /// The batch where that fails against the reference, else a row alone that does, else the batch.
    fn rows(&self, rows: &Rows) -> anyhow::Result<(Sizes, usize)> {
        let batch = rows.judged(&self.pair, &self.right, &self.got);
        let alone = (0..=rows.count()).map(|sample| Ok((sample, self.stand(sample)?.verdict)));
        let alone = alone.collect::<anyhow::Result<Vec<_>>>()?;
        let chosen = alone.iter().find(|(_, verdict)| *verdict == Verdict::Diverged).map_or(0, |(sample, _)| *sample);
        Ok((Sizes { sweep: Vec::new(), batch: Some(batch) }, chosen))
    }
}
