//! The strategy `scan`: everything is measured. Also what both strategies say of the graph.

use crate::found::Status;
use crate::lab::Probe;
use crate::progress::Progress;
use crate::run::RunError;
use crate::search::{self, Answer, Classified, Dag};

/// Everything, in batches whose values fit into memory.
pub fn scan(probe: &mut Probe, progress: &Progress) -> Result<Classified, RunError> {
    let targets = targets(probe);
    for batch in batches(probe) {
        progress.step(format!("scanning {} tensors", batch.len()));
        probe.measure(&batch)?;
    }
    let answers: Vec<Answer> = probe.results.answers().into_iter().map(|a| a.unwrap_or(Answer::Unknown)).collect();
    Ok(search::classify(&dag(probe), &answers, &targets))
}

/// Tensors that need a run, in topological order, cut so that the values of a batch fit into memory.
pub fn batches(probe: &mut Probe) -> Vec<Vec<usize>> {
    let known = probe.known();
    let samples = probe.lab.feeds.len();
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut room = 0u64;
    for tensor in (0..known.len()).filter(|t| known[*t].is_none()) {
        let size = (2 * samples * probe.lab.survey.size(&probe.lab.reference.graph.tensors[tensor].key)) as u64;
        match batches.last_mut() {
            Some(batch) if size <= room => {
                batch.push(tensor);
                room -= size;
            }
            _ => {
                batches.push(vec![tensor]);
                room = probe.lab.memory.saturating_sub(size);
            }
        }
    }
    batches
}

/// The diverging outputs that a node makes.
pub fn targets(probe: &Probe) -> Vec<usize> {
    let diverging = probe.finals.results.iter().filter(|o| o.status == Status::Diverges);
    diverging.filter_map(|o| probe.lab.reference.graph.tensor(&o.name)).collect()
}

/// The reference's tensors as `classify` sees them: numbers and their parents.
fn dag(probe: &Probe) -> Dag {
    Dag::new((0..probe.lab.tensors()).map(|t| parents(probe, t)).collect())
}

/// What a tensor was computed from: branches that did not run gave nothing, and where one ran on one side only, that is the
/// condition's doing.
pub fn parents(probe: &Probe, tensor: usize) -> Vec<usize> {
    let mut parents = probe.lab.reference.graph.parents(tensor);
    parents.retain(|p| probe.results.ran(*p));
    parents
}
