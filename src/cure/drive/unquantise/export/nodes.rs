//! nodes.json: all that is known of the cure, for scripts.

use serde_json::json;

use super::{Told, Unquantised};
use crate::cure::drive::unquantise::misfits::Misfit;
use crate::cure::export::{Content, Export, pretty, with_outcome};

/// The list for scripts, always written.
pub fn export<'a>() -> Export<Told<'a>> {
    Export::list(|told| Ok(Some(Content::Text(list(told)?))))
}

fn list(told: &Told) -> anyhow::Result<String> {
    let Unquantised { candidate, quantised, misfits, .. } = told.remedy;
    let float = &quantised.float;
    let node = |n: &usize| {
        let node = &float.nodes[*n];
        let made: Vec<&str> = node.writes.iter().map(|t| float.tensors[*t].name.as_str()).collect();
        json!({"name": node.name, "op_type": node.op_type, "outputs": made, "subgraph": node.subgraph()})
    };
    let found = told.found;
    let misfit = |m: &Misfit| {
        let pair = &quantised.pairs[m.pair];
        json!({"tensor": pair.tensor, "what": m.what, "removed": told.is_removed(pair)})
    };
    let list = json!({
        "schema": "layerdiff.unquantised/1",
        "model": candidate.model.path.to_string_lossy(),
        "nodes": told.nodes.iter().map(node).collect::<Vec<_>>(),
        "groups": found.groups,
        "removed": told.removed.iter().map(|p| p.tensor.as_str()).collect::<Vec<_>>(),
        "misfits": misfits.iter().map(misfit).collect::<Vec<_>>(),
    });
    pretty(&with_outcome(list, found))
}
