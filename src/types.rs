//! Element types of every tensor, from the backend's own inference: nothing is guessed. Graph -> questions -> types.
//!
//! What is inside If, Loop and Scan is no output of the model; each body is asked about as a model of its own, with the
//! values it captures as inputs.

use rayon::prelude::*;

use crate::failure::RunError;
use crate::graph::node_name;
use crate::mark::Types;
use crate::onnx::{GraphProto, ModelProto, NodeProto, ValueInfoProto};
use crate::tensor::DType;

/// Output names of a model, each with its element type (`None` for sequences, maps and optionals).
pub type Outputs = Vec<(String, Option<DType>)>;

/// Adds what is inside subgraphs to `types`, which holds the main graph's. `ask` builds a model and tells its outputs;
/// a body that cannot be built alone stays unknown.
pub fn add_bodies(
    model: &ModelProto,
    types: &mut Types,
    ask: &(impl Fn(&ModelProto) -> Result<Outputs, RunError> + Sync),
) -> Result<(), RunError> {
    let Some(main) = &model.graph else { return Ok(()) };
    let mut outer = Vec::new();
    bodies(model, main, "", &mut outer, types, ask)
}

/// Adds everything in `model` to `types`: what nodes of the main graph make, and what is inside subgraphs. Where the model
/// cannot be built, nothing is learnt.
pub fn add_all(
    model: &ModelProto,
    types: &mut Types,
    ask: &(impl Fn(&ModelProto) -> Result<Outputs, RunError> + Sync),
) -> Result<(), RunError> {
    let Some(main) = &model.graph else { return Ok(()) };
    let asked = ModelProto { graph: Some(observed(main)), training_info: Vec::new(), ..model.clone_without_graph() };
    match ask(&asked) {
        Ok(outputs) => types.extend(outputs.into_iter().filter_map(|(name, dtype)| Some((name, dtype?)))),
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(_) => return Ok(()),
    }
    add_bodies(model, types, ask)
}

/// Types that need no question: the model's inputs and initializers.
pub fn declared(graph: &GraphProto) -> Types {
    let inputs = graph.input.iter().filter_map(|v| Some((v.name().to_string(), v.dtype()?)));
    let weights = graph.initializer.iter().filter_map(|t| Some((t.name().to_string(), t.dtype()?)));
    inputs.chain(weights).collect()
}

/// `outer` holds the names visible from the graphs around, innermost last.
fn bodies(
    model: &ModelProto,
    graph: &GraphProto,
    prefix: &str,
    outer: &mut Vec<(String, DType)>,
    types: &mut Types,
    ask: &(impl Fn(&ModelProto) -> Result<Outputs, RunError> + Sync),
) -> Result<(), RunError> {
    if graph.node.iter().all(|n| n.subgraphs().next().is_none()) {
        return Ok(());
    }
    let depth = outer.len();
    let own = declared(graph).into_iter();
    let made = graph.node.iter().flat_map(|n| n.output.iter());
    let made = made.filter_map(|o| Some((o.clone(), *types.get(&format!("{prefix}{o}"))?)));
    outer.extend(own.chain(made));
    let holders =
        graph.node.iter().flat_map(|node| node.subgraphs().map(move |(attribute, body)| (node, attribute, body)));
    let asked: Vec<_> = holders
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|(node, attribute, body)| {
            let inner = format!("{prefix}{}/{attribute}/", node_name(node));
            (inner, body, ask(&alone(model, node, body, outer)))
        })
        .collect();
    for (inner, body, answer) in asked {
        match answer {
            Ok(outputs) => {
                types.extend(outputs.into_iter().filter_map(|(name, dtype)| Some((format!("{inner}{name}"), dtype?))));
            }
            Err(RunError::Interrupted) => return Err(RunError::Interrupted),
            Err(_) => continue,
        }
        bodies(model, body, &inner, outer, types, ask)?;
    }
    outer.truncate(depth);
    Ok(())
}

/// The body of `node` as a model: what it captures becomes inputs, everything it makes becomes outputs.
fn alone(model: &ModelProto, node: &NodeProto, body: &GraphProto, outer: &[(String, DType)]) -> ModelProto {
    let own = declared(body);
    let defined = |name: &str| own.contains_key(name) || body.node.iter().any(|n| n.output.iter().any(|o| o == name));
    let mut graph = body.clone();
    for (position, input) in graph.input.iter_mut().enumerate() {
        if input.dtype().is_none()
            && let Some(dtype) = argument(node, position, outer)
        {
            let name = input.name().to_string();
            *input = ValueInfoProto::typed(&name, dtype, None);
        }
    }
    let mut given: Vec<String> = graph.input.iter().map(|v| v.name().to_string()).collect();
    for (name, dtype) in outer.iter().rev() {
        if !defined(name) && !given.contains(name) {
            given.push(name.clone());
            graph.input.push(ValueInfoProto::typed(name, *dtype, None));
        }
    }
    graph = observed(&graph);
    ModelProto { graph: Some(graph), training_info: Vec::new(), ..model.clone_without_graph() }
}

/// With everything that its nodes make as outputs. An empty optional cannot even be asked for.
fn observed(graph: &GraphProto) -> GraphProto {
    let made = graph.node.iter().filter(|n| !n.is("Optional")).flat_map(|n| n.output.iter());
    let output = made.filter(|o| !o.is_empty()).map(|o| ValueInfoProto::bare(o)).collect();
    GraphProto { output, ..graph.clone() }
}

/// The element type that Loop and Scan give to an input of their body.
fn argument(node: &NodeProto, position: usize, outer: &[(String, DType)]) -> Option<DType> {
    let slot = match (node.op_type(), position) {
        ("Loop", 0) => return Some(DType::Int64),
        ("Loop", 1) => return Some(DType::Bool),
        (_, position) => node.input.get(position)?,
    };
    outer.iter().rev().find(|(name, _)| name == slot).map(|(_, dtype)| *dtype)
}
