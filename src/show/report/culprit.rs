//! The culprits: who, what it did, how much, and the proof.

use super::Density::{self, Full, Short, Ticket};
use super::{IN_DETAIL, engine, tensors};
use crate::found::placement::short;
use crate::found::words::{clean, number};
use crate::found::{Culprit, Diagnosis, Kind, Metrics, Report, Status, Sure, TensorResult};
use crate::show::page::{Bar, Block, Card, Fact, Figure, Role, Span, Words};

/// What a node at the beginning of the divergence is called.
pub fn label(report: &Report) -> &'static str {
    if report.precision_limited.is_some() { "first beyond the tolerance" } else { "culprit" }
}

/// All of them, in the order of the graph.
pub fn section(report: &Report) -> Option<Block> {
    let title = match (report.precision_limited.is_some(), report.culprits.len()) {
        (_, 0) => return None,
        (true, _) => "First beyond the tolerance, in topological order",
        (false, 1) => "Culprit",
        (false, _) => "Culprits, in topological order",
    };
    Some(Block::section(title, vec![Block::Cards(cards(report, &report.culprits, Full))]))
}

/// One card each.
pub fn cards(report: &Report, culprits: &[Culprit], density: Density) -> Vec<Card> {
    culprits.iter().enumerate().map(|(at, one)| card(report, at, one, density)).collect()
}

fn card(report: &Report, at: usize, culprit: &Culprit, density: Density) -> Card {
    let node = &culprit.node;
    let head = Words::from(if density == Short { "node " } else { "" }).and(Span::Name(node.told()));
    let mut blocks = Vec::new();
    if density == Full {
        blocks.push(bars(culprit));
    }
    blocks.push(Block::facts(facts(report, culprit, density)));
    let inputs = inputs_of(report, culprit);
    if density != Short && !inputs.is_empty() {
        blocks.push(tensors::some(report, "measured input", inputs.into_iter().map(Some), density));
    }
    Card {
        role: if report.precision_limited.is_some() { Role::Doubt } else { Role::Bad },
        label: label(report).into(),
        number: (density == Full || report.culprits.len() > 1).then_some(at + 1),
        head: head.then(" ").and(Span::Operator(node.operator())),
        within: node.subgraph.clone(),
        deed: Some(culprit.deed()),
        blocks,
    }
}

/// The names of those that are not told in detail, on a terminal.
pub fn more(report: &Report, more: &[Culprit]) -> Vec<Block> {
    if more.is_empty() {
        return Vec::new();
    }
    let most = if report.precision_limited.is_some() { IN_DETAIL } else { more.len() };
    let head = Words::names(&names(more), most);
    vec![
        Block::Gap,
        Block::Cards(vec![Card { role: Role::Bad, label: format!("{} more", more.len()), head, ..Card::default() }]),
    ]
}

/// The same in a ticket.
pub fn also(more: &[Culprit]) -> Option<Block> {
    (!more.is_empty()).then(|| Block::Line(Words::from("Also: ").then(Words::names(&names(more), more.len()))))
}

fn names(culprits: &[Culprit]) -> Vec<String> {
    culprits.iter().map(|culprit| culprit.node.told()).collect()
}

fn bars(culprit: &Culprit) -> Block {
    let accumulated = bar("Accumulated", &culprit.accumulated);
    let local = culprit.local.as_ref().map_or_else(
        || Bar { role: Role::Doubt, name: "Local error".into(), error: None, text: UNMEASURED.into() },
        |local| bar("Local error", local),
    );
    Block::Figure(Figure::Bars(vec![local, accumulated], "relative RMS error, logarithmic: 1e-8 to 1"))
}

const UNMEASURED: &str = "not measured, the node could not be run alone";

fn bar(name: &str, metrics: &Metrics) -> Bar {
    let nonfinite = metrics.nonfinite();
    let role = match (nonfinite, metrics.mismatched) {
        (true, _) => Role::Doubt,
        (false, 0) => Role::Good,
        _ => Role::Bad,
    };
    let error = metrics.relative_rms().filter(|_| !nonfinite).unwrap_or(f64::INFINITY);
    Bar { role, name: name.to_string(), error: Some(error), text: metrics.told() }
}

fn facts(report: &Report, culprit: &Culprit, density: Density) -> Vec<Fact> {
    let output = Fact::new("output", Span::Name(culprit.tensor.clone()));
    let local = culprit.local.as_ref().map(Metrics::told);
    let (accumulated, extent) = (culprit.accumulated.told(), culprit.accumulated.extent(report.inputs.samples));
    let same = density == Short && local.as_ref() == Some(&accumulated);
    let local = Fact::strong("local error", local.unwrap_or_else(|| UNMEASURED.into()));
    let accumulated = format!("{}; {extent}", if same { "the same" } else { &accumulated });
    let mut facts = match density {
        Short => vec![local, Fact::strong("accumulated", accumulated)],
        Ticket => vec![output, local, Fact::strong("accumulated error", accumulated)],
        Full => vec![output, Fact::new("extent", extent)],
    };
    facts.push(Fact::strong("proof", proof(report, culprit)));
    facts.extend(culprit.node.torch.iter().map(|torch| Fact::new("in PyTorch", torch.told())));
    facts.extend(culprit.node.provider.iter().map(|provider| ran_on(report, &culprit.node.name, provider)));
    if culprit.region.len() > 1 {
        let most = if density == Short { IN_DETAIL } else { culprit.region.len() };
        facts.push(Fact::strong("region", Words::names(&culprit.region, most)));
    }
    facts.extend(engine::realised(culprit).map(|told| Fact::new("engine", told)));
    facts.extend(culprit.why.iter().map(|why| Fact::new("because", why.clone())));
    for (advice, causes) in diagnoses(culprit) {
        let told = |cause: &Diagnosis| {
            let code = Words::from(Span::Term(cause.code.clone()));
            let label = match cause.sure {
                Sure::Shown => "cause",
                Sure::Likely => "likely cause",
                Sure::Unknown => "maybe",
            };
            Fact::strong(label, code.then(": ").then(cause.evidence.clone()))
        };
        facts.extend(causes.into_iter().map(told));
        facts.push(Fact::strong("help", advice.to_string()));
    }
    facts
}

