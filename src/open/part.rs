//! A part of the work, where several machines share it.

use anyhow::ensure;

use crate::cli::SetArgs;
use crate::found::InputsInfo;
use crate::found::shard::{Shard, Shared};
use crate::tensor::Tensors;

/// The samples of this shard, and which they are among all; all of them where nothing is shared, or sizes or nodes are.
pub fn samples(
    args: &SetArgs,
    feeds: Vec<Tensors>,
    inputs: InputsInfo,
) -> anyhow::Result<(Vec<Tensors>, InputsInfo, Option<Shard>)> {
    let Some(part) = args.shard.filter(|_| args.sweep.is_empty()) else { return Ok((feeds, inputs, None)) };
    let total = feeds.len();
    let shard = part.shard(Shared::Samples, total);
    ensure!(
        !shard.members.is_empty(),
        "--shard {}/{} has nothing to do: there {}; use fewer shards",
        part.index,
        part.of,
        if total == 1 { "is one sample".to_string() } else { format!("are {total} samples") }
    );
    let own = |number: &usize| feeds.get(*number).cloned();
    let feeds: Vec<Tensors> = shard.members.iter().filter_map(own).collect();
    let files = shard.members.iter().filter_map(|number| inputs.files.get(*number).cloned()).collect();
    let inputs = InputsInfo { samples: feeds.len(), files, ..inputs };
    Ok((feeds, inputs, Some(shard)))
}
