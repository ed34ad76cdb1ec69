//! Which execution provider ran what, where the candidate has one: in one line, and as tables for whoever asks.

use super::Density::{self, Full, Short, Ticket};
use super::times::milli;
use crate::found::placement::short;
use crate::found::words::{bytes, clean, plural};
use crate::found::{FellBack, OfProvider, Placement, Report};
use crate::show::page::{Block, Column, ColumnKind, Fact, Role, Row};

/// Nodes that are named on a terminal, and elsewhere.
const FEW: usize = 5;
const MANY: usize = 50;

/// Operators that are named of a provider.
const OPERATORS: usize = 4;

/// In a line, among other facts.
pub fn facts(report: &Report) -> Vec<Fact> {
    report.placement.iter().flat_map(summary).collect()
}

/// A section of its own; on a terminal the nodes that fell back, where there are any.
pub fn section(report: &Report, density: Density) -> Vec<Block> {
    let Some(placement) = &report.placement else { return Vec::new() };
    match density {
        Short => Vec::new(),
        Ticket | Full => vec![Block::section("Placement", blocks(placement, density))],
    }
}

/// Everything: who ran how much, and what fell back.
pub fn blocks(placement: &Placement, density: Density) -> Vec<Block> {
    let mut blocks = vec![Block::facts(summary(placement)), providers(&placement.providers)];
    if !placement.fell_back.is_empty() {
        blocks.extend([Block::Gap, fell_back(&placement.fell_back, if density == Short { FEW } else { MANY })]);
    }
    blocks
}

fn summary(placement: &Placement) -> Vec<Fact> {
    let mut facts = vec![Fact { role: role(placement), ..Fact::new("placement", told(placement)) }];
    if placement.told_by == "profile" {
        let text = "this ONNX Runtime is too old (before 1.24) to name the nodes inside what a provider compiled, which is one node here";
        facts.push(Fact::new("", text));
    }
    facts.extend(placement.log.iter().map(|line| Fact::new("", clean(line))));
    facts
}

fn role(placement: &Placement) -> Role {
    if placement.fell_back.is_empty() { Role::Plain } else { Role::Doubt }
}

/// `OpenVINO ran 5 of 6 nodes, CPU 1: 12 % of the time; 2 copies between devices, 96 B`.
fn told(placement: &Placement) -> String {
    let asked = clean(short(&placement.asked));
    let all = placement.fell_back.is_empty();
    let of = if placement.took_nothing() {
        format!("none of {}", plural(placement.nodes, "node"))
    } else if all {
        format!("all {}", plural(placement.nodes, "node"))
    } else {
        format!("{} of {}", placement.took, plural(placement.nodes, "node"))
    };
    let mut text = format!("{asked} ran {of}");
    for other in placement.providers.iter().filter(|other| other.provider != placement.asked && other.nodes > 0) {
        text += &format!(", {} {}", clean(short(&other.provider)), other.nodes);
    }
    if let Some(share) = placement.fallback_share.filter(|_| !all) {
        text += &format!(": {:.1} % of the time", share.0 * 100.0);
    }
    if placement.copies > 0 {
        let copies = if placement.copies == 1 { "1 copy".to_string() } else { format!("{} copies", placement.copies) };
        text += &format!("; {copies} between devices, {}", bytes(placement.copied_bytes));
    }
    text
}

fn providers(providers: &[OfProvider]) -> Block {
    use ColumnKind::*;
    let titles = [(Name, "provider"), (Number, "nodes"), (Number, "run as"), (Number, "ms"), (Words, "operators")];
    let row = |of: &OfProvider| {
        let kernels = of.kernels.map_or(String::new(), |kernels| kernels.to_string());
        let cells =
            [short(&of.provider).to_string(), of.nodes.to_string(), kernels, milli(of.seconds.0), operators(of)];
        Some(Row { cells: cells.map(Into::into).into(), ..Row::default() })
    };
    Block::table(titles.map(|(kind, title)| Column::new(kind, title)).into(), providers.iter().map(row).collect())
}

