//! Before the search: the data in other sizes, all of which both sides run, and the one that the search is to go on with: the
//! smallest that fails. `--sweep` and `--batch-check`.

mod rows;

use anyhow::ensure;

use super::stand::{Pair, Stand};
use super::{data, specs};
use crate::cli::SetArgs;
use crate::found::Verdict;
use crate::found::shard::{Shard, Shared};
use crate::found::sizes::{SizeVerdict, Sizes};
use crate::lab::Side;
use crate::lab::first::{self, Plan};
use crate::load::sizes;
use crate::run::{Answer, RunError};
use crate::tensor::Tensors;
use rows::Rows;

/// The data in the sizes that are to be tried.
pub enum Asked {
    /// As it is.
    One,
    /// Every size of a sweep.
    Sweep(Vec<sizes::Size>),
    /// A batch, then each row alone, then each row repeated.
    Rows(Rows),
}

/// The samples of all that is to be tried: `feeds` as they are, where nothing is.
pub fn asked(
    args: &SetArgs,
    reference: &Side,
    feeds: Vec<Tensors>,
) -> anyhow::Result<(Vec<Tensors>, Asked, Option<Shard>)> {
    let specs = specs::input_specs(reference)?;
    if args.batch_check {
        let rows = Rows::of(&feeds, &specs)?;
        return Ok((rows.samples()?, Asked::Rows(rows), None));
    }
    let sizes = sizes::combinations(&args.sweep);
    let [sample] = feeds.as_slice() else {
        ensure!(
            args.sweep.is_empty(),
            "--sweep makes one sample larger and smaller, and there are {}; give one",
            feeds.len()
        );
        return Ok((feeds, Asked::One, None));
    };
    if args.sweep.is_empty() {
        return Ok((feeds, Asked::One, None));
    }
    let shard = args.shard.map(|part| part.shard(Shared::Sizes, sizes.len(), &args.fingerprint(&[])));
    let sizes: Vec<sizes::Size> = match &shard {
        Some(shard) => shard.members.iter().filter_map(|number| sizes.get(*number).cloned()).collect(),
        None => sizes,
    };
    ensure!(!sizes.is_empty(), "--shard: there are fewer sizes than shards; use fewer shards");
    let samples = sizes.iter().map(|size| sizes::sized(sample, &specs, size)).collect::<anyhow::Result<_>>()?;
    Ok((samples, Asked::Sweep(sizes), shard))
}

/// Both sides, on every size.
pub struct Both<'a> {
    /// The run that is believed.
    pub reference: &'a mut Side,
    /// The run under suspicion.
    pub candidate: &'a mut Side,
    /// The user's tolerance.
    pub args: &'a SetArgs,
    /// All of the samples.
    pub plan: Plan<'a>,
}

impl Both<'_> {
    /// Runs everything, and says which sample the search goes on with.
    pub fn try_all(self, asked: &Asked) -> anyhow::Result<(Sizes, usize)> {
        if matches!(asked, Asked::One) {
            return Ok((Sizes::default(), 0));
        }
        let Both { reference, candidate, args, plan } = self;
        let rewritten = candidate.rewrites() && candidate.spec.model.is_none();
        let (survey, answer) = first::reference(reference, rewritten, &plan)?;
        let right = each(answer, &plan, |plan| first::unmarked(reference, plan))?;
        let answer = first::candidate(reference, candidate, &survey, &plan);
        let got = each(answer, &plan, |plan| first::unmarked(candidate, plan))?;
        let labels = data::labels(args)?;
        let (reference, candidate) = (&*reference, &*candidate);
        let pair = Pair { reference, candidate, survey: &survey, args, labels: &labels, outputs: plan.outputs };
        let judged = Judged { pair, plan: &plan, right, got };
        match asked {
            Asked::One => Ok((Sizes::default(), 0)),
            Asked::Sweep(sizes) => judged.sweep(sizes),
            Asked::Rows(rows) => judged.rows(rows),
        }
    }
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

    fn sweep(&self, sizes: &[sizes::Size]) -> anyhow::Result<(Sizes, usize)> {
        let tried = |(sample, size): (usize, &sizes::Size)| {
            let Stand { verdict, why, outputs, .. } = self.stand(sample)?;
            Ok(SizeVerdict { size: size.clone(), verdict, why, outputs })
        };
        let sweep = sizes.iter().enumerate().map(tried).collect::<anyhow::Result<Vec<_>>>()?;
        let first = |verdict| sweep.iter().position(|tried| tried.verdict == verdict);
        let last = sweep.iter().rposition(|tried| tried.verdict == Verdict::Agreed);
        let chosen = first(Verdict::Diverged).or(last).unwrap_or(0);
        Ok((Sizes { sweep, batch: None }, chosen))
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
