//! Quantisation on the terminal: by operator, what is left and why, then every pair.

use super::headed;
use super::table::{some, table};
use crate::found::Real;
use crate::found::words::{clean, count, number, plural};
use crate::inspect::facts::{Coverage, Left, PairFacts, SharedScale};
use crate::show::page::{Block, ColumnKind, Fact, Role};

/// Nodes told of one kind; JSON has all.
const NODES: usize = 40;
/// Scales told that are shared.
const SHARED: usize = 12;

/// Everything that is known of it.
pub fn blocks(coverage: &Coverage) -> Vec<Block> {
    if let Some(why) = &coverage.why {
        return vec![Block::Gap, headed(Role::Doubt, "coverage", format!("not known: {}", clean(why)), Vec::new())];
    }
    let (n, all) = (count(coverage.quantised as u64), plural(coverage.nodes, "node"));
    let head = format!("{n} of {all} that compute with floats are quantised; {}", plural(coverage.pairs.len(), "pair"));
    let mut facts = reasons(&coverage.left);
    facts.extend(coverage.shared.iter().take(SHARED).map(shared));
    if coverage.shared.len() > SHARED {
        facts.push(Fact::new("", format!("and {} more scales", coverage.shared.len() - SHARED)));
    }
    let mut blocks = vec![Block::Gap, headed(Role::Strong, "coverage", head, facts)];
    blocks.extend(operators(coverage));
    // Where nothing is quantised, every node is left for the same reason.
    if !coverage.pairs.is_empty() || coverage.quantised > 0 {
        blocks.extend(nodes("not quantised", &coverage.left));
    }
    blocks.extend(nodes("to be known", &coverage.remarks));
    blocks.extend(pairs(&coverage.pairs));
    blocks
}

/// How many are left for which reason.
fn reasons(left: &[Left]) -> Vec<Fact> {
    let kinds = [
        ("operator", "of operators that quantisers do not take by default"),
        ("type_left_out", "of operators of which none is quantised"),
        ("weight", "whose weight is not quantised"),
        ("input", "with an input that is not quantised"),
        ("neighbours", "beside others that are not quantised"),
        ("excluded", "alone among quantised ones: excluded by name, it seems"),
        ("not_float32", "that compute in another type than float32"),
    ];
    let told = |(code, words): (&str, &str)| {
        let n = left.iter().filter(|l| l.code == code).count();
        (n > 0).then(|| format!("{} {words}", plural(n, "node")))
    };
    super::under(Role::Dim, "in float", kinds.into_iter().filter_map(told)).collect()
}

fn shared(shared: &SharedScale) -> Fact {
    Fact::new("one scale", format!("{}: {}", clean(&shared.scale), some(&shared.tensors, 6)))
}

fn operators(coverage: &Coverage) -> Vec<Block> {
    if coverage.operators.is_empty() {
        return Vec::new();
    }
    let columns = [
        (ColumnKind::Name, "operator"),
        (ColumnKind::Number, "quantised"),
        (ColumnKind::Number, "partly"),
        (ColumnKind::Number, "of nodes"),
    ];
    let number = |n: usize| count(n as u64);
    let rows = coverage.operators.iter();
    table(columns, rows.map(|o| [o.operator.clone(), number(o.quantised), number(o.partly), number(o.nodes)])).into()
}

fn nodes(title: &'static str, left: &[Left]) -> Vec<Block> {
    if left.is_empty() {
        return Vec::new();
    }
    let columns = [(ColumnKind::Name, title), (ColumnKind::Words, "operator"), (ColumnKind::Words, "why")];
    let rows = left.iter().take(NODES).map(|l| [l.node.clone(), l.op_type.clone(), l.why.clone()]);
    let mut blocks: Vec<Block> = table(columns, rows).into();
    if left.len() > NODES {
        blocks.push(Block::Line(format!("  and {} more; --json has all", left.len() - NODES).into()));
    }
    blocks
}

fn pairs(pairs: &[PairFacts]) -> Vec<Block> {
    if pairs.is_empty() {
        return Vec::new();
    }
    let columns = [
        (ColumnKind::Name, "quantised"),
        (ColumnKind::Words, "is"),
        (ColumnKind::Words, "type"),
        (ColumnKind::Words, "per"),
        (ColumnKind::Words, "scale"),
        (ColumnKind::Words, "range"),
        (ColumnKind::Words, "zero point"),
    ];
    let rows = pairs.iter().map(|p| {
        let per = match (p.axis, p.scales) {
            (None, _) => p.per.to_string(),
            (Some(axis), n) => format!("{} {axis} ({n})", p.per),
        };
        let scale = p.scale_min.zip(p.scale_max).map_or("computed".to_string(), |(a, b)| span(&[a, b]));
        let or_none = |ends: &Option<[Real; 2]>| ends.as_ref().map_or("-".to_string(), span);
        let range = p.range.map_or("-".to_string(), |[a, b]| format!("{}..{}", number(a.0), number(b.0)));
        [p.tensor.clone(), p.kind.to_string(), p.dtype.clone(), per, scale, range, or_none(&p.zero_points)]
    });
    table(columns, rows).into()
}

/// `0.0123`, `0.0123..0.0456`
fn span([low, high]: &[Real; 2]) -> String {
    let text = |x: f64| if x.fract() == 0.0 && x.abs() < 1e6 { format!("{x}") } else { number(x) };
    if low == high { text(low.0) } else { format!("{}..{}", text(low.0), text(high.0)) }
}
