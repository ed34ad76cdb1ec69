//! What each unit does: alone, fed with the reference's values, to its own result; and what that error does to the model's outputs.
//! The first takes one run of a cut of the candidate, the second one session of the reference, run once for each unit: far
//! less than a build for each. Where either cannot be had, the ranking has to do without.

use std::collections::HashMap;

use super::File;
use crate::compare::to_f64;
use crate::cure::Trial;
use crate::graph::{Outputs, Read, Source, extract};
use crate::lab::{Feed, Probe};
use crate::mark::Types;
use crate::onnx::{ModelProto, NodeProto, ValueInfoProto};
use crate::run::RunError;
use crate::tensor::{DType, Tensor, Tensors};

/// Units of which the effect on the outputs is run: those with the largest errors of their own.
const MOST: usize = 96;

/// What one unit does, in relative RMS.
#[derive(Clone, Copy, Debug, Default)]
pub struct Effect {
    /// To its own result; `None` where that was not measured.
    pub local: Option<f64>,
    /// To the worst output.
    pub outputs: Option<f64>,
}

impl Effect {
    /// How much it matters. What has no known effect on the outputs goes by its own error, which is larger in most models.
    pub fn rank(&self) -> f64 {
        self.outputs.or(self.local).unwrap_or(0.0)
    }
}

/// By unit.
pub fn effects(probe: &mut Probe, file: &File, outputs: &[String]) -> Result<Vec<Effect>, RunError> {
    let mut effects = vec![Effect::default(); file.units.len()];
    let errors = settled(alone(probe, file))?.unwrap_or_default();
    for (unit, error) in &errors {
        effects[*unit].local = Some(error.relative);
    }
    let mut worst: Vec<&(usize, Error)> = errors.iter().collect();
    worst.sort_by(|a, b| b.1.relative.total_cmp(&a.1.relative).then(a.0.cmp(&b.0)));
    worst.truncate(MOST);
    for (unit, effect) in settled(at_outputs(probe, &worst, outputs))?.unwrap_or_default() {
        effects[unit].outputs = Some(effect);
    }
    Ok(effects)
}

/// A run that failed is no answer; one that was interrupted ends everything.
fn settled<T>(run: Result<T, RunError>) -> Result<Option<T>, RunError> {
    match run {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        run => Ok(run.ok()),
    }
}

/// How far off a unit's result is when it alone is quantised.
struct Error {
    relative: f64,
    /// The tensor of the reference that its result is.
    tensor: usize,
    /// Candidate minus reference.
    difference: Tensor,
}

/// The units of the main graph, cut out of the candidate and fed with the reference's values of the first sample.
fn alone(probe: &mut Probe, file: &File) -> Result<Vec<(usize, Error)>, RunError> {
    let candidate = &probe.lab.candidate;
    if !candidate.runs() || !probe.lab.reference.runs() {
        return Ok(Vec::new());
    }
    let nodes = |unit: usize| {
        let unit = &file.units[unit];
        unit.around.iter().copied().chain([unit.node, unit.last]).collect::<Vec<usize>>()
    };
    let result = |unit: usize| file.graph.tensors[file.units[unit].result].key.clone();
    let reads = |unit: usize| nodes(unit).into_iter().flat_map(|n| &file.graph.nodes[n].reads).map(|r| key(file, r));
    let main = |unit: &usize| {
        file.units[*unit].codes.is_none() && nodes(*unit).iter().all(|n| file.graph.nodes[*n].scope.is_empty())
    };
    let units: Vec<usize> = (0..file.units.len()).filter(main).collect();
    let wanted: Vec<String> = units.iter().flat_map(|u| reads(*u).chain([result(*u)])).collect();
    probe.fetch(candidate, &wanted)?;
    let value = |key: &str| probe.value_at(candidate, key, 0, Feed::Reference);
    let made = |unit: usize| {
        nodes(unit)
            .into_iter()
            .flat_map(|n| &file.graph.nodes[n].writes)
            .map(|t| &file.graph.tensors[*t].key)
            .collect::<Vec<_>>()
    };
    let constant = |key: &String| {
        file.graph.tensor(key).is_none_or(|t| file.graph.is_constant(t)) && !file.graph.inputs.contains(key)
    };
    let fed = |unit: &usize| {
        let made = made(*unit);
        reads(*unit).all(|key| made.contains(&&key) || constant(&key) || value(&key).is_some())
    };
    let units: Vec<usize> = units.into_iter().filter(fed).collect();
    let mut ids: Vec<usize> = units.iter().flat_map(|u| nodes(*u)).collect();
    ids.sort_unstable();
    ids.dedup();
    let results: Vec<usize> = units.iter().map(|u| file.units[*u].result).collect();
    let typed = |key: &str| value(key).map(|v| (v.dtype, v.shape.clone()));
    let Some(cut) = extract(&file.model.proto, &file.graph, &ids, Outputs::Only(&results), typed) else {
        return Ok(Vec::new());
    };
    let feed: Tensors = cut.feeds.iter().filter_map(|(name, key)| Some((name.clone(), value(key)?))).collect();
    let names: Vec<String> = cut.outputs.iter().map(|(name, _)| name.clone()).collect();
    let mut values = candidate.run_model(&cut.proto, &file.types, &[feed], &names)?;
    let values = values.pop().unwrap_or_default();
    let by_tensor: HashMap<usize, &Tensor> =
        cut.outputs.iter().filter_map(|(name, tensor)| Some((*tensor, values.get(name)?))).collect();
    let error = |unit: usize| {
        let right = value(&result(unit))?;
        let tensor = probe.lab.stands_for(candidate, &result(unit))?;
        Some((unit, Error::of(tensor, &right, by_tensor.get(&file.units[unit].result)?)?))
    };
    Ok(units.into_iter().filter_map(error).collect())
}

