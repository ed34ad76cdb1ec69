//! Does the candidate's processor saturate two products of uint8 x int8 in 16 bits? Its operands and its integers are read from
//! one run, the product is computed here exactly and with saturated pairs, and what it would do with the exact one is run. Nothing
//! is said where its integers are not those of saturated pairs to the last one. Of products of matrices; a convolution is not
//! looked at.

use std::collections::HashMap;

use super::super::written;
use super::trial::Trial;
use crate::compare::to_f64;
use crate::diagnose::pairs::{Integers, Product, Requantised, made, sums, which};
use crate::find::isolate;
use crate::found::words::count;
use crate::found::{Culprit, Diagnosis, Sure};
use crate::graph::{Node, Source};
use crate::lab::Probe;
use crate::load::testset::tensor_to_proto;
use crate::mark;
use crate::onnx::ModelProto;
use crate::run::RunError;
use crate::tensor::{DType, Tensor};

/// Products that are looked at, each in a run of its own.
const MOST: usize = 4;
/// Of the diagnosis.
const CODE: &str = "u8s8-saturation";

/// Where an operator has its operands: left, its zero point, right, its zero point; and both scales, the output's, and its zero
/// point where it makes codes.
struct Slots {
    operands: [usize; 4],
    scales: Option<[usize; 4]>,
}

/// What explains the culprit, where its exact integers make it agree.
pub fn saturated(probe: &mut Probe, culprit: &Culprit, tensor: usize) -> Result<Option<Diagnosis>, RunError> {
    let lab = probe.lab;
    let runs = lab.candidate.runs() && !lab.candidate.is_engine();
    let Some(own) = lab.counterpart(tensor).filter(|_| runs) else { return Ok(None) };
    let graph = &lab.candidate.graph;
    let nodes = isolate::suspects(probe, tensor).unwrap_or_else(|| vec![graph.tensors[own].node]);
    let products = nodes.iter().map(|n| &graph.nodes[*n]).filter(|n| n.scope.is_empty());
    for (node, slots) in products.filter_map(|n| Some((n, slots(n)?))).take(MOST) {
        let Some(seen) = look(probe, node, &slots, culprit.accumulated.sample)? else { continue };
        let trial = Trial::new(probe, tensor, own, culprit.accumulated.sample);
        let Some(model) = with_exact(trial.model(), node, &seen) else { continue };
        let effect = trial.look(&model)?;
        let builds = trial.builds();
        probe.ledger.counts.proof_builds += builds;
        if effect.agrees() {
            return Ok(Some(told(node, &seen, &effect.told(&culprit.tensor))));
        }
    }
    Ok(None)
}

fn slots(node: &Node) -> Option<Slots> {
    Some(match node.op_type.as_str() {
        "MatMulInteger" => Slots { operands: [0, 2, 1, 3], scales: None },
        "QLinearMatMul" => Slots { operands: [0, 2, 3, 5], scales: Some([1, 4, 6, 7]) },
        _ => return None,
    })
}

/// A product that was seen to saturate.
struct Seen {
    output: String,
    exact: Tensor,
    got: Vec<i64>,
    right: Vec<i64>,
    others: usize,
    first: usize,
}

/// `None` where the candidate's integers are exact, or something else than saturated pairs.
fn look(probe: &mut Probe, node: &Node, slots: &Slots, sample: usize) -> Result<Option<Seen>, RunError> {
    let side = &probe.lab.candidate;
    let Some(inputs) = node.proto(&side.model.proto).map(|proto| proto.input.clone()) else { return Ok(None) };
    let made = |name: &String| match source(node, name) {
        Some(Source::Tensor(t)) if written(side, node, name).is_none() => Some(*t),
        _ => None,
    };
    let mut marks: Vec<usize> = inputs.iter().filter_map(made).collect();
    marks.extend(node.writes.first());
    let keys: Vec<String> = marks.iter().map(|t| side.graph.tensors[*t].key.clone()).collect();
    let Some(feeds) = probe.lab.feeds.get(sample..=sample) else { return Ok(None) };
    let model = mark::mark(&side.model.proto, &side.graph, &marks, &side.types);
    probe.ledger.counts.proof_builds += 1;
    let values = match side.run_model(&model, &side.types, feeds, &keys) {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        other => other.ok().and_then(|mut values| values.pop()),
    };
    let Some(values) = values else { return Ok(None) };
    let read = inputs.iter().enumerate().filter(|(_, name)| !name.is_empty()).filter_map(|(slot, name)| {
        let computed = made(name).and_then(|t| values.get(&side.graph.tensors[t].key));
        Some((slot, written(side, node, name).or_else(|| computed.or(feeds[0].get(name)).cloned())?))
    });
    let output = node.writes.first().map(|t| side.graph.tensors[*t].key.clone());
    let got = output.and_then(|key| Some((values.get(&key)?.clone(), key)));
    Ok(got.and_then(|(got, key)| judged(slots, &read.collect(), &got, key)))
}

