//! From a failing model to a folder for a bug ticket: fewer nodes, then less data, and still the same failure. Graph cuts
//! driven by a predicate. **Knows no backend**: what runs a case and judges it is a closure, so closures test it.
//!
//! ```text
//! nodes -> descend (bodies of If, Loop, Scan, functions) -> trim -> data -> weights -> bundle
//! ```

pub mod bundle;
mod data;
mod descend;
pub mod nodes;
mod repro;
pub mod story;
mod trim;
mod weights;

use crate::graph::{Graph, describe, node_name};
use crate::load::testset::tensor_to_proto;
use crate::onnx::{ModelProto, TensorProto, ValueInfoProto};
use crate::search::Answer;
use crate::tensor::{Tensor, Tensors};
use nodes::{Found, Whole};

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
pub struct Attempt {
    /// What is different, unique in one reduction: the journal knows the answer by it ("nodes 3,7-9", "x axis 0 = 5").
    pub what: String,
    pub case: Case,
}

/// Does it still fail? The first attempt is the question, the others will probably be asked next.
pub type Test<'a, E> = dyn FnMut(&[Attempt]) -> Result<Vec<Answer>, E> + 'a;

/// What reduction asks of the world outside.
pub struct Outside<'a, E> {
    pub test: &'a mut Test<'a, E>,
    /// The value of every tensor of a case's main graph, by name; none where the reference cannot run it.
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
}

/// A case that was made smaller.
pub struct Smaller {
    /// Every step that still failed, the smallest last; never empty.
    pub steps: Vec<Case>,
    /// What was done that a reader of the reproducer must know.
    pub notes: Vec<String>,
    pub minimal: bool,
}

/// Generators of weights above this many bytes are worth a node.
const LARGE_WEIGHT: usize = 16 << 10;

/// Everything below the nodes: bodies, optional inputs, the failing slice of the data, weights. `label` stands in front of
/// every attempt's name.
pub fn smaller<E>(found: Found, options: &Options, outside: &mut Outside<E>, label: &str) -> Result<Smaller, E> {
    let mut result = Smaller { steps: vec![found.case], notes: Vec::new(), minimal: found.minimal };
    if !options.only_data {
        while step_inside(&mut result, options, outside, label)? {}
    }
    let mut ask = |attempts: &[Attempt]| (outside.test)(attempts);
    if !options.only_data {
        result.accept(trim::trim(result.last(), &mut ask)?);
    }
    let hint = outside.wrong_at.as_deref();
    let shrunk = data::shrink(result.last(), outside.payload, hint, options.enough, &mut ask)?;
    result.accept(shrunk.case);
    result.notes.extend(shrunk.notes);
    if options.shrink_weights && !options.only_data {
        result.accept(weights::shrink_weights(result.last(), outside.payload, LARGE_WEIGHT, &mut ask)?);
    }
    let mut case = result.last();
    if options.freeze && !case.feeds.is_empty() {
        case.expected = (outside.expected)(&case)?;
        match ask(&[Attempt { what: format!("{label}frozen"), case: frozen(&case) }])?.first() {
            Some(Answer::Bad) => result.accept(frozen(&case)),
            _ => result.notes.push("with its inputs frozen it does not fail, so they are inputs".to_string()),
        }
    }
    Ok(result)
}

impl Smaller {
    fn last(&self) -> Case {
        self.steps.last().cloned().unwrap_or_default()
    }

    /// A step that still fails, if it is one.
    fn accept(&mut self, case: Case) {
        let last = self.last();
        let same_data = case.feeds.len() == last.feeds.len()
            && case.feeds.iter().all(|(name, value)| last.feeds.get(name).is_some_and(|old| old.identical(value)));
        if case.model != last.model || !same_data {
            self.steps.push(case);
        }
    }
}

/// Goes into a body of the last step, where that fails on its own: it becomes the model, and its nodes are reduced.
fn step_inside<E>(result: &mut Smaller, options: &Options, outside: &mut Outside<E>, label: &str) -> Result<bool, E> {
    let case = result.last();
    let Some(main) = &case.model.graph else { return Ok(false) };
    let holders = main.node.iter().enumerate().filter(|(_, n)| descend::holds_a_body(&case.model, n));
    let holders: Vec<(usize, String)> = holders.map(|(i, n)| (i, node_name(n))).collect();
    if holders.is_empty() {
        return Ok(false);
    }
    let values = (outside.values)(&case)?;
    for (index, holder) in holders {
        let Some(flat) = descend::descend(&case.model, index, &|name| values.get(name).cloned()) else { continue };
        let label = format!("{label}in {holder}: ");
        let whole = Attempt { what: format!("{label}all"), case: flat };
        if (outside.test)(std::slice::from_ref(&whole))? != [Answer::Bad] {
            continue;
        }
        let flat = whole.case;
        let Ok(graph) = Graph::new(&flat.model) else { continue };
        let known = (outside.values)(&flat)?;
        let inside = Whole {
            model: &flat.model,
            graph: &graph,
            values: &|keys| keys.iter().filter_map(|k| Some((k.clone(), known.get(k)?.clone()))).collect(),
            told: &|key| known.get(key).map(|t| ValueInfoProto::tensor(key, t.dtype, &t.shape)),
            target: None,
            label,
        };
        let nodes = nodes::main_nodes(&graph);
        let Some(found) = nodes::among(&inside, &nodes, options.jobs, |a: &[Attempt]| (outside.test)(a))? else {
            continue;
        };
        result.notes.push(format!("it is cut out of the body of '{holder}', with the values of its first iteration"));
        result.steps.push(found.case);
        result.minimal = found.minimal;
        outside.wrong_at = None;
        return Ok(true);
    }
    Ok(false)
}

/// The inputs become initializers.
fn frozen(case: &Case) -> Case {
    let mut frozen = Case { feeds: Tensors::new(), ..case.clone() };
    if let Some(graph) = frozen.model.graph.as_mut() {
        graph.initializer.extend(case.feeds.iter().map(|(name, value)| tensor_to_proto(name, value)));
        graph.input.retain(|input| !case.feeds.contains_key(input.name()));
    }
    frozen
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
