//! What outputs decide, and which decisions are others in the candidate: labels and indices one by one, of scores the best of
//! each row. A change is a near-tie where both values may move as far as the tolerance lets them and change places by that.
//! Which output is told of where, the report says.

use std::collections::BTreeMap;

use super::{Rules, rank};
use crate::compare::{self, Comparison, Tolerance};
use crate::found::{ChangedDecision, Choice, DecisionKind, Decisions, Real, Status};
use crate::tensor::{DType, Tensor};

/// The best of a row that are told, where nothing else is asked for.
const BEST: usize = 5;
/// Those that are kept until they are sorted.
const MANY: usize = 64;

/// Names of classes by index.
pub type Labels = BTreeMap<i64, String>;

/// A sample's number, the reference's and the candidate's value.
pub type Pair<'a> = (usize, &'a Tensor, &'a Tensor);

impl Rules {
    /// What an output decides in these samples; `None` where it decides nothing, or nothing can be set against each other.
    pub fn decisions(&self, name: &str, pairs: &[Pair]) -> Option<Decisions> {
        let pairs: Vec<&Pair> = pairs.iter().filter(|(_, r, c)| r.shape == c.shape && r.elements() > 0).collect();
        let (_, first, _) = pairs.first()?;
        let ranks = self.metrics.ranks(name);
        let kind = if is_label(first.dtype) { DecisionKind::Labels } else { DecisionKind::Scores };
        let fits = fit(first, &self.labels);
        if kind == DecisionKind::Scores && !(is_scores(first) || (fits || ranks) && is_row(first)) {
            return None;
        }
        // A mask of truth values is not asked about by being there.
        let asked = kind == DecisionKind::Labels && first.dtype != DType::Bool || fits || ranks;
        let k = self.metrics.of(name).iter().filter_map(|metric| metric.best()).max().unwrap_or(BEST);
        let none = Labels::new();
        let labels = if fits || kind == DecisionKind::Labels { &self.labels } else { &none };
        let mut told = Decisions { output: name.to_string(), kind, asked, k: 1, ..Decisions::default() };
        for (sample, reference, candidate) in pairs {
            match kind {
                DecisionKind::Labels => add_labels(&mut told, *sample, reference, candidate, labels),
                DecisionKind::Scores => {
                    told.k = told.k.max(k.min(reference.shape.last().copied().unwrap_or(1)));
                    let scores = Scores { tolerance: self.tolerance(name, reference), k, labels };
                    scores.add(&mut told, *sample, reference, candidate);
                }
            }
        }
        (told.rows > 0).then_some(told)
    }

    /// A change of the best class that is no near-tie is no noise, whatever explains the tensor as a whole.
    pub(super) fn decided(
        &self,
        name: &str,
        reference: &Tensor,
        candidate: &Tensor,
        verdict: Comparison,
    ) -> Comparison {
        let noisy = verdict.metrics.as_ref().is_some_and(|m| m.max_abs.0 > 0.0);
        if verdict.status != Status::Agrees || !noisy || !is_scores(reference) {
            return verdict;
        }
        let worst = self.broken_decisions(name, reference, candidate).into_iter().reduce(|worst, other| {
            let margin = |(_, change): &(usize, ChangedDecision)| change.margin.map_or(f64::INFINITY, |m| m.0);
            if margin(&other) > margin(&worst) { other } else { worst }
        });
        let Some((number, row)) = worst else { return verdict };
        let row = ChangedDecision { at: vec![number], ..row };
        let why = format!("{} decides otherwise, and it is no near-tie: {}", row.place(), row.told());
        Comparison { status: Status::Diverges, why: Some(why), ..verdict }
    }