fn source<'a>(node: &'a Node, name: &str) -> Option<&'a Source> {
    node.reads.iter().find(|r| r.name == name).map(|r| &r.source)
}

/// Both products of these operands beside what came out.
fn judged(slots: &Slots, read: &HashMap<usize, Tensor>, got: &Tensor, key: String) -> Option<Seen> {
    let [left, left_zero, right, right_zero] = slots.operands.map(|slot| read.get(&slot));
    let (left, right) = (left?, right?);
    if (left.dtype, right.dtype) != (DType::Uint8, DType::Int8) {
        return None;
    }
    let whole = |t: Option<&Tensor>| t.map_or_else(|| vec![0], |t| to_f64(t).iter().map(|x| *x as i64).collect());
    let (left_zero, right_zero): (Vec<i64>, Vec<i64>) = (whole(left_zero), whole(right_zero));
    let [left_zero] = left_zero[..] else { return None };
    let (shape, shared) = shape(&left.shape, &right.shape)?;
    let (codes, weights) = (left.view::<u8>(), right.view::<i8>());
    let product = Product { left: &codes, right: &weights, shape, shared, left_zero, right_zero: &right_zero };
    let sums = sums(&product)?;
    let how = match slots.scales {
        None => None,
        Some(slots) => Some(requantised(slots.map(|slot| read.get(&slot)), got.dtype)?),
    };
    let both = [&sums.exact, &sums.saturated].map(|s| made(s, shape[3], &got.shape, how.as_ref()));
    let [Some(exact), Some(saturated)] = both else { return None };
    let [got, right, saturated] = [got, &exact, &saturated].map(|t| whole(Some(t)));
    // A code behind a scale may be rounded the other way.
    let slack = i64::from(how.is_some());
    match which(&got, &right, &saturated, slack) {
        Integers::Saturated { others, first } => Some(Seen { output: key, exact, got, right, others, first }),
        Integers::Exact | Integers::Neither => None,
    }
}

/// Batch, rows, depth and columns; and whether all of a batch has one right operand.
fn shape(left: &[usize], right: &[usize]) -> Option<([usize; 4], bool)> {
    let ([above @ .., rows, depth], [others @ .., inner, columns]) = (left, right) else { return None };
    let batch = above.iter().product();
    let shared = others.iter().all(|d| *d == 1);
    (depth == inner && (shared || others == above)).then_some(([batch, *rows, *depth, *columns], shared))
}

fn requantised(parts: [Option<&Tensor>; 4], dtype: DType) -> Option<Requantised> {
    let [input, weight, output, zero] = parts;
    let one = |t: Option<&Tensor>| match to_f64(t?)[..] {
        [x] => Some(x as f32),
        _ => None,
    };
    let (input, output) = (one(input)?, one(output)?);
    let factors = to_f64(weight?).iter().map(|w| input * *w as f32 / output).collect();
    Some(Requantised { factors, zero: zero.map_or(Some(0.0), |z| one(Some(z)))? as i64, dtype })
}

/// The exact integers in place of the node that makes them.
fn with_exact(model: &ModelProto, node: &Node, seen: &Seen) -> Option<ModelProto> {
    let mut edited = model.clone();
    let main = edited.graph.as_mut()?;
    main.node.get(node.index).filter(|n| n.output.first() == Some(&seen.output))?;
    main.node.remove(node.index);
    main.initializer.push(tensor_to_proto(&seen.output, &seen.exact));
    main.value_info.retain(|v| v.name() != seen.output);
    Some(edited)
}

fn told(node: &Node, seen: &Seen, did: &str) -> Diagnosis {
    let differ = format!("{} of {} integers", count(seen.others as u64), count(seen.got.len() as u64));
    let (right, got) = (seen.right[seen.first], seen.got[seen.first]);
    let example = format!("the exact {} became {}", signed(right), signed(got));
    Diagnosis {
        code: CODE.to_string(),
        sure: Sure::Shown,
        evidence: format!(
            "'{}' multiplies uint8 by int8 and keeps the sum of two neighbouring products in 16 bits, which saturate: {differ} are what that makes, and not the product ({example}); with the exact product in its place, {did}",
            node.name
        ),
        advice: "quantise weights with reduce_range=True (7 bits), or both operands alike (U8U8 or S8S8); or run on a processor with VNNI"
            .to_string(),
    }
}

fn signed(x: i64) -> String {
    let digits = count(x.unsigned_abs());
    if x < 0 { format!("-{digits}") } else { digits }
}
