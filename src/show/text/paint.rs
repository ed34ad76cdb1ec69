//! Lines for a terminal: labels, hanging indents, aligned columns, and ANSI colours where they are wanted.
//! What is written is made harmless and short here. Knows nothing of reports.

use super::words::{elide, wrap};
use crate::terminal::{clean, shown};

/// SGR codes; `Plain` writes none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Ink {
    #[default]
    Plain,
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
}

/// Text for a terminal of `width` columns, written line by line.
pub struct Page {
    pub text: String,
    color: bool,
    width: usize,
}

/// One cell; numbers are set flush right.
pub struct Cell {
    pub text: String,
    pub right: bool,
}

/// A row of a table. A line's mark is '>' or ' '.
pub enum Row {
    Line {
        mark: char,
        ink: Ink,
        cells: Vec<Cell>,
    },
    /// Rows were left out here.
    Gap,
    Blank,
}

/// Below this, a table says nothing any more.
const NARROWEST: usize = 12;

/// Above this, nobody reads a column to its end.
const WIDEST: usize = 300;

impl Page {
    pub fn new(color: bool, width: usize) -> Page {
        Page { text: String::new(), color, width: width.max(40) }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    /// `label: body`, the label in colour, further lines indented by two.
    pub fn headline(&mut self, ink: Ink, label: &str, body: &str) {
        let prefix = format!("{label}: ");
        self.labelled(&prefix, ink, 2, body);
    }

    /// `  label     body`, further lines under the body.
    pub fn field(&mut self, ink: Ink, label: &str, body: &str) {
        let prefix = format!("  {label:<13}");
        self.labelled(&prefix, ink, prefix.chars().count(), body);
    }

    /// Aligned columns; those at `flexible` give way when the page is too narrow.
    pub fn table(&mut self, rows: &[Row], flexible: &[usize]) {
        let widths = self.fit(rows, flexible);
        for row in rows {
            match row {
                Row::Line { mark, ink, cells } => self.line(*mark, *ink, cells, &widths),
                Row::Gap => self.text += &self.painted(Ink::Dim, "  …"),
                Row::Blank => {}
            }
            self.blank();
        }
    }

    fn labelled(&mut self, prefix: &str, ink: Ink, indent: usize, body: &str) {
        let label = prefix.trim_end();
        // What the label takes of the first line beyond the indent of the others stands there as one long word.
        let hang = prefix.chars().count().saturating_sub(indent);
        let filler = if hang > 0 { format!("{} ", "x".repeat(hang - 1)) } else { String::new() };
        let lines = wrap(&(filler.clone() + &shown(body)), self.width.saturating_sub(indent).max(20));
        for (at, line) in lines.iter().enumerate() {
            if at == 0 {
                let first = line.strip_prefix(&filler).unwrap_or_default();
                self.text += &format!("{}{}{first}\n", self.painted(ink, label), &prefix[label.len()..]);
            } else {
                self.text += &format!("{:indent$}{line}\n", "");
            }
        }
    }

    fn line(&mut self, mark: char, ink: Ink, cells: &[Cell], widths: &[usize]) {
        let mut line = format!("{mark} ");
        for (cell, &width) in cells.iter().zip(widths) {
            let text = elide(&clean(&cell.text), width);
            line += &if cell.right { format!("{text:>width$}  ") } else { format!("{text:<width$}  ") };
        }
        self.text += &self.painted(ink, line.trim_end());
    }

    fn fit(&self, rows: &[Row], flexible: &[usize]) -> Vec<usize> {
        let mut widths = Vec::new();
        for row in rows {
            let Row::Line { cells, .. } = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = clean(&cell.text).chars().count().clamp(*width, WIDEST.max(*width));
            }
        }
        let mut excess = (widths.iter().sum::<usize>() + 2 * widths.len()).saturating_sub(self.width);
        while excess > 0 {
            let widest = flexible.iter().copied().filter(|&c| c < widths.len()).max_by_key(|&c| widths[c]);
            match widest {
                Some(column) if widths[column] > NARROWEST => widths[column] -= 1,
                _ => break,
            }
            excess -= 1;
        }
        widths
    }

    fn painted(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.into(),
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Red => "1;31",
            Ink::Green => "1;32",
            Ink::Yellow => "33",
        };
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.into() }
    }
}

pub fn left(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), right: false }
}

pub fn right(text: impl Into<String>) -> Cell {
    Cell { text: text.into(), right: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mark: char, name: &str, number: &str) -> Row {
        Row::Line { mark, ink: Ink::Red, cells: vec![left(name), right(number)] }
    }

    #[test]
    fn columns_align_and_give_way() {
        let mut page = Page::new(false, 40);
        let long = "/encoder/layer.0/attention/self/query/MatMul_output_0";
        page.table(&[row(' ', "tensor", "max abs"), row(' ', "a", "1.00"), Row::Gap, row('>', long, "1.23e-4")], &[0]);
        let want = [
            "  tensor                         max abs",
            "  a                                 1.00",
            "  …",
            "> /encoder/layer…/MatMul_output_0  1.23e-4",
        ];
        let want = want.join("\n").replace("/encoder/layer…/MatMul_output_0", &elide(long, 29)) + "\n";
        assert_eq!(page.text, want);
        assert!(page.text.lines().all(|line| line.chars().count() <= 40), "{}", page.text);
    }

    #[test]
    fn colours_only_when_asked_for_and_never_in_the_alignment() {
        let draw = |color| {
            let mut page = Page::new(color, 60);
            page.headline(Ink::Green, "agreed", "all");
            page.field(Ink::Dim, "search", "one two");
            page.table(&[row('>', "x", "1")], &[0]);
            page.text
        };
        let plain = draw(false);
        assert!(!plain.contains('\u{1b}'));
        let mut colored = draw(true);
        assert!(colored.starts_with("\u{1b}[1;32magreed:\u{1b}[0m all\n"), "{colored:?}");
        for code in ["\u{1b}[0m", "\u{1b}[1;32m", "\u{1b}[1;31m", "\u{1b}[2m"] {
            colored = colored.replace(code, "");
        }
        assert_eq!(colored, plain);
    }

    #[test]
    fn long_bodies_hang() {
        let mut page = Page::new(false, 40);
        page.field(Ink::Dim, "help", "keep Pow and Sqrt in FP32 or export again");
        assert_eq!(page.text, "  help         keep Pow and Sqrt in FP32\n               or export again\n");
    }
}
