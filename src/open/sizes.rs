//! Before the search: the data in other sizes, all of which both sides run (`tried`), and the one that is looked into: the smallest
//! that fails. `--sweep` and `--batch-check`. Runs nothing.

mod rows;

use anyhow::{bail, ensure};

use super::gave::Values;
use super::specs;
use super::stand::{Pair, Stand};
use crate::cli::SetArgs;
use crate::found::Verdict;
use crate::found::shard::{Shard, Shared};
use crate::found::sizes::{Size, SizeVerdict, Sizes, told};
use crate::lab::Side;
use crate::load::sizes;
use crate::tensor::Tensors;
use rows::Rows;

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
    let samples = sizes.iter().map(|size| sizes::sized(sample, &specs, size)).collect::<anyhow::Result<_>>()?;
    Ok((samples, Asked::Sweep(sizes), shard))
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
        let sweep = sizes.iter().enumerate().map(tried).collect::<anyhow::Result<Vec<_>>>()?;
        let first = |verdict| sweep.iter().position(|tried| tried.verdict == verdict);
        let last = sweep.iter().rposition(|tried| tried.verdict == Verdict::Agreed);
        let chosen = first(Verdict::Diverged).or(last).unwrap_or(0);
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
