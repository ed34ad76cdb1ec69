//! The cure: which nodes to keep in FP32 or to leave unquantised, what that is worth, the files for every consumer, and how
//! much single nodes matter.

mod said;

use super::Density::{self, Full, Short, Ticket};
use super::tensors;
use crate::found::words::{capitalised, error, plural};
use crate::found::{CureKind, Overrides, Real, Report, Sensitivity, Verdict};
use crate::show::page::{
    Bar, Block, Card, Column, ColumnKind, Curve, Fact, Facts, FactsKind, Figure, Role, Row, Section, Span, Words,
};
pub use said::{fate, kept};

/// Names in sight in a browser; more unfold.
const IN_SIGHT: usize = 12;
/// Rows of the sensitivity table in a ticket, and on a terminal.
const ROWS: usize = 8;
const FEW: usize = 5;

/// On a terminal.
pub fn short(o: &Overrides) -> Vec<Fact> {
    let role = if o.verified && !o.limited { Role::Dim } else { Role::Doubt };
    let first = said::settings(o).filter(|_| said::settings_first(o));
    let claim = match &first {
        // What is no cure is no choice.
        Some(_) if o.is_cure() => format!("or {}", said::claim(o)),
        _ => said::claim(o),
    };
    let mut facts: Vec<Fact> = first.iter().map(|told| Fact::new("overrides", told.clone())).collect();
    facts.push(Fact { role, ..Fact::new(if first.is_some() { "" } else { "overrides" }, claim) });
    facts.extend(o.why.iter().map(|why| Fact::new("", why.clone())));
    if !o.nodes.is_empty() {
        facts.push(Fact::strong("", said::shortened(o).join("; ")));
    }
    facts.extend(said::settings(o).filter(|_| first.is_none()).map(|told| Fact::new("", told)));
    facts.push(Fact::new("", said::price(o)));
    facts.extend(said::location(o).map(|told| Fact::new("", told)));
    facts
}

/// In a ticket.
pub fn ticket(report: &Report) -> Option<Block> {
    let o = report.overrides.as_ref()?;
    let first = said::settings_first(o);
    let told = || said::settings(o).map(|told| Block::Line(capitalised(&told).into()));
    let mut blocks: Vec<Block> = told().filter(|_| first).into_iter().collect();
    blocks.push(Block::Line(Span::Strong(said::claim(o)).into()));
    blocks.extend(o.why.iter().map(|why| Block::Line(why.clone().into())));
    blocks.extend(Block::list(said::shortened(o)));
    blocks.extend(told().filter(|_| !first));
    blocks.push(Block::Line(capitalised(&said::price(o)).into()));
    blocks.push(files(o));
    Some(Block::section(title(o), blocks))
}

/// In a browser.
pub fn card(report: &Report) -> Option<Block> {
    let o = report.overrides.as_ref()?;
    let mut blocks = vec![Block::Line(deed(report, o).into())];
    blocks.extend(o.why.iter().map(|why| Block::Line(Words::from("**Note:** ").then(why.clone()))));
    blocks.extend(Block::list(said::groups(o)));
    blocks.extend(said::settings(o).map(|told| Block::Line(capitalised(&told).into())));
    blocks.push(errors(o));
    let mut facts = vec![Fact::new("search", plural(o.builds, "trial"))];
    facts
        .extend(o.margin.map(|x| Fact::new("margin", format!("{} with the inputs changed by a thousandth", error(x)))));
    // Without groups, the names are above.
    if !o.groups.is_empty() && !o.nodes.is_empty() {
        let folded = (o.nodes.len() > IN_SIGHT).then(|| plural(o.nodes.len(), "name"));
        let names = Words::names(&o.nodes, o.nodes.len());
        facts.insert(0, Fact { folded, ..Fact::new("nodes", names) });
    }
    blocks.extend([Block::facts(facts), files(o), Block::Figure(Figure::Curve(curve(o)))]);
    let (role, tag) = match o.verified {
        _ if o.limited => (Role::Doubt, Span::Tag(Role::Doubt, "no cure".into())),
        true => (Role::Good, Span::Tag(Role::Good, "verified".into())),
        false => (Role::Doubt, Span::Tag(Role::Doubt, "NOT verified".into())),
    };
    let head = match (o.nodes.is_empty(), o.verified) {
        (true, true) => "None needed".into(),
        (true, false) => "None found".into(),
        (false, _) => Words::from(kept(o)).and(tag),
    };
    let blocks = vec![Block::Cards(vec![Card { role, head, blocks, ..Card::default() }])];
    Some(Block::Section(Section { id: Some("cure"), title: title(o).into(), blocks, ..Section::default() }))
}

fn title(o: &Overrides) -> &'static str {
    if o.limited { "No cure" } else { "Cure" }
}

fn deed(report: &Report, o: &Overrides) -> String {
    let (rest, fate) = (said::rest(report, o), fate(o.kind));
    let of_a_set = if o.kind == CureKind::Unquantised { "left unquantised" } else { "kept in FP32" };
    match (o.nodes.is_empty(), o.verified) {
        (true, true) => format!("The outputs were seen to agree with every node {rest}."),
        (true, false) => format!("No set of nodes was seen to cure the outputs when it is {of_a_set}."),
        (false, false) => format!(
            "These nodes {fate} and all others {rest} are the best that was found, but no run shows that they cure the outputs."
        ),
        (false, true) if o.limited => {
            format!(
                "With these nodes {fate} and all others {rest} the outputs were seen to agree, and so many are no cure."
            )
        }
        (false, true) => {
            let fewer = match o.minimal {
                true => "None of them can be given back: without any single one the outputs were not seen to agree.",
                false => "Perhaps fewer would do: the search ended before every node was seen to be needed.",
            };
            format!("With these nodes {fate} and all others {rest} the outputs were seen to agree. {fewer}")
        }
    }
}