/// `Conv 12, Relu 3, and 4 others`.
fn operators(of: &OfProvider) -> String {
    let mut named: Vec<String> =
        of.operators.iter().take(OPERATORS).map(|(name, count)| format!("{} {count}", clean(name))).collect();
    let more = of.operators.len().saturating_sub(OPERATORS);
    if more > 0 {
        named.push(format!("and {} more", plural(more, "operator")));
    }
    named.join(", ")
}

fn fell_back(nodes: &[FellBack], most: usize) -> Block {
    use ColumnKind::*;
    let titles = [(Name, "fell back"), (Words, "op"), (Words, "to"), (Words, "because")];
    let unsaid = "the runtime does not say why";
    let row = |node: &FellBack| {
        let why = node.why.as_deref().map_or(unsaid.to_string(), clean);
        let cells = [node.node.clone(), node.op_type.clone(), short(&node.provider).to_string(), why];
        Some(Row { cells: cells.map(Into::into).into(), ..Row::default() })
    };
    let mut rows: Vec<Option<Row>> = nodes.iter().take(most).map(row).collect();
    if nodes.len() > most {
        let cells = [format!("{} others", nodes.len() - most), String::new(), String::new(), String::new()];
        rows.push(Some(Row { cells: cells.map(Into::into).into(), ..Row::default() }));
    }
    Block::table(titles.map(|(kind, title)| Column::new(kind, title)).into(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found::Real;
    use crate::show::{markdown, page::Page, text};

    fn placement() -> Placement {
        let of = |name: &str, nodes: usize, operators: Vec<(&str, usize)>| OfProvider {
            provider: format!("{name}ExecutionProvider"),
            nodes,
            names: Vec::new(),
            operators: operators.into_iter().map(|(name, count)| (name.to_string(), count)).collect(),
            kernels: Some(1),
            seconds: Real(1e-3),
        };
        let node = FellBack {
            node: "unique".into(),
            op_type: "Unique".into(),
            provider: "CPUExecutionProvider".into(),
            why: None,
        };
        Placement {
            asked: "OpenVINOExecutionProvider".into(),
            told_by: "assignment".into(),
            nodes: 6,
            took: 5,
            reference_on_cpu: true,
            providers: vec![of("OpenVINO", 5, vec![("MatMul", 2), ("Add", 1)]), of("CPU", 1, vec![("Unique", 1)])],
            fell_back: vec![node],
            copies: 2,
            copied_bytes: 96,
            fallback_share: Some(Real(0.125)),
            log: Vec::new(),
        }
    }

    #[test]
    fn in_a_line() {
        assert_eq!(
            told(&placement()),
            "OpenVINO ran 5 of 6 nodes, CPU 1: 12.5 % of the time; 2 copies between devices, 96 B"
        );
        let whole = Placement { took: 6, fell_back: Vec::new(), copies: 1, ..placement() };
        let whole = Placement { providers: whole.providers[..1].to_vec(), ..whole };
        assert_eq!(told(&whole), "OpenVINO ran all 6 nodes; 1 copy between devices, 96 B");
    }

    #[test]
    fn as_tables() {
        let page = |density| Page { blocks: blocks(&placement(), density), ..Page::default() };
        let short = text::write(&page(Short), false, 120);
        assert!(short.contains("MatMul 2, Add 1") && short.contains("the runtime does not say why"), "{short}");
        let report = Report { placement: Some(placement()), ..Report::default() };
        let ticket = markdown::write(&Page { blocks: section(&report, Ticket), ..Page::default() }, 2);
        assert!(ticket.contains("Placement") && ticket.contains("unique"), "{ticket}");
        assert!(section(&report, Short).is_empty() && facts(&Report::default()).is_empty());
    }
}
