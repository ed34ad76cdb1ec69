//! `layerdiff stages`: a pipeline, stage by stage; which one is the first to break, and what to run next.

mod broken;

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Parser;

use super::bisect::{self, Plan};
use super::hand_over;
use crate::cli::{Cli, Command, GlobalArgs, StagesArgs};
use crate::found::shard::Shard;
use crate::found::stages::{Against, Bisected, STAGES, Stage, Stages, Truth, together};
use crate::found::{Exit, Kind, Note, Sure, Verdict, json};
use crate::judge::truth::{self, Run};
use crate::load::labels;
use crate::open::line::{self, Line, Ran};
use crate::open::stand::Stand;
use crate::open::tried::Tried;
use crate::open::{placed, places};
use crate::progress::Progress;
use crate::show::{files, stages as pages};
use crate::terminal::{colour, width};

/// The JSON of a pipeline; its pages stand beside it.
pub const JSON: &str = "stages.json";
const HTML: &str = "stages.html";
const MARKDOWN: &str = "stages.md";
/// Where the report of the node stands.
const BISECT: &str = "bisect";

/// `layerdiff stages`: the table is on `out`, the verdict in the exit status too.
pub fn run(args: &StagesArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    let dir = places::dir(&args.set);
    places::check(&dir, &[JSON, HTML, MARKDOWN])?;
    if args.bisect {
        places::check(&dir.join(BISECT), &[files::JSON])?;
    }
    progress.step("loading");
    let line = line::run(args, global, &progress)?;
    progress.step("comparing the stages");
    let mut stages = stages(&line)?;
    let truth = args.truth.as_deref().map(|path| beside_truth(&line, path)).transpose()?;
    // Whoever has true classes asks about decisions.
    let asked = |output: &String| truth.as_ref().is_some_and(|truth| truth.output == *output);
    let decisions = stages.iter_mut().flat_map(|stage| &mut stage.decisions);
    decisions.for_each(|decisions| decisions.asked |= asked(&decisions.output));
    drop(progress);
    let bad = stages.iter().position(|stage| stage.verdict == Verdict::Diverged);
    let next = bad.map(|at| broken::next(&args.set, global, &line, &stages, at)).unwrap_or_default();
    let mut found = Stages {
        schema: STAGES.to_string(),
        layerdiff: env!("CARGO_PKG_VERSION").to_string(),
        command: line.opening.command.clone(),
        verdict: together(&stages),
        model: line.opening.model.clone(),
        reference: line.reference.info(),
        inputs: line.opening.inputs.clone(),
        first_broken: bad.map(|at| stages[at].name.clone()),
        why: bad.map(|at| broken::because(&stages, at)),
        next,
        bisect: None,
        truth,
        shard: line.opening.shard.clone(),
        environment: line.opening.environment.clone(),
        warnings: line.opening.notes.iter().map(Note::to_string).chain(fell_back(&line)).collect(),
        seconds: 0.0,
        stages,
    };
    drop(line);
    if args.bisect && !found.next.is_empty() {
        found.bisect = Some(find(&found.next, global, &dir)?);
    }
    found.seconds = started.elapsed().as_secs_f64();
    deliver(&found, args.set.json, &dir, out)?;
    Ok(Exit::of(found.verdict))
}

/// Of the stages whose execution provider left nodes to another.
fn fell_back(line: &Line) -> impl Iterator<Item = String> {
    line.stages.iter().filter_map(|ran| Some(format!("{}: {}", ran.name, placed::note(ran.placement.as_ref()?)?)))
}

/// Each stage against the reference, and against the one before it.
fn stages(line: &Line) -> anyhow::Result<Vec<Stage>> {
    let mut stages = Vec::new();
    for (at, ran) in line.stages.iter().enumerate() {
        let Stand { verdict, why, outputs, judged, tolerance } = line.against_reference(ran)?;
        let Tried { sizes, steps, .. } = &ran.tried;
        let before = at.checked_sub(1).map(|before| &line.stages[before]);
        let before = before.filter(|before| before.values.is_ok() && ran.values.is_ok());
        stages.push(Stage {
            name: ran.name.clone(),
            spec: ran.spec.to_string(),
            verdict,
            why,
            backend: ran.info(),
            tolerance,
            outputs,
            samples: judged.samples,
            decisions: judged.decisions,
            against_previous: before.map(|before| against(line, before, ran)).transpose()?,
            latency: ran.latency(),
            placement: ran.placement.clone(),
            sweep: sizes.sweep.clone(),
            first_bad_size: sizes.first_bad().cloned(),
            batch: sizes.batch.clone(),
            steps: steps.steps.clone(),
            first_bad_step: steps.first_bad(),
            decoding: steps.decoding.clone(),
        });
    }
    Ok(stages)
}

