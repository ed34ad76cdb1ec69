//! Were 64-bit integers read as something else? The culprit is run in the reference on what a device would have read, and if
//! that gives what the candidate gave, the misreading is the cause, whatever the operator is.

use crate::diagnose::{Reading, fits_32_bits};
use crate::find::isolate::{self, Alone};
use crate::found::words::number;
use crate::found::{Culprit, Diagnosis, Status, Sure};
use crate::graph::Source;
use crate::lab::{Feed, Probe};
use crate::load::testset::{tensor_from_proto, tensor_to_proto};
use crate::run::RunError;
use crate::tensor::{DType, Tensor};

/// Nodes of a region at most.
const MOST: usize = 64;

/// Truth values that must differ before their coincidence with a misreading counts.
const TRUTHS: u64 = 3;

/// Values shown.
const SHOWN: usize = 4;

/// What the trials gave.
#[derive(Default)]
pub struct Tried {
    /// The misreading that explains the candidate's value.
    pub cause: Option<Diagnosis>,
    /// There was something to misread, and the reference could be run on it.
    pub tried: bool,
}

/// 64-bit integers that enter the culprit.
struct Operand {
    name: String,
    value: Tensor,
    /// A weight of the model, not something that is fed.
    weight: bool,
}

/// Tries every misreading of what `culprit` reads, of all 64-bit operands together and of each.
pub fn tried(probe: &mut Probe, culprit: &Culprit, tensor: usize) -> Result<Tried, RunError> {
    let sample = culprit.accumulated.sample;
    let mut tried = Tried::default();
    let Some(alone) = cut(probe, culprit, tensor, sample)? else { return Ok(tried) };
    let operands = operands(&alone);
    for reading in Reading::ALL {
        for chosen in subsets(operands.len()) {
            let misread: Vec<(&Operand, Tensor)> =
                chosen.iter().filter_map(|i| Some((&operands[*i], reading.of(&operands[*i].value)?))).collect();
            if misread.is_empty() {
                continue;
            }
            let Some(value) = run(probe, &alone, &misread)? else { continue };
            tried.tried = true;
            if let Some(apart) = agrees(probe, tensor, sample, &value) {
                let own_model = probe.lab.relation.is_own_model();
                let advice = advice(&misread, own_model);
                tried.cause = Some(Diagnosis { advice, ..told(culprit, reading, &misread, (apart, value.dtype)) });
                return Ok(tried);
            }
        }
    }
    Ok(tried)
}

/// The culprit's nodes of the reference, on reference inputs; `None` where they cannot be run or nothing was measured.
fn cut(probe: &mut Probe, culprit: &Culprit, tensor: usize, sample: usize) -> Result<Option<Alone>, RunError> {
    if !probe.lab.reference.runs() {
        return Ok(None);
    }
    let graph = &probe.lab.reference.graph;
    let own = graph.tensors[tensor].node;
    let scope = &graph.nodes[own].scope;
    let mut nodes: Vec<usize> = (0..graph.nodes.len())
        .filter(|n| graph.nodes[*n].scope == *scope && culprit.region.contains(&graph.nodes[*n].name))
        .collect();
    if nodes.len() != culprit.region.len() || nodes.len() > MOST || !nodes.contains(&own) {
        nodes = vec![own];
    }
    let reads = nodes.iter().flat_map(|n| &graph.nodes[*n].reads);
    let made = reads.filter_map(|read| if let Source::Tensor(t) = read.source { Some(t) } else { None });
    let needed: Vec<usize> = made.chain([tensor]).collect();
    probe.values_of(&needed)?;
    if probe.candidate_value(tensor, sample).is_none() {
        return Ok(None);
    }
    Ok(isolate::cut(probe, &probe.lab.reference, &nodes, tensor, sample, Feed::Reference))
}

fn operands(alone: &Alone) -> Vec<Operand> {
    let wide = |name: &str, value: Tensor, weight: bool| {
        (value.dtype == DType::Int64).then(|| Operand { name: name.to_string(), value, weight })
    };
    let fed = alone.feeds.iter().filter_map(|(name, value)| wide(name, value.clone(), false));
    let weights = alone.model.graph.iter().flat_map(|graph| &graph.initializer).filter(|t| !t.is_external());
    let stored = weights
        .filter(|t| t.dtype() == Some(DType::Int64))
        .filter_map(|t| wide(t.name(), tensor_from_proto(t).ok()?, true));
    fed.chain(stored).collect()
}

/// All together, then each.
fn subsets(count: usize) -> Vec<Vec<usize>> {
    let all: Vec<usize> = (0..count).collect();
    let each = (0..count).filter(|_| count > 1).map(|i| vec![i]);
    std::iter::once(all).chain(each).collect()
}

