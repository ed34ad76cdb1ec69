//! `layerdiff bisect`: unmarked runs -> verdict -> search -> isolate -> report.

use std::io::Write;
use std::time::Instant;

use super::narrow;
use super::prepare::{self, Prepared, prepare};
use super::progress::Progress;
use super::scan;
use super::verdict::{self, Exit, Shown};
use crate::cli::{BisectArgs, GlobalArgs, Strategy};
use crate::probe::Probe;
use crate::probe::journal::Journal;
use crate::report::{Report, Verdict};
use crate::run::RunError;

pub fn run(args: &BisectArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    let (prepared, first) = prepare(&args.set, global, wants_everything(args))?;
    let Prepared { reference, candidate, feeds, rules, outputs, dir, .. } = &prepared;
    let (journal, known) = Journal::open(&dir.join("journal.jsonl"), &prepared.question(), args.resume)?;
    let mut probe = Probe::new(reference, candidate, feeds, rules, first, journal);
    probe.recall(known);
    probe.saved = args.set.save_tensors.is_some().then(Default::default);
    let mut report = prepared.report.clone();
    prepare::so_far(dir, &report);

    let found = investigate(args, &mut probe, outputs, &mut report, &progress, dir);
    verdict::measured(&mut report, &probe);
    report.seconds = started.elapsed().as_secs_f64();
    let failed = match found {
        Ok(()) => None,
        Err(e) => {
            report.verdict = Verdict::Inconclusive;
            report.why = Some(e.to_string());
            Some(e)
        }
    };
    drop(progress);
    verdict::write(&report, &args.set, dir, probe.saved.take(), Shown::Answer, out)?;
    match failed {
        // A crash or a refusal is an answer, and says nothing about accuracy: the report tells it, and so does stderr.
        Some(e) => Err(e.into()),
        None => Ok(Exit::of(report.verdict)),
    }
}

/// Fills in the report from the first run to the last proof.
fn investigate(
    args: &BisectArgs,
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    progress: &Progress,
    dir: &std::path::Path,
) -> Result<(), RunError> {
    progress.step("both models, unmarked");
    report.outputs = probe.unmarked(outputs)?;
    verdict::judge(report);
    if report.verdict != Verdict::Diverged {
        return Ok(());
    }
    let strategy = strategy(args);
    report.search.strategy = format!("{strategy:?}").to_lowercase();
    report.why = Some("the outputs diverge; the search was not finished".to_string());
    prepare::so_far(dir, report);

    let searched = Instant::now();
    let suspects = match strategy {
        Strategy::Scan => scan::scan(probe, report, progress)?,
        Strategy::Auto | Strategy::Bisect => narrow::bisect(args, probe, report, progress)?,
    };
    report.search.seconds = searched.elapsed().as_secs_f64();
    progress.step("the culprits alone");
    verdict::accuse(report, probe, &suspects, args.max_culprits as usize)?;
    report.why = match report.culprits.is_empty() {
        true => Some("the outputs diverge, but no tensor above them could be compared".to_string()),
        false => None,
    };
    Ok(())
}

/// Will a divergence be searched by measuring everything?
fn wants_everything(args: &BisectArgs) -> bool {
    args.strategy == Strategy::Scan || (args.strategy == Strategy::Auto && args.marks.is_none())
}

/// What `auto` means: marks are free unless somebody limits them.
fn strategy(args: &BisectArgs) -> Strategy {
    if wants_everything(args) { Strategy::Scan } else { Strategy::Bisect }
}
