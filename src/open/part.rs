//! A part of the work, where several machines share it.

use std::path::Path;

use anyhow::{bail, ensure};

use crate::cli::SetArgs;
use crate::found::InputsInfo;
use crate::found::shard::{Shard, Shared};
use crate::load::{members, samples};
use crate::spec::{Place, Spec};
use crate::tensor::Tensors;

/// Stored outputs answer the inputs that they were stored for: a folder of them has a file for each, of the same name where names
/// are alike; and another size or step has no answer in them.
pub fn stored(args: &SetArgs, spec: &Spec, files: &[String], count: usize) -> anyhow::Result<()> {
    let Place::Saved(path) = &spec.place else { return Ok(()) };
    ensure!(
        args.sweep.is_empty() && !args.batch_check && args.steps.is_none(),
        "'{spec}' stores the outputs of one size and of one run; --sweep, --batch-check and --steps need a backend that runs the model"
    );
    let (path, _) = samples::of_runner(path);
    if !path.is_dir() {
        return Ok(());
    }
    let stored = members::members(&path)?;
    // Samples of one file have no names.
    let unnamed = files.is_empty() && args.inputs.len() < count && stored.len() == count;
    if stored == [path.clone()] || args.inputs.is_empty() || unnamed {
        return Ok(());
    }
    let stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mine: Vec<String> = match files.is_empty() {
        true => args.inputs.iter().map(|path| stem(path)).collect(),
        false => files.iter().map(|file| stem(Path::new(file))).collect(),
    };
    let theirs: Vec<String> = stored.iter().map(|path| stem(path)).collect();
    let folder = path.display();
    ensure!(
        mine.len() == theirs.len(),
        "{folder} holds {} files of outputs for {} samples; give one for each",
        theirs.len(),
        mine.len().max(count)
    );
    let alike = mine.iter().any(|name| theirs.contains(name));
    match mine.iter().zip(&theirs).find(|(mine, theirs)| alike && mine != theirs) {
        Some((mine, theirs)) => bail!(
            "{folder}: the outputs of sample '{mine}' would be those of '{theirs}'; store them under the names of the samples, in their order"
        ),
        None => Ok(()),
    }
}

/// The samples of this shard, and which they are among all; all of them where nothing is shared, or sizes or nodes are.
pub fn samples(
    args: &SetArgs,
    run: &str,
    feeds: Vec<Tensors>,
    inputs: InputsInfo,
) -> anyhow::Result<(Vec<Tensors>, InputsInfo, Option<Shard>)> {
    let Some(part) = args.shard.filter(|_| args.sweep.is_empty()) else { return Ok((feeds, inputs, None)) };
    let total = feeds.len();
    let shard = part.shard(Shared::Samples, total, run);
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
