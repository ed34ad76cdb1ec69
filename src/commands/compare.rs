//! `layerdiff compare`: every tensor of two runs in one table. No search, no accusation; faults that never reach an output
//! are seen here.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::cli::{CompareArgs, GlobalArgs};
use crate::find::scan::batches;
use crate::find::verdict::{self, Exit, Shown};
use crate::found::{Report, Verdict};
use crate::lab::Probe;
use crate::lab::journal::Journal;
use crate::open::opening;
use crate::open::prepare::{self, Prepared, prepare};
use crate::progress::Progress;
use crate::run::RunError;

pub fn run(args: &CompareArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    opening::settled(compare(args, global, out))
}

fn compare(args: &CompareArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    let (prepared, first) = prepare(&args.set, global, true)?;
    let Prepared { reference, candidate, feeds, rules, outputs, dir, .. } = &prepared;
    let (journal, _) = Journal::open(&prepare::journal(dir)?, &prepared.experiment, false)?;
    let mut probe = Probe::new(reference, candidate, feeds, rules, first, journal);
    probe.saved = args.set.save_tensors.is_some().then(Default::default);
    let mut report = prepared.report.clone();
    report.search.strategy = "scan".to_string();
    opening::so_far(dir, &report);
    let found = measure(&mut probe, outputs, &mut report, &progress, dir);
    verdict::measured(&mut report, &probe);
    report.seconds = started.elapsed().as_secs_f64();
    if let Err(e) = &found {
        report.verdict = Verdict::Inconclusive;
        report.why = Some(e.to_string());
    }
    drop(progress);
    let written = verdict::write(&report, &args.set, dir, probe.saved.take(), Shown::Table, out);
    verdict::first(found.map_err(Into::into), written)?;
    Ok(Exit::of(report.verdict))
}

fn measure(
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    progress: &Progress,
    dir: &Path,
) -> Result<(), RunError> {
    progress.step("both models, unmarked");
    report.outputs = probe.unmarked(outputs)?;
    verdict::judge(report);
    opening::so_far(dir, report);
    for batch in batches(probe) {
        progress.step(format!("comparing {} tensors", batch.len()));
        probe.measure(&batch)?;
    }
    Ok(())
}
