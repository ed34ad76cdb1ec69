//! Can the answers be built on? Before any search: does each side answer the same twice, do equal rows of a batch get equal
//! answers, are products as exact as the precision says? The CPU in this process needs no such test, and a command of the
//! user's is only asked again, and only where the outputs diverge: each run of it may be dear.

mod products;

use crate::diagnose::draws;
use crate::found::{Distrust, Note, OfCandidate, OfReference, ReferenceTrust, Status, TensorResult, Who};
use crate::judge::Rules;
use crate::lab::first::inner;
use crate::lab::{Lab, Probe, Side};
use crate::progress::Progress;
use crate::run::{Doubt, RunError, Tf32};
use crate::spec::Precision;
use crate::tensor::{Tensor, Tensors};
use products::{Products, products};

/// Tests a reference that is no CPU. One that gives another answer each time, or that computes with less than float32 what
/// it should compute in it, makes the verdict inconclusive, whatever it was.
pub fn reference(probe: &mut Probe, progress: &Progress) -> Result<Option<OfReference>, RunError> {
    let lab = probe.lab;
    let (side, worst) = (&lab.reference, worst_sample(probe));
    let Some(feed) = lab.feeds.get(worst) else { return Ok(None) };
    if !doubted(probe, side) || !side.runs() {
        return Ok(None);
    }
    progress.step("the reference again");
    let one = std::slice::from_ref(feed);
    let again = side.run(&inner(side, &lab.outputs), one, &lab.outputs)?.pop().unwrap_or_default();
    probe.ledger.counts.reference_runs += 1;
    let moved = probe.finals.right.get(worst).and_then(|first| differs(&lab.rules, first, &again));
    let products = measured(side)?;
    let trust = ReferenceTrust { repeat: words_of(&moved), tf32: products.as_ref().map(Products::told) };
    let broken = products.as_ref().and_then(|products| too_short(products, side.spec.precision));
    let mut tests = OfReference { trust, broken, notes: Vec::new() };
    match moved {
        Some(Moved { words, diverges: true }) => tests.broken = Some(Distrust::ReferenceMoves(words)),
        Some(Moved { words, diverges: false }) => tests.notes.push(Note::Moves(Who::Reference, words)),
        None => {}
    }
    Ok(Some(tests))
}

/// Tests the candidate. One that gives another answer each time makes the verdict inconclusive.
pub fn candidate(probe: &mut Probe, progress: &Progress) -> Result<Option<OfCandidate>, RunError> {
    let lab = probe.lab;
    let (side, worst) = (&lab.candidate, worst_sample(probe));
    let Some(feed) = lab.feeds.get(worst) else { return Ok(None) };
    if !doubted(probe, side) {
        return Ok(None);
    }
    progress.step("the candidate again");
    let all = side.about().doubt == Doubt::Always;
    let equal_rows = repeated(feed).filter(|_| all);
    let feeds: Vec<Tensors> = std::iter::once(feed.clone()).chain(equal_rows.clone()).collect();
    let seen = side.see_deployed(&inner(side, &lab.outputs), &feeds, &lab.outputs, false)?;
    let mut values = seen.values.into_iter();
    probe.ledger.counts.trust_builds += 1;
    let (again, rows) = (values.next().unwrap_or_default(), values.next());
    let moved = probe.finals.unmarked.get(worst).and_then(|first| differs(&lab.rules, first, &again));
    let mut tests = OfCandidate { repeat: words_of(&moved), rows: untested(all).to_string(), ..OfCandidate::default() };
    match moved {
        Some(Moved { words, diverges: true }) => tests.broken = Some(Distrust::CandidateMoves(words)),
        Some(Moved { words, diverges: false }) => tests.notes.push(Note::Moves(Who::Candidate, words)),
        None => {}
    }
    if let (Some(values), Some(count)) = (rows, equal_rows.as_ref().and_then(batch)) {
        let uneven = uneven(lab, &values, count);
        tests.notes.extend(uneven.clone().map(Note::UnevenRows));
        tests.rows = uneven.unwrap_or_else(|| "identical".to_string());
    }
    if let Some(products) = measured(side)? {
        tests.notes.extend(surprise(&products, side.spec.precision));
        tests.tf32 = Some(products.told());
    }
    Ok(Some(tests))
}

/// Is anything tested of it? Numbers that the model draws differ each time on every side: whoever makes them is named, and a
/// command's run for that would be in vain.
fn doubted(probe: &Probe, side: &Side) -> bool {
    let diverges = |result: &TensorResult| result.status == Status::Diverges;
    let random = || side.graph.nodes.iter().any(|node| draws(&node.op_type));
    match side.about().doubt {
        Doubt::Never => false,
        Doubt::Repeats => probe.finals.results.iter().any(diverges) && !random(),
        Doubt::Always => true,
    }
}

