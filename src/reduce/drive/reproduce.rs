//! A reproducer for each culprit: cut out, made smaller, written, and proved from disk by a new process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use crate::cli::{GlobalArgs, Level, ReproducerArgs, SessionArgs, SetArgs};
use crate::failure::Ended;
use crate::find::isolate;
use crate::found::{Culprit, Kind, NodeRef, Note, Reduced, Reproducers, Status};
use crate::graph::Source;
use crate::lab::{Feed, Lowering, Probe, Side};
use crate::load::testset::tensor_from_proto;
use crate::onnx::ValueInfoProto;
use crate::progress::Progress;
use crate::reduce::drive::attempts::Attempts;
use crate::reduce::drive::deliver::{self, Delivery, FITS, MOST};
use crate::reduce::drive::judge::Judge;
use crate::reduce::drive::story::{self, About, Told};
use crate::reduce::nodes::{self, Found, Whole};
use crate::reduce::{self, Attempt, Case, Options, Outside, Smaller, Test};
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensors;

/// What the user asked for.
pub struct Request<'a> {
    /// The flags that both sides are made of.
    pub set: &'a SetArgs,
    /// The flags of every command.
    pub global: &'a GlobalArgs,
    /// What the reproducer is to be like.
    pub reproducer: &'a ReproducerArgs,
    /// The folder of the run; reproducers go into folders inside it.
    pub dir: &'a Path,
    /// Attempts of an earlier run.
    pub known: HashMap<String, Answer>,
    /// What a reproducer tells of the run.
    pub about: About<'a>,
}

/// Reproducers of these culprits, the first one's first; `told` hears of each as it is there.
pub fn reproduce(
    probe: &mut Probe,
    culprits: &[Culprit],
    request: &Request,
    progress: &Progress,
    mut told: impl FnMut(&Reproducers),
) -> Ended<Reproducers> {
    let mut all = Reproducers::default();
    if !probe.lab.candidate.runs() {
        all.notes.push(Note::StoredOnly);
        return Ended::well(all);
    }
    let mut attempts = Attempts::new(probe.ledger.journal.clone(), request.known.clone(), progress);
    let mut halted = None;
    for culprit in chosen(culprits) {
        let folder = deliver::folder_name(all.made.len());
        let none = |why: String| Note::NoReproducer { tensor: culprit.tensor.clone(), why };
        let shown = stand_in(probe, culprit);
        match one(probe, shown.as_ref().unwrap_or(culprit), request, &mut attempts, &folder) {
            Ok(Ok(reduced)) => {
                all.made.push(Reduced { culprit: Some(culprit.tensor.clone()), ..reduced });
                told(&all);
            }
            Ok(Err(why)) => all.notes.push(none(why)),
            Err(RunError::Interrupted) => {
                halted = Some(RunError::Interrupted);
                break;
            }
            // What was found stays found.
            Err(e) => all.notes.push(none(e.to_string())),
        }
    }
    if culprits.len() > MOST {
        all.notes.push(Note::FewerReproducers { most: MOST, of: culprits.len() });
    }
    Ended { value: all, halted }
}

/// At most [`MOST`], those that compute before those that are constants; in topological order.
fn chosen(culprits: &[Culprit]) -> Vec<&Culprit> {
    let mut order: Vec<usize> = (0..culprits.len()).collect();
    order.sort_by_key(|i| culprits[*i].node.inputs.is_empty());
    order.truncate(MOST);
    order.sort_unstable();
    order.into_iter().map(|i| &culprits[i]).collect()
}

/// In place of a constant that the candidate stores in a lower precision, the first diverging tensor that is made from it:
/// a converted model hands out its constants as they were.
fn stand_in(probe: &Probe, culprit: &Culprit) -> Option<Culprit> {
    let stores = matches!(probe.lab.candidate.lowering, Lowering::Convert(_) | Lowering::Backend(_));
    let (model, graph) = (&probe.lab.reference.model.proto, &probe.lab.reference.graph);
    let constant = graph.tensor(&culprit.tensor).filter(|t| stores && graph.is_constant(*t))?;
    let mut readers = graph.nodes.iter().filter(|n| n.reads.iter().any(|r| r.source == Source::Tensor(constant)));
    let (node, result) = readers.find_map(|node| {
        let mut results = node.writes.iter().filter_map(|t| probe.results.get(*t));
        Some((node, results.find(|r| r.status == Status::Diverges)?))
    })?;
    Some(Culprit {
        node: NodeRef::of(model, graph, node),
        tensor: result.name.clone(),
        accumulated: result.metrics.clone().unwrap_or_default(),
        local: None,
        ..culprit.clone()
    })
}

