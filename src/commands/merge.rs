//! `layerdiff merge`: the reports of all shards as the one that a single run would have written.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::hand_over;
use super::stages::{self, JSON};
use crate::cli::MergeArgs;
use crate::found::stages::Stages;
use crate::found::{Exit, Report, json, merge};
use crate::show::{files, report};
use crate::terminal::{colour, width};

/// `layerdiff merge`: the answer is on `out` and in the exit status, as of a single run.
pub fn run(args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let paths: Vec<PathBuf> = args.reports.iter().map(|path| file(path)).collect::<anyhow::Result<_>>()?;
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

fn reports(paths: &[PathBuf], args: &MergeArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let all = paths.iter().map(|path| json::read(path)).collect::<anyhow::Result<Vec<Report>>>()?;
    let merged = merge::merge(all).map_err(|why| anyhow!("{why}"))?;
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
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str::<Stages>(&text).with_context(|| format!("{} is no report of stages", path.display()))
    };
    let all = paths.iter().map(read).collect::<anyhow::Result<Vec<Stages>>>()?;
    let merged = merge::stages::merge(all).map_err(|why| anyhow!("{why}"))?;
    stages::deliver(&merged, args.json, &args.output_dir, out)?;
    Ok(Exit::of(merged.verdict))
}
