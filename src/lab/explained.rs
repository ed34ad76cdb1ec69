//! The candidate with what some nodes make replaced by the reference's values, as if these nodes were right: what diverges then
//! has another cause. The tensors are cut into inputs of the candidate's model, which runs as its own does.

use std::time::Instant;

use super::first::inner;
use super::journal::Look;
use super::pairs::{Asked, numbers};
use super::values::by_tensor;
use super::{Lab, Probe};
use crate::found::TensorResult;
use crate::mark::Types;
use crate::onnx::{GraphProto, ModelProto, ValueInfoProto};
use crate::precision;
use crate::run::RunError;
use crate::tensor::{Tensor, Tensors};

/// What a look at the candidate gave with some tensors explained.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// What was asked for, as far as it has a counterpart, in that order.
    pub tensors: Vec<TensorResult>,
    /// One for each of the lab's outputs. What is explained itself agrees by being the reference's, and is not among them.
    pub outputs: Vec<TensorResult>,
}

impl Lab {
    /// The tensors to be replaced so that `tensor` and what its node makes besides are the reference's; `None` where the
    /// candidate cannot be run so. A tensor in a branch is explained by what its outermost If makes.
    pub fn explaining(&self, tensor: usize) -> Option<Vec<usize>> {
        if !self.candidate.runs() || !self.reference.runs() {
            return None;
        }
        let graph = &self.reference.graph;
        let node = graph.producer(tensor);
        let outer = |index: usize| graph.nodes.iter().find(|n| n.scope.is_empty() && n.index == index);
        let node = node.scope.first().map_or(Some(node), |step| outer(step.node))?;
        let writes: Vec<usize> = node.writes.iter().copied().filter(|t| self.replaced(*t).is_some()).collect();
        let whole = writes.contains(&tensor) || !graph.producer(tensor).scope.is_empty();
        (whole && !writes.is_empty()).then_some(writes)
    }

    /// The names in the candidate's main graph under which `tensor` is read there.
    fn replaced(&self, tensor: usize) -> Option<Vec<String>> {
        let theirs = &self.candidate.graph;
        let counterpart = self.counterpart(tensor)?;
        // A quantised candidate has the tensor itself, and behind its quantizer once more.
        let own = theirs.tensor(self.key(tensor)).filter(|own| *own != counterpart);
        let all = [counterpart].into_iter().chain(own);
        let main = |t: usize| theirs.producer(t).scope.is_empty().then(|| theirs.tensors[t].key.clone());
        all.map(main).collect()
    }
}

