//! A reproducer for each culprit: cut out, made smaller, written, and proved from disk by a new process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use super::attempts::Attempts;
use super::deliver::{self, Delivery};
use super::progress::Progress;
use super::story::{self, Told};
use crate::cli::{GlobalArgs, ReproducerArgs, SetArgs};
use crate::isolate;
use crate::load::testset::tensor_from_proto;
use crate::onnx::ValueInfoProto;
use crate::probe::capture::types_of;
use crate::probe::{Feed, Probe, Side};
use crate::reduce::nodes::{self, Found, Whole};
use crate::reduce::{self, Attempt, Case, Options, Outside};
use crate::report::{Culprit, Kind, Reduced, Report, Status};
use crate::run::RunError;
use crate::search::Answer;
use crate::tensor::Tensors;
use crate::tolerance::Rules;

/// Reproducers of one run: a model with more faults than this has one cause that is no single node's.
const MOST: usize = 8;

/// Where commands and processes are slow, data below this many bytes is small enough: it fits into a ticket.
const FITS: u64 = 1 << 20;

/// What the user asked for.
pub struct Request<'a> {
    pub set: &'a SetArgs,
    pub global: &'a GlobalArgs,
    pub reproducer: &'a ReproducerArgs,
    pub dir: &'a Path,
    /// Attempts of an earlier run.
    pub known: HashMap<String, Answer>,
}

/// Fills in the report's reproducers, the first culprit's first.
pub fn reproduce(
    probe: &mut Probe,
    report: &mut Report,
    request: &Request,
    progress: &Progress,
) -> Result<(), RunError> {
    if !probe.candidate.backend.runs() {
        report.warnings.push("stored tensors cannot be run again, so there is no reproducer".to_string());
        return Ok(());
    }
    let mut attempts = Attempts::new(std::mem::take(&mut probe.journal), request.known.clone(), progress);
    let mut made = Vec::new();
    let culprits = report.culprits.clone();
    let mut result = Ok(());
    for culprit in culprits.iter().take(MOST) {
        let folder = deliver::folder_name(made.len());
        match one(probe, culprit, report, request, &mut attempts, &folder) {
            Ok(Ok(reduced)) => made.push(reduced),
            Ok(Err(why)) => report.warnings.push(format!("no reproducer for '{}': {why}", culprit.tensor)),
            Err(e) => {
                result = Err(e);
                break;
            }
        }
    }
    if culprits.len() > MOST {
        report.warnings.push(format!("there are reproducers for the first {MOST} of {} culprits", culprits.len()));
    }
    probe.journal = std::mem::take(&mut attempts.journal);
    report.reduced = made.first().cloned();
    report.reproducers = if made.len() > 1 { made } else { Vec::new() };
    result
}

/// One culprit's reproducer, or why there is none.
fn one(
    probe: &mut Probe,
    culprit: &Culprit,
    report: &Report,
    request: &Request,
    attempts: &mut Attempts,
    folder: &str,
) -> Result<Result<Reduced, String>, RunError> {
    let started = Instant::now();
    let before = attempts.count;
    let Some(target) = Target::of(probe, culprit)? else {
        return Ok(Err("the candidate has no counterpart of it that could be cut out".to_string()));
    };
    let (reference, candidate, rules) = (probe.reference, probe.candidate, probe.rules);
    let judge = Judge { reference, candidate, rules, own_model: own_model(probe) };
    let label = format!("{}: ", culprit.tensor);
    let found = {
        let shared = RefCell::new(&mut *probe);
        let whole = Whole {
            model: &candidate.model.proto,
            graph: &candidate.graph,
            values: &|keys| values(&mut shared.borrow_mut(), candidate, keys, target.sample),
            told: &|key| candidate.types.get(key).map(|dtype| ValueInfoProto::typed(key, *dtype, None)),
            target: Some((target.tensor, target.expected.clone())),
            label: label.clone(),
        };
        let mut test = |asked: &[Attempt]| attempts.ask(asked, |attempt| judge.answer(attempt));
        find(&whole, &target, culprit, &mut test)?
    };
    let Some(found) = found else {
        return Ok(Err(
            "cut out of the model it does not fail, not even with everything it is computed from".to_string()
        ));
    };
    let mut test = |asked: &[Attempt]| attempts.ask(asked, |attempt| judge.answer(attempt));
    let flaps = flapping(&found.case, request.reproducer.stability, &label, &mut test)?;
    let smaller = match judge.own_model {
        true => reduce::Smaller { steps: vec![found.case], notes: Vec::new(), minimal: found.minimal },
        false => {
            let cheap = candidate.on_cpu() && reference.on_cpu();
            let options = Options {
                freeze: request.reproducer.freeze,
                shrink_weights: request.reproducer.shrink_weights,
                enough: if cheap { 0 } else { FITS },
                jobs: 1,
            };
            let mut outside = Outside {
                test: &mut test,
                values: &|case| judge.values(case),
                payload: &|t| tensor_from_proto(&candidate.model.inline(t)).ok(),
                wrong_at: Some(culprit.accumulated.first_mismatch.clone()).filter(|at| !at.is_empty()),
            };
            reduce::smaller(found, &options, &mut outside, &label)?
        }
    };
    let minimal = smaller.minimal;
    let told = Told {
        args: request.set,
        global: request.global,
        reference: &reference.spec,
        candidate: &candidate.spec,
        tolerance: rules,
        own_model: judge.own_model,
    };
    let delivery = Delivery {
        dir: request.dir,
        folder,
        values: &|case| judge.values(case),
        lean: &|model| candidate.model.lean(model),
        story: &|case, notes| story::of_culprit(culprit, report, &told, case, notes),
        proof: &|model| story::prove(&told, model),
    };
    let mut reduced = deliver::deliver(smaller, &delivery)?;
    reduced.culprit = Some(culprit.tensor.clone());
    reduced.minimal = minimal;
    reduced.probes = attempts.count - before + 1;
    reduced.seconds = started.elapsed().as_secs_f64();
    if let Some(flaps) = flaps {
        reduced.reproduces = false;
        reduced.why = Some(flaps);
    }
    Ok(Ok(reduced))
}

