//! Rows of a batch, one by one: how many of them make an output diverge, and which is furthest off.

use super::Rules;
use crate::compare::{self, Comparison};
use crate::found::{Rows, Status};
use crate::tensor::Tensor;

/// How bad a row is: it diverges, the share of elements beyond the tolerance, the largest error.
type Badness = (bool, f64, f64);

impl Rules {
    /// The `count` rows of an output's first axis, where `verdict` is that of the whole; `None` where it has no such rows.
    pub fn rows(
        &self,
        name: &str,
        (reference, candidate): (&Tensor, &Tensor),
        count: usize,
        verdict: &Comparison,
    ) -> Option<Rows> {
        let whole = reference.shape.first() == Some(&count) && reference.shape == candidate.shape;
        if !whole || verdict.status == Status::NotCompared {
            return None;
        }
        let mut rows = Rows { of: count, diverge: 0, worst: None };
        if verdict.status == Status::Agrees {
            return Some(rows);
        }
        let tolerance = self.tolerance(name, reference);
        let own = !self.metrics.of(name).is_empty();
        let decided = match own || self.judge_strictly(name, reference, candidate).status == Status::Diverges {
            true => None,
            false => Some(self.decides_otherwise(name, reference, candidate)),
        };
        let mut worst: Option<(Badness, usize)> = None;
        for number in 0..count {
            let (r, c) = (reference.part(0, number..number + 1)?, candidate.part(0, number..number + 1)?);
            let compared = compare::compare(&r, &c, tolerance);
            let mismatched = compared.metrics.as_ref().map_or(1, |m| m.mismatched);
            let diverges = match &decided {
                Some(rows) => rows.contains(&number),
                None if own => self.judge_output(name, &r, &c).status == Status::Diverges,
                None => mismatched > 0,
            };
            rows.diverge += usize::from(diverges);
            // Where NaN or infinities are others, no number says how far it is off.
            let most = compared.metrics.as_ref().filter(|m| !m.nonfinite()).map_or(f64::INFINITY, |m| m.max_abs.0);
            // Rows are of one size.
            let bad = (diverges, mismatched as f64, most);
            if worst.as_ref().is_none_or(|(before, _)| bad.partial_cmp(before) == Some(std::cmp::Ordering::Greater)) {
                worst = Some((bad, number));
            }
        }
        rows.worst = worst.map(|(_, number)| number);
        Some(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::{NamedMetric, OutputMetrics};
    use crate::spec::Precision;

    fn rows(rules: &Rules, reference: &[f32], candidate: &[f32]) -> Option<Rows> {
        let tensor = |values: &[f32]| Tensor::f32(&[values.len() / 2, 2], values);
        let (r, c) = (tensor(reference), tensor(candidate));
        rules.rows("y", (&r, &c), reference.len() / 2, &rules.judge_output("y", &r, &c))
    }

    #[test]
    fn rows_are_judged_by_what_the_whole_is_judged_by() {
        let of = |of, diverge, worst| Some(Rows { of, diverge, worst });
        let tight = Rules { atol: Some(0.1), rtol: Some(0.0), ..Rules::default() };
        let r = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert_eq!(rows(&tight, &r, &r), of(3, 0, None));
        assert_eq!(rows(&tight, &r, &[1.0, 2.5, 3.0, 4.0, 5.3, 6.3]), of(3, 2, Some(2)));
        assert_eq!(rows(&tight, &r, &[1.0, 2.5, 3.0, f32::NAN, 5.0, 6.0]), of(3, 2, Some(1)));
        let metric: NamedMetric = "topk=1".parse().unwrap();
        let ranked = Rules { metrics: OutputMetrics::new(&[metric]), ..tight.clone() };
        assert_eq!(rows(&ranked, &r, &[2.0, 1.0, 3.0, 9.0, 5.0, 6.0]), of(3, 1, Some(0)));
        // Of noise that is explained, the row that decides otherwise is left.
        let fp16 = Rules { precision: Precision::Fp16, ..Rules::default() };
        let many = |first: [f32; 4]| [first.to_vec(), [10.0, 0.0].repeat(100)].concat();
        let (r, c) = (many([10.0, 9.3, 10.0, 9.3]), many([10.4, 9.0, 9.6, 9.8]));
        assert_eq!(rows(&fp16, &r, &c), of(102, 1, Some(1)));
        let (one, two) = (Tensor::f32(&[2], &[1.0, 2.0]), Tensor::f32(&[3], &[1.0, 2.0, 3.0]));
        assert_eq!(tight.rows("y", (&one, &two), 2, &tight.judge_output("y", &one, &two)), None);
        assert_eq!(tight.rows("y", (&one, &one), 3, &tight.judge_output("y", &one, &one)), None);
        let text = |words: [&str; 2]| Tensor::strings(vec![2], words.map(String::from).to_vec()).unwrap();
        let (r, c) = (text(["a", "b"]), text(["a", "c"]));
        assert_eq!(tight.rows("y", (&r, &c), 2, &tight.judge_output("y", &r, &c)), of(2, 1, Some(1)));
    }
}
