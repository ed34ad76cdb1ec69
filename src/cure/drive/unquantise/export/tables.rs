//! The lists in JSON.

use serde_json::{Value, json};

use super::{Export, Misfit};
use crate::cure::drive::trials::relative;
use crate::found::{Metrics, Real};
use crate::qdq::{Exclusions, Pair};

/// All that is known of the cure, for scripts.
pub fn nodes(e: &Export) -> anyhow::Result<String> {
    let float = &e.quantised.float;
    let node = |n: &usize| {
        let node = &float.nodes[*n];
        let made: Vec<&str> = node.writes.iter().map(|t| float.tensors[*t].name.as_str()).collect();
        json!({"name": node.name, "op_type": node.op_type, "outputs": made, "subgraph": node.subgraph()})
    };
    let found = e.overrides;
    let removed = e.quantised.removed(e.nodes);
    let misfit = |m: &Misfit| {
        let pair = &e.quantised.pairs[m.pair];
        let removed = removed.iter().any(|p| p.dequantize == pair.dequantize);
        json!({"tensor": pair.tensor, "what": m.what, "removed": removed})
    };
    pretty(&json!({
        "schema": "layerdiff.unquantised/1",
        "model": e.candidate.model.path.to_string_lossy(),
        "nodes": e.nodes.iter().map(node).collect::<Vec<_>>(),
        "groups": found.groups,
        "removed": removed.iter().map(|p| p.tensor.as_str()).collect::<Vec<_>>(),
        "misfits": e.misfits.iter().map(misfit).collect::<Vec<_>>(),
        "verified": found.verified,
        "minimal": found.minimal,
        "why": found.why,
        "measure": "relative RMS error of the worst output",
        "error_before": found.error_before,
        "error_after": found.error_after,
    }))
}

/// Keywords of `onnxruntime.quantization.quantize_static`.
pub fn onnxruntime(told: &Exclusions) -> anyhow::Result<String> {
    pretty(&json!({
        "nodes_to_exclude": told.ort,
        "extra_options": {"OpTypesToExcludeOutputQuantization": told.makers},
    }))
}

/// Both errors of every pair, the largest loss first; those without a loss last.
pub fn losses(e: &Export) -> anyhow::Result<String> {
    let removed: Vec<usize> = e.quantised.removed(e.nodes).iter().map(|p| p.dequantize).collect();
    let mut rows: Vec<(f64, Value)> = Vec::new();
    for (number, pair) in e.quantised.pairs.iter().enumerate() {
        let rank = e.losses[number].as_ref().map_or(f64::NEG_INFINITY, |l| l.relative);
        let mut row = row(e, number, pair);
        row["removed"] = removed.contains(&pair.dequantize).into();
        rows.push((rank, row));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    pretty(&json!({"schema": "layerdiff.qdq_loss/1", "tensors": rows}))
}

/// One pair. `quantisation` is what it does to the reference's values; `accumulated` how far the candidate's are from
/// them, as the search measured it.
fn row(e: &Export, number: usize, pair: &Pair) -> Value {
    let owners = e.quantised.owners[number].iter().map(|n| e.quantised.float.nodes[*n].name.as_str());
    let behind = e.candidate.graph.nodes[pair.dequantize].writes.first();
    let behind = behind.map(|t| e.candidate.graph.tensors[*t].key.as_str()).unwrap_or_default();
    let measured = e.accumulated.iter().find(|t| t.name == pair.tensor || t.name == behind);
    let accumulated = measured.and_then(|t| t.metrics.as_ref()).map(errors);
    let mut row = json!({
        "tensor": pair.tensor,
        "nodes": owners.collect::<Vec<_>>(),
        "dtype": pair.dtype.to_string(),
        "weight": pair.weight,
        "quantisation": null,
        "accumulated": accumulated,
    });
    if let Some(loss) = &e.losses[number] {
        let known = &loss.losses;
        let ends = |(lo, hi): (f64, f64)| [Real(lo), Real(hi)];
        row["quantisation"] = errors(&known.quantisation);
        row["sample"] = loss.sample.into();
        row["clip_fraction"] = json!(Real(known.clip_fraction));
        row["at_qmin"] = json!(Real(known.at_qmin));
        row["at_qmax"] = json!(Real(known.at_qmax));
        row["range"] = json!(ends(known.range));
        row["representable"] = json!(ends(known.representable));
        row["scale_ratio"] = json!(known.scale_ratio.map(Real));
        row["axis_suspect"] = json!(known.axis_suspect);
    }
    row
}

fn errors(metrics: &Metrics) -> Value {
    json!({
        "relative_rms": Real(relative(metrics)),
        "sqnr_db": metrics.sqnr_db,
        "max_abs": metrics.max_abs,
        "mismatched": metrics.mismatched,
        "elements": metrics.elements,
    })
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
