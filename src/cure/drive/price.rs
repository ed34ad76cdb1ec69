//! What a cure costs where the candidate has a price of its own: latency, and whether the builder did as it was told.

use crate::found::{CureNote, NodePrice, Overrides, Price, Real};
use crate::lab::times::{Took, time};
use crate::lab::{Lowering, Side, Work};
use crate::precision::Kept;
use crate::run::{Layer, RunError};
use crate::tensor::Tensors;

/// Runs that are timed.
const RUNS: usize = 15;

/// What the candidate takes as it is and with the nodes of the cure changed, beside the reference; nothing where the candidate
/// has no time of its own.
pub fn latency(
    (side, reference): (&Side, &Side),
    (before, after): (&Work, &Work),
    found: &mut Overrides,
) -> Result<(), RunError> {
    // The cure is what was built last, and may be at hand.
    let Some(cured) = time(side, after, RUNS)? else { return Ok(()) };
    let Some(whole) = time(side, before, RUNS)? else { return Ok(()) };
    let beside = time(reference, &reference.work(before.feeds, &[]), RUNS)?;
    (found.latency_before, found.latency_after) = (Some(whole.latency.median), Some(cured.latency.median));
    let nodes = found.nodes.iter().filter_map(|node| of_node(node, &whole, &cured)).collect();
    let reference = beside.map(|took| took.latency);
    found.price = Some(Price { before: whole.latency, after: cured.latency, reference, nodes });
    Ok(())
}

/// A node that is there under its own name before and after.
fn of_node(node: &str, before: &Took, after: &Took) -> Option<NodePrice> {
    let of = |took: &Took| took.nodes.iter().find(|n| n.node == node).map(|n| Real(n.seconds));
    Some(NodePrice { node: node.to_string(), before: of(before)?, after: of(after)? })
}

/// Nodes that a builder was told to keep in FP32 and did not. Only a builder that chooses precisions by itself can do that.
pub fn ignored(side: &Side, nodes: &[usize], kept: &Kept, feeds: &[Tensors]) -> Result<Vec<CureNote>, RunError> {
    if !matches!(side.lowering, Lowering::Backend(_)) {
        return Ok(Vec::new());
    }
    let outputs: Vec<String> = side.graph.outputs.iter().map(|(name, _)| name.clone()).collect();
    let answer = side.perform(&side.work(feeds, &outputs).keeping(kept));
    let built = match answer {
        Err(RunError::Interrupted) => return Err(RunError::Interrupted),
        Err(_) => return Ok(Vec::new()),
        Ok(answer) => answer.built.unwrap_or_default(),
    };
    let name = |node: &usize| &side.graph.nodes[*node].name;
    Ok(nodes.iter().filter_map(|node| told_otherwise(name(node), &built.layers)).collect())
}

fn told_otherwise(node: &str, layers: &[Layer]) -> Option<CureNote> {
    let layer = layers.iter().find(|layer| layer.nodes.iter().any(|n| n == node))?;
    let low = layer.types.iter().find(|t| ["FP16", "Half", "BF16", "BFloat16"].iter().any(|low| t.contains(low)))?;
    Some(CureNote::Ignored { node: node.to_string(), ran: low.clone(), layer: layer.name.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_ran_low_is_told() {
        let layer = |types: &[&str]| Layer {
            name: "a + b".to_string(),
            kind: "fusion".to_string(),
            types: types.iter().map(|t| t.to_string()).collect(),
            nodes: vec!["a".to_string(), "b".to_string()],
        };
        let told = told_otherwise("b", &[layer(&["Row major linear FP16 format"])]).unwrap().to_string();
        assert!(told.contains("'b': requested FP32, ran Row major linear FP16"), "{told}");
        assert_eq!(told_otherwise("b", &[layer(&["FP32"])]), None);
        assert_eq!(told_otherwise("c", &[layer(&["Half"])]), None);
    }
}
