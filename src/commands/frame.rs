//! The frame of a comparing command: what is known by now, told on disk as it comes, and handed over in the end.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use super::hand_over::{self, Shown};
use crate::cli::SetArgs;
use crate::found::experiment::Experiment;
use crate::found::{Findings, Verdict, assemble, verdict};
use crate::lab::{Lab, Unstarted};
use crate::open::early;
use crate::progress::Progress;
use crate::run::RunError;
use crate::tensor::Tensors;

/// A run that goes on.
pub struct Frame<'a> {
    /// What the user wants written.
    pub set: &'a SetArgs,
    /// Where it is written.
    pub dir: PathBuf,
    /// What was asked.
    pub experiment: Experiment,
    /// What is known by now.
    pub findings: Findings,
    /// When the run began.
    pub started: Instant,
}

impl Frame<'_> {
    /// Who finds the folder after a kill finds what is known now.
    pub fn tell(&self) {
        early::so_far(&self.dir, &self.experiment, &self.findings);
    }

    /// Do the outputs diverge, by all that is known?
    pub fn diverges(&self) -> bool {
        verdict(&self.findings).0 == Verdict::Diverged
    }

    /// What both sides take, where that was asked for and nothing ended the run.
    pub fn time(&mut self, lab: &Lab, progress: &Progress) {
        let Some(runs) = self.set.latency.filter(|_| self.findings.halted.is_none()) else { return };
        progress.step("the time that both sides take");
        match lab.times(runs as usize) {
            Ok(times) => self.findings.measured.times = Some(times),
            Err(interrupted) => self.findings.halted = Some(interrupted),
        }
    }

    /// The two sides never stood side by side.
    pub fn unstarted(&mut self, unstarted: Unstarted) {
        self.findings.measured.counts = unstarted.counts;
        self.findings.halted = Some(unstarted.why);
    }

    /// Writes the last report, and the tensors that were kept; what is known comes back. A crash or a refusal is an answer, and
    /// says nothing about accuracy: the report tells it, and so does stderr.
    pub fn deliver(mut self, saved: Option<Tensors>, shown: Shown, out: &mut dyn Write) -> anyhow::Result<Findings> {
        self.findings.seconds = self.started.elapsed().as_secs_f64();
        let report = assemble(&self.experiment, &self.findings);
        let written = hand_over::write(&report, self.set, &self.dir, saved, shown, out);
        let halted: Result<(), RunError> = self.findings.halted.clone().map_or(Ok(()), Err);
        hand_over::first(halted.map_err(Into::into), written)?;
        Ok(self.findings)
    }
}
