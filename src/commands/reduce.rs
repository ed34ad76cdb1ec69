//! `layerdiff reduce`: the smallest model that still fails. Of wrong values that is `bisect`, read for its reproducer; with
//! `--check` it is any failure that a command shows.

mod check;

use std::io::Write;

use anyhow::ensure;

use super::bisect::{self, Plan};
use crate::cli::{GlobalArgs, ReduceArgs};
use crate::found::{Exit, Note, Reproducers, Verdict, verdict};
use crate::open::early;
use crate::run::RunError;

/// `layerdiff reduce`: by values, or by whatever `--check` shows.
pub fn run(args: &ReduceArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let findings = match &args.check.check {
        Some(command) => {
            let set = &args.set;
            let judged = !set.metric.is_empty() || set.metric_command.is_some() || set.labels.is_some();
            let plain = set.candidate.is_none() && set.outputs.is_empty() && set.save_tensors.is_none();
            ensure!(
                plain && !judged && set.atol.is_empty() && set.rtol.is_empty(),
                "--check decides what fails; leave --candidate, --metric, --metric-command, --labels, --atol, --rtol, --outputs and --save-tensors out, or leave --check out"
            );
            let answer = check::run(command, args, global, out);
            drop(early::settled(&answer));
            answer?
        }
        None => {
            let plan = Plan { set: &args.set, search: &args.search, reproducer: Some(&args.reproducer), cure: None };
            bisect::answer(&plan, global, out)?
        }
    };
    let (verdict, _) = verdict(&findings);
    delivered(verdict, &findings.reproducers)?;
    Ok(Exit::of(verdict))
}

/// Who asks for a reproducer is told by the exit status when there is none that fails again.
fn delivered(verdict: Verdict, reproducers: &Reproducers) -> Result<(), RunError> {
    if let Some(lost) = reproducers.made.iter().find(|r| !r.reproduces) {
        let why = lost.why.clone().unwrap_or_default();
        return Err(RunError::LostReproducer { path: lost.path.clone(), why });
    }
    if verdict == Verdict::Diverged && reproducers.made.is_empty() {
        return Err(RunError::NoReproducer { why: reproducers.missing().map(Note::to_string) });
    }
    Ok(())
}
