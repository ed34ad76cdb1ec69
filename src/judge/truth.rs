//! What each run says of every row of the data, beside its true class. Values only: no row is judged by it.

use super::{Labels, rank};
use crate::compare::to_f64;
use crate::found::Real;
use crate::found::stages::{Accuracy, Prediction, TrueRow, Truth};
use crate::tensor::{Tensor, Tensors};

/// The best of a row that are told.
const BEST: usize = 5;
/// A row that adds up to one by this much is made of probabilities.
const SUM: f64 = 1e-2;

/// A run, by sample.
pub struct Run<'a> {
    /// What the user calls it.
    pub name: &'a str,
    /// Its outputs.
    pub values: &'a [Tensors],
    /// How long each sample took, where that is known.
    pub seconds: &'a [f64],
}

/// The first of `outputs` that has a row of scores for each thing that is classified: as many as there are labels, or of two
/// dimensions where there are none.
pub fn output<'a>(values: &Tensors, outputs: &'a [String], labels: &Labels) -> Option<&'a String> {
    let width = labels.last_key_value().and_then(|(last, _)| usize::try_from(*last + 1).ok());
    let fits = |tensor: &Tensor| match (width, tensor.shape.as_slice()) {
        (Some(width), [.., own]) => *own == width,
        (None, [_, own]) => *own > 1,
        _ => false,
    };
    outputs.iter().find(|name| values.get(*name).is_some_and(|tensor| tensor.dtype.is_float() && fits(tensor)))
}

/// How many rows it has in all samples.
pub fn rows(values: &[Tensors], output: &str) -> usize {
    let of = |tensor: &Tensor| tensor.elements() / tensor.shape.last().copied().unwrap_or(1).max(1);
    values.iter().filter_map(|sample| sample.get(output)).map(of).sum()
}

/// `classes` has the true one of each row of the first run, the reference.
pub fn beside(runs: &[Run], output: &str, classes: &[usize], labels: &Labels) -> Truth {
    let said: Vec<Vec<Row>> = runs.iter().map(|run| said(run, output)).collect();
    let named = |class: usize| labels.get(&(class as i64)).cloned().unwrap_or_else(|| class.to_string());
    let mut truth = Truth { output: output.to_string(), ..Truth::default() };
    truth.accuracy = runs.iter().map(|run| Accuracy { stage: run.name.to_string(), ..Accuracy::default() }).collect();
    for (number, (class, first)) in classes.iter().zip(said.first().into_iter().flatten()).enumerate() {
        let mut row = TrueRow { sample: first.sample, row: first.row, truth: named(*class), said: Vec::new() };
        for (of, said) in truth.accuracy.iter_mut().zip(&said) {
            let said = said.get(number);
            let best = said.map(|said| said.best.clone()).unwrap_or_default();
            of.rows += 1;
            of.top1 += usize::from(best.first() == Some(class));
            of.top5 += usize::from(best.contains(class));
            row.said.push(Prediction {
                label: best.first().map_or("nothing".to_string(), |best| named(*best)),
                probability: Real(said.map_or(f64::NAN, |said| said.probability)),
                right: best.first() == Some(class),
                seconds: said.and_then(|said| said.seconds).map(Real),
                best,
            });
        }
        if row.said.iter().any(|said| said.best.first() != row.said[0].best.first()) {
            truth.parting.push(number);
        }
        truth.rows.push(row);
    }
    truth
}

/// What a run says of one row.
struct Row {
    sample: usize,
    row: usize,
    best: Vec<usize>,
    probability: f64,
    seconds: Option<f64>,
}

fn said(run: &Run, output: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for (sample, tensor) in run.values.iter().enumerate().filter_map(|(n, values)| Some((n, values.get(output)?))) {
        let width = tensor.shape.last().copied().unwrap_or(1).max(1);
        for (row, scores) in to_f64(tensor).chunks(width).enumerate() {
            let best = rank::best(scores, BEST);
            let probability = best.first().map_or(f64::NAN, |best| probability(scores, *best));
            rows.push(Row { sample, row, best, probability, seconds: run.seconds.get(sample).copied() });
        }
    }
    rows
}

/// Of one class: as it stands where the row is made of probabilities, else the softmax of the row.
fn probability(scores: &[f64], class: usize) -> f64 {
    let sum: f64 = scores.iter().sum();
    if (sum - 1.0).abs() < SUM && scores.iter().all(|score| (0.0..=1.0 + SUM).contains(score)) {
        return scores[class];
    }
    1.0 / scores.iter().map(|score| (score - scores[class]).exp()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(rows: usize, values: &[f32]) -> Tensors {
        let tensor = Tensor::f32(&[rows, values.len() / rows], values);
        Tensors::from_iter([("boxes".to_string(), Tensor::f32(&[1, 2, 4], &[0.0; 8])), ("y".to_string(), tensor)])
    }

    #[test]
    fn a_run_that_changes_its_mind_is_counted_and_told() {
        let labels: Labels = [(0, "cat".to_string()), (1, "dog".to_string()), (2, "cow".to_string())].into();
        let (right, got) = ([scores(2, &[2.0, 1.0, 0.0, 0.0, 3.0, 0.0])], [scores(2, &[0.2, 0.7, 0.1, 0.0, 1.0, 0.0])]);
        let outputs = ["boxes".to_string(), "y".to_string()];
        assert_eq!(output(&right[0], &outputs, &labels).unwrap(), "y");
        assert_eq!(rows(&right, "y"), 2);
        let runs = [
            Run { name: "reference", values: &right, seconds: &[0.5] },
            Run { name: "int8", values: &got, seconds: &[] },
        ];
        let truth = beside(&runs, "y", &[0, 1], &labels);
        let counts: Vec<_> = truth.accuracy.iter().map(|a| (a.stage.as_str(), a.top1, a.top5, a.rows)).collect();
        assert_eq!(counts, [("reference", 2, 2, 2), ("int8", 1, 2, 2)]);
        assert_eq!(truth.parting, [0]);
        let said = &truth.rows[0].said;
        assert_eq!(
            (truth.rows[0].truth.as_str(), said[0].label.as_str(), said[1].label.as_str()),
            ("cat", "cat", "dog")
        );
        assert!(
            (said[0].probability.0 - 0.6652).abs() < 1e-4 && (said[1].probability.0 - 0.7).abs() < 1e-6,
            "{said:?}"
        );
        assert_eq!(
            (said[0].seconds, said[1].seconds, said[0].right, said[1].right),
            (Some(Real(0.5)), None, true, false)
        );
    }

    #[test]
    fn scores_that_are_infinite_have_a_probability_of_no_number() {
        let runs = [Run { name: "a", values: &[scores(1, &[f32::NAN, 1.0])], seconds: &[] }];
        let truth = beside(&runs, "y", &[1], &Labels::new());
        assert_eq!(truth.rows[0].truth, "1");
        assert!(truth.rows[0].said[0].probability.0.is_nan(), "{truth:?}");
    }
}
