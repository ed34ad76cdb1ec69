//! What a cure costs where the candidate has a price of its own: latency, and whether the builder did as it was told.

use crate::found::stages::Latency;
use crate::found::{CureNote, Overrides, Price};
use crate::lab::{Lowering, Side, Work};
use crate::precision::Kept;
use crate::run::{Layer, RunError};
use crate::tensor::Tensors;

/// Runs that are timed.
const RUNS: usize = 15;

/// The candidate's latency with nothing kept in FP32, and with `kept`, beside the reference's. An emulation has none.
pub fn latency(
    (side, reference): (&Side, &Side),
    kept: &Kept,
    feed: &Tensors,
    found: &mut Overrides,
) -> Result<(), RunError> {
    if matches!(side.lowering, Lowering::None | Lowering::Emulate(_)) {
        return Ok(());
    }
    let feeds = std::slice::from_ref(feed);
    let nothing = Kept::new();
    let before = time(side, &side.work(feeds, &[]).keeping(&nothing))?;
    let after = time(side, &side.work(feeds, &[]).keeping(kept))?;
    if let (Some(before), Some(after)) = (before, after) {
        (found.latency_before, found.latency_after) = (Some(before.median), Some(after.median));
        let reference = if reference.runs() { time(reference, &reference.work(feeds, &[]))? } else { None };
        found.price = Some(Price { before, after, reference });
    }
    Ok(())
}

/// It ran in the search: a price that cannot be told takes nothing from the cure.
fn time(side: &Side, work: &Work) -> Result<Option<Latency>, RunError> {
    match side.latency(work, RUNS) {
        Err(RunError::Interrupted) => Err(RunError::Interrupted),
        Err(_) => Ok(None),
        Ok(seconds) => Ok(seconds.and_then(|seconds| Latency::of(&seconds))),
    }
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