    /// The rows of scores whose best is another one, near-ties left out.
    pub(super) fn decides_otherwise(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Vec<usize> {
        self.broken_decisions(name, reference, candidate).into_iter().map(|(number, _)| number).collect()
    }

    /// The same by number, with what became of each.
    fn broken_decisions(&self, name: &str, reference: &Tensor, candidate: &Tensor) -> Vec<(usize, ChangedDecision)> {
        if !is_scores(reference) || reference.shape != candidate.shape {
            return Vec::new();
        }
        let scores = Scores { tolerance: self.tolerance(name, reference), k: 1, labels: &self.labels };
        let changes = scores.changes(reference, candidate).into_iter();
        changes.filter(|(_, change)| change.near_tie == Some(false)).collect()
    }
}

/// Classes, indices, tokens, truth values, texts. Integers of a byte are rather pixels or quantised values.
fn is_label(dtype: DType) -> bool {
    use DType::*;
    matches!(dtype, String | Bool | Int16 | Int32 | Int64 | Uint16 | Uint32 | Uint64)
}

/// Rows of floats, one for each thing that is classified.
fn is_scores(tensor: &Tensor) -> bool {
    tensor.shape.len() == 2 && is_row(tensor) && tensor.dtype.is_float()
}

/// Is there a choice in a row?
fn is_row(tensor: &Tensor) -> bool {
    let ordered = !matches!(tensor.dtype, DType::String | DType::Complex64 | DType::Complex128);
    ordered && tensor.shape.last().is_some_and(|width| *width > 1)
}

/// Are the names those of the values of a row?
fn fit(tensor: &Tensor, labels: &Labels) -> bool {
    let width = tensor.shape.last().copied().unwrap_or(0);
    labels.last_key_value().is_some_and(|(last, _)| usize::try_from(*last).is_ok_and(|last| last + 1 == width))
}

fn add_labels(told: &mut Decisions, sample: usize, reference: &Tensor, candidate: &Tensor, labels: &Labels) {
    let (mine, theirs) = (Elements::of(reference), Elements::of(candidate));
    told.rows += reference.elements() as u64;
    for at in (0..reference.elements()).filter(|at| mine.choice(*at) != theirs.choice(*at)) {
        told.changed += 1;
        if told.worst.len() < Decisions::TOLD {
            let named = |mut choice: Choice| {
                choice.label = choice.label.or_else(|| labels.get(&choice.index?).cloned());
                vec![choice]
            };
            told.worst.push(ChangedDecision {
                sample,
                at: place(at, &reference.shape),
                near_tie: None,
                margin: None,
                reference: named(mine.choice(at)),
                candidate: named(theirs.choice(at)),
            });
        }
    }
}

/// A tensor of labels, an element at a time.
enum Elements<'a> {
    Texts(&'a [String]),
    Numbers(Vec<Option<i64>>),
    /// A candidate may answer in floats.
    Floats(Vec<f64>),
}

impl Elements<'_> {
    fn of(tensor: &Tensor) -> Elements<'_> {
        let numbers = |values: Vec<Option<i64>>| Elements::Numbers(values);
        match (tensor.as_strings(), tensor.dtype) {
            (Some(texts), _) => Elements::Texts(texts),
            (_, DType::Int64) => numbers(tensor.view::<i64>().iter().map(|x| Some(*x)).collect()),
            (_, DType::Uint64) => numbers(tensor.view::<u64>().iter().map(|x| i64::try_from(*x).ok()).collect()),
            // All other integers are exact in f64.
            (_, dtype) if !dtype.is_float() => {
                numbers(compare::to_f64(tensor).iter().map(|x| Some(*x as i64)).collect())
            }
            _ => Elements::Floats(compare::to_f64(tensor)),
        }
    }

    fn choice(&self, at: usize) -> Choice {
        let whole = |x: f64| (x.fract() == 0.0 && x.abs() < 2f64.powi(53)).then_some(x as i64);
        match self {
            Elements::Texts(texts) => Choice { label: Some(texts[at].clone()), ..Choice::default() },
            Elements::Numbers(values) => Choice { index: values[at], ..Choice::default() },
            Elements::Floats(values) => match whole(values[at]) {
                Some(index) => Choice { index: Some(index), ..Choice::default() },
                None => Choice { value: Some(Real(values[at])), ..Choice::default() },
            },
        }
    }
}

/// How rows of scores are read.
struct Scores<'a> {
    tolerance: Tolerance,
    k: usize,
    labels: &'a Labels,
}

