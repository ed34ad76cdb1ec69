//! Culprits with one story: how many findings there are, and what undoing each does to the outputs.

use super::Density::{self, Full, Short, Ticket};
use crate::found::words::{cosine, decibels, plural};
use crate::found::{Effect, Group, Report};
use crate::show::page::{Block, Fact, Words};

/// Findings that are told where there is no room for all.
const FEW: usize = 4;
/// Nodes of a finding that are named.
const NAMED: usize = 3;

/// Nothing where a single culprit is the whole story.
pub fn block(report: &Report, density: Density) -> Option<Block> {
    let groups = &report.groups;
    if groups.len() < 2 && groups.iter().all(|group| group.nodes.len() < 2) {
        return None;
    }
    let before = Effect::of(&report.outputs);
    let most = if density == Full { groups.len() } else { FEW };
    let mut lines: Vec<Words> =
        groups.iter().enumerate().take(most).map(|(at, group)| line(at, group, &before)).collect();
    if groups.len() > most {
        lines.push(format!("and {}", plural(groups.len() - most, "more finding")).into());
    }
    match density {
        Short => Some(Block::facts(lines.into_iter().map(|line| Fact::new("finding", line)).collect())),
        Ticket => Block::list(lines.into_iter().map(|line| Words::from("finding ").then(line))),
        Full => Some(Block::section("Findings, that whose undoing buys most first", vec![Block::List(lines)])),
    }
}

/// `1: 12 nodes (MatMul "layer.0/scores", ...), scale-mismatch; with these put right, all outputs agree`
fn line(at: usize, group: &Group, before: &Effect) -> Words {
    let head = Words::from(format!("{}: {} ({} ", at + 1, plural(group.nodes.len(), "node"), group.op_type));
    let names = head.then(Words::names(&group.nodes, NAMED)).then(")");
    let code = if group.code.is_empty() { String::new() } else { format!(", {}", group.code) };
    let alone = group.without.as_ref().map(|e| format!("; with that put right and nothing else, {}", e.told()));
    let so_far = group.without_all_so_far.as_ref().filter(|_| at > 0);
    let so_far = so_far.map(|e| format!("; with findings 1 to {}, {}", at + 1, e.told()));
    let layers = group.layers().map_or(String::new(), |layers| format!(", the same in {layers}"));
    let undone = group.undone.as_ref().map(|e| format!("; {}", undone(e, before, group.nodes.len())));
    let cause = group.cause.as_ref().map(|d| format!(": {}", d.evidence));
    let (cause, undone) = (cause.unwrap_or_default(), undone.unwrap_or_default());
    names
        .then(code)
        .then(layers)
        .then(cause)
        .then(undone)
        .then(alone.unwrap_or_default())
        .then(so_far.unwrap_or_default())
}

/// `with the cause undone in them and nothing else, all outputs agree (SQNR 9.8 -> 17.0 dB, cosine 0.945 -> 0.991)`
fn undone(effect: &Effect, before: &Effect, nodes: usize) -> String {
    let change = format!(
        "SQNR {} -> {} dB, cosine {} -> {}",
        decibels(before.sqnr_db.0),
        decibels(effect.sqnr_db.0),
        cosine(before.cosine.0),
        cosine(effect.cosine.0)
    );
    let them = if nodes == 1 { "" } else { " in all of them" };
    let comes = match effect.agree {
        true => format!("all outputs agree ({change})"),
        false => format!("the outputs diverge still ({change}): not a cure"),
    };
    format!("with the cause undone{them} and nothing else, {comes}")
}
