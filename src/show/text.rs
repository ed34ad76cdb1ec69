//! Pages on a terminal: labels, hanging indents, columns that give way where it is narrow, and ANSI colours where they are
//! wanted. What is written is made harmless and short here. Makes a string; writes nothing and knows no report.

use super::page::{Banner, Block, Card, Column, ColumnKind, Fact, Page, Role, Row, Span, Table, Words};
use crate::found::Status;
use crate::found::words::{cut, elide, wrap};
use crate::terminal::{clean, shown};

/// Below this, a column says nothing any more.
const NARROWEST: usize = 12;
/// Above this, nobody reads a column to its end.
const WIDEST: usize = 300;

/// The page on a terminal of `width` columns.
pub fn write(page: &Page, color: bool, width: usize) -> String {
    let mut sheet = Sheet { text: String::new(), color, width: width.max(40) };
    sheet.blocks(&page.blocks);
    sheet.text
}

/// Text that grows line by line.
struct Sheet {
    text: String,
    color: bool,
    width: usize,
}

/// A line of a table.
enum Line {
    Cells { mark: char, role: Role, cells: Vec<String> },
    Gap,
    Blank,
}

impl Sheet {
    fn blocks(&mut self, blocks: &[Block]) {
        for block in blocks {
            self.block(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Banner(Banner { role, word, rest, .. }) => self.headline(*role, word, rest),
            Block::Warnings(warnings) => warnings.iter().for_each(|w| self.headline(Role::Doubt, "warning", w)),
            Block::Section(section) => {
                self.blank();
                let title = self.painted(Role::Strong, &shown(&plain(&section.title)));
                self.text += &format!("{title}\n");
                if !section.about.is_empty() {
                    self.labelled("", Role::Plain, 0, &plain(&section.about));
                }
                self.blocks(&section.blocks);
            }
            Block::Cards(cards) => self.cards(cards),
            Block::Line(words) => self.labelled("", Role::Plain, 0, &plain(words)),
            Block::Facts(facts) => facts.rows.iter().for_each(|fact| self.fact(fact)),
            Block::Columns(all) => all.iter().flat_map(|facts| &facts.rows).for_each(|fact| self.fact(fact)),
            Block::Tables(tables) => self.tables(tables),
            Block::List(items) => items.iter().for_each(|item| self.labelled("  - ", Role::Plain, 4, &plain(item))),
            Block::Command(text) | Block::Code(text) => {
                text.lines().for_each(|line| self.text += &format!("    {}\n", clean(line)));
            }
            Block::Fold(..) | Block::Figure(_) => {}
            Block::Gap => self.blank(),
        }
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn cards(&mut self, cards: &[Card]) {
        for (at, card) in cards.iter().enumerate() {
            if at > 0 {
                self.blank();
            }
            let within = card.within.as_ref().map_or(String::new(), |graph| format!(" in subgraph \"{graph}\""));
            let deed = card.deed.as_ref().map_or(String::new(), |deed| format!(" {deed}"));
            self.headline(card.role, &card.label, &format!("{}{within}{deed}", plain(&card.head)));
            self.blocks(&card.blocks);
        }
    }

    /// `label: body`, the label in colour, further lines indented by two.
    fn headline(&mut self, role: Role, label: &str, body: &str) {
        self.labelled(&format!("{}: ", shown(label)), role, 2, body);
    }

    /// `  label     body`, further lines under the body.
    fn fact(&mut self, fact: &Fact) {
        let prefix = format!("  {:<13}", shown(&fact.name));
        self.labelled(&prefix, fact.role, prefix.chars().count(), &plain(&fact.value));
    }

    fn labelled(&mut self, prefix: &str, role: Role, indent: usize, body: &str) {
        let label = prefix.trim_end();
        // What the label takes of the first line beyond the indent of the others stands there as one long word.
        let hang = prefix.chars().count().saturating_sub(indent);
        let filler = if hang > 0 { format!("{} ", "x".repeat(hang - 1)) } else { String::new() };
        let lines = wrap(&(filler.clone() + &shown(body)), self.width.saturating_sub(indent).max(20));
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                let first = line.strip_prefix(&filler).unwrap_or_default();
                self.text += &format!("{}{}{first}\n", self.painted(role, label), &prefix[label.len()..]);
            } else {
                self.text += &format!("{:indent$}{line}\n", "");
            }
        }
    }