fn key(file: &File, read: &Read) -> String {
    match read.source {
        Source::Tensor(t) => file.graph.tensors[t].key.clone(),
        Source::Input | Source::Initializer => read.name.clone(),
    }
}

impl Error {
    /// `None` where the two are not of one shape.
    fn of(tensor: usize, right: &Tensor, got: &Tensor) -> Option<Error> {
        let (values, wanted) = (to_f64(got), to_f64(right));
        if right.shape != got.shape || !right.dtype.is_float() {
            return None;
        }
        let off: Vec<f32> = values.iter().zip(&wanted).map(|(v, w)| (v - w) as f32).collect();
        let size = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let relative = size(&mut off.iter().map(|d| f64::from(*d))) / size(&mut wanted.iter().copied());
        let difference = Tensor::from_vec(DType::Float32, right.shape.clone(), off);
        relative.is_finite().then_some(Error { relative, tensor, difference })
    }
}

/// What each of these errors, alone, does to the outputs of the reference.
fn at_outputs(probe: &Probe, worst: &[&(usize, Error)], outputs: &[String]) -> Result<Vec<(usize, f64)>, RunError> {
    let reference = &probe.lab.reference;
    let graph = &reference.graph;
    let (Some(first), Some(right)) = (probe.lab.feeds.first(), probe.finals.right.first()) else {
        return Ok(Vec::new());
    };
    let float = |error: &Error| graph.producer(error.tensor).scope.is_empty();
    let worst: Vec<&(usize, Error)> = worst.iter().filter(|(_, error)| float(error)).copied().collect();
    let inner = outputs.iter().any(|o| graph.outputs.iter().all(|(name, _)| name != o));
    if worst.is_empty() || inner || !reference.is_plain() {
        return Ok(Vec::new());
    }
    let tensors: Vec<usize> = worst.iter().map(|(_, error)| error.tensor).collect();
    let model = open_to_errors(reference.deployed.as_ref().unwrap_or(&reference.model.proto), graph, &tensors);
    let zero = Tensor::f32(&[], &[0.0]);
    let feeds: Vec<Tensors> = (0..worst.len())
        .map(|own| {
            let value = |n: usize| if n == own { worst[n].1.difference.clone() } else { zero.clone() };
            let errors = (0..worst.len()).map(|n| (error_name(n), value(n)));
            first.iter().map(|(name, value)| (name.clone(), value.clone())).chain(errors).collect()
        })
        .collect();
    let values = reference.run_model(&model, &Types::new(), &feeds, outputs)?;
    let effect = |values: Tensors| {
        Trial::judged(&probe.lab.rules, outputs, std::slice::from_ref(right), std::slice::from_ref(&values)).error
    };
    Ok(worst.iter().zip(values).map(|((unit, _), values)| (*unit, effect(values))).collect())
}

/// `model` with an input for each of these tensors, which is added to it.
fn open_to_errors(model: &ModelProto, graph: &crate::graph::Graph, tensors: &[usize]) -> ModelProto {
    let mut open = model.clone();
    let Some(main) = open.graph.as_mut() else { return open };
    for (number, tensor) in tensors.iter().enumerate() {
        let (name, home) = (&graph.tensors[*tensor].name, graph.producer(*tensor));
        let exact = format!("{name}/exact");
        let made = main.node.get_mut(home.index).into_iter().flat_map(|n| n.output.iter_mut());
        made.filter(|o| *o == name).for_each(|o| o.clone_from(&exact));
        main.input.push(ValueInfoProto::typed(&error_name(number), DType::Float32, None));
    }
    let mut sums: Vec<(usize, NodeProto)> = Vec::new();
    for (number, tensor) in tensors.iter().enumerate() {
        let name = &graph.tensors[*tensor].name;
        let sum =
            NodeProto::new("Add", &format!("{name}/sum"), &[&format!("{name}/exact"), &error_name(number)], &[name]);
        sums.push((graph.producer(*tensor).index, sum));
    }
    sums.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    for (index, sum) in sums {
        main.node.insert((index + 1).min(main.node.len()), sum);
    }
    open
}

fn error_name(number: usize) -> String {
    format!("layerdiff/error/{number}")
}
