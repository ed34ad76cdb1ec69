//! The candidate's tensors as the model's: names and layouts of stored tensors, and of what a command of the user's writes, are
//! put right before anything is compared, and what was done is told.

mod auto;
pub mod given;
mod layouts;
mod names;

use std::sync::Arc;

use anyhow::{bail, ensure};
use indexmap::{IndexMap, IndexSet};

use crate::cli::{FitArgs, Map, SetArgs};
use crate::found::Note;
use crate::found::fitted::{Fitted, Known};
use crate::graph::Graph;
use crate::lab::first::{self, First, Plan};
use crate::lab::{Side, Survey};
use crate::names::did_you_mean;
use crate::run::arranged::{Arranged, Arrangement};
use crate::run::{Gives, RunError};
use crate::spec::{Place, Spec};
use crate::tensor::Tensors;
use crate::tensor::moved::Order;
use auto::Placed;
use layouts::Laid;
use names::Paired;

/// What is known of a candidate's names before anything runs.
#[derive(Debug, Default)]
pub struct Names {
    paired: Paired,
    /// Arrays in all.
    of: usize,
}

/// The flags are for tensors that may have names and layouts of their own.
pub fn check(args: &FitArgs, spec: &Spec) -> anyhow::Result<()> {
    ensure!(
        has_own(spec) || *args == FitArgs::default(),
        "--map and --layout are for saved: and exec:, whose tensors may have names and layouts of their own, and here is '{spec}'; leave them out"
    );
    Ok(())
}

/// Pairs by values are those of one run: of many sizes or steps, each is another.
pub fn check_course(args: &SetArgs) -> anyhow::Result<()> {
    let many =
        [("--sweep", !args.sweep.is_empty()), ("--batch-check", args.batch_check), ("--steps", args.steps.is_some())];
    if let (Some(Map::Auto), Some((flag, _))) = (&args.fit.map, many.iter().find(|(_, asked)| *asked)) {
        bail!(
            "--map auto pairs arrays by the values of one run, and {flag} makes many; write the pairs down (--map FILE), or leave one out"
        )
    }
    Ok(())
}

/// The same of a pipeline, which looks at outputs only.
pub fn check_stages(args: &SetArgs, stages: &[&Spec]) -> anyhow::Result<()> {
    ensure!(
        args.fit == FitArgs::default() || stages.iter().any(|spec| has_own(spec)),
        "--map and --layout are for saved: and exec:, whose tensors may have names and layouts of their own, and no stage is one; leave them out"
    );
    ensure!(
        args.fit.map != Some(Map::Auto),
        "--map auto pairs arrays by the values of all tensors, and `stages` looks at outputs only; write the pairs down (--map FILE), or bisect that stage"
    );
    Ok(())
}

fn has_own(spec: &Spec) -> bool {
    matches!(spec.place, Place::Saved(_) | Place::Exec(_))
}

/// Gives the tensors of a side the model's names, as far as names tell which is which.
pub fn names(args: &FitArgs, side: &mut Side) -> anyhow::Result<Names> {
    if !has_own(&side.spec) {
        return Ok(Names::default());
    }
    let given = given(args, &side.graph)?;
    let stored = match &side.about().gives {
        Gives::Only(names) => names.iter().cloned().collect(),
        Gives::Models => given.iter().map(|(theirs, _)| theirs.clone()).collect::<Vec<String>>(),
    };
    for (theirs, _) in &given {
        let near = did_you_mean(theirs, stored.iter().map(String::as_str));
        ensure!(stored.contains(theirs), "--map: '{}' holds no array '{theirs}'{near}", side.spec);
    }
    let paired = names::paired(&stored, &keys(&side.graph), &besides(&side.graph), &given);
    arrange(side, Arrangement { names: names::by_ours(&paired.renamed), ..Arrangement::default() });
    Ok(Names { paired, of: stored.len() })
}

/// The pairs that the user wrote down.
fn given(args: &FitArgs, graph: &Graph) -> anyhow::Result<Vec<(String, String)>> {
    let Some(Map::File(path)) = &args.map else { return Ok(Vec::new()) };
    let given = names::read(path, &|name| graph.knows(name))?;
    match given.iter().find(|(_, ours)| !graph.knows(ours)) {
        Some((_, ours)) => bail!("--map {}: the model has {}", path.display(), graph.no_tensor(ours)),
        None => Ok(given),
    }
}