    fn tables(&mut self, tables: &[Table]) {
        let mut lines = Vec::new();
        for table in tables {
            lines.extend((!lines.is_empty()).then_some(Line::Blank));
            let columns: Vec<(usize, &Column)> =
                table.columns.iter().enumerate().filter(|(_, column)| column.room <= self.width).collect();
            let titles = columns.iter().map(|(_, column)| clean(&plain(&column.title))).collect();
            lines.push(Line::Cells { mark: ' ', role: Role::Dim, cells: titles });
            lines.extend(table.rows.iter().map(|row| row.as_ref().map_or(Line::Gap, |row| self.row(row, &columns))));
        }
        let columns = tables.iter().map(|table| &table.columns).max_by_key(|columns| columns.len());
        let kinds = columns.into_iter().flatten().filter(|column| column.room <= self.width);
        self.lines(&lines, &kinds.map(|column| column.kind).collect::<Vec<_>>());
    }

    fn row(&self, row: &Row, columns: &[(usize, &Column)]) -> Line {
        let longest = match self.width {
            0..70 => 12,
            70..110 => 24,
            _ => 40,
        };
        let cell = |(at, column): &(usize, &Column)| {
            let text = row.cells.get(*at).map_or(String::new(), |words| clean(&plain(words)));
            if column.kind == ColumnKind::State { cut(&text, longest) } else { text }
        };
        let role = match row.status {
            _ if row.marked => Role::Bad,
            None | Some(Status::Agrees) => Role::Plain,
            Some(Status::Diverges) => Role::Doubt,
            Some(Status::NotCompared) => Role::Dim,
        };
        Line::Cells { mark: if row.marked { '>' } else { ' ' }, role, cells: columns.iter().map(cell).collect() }
    }

    fn lines(&mut self, lines: &[Line], kinds: &[ColumnKind]) {
        let widths = self.fit(lines, kinds);
        for line in lines {
            match line {
                Line::Cells { mark, role, cells } => {
                    let mut text = format!("{mark} ");
                    for ((cell, &width), kind) in cells.iter().zip(&widths).zip(kinds) {
                        let cell = elide(cell, width);
                        let right = *kind == ColumnKind::Number;
                        text += &if right { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
                    }
                    self.text += &self.painted(*role, text.trim_end());
                }
                Line::Gap => self.text += &self.painted(Role::Dim, "  …"),
                Line::Blank => {}
            }
            self.blank();
        }
    }

    /// As wide as the widest cell; names give way where the page is too narrow.
    fn fit(&self, lines: &[Line], kinds: &[ColumnKind]) -> Vec<usize> {
        let mut widths = vec![0; kinds.len()];
        for line in lines {
            let Line::Cells { cells, .. } = line else { continue };
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.chars().count().clamp(*width, WIDEST.max(*width));
            }
        }
        let mut excess = (widths.iter().sum::<usize>() + 2 * widths.len()).saturating_sub(self.width);
        while excess > 0 {
            let names = (0..widths.len()).filter(|&c| kinds[c] == ColumnKind::Name);
            match names.max_by_key(|&c| widths[c]) {
                Some(column) if widths[column] > NARROWEST => widths[column] -= 1,
                _ => break,
            }
            excess -= 1;
        }
        widths
    }

    fn painted(&self, role: Role, text: &str) -> String {
        let code = match role {
            Role::Plain => return text.into(),
            Role::Strong => "1",
            Role::Dim => "2",
            Role::Bad => "1;31",
            Role::Good => "1;32",
            Role::Doubt => "33",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

fn plain(words: &Words) -> String {
    let span = |span: &Span| match span {
        Span::Own(text) => text.replace('\n', " "),
        Span::Name(name) => format!("\"{name}\""),
        Span::Operator(op) => format!("({op})"),
        Span::Tag(..) | Span::Small(_) => String::new(),
        other => other.text().to_string(),
    };
    words.0.iter().map(span).collect()
}

#[cfg(test)]
mod tests;
