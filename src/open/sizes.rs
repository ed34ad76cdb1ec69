//! Before the search: the data in other sizes, all of which both sides run (`tried`), and the one that is looked into: the smallest
//! that fails. `--sweep` and `--batch-check`. Runs nothing.

mod rows;
pub mod sweep;

use rayon::prelude::*;

use super::gave::Values;
use super::specs;
use super::stand::{Pair, Stand};
use crate::cli::SetArgs;
use crate::found::Verdict;
use crate::found::shard::Shard;
use crate::found::sizes::{Size, SizeVerdict, Sizes, told};
use crate::interrupt;
use crate::lab::Side;
use crate::tensor::Tensors;
use rows::Rows;
use sweep::Sweep;

/// The data in the sizes that are to be tried.
pub enum Asked {
    /// Every size of a sweep.
    Sweep(Vec<Size>),
    /// A batch, then each row alone, then each row repeated.
    Rows(Rows),
}

/// Is anything to be tried besides the data as it is?
pub fn is_asked(args: &SetArgs) -> bool {
    args.batch_check || !args.sweep.is_empty()
}

/// The samples of all that is to be tried; `run` is what the shards of this run have in common.
pub fn asked(
    args: &SetArgs,
    reference: &Side,
    feeds: &[Tensors],
    run: &str,
) -> anyhow::Result<(Vec<Tensors>, Asked, Option<Shard>)> {
    let specs = specs::input_specs(reference)?;
    if args.batch_check {
        let rows = Rows::of(feeds, &specs)?;
        return Ok((rows.samples()?, Asked::Rows(rows), None));
    }
    let (sweep, shard) = Sweep::asked(args, specs, feeds, run)?;
    Ok((sweep.samples(&sweep.sizes)?, Asked::Sweep(sweep.sizes), shard))
}

/// How a candidate stands to the reference at every size, of what both gave, and which sample is looked into.
pub fn judged(
    pair: Pair,
    feeds: &[Tensors],
    (right, got): (&Values, &Values),
    asked: &Asked,
) -> anyhow::Result<(Sizes, usize)> {
    let judged = Judged { pair, feeds, right, got };
    match asked {
        Asked::Sweep(sizes) => judged.sweep(sizes),
        Asked::Rows(rows) => judged.rows(rows),
    }
}

impl Asked {
    /// What the n-th sample is called: `batch=2, seq=16`, `the batch`, `row 2 alone`.
    pub fn place(&self, n: usize) -> String {
        match self {
            Asked::Sweep(sizes) => sizes.get(n).map(told).unwrap_or_default(),
            Asked::Rows(rows) => rows.place(n),
        }
    }
}

/// Both sides have run.
struct Judged<'a> {
    pair: Pair<'a>,
    feeds: &'a [Tensors],
    right: &'a Values,
    got: &'a Values,
}

impl Judged<'_> {
    fn stand(&self, sample: usize) -> anyhow::Result<Stand> {
        let feed = std::slice::from_ref(&self.feeds[sample]);
        Ok(match (&self.right[sample], &self.got[sample]) {
            (Err(e), _) => Stand::without(format!("the reference fails at this size: {e}")),
            (_, Err(e)) => Stand::without(e.to_string()),
            (Ok(right), Ok(got)) => self.pair.stand(feed, vec![right.clone()], vec![got.clone()])?,
        })
    }

    fn sweep(&self, sizes: &[Size]) -> anyhow::Result<(Sizes, usize)> {
        let tried = |(sample, size): (usize, &Size)| {
            let Stand { verdict, why, outputs, .. } = self.stand(sample)?;
            Ok(SizeVerdict { size: size.clone(), verdict, why, outputs })
        };
        // Who stops it keeps those that are judged by then.
        let all: Vec<Option<_>> =
            sizes.par_iter().enumerate().map(|one| (!interrupt::requested()).then(|| tried(one))).collect();
        let sweep = all.into_iter().map_while(|one| one).collect::<anyhow::Result<Vec<_>>>()?;
        let chosen = sweep::chosen(&sweep);
        Ok((Sizes { sweep, batch: None }, chosen))
    }

    /// The batch where that fails against the reference, else a row alone that does, else the batch.
    fn rows(&self, rows: &Rows) -> anyhow::Result<(Sizes, usize)> {
        let batch = rows.judged(&self.pair, self.right, self.got);
        let alone = (0..=rows.count()).map(|sample| Ok((sample, self.stand(sample)?.verdict)));
        let alone = alone.collect::<anyhow::Result<Vec<_>>>()?;
        let chosen = alone.iter().find(|(_, verdict)| *verdict == Verdict::Diverged).map_or(0, |(sample, _)| *sample);
        Ok((Sizes { sweep: Vec::new(), batch: Some(batch) }, chosen))
    }
}
