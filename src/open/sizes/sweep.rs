//! Every size of a sweep, the smaller ones first: a part of them on both sides, then the next, so that who stops the run keeps
//! what is known by then, and no more outputs are held than those of a part.

use std::time::{Duration, Instant};

use rayon::prelude::*;

use super::{Judged, runs};
use crate::found::Verdict;
use crate::found::sizes::{Size, SizeVerdict, Sizes};
use crate::interrupt;
use crate::lab::Survey;
use crate::lab::first::Plan;
use crate::open::stand::{Both, Stand};
use crate::run::RunError;

/// Sizes of the first part.
const FIRST: usize = 8;
/// How long a part may take: each builds both sessions again.
const LONG: Duration = Duration::from_secs(3);

/// What became of each size, and which one the search goes on with: the smallest that fails, else the largest that agrees.
/// `tell` hears of every part when it is over, and of the last one when it is broken off.
pub fn sweep(mut both: Both, sizes: &[Size], tell: &dyn Fn(&Sizes)) -> anyhow::Result<(Sizes, usize)> {
    let all = both.plan.feeds;
    // Nobody builds an engine several times.
    let engine = both.reference.is_engine() || both.candidate.is_engine();
    let mut most = if engine { all.len() } else { FIRST };
    let mut survey: Option<Survey> = None;
    let mut sweep: Vec<SizeVerdict> = Vec::new();
    while sweep.len() < sizes.len() {
        let (started, done) = (Instant::now(), sweep.len());
        let plan = Plan { feeds: &all[done..all.len().min(done + most)], ..both.plan };
        let (right, got) = runs(&mut both, &plan, &mut survey)?;
        let Some(survey) = &survey else { break };
        let judged = Judged { pair: both.pair(survey), plan: &plan, right, got };
        let stand = |sample: usize| (!interrupt::requested()).then(|| judged.stand(sample));
        let stands: Vec<Option<_>> = (0..plan.feeds.len()).into_par_iter().map(stand).collect();
        for (size, stand) in sizes[done..].iter().zip(stands.into_iter().map_while(|stand| stand)) {
            let Stand { verdict, why, outputs, .. } = stand?;
            sweep.push(SizeVerdict { size: size.clone(), verdict, why, outputs });
        }
        tell(&Sizes { sweep: sweep.clone(), batch: None });
        if interrupt::requested() {
            return Err(RunError::Interrupted.into());
        }
        most = next(most, started.elapsed());
    }
    let chosen = chosen(&sweep);
    Ok((Sizes { sweep, batch: None }, chosen))
}

/// How many sizes the next part has, after one of `most` that took so long.
fn next(most: usize, took: Duration) -> usize {
    match took {
        took if took < LONG / 2 => most.saturating_mul(2),
        took if took > LONG => (most / 2).max(1),
        _ => most,
    }
}

fn chosen(sweep: &[SizeVerdict]) -> usize {
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