fn against(line: &Line, before: &Ran, ran: &Ran) -> anyhow::Result<Against> {
    let Stand { verdict, why, outputs, judged, .. } = line.against_previous(before, ran)?;
    Ok(Against { stage: before.name.clone(), verdict, why, outputs, decisions: judged.decisions })
}

/// Beside the true classes; a file that does not fit the data is bad input.
fn beside_truth(line: &Line, path: &Path) -> anyhow::Result<Truth> {
    let classes = labels::read_truth(path, &line.labels)?;
    let right = line.reference.all().unwrap_or_default();
    let first = right.first().context("the reference gave no output")?;
    let output = truth::output(first, &line.outputs, &line.labels).with_context(|| {
        format!(
            "--truth {}: no output of the model is a row of scores for each thing that is classified; name one with --outputs, or leave --truth out",
            path.display()
        )
    })?;
    let rows = truth::rows(&right, output);
    let classes = of_shard(classes, line.opening.shard.as_ref());
    let width = first.get(output).and_then(|tensor| tensor.shape.last().copied()).unwrap_or(0);
    if let Some(class) = classes.iter().find(|class| **class >= width) {
        bail!("--truth {}: class {class} is none of '{output}', which has {width}, from 0", path.display());
    }
    ensure!(
        rows == classes.len(),
        "--truth {}: it has {} true classes for {rows} rows of '{output}'; give one for each row of each sample",
        path.display(),
        classes.len()
    );
    let ran = std::iter::once(&line.reference).chain(&line.stages);
    let ran: Vec<_> = ran.filter_map(|ran| Some((ran, ran.all()?))).collect();
    let runs = ran.iter().map(|(ran, values)| Run { name: &ran.name, values, seconds: ran.times() });
    Ok(truth::beside(&runs.collect::<Vec<_>>(), output, &classes, &line.labels))
}

/// Of the true classes of all samples, those of this shard's: samples are of equally many rows.
fn of_shard(classes: Vec<usize>, shard: Option<&Shard>) -> Vec<usize> {
    let Some(shard) = shard.filter(|shard| shard.total > 0 && classes.len().is_multiple_of(shard.total)) else {
        return classes;
    };
    let each = classes.len() / shard.total;
    shard.members.iter().filter_map(|n| classes.get(n * each..(n + 1) * each)).flatten().copied().collect()
}

/// Runs it as it is told, with its report in a folder beside the pipeline's.
fn find(next: &[String], global: &GlobalArgs, dir: &Path) -> anyhow::Result<Bisected> {
    let cli = Cli::try_parse_from(next).context("the next command cannot be read back")?;
    let Command::Bisect(mut args) = cli.command else { bail!("the next command is no bisect") };
    let folder = dir.join(BISECT);
    args.set.output_dir = Some(folder.clone());
    let plan =
        Plan { set: &args.set, search: &args.search, reproducer: Some(&args.reproducer), cure: Some(&args.cure) };
    // What it says is in its report; the pipeline's table is the answer here.
    bisect::answer(&plan, global, &mut std::io::sink())?;
    let path = folder.join(files::JSON);
    let report = json::read(&path)?;
    let cause = report.culprits.first().and_then(|culprit| {
        let known = culprit.diagnosis.iter().find(|diagnosis| diagnosis.sure != Sure::Unknown)?;
        let sure = if known.sure == Sure::Shown { "cause" } else { "likely cause" };
        Some(format!("{sure}: {}", known.evidence))
    });
    let region = report.culprits.first().filter(|culprit| culprit.kind == Kind::Region).map_or(0, |c| c.region.len());
    let culprits = report.culprits.iter().map(|culprit| culprit.node.told()).collect();
    Ok(Bisected { report: path.display().to_string(), verdict: report.verdict, culprits, region, cause })
}

/// Files, then stdout.
pub fn deliver(found: &Stages, as_json: bool, dir: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let data = json::pretty(found)?;
    let written = [(JSON, data.clone()), (HTML, pages::browser(found)), (MARKDOWN, pages::markdown(found))]
        .into_iter()
        .map(|(name, text)| json::write_file(&dir.join(name), &text))
        .fold(Ok(()), hand_over::first);
    let shown = match as_json {
        true => data,
        false => {
            pages::summary(found, colour(), width())
                + &crate::show::report::location(&dir.join(HTML).display().to_string(), colour(), width())
        }
    };
    let said = out.write_all(shown.as_bytes()).context("cannot write to stdout");
    hand_over::first(said, written)
}
