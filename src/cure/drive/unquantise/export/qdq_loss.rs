//! qdq_loss.json: both errors of every quantised tensor. Written where there is no cure as well.

use serde_json::{Value, json};

use super::{Told, Unquantised};
use crate::cure::export::{Content, Export, line, pretty};
use crate::found::{Metrics, Real};
use crate::qdq::Pair;

/// The table for people and scripts, always written.
pub fn export<'a>() -> Export<Told<'a>> {
    Export {
        consumer: "qdq_loss",
        file: "qdq_loss.json",
        content: |told| Ok(Some(Content::Text(table(told)?))),
        section: |_| vec![line(SECTION)],
    }
}

const SECTION: &str = "\
**qdq_loss.json**: both errors of every quantised tensor, the largest loss first. `quantisation` is what the pair alone does
to the reference's values; `accumulated` is how far the quantised model's values are from them, null where the search did
not look. `scale_ratio` far below 1 clips, far above 1 wastes steps.";

/// Both errors of every pair, the largest loss first; those without a loss last.
fn table(told: &Told) -> anyhow::Result<String> {
    let Unquantised { quantised, losses, .. } = told.remedy;
    let mut rows: Vec<(f64, Value)> = Vec::new();
    for (number, pair) in quantised.pairs.iter().enumerate() {
        let rank = losses[number].as_ref().map_or(f64::NEG_INFINITY, |l| l.relative);
        let mut row = row(told.remedy, number, pair);
        row["removed"] = told.is_removed(pair).into();
        rows.push((rank, row));
    }
    rows.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rows: Vec<Value> = rows.into_iter().map(|(_, row)| row).collect();
    pretty(&json!({"schema": "layerdiff.qdq_loss/1", "tensors": rows}))
}

/// One pair. `quantisation` is what it does to the reference's values; `accumulated` how far the candidate's are from
/// them, as the search measured it.
fn row(remedy: &Unquantised, number: usize, pair: &Pair) -> Value {
    let Unquantised { candidate, quantised, losses, accumulated, .. } = remedy;
    let owners = quantised.owners[number].iter().map(|n| quantised.float.nodes[*n].name.as_str());
    let behind = candidate.graph.nodes[pair.dequantize].writes.first();
    let behind = behind.map(|t| candidate.graph.tensors[*t].key.as_str()).unwrap_or_default();
    let measured = accumulated.iter().find(|t| t.name == pair.tensor || t.name == behind);
    let accumulated = measured.and_then(|t| t.metrics.as_ref()).map(errors);
    let mut row = json!({
        "tensor": pair.tensor,
        "nodes": owners.collect::<Vec<_>>(),
        "dtype": pair.dtype.to_string(),
        "weight": pair.weight,
        "quantisation": null,
        "accumulated": accumulated,
    });
    if let Some(loss) = &losses[number] {
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
        "relative_rms": Real(metrics.relative()),
        "sqnr_db": metrics.sqnr_db,
        "max_abs": metrics.max_abs,
        "mismatched": metrics.mismatched,
        "elements": metrics.elements,
    })
}
