//! `layerdiff reduce`: the smallest model that still fails. Of wrong values that is `bisect`, read for its reproducer; with
//! `--check` it is any failure that a command shows.

use std::io::Write;

use anyhow::ensure;

use super::bisect::{self, Plan};
use crate::cli::{GlobalArgs, ReduceArgs};
use crate::find::verdict::Exit;
use crate::found::{Report, Verdict};
use crate::open::opening;
use crate::reduce::drive::checked;
use crate::run::RunError;

pub fn run(args: &ReduceArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let report = match &args.check.check {
        Some(command) => {
            let set = &args.set;
            let plain =
                set.candidate.is_none() && set.metric.is_none() && set.outputs.is_empty() && set.save_tensors.is_none();
            ensure!(
                plain && set.atol.is_empty() && set.rtol.is_empty(),
                "--check decides what fails; leave --candidate, --metric, --atol, --rtol, --outputs and --save-tensors out, or leave --check out"
            );
            opening::settled(checked::run(command, args, global, out))?
        }
        None => {
            let plan = Plan { set: &args.set, search: &args.search, reproducer: Some(&args.reproducer), cure: None };
            bisect::find(&plan, global, out)?
        }
    };
    delivered(&report)?;
    Ok(Exit::of(report.verdict))
}

/// Who asks for a reproducer is told by the exit status when there is none that fails again.
fn delivered(report: &Report) -> Result<(), RunError> {
    let mut made = report.reduced.iter().chain(&report.reproducers);
    if let Some(lost) = made.find(|r| !r.reproduces) {
        let why = lost.why.clone().unwrap_or_default();
        return Err(RunError::LostReproducer { path: lost.path.clone(), why });
    }
    if report.verdict == Verdict::Diverged && report.reduced.is_none() {
        let why = report.warnings.iter().find(|w| w.starts_with("no reproducer"));
        return Err(RunError::NoReproducer { why: why.cloned() });
    }
    Ok(())
}
