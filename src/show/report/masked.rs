//! Nodes whose error is lost before it reaches an output: a line each, a few of them, behind the culprits.

use super::Density::{self, Full, Short, Ticket};
use crate::found::words::count;
use crate::found::{Masked, Report};
use crate::show::page::{Block, Fact, Span, Words};

/// Lines where there is no room for all.
const FEW: usize = 3;
/// Tensors that are named in a line.
const NAMED: usize = 2;

/// All of it. Nothing where there is none; where nobody is to blame, only a browser shows them.
pub fn block(report: &Report, density: Density) -> Option<Block> {
    if report.masked.is_empty() || (report.precision_limited.is_some() && density != Full) {
        return None;
    }
    let most = if density == Full { report.masked.len() } else { FEW };
    let lines = report.masked.iter().take(most).map(line);
    let left = report.masked.len().saturating_sub(most);
    let rest = (left > 0).then(|| format!("and {} more", count(left as u64)).into());
    let lines: Vec<Words> = lines.chain(rest).collect();
    match density {
        Short => Some(Block::facts(lines.into_iter().map(|line| Fact::new("masked", line)).collect())),
        Ticket => Block::list(lines.into_iter().map(|line| Words::from("masked: ").then(line))),
        Full => Some(Block::section("Masked: wrong, but lost before an output", vec![Block::List(lines)])),
    }
}

/// `"A_bias" (Add) is wrong (max abs 1.2e-5), but its error is lost in "A_mean"`
fn line(masked: &Masked) -> Words {
    let name = Words::from(Span::Name(masked.node.told())).then(" ").and(Span::Operator(masked.node.operator()));
    let error = format!(" is wrong ({}), but its error is lost in ", masked.accumulated.told());
    name.then(error).then(Words::names(&masked.masked_by, NAMED))
}
