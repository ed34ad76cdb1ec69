//! Every block but tables and drawings.

use super::{chart, curve, entities, inline, table, text};
use crate::found::words::{capitalised, count};
use crate::show::page::{Banner, Bar, Block, Card, Fact, Facts, FactsKind, Figure, Role, Section, Words};
use crate::terminal::clean;

/// Bars are logarithmic: from this relative error (an exact match in effect) to 1 (nothing left of the signal).
const SMALLEST: f64 = 1e-8;
/// Items of a list in sight.
const IN_SIGHT: usize = 12;

/// One after the other.
pub fn all(out: &mut String, blocks: &[Block]) {
    for one in blocks {
        block(out, one);
    }
}

fn block(out: &mut String, block: &Block) {
    match block {
        Block::Banner(one) => banner(out, one),
        Block::Warnings(warnings) if warnings.is_empty() => {}
        Block::Warnings(warnings) => {
            let items: String = warnings.iter().map(|w| format!("<li><b>Warning:</b> {}</li>", text(w))).collect();
            *out += &format!("<section class=\"warnings\" aria-label=\"Warnings\"><ul>{items}</ul></section>\n");
        }
        Block::Section(one) => section(out, one),
        Block::Cards(cards) if cards.iter().all(|card| card.number.is_none()) => {
            cards.iter().for_each(|one| card(out, one));
        }
        Block::Cards(cards) => {
            *out += "<div class=\"cards\">\n";
            for one in cards {
                card(out, one);
                out.push('\n');
            }
            *out += "</div>";
        }
        Block::Line(words) => *out += &format!("<p>{}</p>\n", inline(words)),
        Block::Facts(one) => facts(out, one),
        Block::Columns(columns) => {
            *out += "<div class=\"facts\">\n";
            for one in columns {
                *out += &format!("<div><h3>{}</h3>", inline(&one.title));
                rows(out, one);
                out.truncate(out.trim_end().len());
                *out += "</div>\n";
            }
            *out += "</div>";
        }
        Block::Tables(tables) => tables.iter().for_each(|one| table::draw(out, one)),
        Block::List(items) => list(out, items),
        Block::Command(command) => {
            *out += &format!(
                "<div class=\"command\"><pre><code id=\"command\">{}</code></pre>\
                 <button type=\"button\" id=\"copy\" hidden>Copy</button></div>",
                entities(&clean(command))
            );
        }
        Block::Code(lines) => {
            let lines: Vec<String> = lines.lines().map(|line| entities(&clean(line))).collect();
            *out += &format!("<pre><code>{}</code></pre>\n", lines.join("\n"));
        }
        Block::Fold(summary, inside) => {
            *out += &format!("<details><summary>{}</summary>", inline(summary));
            all(out, inside);
            *out += "</details>\n";
        }
        Block::Figure(Figure::Bars(all, scale)) => bars(out, all, scale),
        Block::Figure(Figure::Depth(points)) => chart::draw(out, points),
        Block::Figure(Figure::Curve(one)) => curve::draw(out, one),
        Block::Gap => {}
    }
}

fn banner(out: &mut String, banner: &Banner) {
    let (class, sign) = match banner.role {
        Role::Good => ("agreed", "✓"),
        Role::Bad => ("diverged", "✗"),
        _ => ("inconclusive", "?"),
    };
    *out += &format!("<header class=\"banner {class}\"><div class=\"sign\" aria-hidden=\"true\">{sign}</div><div>\n");
    *out += &format!("<h1>{}</h1><p class=\"lead\">{}</p>\n", banner.word, text(&banner.rest));
    banner.lines.iter().for_each(|words| *out += &format!("<p>{}</p>\n", inline(words)));
    let chips: String = banner.chips.iter().map(|chip| format!("<li>{}</li>", text(chip))).collect();
    *out += &format!("<ul class=\"chips\">{chips}</ul></div></header>\n");
}

fn section(out: &mut String, section: &Section) {
    let id = section.id.map_or(String::new(), |id| format!(" id=\"{id}\""));
    *out += &format!("<section{id}><h2>{}</h2>\n", inline(&section.title));
    if !section.about.is_empty() {
        *out += &format!("<p class=\"about\">{}</p>\n", inline(&section.about));
    }
    all(out, &section.blocks);
    *out += "</section>\n";
}