/// How the candidate's session is made where the search looked at it: what was cut out fails in that one.
fn session(args: &SetArgs, candidate: &Side) -> Vec<String> {
    let plain = candidate.deploys.is_some().then_some(Level::Off);
    SessionArgs { optimization: plain.or(args.session.optimization), ..args.session.clone() }.words()
}

/// One culprit's reproducer, or why there is none.
fn one(
    probe: &mut Probe,
    culprit: &Culprit,
    request: &Request,
    attempts: &mut Attempts,
    folder: &str,
) -> Result<Result<Reduced, String>, RunError> {
    let started = Instant::now();
    let before = attempts.count;
    let Cut { judge, smaller, flaps } = match cut(probe, culprit, request.reproducer, attempts)? {
        Ok(cut) => cut,
        Err(why) => return Ok(Err(why)),
    };
    let (reference, candidate, rules) = (&probe.lab.reference, &probe.lab.candidate, &probe.lab.rules);
    let minimal = smaller.minimal;
    let session = session(request.set, candidate);
    let told = Told {
        args: request.set,
        global: request.global,
        reference: &reference.spec,
        candidate: &candidate.spec,
        tolerance: rules,
        own_model: judge.own_model,
        session: &session,
    };
    let delivery = Delivery {
        dir: request.dir,
        folder,
        values: &|case| judge.values(case),
        expected: &|case| judge.expected(case),
        lean: &|model| candidate.model.written(model),
        story: &|case, notes| story::of_culprit(culprit, &request.about, &told, case, notes),
        proof: &|model| story::prove(&told, model),
    };
    let mut reduced = deliver::deliver(smaller, &delivery)?;
    reduced.minimal = minimal;
    reduced.probes = attempts.count - before + 1;
    reduced.seconds = started.elapsed().as_secs_f64();
    if let Some(flaps) = flaps {
        reduced.reproduces = false;
        reduced.why = Some(flaps);
    }
    Ok(Ok(reduced))
}

/// What is left of the model, before it is written.
struct Cut<'a> {
    judge: Judge<'a>,
    smaller: Smaller,
    /// What is wrong, if it does not fail every time.
    flaps: Option<String>,
}

/// Cuts the culprit out and makes that smaller; or says why it cannot be.
fn cut<'a>(
    probe: &mut Probe<'a>,
    culprit: &Culprit,
    reproducer: &ReproducerArgs,
    attempts: &mut Attempts,
) -> Result<Result<Cut<'a>, String>, RunError> {
    let Some(target) = Target::of(probe, culprit)? else {
        return Ok(Err("the candidate has no counterpart of it that could be cut out".to_string()));
    };
    let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
    let mut judge = Judge::new(probe, culprit, target.shapes_differ);
    attempts.label = format!("{}: ", culprit.tensor);
    let found = {
        let shared = RefCell::new(&mut *probe);
        let values = |keys: &[String]| values(&mut shared.borrow_mut(), candidate, keys, target.sample);
        let told = |key: &str| candidate.types.get(key).map(|dtype| ValueInfoProto::typed(key, *dtype, None));
        let whole = Whole {
            model: &candidate.model.proto,
            graph: &candidate.graph,
            values: &values,
            told: &told,
            target: Some((target.tensor, target.expected.clone())),
            label: String::new(),
        };
        let mut test = |asked: &[Attempt]| attempts.ask(asked, |attempt| judge.answer(attempt));
        find(whole, &target, culprit, candidate.width(), &mut test)?
    };
    let Some(found) = found else {
        return Ok(Err(
            "cut out of the model it does not fail, not even with everything it is computed from".to_string()
        ));
    };
    judge.learn(probe, &culprit.tensor, &found);
    let mut test = |asked: &[Attempt]| attempts.ask(asked, |attempt| judge.answer(attempt));
    let flaps = flapping(&found.case, reproducer.stability, &mut test)?;
    let cheap = candidate.on_cpu() && reference.on_cpu();
    let options = Options {
        freeze: reproducer.freeze,
        shrink_weights: reproducer.shrink_weights,
        enough: if cheap { 0 } else { FITS },
        jobs: candidate.width(),
        only_data: judge.own_model,
        runs: true,
    };
    let mut outside = Outside {
        test: &mut test,
        values: &|case| judge.truths(case),
        expected: &|case| judge.expected(case),
        payload: &|t| tensor_from_proto(&candidate.model.inline(t)).ok(),
        wrong_at: Some(culprit.accumulated.first_mismatch.clone()).filter(|at| !at.is_empty()),
    };
    let smaller = reduce::smaller(found, &options, &mut outside)?;
    Ok(Ok(Cut { judge, smaller, flaps }))
}

