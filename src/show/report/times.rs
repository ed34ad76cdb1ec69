//! What both sides take, where that was asked for, and where the candidate's time goes.

use super::Density::{self, Full, Short, Ticket};
use crate::found::words::number;
use crate::found::{Latency, NodeShare, Price, Real, Report, Times};
use crate::names::few;
use crate::show::page::{Block, Column, ColumnKind, Fact, Row};

/// Nodes that are shown on a terminal, and elsewhere.
const FEW: usize = 5;
const MANY: usize = 20;
/// Nodes of one layer that are named.
const NAMED: usize = 4;
/// What a profile may add to a run without a word.
const MUCH: f64 = 1.2;

/// All of it; nothing where nobody asked.
pub fn blocks(report: &Report, density: Density) -> Vec<Block> {
    let Some(times) = &report.latency else { return Vec::new() };
    let mut blocks = vec![Block::facts(facts(times))];
    if !times.nodes.is_empty() {
        blocks.push(table(&times.nodes, if density == Short { FEW } else { MANY }));
    }
    match density {
        Short => [Block::Gap].into_iter().chain(blocks).collect(),
        Ticket | Full => vec![Block::section("Latency", blocks)],
    }
}

fn facts(times: &Times) -> Vec<Fact> {
    let mut facts = Vec::new();
    let sides = [("candidate", &times.candidate), ("reference", &times.reference)];
    for (who, latency) in sides.into_iter().filter_map(|(who, latency)| Some((who, latency.as_ref()?))) {
        facts.push(Fact::new(if facts.is_empty() { "latency" } else { "" }, format!("{who} {}", told(latency))));
    }
    let labelled = !facts.is_empty();
    facts.extend(times.why.iter().map(|why| Fact::new(if labelled { "" } else { "latency" }, why.clone())));
    facts.extend(profiled(times).map(|told| Fact::new("", told)));
    facts
}

/// A profile takes time itself: of short nodes, most of it.
fn profiled(times: &Times) -> Option<String> {
    let all: f64 = times.nodes.iter().map(|node| node.seconds.0).sum();
    let median = times.candidate.as_ref()?.median.0;
    let much = all > MUCH * median;
    much.then(|| format!("with its profile on a run takes {} ms: of short nodes that is most of the time", milli(all)))
}

/// The nodes that take most, and what the others take together.
fn table(nodes: &[NodeShare], most: usize) -> Block {
    use ColumnKind::*;
    let titles = [(Name, "node"), (Words, "op"), (Words, "on"), (Number, "ms"), (Number, "%")];
    let columns = titles.map(|(kind, title)| Column::new(kind, title));
    let row = |cells: [String; 5]| Row { cells: cells.map(Into::into).into(), ..Row::default() };
    let figures = |seconds: f64, share: f64| [milli(seconds), format!("{:.1}", share * 100.0)];
    let of = |node: &NodeShare| {
        let [ms, share] = figures(node.seconds.0, node.share.0);
        row([name(node), node.op_type.clone(), node.provider.clone(), ms, share])
    };
    let shown = nodes.len().min(if nodes.len() == most + 1 { most + 1 } else { most });
    let mut rows: Vec<Option<Row>> = nodes[..shown].iter().map(|node| Some(of(node))).collect();
    let others = &nodes[shown..];
    if !others.is_empty() {
        let sum = |of: fn(&NodeShare) -> Real| others.iter().map(|node| of(node).0).sum::<f64>();
        let [ms, share] = figures(sum(|n| n.seconds), sum(|n| n.share));
        let name = format!("{} others", others.len());
        rows.push(Some(row([name, String::new(), String::new(), ms, share])));
    }
    Block::table(columns.into(), rows)
}

/// The nodes of the model that a layer was made of, where they are known: its own name says less.
fn name(node: &NodeShare) -> String {
    if node.from.is_empty() { node.node.clone() } else { few(&node.from, NAMED) }
}

