//! What each finding does to the outputs: its nodes are put right, alone and with those before it, and the candidate runs.

use super::explain::quantised;
use crate::found::{Culprit, Effect, Group, grouped};
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;

/// Findings that are put right, the first ones; more of them are no story.
const MOST: usize = 8;

/// The culprits by finding, what undoing buys most first. An engine would be built for each, and is not.
pub fn story(probe: &mut Probe, culprits: &[Culprit], progress: &Progress) -> Result<Vec<Group>, RunError> {
    let mut groups = grouped(culprits);
    if groups.is_empty() || probe.lab.candidate.is_engine() {
        return Ok(groups);
    }
    progress.step("what each finding does");
    quantised::everywhere(probe, culprits, &mut groups)?;
    for group in groups.iter_mut().take(MOST) {
        let tensors = group.tensors.clone();
        group.without = without(probe, &tensors)?;
    }
    let error = |group: &Group| group.without.as_ref().map_or((true, f64::INFINITY), |e| (!e.agree, badness(e)));
    groups.sort_by(|a, b| {
        let ((x, a), (y, b)) = (error(a), error(b));
        x.cmp(&y).then(a.total_cmp(&b))
    });
    let mut so_far: Vec<String> = Vec::new();
    for number in 0..groups.len().min(MOST) {
        so_far.extend(groups[number].tensors.iter().cloned());
        if groups[number].without.is_none() {
            break;
        }
        let effect = if number == 0 { groups[0].without.clone() } else { without(probe, &so_far)? };
        let done = effect.as_ref().is_none_or(|effect| effect.agree);
        groups[number].without_all_so_far = effect;
        if done {
            break;
        }
    }
    Ok(groups)
}

/// What is no number is worst.
fn badness(effect: &Effect) -> f64 {
    if effect.error.0.is_nan() { f64::INFINITY } else { effect.error.0 }
}

/// The outputs with these tensors as the reference has them; `None` where that cannot be run.
fn without(probe: &mut Probe, tensors: &[String]) -> Result<Option<Effect>, RunError> {
    let graph = &probe.lab.reference.graph;
    let numbers = tensors.iter().filter_map(|name| graph.tensor(name));
    let Some(parts) = numbers.map(|t| probe.lab.explaining(t)).collect::<Option<Vec<Vec<usize>>>>() else {
        return Ok(None);
    };
    let mut explained: Vec<usize> = parts.into_iter().flatten().collect();
    explained.sort_unstable();
    explained.dedup();
    Ok(probe.look_explained(&explained, &[])?.map(|seen| Effect::of(&seen.outputs)))
}
