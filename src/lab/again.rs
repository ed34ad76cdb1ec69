//! The candidate's first run, and the same once more before anything is said of it: the first sample again, in the session that
//! exists already, so that it costs a run and no build. What computes elsewhere is given equal rows too. Judges nothing but
//! whether an answer agrees; what follows from that, `find::trust` says.

use super::{Lab, Lowering, Side};
use crate::diagnose::draws;
use crate::run::{Answer, Doubt, RunError};
use crate::search::Answer as Verdict;
use crate::tensor::{Tensor, Tensors};

/// What a candidate gave behind its answers to the data.
#[derive(Clone, Debug, Default)]
pub struct Again {
    /// For the first sample once more.
    pub same: Option<Tensors>,
    /// For the first sample with its first row in place of every row.
    pub rows: Option<Tensors>,
}

impl Again {
    /// Answers to the first sample, and to equal rows of it.
    fn of(values: Vec<Tensors>) -> Again {
        let mut values = values.into_iter();
        Again { same: values.next(), rows: values.next() }
    }

    /// All of it.
    pub fn all(&mut self) -> impl Iterator<Item = &mut Tensors> {
        self.same.iter_mut().chain(&mut self.rows)
    }
}

/// Runs a candidate on `feeds`, and once more where it is doubted; `run` is one session of it.
pub(super) fn twice(
    candidate: &Side,
    feeds: &[Tensors],
    run: impl FnOnce(&[Tensors]) -> Result<Answer, RunError>,
) -> Result<(Answer, Again), RunError> {
    let more = more(candidate, feeds);
    if more.is_empty() {
        return Ok((run(feeds)?, Again::default()));
    }
    let all: Vec<Tensors> = feeds.iter().cloned().chain(more).collect();
    let mut answer = run(&all)?;
    let behind = answer.values.split_off(feeds.len().min(answer.values.len()));
    answer.seconds.truncate(feeds.len());
    Ok((answer, Again::of(behind)))
}

/// Once more alone, where it has run on `feeds` before.
pub(super) fn once(
    candidate: &Side,
    feeds: &[Tensors],
    run: impl FnOnce(&[Tensors]) -> Result<Answer, RunError>,
) -> Result<Again, RunError> {
    let more = more(candidate, feeds);
    Ok(if more.is_empty() { Again::default() } else { Again::of(run(&more)?.values) })
}

/// What a doubted candidate is asked behind `feeds`.
fn more(candidate: &Side, feeds: &[Tensors]) -> Vec<Tensors> {
    let first = feeds.first().filter(|_| candidate.is_asked_again());
    let equal_rows = first.filter(|_| candidate.about().doubt == Doubt::Always).and_then(repeated);
    first.cloned().into_iter().chain(equal_rows).collect()
}

impl Side {
    /// May another run give another answer? Not stored tensors, not an emulation, which is no session that anybody deploys, and not
    /// a model that draws numbers, which gives others each time on any side.
    fn is_asked_again(&self) -> bool {
        let elsewhere = self.about().doubt != Doubt::Never;
        let deployed = self.on_cpu() && !matches!(self.lowering, Lowering::Emulate(_));
        self.has_time() && (elsewhere || deployed) && !self.draws()
    }

    /// Does its model draw numbers?
    pub fn draws(&self) -> bool {
        let inside = self.model.proto.functions.iter().flat_map(|function| &function.node);
        self.graph.nodes.iter().any(|node| draws(&node.op_type)) || inside.into_iter().any(|node| draws(node.op_type()))
    }
}

impl Lab {
    /// Does what was given for a sample agree with what is right for it? `None` where that cannot be said.
    pub fn agrees(&self, right: &Tensors, given: &Tensors) -> Result<Option<bool>, RunError> {
        let (right, given) = (std::slice::from_ref(right), std::slice::from_ref(given));
        Ok(match self.tried(&self.outputs, right, given, 0)?.answer {
            Verdict::Good => Some(true),
            Verdict::Bad => Some(false),
            Verdict::Unknown => None,
        })
    }
}

/// The same data with its first row in place of every row; `None` where the inputs share no batch of two or more.
pub fn repeated(feed: &Tensors) -> Option<Tensors> {
    let count = batch(feed)?;
    feed.iter().map(|(name, value)| Some((name.clone(), first_row_everywhere(value, count)?))).collect()
}

/// The size of the first axis that all inputs share, if it is no single row.
pub fn batch(feed: &Tensors) -> Option<usize> {
    let count = *feed.values().next()?.shape.first()?;
    let shared = feed.values().all(|t| t.shape.first() == Some(&count));
    (shared && count > 1).then_some(count)
}

fn first_row_everywhere(value: &Tensor, count: usize) -> Option<Tensor> {
    let row = row(value, 0, count)?;
    Tensor::new(value.dtype, value.shape.clone(), row.bytes().repeat(count)).ok()
}

/// One row of the first axis; `None` for strings and packed types.
pub fn row(value: &Tensor, number: usize, count: usize) -> Option<Tensor> {
    let bytes = value.bytes();
    if value.as_strings().is_some() || value.dtype.bits() < 8 || value.shape.first() != Some(&count) {
        return None;
    }
    let length = bytes.len() / count;
    let shape = value.shape[1..].to_vec();
    Tensor::new(value.dtype, shape, bytes[number * length..(number + 1) * length].to_vec()).ok()
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
