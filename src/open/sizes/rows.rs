//! The rows of a batch: alone, repeated, and together. A row that is another one in its batch is wrong whatever the others are,
//! unless the model mixes rows by itself: then so does the reference.

use anyhow::{Context, bail, ensure};

use crate::found::sizes::{Batch, BatchOf, RowOfBatch};
use crate::found::{Status, Verdict};
use crate::judge::Rules;
use crate::lab::Side;
use crate::load::samples::{Dim, InputSpec};
use crate::load::sizes::{ROWS, row_dimension};
use crate::open::data;
use crate::open::gave::Values;
use crate::open::stand::Pair;
use crate::tensor::{Tensor, Tensors};

/// Rows at most: each takes two more runs.
const MOST: usize = 256;

/// A batch, and where its rows are.
pub struct Rows {
    batch: Tensors,
    /// By input: the axis of its rows. Inputs without one are the same for every row.
    axes: Vec<(String, usize)>,
    count: usize,
}

impl Rows {
    /// Of samples that can be put together, else of the first one; few rows are repeated.
    pub fn of(feeds: &[Tensors], specs: &[InputSpec]) -> anyhow::Result<Rows> {
        let axes = axes(specs)?;
        let Some(first) = feeds.first() else { bail!("--batch-check needs a sample") };
        let mut batch = together(feeds, &axes).unwrap_or_else(|| first.clone());
        let size = |batch: &Tensors| {
            let (input, axis) = axes.first()?;
            batch.get(input)?.shape.get(*axis).copied()
        };
        let own = size(&batch).context("--batch-check: no input has rows")?;
        ensure!(own <= MOST, "--batch-check looks at up to {MOST} rows, and there are {own}; give fewer");
        let count = own.max(ROWS);
        for (input, axis) in &axes {
            let Some(tensor) = batch.get_mut(input) else { continue };
            let whole = tensor.shape.get(*axis) == Some(&own);
            let resized = tensor.resized(*axis, count).filter(|_| whole);
            *tensor = resized.with_context(|| {
                format!("--batch-check: input '{input}' of shape {:?} has no {own} rows", tensor.shape)
            })?;
        }
        Ok(Rows { batch, axes, count })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.count
    }

    /// What the n-th of [`Rows::samples`] is called.
    pub fn place(&self, n: usize) -> String {
        match n {
            0 => "the batch".to_string(),
            n if n <= self.count => format!("row {} alone", n - 1),
            n => format!("row {} repeated", n - 1 - self.count),
        }
    }

    /// The batch; each row alone; each row repeated.
    pub fn samples(&self) -> anyhow::Result<Vec<Tensors>> {
        let picked = |positions: &[usize]| {
            let mut sample = self.batch.clone();
            for (input, axis) in &self.axes {
                let Some(tensor) = sample.get_mut(input) else { continue };
                *tensor = tensor
                    .picked(*axis, positions)
                    .with_context(|| format!("--batch-check: rows of input '{input}' cannot be taken apart"))?;
            }
            anyhow::Ok(sample)
        };
        let mut samples = vec![self.batch.clone()];
        for row in 0..self.count {
            samples.push(picked(&[row])?);
        }
        for row in 0..self.count {
            samples.push(picked(&vec![row; self.count])?);
        }
        Ok(samples)
    }

    /// Both sides' rows, of what these samples gave.
    pub fn judged(&self, pair: &Pair, right: &Values, got: &Values) -> Batch {
        let reference = self.of_side(pair.reference, pair, right);
        let candidate = self.of_side(pair.candidate, pair, got);
        let bad = |of: &BatchOf, row: usize| of.rows.get(row).is_some_and(RowOfBatch::is_bad);
        let first_bad_row = (0..self.count).find(|row| bad(&candidate, *row) && !bad(&reference, *row));
        Batch { rows: self.count, reference, candidate, first_bad_row }
    }

    fn of_side(&self, side: &Side, pair: &Pair, values: &Values) -> BatchOf {
        let failed = values.iter().enumerate().find_map(|(sample, values)| Some((sample, values.as_ref().err()?)));
        if let Some((sample, why)) = failed {
            let what = match sample {
                0 => format!("the batch of {} rows", self.count),
                row if row <= self.count => "a batch of one row".to_string(),
                _ => format!("a batch of {} equal rows", self.count),
            };
            return BatchOf { why: Some(format!("{what} does not run: {why}")), ..BatchOf::default() };
        }
        let values: Vec<&Tensors> = values.iter().flatten().collect();
        let rules = data::rules(pair.args, side);
        let mut rows = Vec::new();
        let mut why = None;
        for row in 0..self.count {
            let alone = worst(&rules, pair.outputs, &[((values[0], row, self.count), (values[1 + row], 0, 1))]);
            let among = |equal: usize| {
                let repeated = values[1 + self.count + equal];
                ((repeated, row, self.count), (values[1 + equal], 0, 1))
            };
            let repeated = worst(&rules, pair.outputs, &(0..self.count).map(among).collect::<Vec<_>>());
            let told = |(status, output): &(Status, Option<&String>), than: &str| {
                let output = output.filter(|_| *status == Status::Diverges)?;
                Some(format!("row {row} of a batch of {} is not what it is {than}, in '{output}'", self.count))
            };
            why = why.or_else(|| told(&alone, "alone")).or_else(|| told(&repeated, "among equal rows"));
            rows.push(RowOfBatch { row, alone: alone.0, repeated: repeated.0 });
        }
        let any = |status: Status| rows.iter().any(|row| row.alone == status || row.repeated == status);
        let verdict = match (any(Status::Diverges), any(Status::Agrees)) {
            (true, _) => Verdict::Diverged,
            (false, true) => Verdict::Agreed,
            (false, false) => Verdict::Inconclusive,
        };
        let none = "no output has a row for each row of the inputs".to_string();
        BatchOf { verdict, why: why.or((verdict == Verdict::Inconclusive).then_some(none)), rows }
    }
}

