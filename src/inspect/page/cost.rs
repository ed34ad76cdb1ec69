//! Nodes and what they cost, on the terminal: the table of layers, then operators, then the sum.

use super::headed;
use super::table::table;
use crate::found::words::{bytes, clean, count, number, plural};
use crate::inspect::facts::{NodeFacts, OperatorCost, Total};
use crate::inspect::port::type_text;
use crate::show::page::{Block, ColumnKind, Fact, Role};
use crate::tensor::shape_text;

/// Every node that is listed.
pub fn blocks(nodes: &[NodeFacts], total: &Total) -> Vec<Block> {
    let columns = [
        (ColumnKind::Name, "layer"),
        (ColumnKind::Words, "operator"),
        (ColumnKind::Name, "makes"),
        (ColumnKind::Number, "FLOPs"),
        (ColumnKind::Number, "share"),
        (ColumnKind::Number, "bytes"),
    ];
    // What only writes a number down is no layer.
    let layers = nodes.iter().filter(|node| node.op_type != "Constant");
    let rows = layers.map(|node| {
        let makes = node.outputs.first().map_or("-".to_string(), |o| type_text(o.dtype, o.shape.as_deref()));
        let cost = &node.cost;
        let unknown = || "?".to_string();
        [
            node.name.clone(),
            node.op_type.clone(),
            makes,
            cost.flops.map_or_else(unknown, large),
            cost.share.map_or_else(unknown, |share| percent(share.0)),
            cost.bytes.map_or_else(unknown, bytes),
        ]
    });
    let mut blocks: Vec<Block> = table(columns, rows).into();
    blocks.extend(operators(&total.operators));
    blocks.push(Block::Gap);
    blocks.push(headed(Role::Strong, "cost", sum(total), facts(total)));
    blocks
}

fn operators(all: &[OperatorCost]) -> Vec<Block> {
    let columns = [
        (ColumnKind::Name, "operator"),
        (ColumnKind::Number, "nodes"),
        (ColumnKind::Number, "FLOPs"),
        (ColumnKind::Number, "share"),
        (ColumnKind::Number, "bytes"),
    ];
    let costly = all.iter().filter(|o| o.flops > 0);
    table(
        columns,
        costly.map(|o| [o.name.clone(), count(o.nodes as u64), large(o.flops), percent(o.share.0), bytes(o.bytes)]),
    )
    .into()
}

fn sum(total: &Total) -> String {
    format!("{} FLOPs, {} read and written were nothing fused", large(total.flops), bytes(total.bytes))
}

fn facts(total: &Total) -> Vec<Fact> {
    let mut facts = Vec::new();
    let shapes: Vec<String> =
        total.shapes.iter().map(|(name, shape)| format!("{}={}", clean(name), shape_text(shape))).collect();
    match shapes.is_empty() {
        true => {
            facts.push(Fact::doubtful("shapes", "not all are known: give --shape NAME=1x3x224x224 for each open input"))
        }
        false => facts.push(Fact::new("for", shapes.join(", "))),
    }
    if total.unknown > 0 {
        let text = format!("{} whose shapes or formula are not known, not in the sum", plural(total.unknown, "node"));
        facts.push(Fact::doubtful("unknown", text));
    }
    if let Some(some) = &total.filtered {
        let text = format!(
            "{}: {}, {} FLOPs ({}), {}",
            clean(&some.name),
            plural(some.nodes, "node"),
            large(some.flops),
            percent(some.share.0),
            bytes(some.bytes)
        );
        facts.push(Fact::strong("filter", text));
    }
    facts
}

/// `1.23 G`
fn large(n: u64) -> String {
    let units = [(1_000_000_000_000, " T"), (1_000_000_000, " G"), (1_000_000, " M"), (1_000, " k")];
    match units.iter().find(|(unit, _)| n >= *unit) {
        Some((unit, name)) => format!("{}{name}", number(n as f64 / *unit as f64)),
        None => n.to_string(),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