/// Numbered ones can be linked to.
fn card(out: &mut String, card: &Card) {
    let class = match card.role {
        Role::Good => " cured",
        Role::Doubt if card.number.is_none() => " unsure",
        _ => "",
    };
    *out += &format!("<article class=\"card{class}\"");
    *out += &match card.number {
        Some(number) => format!(" id=\"c{}\"><h3><span class=\"number\">{number}</span> ", number.saturating_sub(1)),
        None => ">\n<h3>".into(),
    };
    *out += &format!("{}</h3>\n", inline(&card.head));
    if let Some(graph) = &card.within {
        *out += &format!("<p>in subgraph <code>{}</code></p>\n", text(graph));
    }
    if let Some(deed) = &card.deed {
        *out += &format!("<p class=\"deed\">It {}.</p>\n", text(deed));
    }
    for one in &card.blocks {
        match one {
            Block::Line(words) => *out += &format!("<p class=\"deed\">{}</p>\n", inline(words)),
            other => block(out, other),
        }
    }
    *out += "</article>";
}

fn facts(out: &mut String, facts: &Facts) {
    if facts.rows.is_empty() {
        return;
    }
    if !facts.title.is_empty() {
        *out += &format!("<h4>{}</h4>\n", inline(&facts.title));
    }
    rows(out, facts);
}

fn rows(out: &mut String, facts: &Facts) {
    let files = facts.kind == FactsKind::Files;
    *out += if files { "<dl class=\"files\">\n" } else { "<dl>\n" };
    for Fact { name, value, folded, .. } in &facts.rows {
        let name = if files { format!("<code>{}</code>", text(name)) } else { text(&titled(name)) };
        let value = match folded {
            Some(summary) => format!("<details><summary>{}</summary>{}</details>", text(summary), inline(value)),
            None => inline(value),
        };
        *out += &format!("<dt>{name}</dt><dd>{value}</dd>\n");
    }
    *out += "</dl>\n";
}

/// As a name stands before a value.
fn titled(name: &str) -> String {
    match name {
        "os" | "cpu" | "gpu" => name.to_uppercase(),
        "sha256" => "SHA-256".into(),
        "layerdiff" => name.into(),
        _ => capitalised(name),
    }
}

/// What is out of sight unfolds.
fn list(out: &mut String, items: &[Words]) {
    let listed = |items: &[Words]| {
        let items: String = items.iter().map(|item| format!("<li>{}</li>", inline(item))).collect();
        format!("<ul class=\"groups\">{items}</ul>")
    };
    let (seen, folded) = items.split_at(items.len().min(IN_SIGHT));
    if !seen.is_empty() {
        *out += &format!("{}\n", listed(seen));
    }
    if !folded.is_empty() {
        let more = format!("<summary>and {} more</summary>", count(folded.len() as u64));
        *out += &format!("<details>{more}{}</details>\n", listed(folded));
    }
}

fn bars(out: &mut String, bars: &[Bar], scale: &str) {
    *out += "<div class=\"bars\">\n";
    for Bar { role, name, error, text: told } in bars {
        let (name, told) = (text(name), text(told));
        let Some(error) = error else {
            *out += &format!("<p><b>{name}</b> {told}</p>\n");
            continue;
        };
        let class = match role {
            Role::Good => "fine",
            Role::Bad => "wrong",
            _ => "nonfinite",
        };
        let share = share(*error);
        *out += &format!("<div class=\"bar\"><b>{name}</b><span class=\"track\" aria-hidden=\"true\">");
        *out +=
            &format!("<span class=\"{class}\" style=\"width:{share:.1}%\"></span></span><span>{told}</span></div>\n");
    }
    *out += &format!("<p class=\"scale\">{scale}</p></div>\n");
}

/// How much of a bar a relative error fills, in percent.
fn share(error: f64) -> f64 {
    100.0 * (1.0 - error.max(SMALLEST).log10() / SMALLEST.log10()).clamp(0.0, 1.0)
}
