//! Does a cut-out case diverge? Runs it in the candidate and compares with what is right: captured values, the reference on the
//! same model, or, where the candidate has a model of its own, the reference's nodes that do the same.

use std::collections::{HashMap, HashSet};

use crate::compare::Comparison;
use crate::diagnose::FP16_ACCUMULATION;
use crate::found::{Culprit, Kind, Status, Sure};
use crate::graph::{Outputs, Source, boundary, extract};
use crate::judge::Rules;
use crate::lab::capture::types_of;
use crate::lab::{Probe, Side};
use crate::mark::Types;
use crate::onnx::{ModelProto, TensorProto, ValueInfoProto};
use crate::precision;
use crate::reduce::nodes::Found;
use crate::reduce::sound::Sound;
use crate::reduce::{Attempt, Case};
use crate::run::RunError;
use crate::search::Answer;
use crate::spec::Low;
use crate::tensor::{DType, Tensor, Tensors};

/// The two sides of cases cut from the candidate's model.
pub struct Judge<'a> {
    reference: &'a Side,
    candidate: &'a Side,
    rules: &'a Rules,
    /// The candidate's model is another than the reference's, or the reference runs nothing.
    pub own_model: bool,
    /// Then: the reference's nodes that do the same.
    truth: Option<Truth>,
    /// The failure that is looked for, so that no other one is taken for it.
    failure: Failure,
}

/// What kind of wrong the culprit's tensor is.
struct Failure {
    /// Another shape.
    shape: bool,
    /// NaN or an infinity where the reference has none.
    nonfinite: bool,
    /// The reference has NaN or infinities itself.
    given: bool,
    /// It was shown to be the sums in FP16, and nothing else of FP16.
    sums: bool,
}

/// A cut of the reference's model that takes the case's inputs and gives its output.
struct Truth {
    model: ModelProto,
    /// The case's input, the cut's, and its type there.
    inputs: Vec<(String, String, DType)>,
    /// The cut's output, and the case's.
    output: (String, String),
    /// What the tensors between are called in the case.
    names: HashMap<String, String>,
    /// The case's initializers as they were found, and whether the cut has the same one.
    weights: HashMap<String, (TensorProto, bool)>,
    /// Of the cut as it was found: what fits the candidate's nodes may not fit these.
    sound: Sound,
}

impl<'a> Judge<'a> {
    /// For the failure of `culprit`; `shape` says that its shape is wrong.
    pub fn new(probe: &Probe<'a>, culprit: &Culprit, shape: bool) -> Judge<'a> {
        let (reference, candidate) = (&probe.lab.reference, &probe.lab.candidate);
        let own_model = probe.lab.relation.is_own_model() || !reference.runs();
        let seen = culprit.local.as_ref().filter(|_| culprit.kind == Kind::Introduces).unwrap_or(&culprit.accumulated);
        let nonfinite = seen.cand_nonfinite > seen.ref_nonfinite;
        let sums = culprit.diagnosis.iter().any(|cause| cause.code == FP16_ACCUMULATION && cause.sure == Sure::Shown);
        let failure = Failure { shape, nonfinite, given: seen.ref_nonfinite > 0, sums };
        Judge { reference, candidate, rules: &probe.lab.rules, own_model, truth: None, failure }
    }

    /// Looks for the reference's nodes that do what `found` does, which is wrong in `tensor` (a key of the reference).
    pub fn learn(&mut self, probe: &Probe, tensor: &str, found: &Found) {
        if self.own_model && self.reference.runs() {
            self.truth = Truth::of(probe, tensor, found);
        }
    }

    /// Bad where an output diverges; a crash is no wrong value.
    pub fn answer(&self, attempt: &Attempt) -> Result<Answer, RunError> {
        match self.compare(&attempt.case) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            Err(_) => Ok(Answer::Unknown),
            Ok(answer) => Ok(answer),
        }
    }

    fn compare(&self, case: &Case) -> Result<Answer, RunError> {
        let Some(expected) = self.expected(case)? else { return Ok(Answer::Unknown) };
        let got = self.run(self.candidate, &case.model, &case.feeds)?;
        let mut answer = if expected.is_empty() { Answer::Unknown } else { Answer::Good };
        for (name, right) in &expected {
            let Some(value) = got.get(name) else { return Ok(Answer::Unknown) };
            let verdict = self.rules.judge(name, right, value);
            match verdict.status {
                Status::Diverges if self.failure.is(&verdict) => {
                    let bad = !self.failure.sums || self.adds_up(case, &expected)?;
                    return Ok(if bad { Answer::Bad } else { Answer::Unknown });
                }
                Status::Diverges | Status::NotCompared => answer = Answer::Unknown,
                Status::Agrees => {}
            }
        }
        Ok(answer)
    }