/// The sample whose outputs are furthest off; the first where none is.
fn worst_sample(probe: &Probe) -> usize {
    let diverges = probe.finals.results.iter().find(|result| result.status == Status::Diverges);
    diverges.and_then(|result| result.metrics.as_ref()).map_or(0, |metrics| metrics.sample)
}

/// Why equal rows were not tested.
fn untested(all: bool) -> &'static str {
    if all { "not tested: the data has no batch of two" } else { "not tested: a command is only asked the same again" }
}

/// What its products are, where that is a question. A test that fails is no answer, and no failure.
fn measured(side: &Side) -> Result<Option<Products>, RunError> {
    match (side.about().tf32 != Tf32::Never).then(|| products(side)) {
        None => Ok(None),
        Some(Err(RunError::Interrupted)) => Err(RunError::Interrupted),
        Some(Err(e)) => Ok(Some(Products::Unclear(e.to_string()))),
        Some(Ok(products)) => Ok(Some(products)),
    }
}

/// A reference that was asked for in TF32 may use it.
fn too_short(products: &Products, precision: Precision) -> Option<Distrust> {
    match products {
        Products::Short(seen) if precision != Precision::Tf32 => Some(Distrust::ReferenceInTf32(seen.clone())),
        _ => None,
    }
}

/// Products that are not those that were asked for: what is found is what this candidate really does.
fn surprise(products: &Products, precision: Precision) -> Option<Note> {
    match (products, precision == Precision::Tf32) {
        (Products::Short(seen), false) => Some(Note::UnaskedTf32 { precision, seen: seen.clone() }),
        (Products::Exact, true) => Some(Note::UnusedTf32),
        _ => None,
    }
}

struct Moved {
    words: String,
    diverges: bool,
}

fn words_of(moved: &Option<Moved>) -> String {
    moved.as_ref().map_or("identical".to_string(), |m| m.words.clone())
}

/// What differs most between two runs on the same data.
fn differs(rules: &Rules, first: &Tensors, again: &Tensors) -> Option<Moved> {
    let mut moved: Option<Moved> = None;
    for (name, value) in first {
        let Some(now) = again.get(name).filter(|now| !now.identical(value)) else { continue };
        let verdict = rules.judge_output(name, value, now);
        let most = verdict.metrics.as_ref().map_or(f64::INFINITY, |m| m.max_abs.0);
        let diverges = verdict.status == Status::Diverges;
        if moved.as_ref().is_none_or(|m| diverges && !m.diverges) {
            moved = Some(Moved { words: format!("output '{name}' moved by up to {most:.2e}"), diverges });
        }
    }
    moved
}

/// The same data with its first row in place of every row; `None` where the inputs share no batch of two or more.
fn repeated(feed: &Tensors) -> Option<Tensors> {
    let count = batch(feed)?;
    feed.iter().map(|(name, value)| Some((name.clone(), first_row_everywhere(value, count)?))).collect()
}

/// The size of the first axis that all inputs share.
fn batch(feed: &Tensors) -> Option<usize> {
    let count = *feed.values().next()?.shape.first()?;
    let shared = feed.values().all(|t| t.shape.first() == Some(&count));
    (shared && count > 1).then_some(count)
}

fn first_row_everywhere(value: &Tensor, count: usize) -> Option<Tensor> {
    let row = row(value, 0, count)?;
    Tensor::new(value.dtype, value.shape.clone(), row.bytes().repeat(count)).ok()
}

/// One row of the first axis; `None` for strings and packed types.
fn row(value: &Tensor, number: usize, count: usize) -> Option<Tensor> {
    let bytes = value.bytes();
    if value.as_strings().is_some() || value.dtype.bits() < 8 || value.shape.first() != Some(&count) {
        return None;
    }
    let length = bytes.len() / count;
    let shape = value.shape[1..].to_vec();
    Tensor::new(value.dtype, shape, bytes[number * length..(number + 1) * length].to_vec()).ok()
}

/// The first output whose rows are further apart than the tolerance.
fn uneven(lab: &Lab, values: &Tensors, count: usize) -> Option<String> {
    lab.outputs.iter().find_map(|name| {
        let value = values.get(name)?;
        let first = row(value, 0, count)?;
        (1..count).find_map(|number| {
            let verdict = lab.rules.judge_output(name, &first, &row(value, number, count)?);
            (verdict.status == Status::Diverges).then(|| format!("output '{name}', row {number} against row 0"))
        })
    })
}

#[cfg(test)]
mod tests;
