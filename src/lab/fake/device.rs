//! A device that interprets models, with faults planted into it, and a log of what it was asked.

use std::sync::{Arc, Mutex, PoisonError};

use prost::Message;

use super::interpret;
use crate::compare::{Comparison, compare};
use crate::found::Status;
use crate::onnx::{GraphProto, ModelProto, NodeProto};
use crate::run::fake::Fake;
use crate::run::{About, Answer, Builder, Gives, Job, Judged, Observe, Question, RunError, Told};
use crate::tensor::{Tensor, Tensors};

/// What a device does to the results of a node. How far it is off is a share: `x` becomes `x + share * (|x| + 1)`.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// Every element, every time.
    Off(f32),
    /// NaN in the first place.
    Nan,
    /// More with each job.
    Flaky(f32),
    /// In all rows but the first.
    Rows(f32),
    /// Only where the maker of this tensor is in the model too, and the tensor is no output: the two nodes are fused.
    Fused(f32, &'static str),
    /// Unless this is among the knobs that the job turns.
    Unless(f32, &'static str),
    /// Only in the whole model.
    Whole(f32),
    /// The process ends.
    Crash,
}

/// What it was asked to run.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The model as a whole, and no part of it.
    pub whole: bool,
    /// Main nodes by name.
    pub nodes: Vec<String>,
    /// Outputs of the model.
    pub outputs: Vec<String>,
    /// Data that it was run on.
    pub samples: usize,
    /// Knobs that it turns.
    pub route: Option<String>,
}

/// Everything that it was asked to run, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    /// All of it.
    pub fn all(&self) -> Vec<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Jobs.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    /// Jobs of the whole model.
    pub fn whole(&self) -> usize {
        self.all().iter().filter(|seen| seen.whole).count()
    }

    /// Its number, from 0.
    fn add(&self, seen: Seen) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(seen);
        all.len() - 1
    }
}

/// A device, and what is wrong with it.
#[derive(Clone, Default)]
pub struct Device {
    /// By name of the node.
    pub wrong: Vec<(String, Wrong)>,
    /// What it says of itself.
    pub about: About,
    /// Everything is off where one of these is an output of the model that was none of the unmarked one.
    pub shaken: Vec<&'static str>,
    /// What is wrong with every node that is cut out of the whole model.
    pub alone: Option<Wrong>,
    /// It cannot be built with this tensor marked.
    pub unmarkable: Option<&'static str>,
    /// No way of looking gives a value of these.
    pub blind: Vec<&'static str>,
    /// From this job on the user has stopped it.
    pub stops_at: Option<usize>,
    /// Knobs of its compiler.
    pub routes: Option<String>,
    /// Of models that are cut out, every second job is right.
    pub tires: bool,
    /// It builds models of several parts that have nothing to do with each other.
    pub islands: bool,
    /// From this job on no knob helps, and no output.
    pub relapses_at: Option<usize>,
    /// A build with all of these knobs turned fails.
    pub unbuildable: Vec<&'static str>,
    /// What it was asked.
    pub log: Log,
}

/// The name of the graph of a whole model.
pub const WHOLE: &str = "whole";

impl Device {
    /// It runs models, one at a time.
    pub fn new() -> Device {
        Device { about: About { width: 1, ..About::default() }, islands: true, ..Device::default() }
    }

    /// Its results of this node are wrong.
    pub fn spoil(&mut self, node: &str, wrong: Wrong) {
        self.wrong.push((node.to_string(), wrong));
    }

    /// Marking costs it something.
    pub fn build(&mut self, observes: &[Observe]) {
        self.about.builder = Some(Builder::default());
        self.about.observes = observes.to_vec();
    }

    /// It has values of these tensors and runs nothing.
    pub fn store(&mut self, names: &[&str]) {
        self.about.gives = Gives::Only(names.iter().map(|name| name.to_string()).collect());
    }

    /// As a backend.
    pub fn backend(self) -> Fake {
        let (about, routes) = (self.about.clone(), self.routes.clone());
        let tell = move |question: &Question| match (question, &routes) {
            (Question::Routes, Some(routes)) => Ok(Told::Routes(routes.clone())),
            _ => Ok(Told::Nothing),
        };
        Fake::new(move |job| self.run(job)).described(|own| *own = about).telling(tell)
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        let model = ModelProto::decode(job.model.bytes.as_slice()).unwrap_or_default();
        let graph = model.graph.unwrap_or_default();
        let number = self.log.add(Seen {
            whole: is_whole(&graph),
            nodes: graph.node.iter().map(|node| node.name().to_string()).collect(),
            outputs: graph.output.iter().map(|output| output.name().to_string()).collect(),
            samples: job.feeds.len(),
            route: job.how.route.clone(),
        });
        if self.stops_at.is_some_and(|at| number >= at) {
            return Err(RunError::Interrupted);
        }
        self.refuses(job, &graph)?;
        let spoil = |node: &NodeProto, results: Vec<Tensor>| self.spoilt(&graph, job, number, node, results);
        let mut answer = Answer::default();
        for (sample, feed) in job.feeds.iter().enumerate() {
            let values = self.given(&graph, job, interpret::run(&graph, feed, &spoil)?);
            let (values, judged) = judged(job, sample, values);
            answer.values.push(values);
            answer.judged.extend(judged);
        }
        Ok(answer)
    }

