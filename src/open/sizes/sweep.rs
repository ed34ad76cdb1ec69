//! Every size of a sweep, the smaller ones first: a part of them on both sides, then the next, so that who stops the run keeps
//! what is known by then, and no more outputs are held than those of a part.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};

use super::Asked;
use crate::cli::SetArgs;
use crate::found::Verdict;
use crate::found::shard::{Shard, Shared};
use crate::found::sizes::{Size, SizeVerdict, Sizes};
use crate::interrupt;
use crate::lab::Survey;
use crate::lab::first::{self, First, Plan};
use crate::load::samples::InputSpec;
use crate::load::sizes;
use crate::open::stand::Both;
use crate::open::tried::{Course, Right};
use crate::run::RunError;
use crate::tensor::Tensors;

/// Sizes of the first part.
const FIRST: usize = 8;
/// How long a part may take.
const LONG: Duration = Duration::from_secs(3);

/// One sample, and the sizes that it is tried in.
pub struct Sweep {
    sample: Tensors,
    specs: Vec<InputSpec>,
    /// The smallest sample first; never empty.
    pub sizes: Vec<Size>,
}

/// What came of all of them.
pub struct Swept {
    /// Size by size.
    pub sizes: Sizes,
    /// The sample in the size that is looked into: the smallest that fails, else the largest that agrees.
    pub sample: Tensors,
    /// What is known of the model, and what both sides put out for that sample, where they agree on it.
    pub agreed: Option<(Survey, First)>,
}

/// What came of some of them.
struct Part {
    tried: Vec<SizeVerdict>,
    /// What both sides put out for the largest that agrees.
    agreed: Option<First>,
}

impl Sweep {
    /// What `--sweep` asks for, and which part of it is this run's; `run` is what its shards have in common. An error where the
    /// smallest or the largest size cannot be made.
    pub fn asked(
        args: &SetArgs,
        specs: Vec<InputSpec>,
        feeds: &[Tensors],
        run: &str,
    ) -> anyhow::Result<(Sweep, Option<Shard>)> {
        let [sample] = feeds else {
            bail!("--sweep makes one sample larger and smaller, and there are {}; give one", feeds.len())
        };
        let sizes = sizes::combinations(&args.sweep);
        let shard = args.shard.map(|part| part.shard(Shared::Sizes, sizes.len(), run));
        let sizes: Vec<Size> = match &shard {
            Some(shard) => shard.members.iter().filter_map(|number| sizes.get(*number).cloned()).collect(),
            None => sizes,
        };
        ensure!(!sizes.is_empty(), "--shard: there are fewer sizes than shards; use fewer shards");
        let sweep = Sweep { sample: sample.clone(), specs, sizes };
        sweep.samples(&[sweep.sizes[0].clone(), sweep.sizes[sweep.sizes.len() - 1].clone()])?;
        Ok((sweep, shard))
    }

    /// Made when they are run: all together may not fit into memory.
    pub fn samples(&self, sizes: &[Size]) -> anyhow::Result<Vec<Tensors>> {
        sizes.iter().map(|size| sizes::sized(&self.sample, &self.specs, size)).collect()
    }

    /// What became of each size, and of the sample that the search goes on with. `tell` hears of every part when it is over, and of the last one when it is broken off.
    pub fn run(&self, mut both: Both, tell: &dyn Fn(&Sizes)) -> anyhow::Result<Swept> {
        // Nobody builds an engine several times.
        let engine = both.reference.is_engine() || both.candidate.is_engine();
        let mut most = if engine { self.sizes.len() } else { FIRST };
        let mut survey: Option<Survey> = None;
        let mut sweep: Vec<SizeVerdict> = Vec::new();
        let mut agreed = None;
        while sweep.len() < self.sizes.len() {
            let (started, left) = (Instant::now(), &self.sizes[sweep.len()..]);
            let part = &left[..left.len().min(most)];
            let part = self.part(&mut both, part, &mut survey)?;
            agreed = part.agreed.or(agreed);
            sweep.extend(part.tried);
            tell(&Sizes { sweep: sweep.clone(), batch: None });
            if interrupt::requested() {
                return Err(RunError::Interrupted.into());
            }
            most = next(most, started.elapsed());
        }
        let chosen = chosen(&sweep);
        let sample = sizes::sized(&self.sample, &self.specs, &self.sizes[chosen])?;
        // An engine tells more of itself than its outputs.
        let agreed = agreed.filter(|_| sweep[chosen].verdict == Verdict::Agreed && !engine);
        let agreed = match survey.zip(agreed) {
            Some((survey, first)) => {
                let plan = Plan { feeds: std::slice::from_ref(&sample), held: true, ..both.plan };
                Some((survey, First { again: first::again(both.candidate, &plan)?, ..first }))
            }
            None => None,
        };
        Ok(Swept { sizes: Sizes { sweep, batch: None }, sample, agreed })
    }

    /// Some of the sizes on both sides; fewer where the user stops it.
    fn part(&self, both: &mut Both, sizes: &[Size], survey: &mut Option<Survey>) -> anyhow::Result<Part> {
        let (samples, course) = (self.samples(sizes)?, Course::Sizes(Asked::Sweep(sizes.to_vec())));
        let plan = Plan { feeds: &samples, held: true, ..both.plan };
        let (right, gave) = Right::beside(both, &course, &plan, survey.take())?;
        let tried = right.judged(both.pair(&right.survey), &gave)?.sizes.sweep;
        let largest = tried.iter().rposition(|tried| tried.verdict == Verdict::Agreed);
        let put_out = |at: usize| match (right.values.get(at), gave.values.get(at)) {
            (Some(Ok(right)), Some(Ok(got))) => Some(First::ran(vec![right.clone()], vec![got.clone()])),
            _ => None,
        };
        // Layouts that were undone are told of by who undoes them first.
        let agreed = largest.filter(|_| gave.fitted.is_empty()).and_then(put_out);
        *survey = Some(right.survey);
        Ok(Part { tried, agreed })
    }
}

/// How many sizes the next part has, after one of `most` that took so long.
fn next(most: usize, took: Duration) -> usize {
    match took {
        took if took < LONG / 2 => most.saturating_mul(2),
        took if took > LONG => (most / 2).max(1),
        _ => most,
    }
}

/// The size that is looked into: the smallest that fails, else the largest that agrees.
pub fn chosen(sweep: &[SizeVerdict]) -> usize {
    let first = sweep.iter().position(|tried| tried.verdict == Verdict::Diverged);
    let last = sweep.iter().rposition(|tried| tried.verdict == Verdict::Agreed);
    first.or(last).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_while_they_are_quick() {
        assert_eq!(next(8, Duration::from_millis(100)), 16);
        assert_eq!(next(8, Duration::from_millis(2000)), 8);
        assert_eq!((next(8, Duration::from_secs(10)), next(1, Duration::from_secs(10))), (4, 1));
    }

    #[test]
    fn the_smallest_that_fails_is_chosen() {
        use Verdict::{Agreed, Diverged, Inconclusive};
        let check = |verdicts: &[Verdict], want: usize| {
            let tried = |verdict: &Verdict| SizeVerdict { verdict: *verdict, ..SizeVerdict::default() };
            assert_eq!(chosen(&verdicts.iter().map(tried).collect::<Vec<_>>()), want, "{verdicts:?}");
        };
        check(&[Inconclusive, Agreed, Diverged, Diverged], 2);
        check(&[Agreed, Agreed, Inconclusive], 1);
        check(&[Inconclusive, Inconclusive], 0);
    }
}
