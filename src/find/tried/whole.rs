//! The whole candidate with some nodes in FP32, or as another model: is the culprit's tensor right then, and the outputs?
//! Chooses nothing.

use crate::cure::Trial;
use crate::found::Status;
use crate::judge::Rules;
use crate::lab::Probe;
use crate::lab::first::inner;
use crate::mark;
use crate::onnx::ModelProto;
use crate::precision::Kept;
use crate::run::RunError;
use crate::search::Answer;
use crate::spec::{Low, Precision};

/// What was seen.
pub struct Whole {
    /// Of the culprit's tensor; `None` where it has no value.
    pub tensor: Option<Status>,
    /// All outputs agree.
    pub outputs: bool,
}

/// A run with the makers of the `kept` tensors (of the reference's graph) in FP32, of one sample. `None` where it fails.
pub fn keeping(probe: &mut Probe, kept: &[usize], tensor: usize, sample: usize) -> Result<Option<Whole>, RunError> {
    let lab = probe.lab;
    let candidate = &lab.candidate;
    let Some(theirs) = lab.counterpart(tensor) else { return Ok(None) };
    let writes = kept.iter().flat_map(|t| lab.reference.graph.producer(*t).writes.iter());
    let mut keys: Kept = writes.map(|t| lab.key(*t).to_string()).collect();
    keys.extend(candidate.kept.iter().cloned());
    let mut marks = inner(candidate, &lab.outputs);
    marks.push(theirs);
    let key = candidate.graph.tensors[theirs].key.clone();
    let mut names = lab.outputs.clone();
    names.extend((!names.contains(&key)).then(|| key.clone()));
    let model = candidate.marked(&marks);
    let feeds = &lab.feeds[sample..=sample];
    probe.ledger.counts.proof_builds += 1;
    let values = match candidate.values(&candidate.work(feeds, &names).on(&model, &candidate.types).keeping(&keys)) {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(_) => return Ok(None),
        Ok(values) => values,
    };
    let trial = lab.tried(&lab.outputs, &probe.finals.right[sample..=sample], &values, sample)?;
    let judged = |v| probe.reference_value(tensor, sample).map(|r| lab.rules.judge(lab.key(tensor), r, v).status);
    let tensor = values.first().and_then(|v| v.get(&key)).and_then(judged);
    Ok(Some(Whole { tensor, outputs: trial.answer == Answer::Good }))
}

/// Do the outputs of another version of the candidate's model agree, on all samples?
pub fn edited_agrees(probe: &mut Probe, model: &ModelProto) -> Result<bool, RunError> {
    let lab = probe.lab;
    let candidate = &lab.candidate;
    let marked = mark::mark(model, &candidate.graph, &inner(candidate, &lab.outputs), &candidate.types);
    probe.ledger.counts.proof_builds += 1;
    match candidate.values(&candidate.work(&lab.feeds, &lab.outputs).on(&marked, &candidate.types)) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(false),
        Ok(values) => Ok(lab.tried(&lab.outputs, &probe.finals.right, &values, 0)?.answer == Answer::Good),
    }
}

/// Do the outputs agree in emulated BF16, by what BF16 is allowed, on all samples?
pub fn bf16_agrees(probe: &Probe) -> Result<bool, RunError> {
    let lab = probe.lab;
    let side = &lab.reference;
    if !(side.on_cpu() && side.is_plain() && !side.half) {
        return Ok(false);
    }
    let marked = side.marked(&inner(side, &lab.outputs));
    match side.run_as(Low::Bfloat16, &side.work(&lab.feeds, &lab.outputs).on(&marked, &side.types)) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(false),
        Ok(values) => {
            let rules = Rules { precision: Precision::Bf16, ..lab.rules.clone() };
            Ok(Trial::judged(&rules, &lab.outputs, &probe.finals.right, &values).answer == Answer::Good)
        }
    }
}
