//! Can the candidate's answers be built on? Before any search: does it answer the same twice, and do equal rows of a batch get
//! equal answers?

use super::progress::Progress;
use crate::probe::Probe;
use crate::probe::first::inner;
use crate::report::{Report, Status, Trust, Verdict};
use crate::run::{Observe, RunError};
use crate::spec::Place;
use crate::tensor::{Tensor, Tensors};

/// Fills in the report's trust. A candidate that gives another answer each time makes the verdict inconclusive.
pub fn trust(probe: &mut Probe, outputs: &[String], report: &mut Report, progress: &Progress) -> Result<(), RunError> {
    let candidate = probe.candidate;
    let foreign = candidate.backend.is_engine() || matches!(candidate.spec.place, Place::Provider(_));
    let (true, Some(first)) = (foreign, probe.feeds.first()) else { return Ok(()) };
    progress.step("the candidate again");
    let equal_rows = repeated(first);
    let feeds: Vec<Tensors> = std::iter::once(first.clone()).chain(equal_rows.clone()).collect();
    let mut values = candidate.see(&inner(candidate, outputs), &feeds, outputs, Observe::Outputs)?.values.into_iter();
    probe.counts.trust_builds += 1;
    let (again, rows) = (values.next().unwrap_or_default(), values.next());
    let mut trust =
        Trust { repeat: "identical".to_string(), rows: "not tested: the data has no batch of two".to_string() };
    if let Some(moved) = differs(probe, &again) {
        trust.repeat = moved.words;
        match moved.diverges {
            true => {
                report.verdict = Verdict::Inconclusive;
                report.why = Some(format!(
                    "the candidate does not answer the same twice ({}), so no tensor can be accused; look for a race or an uninitialised buffer",
                    trust.repeat
                ));
            }
            false => report.warnings.push(format!("the candidate does not answer the same twice: {}", trust.repeat)),
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
    report.trust = Some(trust);
    Ok(())
}

struct Moved {
    words: String,
    diverges: bool,
}

/// What differs most between the first unmarked run and another one.
fn differs(probe: &Probe, again: &Tensors) -> Option<Moved> {
    let first = probe.unmarked_outputs().first()?;
    let mut moved: Option<Moved> = None;
    for (name, value) in first {
        let Some(now) = again.get(name).filter(|now| !now.identical(value)) else { continue };
        let verdict = probe.rules.judge_output(name, value, now);
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
mod tests {
    use super::*;

    #[test]
    fn rows_are_repeated_where_there_is_a_batch() {
        let feed = |shape: &[usize], values: &[f32]| Tensors::from([("x".to_string(), Tensor::f32(shape, values))]);
        let two = repeated(&feed(&[2, 2], &[1.0, 2.0, 3.0, 4.0])).unwrap();
        assert_eq!(two["x"].view::<f32>().as_ref(), [1.0, 2.0, 1.0, 2.0]);
        assert!(repeated(&feed(&[1, 2], &[1.0, 2.0])).is_none());
        assert!(repeated(&feed(&[], &[1.0])).is_none());
        let mut mixed = feed(&[2, 1], &[1.0, 2.0]);
        mixed.insert("n".to_string(), Tensor::i64(&[3], &[1, 2, 3]));
        assert!(repeated(&mixed).is_none(), "no axis is shared");
    }
}