impl Probe<'_> {
    /// Runs the candidate with the `explained` tensors replaced and `tensors` marked. `None` where it cannot be run so.
    pub fn look_explained(&mut self, explained: &[usize], tensors: &[usize]) -> Result<Option<Explained>, RunError> {
        let asked = self.lab.comparable(tensors.iter().copied());
        if let Some(look) = self.ledger.earlier.take(&numbers(&asked), explained) {
            self.ledger.counts.recalled_runs += look.learnt.runs();
            return Ok(split(look.tensors, asked.len()));
        }
        let started = Instant::now();
        let Some(values) = self.run_explained(explained, &asked)? else { return Ok(None) };
        let seen = self.judged(explained, &asked, values);
        if self.ledger.journal.is_kept() {
            self.ledger.journal.look(Look {
                asked: numbers(&asked),
                explained: explained.to_vec(),
                seconds: started.elapsed().as_secs_f64(),
                tensors: seen.tensors.iter().chain(&seen.outputs).cloned().collect(),
                learnt: super::sight::Learnt::of_runs(1),
                ..Look::default()
            });
        }
        Ok(Some(seen))
    }

    /// The candidate's values; `None` where it refuses.
    fn run_explained(&mut self, explained: &[usize], asked: &[Asked]) -> Result<Option<Vec<Tensors>>, RunError> {
        let pairs = self.lab.comparable(explained.iter().copied());
        let needed: Vec<usize> = pairs.iter().chain(asked).map(|(_, pair)| pair.reference).collect();
        if needed.iter().any(|t| !self.values.reference.contains_key(t)) {
            self.run_reference(&needed)?;
        }
        let Lab { candidate, feeds, .. } = self.lab;
        let mut theirs: Vec<usize> = asked.iter().map(|(_, pair)| pair.candidate).collect();
        theirs.extend(inner(candidate, &self.lab.outputs));
        let mut model = candidate.marked(&theirs);
        let (mut types, mut feeds): (Types, Vec<Tensors>) = (candidate.types.clone(), feeds.clone());
        for tensor in explained {
            let (Some(names), Some(values)) = (self.lab.replaced(*tensor), self.right(*tensor)) else {
                return Ok(None);
            };
            for name in names {
                let typed = |value: &&Tensor| match types.get(&name) {
                    Some(dtype) if *dtype != value.dtype => precision::cast(value, *dtype),
                    _ => Some((*value).clone()),
                };
                let Some(values) = values.iter().map(typed).collect::<Option<Vec<Tensor>>>() else { return Ok(None) };
                let Some(main) = model.graph.as_mut() else { return Ok(None) };
                feed(main, &name, &values);
                types.extend(values.first().map(|value| (name.clone(), value.dtype)));
                feeds.iter_mut().zip(values).for_each(|(feed, value)| drop(feed.insert(name.clone(), value)));
            }
        }
        let wanted = self.left(&model, &theirs);
        if wanted.is_empty() {
            return Ok(Some(Vec::new()));
        }
        self.ledger.counts.candidate_builds += 1;
        self.ledger.counts.candidate_runs += 1;
        match candidate.run_model(&model, &types, &feeds, &wanted) {
            Err(RunError::Interrupted) => Err(RunError::Interrupted),
            other => Ok(other.ok()),
        }
    }

    /// The reference's values of a tensor, by sample.
    fn right(&self, tensor: usize) -> Option<Vec<&Tensor>> {
        (0..self.lab.feeds.len()).map(|sample| self.reference_value(tensor, sample)).collect()
    }

    /// What the model with these of the candidate's tensors marked still gives of them and of the final outputs.
    fn left(&self, model: &ModelProto, theirs: &[usize]) -> Vec<String> {
        let given = |name: &String| model.graph.iter().flat_map(|g| &g.output).any(|output| output.name() == name);
        self.wanted(theirs).into_iter().filter(given).collect()
    }

    /// The outputs that an edited candidate gave as they are judged: of each one, its samples.
    pub fn outputs_of(&self, values: &[Tensors]) -> Vec<Vec<TensorResult>> {
        let right = &self.finals.right;
        let judged = |name: &String| {
            let whole = super::finals::judged(self.lab, name, (right, values), &self.values);
            let each = right.iter().zip(values).filter_map(|(right, got)| {
                let verdict = self.lab.rules.judge_output(name, right.get(name)?, got.get(name)?);
                Some(TensorResult { status: verdict.status, metrics: verdict.metrics, ..whole.clone() })
            });
            // The verdict is that of all of them together, missing ones included.
            std::iter::once(TensorResult { metrics: None, ..whole.clone() }).chain(each).collect()
        };
        self.lab.outputs.iter().map(judged).collect()
    }

    fn judged(&self, explained: &[usize], asked: &[Asked], values: Vec<Tensors>) -> Explained {
        let lab = self.lab;
        let outputs = lab.outputs.iter().filter(|name| {
            let own = lab.reference.graph.tensor(name);
            !own.is_some_and(|t| explained.contains(&t))
        });
        let outputs = match values.is_empty() {
            true => Vec::new(),
            false => outputs
                .map(|name| super::finals::judged(lab, name, (&self.finals.right, &values), &self.values))
                .collect(),
        };
        let candidate = by_tensor(&lab.candidate.graph, values);
        let nothing = Vec::new();
        let result = |(tensor, pair): &Asked| {
            let seen = candidate.get(&pair.candidate).unwrap_or(&nothing);
            let samples = 0..lab.feeds.len();
            let right: Vec<_> = samples.clone().map(|s| self.reference_value(*tensor, s)).collect();
            let seen: Vec<_> = samples.map(|s| seen.get(s).and_then(Option::as_ref)).collect();
            let verdict = |s: usize, r: &Tensor| Some(lab.rules.judge(lab.key(*tensor), r, seen.get(s).copied()??));
            lab.result(*tensor, &right, &seen, verdict)
        };
        Explained { tensors: asked.iter().map(result).collect(), outputs }
    }
}

/// What the journal has in one row.
fn split(mut tensors: Vec<TensorResult>, asked: usize) -> Option<Explained> {
    let outputs = tensors.split_off(asked.min(tensors.len()));
    Some(Explained { tensors, outputs })
}

/// `name` is fed with values like these from now on; who made it makes something that nobody reads.
pub(super) fn feed(main: &mut GraphProto, name: &str, values: &[Tensor]) {
    let mut unread = format!("{name}/explained");
    while main.node.iter().flat_map(|n| &n.output).any(|output| *output == unread) {
        unread.push('_');
    }
    let made = main.node.iter_mut().flat_map(|n| &mut n.output).filter(|output| *output == name);
    made.for_each(|output| output.clone_from(&unread));
    main.output.retain(|output| output.name() != name);
    main.value_info.retain(|value| value.name() != name);
    let Some(first) = values.first() else { return };
    main.input.push(match values.iter().all(|v| v.shape == first.shape) {
        true => ValueInfoProto::tensor(name, first.dtype, &first.shape),
        false => ValueInfoProto::typed(name, first.dtype, None),
    });
}

#[cfg(test)]
mod tests;