    /// What cannot be built: with the knobs turned so, or with a tensor marked.
    fn refuses(&self, job: &Job, graph: &GraphProto) -> Result<(), RunError> {
        let refused = |reason: &str| Err(RunError::Build { backend: "fake".to_string(), reason: reason.to_string() });
        let route = job.how.route.as_deref().unwrap_or_default();
        if !self.unbuildable.is_empty() && self.unbuildable.iter().all(|knob| route.contains(knob)) {
            return refused("these knobs do not go together");
        }
        if self.unmarkable.is_some_and(|tensor| is_whole(graph) && is_output(graph, tensor)) {
            return refused("it cannot be marked");
        }
        if !self.islands && graph.output.iter().any(|output| output.name().ends_with("/alone")) {
            return refused("no islands here");
        }
        Ok(())
    }

    /// Of all values those that were asked for and can be seen.
    fn given(&self, graph: &GraphProto, job: &Job, values: Tensors) -> Tensors {
        let seen = |name: &&String| {
            let visible = job.how.observe != Observe::Outputs || is_output(graph, name);
            visible && self.about.stores(name) && !self.blind.contains(&name.as_str())
        };
        let shaken = is_whole(graph) && self.shaken.iter().any(|tensor| is_output(graph, tensor));
        let value = |name: &String| {
            let value = values.get(name)?;
            Some((name.clone(), if shaken { off(value, 0.3, 0) } else { value.clone() }))
        };
        job.outputs.iter().filter(seen).filter_map(value).collect()
    }

    fn spoilt(
        &self,
        graph: &GraphProto,
        job: &Job,
        number: usize,
        node: &NodeProto,
        mut results: Vec<Tensor>,
    ) -> Result<Vec<Tensor>, RunError> {
        let route = job.how.route.as_deref().unwrap_or_default();
        let relapsed = self.relapses_at.is_some_and(|at| number >= at);
        let is_fused = |tensor: &str| {
            let made = graph.node.iter().any(|n| n.output.iter().any(|o| o == tensor));
            made && !is_output(graph, tensor)
        };
        let planted = self.wrong.iter().filter(|(name, _)| name == node.name()).map(|(_, wrong)| wrong);
        let tired = self.tires && !is_whole(graph) && number.is_multiple_of(2);
        for wrong in planted.filter(|_| !tired).chain(self.alone.as_ref().filter(|_| !is_whole(graph))) {
            let (share, rows) = match wrong {
                Wrong::Crash => {
                    return Err(RunError::Crash { backend: "fake".into(), reason: "SIGSEGV".into() });
                }
                Wrong::Nan => (f32::NAN, 0),
                Wrong::Off(share) => (*share, 0),
                Wrong::Flaky(share) => (*share * number as f32, 0),
                Wrong::Rows(share) => (*share, 1),
                Wrong::Fused(share, tensor) => (if is_fused(tensor) || relapsed { *share } else { 0.0 }, 0),
                Wrong::Whole(share) => (if is_whole(graph) { *share } else { 0.0 }, 0),
                Wrong::Unless(share, knob) => (if route.contains(knob) && !relapsed { 0.0 } else { *share }, 0),
            };
            // What an If hands out of its branches is not its own.
            let own = |name: &String| node.op_type() != "If" || !name.contains('/');
            let all = node.output.iter().zip(&results);
            results =
                all.map(|(name, value)| if own(name) { off(value, share, rows) } else { value.clone() }).collect();
        }
        Ok(results)
    }
}

fn is_whole(graph: &GraphProto) -> bool {
    graph.name.as_deref() == Some(WHOLE)
}

fn is_output(graph: &GraphProto, tensor: &str) -> bool {
    graph.output.iter().any(|output| output.name() == tensor)
}

/// `value` from this row on; NaN only in one place.
fn off(value: &Tensor, share: f32, row: usize) -> Tensor {
    if share == 0.0 || value.elements() == 0 {
        return value.clone();
    }
    let from = row * value.elements() / value.shape.first().copied().unwrap_or(1).max(1);
    let mut values = value.view::<f32>().to_vec();
    let places = if share.is_nan() { 1 } else { values.len() };
    values.iter_mut().take(places).skip(from).for_each(|x| *x += share * (x.abs() + 1.0));
    Tensor::f32(&value.shape, &values)
}

/// Where the job says what is right: of the values those that are not, and all comparisons.
fn judged(job: &Job, sample: usize, values: Tensors) -> (Tensors, Option<Judged>) {
    let Some(against) = &job.against else { return (values, None) };
    let verdict = |name: &String, value: &Tensor| -> Option<Comparison> {
        let right = against.reference.get(sample)?.get(name)?;
        Some(compare(right, value, *against.tolerance.get(sample)?.get(name)?))
    };
    let judged: Judged = values.iter().filter_map(|(n, v)| Some((n.clone(), verdict(n, v)?))).collect();
    let agrees = |name: &String| judged.get(name).is_some_and(|verdict| verdict.status == Status::Agrees);
    let kept = values.into_iter().filter(|(name, _)| !agrees(name)).collect();
    (kept, Some(judged))
}