/// Outputs, the row that is looked at, and how many they have.
type Place<'a> = (&'a Tensors, usize, usize);

/// Each first one against the second: the worst of all outputs, and which that is.
fn worst<'o>(rules: &Rules, outputs: &'o [String], pairs: &[(Place, Place)]) -> (Status, Option<&'o String>) {
    let mut worst = (Status::NotCompared, None);
    for output in outputs {
        for ((values, row, count), (other, at, of)) in pairs {
            // What does not grow with the batch has no rows.
            let first = |values: &Tensors| values.get(output)?.shape.first().copied();
            if first(values).zip(first(other)).is_none_or(|(many, few)| many * of != few * count) {
                continue;
            }
            let row = values.get(output).and_then(|tensor| part(tensor, *row, *count));
            let other = other.get(output).and_then(|tensor| part(tensor, *at, *of));
            let (Some(got), Some(right)) = (row, other) else { continue };
            match rules.judge(output, &right, &got).status {
                Status::Diverges => return (Status::Diverges, Some(output)),
                Status::Agrees => worst.0 = Status::Agrees,
                Status::NotCompared => {}
            }
        }
    }
    worst
}

/// Row `row` of an output of `count` of them; a row may be several positions of the first axis.
fn part(tensor: &Tensor, row: usize, count: usize) -> Option<Tensor> {
    let first = *tensor.shape.first()?;
    let each = first / count.max(1);
    if each == 0 || first % count != 0 {
        return None;
    }
    tensor.part(0, row * each..(row + 1) * each)
}

/// The axis of the rows of each input.
fn axes(specs: &[InputSpec]) -> anyhow::Result<Vec<(String, usize)>> {
    let own = row_dimension(specs);
    let axis = |spec: &InputSpec| match &own {
        Some(own) => spec.dims.iter().position(|dim| matches!(dim, Dim::Named(name) if name == own)),
        None => (spec.dims.first() == Some(&Dim::Unknown)).then_some(0),
    };
    let axes: Vec<_> = specs.iter().filter_map(|spec| Some((spec.name.clone(), axis(spec)?))).collect();
    match axes.is_empty() {
        true => {
            bail!("--batch-check: every input of the model has a fixed first axis, so it takes one size of batch only")
        }
        false => Ok(axes),
    }
}

/// Samples of one shape as the rows of one, where that can be.
fn together(feeds: &[Tensors], axes: &[(String, usize)]) -> Option<Tensors> {
    let first = feeds.first().filter(|_| feeds.len() > 1 && axes.iter().all(|(_, axis)| *axis == 0))?;
    let mut batch = first.clone();
    for (input, _) in axes {
        let parts: Vec<&Tensor> = feeds.iter().filter_map(|feed| feed.get(input)).collect();
        batch.insert(input.clone(), Tensor::joined(&parts, 0)?);
    }
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::DType;

    fn spec(name: &str, dims: &[Dim]) -> InputSpec {
        InputSpec { name: name.into(), dtype: DType::Float32, dims: dims.to_vec() }
    }

    fn sample(rows: usize) -> Tensors {
        let values: Vec<f32> = (0..rows * 2).map(|x| x as f32).collect();
        Tensors::from_iter([("x".to_string(), Tensor::f32(&[rows, 2], &values))])
    }

    #[test]
    fn a_batch_is_taken_apart() {
        let specs = [spec("x", &[Dim::Named("n".into()), Dim::Fixed(2)]), spec("scale", &[Dim::Fixed(1)])];
        let shapes = |feeds: &[Tensors]| {
            let samples = Rows::of(feeds, &specs).unwrap().samples().unwrap();
            samples.iter().map(|s| s["x"].view::<f32>().to_vec()).collect::<Vec<_>>()
        };
        let four = shapes(&[sample(4)]);
        assert_eq!(four.len(), 9);
        assert_eq!((&four[2], &four[6]), (&vec![2., 3.], &vec![2., 3., 2., 3., 2., 3., 2., 3.]));
        assert_eq!(shapes(&[sample(2), sample(2)])[0], [0., 1., 2., 3., 0., 1., 2., 3.]);
        assert_eq!(shapes(&[sample(1)])[0].len(), ROWS * 2);
        assert!(Rows::of(&[sample(2)], &[spec("x", &[Dim::Fixed(2), Dim::Fixed(2)])]).is_err());
    }

    #[test]
    fn rows_of_an_output_may_be_several_positions() {
        let tensor = Tensor::f32(&[4, 1], &[0., 1., 2., 3.]);
        assert_eq!(part(&tensor, 1, 2).unwrap().view::<f32>().to_vec(), [2., 3.]);
        assert!(part(&tensor, 0, 3).is_none() && part(&Tensor::f32(&[], &[0.]), 0, 1).is_none());
    }
}
