//! The candidate's run of an edited form of its own model: what agrees with the reference then?

use super::work::as_declared;
use super::{Lab, Lowering, Probe, Side, finals};
use crate::found::Status;
use crate::graph::Graph;
use crate::load::Model;
use crate::mark;
use crate::onnx::ModelProto;
use crate::run::{Job, RunError};
use crate::tensor::Tensors;

/// What a run of an edited model gave.
#[derive(Clone, Debug)]
pub struct Edited {
    /// All outputs that decide agree.
    pub outputs: bool,
    /// One for each tensor that was asked for: it was measured, and agrees.
    pub tensors: Vec<bool>,
}

impl Probe<'_> {
    /// Runs `model` as the candidate runs its own, with `tensors` (of the reference's graph) seen too as far as they are there. `None`
    /// where the candidate refuses it.
    pub fn look_edited(&mut self, model: &ModelProto, tensors: &[usize]) -> Result<Option<Edited>, RunError> {
        let lab = self.lab;
        self.values_of(tensors)?;
        let Ok(graph) = Graph::new(model) else { return Ok(None) };
        let theirs: Vec<Option<usize>> = tensors.iter().map(|t| mark::counterpart(&graph, lab.key(*t))).collect();
        let seen: Vec<usize> =
            theirs.iter().flatten().copied().filter(|t| graph.producer(*t).scope.is_empty()).collect();
        let marked = mark::mark(model, &graph, &seen, &lab.candidate.types);
        let mut wanted: Vec<String> = lab.outputs.clone();
        wanted.extend(seen.iter().map(|t| graph.tensors[*t].name.clone()));
        wanted.sort_unstable();
        wanted.dedup();
        self.ledger.counts.candidate_builds += 1;
        self.ledger.counts.candidate_runs += 1;
        let values = match lab.candidate.run_model(&marked, &lab.candidate.types, &lab.feeds, &wanted) {
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => return Ok(None),
            Ok(values) => values,
        };
        let agrees = |(t, own): (&usize, &Option<usize>)| {
            let Some(name) = own.map(|own| &graph.tensors[own].name) else { return false };
            values.iter().enumerate().all(|(sample, values)| {
                let both = self.reference_value(*t, sample).zip(values.get(name));
                both.is_some_and(|(r, c)| lab.rules.judge(lab.key(*t), r, c).status == Status::Agrees)
            })
        };
        Ok(Some(Edited { outputs: self.agree(&values), tensors: tensors.iter().zip(&theirs).map(agrees).collect() }))
    }

    /// Does the file, as it lies on the disk, agree in all outputs when the candidate runs it?
    pub fn agrees_from_disk(&mut self, file: &Model) -> Result<bool, RunError> {
        self.ledger.counts.candidate_builds += 1;
        self.ledger.counts.candidate_runs += 1;
        match self.lab.candidate.run_file(file, self.lab) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(false),
            Ok(values) => Ok(self.agree(&values)),
        }
    }

    fn agree(&self, values: &[Tensors]) -> bool {
        let outputs = self.lab.outputs.iter();
        let status = |name| finals::judged(self.lab, name, (&self.finals.right, values), &self.values).status;
        let mut told = outputs.map(status).filter(|status| *status != Status::NotCompared).peekable();
        told.peek().is_some() && told.all(|status| status == Status::Agrees)
    }
}

impl Side {
    /// Another file, as this side runs its own.
    fn run_file(&self, file: &Model, lab: &Lab) -> Result<Vec<Tensors>, RunError> {
        if self.lowering == Lowering::None && !self.half {
            let feeds: Vec<Tensors> = lab.feeds.iter().map(|feed| as_declared(&file.proto, feed)).collect();
            return Ok(self.backend.run(&Job::new(file.lean(&file.proto), &feeds, &lab.outputs))?.values);
        }
        // Lowered models are said to lie where the side's own does.
        let mut whole = file.proto.clone();
        if let Some(graph) = whole.graph.as_mut() {
            graph.each_initializer_mut(&mut |t| *t = file.inline(t));
        }
        self.run_model(&whole, &self.types, &lab.feeds, &lab.outputs)
    }
}