/// Of tensors that nodes make, and of outputs.
fn keys(graph: &Graph) -> Vec<String> {
    let mut keys: Vec<String> = graph.tensors.iter().map(|tensor| tensor.key.clone()).collect();
    keys.extend(graph.outputs.iter().filter(|(_, tensor)| tensor.is_none()).map(|(name, _)| name.clone()));
    keys
}

/// Names that stand for values which are the same on both sides.
fn besides(graph: &Graph) -> Vec<String> {
    graph.inputs.iter().cloned().chain(graph.weights().map(str::to_string)).collect()
}

/// Puts a side's tensors right from now on.
pub fn arrange(side: &mut Side, how: Arrangement) {
    if !how.is_nothing() {
        side.backend = Arc::new(Arranged::new(Arc::clone(&side.backend), how));
    }
}

impl Names {
    /// Of a side whose values are not looked at.
    pub fn told(&self) -> Vec<Fitted> {
        let renamed = renamed(self.paired.renamed.clone(), Known::Names);
        renamed.into_iter().chain(left(self.paired.left.clone(), self.of)).collect()
    }
}

fn renamed(pairs: Vec<(String, String)>, by: Known) -> Option<Fitted> {
    (!pairs.is_empty()).then_some(Fitted::Renamed { pairs, by })
}

fn left(names: Vec<String>, of: usize) -> Option<Fitted> {
    (!names.is_empty()).then_some(Fitted::Left { names, of })
}

/// What both sides gave in their first runs.
pub struct Gave<'a> {
    /// The run that is believed.
    pub reference: &'a Side,
    /// Of the model's tensors.
    pub survey: &'a Survey,
    /// The data, and what is asked for.
    pub plan: Plan<'a>,
}

