//! Pages as GitHub Markdown, for bug tickets and for the READMEs beside what layerdiff writes. Every name and command says
//! what it says, and nothing else. No colours, no HTML but `<details>` and `<sub>`; makes a string and knows no report.

use super::html::esc;
use super::page::{Block, Card, ColumnKind, Facts, FactsKind, Page, Span, Table, Words};
use crate::found::words::capitalised;
use crate::terminal::{clean, elide, shown};

/// What would be markup.
const MARKUP: &str = "\\`*_[]<>|~&#";

/// The page, its title a heading of this level: a ticket is part of a page of its own.
pub fn write(page: &Page, level: usize) -> String {
    let mut out = String::new();
    if !page.title.is_empty() {
        out += &format!("{} {}\n\n", "#".repeat(level), inline(&page.title));
    }
    blocks(&mut out, &page.blocks);
    match &page.footer {
        Some(footer) => out += &format!("<sub>{}</sub>\n", escaped(footer, true)),
        None => out.truncate(out.trim_end().len() + 1),
    }
    out
}

fn blocks(out: &mut String, all: &[Block]) {
    for one in all {
        block(out, one);
    }
}

/// Each ends with an empty line.
fn block(out: &mut String, block: &Block) {
    match block {
        Block::Banner(banner) => {
            *out += &format!("**{}**: {}\n\n", banner.word, escaped(&banner.rest, true));
            banner.lines.iter().for_each(|words| line(out, words));
        }
        Block::Warnings(all) => {
            all.iter().for_each(|text| *out += &format!("> **warning**: {}\n\n", escaped(text, true)))
        }
        Block::Section(section) => {
            *out += &format!("### {}\n\n", inline(&section.title));
            line(out, &section.about);
            blocks(out, &section.blocks);
        }
        Block::Cards(cards) => cards.iter().for_each(|one| card(out, one)),
        Block::Line(words) => line(out, words),
        Block::Facts(all) => facts(out, all),
        Block::Columns(all) => all.iter().for_each(|one| facts(out, one)),
        Block::Tables(tables) => tables.iter().for_each(|one| table(out, one)),
        Block::List(items) => {
            items.iter().for_each(|item| *out += &format!("- {}\n", begun(&inline(item))));
            out.push('\n');
        }
        Block::Command(command) => {
            let fence = "`".repeat(longest_run(command).max(2) + 1);
            *out += &format!("{fence}sh\n{}\n{fence}\n\n", clean(command));
        }
        Block::Code(text) => {
            text.lines().for_each(|line| *out += &format!("    {}\n", clean(line)));
            out.push('\n');
        }
        Block::Fold(summary, inside) => {
            // Markdown has no escapes inside of HTML.
            *out += &format!("<details><summary>{}</summary>\n\n", esc(summary));
            blocks(out, inside);
            *out += "</details>\n\n";
        }
        Block::Figure(_) | Block::Gap => {}
    }
}

fn line(out: &mut String, words: &Words) {
    if !words.is_empty() {
        *out += &format!("{}\n\n", begun(&wrapped(words)));
    }
}