/// Without a cure there is no after.
fn errors(o: &Overrides) -> Block {
    let bar = |name: &str, x: Real, good| {
        let role = match (x.0.is_finite(), good) {
            (false, _) => Role::Doubt,
            (true, true) => Role::Good,
            (true, false) => Role::Bad,
        };
        let share = if x.0.is_finite() { x.0 } else { f64::INFINITY };
        Bar { role, name: name.to_string(), error: Some(share), text: error(x) }
    };
    let before = bar("Before", o.error_before, false);
    let after = (!o.nodes.is_empty()).then(|| bar("After", o.error_after, o.verified && !o.limited));
    let scale = "relative RMS error of the worst output, logarithmic: 1e-8 to 1";
    Block::Figure(Figure::Bars([before].into_iter().chain(after).collect(), scale))
}

fn files(o: &Overrides) -> Block {
    let folder = said::folder(o).map(|folder| Words::from(" in ").and(Span::Name(folder.into())));
    let title = Words::from("Files").then(folder.unwrap_or_default());
    Block::Facts(Facts { kind: FactsKind::Files, title, rows: said::files(o) })
}

/// The errors that the search has seen.
pub fn curve(o: &Overrides) -> Curve {
    Curve {
        points: o.curve.iter().map(|(kept, error)| (*kept, error.0)).collect(),
        chosen: (!o.nodes.is_empty()).then_some((o.nodes.len(), o.error_after.0)),
        fate: fate(o.kind),
    }
}

/// The nodes with the largest local errors: folded in a ticket, but where the outputs agree and it is what was asked for.
pub fn sensitivity(report: &Report, density: Density) -> Option<Block> {
    if report.sensitivity.is_empty() {
        return None;
    }
    let kind = kind(report);
    let low = said::low(report);
    let (alone, most) = match density {
        Full => ("outputs, this node alone ", report.sensitivity.len()),
        Ticket => ("outputs, alone ", ROWS),
        Short => ("outputs, alone ", FEW),
    };
    let mut columns = vec![
        Column::new(ColumnKind::Name, if density == Short { "each alone" } else { "node" }),
        Column::new(ColumnKind::Words, "op"),
        Column::new(ColumnKind::Number, "local"),
        Column::new(ColumnKind::Number, format!("{alone}{}", fate(kind))),
    ];
    // A node alone quantised is not tried.
    if kind != CureKind::Unquantised {
        columns.push(Column::new(ColumnKind::Number, format!("{alone}in {low}")));
    }
    let rows = report.sensitivity.iter().take(most).map(|one| Row::plain(cells(report, one, columns.len()))).collect();
    let blocks = vec![Block::table(columns, rows)];
    Some(match density {
        Short => blocks.into_iter().next()?,
        Ticket if report.verdict != Verdict::Agreed => Block::Fold(summary(kind).into(), blocks),
        Ticket | Full => Block::Section(Section {
            id: Some("sensitivity"),
            title: "Sensitivity".into(),
            about: about(kind, low),
            blocks,
        }),
    })
}

/// What becomes of the nodes. Where nothing needs a cure the rows tell: a node alone quantised is never tried.
fn kind(report: &Report) -> CureKind {
    let demoted = report.sensitivity.iter().any(|one| one.demoted.is_some());
    match &report.overrides {
        Some(o) => o.kind,
        None if demoted => CureKind::Fp32,
        None => CureKind::Unquantised,
    }
}

fn cells(report: &Report, one: &Sensitivity, columns: usize) -> Vec<Words> {
    let name = if one.node.is_empty() { &one.tensor } else { &one.node };
    let guilty = tensors::is_culprit(report, &one.tensor).then(|| Span::Tag(Role::Plain, "culprit".into()));
    let cured = report.overrides.as_ref().filter(|o| o.nodes.contains(&one.node));
    let cured = cured.map(|o| Span::Tag(Role::Good, fate(o.kind).into()));
    let name = [Span::Code(name.clone())].into_iter().chain(guilty).chain(cured).collect();
    let figures = [Some(one.local), one.promoted, one.demoted].map(figure);
    let cells = [Words(name), one.op_type.clone().into()].into_iter().chain(figures);
    cells.take(columns).collect()
}

/// A dash where it was not tried.
fn figure(x: Option<Real>) -> Words {
    match x {
        None => "-".into(),
        Some(x) if x.0.is_finite() => error(x).into(),
        Some(x) => Span::Bad(error(x)).into(),
    }
}

fn about(kind: CureKind, low: String) -> Words {
    match kind {
        CureKind::Unquantised => "Relative RMS errors: *local* is what quantisation alone does to the tensor that loses most \
                                  among those that the node reads; the other one is the model's worst output with this node \
                                  alone left unquantised."
            .into(),
        CureKind::Fp32 | CureKind::Split => Words::from(
            "Relative RMS errors: *local* is the node's own output, fed with reference inputs; the other two are the model's \
             worst output with this node alone in FP32",
        )
        .then(format!(" (all others in {low}), and with this node alone in {low} (all others in FP32).")),
    }
}

fn summary(kind: CureKind) -> &'static str {
    match kind {
        CureKind::Unquantised => {
            "Sensitivity: relative RMS error that quantisation alone makes in what the node reads, and of the model's worst \
             output with this node alone left unquantised"
        }
        CureKind::Fp32 | CureKind::Split => {
            "Sensitivity: relative RMS error of the node's own output, and of the model's worst output with this node alone \
             in FP32 or in the low precision"
        }
    }
}

#[cfg(test)]
mod tests;