/// `2.41 ms (2.35 to 2.60 in 15 runs)`.
pub fn told(latency: &Latency) -> String {
    let runs = if latency.runs == 1 { "1 run".to_string() } else { format!("{} runs", latency.runs) };
    let (least, most) = (milli(latency.least.0), milli(latency.most.0));
    format!("{} ms ({least} to {most} in {runs})", milli(latency.median.0))
}

/// `latency 2.40 ms (...) before, 2.80 ms (...) after: in FP32 they cost 0.400 ms of 2.80`; `so` is how the change is called, of one
/// thing or several.
pub fn priced(price: &Price, so: &str, several: bool) -> String {
    let (it, s) = if several { ("they", "") } else { ("it", "s") };
    let cost = match price.added() {
        None => format!("cost{s} less than runs scatter"),
        Some(x) if x >= 0.0 => format!("cost{s} {} ms of {}", milli(x), milli(price.after.median.0)),
        Some(x) => format!("save{s} {} ms", milli(-x)),
    };
    format!("latency {} before, {} after: {so} {it} {cost}", told(&price.before), told(&price.after))
}

/// Milliseconds of these seconds.
pub fn milli(seconds: f64) -> String {
    number(seconds * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::shares;
    use crate::show::{html, markdown, page::Page, text};

    fn report() -> Report {
        let node = |at: usize| NodeShare {
            node: format!("conv_{at}"),
            op_type: "Conv".to_string(),
            provider: "CPUExecutionProvider".to_string(),
            seconds: Real(1e-3 * (at + 1) as f64),
            ..NodeShare::default()
        };
        let times = Times {
            candidate: Latency::of(&[0.028, 0.0285, 0.031]),
            reference: None,
            nodes: shares((0..7).map(node).collect()),
            why: Some("the reference was stored, and runs nothing".to_string()),
        };
        Report { latency: Some(times), ..Report::default() }
    }

    #[test]
    fn the_nodes_that_take_most_and_the_others_together() {
        let page = |density| Page { blocks: blocks(&report(), density), ..Page::default() };
        let short = text::write(&page(Short), false, 120);
        assert!(short.contains("candidate 28.5 ms (28.0 to 31.0 in 3 runs)"), "{short}");
        assert!(short.contains("the reference was stored, and runs nothing"), "{short}");
        assert!(short.contains("conv_6") && short.contains("25.0") && !short.contains("conv_1"), "{short}");
        assert!(short.contains("2 others") && short.contains("10.7"), "{short}");
        let full = html::write(&page(Full));
        assert!(full.contains("conv_0") && !full.contains("others"), "{full}");
        assert!(markdown::write(&page(Ticket), 2).contains("Latency"));
    }

    #[test]
    fn a_layer_is_told_by_the_nodes_that_it_was_made_of() {
        let from = ["a", "b", "c", "d", "e"].map(str::to_string).to_vec();
        let fused = NodeShare { node: "__myl_0x1".into(), from, ..NodeShare::default() };
        assert_eq!(name(&fused), "a, b, c, d and 1 more");
        assert_eq!(name(&NodeShare { from: Vec::new(), ..fused }), "__myl_0x1");
    }

    #[test]
    fn a_price_is_told_where_runs_do_not_scatter_over_it() {
        let of = |seconds: [f64; 3]| Latency::of(&seconds).unwrap();
        let check = |after: [f64; 3], so: &str, several: bool, want: &str| {
            let price = Price { before: of([2.3e-3, 2.4e-3, 2.5e-3]), after: of(after), ..Price::default() };
            let told = priced(&price, so, several);
            assert!(told.ends_with(want), "{told}");
        };
        check([2.7e-3, 2.8e-3, 2.9e-3], "in FP32", true, " after: in FP32 they cost 0.400 ms of 2.80");
        check([2.3e-3, 2.5e-3, 2.6e-3], "in FP32", true, "in FP32 they cost less than runs scatter");
        check([1.3e-3, 1.4e-3, 1.5e-3], "left unquantised", false, "left unquantised it saves 1.00 ms");
    }

    #[test]
    fn nothing_where_nobody_asked() {
        assert!(blocks(&Report::default(), Full).is_empty());
    }
}
