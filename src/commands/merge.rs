//! `layerdiff merge`: the reports of all shards as the one that a single run would have written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::hand_over;
use super::stages::{self, JSON};
use crate::cli::MergeArgs;
use crate::found::merge::{self, Named};
use crate::found::stages::Stages;
use crate::found::{Exit, json};
use crate::show::{files, report};
use crate::terminal::{colour, width};

/// `layerdiff merge`: the answer is on `out` and in the exit status, as of a single run.
pub fn run(args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let paths: Vec<PathBuf> = args.reports.iter().map(|path| file(path)).collect::<anyhow::Result<_>>()?;
    untouched(&paths, &args.output_dir)?;
    let pipelines = paths.iter().filter(|path| path.ends_with(JSON)).count();
    match pipelines {
        0 => reports(&paths, args, out),
        n if n == paths.len() => pipeline(&paths, args, out),
        _ => bail!("some of these are reports and some are of stages; merge those of one run"),
    }
}

/// A folder stands for the report in it.
fn file(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let found = [files::JSON, JSON].map(|name| path.join(name)).into_iter().find(|file| file.is_file());
    found.with_context(|| {
        format!("{} holds neither {} nor {JSON}; name the folder of a shard", path.display(), files::JSON)
    })
}

/// What is read is not written over: a shard that is gone cannot be merged again.
fn untouched(paths: &[PathBuf], dir: &Path) -> anyhow::Result<()> {
    let written: Vec<PathBuf> =
        [files::JSON, JSON].iter().filter_map(|name| dir.join(name).canonicalize().ok()).collect();
    let own = paths.iter().find(|path| path.canonicalize().is_ok_and(|path| written.contains(&path)));
    own.map_or(Ok(()), |path| {
        bail!(
            "-o {} would write over {}, which is one of the shards; name another folder",
            dir.display(),
            path.display()
        )
    })
}

/// What is in each file, beside its name.
fn named<T>(paths: &[PathBuf], read: impl Fn(&Path) -> anyhow::Result<T>) -> anyhow::Result<Vec<Named<T>>> {
    paths.iter().map(|path| Ok(Named { file: path.display().to_string(), report: read(path)? })).collect()
}

fn reports(paths: &[PathBuf], args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let merged = merge::merge(named(paths, json::read)?).map_err(|why| anyhow!("{why}"))?;
    let lost = files::write(&merged, &args.output_dir).into_iter().map(|lost| Err(lost.why));
    let written = lost.fold(Ok(()), hand_over::first);
    let said = match args.json {
        true => json::to_string(&merged)?,
        false => {
            let table = report::every_tensor(&merged, colour(), width()) + "\n";
            let shown = if merged.tensors.is_empty() { String::new() } else { table };
            let page = args.output_dir.join(files::HTML).display().to_string();
            shown + &report::summary(&merged, colour(), width()) + &report::location(&page, colour(), width())
        }
    };
    let said = out.write_all(said.as_bytes()).context("cannot write to stdout");
    hand_over::first(said, written)?;
    Ok(Exit::of(merged.verdict))
}

fn pipeline(paths: &[PathBuf], args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let read = |path: &Path| {
        let bytes = crate::files::read(path).with_context(|| format!("give the path of a {JSON}"))?;
        serde_json::from_slice::<Stages>(&bytes).with_context(|| format!("{} is no report of stages", path.display()))
    };
    let merged = merge::stages::merge(named(paths, read)?).map_err(|why| anyhow!("{why}"))?;
    stages::deliver(&merged, args.json, &args.output_dir, out)?;
    Ok(Exit::of(merged.verdict))
}