/// What the reference makes of the misread operands; `None` where it refuses them.
fn run(probe: &Probe, alone: &Alone, misread: &[(&Operand, Tensor)]) -> Result<Option<Tensor>, RunError> {
    let (mut model, mut feeds) = (alone.model.clone(), alone.feeds.clone());
    for (operand, value) in misread {
        if !operand.weight {
            feeds.insert(operand.name.clone(), value.clone());
            continue;
        }
        let weights = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
        for weight in weights.filter(|t| t.name() == operand.name) {
            *weight = tensor_to_proto(&operand.name, value);
        }
    }
    let wanted = std::slice::from_ref(&alone.output);
    match probe.lab.reference.run_model(&model, &alone.types, &[feeds], wanted) {
        Ok(mut values) => Ok(values.pop().and_then(|mut outputs| outputs.swap_remove(&alone.output))),
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        // Indices out of range, shapes that do not fit: no device gave a value by them either.
        Err(_) => Ok(None),
    }
}

/// How far the candidate's value is from this one, where they agree.
fn agrees(probe: &Probe, tensor: usize, sample: usize, value: &Tensor) -> Option<f64> {
    let candidate = probe.candidate_value(tensor, sample)?;
    let verdict = probe.lab.rules.judge(probe.lab.key(tensor), value, candidate);
    (verdict.status == Status::Agrees).then(|| verdict.metrics.map_or(0.0, |m| m.max_abs.0))
}

/// `apart` is what is left between the two sides, on values of this type.
fn told(
    culprit: &Culprit,
    reading: Reading,
    misread: &[(&Operand, Tensor)],
    (apart, dtype): (f64, DType),
) -> Diagnosis {
    let (first, read) = &misread[0];
    let (was, became) = example(&first.value, read);
    let before = number(culprit.accumulated.max_abs.0);
    let evidence = format!(
        "{} {}: {was} became {became}; the reference's '{}' run on that gives what the candidate gives (max abs {}; on the right values {before})",
        names(misread),
        reading.told(),
        culprit.node.told(),
        number(apart)
    );
    // Few truth values agree with anything.
    let chance = dtype == DType::Bool && culprit.accumulated.mismatched < TRUTHS;
    let sure = if chance { Sure::Likely } else { Sure::Shown };
    Diagnosis { code: reading.code().to_string(), sure, evidence, ..Diagnosis::default() }
}

fn names(misread: &[(&Operand, Tensor)]) -> String {
    misread.iter().map(|(operand, _)| format!("'{}'", operand.name)).collect::<Vec<_>>().join(" and ")
}

/// 32-bit inputs help only where all of them fit.
fn advice(misread: &[(&Operand, Tensor)], own_model: bool) -> String {
    let names = names(misread);
    let fit = misread.iter().all(|(operand, _)| fits_32_bits(&operand.value));
    let fed = misread.iter().all(|(operand, _)| !operand.weight);
    if own_model {
        return format!(
            "look for what narrows {names} on its way in the candidate's file (a Cast, a Clip, a type), and keep it in 64 bits there"
        );
    }
    let bind = format!("hand {names} to the candidate as the 64-bit integers that they are, in element type and bytes");
    match (fit, fed) {
        (false, _) => format!(
            "{bind}: they do not fit 32 bits; where the candidate has no more, bring them below 2^31 before they reach it (hash or renumber them)"
        ),
        (true, true) => {
            format!("{bind}; or feed it 32-bit ones, for these values fit (layerdiff convert --int32-inputs)")
        }
        (true, false) => format!("{bind}; or store them as int32, for these values fit"),
    }
}

/// The values around the first that is misread, right and as read.
fn example(right: &Tensor, read: &Tensor) -> (String, String) {
    let (right, read) = (right.view::<i64>(), read.view::<i64>());
    let first = right.iter().zip(read.iter()).position(|(a, b)| a != b).unwrap_or(0);
    let from = if first < SHOWN { 0 } else { first };
    let some = |values: &[i64]| {
        let shown: Vec<String> = values.iter().skip(from).take(SHOWN).map(i64::to_string).collect();
        let more = if from + SHOWN < values.len() { ", .." } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    (some(&right), some(&read))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_together_before_each() {
        assert_eq!(subsets(1), [vec![0]]);
        assert_eq!(subsets(2), [vec![0, 1], vec![0], vec![1]]);
    }

    #[test]
    fn examples_begin_where_something_is_misread() {
        let of = |right: &[i64], read: &[i64]| {
            example(&Tensor::i64(&[right.len()], right), &Tensor::i64(&[read.len()], read))
        };
        assert_eq!(of(&[3, 17], &[3, 0]), ("3, 17".to_string(), "3, 0".to_string()));
        let (mut right, mut read) = ([0i64; 12], [0i64; 12]);
        (right[6], read[6]) = (7, 1);
        assert_eq!(of(&right, &read), ("7, 0, 0, 0, ..".to_string(), "1, 0, 0, 0, ..".to_string()));
    }

    #[test]
    fn narrow_inputs_are_advised_only_for_what_fits() {
        let operand =
            |value: i64, weight: bool| Operand { name: "ids".into(), value: Tensor::i64(&[1], &[value]), weight };
        let advised = |operand: &Operand| advice(&[(operand, Tensor::i64(&[1], &[0]))], false);
        assert!(advised(&operand(3, false)).contains("--int32-inputs"));
        for operand in [operand(1 << 40, false), operand(1 << 40, true), operand(3, true)] {
            assert!(!advised(&operand).contains("--int32-inputs"));
        }
    }
}
