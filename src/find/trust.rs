//! Can the answers be built on? Before any verdict: does the candidate answer the same twice in one session (`twice`)? Before any
//! search: does each side answer the same in another session, do equal rows of a batch get equal answers, are products as
//! exact as the precision says? The CPU in this process needs no second session, and a command of the user's is asked no more
//! than that: each run of it may be dear.

mod products;
mod twice;

use crate::found::{Distrust, Note, OfCandidate, OfReference, ReferenceTrust, Status, TensorResult, Who};
use crate::judge::Rules;
use crate::lab::again::{batch, repeated, row};
use crate::lab::first::inner;
use crate::lab::{Lab, Probe, Side};
use crate::progress::Progress;
use crate::run::{Doubt, RunError, Tf32};
use crate::spec::Precision;
use crate::tensor::Tensors;
use products::{Products, products};
pub use twice::twice;

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
        Some(Moved { words, diverges: true, .. }) => tests.broken = Some(Distrust::ReferenceMoves(words)),
        Some(Moved { words, diverges: false, .. }) => tests.notes.push(Note::Moves(Who::Reference, words)),
        None => {}
    }
    Ok(Some(tests))
}

/// Tests a candidate that diverges, beyond what [`twice`] gave. One that gives another answer each time makes the verdict
/// inconclusive.
pub fn candidate(
    probe: &mut Probe,
    known: Option<OfCandidate>,
    progress: &Progress,
) -> Result<Option<OfCandidate>, RunError> {
    let more = beyond(probe, progress)?;
    Ok(match (known, more) {
        (Some(known), Some(more)) => Some(known.and(more)),
        (known, more) => known.or(more),
    })
}

fn beyond(probe: &mut Probe, progress: &Progress) -> Result<Option<OfCandidate>, RunError> {
    let lab = probe.lab;
    let (side, worst) = (&lab.candidate, worst_sample(probe));
    let Some(feed) = lab.feeds.get(worst) else { return Ok(None) };
    if !doubted(probe, side) {
        return Ok(None);
    }
    progress.step("the candidate again");
    let all = side.about().doubt == Doubt::Always;
    // A command that was asked the same twice need not be asked it once more.
    let same = Some(feed).filter(|_| all || worst != 0 || probe.again.same.is_none());
    let equal_rows = repeated(feed);
    let feeds: Vec<Tensors> = same.cloned().into_iter().chain(equal_rows.clone()).collect();
    if feeds.is_empty() {
        return Ok(None);
    }
    let seen = side.see_deployed(&inner(side, &lab.outputs), &feeds, &lab.outputs, false)?;
    let mut values = seen.values.into_iter();
    probe.ledger.counts.trust_builds += 1;
    let (again, rows) = (same.and_then(|_| values.next()), values.next());
    let first = probe.finals.unmarked.get(worst).zip(again.as_ref());
    let moved = first.and_then(|(first, again)| differs(&lab.rules, first, again));
    let mut tests = OfCandidate { repeat: words_of(&moved), rows: NO_BATCH.to_string(), ..OfCandidate::default() };
    match moved {
        Some(Moved { words, diverges: true, .. }) => tests.broken = Some(Distrust::CandidateMoves(words)),
        Some(Moved { words, diverges: false, .. }) => tests.notes.push(Note::Moves(Who::Candidate, words)),
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
    match side.about().doubt {
        Doubt::Never => false,
        Doubt::Repeats => probe.finals.results.iter().any(diverges) && !side.draws(),
        Doubt::Always => true,
    }
}

/// The sample whose outputs are furthest off; the first where none is.
fn worst_sample(probe: &Probe) -> usize {
    let diverges = probe.finals.results.iter().find(|result| result.status == Status::Diverges);
    diverges.and_then(|result| result.metrics.as_ref()).map_or(0, |metrics| metrics.sample)
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

/// Why equal rows were not tested.
const NO_BATCH: &str = "not tested: the data has no batch of two";

struct Moved {
    words: String,
    /// By how much the output that is named moved.
    by: f64,
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
            let words = match most.is_finite() {
                true => format!("output '{name}' moved by up to {most:.2e}"),
                false => format!("output '{name}' moved"),
            };
            moved = Some(Moved { words, by: most, diverges });
        }
    }
    moved
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
