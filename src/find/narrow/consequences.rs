//! What follows from the suspects: where their errors are lost and where they grow again is foreseen by the reference, and
//! measured in the candidate at those few places.

use super::Hunt;
use super::shapes::value_dag;
use crate::find::isolate;
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{self, Answer, Suspect};

/// Times that it is foreseen anew, where each look that follows is a build of minutes.
const ENGINE_FORECASTS: usize = 3;

/// Measures the suspects that are foreseen behind these, and where those that are foreseen to be masked lose their error.
/// `false`: nothing could be foreseen.
pub fn look_at_them(hunt: &mut Hunt, probe: &mut Probe, suspects: &mut Vec<Suspect>) -> Result<bool, RunError> {
    let mut left = if probe.lab.candidate.is_engine() { ENGINE_FORECASTS } else { usize::MAX };
    while left > 0 && !hunt.knows_all(probe) {
        let items: Vec<usize> = suspects.iter().map(|s| s.item).collect();
        // An earlier run's looks left no values: those that the proofs need are measured with them.
        if probe.ledger.counts.recalled_runs > 0 && !probe.lab.candidate.is_engine() && !probe.is_foreseen(&items) {
            isolate::gather(probe, &items)?;
        }
        let Some(foreseen) = probe.forecast(&items)? else { return Ok(false) };
        let answer =
            |(measured, foreseen): (Option<Answer>, Option<Answer>)| measured.or(foreseen).unwrap_or(Answer::Good);
        let answers: Vec<Answer> = probe.results.answers().into_iter().zip(foreseen).map(answer).collect();
        let all = search::classify(&value_dag(probe), &answers, &hunt.targets);
        let doubtful = all.masked.iter().filter(|m| items.contains(&m.suspect.item));
        let lost: Vec<usize> = doubtful.flat_map(|m| m.by.iter().copied()).collect();
        let told: Vec<usize> = all.suspects.iter().flat_map(|s| s.inputs.iter().copied().chain([s.item])).collect();
        let asked = open(probe, lost.into_iter().chain(told));
        hunt.measure(probe, &asked)?;
        let new = all.suspects.into_iter().filter(|s| !items.contains(&s.item));
        suspects.extend(new.filter(|s| is_measured(probe, s)));
        if asked.is_empty() {
            break;
        }
        left -= 1;
    }
    Ok(true)
}

/// Is it bad in the candidate, with inputs that are all good?
pub fn is_measured(probe: &Probe, suspect: &Suspect) -> bool {
    let is = |tensor: usize, wanted: Answer| probe.results.answer(tensor) == Some(wanted);
    is(suspect.item, Answer::Bad) && suspect.inputs.iter().all(|&t| is(t, Answer::Good))
}

/// Those that nobody measured yet, each once.
pub fn open(probe: &Probe, tensors: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut open: Vec<usize> = tensors.into_iter().filter(|t| probe.results.is_open(*t)).collect();
    open.sort_unstable();
    open.dedup();
    open
}
