//! From a failing model to a folder for a bug ticket: fewer nodes, then less data, and still the same failure. Graph cuts
//! driven by a predicate. **Knows no backend**: what runs a case and judges it is a closure, so closures test it.
//!
//! ```text
//! nodes -> descend (bodies of If, Loop, Scan, functions) -> trim -> data -> weights -> bundle
//! ```

pub mod bundle;
mod data;
pub mod descend;
pub mod drive;
mod freeze;
pub mod nodes;
mod repro;
pub mod sound;
pub mod story;
mod trim;
mod weights;

use crate::graph::{Graph, describe, node_name};
use crate::onnx::{ModelProto, TensorProto, ValueInfoProto};
use crate::search::Answer;
use crate::tensor::{Tensor, Tensors};
use nodes::{Found, Whole};
use sound::Sound;

/// A model that fails, and the data it fails on.
#[derive(Clone, Default)]
pub struct Case {
    /// Large initializers stay where they are: `external_data` relative to the folder of the model it was cut from.
    pub model: ModelProto,
    /// A value for every input of the model.
    pub feeds: Tensors,
    /// What the reference gives for the outputs; `None` where it has to be asked (the data was changed).
    pub expected: Option<Tensors>,
}

/// A smaller case, to be asked about.
#[derive(Clone)]
pub struct Attempt {
    /// What is different, unique in one reduction: the journal knows the answer by it ("nodes 3,7-9", "x axis 0 = 5").
    pub what: String,
    /// What is run and judged.
    pub case: Case,
}

/// Does it still fail? The first attempt is the question, the others will probably be asked next.
pub type Test<'a, E> = dyn FnMut(&[Attempt]) -> Result<Vec<Answer>, E> + 'a;

/// What reduction asks of the world outside.
pub struct Outside<'a, E> {
    /// Runs and judges cases.
    pub test: &'a mut Test<'a, E>,
    /// The right value of every tensor of a case's main graph, by name, as far as there is one to feed.
    pub values: &'a dyn Fn(&Case) -> Result<Tensors, E>,
    /// What is right for the outputs of a case; `None` where nobody can tell.
    pub expected: &'a dyn Fn(&Case) -> Result<Option<Tensors>, E>,
    /// An initializer's value, wherever its data is.
    pub payload: &'a dyn Fn(&TensorProto) -> Option<Tensor>,
    /// Where the failing output is wrong, as far as that is known.
    pub wrong_at: Option<Vec<usize>>,
}

/// How small, at what price.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Inputs become constants of the model.
    pub freeze: bool,
    /// Large weights give way to generators.
    pub shrink_weights: bool,
    /// Inputs and weights below this many bytes are not worth another attempt.
    pub enough: u64,
    /// Attempts that are asked about at a time.
    pub jobs: usize,
    /// The nodes stay as they are, since the truth about others is not known: only data may be cut.
    pub only_data: bool,
    /// The test runs the model itself; a command may merely look at it.
    pub runs: bool,
}

/// A case that was made smaller.
pub struct Smaller {
    /// Everything that still failed, the smallest last; never empty.
    pub steps: Vec<Step>,
    /// Without any single one of its nodes the last step was seen to pass.
    pub minimal: bool,
}

/// A form of the case that fails.
#[derive(Clone, Default)]
pub struct Step {
    /// What fails: the model with its feeds.
    pub case: Case,
    /// What was done up to here that a reader of the reproducer must know.
    pub notes: Vec<String>,
}

/// Generators of weights above this many bytes are worth a node.
const LARGE_WEIGHT: usize = 16 << 10;

/// Everything below the nodes: bodies, optional inputs, the failing slice of the data, weights; and the nodes once more,
/// since less data may need fewer of them.
pub fn smaller<E>(found: Found, options: &Options, outside: &mut Outside<E>) -> Result<Smaller, E> {
    let sound = Sound::like(&found.case.model, &found.case.feeds);
    let Outside { values, expected, payload, .. } = *outside;
    let refused = |case: &Case| sound.refuses(&case.model, &case.feeds).is_some();
    let mut outside = Outside {
        test: &mut |attempts: &[Attempt]| sound.ask(attempts, &mut *outside.test),
        values: &|case| if refused(case) { Ok(Tensors::new()) } else { values(case) },
        expected,
        payload,
        wrong_at: outside.wrong_at.clone(),
    };
    smaller_sound(found, options, &mut outside)
}