impl Gave<'_> {
    /// Puts right what names do not tell: pairs by values where that is asked for, and layouts. `first` is as if the candidate had
    /// given its tensors so at once.
    pub fn settle(
        &self,
        args: &FitArgs,
        candidate: &mut Side,
        names: Names,
        first: &mut First,
    ) -> anyhow::Result<Vec<Note>> {
        if !has_own(&candidate.spec) || first.unmarked.is_err() {
            return Ok(names.told().into_iter().map(Note::Fitted).collect());
        }
        let mut notes: Vec<Fitted> = renamed(names.paired.renamed.clone(), Known::Names).into_iter().collect();
        let mut unknown = names.paired.left;
        if args.map == Some(Map::Auto) && !candidate.runs() {
            notes.extend(self.paired(candidate, &mut unknown, first)?);
        }
        notes.extend(left(unknown, names.of));
        notes.extend(self.laid(args, candidate, first)?);
        Ok(notes.into_iter().map(Note::Fitted).collect())
    }

    /// Pairs what has no name in the model, by values and by order.
    fn paired(&self, candidate: &mut Side, unknown: &mut Vec<String>, first: &First) -> anyhow::Result<Vec<Fitted>> {
        let theirs = self.theirs(candidate, first)?;
        let ours = self.ours(&keys(&self.reference.graph), first)?;
        let known = |name: &String, others: &Tensors, open: bool| match others.get_index_of(name) {
            Some(at) => auto::Known::Pair(at),
            None if open => auto::Known::Nothing,
            None => auto::Known::Other,
        };
        let array = |(name, value)| Placed { value, known: known(name, &ours, unknown.contains(name)) };
        let tensor = |(name, value)| Placed { value, known: known(name, &theirs, true) };
        let made =
            auto::pairs(&theirs.iter().map(array).collect::<Vec<_>>(), &ours.iter().map(tensor).collect::<Vec<_>>());
        let name = |(a, t): &(usize, usize)| Some((theirs.get_index(*a)?.0.clone(), ours.get_index(*t)?.0.clone()));
        let [by_values, by_order] =
            [made.by_values, made.by_order].map(|pairs| pairs.iter().filter_map(name).collect::<Vec<_>>());
        let all: Vec<(String, String)> = by_values.iter().chain(&by_order).cloned().collect();
        unknown.retain(|name| all.iter().all(|(theirs, _)| theirs != name));
        arrange(candidate, Arrangement { names: names::by_ours(&all), ..Arrangement::default() });
        Ok([renamed(by_values, Known::Values), renamed(by_order, Known::Order)].into_iter().flatten().collect())
    }

    /// Moves axes to where the model has them.
    fn laid(&self, args: &FitArgs, candidate: &mut Side, first: &mut First) -> anyhow::Result<Vec<Fitted>> {
        let theirs = self.theirs(candidate, first)?;
        let ours = self.ours(&theirs.keys().cloned().collect::<Vec<_>>(), first)?;
        let pairs: Vec<_> =
            ours.iter().filter_map(|(name, value)| Some((name.clone(), value, theirs.get(name)?))).collect();
        let laid = layouts::laid(&pairs, args.order());
        let undone = laid.iter().filter(|laid| !laid.left);
        let moves = undone.map(|laid| (laid.name.clone(), laid.way.clone())).collect();
        let how = Arrangement { moves, ..self.rest(candidate, &laid) };
        if let Ok(given) = &mut first.unmarked {
            match candidate.runs() {
                true => given.iter_mut().chain(first.again.all()).for_each(|given| how.put_all_right(given)),
                false => {
                    arrange(candidate, how);
                    first.unmarked = first::unmarked(candidate, &self.plan).map(|answer| answer.values);
                    return Ok(moved(laid));
                }
            }
        }
        arrange(candidate, how);
        Ok(moved(laid))
    }

    /// What a command gives later is laid out like what it gave first.
    fn rest(&self, candidate: &Side, laid: &[Laid]) -> Arrangement {
        let undone = laid.iter().filter(|laid| !laid.left);
        let moved = undone.map(|laid| laid.way.order).find(|order| *order != Order::Kept);
        match moved.filter(|_| candidate.runs()) {
            None => Arrangement::default(),
            Some(rest) => {
                let shape = |key: String| Some((key.clone(), self.survey.shape(&key)?.clone()));
                let shapes = keys(&self.reference.graph).into_iter().filter_map(shape).collect();
                Arrangement { rest, shapes, ..Arrangement::default() }
            }
        }
    }

    /// All that is stored, of the first sample; of a command, what it gave.
    fn theirs(&self, candidate: &Side, first: &First) -> Result<Tensors, RunError> {
        let feeds = &self.plan.feeds[..self.plan.feeds.len().min(1)];
        let values = match &candidate.about().gives {
            Gives::Only(names) => candidate.run(&[], feeds, &names.iter().cloned().collect::<Vec<_>>())?.pop(),
            Gives::Models => first.unmarked.as_ref().ok().and_then(|values| values.first().cloned()),
        };
        Ok(values.unwrap_or_default())
    }

    /// The reference's values of these tensors, of the first sample; without those that are no tensors of the model.
    fn ours(&self, names: &[String], first: &First) -> Result<Tensors, RunError> {
        let graph = &self.reference.graph;
        let wanted: Vec<String> = names.iter().filter(|name| graph.knows(name)).cloned().collect();
        if let Some(all) = first.reference.as_ref().and_then(|values| values.first())
            && wanted.iter().all(|name| all.contains_key(name))
        {
            return Ok(wanted.iter().filter_map(|name| Some((name.clone(), all.get(name)?.clone()))).collect());
        }
        let feeds = &self.plan.feeds[..self.plan.feeds.len().min(1)];
        let tensors: Vec<usize> = wanted.iter().filter_map(|name| graph.tensor(name)).collect();
        Ok(self.reference.run(&tensors, feeds, &wanted)?.pop().unwrap_or_default())
    }
}

/// A sentence for all that is moved alike.
fn moved(laid: Vec<Laid>) -> Vec<Fitted> {
    let mut groups: IndexMap<(String, bool, bool), Vec<Laid>> = IndexMap::new();
    laid.into_iter()
        .for_each(|laid| groups.entry((laid.way.to_string(), laid.shown, laid.left)).or_default().push(laid));
    let told = groups.into_iter().map(|((_, shown, left), laid)| {
        let how = laid.first().map(|laid| laid.way.told(&laid.shapes.0, &laid.shapes.1)).unwrap_or_default();
        let tensors = laid.into_iter().map(|laid| laid.name).collect::<IndexSet<_>>().into_iter().collect();
        match left {
            true => Fitted::Exchanged { tensors, how },
            false => Fitted::Moved { tensors, how, shown },
        }
    });
    told.collect()
}
