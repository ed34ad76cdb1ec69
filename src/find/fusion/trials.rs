//! Builds of the candidate with some of its tensors made outputs, and what the model's own outputs say of each.

use std::sync::Arc;

use super::Request;
use crate::found::Latency;
use crate::graph::Graph;
use crate::lab::{Lab, Side, Work, times};
use crate::mark;
use crate::onnx::ModelProto;
use crate::run::RunError;
use crate::search::Answer;

/// Runs that are timed.
const RUNS: usize = 15;

/// The candidate's model as it is deployed, and what can be marked in it. Tensors are numbers in `graph`.
pub(super) struct Whole<'a> {
    side: &'a Side,
    model: &'a ModelProto,
    graph: Arc<Graph>,
    /// What the verdict was given on and is no output of the model: marked in every build.
    judged: Vec<usize>,
}

impl<'a> Whole<'a> {
    /// Of the file itself, not of what shows more of it.
    pub(super) fn of(lab: &'a Lab) -> Result<Whole<'a>, RunError> {
        let side = &lab.candidate;
        let (model, graph) = match &side.deployed {
            None => (&side.model.proto, Arc::clone(&side.graph)),
            Some(file) => {
                let refused = |e| RunError::Build { backend: side.spec.to_string(), reason: format!("{e:#}") };
                (file, Graph::new(file).map_err(refused)?.into())
            }
        };
        let own = |name: &str| graph.outputs.iter().any(|(output, _)| output == name);
        let judged = lab.outputs.iter().filter(|name| !own(name)).filter_map(|name| graph.tensor(name)).collect();
        Ok(Whole { side, model, graph, judged })
    }

    /// What nodes of the main graph compute, that is no output: in topological order.
    pub(super) fn tensors(&self) -> Vec<usize> {
        let outputs = || self.graph.outputs.iter().filter_map(|(_, tensor)| *tensor);
        let free = |tensor: &usize| {
            let maker = self.graph.producer(*tensor);
            let seen = outputs().any(|output| output == *tensor) || self.judged.contains(tensor);
            maker.scope.is_empty() && maker.op_type != "Constant" && !seen
        };
        (0..self.graph.tensors.len()).filter(free).collect()
    }

    /// Are there nodes whose tensors are not among [`Whole::tensors`]?
    pub(super) fn has_bodies(&self) -> bool {
        let nodes = self.model.graph.iter().flat_map(|graph| &graph.node);
        nodes.flat_map(|node| &node.attribute).any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty())
    }

    /// The name of the node that makes it.
    pub(super) fn maker(&self, tensor: usize) -> &str {
        &self.graph.producer(tensor).name
    }

    /// As the model calls them.
    pub(super) fn names(&self, tensors: &[usize]) -> Vec<String> {
        self.graph.keys(tensors)
    }

    /// The model with these as outputs behind its own.
    fn with(&self, tensors: &[usize]) -> ModelProto {
        let all: Vec<usize> = self.judged.iter().chain(tensors).copied().collect();
        mark::mark(self.model, &self.graph, &all, &self.side.types)
    }
}

/// Counts builds, and makes no more than it may.
pub(super) struct Trials<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) whole: &'a Whole<'a>,
    /// Builds by now.
    pub(super) tried: usize,
}

impl<'a> Trials<'a> {
    pub(super) fn new(request: &'a Request<'a>, whole: &'a Whole<'a>) -> Trials<'a> {
        Trials { request, whole, tried: 0 }
    }

    /// Good: with these as outputs every output of every sample agrees. What is not built is no answer: why.
    pub(super) fn told(&mut self, set: &[usize]) -> Result<(Answer, String), RunError> {
        if self.tried >= self.request.most {
            return Ok((Answer::Unknown, format!("{} builds were all that it may cost", self.request.most)));
        }
        self.built(set)
    }

    /// The same whatever it costs: what was found is proved.
    pub(super) fn proves(&mut self, set: &[usize]) -> Result<Answer, RunError> {
        Ok(self.built(set)?.0)
    }

    fn built(&mut self, set: &[usize]) -> Result<(Answer, String), RunError> {
        self.tried += 1;
        self.request.progress.step(format!("fusion, build {}: {} more outputs", self.tried, set.len()));
        let Lab { candidate: side, outputs, feeds, .. } = self.request.lab;
        let model = self.whole.with(set);
        let work = side.work(feeds, outputs).on(&model, &side.types).in_session(side.judged_session().clone());
        match side.values(&work) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(e) => Ok((Answer::Unknown, e.to_string())),
            Ok(values) => {
                let answer = self.request.lab.tried(outputs, self.request.right, &values, 0)?.answer;
                Ok((answer, "the outputs cannot be compared".to_string()))
            }
        }
    }

    /// What a run with these as outputs takes; `None` where the candidate has no time of its own.
    pub(super) fn takes(&self, set: &[usize]) -> Result<Option<Latency>, RunError> {
        let Lab { candidate: side, feeds, outputs, .. } = self.request.lab;
        let model = self.whole.with(set);
        let work = side.work(feeds.get(..1).unwrap_or_default(), outputs).on(&model, &side.types);
        Ok(times::time(side, &work, RUNS)?.map(|took| took.latency))
    }

    /// What the reference takes of its own model.
    pub(super) fn reference_takes(&self) -> Result<Option<Latency>, RunError> {
        let Lab { reference: side, feeds, outputs, .. } = self.request.lab;
        let work = side.work(feeds.get(..1).unwrap_or_default(), outputs);
        Ok(times::time(side, &work, RUNS)?.map(|took| took.latency))
    }

    /// The model with these as outputs, as the candidate ran it, and the same as it was given.
    pub(super) fn model(&self, set: &[usize]) -> Result<ModelProto, RunError> {
        let (side, model) = (self.whole.side, self.whole.with(set));
        let work: Work = side.work(&[], &[]).on(&model, &side.types).in_session(side.judged_session().clone());
        side.as_run(&work)
    }

    /// Outputs that the model has by itself, and those that the verdict was given on.
    pub(super) fn own_outputs(&self) -> Vec<String> {
        let own = self.whole.graph.outputs.iter().map(|(name, _)| name.clone());
        own.chain(self.whole.names(&self.whole.judged)).collect()
    }
}
