//! A model with an operator that ONNX Runtime has not, a plug-in of TensorRT's at its end for one: what stands in front of it is
//! judged. Which operators are unknown is tried, not guessed.

use anyhow::bail;

use crate::cli::GlobalArgs;
use crate::differ::schemas::Schemas;
use crate::found::Note;
use crate::found::fitted::Fitted;
use crate::graph::front::{Front, front};
use crate::graph::{Graph, Node, call};
use crate::load::Model;
use crate::run::RunError;
use crate::run::ort::{Loads, Runtime, library};

/// The model as it can be run: itself, or what stands in front of operators that nobody has here. `wanted` are the tensors that
/// the user wants judged. An error names the operator and what can be done, where nothing is left to judge.
pub fn runnable(model: Model, wanted: &[String], global: &GlobalArgs) -> anyhow::Result<(Model, Option<Note>)> {
    let Ok(graph) = Graph::new(&model.proto) else { return Ok((model, None)) };
    let strange = strange(&model, &graph);
    if strange.is_empty() {
        return Ok((model, None));
    }
    // Without a runtime, or with another one than this process has: who needs it says so.
    let Ok(ort) = library::find(global.ort_library.as_deref()).and_then(|found| Runtime::start(&found.path)) else {
        return Ok((model, None));
    };
    let loads = |model: &Model| -> Result<bool, RunError> { Ok(ort.loads(&model.lean(&model.proto))? == Loads::Yes) };
    if loads(&model)? {
        return Ok((model, None));
    }
    let Cut { model: shorter, unknown, cut } = match cut(&model, &graph, &strange, wanted) {
        Ok(Some(cut)) => cut,
        Ok(None) => bail!(
            "{}, and no tensor stands in front of it; give its library with --custom-ops LIB",
            lacks(&model, &strange, &graph)
        ),
        Err(behind) => bail!(
            "{}, and '{behind}' needs it; name tensors in front of it with --outputs, or give its library with --custom-ops LIB",
            lacks(&model, &strange, &graph)
        ),
    };
    // Something else is wrong with the model, and who runs it says what.
    if !loads(&shorter)? {
        return Ok((model, None));
    }
    // Of several, those alone that must be left out.
    let mut best = Cut { model: shorter, unknown, cut };
    for op_type in types(&graph, &strange) {
        let fewer: Vec<usize> = best.unknown.iter().copied().filter(|id| graph.nodes[*id].op_type != op_type).collect();
        if fewer.is_empty() || fewer.len() == best.unknown.len() {
            continue;
        }
        if let Ok(Some(longer)) = self::cut(&model, &graph, &fewer, wanted)
            && loads(&longer.model)?
        {
            best = longer;
        }
    }
    let node = best.unknown.first().map(|id| &graph.nodes[*id]);
    let note = node.map(|node| Fitted::Cut {
        op_type: node.op_type.clone(),
        node: node.name.clone(),
        more: best.unknown.len() - 1,
        without: best.cut.without,
        judged: if wanted.is_empty() { best.cut.outputs.clone() } else { Vec::new() },
    });
    Ok((best.model, note.map(Note::Fitted)))
}

struct Cut {
    model: Model,
    /// Nodes in front of which it is cut.
    unknown: Vec<usize>,
    cut: Front,
}

fn cut(model: &Model, graph: &Graph, unknown: &[usize], wanted: &[String]) -> Result<Option<Cut>, String> {
    let cut = front(&model.proto, graph, unknown, wanted)?;
    Ok(cut.map(|cut| Cut { model: model.edited(cut.model.clone()), unknown: unknown.to_vec(), cut }))
}

/// Nodes whose operator is none of ONNX's, nor one of ONNX Runtime's own, nor a function of the model.
fn strange(model: &Model, graph: &Graph) -> Vec<usize> {
    let schemas = Schemas::new();
    let known = |node: &Node| {
        let proto = node.proto(&model.proto);
        schemas.of(&node.domain, &node.op_type, i64::MAX).is_some()
            || proto.is_none_or(|proto| call::function(&model.proto, proto).is_some())
    };
    (0..graph.nodes.len()).filter(|id| !known(&graph.nodes[*id])).collect()
}

fn types(graph: &Graph, nodes: &[usize]) -> Vec<String> {
    let mut types: Vec<String> = nodes.iter().map(|id| graph.nodes[*id].op_type.clone()).collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn lacks(model: &Model, strange: &[usize], graph: &Graph) -> String {
    let node = strange.first().map(|id| &graph.nodes[*id]);
    let named = node.map_or(String::new(), |node| format!("{} ('{}')", node.op_type, node.name));
    format!("ONNX Runtime cannot load {}, whose operator {named} is none of ONNX's", model.path.display())
}
