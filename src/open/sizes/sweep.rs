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
use crate::lab::first::Plan;
use crate::load::samples::InputSpec;
use crate::load::sizes;
use crate::open::stand::Both;
use crate::open::tried::{Course, Right};
use crate::run::RunError;
use crate::tensor::Tensors;

/// Sizes of the first part.
const FIRST: usize = 8;
/// How long a part may take: each builds both sessions again.
const LONG: Duration = Duration::from_secs(3);

/// One sample, and the sizes that it is tried in.
pub struct Sweep {
    sample: Tensors,
    specs: Vec<InputSpec>,
    /// The smallest sample first; never empty.
    pub sizes: Vec<Size>,
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

    /// What became of each size, and the sample that the search goes on with: the smallest that fails, else the largest that
    /// agrees. `tell` hears of every part when it is over, and of the last one when it is broken off.
    pub fn run(&self, mut both: Both, tell: &dyn Fn(&Sizes)) -> anyhow::Result<(Sizes, Tensors)> {
        // Nobody builds an engine several times.
        let engine = both.reference.is_engine() || both.candidate.is_engine();
        let mut most = if engine { self.sizes.len() } else { FIRST };
        let mut survey: Option<Survey> = None;
        let mut sweep: Vec<SizeVerdict> = Vec::new();
        while sweep.len() < self.sizes.len() {
            let (started, left) = (Instant::now(), &self.sizes[sweep.len()..]);
            let part = &left[..left.len().min(most)];
            sweep.extend(self.part(&mut both, part, &mut survey)?);
            tell(&Sizes { sweep: sweep.clone(), batch: None });
            if interrupt::requested() {
                return Err(RunError::Interrupted.into());
            }
            most = next(most, started.elapsed());
        }
        let sample = sizes::sized(&self.sample, &self.specs, &self.sizes[chosen(&sweep)])?;
        Ok((Sizes { sweep, batch: None }, sample))
    }

    /// Some of the sizes on both sides; fewer where the user stops it.
    fn part(&self, both: &mut Both, sizes: &[Size], survey: &mut Option<Survey>) -> anyhow::Result<Vec<SizeVerdict>> {
        let (samples, course) = (self.samples(sizes)?, Course::Sizes(Asked::Sweep(sizes.to_vec())));
        let plan = Plan { feeds: &samples, ..both.plan };
        let right = match survey.take() {
            Some(known) => Right::known(both.reference, &course, &plan, known)?,
            None => Right::of(both.reference, both.rewritten(), &course, &plan)?,
        };
        let gave = right.run(both.reference, both.candidate, both.args, &plan)?;
        let tried = right.judged(both.pair(&right.survey), &gave)?;
        *survey = Some(right.survey);
        Ok(tried.sizes.sweep)
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
