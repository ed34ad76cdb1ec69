//! A backend whose tensors have other names or layouts than the model's: what it gives is put right before anybody sees it. For
//! stored tensors and commands of the user's, whose conventions are their own. Decides nothing.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexSet;

use super::job::each;
use super::{About, Answer, Backend, Gives, Job, Question, RunError, Told};
use crate::tensor::moved::{Moved, Order};
use crate::tensor::{Tensor, Tensors};

/// What is put right.
#[derive(Clone, Debug, Default)]
pub struct Arrangement {
    /// The backend's name, by ours, where they are not the same.
    pub names: HashMap<String, String>,
    /// How an array becomes the tensor of this name (ours); the others are as they are, or as `rest` says.
    pub moves: HashMap<String, Moved>,
    /// Where the channels are of tensors that nobody looked at.
    pub rest: Order,
    /// Shapes of the model's tensors, where they are known: they tell which of those are moved.
    pub shapes: HashMap<String, Vec<usize>>,
}

/// A backend, put right.
pub struct Arranged {
    inner: Arc<dyn Backend>,
    about: About,
    how: Arrangement,
}

impl Arrangement {
    /// Nothing is put right.
    pub fn is_nothing(&self) -> bool {
        self.names.is_empty() && self.moves.is_empty() && self.rest == Order::Kept
    }

    /// Arrays under our names, as the tensors that they are.
    pub fn put_all_right(&self, given: &mut Tensors) {
        given.iter_mut().for_each(|(name, array)| *array = self.put_right(name, array.clone()));
    }

    /// The array that was given for the tensor of this name, as the tensor. An array that cannot be put right stays as it is.
    fn put_right(&self, name: &str, array: Tensor) -> Tensor {
        let way = match self.moves.get(name) {
            Some(way) => Some(way.clone()),
            None if self.rest == Order::Kept => None,
            None => self.guessed(name, &array),
        };
        way.and_then(|way| way.undo(&array)).unwrap_or(array)
    }

    /// Where the shape is known it must fit; pictures of unknown shape are all laid out alike.
    fn guessed(&self, name: &str, array: &Tensor) -> Option<Moved> {
        match self.shapes.get(name) {
            Some(shape) if *shape == array.shape => None,
            Some(shape) => Moved::ways(&array.shape, shape).into_iter().find(|way| way.order == self.rest),
            None => (array.shape.len() == 4).then(|| Moved { order: self.rest, ..Moved::default() }),
        }
    }
}

impl Arranged {
    /// `inner` with what it gives put right.
    pub fn new(inner: Arc<dyn Backend>, how: Arrangement) -> Arranged {
        let mut about = inner.about().clone();
        if let Gives::Only(stored) = &about.gives {
            let theirs: HashMap<&str, &str> = how.names.iter().map(|(o, t)| (t.as_str(), o.as_str())).collect();
            let ours = |name: &String| theirs.get(name.as_str()).map_or_else(|| name.clone(), |ours| ours.to_string());
            about.gives = Gives::Only(stored.iter().map(ours).collect::<IndexSet<_>>());
        }
        Arranged { inner, about, how }
    }

    /// What the backend gave under its own names, as ours.
    fn ours(&self, mut given: Tensors, wanted: &[String]) -> Tensors {
        let one = |name: &String| {
            let array = given.swap_remove(self.theirs(name))?;
            Some((name.clone(), self.how.put_right(name, array)))
        };
        wanted.iter().filter_map(one).collect()
    }

    /// What is fed back is put right first.
    fn decode(&self, job: &Job) -> Result<Answer, RunError> {
        let step = |feed: &Tensors| {
            let answer = self.run(&Job { feeds: vec![feed.clone()], decode: None, ..job.clone() })?;
            Ok(answer.values.into_iter().next().unwrap_or_default())
        };
        let (values, seconds) = each(job, step)?;
        Ok(Answer { values, seconds, ..Answer::default() })
    }

    fn theirs<'a>(&'a self, name: &'a String) -> &'a String {
        self.how.names.get(name).unwrap_or(name)
    }
}

impl Backend for Arranged {
    fn about(&self) -> &About {
        &self.about
    }

    fn run(&self, job: &Job) -> Result<Answer, RunError> {
        if job.decode.is_some() {
            return self.decode(job);
        }
        let outputs = job.outputs.iter().map(|name| self.theirs(name).clone()).collect();
        let answer = self.inner.run(&Job { outputs, ..job.clone() })?;
        let values = answer.values.into_iter().map(|given| self.ours(given, &job.outputs)).collect();
        Ok(Answer { values, ..answer })
    }

    fn ask(&self, question: &Question) -> Result<Told, RunError> {
        self.inner.ask(question)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::load::Lean;
    use crate::run::saved::Saved;

    #[test]
    fn names_and_axes_are_put_right() {
        let last = Tensor::f32(&[1, 3, 1, 2], &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        let stored: Tensors = ["_a", "y", "b"].map(|name| (name.to_string(), last.clone())).into_iter().collect();
        let about = About { gives: Gives::Only(stored.keys().cloned().collect()), ..About::default() };
        let saved = Saved::recorded(about, vec![stored]);
        let way = Moved { order: Order::ChannelsLast, ..Moved::default() };
        let how = Arrangement {
            names: [("/a".to_string(), "_a".to_string())].into(),
            moves: [("/a".to_string(), way)].into(),
            rest: Order::ChannelsLast,
            shapes: [("y".to_string(), vec![1, 3, 1, 2]), ("b".to_string(), vec![1, 2, 3, 1])].into(),
        };
        let arranged = Arranged::new(Arc::new(saved), how);
        assert!(arranged.about().stores("/a") && !arranged.about().stores("_a"));
        let lean = Lean { bytes: Vec::new(), folder: PathBuf::new() };
        let wanted = ["/a", "y", "b"].map(str::to_string);
        let values = arranged.run(&Job::new(lean, &[Tensors::new()], &wanted)).unwrap().values.remove(0);
        let shapes: Vec<&[usize]> = values.values().map(|t| t.shape.as_slice()).collect();
        assert_eq!(shapes, [&[1, 2, 3, 1], &[1, 3, 1, 2], &[1, 2, 3, 1]]);
        assert_eq!(values["/a"].view::<f32>().as_ref(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