/// The wrong tensor, in the candidate's own graph.
struct Target {
    tensor: usize,
    /// The nodes that stand for the culprit.
    start: Vec<usize>,
    /// The right value.
    expected: Option<Tensors>,
    sample: usize,
}

impl Target {
    fn of(probe: &mut Probe, culprit: &Culprit) -> Result<Option<Target>, RunError> {
        let Some(mine) = probe.reference.graph.tensor(&culprit.tensor) else { return Ok(None) };
        let (Some(tensor), Some(start)) = (probe.counterpart(mine), isolate::suspects(probe, mine)) else {
            return Ok(None);
        };
        let sample = culprit.accumulated.sample;
        probe.fetch(probe.reference, std::slice::from_ref(&culprit.tensor))?;
        let name = probe.candidate.graph.tensors[tensor].name.clone();
        let expected = probe.reference_value(mine, sample).map(|value| Tensors::from([(name, value.clone())]));
        Ok(Some(Target { tensor, start, expected, sample }))
    }
}

/// As few nodes as possible: around the culprit, else among everything.
fn find(
    whole: &Whole,
    target: &Target,
    culprit: &Culprit,
    test: &mut dyn FnMut(&[Attempt]) -> Result<Vec<Answer>, RunError>,
) -> Result<Option<Found>, RunError> {
    let alone = culprit.kind == Kind::Introduces && culprit.local.is_some();
    nodes::around(whole, &target.start, alone, test)
}

/// The failing case again and again: what is wrong if it does not always fail.
fn flapping(
    case: &Case,
    times: u64,
    label: &str,
    test: &mut dyn FnMut(&[Attempt]) -> Result<Vec<Answer>, RunError>,
) -> Result<Option<String>, RunError> {
    for time in 2..=times {
        if test(&[Attempt { what: format!("{label}again, {time}"), case: case.clone() }])? != [Answer::Bad] {
            return Ok(Some(format!(
                "it does not fail every time: run {time} of {times} was another; see --stability"
            )));
        }
    }
    Ok(None)
}

/// Is the candidate's model another than the reference's? Then the truth is what was captured.
fn own_model(probe: &Probe) -> bool {
    let (mine, theirs) = (probe.reference, probe.candidate);
    mine.spec.model.is_some() || theirs.spec.model.is_some() || !mine.backend.runs()
}

/// Captured reference values of these tensors of the candidate's graph.
fn values(probe: &mut Probe, candidate: &Side, keys: &[String], sample: usize) -> Tensors {
    if probe.fetch(candidate, keys).is_err() {
        return Tensors::new();
    }
    let value = |key: &String| Some((key.clone(), probe.value_at(candidate, key, sample, Feed::Reference)?));
    keys.iter().filter_map(value).collect()
}

/// Runs cases and compares what comes out.
struct Judge<'a> {
    reference: &'a Side,
    candidate: &'a Side,
    rules: &'a Rules,
    own_model: bool,
}

impl Judge<'_> {
    /// Bad where an output diverges; a crash is no wrong value.
    fn answer(&self, attempt: &Attempt) -> Result<Answer, RunError> {
        match self.compare(&attempt.case) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(Answer::Unknown),
            Ok(answer) => Ok(answer),
        }
    }

    fn compare(&self, case: &Case) -> Result<Answer, RunError> {
        let names: Vec<String> =
            case.model.graph.iter().flat_map(|g| &g.output).map(|o| o.name().to_string()).collect();
        let run = |side: &Side| -> Result<Tensors, RunError> {
            // What is inside bodies goes by the whole model's keys.
            let mut types = side.types.clone();
            types.extend(types_of(&case.model));
            let values = side.run_model(&case.model, &types, std::slice::from_ref(&case.feeds), &names)?;
            Ok(values.into_iter().next().unwrap_or_default())
        };
        let expected = match &case.expected {
            Some(expected) => expected.clone(),
            None if self.own_model => return Ok(Answer::Unknown),
            None => run(self.reference)?,
        };
        let got = run(self.candidate)?;
        let mut answer = Answer::Good;
        for (name, right) in &expected {
            let status = got.get(name).map(|value| self.rules.judge(name, right, value).status);
            match status {
                Some(Status::Diverges) => return Ok(Answer::Bad),
                Some(Status::Agrees) => {}
                Some(Status::NotCompared) | None => answer = Answer::Unknown,
            }
        }
        Ok(answer)
    }

    /// Every value of the case: the reference's; of a model that only the candidate has, the candidate's.
    fn values(&self, case: &Case) -> Result<Tensors, RunError> {
        let side = if self.own_model { self.candidate } else { self.reference };
        match side.all_values(&case.model, &case.feeds) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            other => Ok(other.unwrap_or_default()),
        }
    }
}
