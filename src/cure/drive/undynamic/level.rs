//! The cheapest cure of n-bit products: `accuracy_level` 4 lets a kernel round the activations to eight bits, and 1 keeps them in float32,
//! with the weights as they are. One trial of the whole file.

use super::Undynamic;
use crate::found::words::count;
use crate::found::{Overrides, QuantiserSetting};
use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto};
use crate::run::RunError;
use crate::search::Answer;

/// The level that rounds activations to eight bits.
const ROUNDED: i64 = 4;
/// The level of float32.
const FLOAT: i64 = 1;
const NAME: &str = "accuracy_level";

/// Puts the setting into what was found where it cures the outputs. Nothing is tried where no product has such activations, or
/// no build is left.
pub fn tried(remedy: &Undynamic, builds: u64, found: &mut Overrides) -> Result<(), RunError> {
    let rounded = products(&remedy.file.model.proto);
    if rounded == 0 || found.builds as u64 >= builds {
        return Ok(());
    }
    let trial = remedy.exact.ask(&[Vec::new()])?;
    found.settings_tried += 1;
    if trial.first().is_some_and(|trial| trial.answer == Answer::Good) {
        let detail = format!(
            "{FLOAT}: the activations of {} MatMulNBits in float32, their weights as they are",
            count(rounded as u64)
        );
        let verified = remedy.exact.held_back(&[])?.is_none();
        found.settings.push(QuantiserSetting { setting: NAME.to_string(), detail, verified });
    }
    Ok(())
}

/// The file with float32 activations in all of them.
pub fn in_float(model: &ModelProto) -> ModelProto {
    let mut edited = model.clone();
    if let Some(graph) = edited.graph.as_mut() {
        each(graph, &mut |node| {
            node.attribute.retain(|a| a.name() != NAME);
            node.attribute.push(AttributeProto::int(NAME, FLOAT));
        });
    }
    edited
}

/// How many products round their activations.
fn products(model: &ModelProto) -> usize {
    let mut found = 0;
    // A copy of the graph: weights are shared.
    if let Some(graph) = model.graph.clone().as_mut() {
        each(graph, &mut |_| found += 1);
    }
    found
}

fn each(graph: &mut GraphProto, f: &mut impl FnMut(&mut NodeProto)) {
    for node in &mut graph.node {
        if node.op_type() == "MatMulNBits" && node.attr(NAME).is_some_and(|a| a.i() == ROUNDED) {
            f(node);
        }
        node.subgraphs_mut().for_each(|body| each(body, f));
    }
}