    /// Does it agree where it only rounds, and adds up in FP32?
    fn adds_up(&self, case: &Case, expected: &Tensors) -> Result<bool, RunError> {
        let side = self.candidate;
        let names: Vec<String> = expected.keys().cloned().collect();
        let types = self.types(side, &case.model);
        let work = side.work(std::slice::from_ref(&case.feeds), &names).on(&case.model, &types);
        let got = side.run_as(Low::Float16, &work)?.pop().unwrap_or_default();
        let agrees = |(name, right): (&String, &Tensor)| {
            got.get(name).is_some_and(|value| self.rules.judge(name, right, value).status == Status::Agrees)
        };
        Ok(expected.iter().all(agrees))
    }

    /// What is right for the case's outputs; `None` where nobody can tell.
    pub fn expected(&self, case: &Case) -> Result<Option<Tensors>, RunError> {
        if let Some(expected) = &case.expected {
            return Ok(Some(expected.clone()));
        }
        if !self.own_model {
            return self.run(self.reference, &case.model, &case.feeds).map(Some);
        }
        let Some(truth) = &self.truth else { return Ok(None) };
        let Some((model, feeds)) = truth.of_case(case) else { return Ok(None) };
        let mut values = self.run(self.reference, &model, &feeds)?;
        let (own, theirs) = &truth.output;
        Ok(values.swap_remove(own).map(|value| Tensors::from([(theirs.clone(), value)])))
    }

    /// Every value of the case: the reference's; of a model that only the candidate has, the candidate's.
    pub fn values(&self, case: &Case) -> Result<Tensors, RunError> {
        let side = if self.own_model { self.candidate } else { self.reference };
        side.all_values(&case.model, &case.feeds)
    }

    /// The right value of every tensor that has one: what a smaller cut may be fed with.
    pub fn truths(&self, case: &Case) -> Result<Tensors, RunError> {
        if !self.own_model {
            return self.values(case);
        }
        let known = self.truth.as_ref().and_then(|t| Some((t, t.of_case(case)?)));
        let Some((truth, (model, feeds))) = known else { return Ok(case.feeds.clone()) };
        let values = self.reference.all_values(&model, &feeds)?;
        let theirs = |(name, value): (String, Tensor)| {
            let key = truth.names.get(&name)?;
            let dtype = self.candidate.types.get(key).copied().unwrap_or(value.dtype);
            let value = if dtype == value.dtype { value } else { precision::cast(&value, dtype)? };
            Some((key.clone(), value))
        };
        let mut known: Tensors = values.into_iter().filter_map(theirs).collect();
        known.extend(case.feeds.clone());
        Ok(known)
    }

    fn run(&self, side: &Side, model: &ModelProto, feeds: &Tensors) -> Result<Tensors, RunError> {
        let names: Vec<String> = model.graph.iter().flat_map(|g| &g.output).map(|o| o.name().to_string()).collect();
        let types = self.types(side, model);
        let values = side.run_model(model, &types, std::slice::from_ref(feeds), &names)?;
        Ok(values.into_iter().next().unwrap_or_default())
    }

    fn types(&self, side: &Side, model: &ModelProto) -> Types {
        // What is inside bodies goes by the whole model's keys.
        let mut types = side.types.clone();
        types.extend(types_of(model));
        types
    }
}

impl Failure {
    fn is(&self, verdict: &Comparison) -> bool {
        match &verdict.metrics {
            None => self.shape,
            Some(m) => {
                let nonfinite = m.cand_nonfinite > m.ref_nonfinite;
                !self.shape && nonfinite == self.nonfinite && (self.given || m.ref_nonfinite == 0)
            }
        }
    }
}

