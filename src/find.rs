//! To the culprits: can the answers be built on, where does the first wrong value come from, what did its node do, and whom
//! does the precision hurt. Cuts nothing out and cures nothing.

pub mod accuse;
mod explain;
pub mod fusion;
pub mod inside;
pub mod isolate;
mod narrow;
pub mod optimizer;
mod raise;
pub mod rank;
mod regrown;
pub mod route;
pub mod scan;
pub mod story;
mod tried;
pub mod trust;
pub mod undo;

use std::time::Instant;

use crate::cli::{SearchArgs, Strategy};
use crate::failure::Ended;
use crate::found::{Found, Note};
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::Classified;
use narrow::Narrowed;

/// Searches and proves. `begun` is told what is sought before the search begins.
pub fn find(args: &SearchArgs, probe: &mut Probe, progress: &Progress, begun: impl FnOnce(&Found)) -> Ended<Found> {
    let strategy = strategy(args, probe.lab.candidate.is_engine());
    let mut found = Found { strategy: format!("{strategy:?}").to_lowercase(), ..Found::default() };
    begun(&found);
    let started = Instant::now();
    let narrowed = suspects(strategy, args, probe, progress);
    let narrowed = match narrowed.and_then(|narrowed| regrown::reconsidered(probe, narrowed)) {
        Ok(narrowed) => narrowed.without(&probe.finals.judged.within_tolerance, probe),
        Err(e) => return Ended { value: found, halted: Some(e) },
    };
    found.seconds = started.elapsed().as_secs_f64();
    found.masked = accuse::masked(probe, &narrowed);
    progress.step("the culprits alone");
    let most = args.max_culprits as usize;
    let accused = accuse::accuse(probe, &narrowed.suspects, most);
    found.notes.extend((narrowed.unexplained || accused.value.more).then_some(Note::MoreCulprits(most)));
    let besides = accuse::names(probe, &narrowed.besides);
    found.notes.extend((!besides.is_empty()).then_some(Note::Besides(besides)));
    found.notes.extend(narrowed.rest.filter(|_| found.notes.is_empty()).map(Note::Rest));
    found.culprits = Some(accused.value.culprits);
    Ended { value: found, halted: accused.halted }
}

fn suspects(
    strategy: Strategy,
    args: &SearchArgs,
    probe: &mut Probe,
    progress: &Progress,
) -> Result<Narrowed, RunError> {
    match strategy {
        Strategy::Scan => Ok(Narrowed::all(scan::scan(probe, progress)?)),
        Strategy::Auto | Strategy::Bisect => narrow::bisect(args, probe, progress),
    }
}

impl Narrowed {
    /// All there are.
    fn all(Classified { suspects, masked }: Classified) -> Narrowed {
        Narrowed { suspects, masked, unexplained: false, besides: Vec::new(), rest: None }
    }

    /// Without outputs that diverge by a measure of their own: by the one that inner tensors are judged by, nothing begins
    /// there.
    fn without(mut self, outputs: &[String], probe: &Probe) -> Narrowed {
        self.suspects.retain(|suspect| !outputs.iter().any(|name| name == probe.lab.key(suspect.item)));
        self
    }
}

/// Will a divergence be searched by measuring everything?
pub fn wants_everything(args: &SearchArgs) -> bool {
    args.strategy == Strategy::Scan || (args.strategy == Strategy::Auto && args.marks.is_none())
}

/// What `auto` means: marks are free unless somebody limits them, or an engine is built around them.
fn strategy(args: &SearchArgs, engine: bool) -> Strategy {
    let free = args.strategy == Strategy::Scan || !engine;
    if wants_everything(args) && free { Strategy::Scan } else { Strategy::Bisect }
}

#[cfg(test)]
mod tests;
