//! nodes.json: all that is known of the cure, for scripts.

use serde_json::{Value, json};

use super::{Content, Export, Kept, Told, pretty};
use crate::found::Real;

/// The list for scripts, always written.
pub fn export<'a>() -> Export<Told<'a>> {
    Export::list(|told| Ok(Some(Content::Text(list(told)?))))
}

fn list(told: &Told) -> anyhow::Result<String> {
    let Told { o, kept, onnx, .. } = told;
    let node = |k: &Kept| {
        json!({
            "name": k.name,
            "op_type": k.op_type,
            "outputs": k.outputs,
            "index": k.index,
            "subgraph": k.subgraph,
        })
    };
    let names = |numbers: &[usize]| -> Vec<&str> {
        kept.iter().filter(|k| numbers.contains(&k.number)).map(|k| k.name.as_str()).collect()
    };
    let groups: Vec<Value> =
        o.story.groups.iter().map(|g| json!({"title": g.title, "nodes": names(&g.nodes)})).collect();
    let list = json!({
        "schema": "layerdiff.overrides/1",
        "model": onnx,
        "precision": "fp32",
        "low": o.low.to_string(),
        "nodes": kept.iter().map(node).collect::<Vec<_>>(),
        "groups": groups,
        "verified": o.story.verified,
        "limited": o.story.limited,
        "measure": o.story.measure,
        "error_before": Real(o.story.error_before),
        "error_after": Real(o.story.error_after),
    });
    pretty(&list)
}