impl Scores<'_> {
    fn add(&self, told: &mut Decisions, sample: usize, reference: &Tensor, candidate: &Tensor) {
        let (width, rows) = split(&reference.shape);
        let (mine, theirs) = (compare::to_f64(reference), compare::to_f64(candidate));
        let compared = mine.chunks(width).zip(theirs.chunks(width)).enumerate().filter(|(_, (r, _))| is_ranked(r));
        let noise = noise(&mine, &theirs);
        for (number, (r, c)) in compared {
            told.rows += 1;
            let best = rank::best(c, self.k);
            let other = !is_ranked(c) || !rank::are_best(r, &best);
            told.sets_changed += u64::from(self.k < width && other);
            let Some(change) = self.change((r, c), &best, noise) else { continue };
            told.changed += 1;
            told.near_ties += u64::from(change.near_tie == Some(true));
            told.worst.push(ChangedDecision { sample, at: place(number, rows), ..change });
            if told.worst.len() > MANY {
                told.keep_worst();
            }
        }
        told.keep_worst();
    }

    /// By number of the row.
    fn changes(&self, reference: &Tensor, candidate: &Tensor) -> Vec<(usize, ChangedDecision)> {
        let (width, _) = split(&reference.shape);
        let (mine, theirs) = (compare::to_f64(reference), compare::to_f64(candidate));
        let rows = mine.chunks(width).zip(theirs.chunks(width)).enumerate().filter(|(_, (r, _))| is_ranked(r));
        let noise = noise(&mine, &theirs);
        let change = |(number, (r, c))| Some((number, self.change((r, c), &rank::best(c, self.k), noise)?));
        rows.filter_map(change).collect()
    }

    /// What became of a row whose best, the first of the candidate's `best`, is another one; without its place.
    /// `noise` is what the values are off by as a rule.
    fn change(&self, (r, c): (&[f64], &[f64]), best: &[usize], noise: f64) -> Option<ChangedDecision> {
        if is_ranked(c) && rank::are_best(r, &best[..best.len().min(1)]) {
            return None;
        }
        let right = rank::best(r, self.k);
        let both = right.first().zip(best.first()).map(|(mine, theirs)| (r[*mine], r[*theirs]));
        let Tolerance { atol, rtol } = self.tolerance;
        let near = both.filter(|(mine, theirs)| mine.is_finite() && theirs.is_finite());
        let near = near.is_some_and(|(mine, theirs)| mine - theirs <= 2.0 * atol + rtol * (mine.abs() + theirs.abs()));
        // A value beyond its own tolerance is excused by the noise of the others, as far as that goes.
        let within = |i: &usize| (c[*i] - r[*i]).abs() <= atol + rtol * r[*i].abs();
        let usual = both.is_some_and(|(mine, theirs)| mine - theirs <= NOISE * noise);
        let near = near && (usual || right.first().is_some_and(within) && best.first().is_some_and(within));
        let choice = |row: &[f64], i: usize| Choice {
            index: Some(i as i64),
            value: Some(Real(row[i])),
            label: self.labels.get(&(i as i64)).cloned(),
        };
        Some(ChangedDecision {
            near_tie: Some(near && is_ranked(c)),
            margin: both.map(|(mine, theirs)| Real(mine - theirs)),
            reference: right.iter().map(|i| choice(r, *i)).collect(),
            candidate: best.iter().map(|i| choice(c, *i)).collect(),
            ..ChangedDecision::default()
        })
    }
}

/// A margin of so many times the usual error may be lost to noise.
const NOISE: f64 = 10.0;

/// The root mean square error of all but the worst hundredth.
fn noise(reference: &[f64], candidate: &[f64]) -> f64 {
    let mut errors: Vec<f64> = reference.iter().zip(candidate).map(|(r, c)| (c - r).abs()).collect();
    errors.retain(|e| e.is_finite());
    errors.sort_unstable_by(f64::total_cmp);
    let kept = &errors[..errors.len() - errors.len().div_ceil(100)];
    if kept.is_empty() { 0.0 } else { (kept.iter().map(|e| e * e).sum::<f64>() / kept.len() as f64).sqrt() }
}

/// A NaN has no place in an order.
fn is_ranked(row: &[f64]) -> bool {
    !row.iter().any(|x| x.is_nan())
}

/// The size of a row, and the axes before it.
fn split(shape: &[usize]) -> (usize, &[usize]) {
    shape.split_last().map_or((1, shape), |(width, rows)| ((*width).max(1), rows))
}

/// The position of a number in a row-major tensor.
fn place(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    for (i, size) in place.iter_mut().zip(shape).rev() {
        *i = at % size;
        at /= size;
    }
    place
}

#[cfg(test)]
mod tests;
