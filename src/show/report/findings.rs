//! Culprits with one story: how many findings there are, and what undoing each does to the outputs.

use super::Density::{self, Full, Short, Ticket};
use crate::found::words::plural;
use crate::found::{Group, Report};
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
    let most = if density == Full { groups.len() } else { FEW };
    let mut lines: Vec<Words> = groups.iter().enumerate().take(most).map(|(at, group)| line(at, group)).collect();
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
fn line(at: usize, group: &Group) -> Words {
    let head = Words::from(format!("{}: {} ({} ", at + 1, plural(group.nodes.len(), "node"), group.op_type));
    let names = head.then(Words::names(&group.nodes, NAMED)).then(")");
    let code = if group.code.is_empty() { String::new() } else { format!(", {}", group.code) };
    let alone = group.without.as_ref().map(|e| format!("; with that put right and nothing else, {}", e.told()));
    let so_far = group.without_all_so_far.as_ref().filter(|_| at > 0);
    let so_far = so_far.map(|e| format!("; with findings 1 to {}, {}", at + 1, e.told()));
    names.then(code).then(alone.unwrap_or_default()).then(so_far.unwrap_or_default())
}