/// That it ran elsewhere than was asked, and why, where that is known.
fn ran_on(report: &Report, node: &str, provider: &str) -> Fact {
    let placement = report.placement.as_ref();
    let asked = placement.map_or("the provider that was asked for", |placement| short(&placement.asked));
    let why = placement.and_then(|placement| placement.ran_elsewhere(node)?.why.as_deref());
    let why = why.map_or(String::new(), |why| format!(": {}", clean(why)));
    Fact::doubtful("ran on", format!("{}, for {} did not take it{why}", clean(short(provider)), clean(asked)))
}

/// The diagnoses by advice, in the order in which each was first given: the same advice is said once.
fn diagnoses(culprit: &Culprit) -> Vec<(&str, Vec<&Diagnosis>)> {
    let mut by_advice: Vec<(&str, Vec<&Diagnosis>)> = Vec::new();
    for one in &culprit.diagnosis {
        match by_advice.iter_mut().find(|(advice, _)| *advice == one.advice) {
            Some((_, causes)) => causes.push(one),
            None => by_advice.push((&one.advice, vec![one])),
        }
    }
    by_advice
}

/// The rows of the culprit's inputs: what the proof rests on.
fn inputs_of<'r>(report: &'r Report, culprit: &Culprit) -> Vec<&'r TensorResult> {
    report.tensors.iter().filter(|t| !t.name.is_empty() && reads(culprit, &t.name)).collect()
}

/// Does the culprit read the tensor of this name? In a subgraph, tensors are named behind its path.
fn reads(culprit: &Culprit, tensor: &str) -> bool {
    let inner = culprit.node.subgraph.as_ref().and_then(|path| tensor.strip_prefix(path.as_str())?.strip_prefix('/'));
    let named = |name: &str| culprit.node.inputs.iter().any(|input| input == name);
    named(tensor) || inner.is_some_and(named)
}

/// Why the culprit is the culprit: its inputs were measured and agree. Says so plainly where that is not shown. Cleaned of
/// control characters.
fn proof(report: &Report, culprit: &Culprit) -> String {
    let rows = inputs_of(report, culprit);
    let status = |wanted: Status| rows.iter().filter(|row| row.status == wanted).copied().collect::<Vec<_>>();
    let (agree, diverge, skipped) = (status(Status::Agrees), status(Status::Diverges), status(Status::NotCompared));
    if culprit.kind == Kind::Region && culprit.inputs_agree {
        return "every compared tensor that enters the region was measured and agrees".into();
    }
    if !culprit.inputs_agree {
        return match (diverge.is_empty(), skipped.is_empty()) {
            (false, _) => format!("not proven: its input {} diverges too", quoted(&diverge)),
            (true, false) => format!("not proven: its input {} was not compared", quoted(&skipped)),
            (true, true) => "not proven: not every input of it was measured".into(),
        };
    }
    let inputs: Vec<&String> =
        culprit.node.inputs.iter().filter(|name| !name.is_empty() && !culprit.given.contains(name)).collect();
    let unmeasured = unmeasured(culprit, &inputs, &rows);
    let mut text = match (agree.len(), inputs.len()) {
        (_, 0) if culprit.given.is_empty() => return "it has no inputs, so the fault is its own".into(),
        (_, 0) => return "it reads only the model's own inputs and weights, which are the same on both sides".into(),
        (0, _) if skipped.is_empty() => {
            return format!("no input of it was measured: {unmeasured} (model inputs and constants need not be)");
        }
        (0, _) => "none of its inputs could be compared".into(),
        (1, 1) => "its only input was measured and agrees".into(),
        (n, total) if n == total => format!("its {n} inputs were measured and agree"),
        (1, total) => format!("1 of its {total} inputs was measured and agrees"),
        (n, total) => format!("{n} of its {total} inputs were measured and agree"),
    };
    let error = |row: &TensorResult| row.metrics.as_ref().map(|m| m.max_abs.0);
    let worst = agree.iter().filter_map(|row| Some((row, error(row)?))).max_by(|a, b| a.1.total_cmp(&b.1));
    if let Some((row, max_abs)) = worst {
        let which = if agree.len() > 1 { format!("worst: \"{}\", ", clean(&row.name)) } else { String::new() };
        text += &format!(" ({which}max abs {})", number(max_abs));
    }
    if !skipped.is_empty() {
        text += &format!("; not compared: {}", quoted(&skipped));
    }
    if !unmeasured.is_empty() {
        text += &format!("; not measured: {unmeasured}");
    }
    text
}

fn quoted(rows: &[&TensorResult]) -> String {
    rows.iter().map(|t| format!("\"{}\"", clean(&t.name))).collect::<Vec<_>>().join(", ")
}

/// The names among `inputs` that no row is about.
fn unmeasured(culprit: &Culprit, inputs: &[&String], rows: &[&TensorResult]) -> String {
    let path = culprit.node.subgraph.as_ref().map(|path| format!("{path}/")).unwrap_or_default();
    let measured = |name: &str| rows.iter().any(|r| r.name == name || r.name.strip_prefix(&path) == Some(name));
    let names = inputs.iter().filter(|name| !measured(name)).map(|name| format!("\"{}\"", clean(name)));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