impl Truth {
    /// The reference's nodes between the case's inputs and `tensor`; `None` where they read something else too.
    fn of(probe: &Probe, tensor: &str, found: &Found) -> Option<Truth> {
        let (mine, theirs) = (&probe.lab.reference, &probe.lab.candidate);
        let keys = boundary(&theirs.model.proto, &theirs.graph, &found.nodes);
        let given: HashMap<usize, &String> =
            keys.iter().filter_map(|key| Some((probe.lab.stands_for(theirs, key)?, key))).collect();
        let target = mine.graph.tensor(tensor)?;
        let mut nodes = vec![mine.graph.tensors[target].node];
        let mut seen: HashSet<usize> = nodes.iter().copied().collect();
        let mut next = 0;
        while let Some(&node) = nodes.get(next) {
            next += 1;
            for read in &mine.graph.nodes[node].reads {
                match read.source {
                    Source::Tensor(t) if given.contains_key(&t) => {}
                    Source::Tensor(t) => {
                        let maker = mine.graph.tensors[t].node;
                        nodes.extend(seen.insert(maker).then_some(maker));
                    }
                    Source::Input if !keys.contains(&read.name) => return None,
                    Source::Input | Source::Initializer => {}
                }
            }
        }
        let case_type = |name: &str| found.case.feeds.get(name).map(|t| t.dtype);
        let typed = |key: &str| {
            let theirs = mine.graph.tensor(key).and_then(|t| given.get(&t)).map_or(key, |k| k.as_str());
            Some((probe.lab.survey.types.get(key).copied().or_else(|| case_type(theirs))?, Vec::new()))
        };
        let mut cut = extract(&mine.model.proto, &mine.graph, &nodes, Outputs::Only(&[target]), typed)?;
        let mut inputs = Vec::new();
        for input in &mut cut.proto.graph.as_mut()?.input {
            let (name, dtype) = (input.name().to_string(), input.dtype()?);
            let theirs =
                mine.graph.tensor(&name).and_then(|t| given.get(&t)).map_or_else(|| name.clone(), |k| k.to_string());
            // Any shape: the case's data will be sliced.
            *input = ValueInfoProto::typed(&name, dtype, None);
            inputs.push((theirs, name, dtype));
        }
        let output = found.case.model.graph.as_ref()?.output.first()?.name().to_string();
        let own: HashMap<&str, &TensorProto> =
            cut.proto.graph.iter().flat_map(|g| &g.initializer).map(|t| (t.name(), t)).collect();
        let weights = found.case.model.graph.as_ref()?.initializer.iter().map(|t| {
            let payload = || Some((mine.model.payload(own.get(t.name())?)?, theirs.model.payload(t)?));
            let same = payload().is_some_and(|(a, b)| a == b) && own.get(t.name()).is_some_and(|o| o.dims == t.dims);
            (t.name().to_string(), (t.clone(), same))
        });
        let weights = weights.collect();
        let made = nodes.iter().flat_map(|n| &mine.graph.nodes[*n].writes);
        let named = made.filter_map(|t| {
            let theirs_name = theirs.graph.tensors[probe.lab.counterpart(*t)?].name.clone();
            Some((mine.graph.tensors[*t].name.clone(), theirs_name))
        });
        let names = named.collect();
        let output = (mine.graph.tensors[target].name.clone(), output);
        let mut truth = Truth { model: cut.proto, inputs, output, names, weights, sound: Sound::default() };
        truth.sound = Sound::like(&truth.model, &truth.feeds(&found.case.feeds)?);
        Some(truth)
    }

    /// What the reference runs for `case`; `None` where it cannot.
    fn of_case(&self, case: &Case) -> Option<(ModelProto, Tensors)> {
        let (model, feeds) = (self.follow(case)?, self.feeds(&case.feeds)?);
        self.sound.refuses(&model, &feeds).is_none().then_some((model, feeds))
    }

    /// The cut with the weights of `case`, of which a slice may be left; `None` where it has others.
    fn follow(&self, case: &Case) -> Option<ModelProto> {
        let mut model = self.model.clone();
        for weight in &case.model.graph.as_ref()?.initializer {
            let (found, same) = self.weights.get(weight.name())?;
            if weight != found {
                let own = model.graph.as_mut()?.initializer.iter_mut().find(|t| t.name() == weight.name());
                *own.filter(|_| *same)? = weight.clone();
            }
        }
        Some(model)
    }

    fn feeds(&self, given: &Tensors) -> Option<Tensors> {
        let feed = |(theirs, own, dtype): &(String, String, DType)| {
            let value = given.get(theirs)?;
            let value = if value.dtype == *dtype { value.clone() } else { precision::cast(value, *dtype)? };
            Some((own.clone(), value))
        };
        self.inputs.iter().map(feed).collect()
    }
}