/// The same, where nothing absurd reaches what is outside.
fn smaller_sound<E>(found: Found, options: &Options, outside: &mut Outside<E>) -> Result<Smaller, E> {
    let first = Step { case: found.case, notes: Vec::new() };
    let mut result = Smaller { steps: vec![first], minimal: found.minimal };
    if !options.only_data {
        while step_inside(&mut result, options, outside)? {}
    }
    let guarded = !options.runs && !(outside.values)(&result.last())?.is_empty();
    let (payload, hint) = (outside.payload, outside.wrong_at.clone());
    let mut sound = |attempts: &[Attempt]| outside.sound(guarded, attempts);
    if !options.only_data {
        let case = result.last();
        let trimmed = trim::trim(case.clone(), &mut sound)?;
        let notes = left_out(&case.model, &trimmed.model);
        result.accept(trimmed, notes);
    }
    let shrunk = data::shrink(result.last(), payload, hint.as_deref(), options.enough, &mut sound)?;
    result.accept(shrunk.case, shrunk.notes);
    if result.steps.len() > 1 {
        fewer_nodes(&mut result, options, outside)?;
    }
    if options.shrink_weights && !options.only_data {
        let mut sound = |attempts: &[Attempt]| outside.sound(guarded, attempts);
        let generated = weights::shrink_weights(result.last(), payload, LARGE_WEIGHT, &mut sound)?;
        if generated.model != result.last().model {
            result.accept(generated, vec!["large weights gave way to generated ones".to_string()]);
            // With other weights, other nodes may be needed: of several, that was not tried.
            result.minimal &= names(&result.last().model).len() == 1;
        }
    }
    if options.freeze {
        freeze::freeze(&mut result, outside)?;
    }
    Ok(result)
}

impl<E> Outside<'_, E> {
    /// A test that runs nothing refuses nothing: where that is `guarded`, what the reference cannot run is no model.
    fn sound(&mut self, guarded: bool, attempts: &[Attempt]) -> Result<Vec<Answer>, E> {
        match attempts.first() {
            Some(first) if guarded && (self.values)(&first.case)?.is_empty() => Ok(vec![Answer::Unknown]),
            _ => (self.test)(attempts),
        }
    }
}

impl Smaller {
    fn last(&self) -> Case {
        self.steps.last().cloned().unwrap_or_default().case
    }

    /// A step that still fails, if it is one.
    fn accept(&mut self, case: Case, notes: Vec<String>) {
        let last = self.last();
        let same_data = case.feeds.len() == last.feeds.len()
            && case.feeds.iter().all(|(name, value)| last.feeds.get(name).is_some_and(|old| old.identical(value)));
        if case.model != last.model || !same_data {
            let before = self.steps.last().map(|step| step.notes.clone()).unwrap_or_default();
            self.steps.push(Step { case, notes: [before, notes].concat() });
        }
    }
}

/// Which optional inputs are there no more.
fn left_out(before: &ModelProto, after: &ModelProto) -> Vec<String> {
    let nodes = |model: &ModelProto| model.graph.as_ref().map(|g| g.node.clone()).unwrap_or_default();
    let after = nodes(after);
    let missing = nodes(before).into_iter().filter_map(|old| {
        let new = after.iter().find(|n| n.output == old.output)?;
        let gone = |i: &usize| !old.input[*i].is_empty() && new.input.get(*i).is_none_or(String::is_empty);
        let gone: Vec<String> = (0..old.input.len()).filter(gone).map(|i| i.to_string()).collect();
        (!gone.is_empty()).then(|| format!("left out optional input {} of '{}'", gone.join(", "), node_name(&old)))
    });
    missing.collect()
}

/// The nodes of the last step once more.
fn fewer_nodes<E>(result: &mut Smaller, options: &Options, outside: &mut Outside<E>) -> Result<(), E> {
    let case = result.last();
    let Ok(graph) = Graph::new(&case.model) else { return Ok(()) };
    let all = nodes::main_nodes(&graph);
    if all.len() < 2 {
        result.minimal = true;
        return Ok(());
    }
    let known = (outside.values)(&case)?;
    let target = match graph.outputs.as_slice() {
        [(_, Some(tensor))] => Some((*tensor, (outside.expected)(&case)?)),
        _ => None,
    };
    let (values, told) = (known_values(&known), known_types(&known));
    let label = "less data: ".to_string();
    let whole = Whole { model: &case.model, graph: &graph, values: &values, told: &told, target, label };
    let found = match whole.target {
        Some(_) => nodes::around(&whole, &all, true, options.jobs, &mut *outside.test)?,
        None => nodes::among(&whole, &all, options.jobs, &mut *outside.test)?,
    };
    if let Some(found) = found {
        result.minimal = found.minimal;
        if found.nodes.len() < all.len() {
            result.accept(found.case, Vec::new());
        }
    }
    Ok(())
}

