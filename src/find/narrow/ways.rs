//! Does a suspect's error reach an output? What nobody measured between the two passes for a way, until here: either the outputs
//! diverge with all others put right, or the way is measured.

use super::Hunt;
use super::shapes::value_dag;
use super::worlds::Worlds;
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{Suspect, open_way};

/// Rounds that one way may cost where each is a build of minutes.
const ENGINE_ROUNDS: usize = 2;

/// Leaves the suspects that may have a way to a target.
pub fn drop_masked(hunt: &Hunt, probe: &Probe, suspects: &mut Vec<Suspect>) {
    suspects.retain(|suspect| way(hunt, probe, suspect.item).is_some());
}

/// Leaves the suspects whose error is known to reach a target. `true`: what was measured has cut the way of one, so the search
/// must go on.
pub fn prove(
    hunt: &mut Hunt,
    probe: &mut Probe,
    worlds: &mut Worlds,
    suspects: &mut Vec<Suspect>,
) -> Result<bool, RunError> {
    let all = suspects.clone();
    let mut cut = false;
    let mut alive = Vec::new();
    for suspect in suspects.drain(..) {
        let Some(open) = way(hunt, probe, suspect.item) else {
            cut = true;
            continue;
        };
        let cheap = open.len() <= hunt.sight;
        let proved = open.is_empty()
            || (!cheap || all.len() == 1) && worlds.spoils_alone(hunt, probe, &all, suspect.item)? == Some(true);
        if proved || measured(hunt, probe, suspect.item)? {
            alive.push(suspect);
        } else {
            cut = true;
        }
    }
    *suspects = alive;
    Ok(cut)
}

/// Measures one way after the other until one is unbroken. `false`: every one is cut.
fn measured(hunt: &mut Hunt, probe: &mut Probe, item: usize) -> Result<bool, RunError> {
    let mut rounds = if probe.lab.candidate.is_engine() { ENGINE_ROUNDS } else { usize::MAX };
    while let Some(open) = way(hunt, probe, item) {
        if open.is_empty() || rounds == 0 {
            return Ok(true);
        }
        let step = open.len().div_ceil(hunt.sight);
        let spread: Vec<usize> = open.into_iter().step_by(step).collect();
        hunt.measure(probe, &spread)?;
        rounds -= 1;
    }
    Ok(false)
}

fn way(hunt: &Hunt, probe: &Probe, item: usize) -> Option<Vec<usize>> {
    open_way(&value_dag(probe), &probe.results.answers(), &hunt.targets, item)
}
