//! What each unit does: alone, fed with the reference's values, to its own result; and what that error does to the model's outputs.
//! The first takes one run of a cut of the candidate, the second one session of the reference, run once for each unit: far
//! less than a build for each. Where either cannot be had, the ranking has to do without.

mod lone;

use std::collections::HashMap;

use super::File;
use crate::compare::to_f64;
use crate::cure::Trial;
use crate::graph::Source;
use crate::lab::{Probe, Side};
use crate::mark::Types;
use crate::onnx::{ModelProto, NodeProto, ValueInfoProto};
use crate::qdq::dynamic::{Operand, Unit};
use crate::run::RunError;
use crate::tensor::{DType, Tensor, Tensors};
use lone::Lot;

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
pub fn effects(probe: &Probe, file: &File, outputs: &[String]) -> Result<Vec<Effect>, RunError> {
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

/// The units of the main graph, each alone, fed with the reference's values of the first sample.
fn alone(probe: &Probe, file: &File) -> Result<Vec<(usize, Error)>, RunError> {
    let lab = probe.lab;
    if !lab.candidate.runs() || !lab.reference.runs() {
        return Ok(Vec::new());
    }
    let places: Vec<Place> = (0..file.units.len()).filter_map(|unit| Place::of(&lab.reference, file, unit)).collect();
    let wanted: Vec<usize> =
        places.iter().flat_map(|p| p.reads.values().flatten().copied().chain([p.tensor])).collect();
    let Some(first) = lab.feeds.get(..1) else { return Ok(Vec::new()) };
    let keys = lab.reference.graph.keys(&wanted);
    let known = lab.reference.run(&wanted, first, &keys)?;
    let right = |tensor: usize| known.first()?.get(&lab.reference.graph.tensors[tensor].key);
    let by_unit: HashMap<usize, &Place> = places.iter().map(|place| (place.unit, place)).collect();
    let value = |unit: usize, name: &str| match by_unit[&unit].reads.get(name)? {
        Some(tensor) => right(*tensor).cloned(),
        None => first[0].get(name).cloned(),
    };
    let lots: Vec<Lot> = places.iter().map(|p| Lot { unit: p.unit, with_bias: p.with_bias }).collect();
    let lone = lone::lone(file, &lots, value);
    let names: Vec<String> = lone.outputs.iter().map(|(_, name)| name.clone()).collect();
    let values = lab.candidate.run_model(&lone.model, &Types::new(), &[lone.feed], &names)?;
    let Some(values) = values.first() else { return Ok(Vec::new()) };
    let error = |(unit, name): &(usize, String)| {
        let tensor = by_unit[unit].tensor;
        Some((*unit, Error::of(tensor, right(tensor)?, values.get(name)?)?))
    };
    Ok(lone.outputs.iter().filter_map(error).collect())
}

/// Where a unit stands in the reference.
struct Place {
    unit: usize,
    /// By what the unit reads: the tensor of the reference that it is; `None` for an input of the model.
    reads: HashMap<String, Option<usize>>,
    /// What it makes, behind the activations that saturation stands for.
    tensor: usize,
    /// Its node in the reference adds the bias as well.
    with_bias: bool,
}

impl Place {
    /// `None` for a unit in a body, and for one that has no node in the reference.
    fn of(reference: &Side, file: &File, number: usize) -> Option<Place> {
        let (unit, restored) = (&file.units[number], &file.restored[number]);
        let node = &reference.graph.nodes[restored.reference?];
        let proto = node.proto(&reference.model.proto)?;
        let inside = !node.scope.is_empty() || !file.graph.nodes[unit.node].scope.is_empty();
        if inside || proto.attr("transA").is_some_and(|a| a.i() != 0) {
            return None;
        }
        let mut reads = HashMap::new();
        for (operand, name) in unit.operands.iter().zip(&proto.input) {
            let own = match operand {
                Operand::Name(own) | Operand::Codes(own, _) => own,
                Operand::Weight(_) => continue,
            };
            // Codes are read as such, or were quantised of what the reference has.
            let own = quantized(file, unit, own).unwrap_or_else(|| own.clone());
            let tensor = match node.reads.iter().find(|r| r.name == *name).map(|r| &r.source) {
                Some(Source::Tensor(t)) => Some(*t),
                _ => None,
            };
            reads.insert(own, tensor);
        }
        let mut tensor = *node.writes.first()?;
        for _ in &restored.activations {
            tensor = *reference.graph.children(tensor).first()?;
        }
        if unit.bias.is_some() && node.op_type == "MatMul" {
            tensor =
                reference.graph.children(tensor).into_iter().find(|t| reference.graph.producer(*t).op_type == "Add")?;
        }
        let with_bias = node.op_type == "Gemm" || (node.op_type == "Conv" && proto.input.len() > unit.operands.len());
        Some(Place { unit: number, reads, tensor, with_bias })
    }
}

/// What a QuantizeLinear of the unit reads to make these codes.
fn quantized(file: &File, unit: &Unit, codes: &str) -> Option<String> {
    let made = |n: &&usize| file.graph.nodes[**n].writes.iter().any(|t| file.graph.tensors[*t].name == codes);
    let node = unit.around.iter().find(made)?;
    file.graph.nodes[*node].proto(&file.model.proto)?.input.first().cloned()
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