/// What begins a line begins no list, no rule and no code.
fn begun(text: &str) -> String {
    let text = text.trim_start();
    let (number, rest) = text.split_at(text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    let marks: &[char] = if number.is_empty() { &['-', '+', '='] } else { &['.', ')'] };
    format!("{number}{}{rest}", if rest.starts_with(marks) { "\\" } else { "" })
}

fn card(out: &mut String, card: &Card) {
    let number = card.number.map_or(String::new(), |number| format!(" {number}"));
    let within = card.within.as_ref().map_or(String::new(), |graph| format!(" in subgraph {}", code(graph)));
    *out += &format!("### {}{number}: {}{within}\n\n", capitalised(&card.label), inline(&card.head));
    if let Some(deed) = &card.deed {
        *out += &format!("It {}.\n\n", escaped(deed, true));
    }
    blocks(out, &card.blocks);
}

fn facts(out: &mut String, facts: &Facts) {
    if facts.rows.is_empty() {
        return;
    }
    if !facts.title.is_empty() {
        line(out, &facts.title.clone().then(":"));
    }
    if facts.kind == FactsKind::Values {
        *out += "| | |\n|---|---|\n";
    }
    for fact in &facts.rows {
        *out += &match facts.kind {
            FactsKind::Sentences | FactsKind::Files if fact.name.is_empty() => format!("- {}\n", inline(&fact.value)),
            FactsKind::Sentences => format!("- **{}**: {}\n", escaped(&fact.name, true), inline(&fact.value)),
            FactsKind::Files => format!("- {}: {}\n", code(&fact.name), inline(&fact.value)),
            FactsKind::Values => format!("| {} | {} |\n", escaped(&fact.name, true), cell(&fact.value)),
        };
    }
    out.push('\n');
}

/// Rows of tensors begin with a mark for those that the reader looks for.
fn table(out: &mut String, table: &Table) {
    let marks = table.columns.iter().any(|column| column.kind == ColumnKind::State);
    let titles: Vec<String> = table.columns.iter().map(|column| cell(&column.title)).collect();
    let rule = |kind: ColumnKind| if kind == ColumnKind::Number { "--:|" } else { "---|" };
    let rules: String = table.columns.iter().map(|column| rule(column.kind)).collect();
    let (first, rule) = if marks { ("| ", "|---|") } else { ("", "|") };
    *out += &format!("{first}| {} |\n{rule}{rules}\n", titles.join(" | "));
    for row in &table.rows {
        *out += &match row {
            None => format!("{first}| … |{}\n", " |".repeat(titles.len().saturating_sub(1))),
            Some(row) => {
                let mark = marks.then(|| if row.marked { "▶" } else { "" }.to_string());
                let cells: Vec<String> = mark.into_iter().chain(row.cells.iter().map(cell)).collect();
                format!("| {} |\n", cells.join(" | "))
            }
        };
    }
    out.push('\n');
}

/// Words as Markdown, in one line.
fn inline(words: &Words) -> String {
    wrapped(words).replace('\n', " ")
}

/// Words as Markdown, in as many lines as this program's own words have.
fn wrapped(words: &Words) -> String {
    let span = |span: &Span| match span {
        Span::Own(text) => text.split('\n').map(|line| escaped(line, false)).collect::<Vec<_>>().join("\n"),
        Span::Emphasis(text) => escaped(text, false),
        Span::Plain(text) => clean(text),
        Span::Text(text) | Span::Bad(text) => escaped(text, true),
        Span::Name(text) | Span::Code(text) | Span::Term(text) => code(text),
        Span::Strong(text) => format!("**{}**", escaped(text, false)),
        Span::Operator(op) => format!("({})", escaped(op, true)),
        Span::Tag(..) | Span::Small(_) => String::new(),
    };
    words.0.iter().map(span).collect()
}

/// Words in a table: there a pipe ends the cell, even inside code. In other text it is escaped already.
fn cell(words: &Words) -> String {
    let span = |span: &Span| match span {
        Span::Name(_) | Span::Code(_) | Span::Term(_) | Span::Plain(_) => {
            inline(&span.clone().into()).replace('|', "\\|")
        }
        other => inline(&other.clone().into()),
    };
    words.0.iter().map(span).collect()
}

/// Text whose punctuation stays punctuation. An underscore inside a word is none; `all` escapes it all the same.
fn escaped(raw: &str, all: bool) -> String {
    let raw = sentence(raw);
    let mut out = String::new();
    let mut before = ' ';
    for (at, c) in raw.char_indices() {
        let after = raw[at + c.len_utf8()..].chars().next().unwrap_or(' ');
        let inside = c == '_' && before.is_alphanumeric() && after.is_alphanumeric();
        if MARKUP.contains(c) && (all || !inside) {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// A code span: nothing in it is Markdown, and its fence is longer than any run of backticks inside.
fn code(raw: &str) -> String {
    let raw = shown(raw);
    if raw.is_empty() {
        return String::new();
    }
    let fence = "`".repeat(longest_run(&raw) + 1);
    let pad = if raw.starts_with('`') || raw.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{raw}{pad}{fence}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// A piece of a sentence may hold several names, each of which is short by itself: what stands between them stays.
fn sentence(raw: &str) -> String {
    let words: Vec<String> = raw.split(' ').map(shown).collect();
    elide(&words.join(" "), SENTENCE)
}

/// Characters of a piece of a sentence.
const SENTENCE: usize = 4000;

#[cfg(test)]
mod tests;
