//! `layerdiff compare`: every tensor of two runs in one table. No search, no accusation; faults that never reach an output
//! are seen here.

use std::io::Write;
use std::time::Instant;

use super::frame::Frame;
use super::hand_over::{self, Shown};
use crate::cli::{CompareArgs, GlobalArgs};
use crate::find::inside;
use crate::find::scan::batches;
use crate::find::trust;
use crate::found::{Exit, Wanted, verdict};
use crate::lab::journal::Journal;
use crate::lab::{Ledger, Probe, Wish};
use crate::open::{self, Opened, places};
use crate::progress::Progress;
use crate::run::RunError;

/// `layerdiff compare`: the table is on `out`, the verdict in the exit status too.
pub fn run(args: &CompareArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let answer = compare(args, global, out);
    hand_over::settled(answer, &args.set, Shown::Table, out)
}

fn compare(args: &CompareArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let progress = Progress::new(global.quiet);
    progress.step("reference");
    let Opened { lab, first, experiment, mut findings, dir } = open::open(&args.set, global, Wanted::Table, true)?;
    findings.opening.strategy = "scan".to_string();
    let (journal, _) = Journal::open(&places::journal(&dir)?, &experiment, false)?;
    let mut frame = Frame { set: &args.set, dir, experiment, findings, started };
    frame.tell();
    progress.step("both models, unmarked");
    let wish = Wish { save: args.set.save_tensors.is_some(), ..Wish::default() };
    let saved = match Probe::start(&lab, first, wish, Ledger::new(journal, Vec::new())) {
        Err(unstarted) => {
            frame.unstarted(unstarted);
            None
        }
        Ok(mut probe) => {
            frame.findings.outputs = Some(probe.finals.results.clone());
            frame.findings.judged = probe.finals.judged.clone();
            frame.tell();
            frame.findings.halted = examine(&mut probe, &mut frame, &progress).err();
            frame.findings.measured = probe.measured();
            if frame.findings.halted.is_none() && !frame.diverges() {
                match inside::remarks(&mut probe) {
                    Ok(notes) => frame.findings.judged.notes.extend(notes),
                    Err(e) => frame.findings.halted = Some(e),
                }
            }
            frame.time(&lab, &progress);
            probe.values.take_saved()
        }
    };
    drop(progress);
    Ok(Exit::of(verdict(&frame.deliver(saved, Shown::Table, out)?).0))
}

/// Does the candidate answer the same twice? Then every tensor.
fn examine(probe: &mut Probe, frame: &mut Frame, progress: &Progress) -> Result<(), RunError> {
    frame.findings.candidate = trust::twice(probe, progress)?;
    measure(probe, progress)
}

/// Everything, in batches whose values fit into memory.
fn measure(probe: &mut Probe, progress: &Progress) -> Result<(), RunError> {
    for batch in batches(probe) {
        progress.step(format!("comparing {} tensors", batch.len()));
        probe.measure(&batch)?;
    }
    Ok(())
}
