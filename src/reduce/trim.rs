//! What the failure does not need, besides nodes: outputs, optional inputs, the branch of an If that is not taken, and
//! everything nobody reads. Changes no value of a feed or of a weight (that is `data` and `weights`).

mod branches;
mod clean;
mod optional;

pub use clean::clean;

use std::collections::HashSet;

use super::{Attempt, Case};
use crate::onnx::GraphProto;
use crate::search::Answer;
use optional::Giver;

/// More outputs than this are not tried one by one as the only one.
const SINGLE_OUTPUTS: usize = 16;

/// `case` without what its failure does not need. What nobody reads goes without a question; all else is asked about.
pub fn trim<E>(case: Case, mut test: impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>) -> Result<Case, E> {
    let case = outputs(tidy(case), &mut test)?;
    let case = optional::omit(case, Giver::Input, &mut test)?;
    let case = branches::empty(case, &mut test)?;
    optional::omit(case, Giver::Initializer, &mut test)
}

/// `case` without what nobody reads: no answer can change.
pub fn tidy(mut case: Case) -> Case {
    clean(&mut case.model);
    let Some(main) = case.model.graph.as_mut() else { return case };
    let read = clean::reads(main);
    main.input.retain(|v| read.contains(v.name()));
    case.feeds.retain(|name, _| main.input.iter().any(|v| v.name() == name));
    if let Some(expected) = case.expected.as_mut() {
        expected.retain(|name, _| main.output.iter().any(|v| v.name() == name));
    }
    case
}

/// One question; the case comes back with its answer. No answer is [`Answer::Unknown`].
pub(super) fn ask<E>(
    what: String,
    case: Case,
    test: &mut impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<(Answer, Case), E> {
    let attempt = Attempt { what, case };
    let answers = test(std::slice::from_ref(&attempt))?;
    Ok((answers.first().copied().unwrap_or(Answer::Unknown), attempt.case))
}

/// As many of `edits` as the failure survives: all at once, else one after the other. `what` names some of them.
fn apply<T: Clone, E>(
    mut case: Case,
    edits: &[T],
    what: impl Fn(&[T]) -> String,
    edit: impl Fn(Case, &[T]) -> Case,
    test: &mut impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>,
) -> Result<Case, E> {
    if edits.len() > 1 {
        let (answer, smaller) = ask(what(edits), edit(case.clone(), edits), test)?;
        if answer == Answer::Bad {
            return Ok(smaller);
        }
    }
    for one in edits.chunks(1) {
        let (answer, smaller) = ask(what(one), edit(case.clone(), one), test)?;
        if answer == Answer::Bad {
            case = smaller;
        }
    }
    Ok(case)
}

/// The first output that fails alone; where none does, those that cannot be missed.
fn outputs<E>(mut case: Case, test: &mut impl FnMut(&[Attempt]) -> Result<Vec<Answer>, E>) -> Result<Case, E> {
    let mut kept: Vec<String> = case.model.graph.iter().flat_map(|g| &g.output).map(|v| v.name().to_string()).collect();
    if kept.len() < 2 {
        return Ok(case);
    }
    let what = |names: &[String]| format!("only the outputs {}", names.join(","));
    for one in kept.chunks(1).take(SINGLE_OUTPUTS) {
        let (answer, smaller) = ask(what(one), with_outputs(case.clone(), one), test)?;
        if answer == Answer::Bad {
            return Ok(smaller);
        }
    }
    // From the back: the first outputs are the ones that failed first. Down to two, as single ones were tried.
    for position in (0..kept.len()).rev() {
        if kept.len() <= 2 {
            break;
        }
        let mut fewer = kept.clone();
        fewer.remove(position);
        let (answer, smaller) = ask(what(&fewer), with_outputs(case.clone(), &fewer), test)?;
        if answer == Answer::Bad {
            (case, kept) = (smaller, fewer);
        }
    }
    Ok(case)
}

/// `case` with these outputs alone, and without the nodes that only the others needed.
fn with_outputs(mut case: Case, kept: &[String]) -> Case {
    if let Some(main) = case.model.graph.as_mut() {
        main.output.retain(|v| kept.iter().any(|k| k == v.name()));
        let mut nodes = main.node.len() + 1;
        while main.node.len() < nodes {
            nodes = main.node.len();
            let read: HashSet<String> = clean::reads(main);
            main.node.retain(|n| n.output.iter().any(|o| read.contains(o)));
        }
    }
    tidy(case)
}

/// `graph` and all graphs inside it; their positions are those that [`edit_graph`] takes.
fn graphs(graph: &GraphProto) -> Vec<&GraphProto> {
    let inner = graph.node.iter().flat_map(|n| n.subgraphs()).flat_map(|(_, g)| graphs(g));
    std::iter::once(graph).chain(inner).collect()
}

/// Calls `f` on the graph at this position of [`graphs`].
fn edit_graph(graph: &mut GraphProto, position: usize, f: &mut dyn FnMut(&mut GraphProto)) {
    each_graph_mut(graph, &mut 0, &mut |number, graph| {
        if number == position {
            f(graph);
        }
    });
}

fn each_graph_mut(graph: &mut GraphProto, number: &mut usize, f: &mut dyn FnMut(usize, &mut GraphProto)) {
    f(*number, graph);
    *number += 1;
    for inner in graph.node.iter_mut().flat_map(|n| n.subgraphs_mut()) {
        each_graph_mut(inner, number, f);
    }
}

#[cfg(test)]
mod tests;