/// The wrong tensor, in the candidate's own graph.
struct Target {
    tensor: usize,
    /// The nodes that stand for the culprit.
    start: Vec<usize>,
    /// The right value.
    expected: Option<Tensors>,
    sample: usize,
    /// What is wrong with it is its shape.
    shapes_differ: bool,
}

impl Target {
    fn of(probe: &mut Probe, culprit: &Culprit) -> Result<Option<Target>, RunError> {
        let Some(mine) = probe.lab.reference.graph.tensor(&culprit.tensor) else { return Ok(None) };
        let (Some(tensor), Some(start)) = (probe.lab.counterpart(mine), isolate::suspects(probe, mine)) else {
            return Ok(None);
        };
        let sample = culprit.accumulated.sample;
        probe.fetch(&probe.lab.reference, std::slice::from_ref(&culprit.tensor))?;
        let name = probe.lab.candidate.graph.tensors[tensor].name.clone();
        let right = probe.reference_value(mine, sample);
        let shapes_differ = culprit.accumulated.elements == 0 && right.is_some_and(|value| value.elements() > 0);
        let expected = right.map(|value| Tensors::from([(name, value.clone())]));
        Ok(Some(Target { tensor, start, expected, sample, shapes_differ }))
    }
}

/// As few nodes as possible: around the culprit, else among everything.
fn find(
    mut whole: Whole,
    target: &Target,
    culprit: &Culprit,
    jobs: usize,
    test: &mut Test<RunError>,
) -> Result<Option<Found>, RunError> {
    let alone = culprit.kind == Kind::Introduces && culprit.local.is_some() && culprit.region.len() < 2;
    let found = nodes::around(&whole, &target.start, alone, jobs, &mut *test)?;
    if found.is_some() || !whole.graph.nodes[target.start[0]].scope.is_empty() {
        return Ok(found);
    }
    // The fault needs what comes after it too: a fusion, say. Then the model's own outputs tell.
    whole.target = None;
    whole.label += "whole: ";
    let all = nodes::main_nodes(whole.graph);
    match nodes::fails(&whole, &all, &mut *test)? {
        Answer::Bad => nodes::among(&whole, &all, jobs, test),
        Answer::Good | Answer::Unknown => Ok(None),
    }
}

/// The failing case again and again: what is wrong if it does not always fail.
fn flapping(case: &Case, times: u64, test: &mut Test<RunError>) -> Result<Option<String>, RunError> {
    for time in 2..=times {
        if test(&[Attempt { what: format!("again, {time}"), case: case.clone() }])? != [Answer::Bad] {
            return Ok(Some(format!(
                "it does not fail every time: run {time} of {times} was another; see --stability"
            )));
        }
    }
    Ok(None)
}

/// Captured reference values of these tensors of the candidate's graph.
fn values(probe: &mut Probe, candidate: &Side, keys: &[String], sample: usize) -> Tensors {
    if probe.fetch(candidate, keys).is_err() {
        return Tensors::new();
    }
    let value = |key: &String| Some((key.clone(), probe.value_at(candidate, key, sample, Feed::Reference)?));
    keys.iter().filter_map(value).collect()
}

#[cfg(test)]
mod tests;
