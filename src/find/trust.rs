//! Can the answers be built on? Before any search: does each side answer the same twice, do equal rows of a batch get equal
//! answers, are products as exact as the precision says? The CPU in this process needs no such test.

mod products;

use crate::found::{ReferenceTrust, Report, Status, Trust, Verdict};
use crate::judge::Rules;
use crate::lab::first::inner;
use crate::lab::{Probe, Side};
use crate::progress::Progress;
use crate::run::{Observe, RunError, Tf32};
use crate::spec::Precision;
use crate::tensor::{Tensor, Tensors};
use products::{Products, products};

/// Fills in the trust in a reference that is no CPU. One that gives another answer each time, or that computes with less
/// than float32 what it should compute in it, makes the verdict inconclusive, whatever it was.
pub fn reference(
    probe: &mut Probe,
    outputs: &[String],
    report: &mut Report,
    progress: &Progress,
) -> Result<(), RunError> {
    let (side, Some(first)) = (probe.reference, probe.feeds.first()) else { return Ok(()) };
    if !side.about().elsewhere || !side.runs() {
        return Ok(());
    }
    progress.step("the reference again");
    let again = side.run(&inner(side, outputs), std::slice::from_ref(first), outputs)?.pop().unwrap_or_default();
    probe.counts.reference_runs += 1;
    let moved = probe.right_outputs().first().and_then(|first| differs(probe.rules, first, &again));
    let trust = ReferenceTrust { repeat: words_of(&moved), tf32: tf32_of_reference(side, report)? };
    if let Some(moved) = moved {
        let text = format!("the reference does not answer the same twice ({})", moved.words);
        match moved.diverges {
            true => inconclusive(report, format!("{text}, so nothing can be compared with it; use --reference ort")),
            false => report.warnings.push(text),
        }
    }
    report.trust = Some(Trust { reference: Some(trust), ..Trust::default() });
    Ok(())
}

/// Fills in the trust in the candidate. One that gives another answer each time makes the verdict inconclusive.
pub fn trust(probe: &mut Probe, outputs: &[String], report: &mut Report, progress: &Progress) -> Result<(), RunError> {
    let candidate = probe.candidate;
    let (true, Some(first)) = (candidate.about().elsewhere, probe.feeds.first()) else { return Ok(()) };
    progress.step("the candidate again");
    let equal_rows = repeated(first);
    let feeds: Vec<Tensors> = std::iter::once(first.clone()).chain(equal_rows.clone()).collect();
    let mut values = candidate.see(&inner(candidate, outputs), &feeds, outputs, Observe::Outputs)?.values.into_iter();
    probe.counts.trust_builds += 1;
    let (again, rows) = (values.next().unwrap_or_default(), values.next());
    let moved = probe.unmarked_outputs().first().and_then(|first| differs(probe.rules, first, &again));
    let mut trust = Trust {
        repeat: words_of(&moved),
        rows: "not tested: the data has no batch of two".to_string(),
        ..report.trust.take().unwrap_or_default()
    };
    if let Some(moved) = moved {
        let text = format!("the candidate does not answer the same twice ({})", moved.words);
        match moved.diverges {
            true => inconclusive(
                report,
                format!("{text}, so no tensor can be accused; look for a race or an uninitialised buffer"),
            ),
            false => report.warnings.push(text),
        }
    }
    if let (Some(values), Some(count)) = (rows, equal_rows.as_ref().and_then(batch)) {
        trust.rows = match uneven(probe, outputs, &values, count) {
            None => "identical".to_string(),
            Some(words) => {
                report.warnings.push(format!("equal rows of a batch get different answers: {words}"));
                words
            }
        };
    }
    trust.tf32 = tf32_of_candidate(candidate, report)?;
    report.trust = Some(trust);
    Ok(())
}

fn inconclusive(report: &mut Report, why: String) {
    report.verdict = Verdict::Inconclusive;
    report.why = Some(why);
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

/// One that was asked for in TF32 may use it.
fn tf32_of_reference(side: &Side, report: &mut Report) -> Result<Option<String>, RunError> {
    let Some(products) = measured(side)? else { return Ok(None) };
    if let (Products::Short(seen), true) = (&products, side.spec.precision != Precision::Tf32) {
        inconclusive(
            report,
            format!(
                "the reference multiplies in TF32: {seen}; nothing small can be judged by it: set NVIDIA_TF32_OVERRIDE=0, or use --reference ort"
            ),
        );
    }
    Ok(Some(products.told()))
}

/// A surprise is worth a warning: what is found is what this candidate really does.
fn tf32_of_candidate(side: &Side, report: &mut Report) -> Result<Option<String>, RunError> {
    let Some(products) = measured(side)? else { return Ok(None) };
    let precision = side.spec.precision;
    match (&products, precision == Precision::Tf32) {
        (Products::Short(seen), false) => report.warnings.push(format!(
            "the candidate multiplies float32 in TF32, although {precision} was asked for: {seen}; set NVIDIA_TF32_OVERRIDE=0"
        )),
        (Products::Exact, true) => report.warnings.push(
            "the candidate was asked to use TF32 and multiplies in FP32: this GPU or its libraries do not use it".to_string(),
        ),
        _ => {}
    }
    Ok(Some(products.told()))
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
fn uneven(probe: &Probe, outputs: &[String], values: &Tensors, count: usize) -> Option<String> {
    outputs.iter().find_map(|name| {
        let value = values.get(name)?;
        let first = row(value, 0, count)?;
        (1..count).find_map(|number| {
            let verdict = probe.rules.judge_output(name, &first, &row(value, number, count)?);
            (verdict.status == Status::Diverges).then(|| format!("output '{name}', row {number} against row 0"))
        })
    })
}

#[cfg(test)]
mod tests;