/// Those of `known` that are asked for.
fn known_values(known: &Tensors) -> impl Fn(&[String]) -> Tensors {
    |keys| keys.iter().filter_map(|k| Some((k.clone(), known.get(k)?.clone()))).collect()
}

fn known_types(known: &Tensors) -> impl Fn(&str) -> Option<ValueInfoProto> {
    |key| known.get(key).map(|t| ValueInfoProto::tensor(key, t.dtype, &t.shape))
}

/// Goes into a body of the last step, where that fails on its own: it becomes the model, and its nodes are reduced.
fn step_inside<E>(result: &mut Smaller, options: &Options, outside: &mut Outside<E>) -> Result<bool, E> {
    let case = result.last();
    let Some(main) = &case.model.graph else { return Ok(false) };
    let holders = main.node.iter().enumerate().filter(|(_, n)| descend::holds_a_body(&case.model, n));
    let holders: Vec<(usize, String)> = holders.map(|(i, n)| (i, node_name(n))).collect();
    if holders.is_empty() {
        return Ok(false);
    }
    let values = (outside.values)(&case)?;
    for (index, holder) in holders {
        let stored = |name: &str| (outside.payload)(main.initializer.iter().find(|t| t.name() == name)?);
        let value = |name: &str| values.get(name).cloned().or_else(|| stored(name));
        let Some(flat) = descend::descend(&case.model, index, &value) else { continue };
        let label = format!("in {holder}, step {}: ", result.steps.len());
        let whole = Attempt { what: format!("{label}all"), case: flat };
        if (outside.test)(std::slice::from_ref(&whole))? != [Answer::Bad] {
            continue;
        }
        let flat = whole.case;
        let Ok(graph) = Graph::new(&flat.model) else { continue };
        let known = (outside.values)(&flat)?;
        let (values, told) = (known_values(&known), known_types(&known));
        let inside = Whole { model: &flat.model, graph: &graph, values: &values, told: &told, target: None, label };
        let nodes = nodes::main_nodes(&graph);
        let Some(found) = nodes::among(&inside, &nodes, options.jobs, &mut *outside.test)? else { continue };
        let note = format!("it is cut out of the body of '{holder}', with the values of its first iteration");
        result.accept(found.case, vec![note]);
        result.minimal = found.minimal;
        outside.wrong_at = None;
        return Ok(true);
    }
    Ok(false)
}

/// The case as it is written: its outputs and inner tensors described by `values` (all that the reference gives), an IR
/// version that allows initializers which are no inputs.
pub fn finished(values: &Tensors, mut case: Case) -> Case {
    if let Some(graph) = case.model.graph.as_mut() {
        describe(graph, |name| values.get(name).map(|t| ValueInfoProto::tensor(name, t.dtype, &t.shape)));
        let outputs = graph.output.iter();
        let right: Option<Tensors> =
            outputs.map(|o| Some((o.name().to_string(), values.get(o.name())?.clone()))).collect();
        case.expected = case.expected.or(right);
    }
    let mut case = trim::tidy(case);
    case.model.ir_version = Some(case.model.ir_version().max(OWN_INITIALIZERS));
    case
}

/// The nodes of a reproducer by name, generators of weights left out.
pub fn names(model: &ModelProto) -> Vec<String> {
    let nodes = model.graph.iter().flat_map(|g| &g.node).filter(|n| !weights::is_generator(n));
    nodes.map(node_name).collect()
}

/// `Conv 'conv1'` for each of them.
pub fn kinds(model: &ModelProto) -> Vec<String> {
    let nodes = model.graph.iter().flat_map(|g| &g.node).filter(|n| !weights::is_generator(n));
    nodes.map(|n| format!("{} '{}'", n.op_type(), node_name(n))).collect()
}

/// The first IR version whose initializers need not be inputs.
pub const OWN_INITIALIZERS: i64 = 4;
