//! Second thoughts about suspects, where the two sides run models of their own: one that reads what is wrong already in the
//! candidate, though not in the reference, is a consequence; and one that agrees as soon as a masked node is put right only made
//! that node's error grow again, so that it was not lost.

use std::collections::{HashMap, HashSet};

use super::narrow::Narrowed;
use crate::found::{Metrics, Status};
use crate::lab::Probe;
use crate::run::RunError;
use crate::search::{Answer, Suspect};

/// Runs that the second thoughts may cost.
const TRIALS: usize = 4;

/// Without consequences, and with the masked nodes that are shown to be causes.
pub fn reconsidered(probe: &mut Probe, mut narrowed: Narrowed) -> Result<Narrowed, RunError> {
    if probe.lab.relation.is_own_model() {
        narrowed.suspects = without_consequences(probe, narrowed.suspects);
    }
    let lab = probe.lab;
    // In a low precision many small errors add up, and each is a little to blame.
    if lab.candidate.fuses() || !lab.candidate.is_plain() {
        return Ok(narrowed);
    }
    let mut order: Vec<usize> = (0..narrowed.masked.len()).collect();
    order.retain(|at| narrowed.masked[*at].suspect.region.len() == 1);
    let error = |at: &usize| probe.results.metrics(narrowed.masked[*at].suspect.item).map_or(0.0, Metrics::relative);
    order.sort_by(|a, b| error(b).total_cmp(&error(a)));
    let (mut trials, mut promoted) = (0, HashSet::new());
    for at in order {
        let item = narrowed.masked[at].suspect.item;
        let below = lab.reference.graph.descendants(item);
        let grown: Vec<usize> = narrowed.suspects.iter().map(|s| s.item).filter(|s| below[*s]).collect();
        if grown.is_empty() || trials == TRIALS {
            continue;
        }
        trials += 1;
        let cured = agreeing(probe, item, &grown)?;
        if !cured.is_empty() {
            narrowed.suspects.retain(|s| !cured.contains(&s.item));
            narrowed.suspects.push(narrowed.masked[at].suspect.clone());
            promoted.insert(item);
        }
    }
    narrowed.masked.retain(|m| !promoted.contains(&m.suspect.item));
    narrowed.suspects.sort_by_key(|s| s.item);
    Ok(narrowed)
}

/// Those of `grown` that agree with `item` put right.
fn agreeing(probe: &mut Probe, item: usize, grown: &[usize]) -> Result<Vec<usize>, RunError> {
    let Some(replaced) = probe.lab.explaining(item) else { return Ok(Vec::new()) };
    let Some(seen) = probe.look_explained(&replaced, grown)? else { return Ok(Vec::new()) };
    let graph = &probe.lab.reference.graph;
    let agrees = seen.tensors.iter().filter(|result| result.status == Status::Agrees);
    Ok(agrees.filter_map(|result| graph.tensor(&result.name)).collect())
}

/// Regions whose end the candidate computes from something wrong, which does not follow from that end itself.
fn without_consequences(probe: &Probe, suspects: Vec<Suspect>) -> Vec<Suspect> {
    let lab = probe.lab;
    let stands: HashMap<usize, usize> =
        (0..lab.tensors()).filter_map(|tensor| Some((lab.counterpart(tensor)?, tensor))).collect();
    let kept: Vec<Suspect> =
        suspects.iter().filter(|s| s.region.len() < 2 || !follows(probe, s, &stands)).cloned().collect();
    if kept.is_empty() { suspects } else { kept }
}

fn follows(probe: &Probe, suspect: &Suspect, stands: &HashMap<usize, usize>) -> bool {
    let (lab, theirs) = (probe.lab, &probe.lab.candidate.graph);
    let below = lab.reference.graph.descendants(suspect.item);
    let mut open: Vec<usize> = lab.counterpart(suspect.item).map_or(Vec::new(), |t| theirs.parents(t));
    let mut seen: HashSet<usize> = open.iter().copied().collect();
    while let Some(tensor) = open.pop() {
        match stands.get(&tensor) {
            Some(own) if suspect.region.contains(own) => {}
            Some(own) if probe.results.answer(*own) == Some(Answer::Bad) && !below[*own] => return true,
            Some(_) => continue,
            None => {}
        }
        open.extend(theirs.parents(tensor).into_iter().filter(|parent| seen.insert(*parent)));
    }
    false
}
